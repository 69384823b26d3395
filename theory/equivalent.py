"""The two-point function of the residual: risk, its pieces and the training loss as transforms.

    E = [sigma^2 + kk' T1 + kk' t1 T2/(N - df2)] / [1 - df2/P - kk' t1^2/(P (N - df2))],  k = kappa(s), k' = kappa(s'),
    t1, df2 = sum (lambda, lambda^2) q,  T1, T2 = sum (lambda w^2, lambda^2 w^2) q,  q = 1/((k + lambda)(k' + lambda))

Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fourier-space two-point functions, with their
misprints corrected. All functions subtract the label noise, so that they are transforms of the risk E (f - w.psi)^2.
Rows of unequal size multiply what the samples see of risk and of label noise by averages of their own
(`theory.mixture`): sigma^2 in the numerator and 1/P in the denominator.
"""

from typing import NamedTuple

from theory.arrays import Array, complex_of, namespace
from theory.fixed_point import Model
from theory.mixture import Mixture, RowSums, row_sums
from theory.mode_sums import resolvent


class TwoPoint(NamedTuple):
    """Transforms at pairs of points, all of one shape: (n, n) or ().

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


class ModeSums(NamedTuple):
    """Sums over modes at two points: kk = kappa kappa', and t1, df2, T1, T2 of the module docstring."""

    kk: Array
    t1: Array
    df2: Array
    big_t1: Array
    big_t2: Array


class Products(NamedTuple):
    """Weighted sums over modes of r = 1/(kappa + lambda), (..., n), of r r' and of r conj(r'), (..., n, n)."""

    single: Array
    here: Array
    across: Array


def parts_of(kappa: Array, eigenvalues: Array) -> Array:
    """Return real and imaginary parts of 1/(kappa + lambda) for kappa (..., n), one below the other: (..., 2n, K)."""
    r = resolvent(kappa, eigenvalues)
    return namespace(r).concatenate([r.real, r.imag], axis=-2)


def products(parts: Array, weight: Array) -> Products:
    """Sum over modes with weights (..., K).

    With r = x + iy both products follow from the real sums of xx', xy', yx' and yy': one product of matrices, a fifth
    of the time that complex ones take.
    """
    n = parts.shape[-2] // 2
    real = (parts * weight[..., None, :]) @ parts.swapaxes(-1, -2)
    xx, xy, yx, yy = real[..., :n, :n], real[..., :n, n:], real[..., n:, :n], real[..., n:, n:]
    single = (parts @ weight[..., None])[..., 0]
    single = complex_of(single[..., :n], single[..., n:])
    return Products(single, complex_of(xx - yy, yx + xy), complex_of(xx + yy, yx - xy))


def two_point(kappa: Array, model: Model) -> tuple[ModeSums, ModeSums]:
    """Return the sums over modes at all pairs of kappa (n,), and at all pairs of it and its conjugate."""
    modes = model.modes
    parts = parts_of(kappa, modes.eigenvalues)
    return pair_sums(kappa, products(parts, modes.multiplicity * modes.eigenvalues), products(parts, modes.power))


def pair_sums(kappa: Array, spectrum: Products, power: Products) -> tuple[ModeSums, ModeSums]:
    """Return `two_point` of sums over modes with weights lambda and lambda w^2, for kappa (..., n)."""

    def pair(kappa_other: Array, df1: Array, t1: Array, single: Array, big_t1: Array) -> ModeSums:
        # lambda^2 q = lambda/(k' + lambda) - k lambda q saves two products; what it cancels is small in E
        k = kappa[..., :, None]
        kappa_other, df1, single = (x[..., None, :] for x in (kappa_other, df1, single))
        return ModeSums(k * kappa_other, t1, df1 - k * t1, big_t1, single - k * big_t1)

    here = pair(kappa, spectrum.single, spectrum.here, power.single, power.here)
    across = pair(kappa.conj(), spectrum.single.conj(), spectrum.across, power.single.conj(), power.across)
    return here, across


class PairValues(NamedTuple):
    """Sums over modes and rows at pairs of points, and E - sigma^2 there."""

    sums: ModeSums
    rows: RowSums
    risk: Array


def values_at_pairs(kappa: Array, q: Array, model: Model) -> tuple[PairValues, PairValues]:
    """Return what holds at all pairs of kappa (..., n), and at all pairs with a conjugate; q: row factors there."""
    here, across = (
        PairValues(sums, rows, one_model(sums, model, rows))
        for sums, rows in zip(two_point(kappa, model), row_pairs(q, model.modes.mixture), strict=True)
    )
    return here, across


def row_pairs(q: Array, mixture: Mixture | None) -> tuple[RowSums, RowSums]:
    """Return averages over rows of factors q (..., n, J) at all pairs of points, and at all pairs with a conjugate."""
    return row_sums(q, q, mixture), row_sums(q, q.conj(), mixture)


def one_real_point(kappa: Array, model: Model, rows: RowSums) -> TwoPoint:
    """Return E(s, s) - sigma^2 and its pieces at real kappa > 0 of any shape."""
    modes = model.modes
    q = resolvent(kappa, modes.eigenvalues) ** 2  # (..., K)
    weights = modes.multiplicity * modes.eigenvalues, modes.power
    t1, big_t1 = (q @ weight for weight in weights)
    df2, big_t2 = (q @ (modes.eigenvalues * weight) for weight in weights)
    return pieces(ModeSums(kappa**2, t1, df2, big_t1, big_t2), model, rows)


class _Shared(NamedTuple):
    """Parts of E that one model and two have in common: bias = kk' T1; reuse of the same data by one model."""

    bias: Array
    same_features: Array
    reuse: Array


def _shared(sums: ModeSums, model: Model) -> _Shared:
    # notation: mixing = kk' t1/(N - df2)
    (kk, t1, df2, big_t1, big_t2), inv_n = sums, model.inv_n
    mixing = kk * t1 * inv_n / (1.0 - df2 * inv_n)
    bias = kk * big_t1
    return _Shared(bias, bias + mixing * big_t2, model.inv_p * (df2 + mixing * t1))


def one_model(sums: ModeSums, model: Model, rows: RowSums) -> Array:
    """Return E - sigma^2 of the module docstring, elementwise; rows: the averages over rows at the same points."""
    _, same_features, reuse = _shared(sums, model)
    return (model.noise_var * rows.noise * reuse + same_features) / (1.0 - reuse * rows.signal)  # eq. 4


def pieces(sums: ModeSums, model: Model, rows: RowSums) -> TwoPoint:
    """Return E - sigma^2 and its pieces, elementwise; without `mixing` two models share their data alone."""
    bias, same_features, reuse = _shared(sums, model)
    noise_var, data = model.noise_var * rows.noise, model.inv_p * sums.df2
    kept_same_data = 1.0 - data * rows.signal
    noise_same_data = noise_var * data / kept_same_data
    return TwoPoint(
        risk=one_model(sums, model, rows),
        same_data=noise_same_data + bias / kept_same_data,
        same_features=same_features,
        independent=bias,
        noise=noise_var * reuse / (1.0 - reuse * rows.signal),
        noise_same_data=noise_same_data,
    )
