"""The two-point function of the residual: risk, its pieces and the training loss as transforms.

Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fourier-space two-point functions, with their
misprints corrected. All functions subtract the label noise, so that they are
transforms of the risk E (f - w.psi)^2.
"""

from typing import NamedTuple

from jax import Array

from theory.fixed_point import resolvent
from theory.spectrum import Modes


class TwoPoint(NamedTuple):
    """Transforms at every pair of points, each (n, n').

    risk: one model; same_data: two feature draws on one data set; same_features: two data sets through one
    feature draw; independent: both drawn twice. noise, noise_same_data: the part of the first two that is
    proportional to the label noise; the others have none.
    """

    risk: Array
    same_data: Array
    same_features: Array
    independent: Array
    noise: Array
    noise_same_data: Array


def two_point(kappa: Array, kappa_other: Array, modes: Modes, noise_var: Array, inv_n: Array, inv_p: Array) -> TwoPoint:
    """E(s, s') - sigma^2 and its pieces for kappa (n,), kappa' (n',).

    E = [sigma^2 + kk' T1 + kk' t1 T2/(N - df2)] / [1 - df2/P - kk' t1^2/(P (N - df2))], k = kappa, with
    t1, df2 = sum (lambda, lambda^2) q, T1, T2 = sum (lambda w^2, lambda^2 w^2) q, q = 1/((k + lambda)(k' + lambda)).
    """
    left, right = resolvent(kappa, modes), resolvent(kappa_other, modes)  # (n, K), (n', K)
    weight = modes.multiplicity * modes.eigenvalues  # (K,)
    t1 = (left * weight) @ right.T  # (n, n')
    big_t1 = (left * modes.power) @ right.T
    # lambda^2 q = lambda/(k' + lambda) - k lambda q saves two products; what it cancels is small in E
    df2 = right @ weight - kappa[:, None] * t1
    big_t2 = right @ modes.power - kappa[:, None] * big_t1
    kk = kappa[:, None] * kappa_other
    mixing = kk * t1 * inv_n / (1.0 - df2 * inv_n)  # kk' t1/(N - df2)
    reuse = inv_p * (df2 + mixing * t1)  # of the same data, in one model and, without mixing, in two
    bias = kk * big_t1
    same_features = bias + mixing * big_t2
    noise = noise_var * reuse / (1.0 - reuse)
    noise_same_data = noise_var * inv_p * df2 / (1.0 - df2 * inv_p)
    return TwoPoint(
        risk=noise + same_features / (1.0 - reuse),
        same_data=noise_same_data + bias / (1.0 - df2 * inv_p),
        same_features=same_features,
        independent=bias,
        noise=noise,
        noise_same_data=noise_same_data,
    )
