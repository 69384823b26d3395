"""Cases whose features are trained: from the arguments of a call to the filter of its curve, or to the curve of SGD."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rfm.optimizers import GradientDescent, GradientFlow, Nesterov
from rfm.precision import complex128
from rfm.steps import Schedule
from theory.arrays import Array, by_xla, evaluated, namespace, stop_gradient
from theory.by_steps import LONG, steps_of
from theory.cases import Case
from theory.contour import NODES
from theory.dynamics import TOLERANCE, Around, LearningCurve, Trained, nodes_around
from theory.epochs import two_points_of
from theory.filters import FILTERS, Filter, gradient_flow
from theory.fixed_point import Model, spectral_edge
from theory.growth import drive_of, horizon_of, nodes_for, rich_flow
from theory.growth_batches import Again, Batches, Cloud, rich_batches
from theory.growth_steps import Rates, rich_steps
from theory.mode_sums import bias_of
from theory.one_pass import effective_edge
from theory.second_moments import LEAST_CHANCE

WITHIN = 0.95  # of the largest stable learning rate, which contours stay within
CROWDED = 0.5  # lr m tr(H)/B beyond which the first order in lr/B is no longer enough
BEYOND_THE_EDGE = "theory ends where the grown kernel passes the edge of stability, lr m z_max = 2: lower the lr"


def trained_features(case: Case, model: Model) -> Trained:
    """Return nodes, filter and growth of a case of arrays with a richness, for an algorithm of full batches."""
    if isinstance(case.optimizer, GradientFlow):
        horizon = horizon_of(model, case.times.max(), case.richness)
        around = nodes_around(model, gradient_flow(), horizon, nodes_for(model, horizon))
        growth = rich_flow(drive_of(around, model), case.times, case.richness, horizon)
        return Trained(around, *growth)
    rates = _rates(case)
    flt, elapsed = _region(case, model, rates)
    around = nodes_around(model, flt, elapsed, NODES)
    growth = _follow(rich_steps, drive_of(around, model), case.times, rates, case.richness)
    optimizer: Any = case.optimizer
    xp = namespace(growth.growth, case.times)
    last = xp.clip(case.times.astype(int) - 1, 0, case.walked - 1)
    # beyond the edge draws part from their average
    beyond = xp.any(rates.lr[last] * growth.growth >= optimizer.largest_stable_lr(around.edge))
    residual = stop_gradient(xp.where(beyond, xp.inf, growth.residual))
    return Trained(around, *growth._replace(residual=residual))


def trained_in_batches(case: Case, model: Model) -> LearningCurve:
    """Return the curve of SGD that trains features, at the times of a case of arrays."""
    sgd: Any = case.optimizer
    if not case.reused:
        model = model._replace(inv_p=0.0 * model.inv_n)
    rates = _rates(case)
    xp = namespace(rates.lr, model.inv_n, case.richness)
    chances = steps_of(case).chance if case.reused else xp.broadcast_to(1.0 / sgd.batch_size, (case.walked,))
    descent = dataclasses.replace(case, optimizer=GradientDescent(rates.lr.max()))
    flt, elapsed = _region(descent, model, rates)
    around = nodes_around(model, flt, elapsed, NODES)
    bias = -2.0 * around.weights * bias_of(around.kappa, model.modes)
    density = 2.0 * around.weights * around.z * around.df1
    again = _again(around, model) if case.reused else None
    cloud = Cloud(around.z, drive_of(around, model).weights, density, bias, model.noise_var, again)
    losses = _follow(rich_batches, cloud, case.times, Batches(rates.lr, chances), case.richness)
    start = model.modes.power.sum() + model.noise_var
    # nothing is learned at t = 0: a contour that cuts through the spectrum would miss a part
    at_start = bias.real.sum() if again is None else 2.0 * (again.pair[0] + again.mirror[0]).real.sum()
    missed = xp.abs(at_start - model.modes.power.sum()) / start
    residual = xp.where(around.stable, xp.maximum(around.residual, missed), xp.inf)
    residual = stop_gradient(xp.where(xp.isfinite(losses.risk).all() & (losses.crowding < CROWDED), residual, xp.inf))
    edge = effective_edge(model, xp.reshape(1.0 / xp.maximum(chances.max(), LEAST_CHANCE), 1))[0]  # of the worst step
    risk, train_loss = xp.maximum(losses.risk, 0.0), xp.maximum(losses.train_loss, 0.0)
    return LearningCurve(
        risk, train_loss, None, residual, residual < TOLERANCE, edge,
        kernel_growth=losses.growth, crowding=losses.crowding,
    )  # fmt: skip


def _again(around: Around, model: Model) -> Again:
    """Return the weights of the losses of samples that are used again."""
    xp, w = namespace(around.z), around.weights
    data = around.exact_data(model) * w
    pair, mirror = (
        xp.stack([w[:, None] * u[None] * x, data[:, None] * v[None] * (x + model.noise_var)])
        for x, u, v in zip(two_points_of(around, model), (w, w.conj()), (data, data.conj()), strict=True)
    )
    return Again(pair, mirror, -around.kappa * (1.0 - around.df1 * model.inv_n))


def _rates(case: Case) -> Rates:
    """Return what every step is taken with."""
    optimizer: Any = case.optimizer
    lr = optimizer.lr
    xp = namespace(*jax.tree.leaves(optimizer))
    counts = np.arange(case.walked)
    if isinstance(lr, Schedule):
        lr = lr.values[xp.clip(xp.searchsorted(lr.ends, counts, side="right"), 0, len(lr.values) - 1)]
    momentum, decay = (getattr(optimizer, name, 0.0) for name in ("momentum", "weight_decay"))
    return Rates(xp.broadcast_to(lr, counts.shape), momentum, decay, float(isinstance(optimizer, Nesterov)))


class Region(NamedTuple):
    """Region of stable curvatures, and the time that a contour in it resolves."""

    filter: Filter
    elapsed: Array


def _region(case: Case, model: Model, rates: Rates) -> Region:
    """Return the region that remains where the kernel has grown, or all of it where training oscillates."""
    frozen, rates = stop_gradient((model, rates))
    xp = namespace(rates.lr, case.richness)
    last = xp.reshape(rates.lr.sum() / (1.0 - rates.momentum), 1)
    horizon = horizon_of(frozen, last[0], case.richness)
    around = nodes_around(frozen, gradient_flow(), horizon, NODES)
    flow = rich_flow(drive_of(around, frozen), last, stop_gradient(case.richness), horizon)
    optimizer: Any = case.optimizer
    fastest, allowed = rates.lr.max(), WITHIN * optimizer.largest_stable_lr(spectral_edge(frozen))
    lr = stop_gradient(xp.where(fastest < allowed, xp.minimum(fastest * flow.growth[0], allowed), fastest))
    numbers = {"lr": lr} | {name: x for name, x in vars(optimizer).items() if name != "lr"}
    flt = FILTERS[type(optimizer).__name__](**stop_gradient(numbers))
    return Region(flt, flt.elapsed(xp.asarray(float(case.walked))))


def _follow(recursion: Callable[..., Any], nodes: Any, times: Array, rates: Any, richness: Array) -> Any:
    """Take all steps: one by one by numpy where they are few and known, else compiled, for few different numbers."""
    count = len(rates.lr)
    if by_xla(nodes, rates, richness) or count <= LONG:
        return recursion(nodes, times, rates, richness)
    rest = 2 ** math.ceil(math.log2(count)) - count
    longer = jax.tree.map(lambda x: np.pad(x, (0, rest), "edge") if np.ndim(x) else x, rates)
    longer = longer._replace(lr=np.pad(rates.lr, (0, rest)))  # steps that change nothing
    with complex128():
        arrays = jax.tree.map(jnp.asarray, (nodes, times, longer, richness))
        return jax.tree.map(np.asarray, COMPILED[recursion](*arrays))


COMPILED: dict[Callable[..., Any], Callable[..., Any]] = {
    rich_steps: evaluated()(rich_steps),
    rich_batches: evaluated()(rich_batches),
}
