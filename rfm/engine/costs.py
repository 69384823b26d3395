"""Memory and time of a run, estimated from its sizes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfm.curve import MONTE_CARLO
from rfm.devices import SHARE, available_memory
from rfm.engine.features import SGD_BLOCK, chunk_length, neural
from rfm.engine.plans import Plan
from rfm.problem import Problem

# seconds of a core each: a normal number, a number of a product of matrices, of a step along one, of an eigensystem
NORMAL, PRODUCT, MATRIX_STEP, EIGEN = 1.2e-8, 6e-11, 6e-10, 3e-10
LOOP = 2e-6  # seconds of a step that is empty
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
UNITS = {"years": 365 * DAY, "days": DAY, "hours": HOUR, "minutes": MINUTE}


class Cost(NamedTuple):
    """Rough cost of one run (one seed, all models of an ensemble).

    Attributes:
        bytes: memory that it keeps.
        seconds: time on one core, without compilation.
    """

    bytes: int
    seconds: float


def estimate(plan: Plan, problem: Problem, times: ArrayLike | None) -> Cost:
    """Estimate the cost of one run of a plan at times (T,), None for Ridge."""
    times = np.array([np.inf]) if times is None else np.asarray(times, float)
    return Cost(8 * run_floats(problem, plan, len(times)), _seconds(plan, problem, times))


def too_much(costs: Sequence[tuple[Cost, int]], longest: float) -> str:
    """Say what runs would take beyond the memory that is free, or the seconds of a core that are allowed.

    costs: of one run, and how many of it there are. Empty where they fit.
    """
    most, free = max(run.bytes for run, _ in costs), int(SHARE * available_memory())
    if most > free:
        return f"one run takes {most / 1e9:.2g} GB of memory, {free / 1e9:.2g} GB are allowed"
    return too_long("the runs", sum(run.seconds * count for run, count in costs), longest)


def too_long(what: str, seconds: float, longest: float) -> str:
    """Say how long something would take if that is longer than is allowed, else nothing."""
    return "" if seconds <= longest else f"{what} would take about {_words(seconds)}, allowed are {_words(longest)}"


def _words(seconds: float) -> str:
    for unit, length in UNITS.items():
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def run_floats(problem: Problem, plan: Plan, num_times: int) -> int:
    """Count the numbers of 8 bytes that one run keeps in memory, roughly."""
    setting, num_times, problem = plan.setting, num_times * problem.num_outputs, problem.output(0)
    n, p = (int(x) if math.isfinite(x) else 0 for x in (setting.num_features, setting.num_samples))
    smaller = min(x for x in (n, p) if x)
    floats = n * p + 3 * smaller**2 + (n + p) * chunk_length(problem) + num_times * (max(n, p) + 2 * smaller)
    if setting.batch_size:
        floats += max(SGD_BLOCK, setting.batch_size * (n + 1))
    population = problem.population
    if population is not None:
        floats += num_times * len(population.rows)
        if neural(setting):
            floats += (len(population.rows) + np.asarray(population.inputs).shape[1]) * n
    return floats * plan.models


def _seconds(plan: Plan, problem: Problem, times: np.ndarray) -> float:
    setting, modes = plan.setting, float(problem.output(0).num_modes)
    n, p = (x if math.isfinite(x) else 0.0 for x in (setting.num_features, setting.num_samples))
    small, large = sorted(x if x else y for x, y in ((n, p), (p, n)))
    stepped = plan.kind == MONTE_CARLO or setting.batch_size > 0
    steps = float(times[-1]) if stepped and np.isfinite(times[-1]) else 0.0
    # features are drawn twice, for training and for the risk
    seconds = NORMAL * (2 * n + p) * modes + PRODUCT * (small * large + len(times) * n) * modes + EIGEN * small**3
    along = setting.batch_size * n * (2.0 + NORMAL / MATRIX_STEP) if setting.batch_size else (2.0 * n * p or small**2)
    return plan.models * (seconds + steps * (MATRIX_STEP * along + LOOP))
