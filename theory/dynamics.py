"""Risk and training loss against time for full-batch training: the double contour integral of the two-point function.

    risk(t) = (1/2 pi i)^2 oint oint r_t(z) r_t(z') [E(-z, -z') - sigma^2] dz dz'/(z z')

and the training loss with E replaced by R1(-z) R1(-z') E(-z, -z'), R1 = 1 - df1/P. Rows of unequal size weigh the risk
and the label noise in it by averages of their own (`theory.mixture`).
"""

import math
from typing import Any, NamedTuple

import jax

from theory.arrays import Array, barrier, by_xla, evaluated, namespace, stop_gradient
from theory.contour import CONTOUR_STEP, NODES, hyperbola, length
from theory.equivalent import PairValues, TwoPoint, pieces, values_at_pairs
from theory.filters import FILTERS, Filter
from theory.fixed_point import Model, kappa_path, spectral_edge
from theory.mixture import row_factors
from theory.mode_sums import degrees_of_freedom

TOLERANCE = 1e-8  # a result whose estimated relative error is above it is not converged
LARGEST_MAPPED = 1e299  # beyond it the map of strong momentum to the half plane leaves float64
NOTHING = 1e-8  # of the label noise: a target beside which a risk may be so small that nodes must be nearer
KNOWN_STEP = 0.14  # of a contour whose length is known, an error of 1e-13
MOST_NODES = 4096  # 16 n^2 bytes a matrix, and a dozen of them


class LearningCurve(NamedTuple):
    """Curves (T,) of the deterministic equivalent; `residual` is the estimated relative error of the worst.

    pieces: the `TwoPoint` quantities against time, or only the risk where no other was asked for. spectral_edge:
    largest curvature, or the z* (Q,) that limits the learning rate of SGD. average_risk: that of averaged weights.
    kernel_growth: m, where features are trained. crowding: the largest lr m tr(H)/B of SGD that trains features.
    """

    risk: Array
    train_loss: Array
    pieces: TwoPoint | None
    residual: Array
    converged: Array
    spectral_edge: Array
    average_risk: Array | None = None
    kernel_growth: Array | None = None
    crowding: Array | None = None


def smallest_curvature(times: Array, algorithm: str, parameters: dict[str, Any]) -> Array:
    """Return the scale of z that the latest of `times` resolves; |kappa| stays above it, since |s| < |kappa|."""
    flt = FILTERS[algorithm](**parameters)
    xp = namespace(times)
    return flt.curvature(1.0 / xp.maximum(flt.elapsed(times.max()), 1e-290))  # which stands for a time of zero


@evaluated("algorithm")
def nodes_needed(model: Model, times: Array, algorithm: str, parameters: dict[str, Any]) -> Array:
    """Count the nodes that bring the contour's step down to CONTOUR_STEP: above NODES for strong momentum only."""
    flt = FILTERS[algorithm](**parameters)
    return nodes_to(flt.stability(spectral_edge(model)), flt.elapsed(times.max()), CONTOUR_STEP)


def nodes_to(w_max: Array, horizon: Array, spacing: float) -> Array:
    """Count the nodes up to w_max that are as close as `spacing`, infinite beyond what float64 maps."""
    xp = namespace(w_max, horizon)
    return xp.where(w_max >= LARGEST_MAPPED, xp.inf, length(horizon, xp.maximum(w_max, 0.0)) / spacing)


@evaluated("algorithm", "nodes", "split")
def learning_curve(
    model: Model,
    times: Array,
    algorithm: str,
    parameters: dict[str, Any],
    *,
    nodes: int = NODES,
    split: bool = False,
    trained: "Trained | None" = None,
) -> LearningCurve:
    """Return all curves at `times` (T,) for a filter named in `filters.FILTERS`, or for one of trained features.

    split: the pieces as well.
    """
    flt = FILTERS[algorithm](**parameters)
    modes, _, inv_p, noise_var = model
    xp = namespace(times, modes.eigenvalues)
    power = modes.power.sum()
    around = (
        nodes_around(model, flt, flt.elapsed(times.max()), nodes, at_most=True) if trained is None else trained.around
    )
    z, kappa, untrained, residual, stable = around.z, around.kappa, around.weights, around.residual, around.stable
    q = row_factors(around.df1 * inv_p, around.data, modes.mixture)  # (n, J)
    known = values_at_pairs(kappa, q, model) if trained is None or trained.pairs is None else trained.pairs
    response = flt.response(z[None], times[:, None]) if trained is None else trained.response
    r = response * untrained[None]  # (T, n)
    data = around.exact_data(model)
    # without a target the risk of 1 - r is that of r, where what is learned of noise early would cancel
    moving = untrained[None] - r if not by_xla(power) and power == 0 else r
    # without the barrier XLA computes the filter anew for every use of its real and imaginary parts
    rows = barrier(xp.concatenate([moving, untrained[None], r * data[None]]))
    share = xp.ones(1) if modes.mixture is None else modes.mixture.weights * modes.mixture.noise  # (J,), of the noise
    pairs = [(x.risk, x.risk * x.rows.train_signal) for x in known]

    def integrals(rows: Array, q: Array, pairs: list[tuple[Array, Array]]) -> tuple[Array, Array, Array]:
        """Risk, the risk of no training, and training loss."""
        (pair, train_pair), (mirror, train_mirror) = pairs
        r, r_data = xp.split(rows, [len(times) + 1])
        noise = noise_var * ((2.0 * (r_data @ q).real) ** 2 @ share)
        risk = integrate(r, pair, mirror)  # eq. 7
        train_loss = integrate(r_data, train_pair, train_mirror) + noise  # eq. 8
        return risk[:-1], risk[-1], train_loss

    risk, at_start, train_loss = integrals(rows, q, pairs)
    # the trapezoidal rule squares its error when the step halves: compare with every other node
    halved = jax.tree.map(lambda x: x[::2, ::2], pairs)
    coarse_risk, _, coarse_loss = integrals(2.0 * rows[:, ::2], q[::2], halved)
    # relative to the risk, or to what rounding leaves of the risk at t = 0 where a risk is smaller than that
    start = xp.maximum(power + noise_var, xp.finfo(z.real.dtype).tiny)
    risk_gap = (coarse_risk - risk) / xp.maximum(risk, 1e-12 * start)
    train_gap = (coarse_loss - train_loss) / start
    # nothing is learned at t = 0: a contour that cuts through the spectrum would miss a part
    missed = xp.abs(at_start - power) / start
    residual = xp.max(xp.stack([residual, xp.max(risk_gap**2), xp.max(train_gap**2), missed]))
    growth = None
    if trained is not None:
        residual, growth = xp.maximum(residual, trained.residual), trained.growth
    residual = stop_gradient(xp.where(stable, residual, xp.inf))
    # an exponentially small loss is lost in rounding, which may be negative
    risk, train_loss = xp.maximum(risk, 0.0), xp.maximum(train_loss, 0.0)
    parts = None
    if split:
        here, across = (pieces(x.sums, model, x.rows) for x in known)
        parts = jax.tree.map(lambda x, y: xp.maximum(integrate(r, x, y), 0.0), here, across)._replace(risk=risk)
    return LearningCurve(risk, train_loss, parts, residual, residual < TOLERANCE, around.edge, kernel_growth=growth)


class Around(NamedTuple):
    """Nodes (n,) around the limiting spectrum and the origin, and the one-point functions there.

    z: curvature. weights: of (1/2 pi i) dz/z, which is r_t = 1. kappa, df1; data: R1. residual: of kappa. stable:
    whether training is. edge: of the spectrum.
    """

    z: Array
    weights: Array
    kappa: Array
    df1: Array
    data: Array
    residual: Array
    stable: Array
    edge: Array

    def exact_data(self, model: Model) -> Array:
        """Return R1, which loses its digits as 1 - df1/P where P < N and s -> 0; there it is s/(kappa R3)."""
        other = -self.z / (self.kappa * (1.0 - self.df1 * model.inv_n))
        return namespace(other).where(model.inv_p > model.inv_n, other, self.data)


class Trained(NamedTuple):
    """Nodes and filter (T, n) there, and its error; where features are trained also the growth (T,) of the kernel.

    pairs: of the nodes, for the model at hand, if they are there.
    """

    around: Around
    growth: Array | None
    response: Array
    residual: Array
    pairs: tuple[PairValues, PairValues] | None = None


def nodes_around(model: Model, flt: Filter, horizon: Array, nodes: int, *, at_most: bool = False) -> Around:
    """Return the nodes of a contour for times up to `horizon`, in units of `Filter.elapsed`.

    Known models that differ in 1/N alone, (W,), have theirs side by side, (n, W), each up to its own horizon (W,).
    at_most: fewer nodes, where nothing is compiled for their number and they are as close as KNOWN_STEP.
    """
    xp = namespace(horizon, model.modes.eigenvalues)
    edge = spectral_edge(model)
    w_max = flt.stability(edge)
    stable = (w_max > 0) & (w_max < LARGEST_MAPPED)
    # where training diverges the contour has no place to close; any finite one will do, the flag says no
    w_max = xp.where(stable, w_max, 1.0)
    if at_most and not by_xla(w_max, horizon) and model.modes.power.sum(-1).min() >= NOTHING * model.noise_var:
        nodes = min(nodes, 2 * math.ceil(0.5 * float(xp.max(length(horizon, w_max))) / KNOWN_STEP))
    path = hyperbola(horizon, w_max, nodes)
    # the integral does not depend on the path, so no derivative goes through it
    z = stop_gradient(flt.curvature(stop_gradient(path.nodes)))
    weights = stop_gradient(path.weights * flt.log_slope(path.nodes))
    kappa, data, residual = kappa_path(-z, model)
    df1, _ = degrees_of_freedom(kappa, model.modes)
    return Around(z, weights, kappa, df1, data, residual, stable, edge)


def integrate(rows: Array, pair: Array, mirror: Array) -> Array:
    """2 Re sum_ij (l_i pair_ij l_j + l_i mirror_ij conj(l_j)) for every row l: (..., T, n) -> (..., T)."""
    return of_rows(real_rows(rows), quadratic_form(pair, mirror))


def real_rows(rows: Array) -> Array:
    """Return real and imaginary parts of rows (..., n), one after the other: (..., 2n)."""
    return namespace(rows).concatenate([rows.real, rows.imag], axis=-1)


def of_rows(rows: Array, form: Array) -> Array:
    """Return twice a quadratic form of every row, (..., T, 2n) -> (..., T)."""
    return 2.0 * namespace(rows).einsum("...i,...i->...", rows @ form, rows)


def quadratic_form(pair: Array, mirror: Array) -> Array:
    """Return half of the real quadratic form of `integrate` in (Re l, Im l), (..., 2n, 2n).

    The four quadrants of two contours that are their own mirror images, pair symmetric and mirror Hermitian.
    """
    xp = namespace(pair)
    top = xp.concatenate([mirror.real + pair.real, mirror.imag - pair.imag], axis=-1)
    bottom = xp.concatenate([-mirror.imag - pair.imag, mirror.real - pair.real], axis=-1)
    return xp.concatenate([top, bottom], axis=-2)
