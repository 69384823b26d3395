"""The next order of the mean against time: `next_order` on the contour of the leading theory, or at a ridge."""

from typing import Any, NamedTuple

import jax

from theory.arrays import Array, complex_of, evaluated, namespace, stop_gradient
from theory.dynamics import integrate, nodes_around
from theory.filters import FILTERS
from theory.fixed_point import Model, kappa_real, one_point
from theory.mode_sums import degrees_of_freedom
from theory.next_order import one_replica, risk_correction, sums_at_pairs, sums_at_point, training_correction

STEP = 0.17  # of the contour: an error below 1e-9 of the correction
TINY = 1e-30  # the relative imaginary step of a derivative: its square is lost in rounding
RESOLVED = 1e-9  # of the smallest eigenvalue: a kappa that stands for zero, where all modes are learned


class NextOrder(NamedTuple):
    """Terms to be added to risk and training loss, (T,), and the estimated relative error of the worst."""

    risk: Array
    train_loss: Array
    residual: Array


@evaluated("algorithm", "nodes")
def next_order_curve(
    model: Model, times: Array, algorithm: str, parameters: dict[str, Any], *, nodes: int
) -> NextOrder:
    """Return the next order at `times` (T,) for a filter named in `filters.FILTERS`, by so many nodes of a contour."""
    flt = FILTERS[algorithm](**parameters)
    xp = namespace(times, model.modes.eigenvalues)
    around = nodes_around(model, flt, flt.elapsed(times.max()), nodes)
    kappa, weights, data = around.kappa, around.weights, around.exact_data(model)
    r = flt.response(around.z[None], times[:, None])  # (T, n)
    replica = one_replica(kappa, model)
    column = jax.tree.map(lambda x: x[None, :, None], replica)
    row = jax.tree.map(lambda x: xp.stack([x, x.conj()])[:, None], replica)  # (2, 1, n): the nodes, and conjugates
    both, one_sided = risk_correction(sums_at_pairs(kappa, model), column, row, model)
    pair = both[0] + one_sided[0] + one_sided[0].T
    mirror = both[1] + one_sided[1] + one_sided[1].conj().T
    rows = r * weights[None]
    risk = integrate(rows, pair, mirror)
    coarse = integrate(2.0 * rows[:, ::2], pair[::2, ::2], mirror[::2, ::2])
    size = xp.maximum(xp.max(xp.abs(risk)), xp.finfo(times.dtype).tiny)
    gap = xp.max(xp.abs(coarse - risk)) / size
    residual = xp.where(around.stable, xp.maximum(around.residual, gap**2), xp.inf)
    train_loss = -2.0 * ((r * rows) @ training_correction(replica, data, model)).real  # eq. 33
    return NextOrder(risk, train_loss, stop_gradient(residual))


@evaluated()
def next_order_at_ridge(model: Model, ridge: Array) -> NextOrder:
    """Return the next order at a ridge >= 0, (1,).

    It is infinite at the interpolation peak.

    The training loss is phi - s dphi/ds of phi = s y'(s + K)^-1 y/P; dphi/ds by an imaginary step of kappa.
    """
    modes, inv_n, inv_p, _ = model
    xp = namespace(ridge, modes.eigenvalues)
    kappa, residual = kappa_real(ridge, model)
    peak = (ridge == 0) & (inv_n == inv_p) & (inv_n > 0) & (kappa > 0)
    kappa = resolved(kappa, model)
    replica = one_replica(kappa, model)
    both, one_sided = risk_correction(sums_at_point(kappa, model), replica, replica, model)

    step = complex_of(kappa, TINY * kappa)
    at = one_point(step, model, complex_of(xp.ones(()), xp.zeros(())))
    s = complex_of(ridge + 0.0 * kappa, at.slope.real * TINY * kappa)
    df1, _ = degrees_of_freedom(step, modes)
    data = xp.where(inv_p > inv_n, s / (step * (1.0 - df1 * inv_n)), 1.0 - df1 * inv_p)
    phi = training_correction(one_replica(step, model), data, model)
    train_loss = phi.real - ridge * phi.imag / (at.slope.real * TINY * kappa)
    risk = xp.where(peak, xp.inf, both + 2.0 * one_sided)
    return NextOrder(risk[None], train_loss[None], residual)


def resolved(kappa: Array, model: Model) -> Array:
    """Return kappa, or what stands for zero where all modes are learned."""
    xp = namespace(kappa, model.modes.eigenvalues)
    return xp.maximum(kappa, RESOLVED * xp.min(model.modes.eigenvalues))
