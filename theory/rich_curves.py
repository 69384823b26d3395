"""Cases whose features are trained: from the arguments of a call to the filter of its curve."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rfm.optimizers import GradientDescent, GradientFlow, HeavyBall, Nesterov
from rfm.precision import complex128
from rfm.steps import Schedule
from theory.arrays import Array, by_xla, evaluated, namespace, stop_gradient
from theory.cases import Case
from theory.contour import NODES
from theory.dynamics import Trained, nodes_around
from theory.filters import FILTERS, Filter, gradient_flow
from theory.fixed_point import Model, spectral_edge
from theory.growth import Growth, drive_of, horizon_of, nodes_for, rich_flow
from theory.growth_steps import Rates, rich_steps

LONG = 256  # steps from which on a compilation is worth its time
WITHIN = 0.8  # of the largest stable learning rate, which contours stay within


def trained_features(case: Case, model: Model) -> Trained:
    """Return nodes, filter and growth of a case of arrays with a richness, for an algorithm of full batches."""
    if isinstance(case.optimizer, GradientFlow):
        horizon = horizon_of(model, case.times.max(), case.richness)
        around = nodes_around(model, gradient_flow(), horizon, nodes_for(model, horizon))
        growth = rich_flow(drive_of(around, model), case.times, case.richness, horizon)
    else:
        assert isinstance(case.optimizer, GradientDescent | HeavyBall | Nesterov)
        rates = _rates(case)
        flt, elapsed = _region(case, model, rates)
        around = nodes_around(model, flt, elapsed, NODES)
        growth = _follow(drive_of(around, model), case.times, rates, case.richness)
    return Trained(around, *growth)


def _rates(case: Case) -> Rates:
    """Return what every step is taken with."""
    optimizer: Any = case.optimizer
    lr = optimizer.lr
    xp = namespace(*jax.tree.leaves(optimizer))
    counts = np.arange(case.walked)
    if isinstance(lr, Schedule):
        lr = lr.values[xp.clip(xp.searchsorted(lr.ends, counts, side="right"), 0, len(lr.values) - 1)]
    momentum, decay = (getattr(optimizer, name, 0.0) for name in ("momentum", "weight_decay"))
    return Rates(xp.broadcast_to(lr, counts.shape), momentum, decay, isinstance(optimizer, Nesterov))


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


def _follow(drive: Any, times: Array, rates: Rates, richness: Array) -> Growth:
    """Take all steps: one by one by numpy where they are few and known, else compiled, for few different numbers."""
    count = len(rates.lr)
    if by_xla(drive, rates, richness) or count <= LONG:
        return rich_steps(drive, times, rates, richness)
    rest = 2 ** math.ceil(math.log2(count)) - count
    longer = rates._replace(lr=np.concatenate([rates.lr, np.zeros(rest)]), ahead=None)
    with complex128():
        arrays = jax.tree.map(jnp.asarray, (drive, times, longer, richness))
        return jax.tree.map(np.asarray, _compiled(*arrays, ahead=rates.ahead))


@evaluated("ahead")
def _compiled(drive: Any, times: Array, rates: Rates, richness: Array, *, ahead: bool) -> Growth:
    return rich_steps(drive, times, rates._replace(ahead=ahead), richness)
