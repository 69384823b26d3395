"""Early stopping and ridge: the time, or the ridge, at which the predicted risk is least."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import checks
from rfm.optimizers import Optimizer, Ridge
from rfm.precision import complex128, is_traced
from rfm.problem import Problem
from theory._predict import check_arguments, evaluate, predict
from theory.contour import NODES

ROUNDING = 1e-8  # a gain below this is the error of the theory
POINTS = 96  # times of one look; three looks narrow 10 decades down to 1e-4 of the time, 1e-8 of the risk
LOOKS = 3
RIDGES = (1e-12, 1e4)  # searched, in units of the largest eigenvalue: below it is ridgeless, above nothing is learned


class Stopping(NamedTuple):
    """The best time and the risk there; gains says whether that beats both t = 0 and training for the longest time."""

    time: float
    risk: float
    gains: bool


class BestRidge(NamedTuple):
    """The best ridge and the risk there; gains says whether that beats both no ridge and the largest one."""

    ridge: float
    risk: float
    gains: bool


def best_stopping(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    longest: float = 1e8,
    parametrization: str = "ntk",
) -> Stopping:
    """argmin over 0 <= t <= longest of the risk of `predict`: a grid in log t, then finer ones about its best point.

    Raises ValueError for Ridge, which has no time, for longest < 1, and as `predict` does.
    """
    if isinstance(optimizer, Ridge):
        checks.fail("optimizer", "an algorithm that runs in time", optimizer)
    checks.number("longest", longest, 1.0, "a finite number >= 1", inclusive=True)
    sizes = dict(num_features=num_features, num_samples=num_samples, parametrization=parametrization)

    def risk(times):
        return predict(problem, **sizes, optimizer=optimizer, times=times).risk

    return Stopping(*_least(risk, 1.0 if optimizer.discrete else 1e-3, float(longest), optimizer.discrete))


def best_ridge(problem: Problem, *, num_features: float, num_samples: float, parametrization: str = "ntk") -> BestRidge:
    """argmin over ridge >= 0 of the risk of `predict` with `rfm.Ridge(ridge)`: by grids in log ridge, as above.

    Raises ValueError for traced arguments, and as `predict` does.
    """
    if is_traced(problem, num_features, num_samples):
        checks.fail("num_features", "a concrete number, as all other arguments (the search is no JAX function)", None)
    check_arguments(problem, num_features, num_samples, Ridge(0.0), None, parametrization)
    standard = parametrization == "standard"
    unit = float(problem.eigenvalues[0]) * (float(num_features) if standard else 1.0)
    with complex128():
        sizes = dataclasses.replace(problem, population=None), num_features, num_samples
        sizes = jax.tree.map(lambda x: jnp.asarray(x, float), sizes)

        def risk(ridges):
            return np.asarray(_at_ridges(*sizes, jnp.asarray(ridges), standard))

        return BestRidge(*_least(risk, RIDGES[0] * unit, RIDGES[1] * unit))


@partial(jax.jit, static_argnums=4)
def _at_ridges(problem: Problem, num_features: Array, num_samples: Array, ridges: Array, standard: bool) -> Array:
    """Risk at every ridge, (POINTS,)."""

    def one(ridge):
        curve = evaluate(problem, num_features, num_samples, Ridge(ridge), None, False, standard, NODES)
        # at N = P to rounding, a ridge near zero is lost in the difference of the two
        return jnp.where(curve.converged & (curve.risk[0] >= 0), curve.risk[0], jnp.inf)

    return lax.map(one, ridges)


def _least(risk: Callable, start: float, stop: float, whole: bool = False) -> tuple[float, float, bool]:
    """(x, risk, gains) where risk(x) is least over zero and start <= x <= stop; gains: below either end of these."""
    ends, best = None, (np.inf, 0.0)
    for _ in range(LOOKS):
        x = _grid(start, stop, whole)
        if ends is None:
            x[0] = 0.0
        found = risk(x)
        i = int(np.argmin(found))
        best = min(best, (float(found[i]), float(x[i])))
        ends = (found[0], found[-1]) if ends is None else ends
        start, stop = max(x[max(i - 1, 0)], start), x[min(i + 1, POINTS - 1)]
    return best[1], best[0], bool(best[0] < (1.0 - ROUNDING) * min(ends))


def _grid(start: float, stop: float, whole: bool) -> np.ndarray:
    """POINTS increasing values, always as many so that one compilation serves; whole numbers may pass `stop`."""
    times = np.geomspace(start, stop, POINTS)
    if whole:
        first = np.arange(POINTS)
        times = first + np.maximum.accumulate(np.round(times) - first)
    return times
