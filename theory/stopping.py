"""Early stopping and ridge: the time, or the ridge, at which the predicted risk is least."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.optimizers import Optimizer, Ridge
from rfm.precision import is_traced
from rfm.problem import Problem
from theory._predict import predict
from theory.arrays import evaluated
from theory.cases import Case, check_case
from theory.evaluation import model_of
from theory.static import static_risk

LEAST_GAIN = 1e-8  # a gain below this is the error of the theory
POINTS_PER_LOOK = 96  # three looks narrow 10 decades of time down to 1e-4 of the time, 1e-8 of the risk
LOOKS = 3
RIDGE_RANGE = (1e-12, 1e4)  # in units of the largest eigenvalue: below it is ridgeless, above nothing is learned


class Stopping(NamedTuple):
    """The best time to stop.

    Attributes:
        time: The best time, in the unit of `Curve.times`.
        risk: The risk there.
        gains: Whether that beats both t = 0 and training for the longest time.

    Example:
        >>> Stopping(time=5.8, risk=0.66, gains=True).time
        5.8
    """

    time: float
    risk: float
    gains: bool


class BestRidge(NamedTuple):
    """The best ridge.

    Attributes:
        ridge: The best ridge, in the unit of a curvature.
        risk: The risk there.
        gains: Whether that beats both no ridge and the largest one.

    Example:
        >>> BestRidge(ridge=0.2, risk=0.66, gains=True).ridge
        0.2
    """

    ridge: float
    risk: float
    gains: bool


class _Least(NamedTuple):
    """Where a risk is least, the risk there, and whether it is below that at either end of the range."""

    x: float
    risk: float
    gains: bool


def best_stopping(
    problem: Problem,
    *,
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    longest: float = 1e8,
    parametrization: str = "ntk",
) -> Stopping:
    """Find the time at which the risk of `predict` is least: a grid in log t, then finer ones about its best point.

        t* = argmin over 0 <= t <= longest of risk(t)

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N.
        num_samples: Data P.
        optimizer: The training algorithm, not Ridge.
        longest: The longest training considered, >= 1.
        parametrization: "ntk" or "standard".

    Returns:
        A `Stopping`.

    Raises:
        ValueError: For Ridge, which has no time, for longest < 1, and as `predict` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.2)
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow())
        >>> best = theory.best_stopping(problem, **args, longest=1e4)
        >>> round(best.time, 2), round(best.risk, 4), best.gains
        (16.52, 0.4813, True)
    """
    if isinstance(optimizer, Ridge):
        checks.fail("optimizer", "an algorithm that runs in time", optimizer)
    checks.number("longest", longest, 1.0, "a finite number >= 1", inclusive=True)

    def risk(times: np.ndarray) -> np.ndarray:
        curve = predict(
            problem,
            num_features=num_features,
            num_samples=num_samples,
            optimizer=optimizer,
            times=times,
            parametrization=parametrization,
        )
        return curve.risk

    return Stopping(*_least(risk, 1.0 if optimizer.discrete else 1e-3, float(longest), whole=optimizer.discrete))


def best_ridge(
    problem: Problem, *, num_features: ArrayLike, num_samples: ArrayLike, parametrization: str = "ntk"
) -> BestRidge:
    """Find the ridge at which the risk of `predict` with `rfm.Ridge(ridge)` is least: grids in log ridge, ever finer.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N.
        num_samples: Data P.
        parametrization: "ntk" or "standard".

    Returns:
        A `BestRidge`.

    Raises:
        ValueError: For traced arguments, and as `predict` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.2)
        >>> best = theory.best_ridge(problem, num_features=16, num_samples=32)
        >>> round(best.ridge, 3), round(best.risk, 4), best.gains
        (0.034, 0.4782, True)
    """
    if is_traced(problem, num_features, num_samples):
        checks.fail("num_features", "a concrete number, as all other arguments (the search is no JAX function)", None)
    case = Case(problem, num_features, num_samples, Ridge(0.0), None, parametrization)
    check_case(case)
    unit = float(problem.eigenvalues[0]) * float(case.clock)
    arrays = case.arrays()
    return BestRidge(
        *_least(lambda ridges: _at_ridges(arrays, ridges), RIDGE_RANGE[0] * unit, RIDGE_RANGE[1] * unit, whole=False)
    )


@evaluated()
def _at_ridges(case: Case, ridges: np.ndarray) -> np.ndarray:
    """Risk at every ridge, (POINTS_PER_LOOK,), with modes that resolve the smallest."""
    model = model_of(dataclasses.replace(case, optimizer=Ridge(ridges.min())))
    end = static_risk(model, ridges)
    # at N = P to rounding, a ridge near zero is lost in the difference of the two
    return np.where(end.converged & (end.pieces.risk >= 0), end.pieces.risk, np.inf)


def _least(risk: Callable[[np.ndarray], np.ndarray], start: float, stop: float, *, whole: bool) -> _Least:
    """Find where risk(x) is least over zero and start <= x <= stop."""
    x = _grid(start, stop, whole=whole)
    x[0] = 0.0
    risks = risk(x)
    ends = float(risks[0]), float(risks[-1])
    least, best = np.inf, 0.0
    for look in range(LOOKS):
        if look:
            x = _grid(start, stop, whole=whole)
            risks = risk(x)
        i = int(np.argmin(risks))  # eq. 20
        least, best = min((least, best), (float(risks[i]), float(x[i])))
        start, stop = max(x[max(i - 1, 0)], start), x[min(i + 1, POINTS_PER_LOOK - 1)]
    return _Least(best, least, bool(least < (1.0 - LEAST_GAIN) * min(ends)))


def _grid(start: float, stop: float, *, whole: bool) -> np.ndarray:
    """POINTS_PER_LOOK increasing values, always so many; whole numbers may pass `stop`."""
    times = np.geomspace(start, stop, POINTS_PER_LOOK)
    if whole:
        first = np.arange(POINTS_PER_LOOK)
        times = first + np.maximum.accumulate(np.round(times) - first)
    return times
