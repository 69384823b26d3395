"""Points of a grid grouped by shape: points of one shape share a program."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rfm import checks
from rfm.devices import free_memory, on_cpu
from rfm.engine.costs import DAY, Cost, estimate, too_long
from rfm.engine.features import Setting
from rfm.engine.padding import pad
from rfm.engine.plans import Plan, Task
from rfm.engine.requests import Request
from rfm.grid import SIZES, Axes, exponents, numbers_of, place_problem, resize, words
from rfm.optimizers import resolve
from rfm.problem import Problem

ON_CPU = 2**26  # bytes of a batch: what stays in the caches, and is soon on disk
LONGEST = 7 * DAY  # of one run
LEAST = 2  # runs of a batch on every device: the program of a single one rounds differently


class Point(NamedTuple):
    """A point of a grid: its index there, and its values by name."""

    place: tuple[int, ...]
    values: dict[str, float]

    def value(self, name: str, fixed: Any) -> float:
        """Return a number of this point, `fixed` where the grid has it not."""
        return self.values[name] if name in self.values else float(fixed)


class Group(NamedTuple):
    """Points of one shape.

    setting: their sizes; plan, task: how they are run, on arrays that may be longer and at times that may repeat the
    last one, learning rate tabulated; spectrum: exponents a, b of a power law.
    """

    setting: Setting
    plan: Plan
    task: Task
    spectrum: tuple[float, float] | None
    points: list[Point]

    @property
    def places(self) -> tuple[np.ndarray, ...]:
        """Indices of the points on the grid, (points,) for every axis."""
        return tuple(np.array([point.place for point in self.points]).T)

    def words(self) -> np.ndarray:
        """Return the words (points, 2) that every point folds into its keys."""
        return np.array([words(point.values) for point in self.points], np.uint32)

    def numbers(self) -> dict[str, np.ndarray]:
        """Return the numbers (points,) that are traced, by name."""
        task = self.task
        fixed = {"noise_var": task.problem.noise_var, "richness": task.richness, **numbers_of(task.optimizer)}
        fixed["feature_noise"] = task.feature_noise
        if self.spectrum is not None:
            fixed |= dict(zip("ab", self.spectrum, strict=True))
        swept = {name for name in self.points[0].values if name not in SIZES} | {"noise_var"}
        swept |= set() if task.feature_noise is None else {"feature_noise"}
        if swept & {"a", "b"}:
            swept |= {"a", "b"}
        return {name: np.array([point.value(name, fixed[name]) for point in self.points]) for name in sorted(swept)}

    def label_power(self) -> np.ndarray:
        """Return the variance (points,) of the labels."""
        numbers, shared = self.numbers(), self.task.problem
        power = np.zeros(len(self.points))
        for i in range(len(power)):
            problem = place_problem(shared, {name: x[i] for name, x in numbers.items()})
            outputs = map(problem.output, range(shared.num_outputs))
            power[i] = sum(p.power + float(p.noise_var) for p in outputs)
        return power

    @property
    def cost(self) -> Cost:
        """Bytes and seconds of one run, roughly: enough to tell the time that is left."""
        return self._cost(self.plan.setting)

    def batch_length(self, memory: float | None) -> int:
        """Return how many runs make a batch; ValueError if the smallest does not fit into `memory` or what is free."""
        devices, least = self.plan.layout, LEAST * self._cost(self.setting).bytes
        budget = free_memory(devices) if memory is None else memory
        if least > budget:
            n, p = self.setting.num_features, self.setting.num_samples
            what = f"for {LEAST} runs of num_features = {n}, num_samples = {p}"
            if memory is not None:
                checks.fail("memory", f"at least {least:.3g} bytes {what} ({least / 1e9:.3g} GB)", memory)
            value, name = max((x, name) for x, name in ((n, "num_features"), (p, "num_samples")) if math.isfinite(x))
            free = f"{least / 1e9:.3g} GB are needed {what}, and {budget / 1e9:.3g} GB are free"
            checks.fail(name, f"smaller: {free}", value)
        if memory is None and on_cpu():
            budget = min(budget, ON_CPU)
        return max(LEAST, int(budget // self.cost.bytes)) * devices.runs

    def _cost(self, setting: Setting) -> Cost:
        return estimate(self.plan._replace(setting=setting), self.task.problem, self.task.times)


def groups_of(request: Request, grid: Axes, choose: Callable[[Request], Plan], runs: int) -> list[Group]:
    """Sort the points of a grid by shape, every shape checked.

    request: of all points, but for what the grid changes; choose: `plan_simulation` or `plan_exact`; runs: of a shape,
    for which longer arrays, of other shapes too, may cost no more than a compilation.
    """
    by_shape: dict[tuple, list[Point]] = {}
    for place, values in grid.points():
        by_shape.setdefault(tuple(values.get(name) for name in SIZES), []).append(Point(place, values))
    return [_group(request, points, choose, runs) for points in by_shape.values()]


def runs_of_a_shape(grid: Axes, num_seeds: int) -> int:
    """Return how many runs share a shape."""
    return num_seeds * math.prod(len(values) for name, values in grid.values.items() if name not in SIZES)


def _group(request: Request, points: list[Point], choose: Callable[[Request], Plan], runs: int) -> Group:
    sizes: dict[str, Any] = {name: value for name, value in points[0].values.items() if name in SIZES}
    problem, optimizer = request.problem, request.optimizer
    if "batch_size" in sizes:
        optimizer = dataclasses.replace(optimizer, batch_size=sizes.pop("batch_size"))
    if "num_modes" in sizes:
        problem = resize(problem, sizes.pop("num_modes"))
    # the noise that is hardest to serve
    noisiest = max(point.value("noise_var", problem.noise_var) for point in points)
    problem = dataclasses.replace(problem, noise_var=noisiest)
    for name in ("richness", "feature_noise"):
        largest = max((point.values[name] for point in points if name in point.values), default=getattr(request, name))
        request = request._replace(**{name: largest})
    request = request._replace(problem=problem, optimizer=optimizer, **sizes)
    plan = choose(request)
    times = request.stops
    _refuse_endless(plan, problem, times)
    itself = Task(problem, resolve(optimizer, request.times), times, None, request.trained, request.noisy)
    longer, task = pad(plan, itself, runs)
    if LEAST * estimate(longer, problem, task.times).bytes > ON_CPU:  # whatever memory there is: numbers stay
        longer, task = plan, itself
    return Group(plan.setting, longer, task, exponents(problem), points)


def _refuse_endless(plan: Plan, problem: Problem, times: np.ndarray) -> None:
    """Refuse a run if nothing of it would be saved within LONGEST."""
    seconds = estimate(plan, problem, times).seconds
    if not (reason := too_long("one run", seconds, LONGEST)):
        return
    sizes = {"num_modes": float(problem.num_modes), **dict(zip(SIZES[:2], plan.setting.true, strict=True))}
    name, value = max(((name, x) for name, x in sizes.items() if math.isfinite(x)), key=lambda size: size[1])
    if seconds > 2 * estimate(plan, problem, 0 * times).seconds:  # most of it are steps
        name, value = "times", times[-1]
    checks.fail(name, f"smaller: {reason}, and nothing of it is saved before its end", value)
