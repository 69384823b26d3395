"""Longer arrays, so that one program serves runs of several sizes and numbers of times.

A fresh size compiles for seconds, and runs for milliseconds where it is small. A normal number of a draw depends on its
own place alone, so that rows of zeros after the true ones, and times after the last one, change nothing but rounding.
"""

import math

import numpy as np

from rfm.devices import on_cpu
from rfm.engine.costs import estimate
from rfm.engine.features import Counts, Setting
from rfm.engine.plans import Plan, Task
from rfm.optimizers import Batched, Optax
from rfm.protocols import Stepper

COMPILATION = 2.0  # seconds of runs that are worth less than a compilation
STEPS = (4, 2)  # ratios of the lengths tried, the largest first
LEAST = 32  # rows and columns of an array that costs next to nothing
STEP = 1e-5  # seconds of a step of a small batch, whatever its runs
BATCH = 16  # runs of a batch on CPU, which takes one after the other however many there are
DOUBLED = 2  # ratio of the lengths of batches that are shorter
SPARE = 0.5  # seconds of runs that may be thrown away in one, whether or not another call has that many


def pad(plan: Plan, task: Task, seeds: int) -> tuple[Plan, Task]:
    """Return plan and task with longer arrays, by as much as costs less than to compile for the sizes themselves."""
    if not _can_be_longer(task) or callable(plan.setting.features):  # whose numbers may depend on how many there are
        return plan, task
    setting, problem = plan.setting, task.problem
    allowed = seeds * estimate(plan, problem, task.times).seconds + COMPILATION
    for ratio in STEPS:
        longer = plan._replace(setting=_longer(setting, ratio))
        times = _more(np.asarray(task.times), ratio)
        if seeds * estimate(longer, problem, times).seconds <= allowed:
            return longer, task._replace(times=times, counts=Counts(setting.num_features, setting.num_samples))
    return plan, task


def batch_length(plan: Plan, task: Task, seeds: int) -> float:
    """Return a length that other calls have too, if its batches cost less than compiling for the number of seeds.

    Up to BATCH the next of 1, 2, 4, ..., else BATCH; infinite beyond one CPU, where runs go at once. The last batch is
    filled with runs that are thrown away; steps of several batches are taken one after the other.
    """
    if not on_cpu() or plan.layout.ways > 1:
        return math.inf
    each = estimate(plan, task.problem, task.times).seconds
    if seeds <= BATCH:
        length = _next(seeds, 1, DOUBLED)
        return length if (length - seeds) * each <= SPARE else seeds
    batches = -(-seeds // BATCH)
    steps = float(task.times[-1]) if isinstance(task.optimizer, Stepper) else 0.0
    thrown = (batches * BATCH - seeds) * each
    return BATCH if thrown + (batches - 1) * steps * STEP <= COMPILATION else seeds


def _can_be_longer(task: Task) -> bool:
    """Rows chosen out of many, and updates that look at several coordinates at a time, depend on how many there are."""
    problem = task.problem
    drawn = problem.population is None and problem.equal_rows
    return drawn and not isinstance(task.optimizer, Batched | Optax)


def _longer(setting: Setting, ratio: int) -> Setting:
    sizes = setting.num_features, setting.num_samples
    n, p = (x if math.isinf(x) else _next(int(x), LEAST, ratio) for x in sizes)
    return setting._replace(num_features=n, num_samples=p)


def _more(times: np.ndarray, ratio: int) -> np.ndarray:
    """The last time repeated."""
    return np.concatenate([times, np.repeat(times[-1:], _next(len(times), 1, ratio) - len(times))])


def _next(size: int, least: int, ratio: int) -> int:
    """The first of least, least * ratio, ... that is not below a size."""
    longer = least
    while longer < size:
        longer *= ratio
    return longer
