"""Where training ends: ridge regression, and the ridgeless limit t -> infinity."""

from typing import NamedTuple

import jax

from theory.arrays import Array, evaluated, namespace
from theory.dynamics import TOLERANCE
from theory.equivalent import TwoPoint, one_real_point
from theory.fixed_point import ROUNDING, Model, kappa_real
from theory.mixture import data_response, row_factors, row_squares
from theory.mode_sums import degrees_of_freedom


class StaticRisk(NamedTuple):
    """The pieces of `TwoPoint` at every ridge, the training loss, kappa, and the numerical residual, all (...)."""

    pieces: TwoPoint
    train_loss: Array
    kappa: Array
    residual: Array
    converged: Array


@evaluated()
def static_risk(model: Model, ridge: Array) -> StaticRisk:
    """Return risk E(s, s) - sigma^2 and training loss R1^2 E at s = ridge >= 0, of any shape.

    Zero is the limit of gradient flow.

    Rows of unequal size enter the training loss by averages of their own, of risk and of label noise.

    Ridge regression minimises training loss + ridge |v|^2. At ridge 0 and N = P (below the number of modes) the
    risk is infinite: that is the interpolation peak, not a failure, and `converged` stays true. It has no derivative
    there: NaN.
    """
    modes, inv_n, inv_p, noise_var = model
    xp = namespace(ridge, modes.eigenvalues)
    kappa, residual = kappa_real(ridge, model)
    # kappa = 0: at least as many features and samples as modes; only the noise is left, sigma^2 M/(P - M)
    num_modes = modes.multiplicity.sum()
    load = inv_p * num_modes  # M/P
    determined = load < 1 - ROUNDING
    resolved = kappa == 0
    full_rank = resolved & ~(determined & (inv_n * num_modes < 1 - ROUNDING))  # as many of one as modes: a limit
    k = xp.where(full_rank, xp.max(modes.eigenvalues), kappa)
    df1, _ = degrees_of_freedom(k, modes)
    x = xp.where(full_rank, xp.where(determined, load, 0.5), df1 * inv_p)
    data, _ = data_response(x, modes.mixture)
    q = row_factors(x, data, modes.mixture)
    rows = row_squares(q, modes.mixture)
    pieces = one_real_point(k, model, rows)  # eq. 15
    noise = noise_var * load * rows.noise / (1.0 - load * rows.signal)
    noise = xp.where(determined, noise, xp.where(noise_var > 0, xp.inf, 0.0))
    # N = P = M: both factors of s vanish with kappa, and without noise M |w|^2 / (3 sum 1/lambda) stays
    square = ~determined & (xp.abs(inv_n - inv_p) <= ROUNDING * inv_p)
    signal = num_modes * (modes.power / modes.eigenvalues).sum() / (3 * (modes.multiplicity / modes.eigenvalues).sum())
    zero = xp.zeros(())
    at_zero = TwoPoint(noise + xp.where(square, signal, 0.0), noise, zero, zero, noise, noise)
    pieces = jax.tree.map(lambda limit, other: xp.where(full_rank, limit, other), at_zero, pieces)
    # R1 = s/(kappa R3) where P < N, as in dynamics; both factors vanish together at the peak
    few = (inv_p > inv_n) & ~resolved
    data = xp.where(few, ridge / (xp.where(few, k, 1.0) * (1.0 - df1 * inv_n)), data)
    peak = (ridge == 0) & (inv_n == inv_p) & (inv_n > 0) & (kappa > 0)
    # one, whose derivatives are those of zero times an infinite factor, and of zero under a root: NaN
    unit = 1.0 + 0.0 * (ridge + inv_n + inv_p + noise_var + kappa + modes.power.sum())
    infinite = peak | (full_rank & ~determined & (noise_var > 0))
    pieces = pieces._replace(risk=xp.where(infinite, xp.where(infinite, xp.inf, 1.0) * unit, pieces.risk))
    seen = xp.where(infinite, 0.0, pieces.risk) * rows.train_signal + noise_var * rows.train_noise
    vanishes = xp.where(full_rank, ~determined, peak)
    train_loss = xp.where(vanishes, xp.sqrt(xp.where(vanishes, 0.0, 1.0) * unit), data**2 * seen)
    return StaticRisk(pieces, train_loss, kappa, residual, residual < TOLERANCE)
