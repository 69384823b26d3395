"""Early stopping: the time at which the predicted risk is least."""

from typing import NamedTuple

import numpy as np

from rfm import checks
from rfm.optimizers import Optimizer, Ridge
from rfm.problem import Problem
from theory.predict import predict

ROUNDING = 1e-8  # a gain below this is the error of the theory
POINTS = 96  # times of one look; three looks narrow 10 decades down to 1e-4 of the time, 1e-8 of the risk


class Stopping(NamedTuple):
    """The best time and the risk there; gains says whether that beats both t = 0 and training for the longest time."""

    time: float
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
    start, stop = 1.0 if optimizer.discrete else 1e-3, float(longest)
    sizes = dict(num_features=num_features, num_samples=num_samples, parametrization=parametrization)
    ends, best = None, (np.inf, 0.0)
    for _ in range(3):
        times = _grid(start, stop, optimizer.discrete)
        if ends is None:
            times[0] = 0.0
        risk = predict(problem, **sizes, optimizer=optimizer, times=times).risk
        i = int(np.argmin(risk))
        best = min(best, (float(risk[i]), float(times[i])))
        ends = (risk[0], risk[-1]) if ends is None else ends
        start, stop = max(times[max(i - 1, 0)], start), times[min(i + 1, POINTS - 1)]
    return Stopping(best[1], best[0], bool(best[0] < (1.0 - ROUNDING) * min(ends)))


def _grid(start: float, stop: float, whole: bool) -> np.ndarray:
    """POINTS increasing times, always as many so that one compilation serves; whole numbers may pass `stop`."""
    times = np.geomspace(start, stop, POINTS)
    if whole:
        first = np.arange(POINTS)
        times = first + np.maximum.accumulate(np.round(times) - first)
    return times
