"""Scatter of the risk between draws where training ends at a ridge: the variance over rows and features, in closed form.

Two replicas share rows and features. With a source J of the population loss each is a one-point function of J,
r = R1 + J, h = 1/(s + lambda r R3), and with p = R1 R1'/P, n = R3 R3'/N, x = R3 R3' sum lambda^2 h h',
v = r r' sum lambda^2 h h', y = s sum lambda h h', A = s (sum lambda w^2 h h' + sigma^2/s^2),
B = r r' sum lambda^2 w^2 h h':

    Cov(risk, risk') = s s' d_J d_J' 2 [p A^2 (1 - n v) + n B^2 (1 - p x) + 2 p n y A B]/[(1 - p x)(1 - n v) - p n y^2]

Shared rows alone, n = 0, leave the variance over rows of the average over features.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfm.optimizers import Optimizer, Ridge
from rfm.problem import Problem
from theory.arrays import Array, evaluated, namespace
from theory.cases import Case, check_case
from theory.evaluation import filter_of, model_of
from theory.filters import FILTERS
from theory.fixed_point import Model, degrees_of_freedom, kappa_real, resolvent

EARLIEST = 1e-12  # a time that stands for none
SMALLEST = 1e-12  # a ridge that stands for none


class RidgeScatter(NamedTuple):
    """Variance of the risk over draws, and the part of it that is over rows alone, of the shape of the ridge."""

    total: Array
    rows: Array


@evaluated()
def ridge_scatter(model: Model, ridge: Array) -> RidgeScatter:
    """Return the variance of the risk at ridges (n,) > 0."""
    # notation: arrays (2, 2, n) hold the coefficients of 1, J' // J, J J' of functions of two replicas
    modes, inv_n, inv_p, noise_var = model
    xp = namespace(ridge, modes.eigenvalues)
    s, (kappa, _) = ridge, kappa_real(ridge, model)
    df1, _ = degrees_of_freedom(kappa, modes)
    r3 = 1.0 - df1 * inv_n
    r1 = s / (kappa * r3)
    h0 = kappa[..., None] * resolvent(kappa, modes) / s[..., None]  # (n, K)
    lam, count = modes.eigenvalues, modes.multiplicity
    s1, s2 = (h0**2) @ (count * lam), (h0**2) @ (count * lam**2)
    kept = 1.0 - inv_n * r1**2 * r3**2 * s2
    r = 1.0 / (1.0 - inv_p * r1**2 * r3**2 * s2 - inv_p * inv_n * r1**2 * r3**2 * s**2 * s1**2 / kept)
    r3_slope = -inv_n * r3**2 * s * s1 * r / kept
    h1 = -lam * h0**2 * (r3 * r + r3_slope * r1)[..., None]

    def pair(f0: Array, f1: Array) -> Array:
        """f f' of one function of J."""
        return xp.stack([xp.stack([f0 * f0, f0 * f1]), xp.stack([f1 * f0, f1 * f1])])

    def total(weight: Array) -> Array:
        """Sum over modes of weight h h'."""
        return xp.stack([xp.stack([(h0 * h0) @ weight, (h0 * h1) @ weight]),
                         xp.stack([(h1 * h0) @ weight, (h1 * h1) @ weight])])  # fmt: skip

    data, features, loss = pair(r1, r - 1.0), pair(r3, r3_slope), pair(r1, r)
    one = xp.zeros_like(data) + xp.asarray([[1.0, 0.0], [0.0, 0.0]])[..., None]
    both = total(count * lam**2)
    p, v = data * inv_p, times(loss, both)
    y, x = s * total(count * lam), times(features, both)
    a = s * total(modes.power) + noise_var / s * one
    b = times(loss, total(modes.power * lam))

    def variance(n: Array) -> Array:
        kept_p, kept_n = one - times(p, x), one - times(n, v)
        pn_y = times(times(p, n), y)
        top = times(times(p, times(a, a)), kept_n) + times(times(n, times(b, b)), kept_p)
        top = top + 2.0 * times(times(pn_y, a), b)
        return 2.0 * s**2 * divide(top, times(kept_p, kept_n) - times(pn_y, y))[1, 1]

    return RidgeScatter(variance(features * inv_n), variance(0.0 * features))


def times(x: Array, y: Array) -> Array:
    """Product of two functions of J and J' that are linear in each, (2, 2, n)."""
    xp = namespace(x, y)
    mixed = x[0, 0] * y[1, 1] + x[1, 1] * y[0, 0] + x[0, 1] * y[1, 0] + x[1, 0] * y[0, 1]
    return xp.stack([
        xp.stack([x[0, 0] * y[0, 0], x[0, 0] * y[0, 1] + x[0, 1] * y[0, 0]]),
        xp.stack([x[0, 0] * y[1, 0] + x[1, 0] * y[0, 0], mixed]),
    ])  # fmt: skip


def divide(x: Array, y: Array) -> Array:
    """Ratio of two such functions."""
    xp, y0 = namespace(x, y), y[0, 0]
    mixed = -y[1, 1] / y0**2 + 2.0 * y[0, 1] * y[1, 0] / y0**3
    inverse = xp.stack([xp.stack([1.0 / y0, -y[0, 1] / y0**2]), xp.stack([-y[1, 0] / y0**2, mixed])])
    return times(x, inverse)


@evaluated()
def variance_near(case: Case) -> Array:
    """Return about the variance of the risk at every time, (T,): a ridge of 1/t in place of training up to t.

    It is right where training has ended, and within a third before: good for weights, not for tests.
    """
    model = model_of(case)
    if isinstance(case.optimizer, Ridge):
        ridge = namespace(case.optimizer.ridge).reshape(case.optimizer.ridge, (1,))
    else:
        algorithm, parameters = filter_of(case.optimizer)
        flt = FILTERS[algorithm](**parameters)
        ridge = flt.curvature(1.0 / flt.elapsed(namespace(case.times).maximum(case.times, EARLIEST)))
    return ridge_scatter(model, namespace(ridge).maximum(ridge, SMALLEST)).total


def scatter_near(
    problem: Problem, *, num_features: float, num_samples: float, optimizer: Optimizer, times: ArrayLike | None
) -> np.ndarray:
    """Return about the standard deviation of the risk between draws, (T,), for a full-batch algorithm.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N.
        num_samples: Data P.
        optimizer: A full-batch algorithm.
        times: (T,); None for Ridge.
    """
    case = Case(problem, num_features, num_samples, optimizer, times)
    check_case(case)
    return np.sqrt(variance_near(case.arrays()))
