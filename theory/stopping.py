"""Early stopping and ridge: the time, or the ridge, at which the predicted risk is least."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.optimizers import DANA, SGD, Optimizer, Ridge
from rfm.precision import is_traced
from rfm.problem import Problem
from rfm.sgd import changes
from rfm.steps import Schedule
from theory._predict import largest_curvature, predict
from theory.arrays import evaluated
from theory.cases import Case, check_case, is_finite
from theory.evaluation import model_of
from theory.minima import least
from theory.static import static_risk

LEAST_GAIN = 1e-6  # of the risk: less is no gain
POINTS = 96  # of a look: three narrow 16 decades down to 1e-4 of the time or the ridge, 1e-8 of the risk
# in units of the time of the fastest direction, 1/largest curvature: training shorter than that gains less than 1e-4
SHORTEST, LONGEST = 1e-4, 1e8
FAINTEST = 1e-8  # of the least kappa: a ridge below it changes the risk by less than the error of the theory
STRONGEST = 100.0  # times the ridge beyond which less ridge is better, whatever the noise


class Stopping(NamedTuple):
    """The best time to stop.

    Attributes:
        time: The best time, in the unit of `Curve.times`; 0 where no training is best.
        risk: The risk there.
        gains: Whether that beats both t = 0 and training for the longest time, by 1e-6 and more.
        at_edge: Whether it is the longest or the shortest time looked at: one beyond may be better.

    Example:
        >>> Stopping(time=5.8, risk=0.66, gains=True, at_edge=False).time
        5.8
    """

    time: float
    risk: float
    gains: bool
    at_edge: bool


class BestRidge(NamedTuple):
    """The best ridge.

    Attributes:
        ridge: The best ridge, in the unit of a curvature; infinite where there is nothing to learn.
        risk: The risk there.
        gains: Whether that beats both no ridge and no training, by 1e-6 and more.
        at_edge: Whether it is the largest ridge considered.

    Example:
        >>> BestRidge(ridge=0.2, risk=0.66, gains=True, at_edge=False).ridge
        0.2
    """

    ridge: float
    risk: float
    gains: bool
    at_edge: bool


def best_stopping(
    problem: Problem,
    *,
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    longest: float | None = None,
    parametrization: str = "ntk",
) -> Stopping:
    """Find the time at which the risk of `predict` is least: a grid in log t, then finer ones about its best points.

        t* = argmin over 0 <= t <= longest of risk(t)

    The grid begins at 1e-4/z_max, z_max the `largest_curvature`: training shorter than that gains less than 1e-4.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N.
        num_samples: Data P.
        optimizer: The training algorithm, not Ridge.
        longest: The longest training considered, at least one step, or 1/z_max in gradient flow. None: 1e8/z_max, or as
            many steps as go as far; a schedule of the learning rate needs a number.
        parametrization: "ntk" or "standard".

    Returns:
        A `Stopping`, never worse than no training nor than any time looked at.

    Raises:
        ValueError: For Ridge, which has no time, for a longest that is too short, for traced arguments, and as
            `predict` does.

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
    _check_concrete(problem=problem, num_features=num_features, num_samples=num_samples)
    _check_concrete(optimizer=optimizer, longest=longest)
    check_case(Case(problem, num_features, num_samples, optimizer, [0.0], parametrization))
    edge = largest_curvature(
        problem, num_features=num_features, num_samples=num_samples, parametrization=parametrization
    )
    unit = 1.0 / float(edge)
    shortest, start = (1.0, 1.0) if optimizer.discrete else (unit, SHORTEST * unit)
    if longest is None:
        if isinstance(optimizer, DANA) or (isinstance(optimizer, SGD) and is_finite(num_samples)):
            checks.fail("longest", "a number of steps, which are followed one by one where samples come again", None)
        longest = max(shortest, LONGEST * unit / _rate(optimizer))
    allowed = f"a finite number >= {shortest:.6g}, " + ("one step" if optimizer.discrete else "1/largest curvature")
    checks.number("longest", longest, shortest, allowed, inclusive=True)
    stop = math.floor(longest) if optimizer.discrete else float(longest)

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

    def finer(low: float, high: float) -> np.ndarray:
        if optimizer.discrete and high - low < POINTS:
            return np.arange(low, high + 1.0)
        times = np.geomspace(max(low, start), high, POINTS)
        times[-1] = high
        return np.unique(np.round(times) if optimizer.discrete else times)

    best = least(risk, np.unique(np.append(0.0, finer(start, stop))), finer)
    gains = best.value < (1.0 - LEAST_GAIN) * risk(np.array([0.0, stop])).min()
    at_start = not optimizer.discrete and best.x <= start and bool(np.any(problem.target))
    return Stopping(best.x, best.value, bool(gains), best.x == stop or at_start)


def best_ridge(
    problem: Problem, *, num_features: ArrayLike, num_samples: ArrayLike, parametrization: str = "ntk"
) -> BestRidge:
    """Find the ridge at which the risk of `predict` with `rfm.Ridge(ridge)` is least: grids in log ridge, ever finer.

    They span all ridges from those that are lost beside the smallest curvatures to those beyond which less is better,
    however large the noise: at a large ridge s the risk is R - 2 A/s + B/s^2, with R = sum lambda w^2 that of no
    training, A = sum lambda^2 w^2 and B <= (z_max^2 R + z_max noise_var trace/P), z_max the `largest_curvature`.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N.
        num_samples: Data P.
        parametrization: "ntk" or "standard".

    Returns:
        A `BestRidge`, never worse than no training nor than any ridge looked at.

    Raises:
        ValueError: For traced arguments, and as `predict` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.2)
        >>> best = theory.best_ridge(problem, num_features=16, num_samples=32)
        >>> round(best.ridge, 3), round(best.risk, 4), best.gains
        (0.034, 0.4782, True)
    """
    _check_concrete(problem=problem, num_features=num_features, num_samples=num_samples)
    case = Case(problem, num_features, num_samples, Ridge(0.0), None, parametrization)
    check_case(case)
    edge = largest_curvature(
        problem, num_features=num_features, num_samples=num_samples, parametrization=parametrization
    )
    arrays = case.arrays()
    start, top, untrained = (float(x) for x in _ridge_range(arrays, np.asarray(edge)))
    if not math.isfinite(top):
        return BestRidge(math.inf, untrained, gains=False, at_edge=False)

    def risk(ridges: np.ndarray) -> np.ndarray:
        return _at_ridges(arrays, ridges)

    def finer(low: float, high: float) -> np.ndarray:
        ridges = np.geomspace(max(low, start), high, POINTS)
        ridges[-1] = high
        return np.unique(ridges)

    best = least(risk, np.append(0.0, finer(start, top)), finer)
    gains = best.value < (1.0 - LEAST_GAIN) * min(untrained, float(risk(np.zeros(1))[0]))
    return BestRidge(best.x, best.value, bool(gains), best.x == top)


def _rate(optimizer: Optimizer) -> float:
    """Return the time of gradient flow that one unit of time goes as far as."""
    lr: Any = getattr(optimizer, "lr", 1.0)
    if changes(lr) or changes(getattr(optimizer, "momentum", 0.0)) or isinstance(lr, Schedule):
        checks.fail("longest", "a number of steps where the learning rate has a schedule", None)
    return float(lr) / (1.0 - float(getattr(optimizer, "momentum", 0.0)))


def _check_concrete(**arguments: object) -> None:
    for name, value in arguments.items():
        if is_traced(value):
            checks.fail(name, "concrete: the search is no JAX function", value)


@evaluated()
def _ridge_range(case: Case, edge: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the least and the largest ridge to look at, and the risk of no training; see `best_ridge`."""
    model = model_of(case)
    modes, untrained = model.modes, model.modes.power.sum()
    spread = edge * untrained + model.noise_var * model.inv_p * (modes.multiplicity @ modes.eigenvalues)
    kappa = static_risk(model, np.zeros(())).kappa
    start = FAINTEST * np.where(kappa > 0, kappa, modes.eigenvalues.min())
    # no smaller than float64 can tell from zero
    return (
        np.maximum(start, np.finfo(float).tiny),
        STRONGEST * edge * spread / (modes.power @ modes.eigenvalues),
        untrained,
    )


@evaluated()
def _at_ridges(case: Case, ridges: np.ndarray) -> np.ndarray:
    """Risk at every ridge, (R,), with modes that resolve the smallest."""
    model = model_of(dataclasses.replace(case, optimizer=Ridge(ridges.min())))
    end = static_risk(model, ridges)
    # at N = P to rounding, a ridge near zero is lost in the difference of the two
    return np.where(end.converged & (end.pieces.risk >= 0), end.pieces.risk, np.inf)
