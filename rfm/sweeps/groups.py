"""Points of a grid by shape: those of one shape share a program."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from rfm import checks
from rfm.devices import free_memory
from rfm.engine.batches import Plan
from rfm.engine.costs import estimate
from rfm.engine.requests import Request
from rfm.grid import SIZES, Axes, exponents, finite_or_none, numbers_of, place_problem, words
from rfm.optimizers import Optimizer, resolve
from rfm.problem import Problem, power_law

ON_CPU = 2**26  # bytes of a batch: what stays in the caches, and is soon on disk
LEAST = 2  # runs of a batch on every device: the program of a single one rounds differently


class Point(NamedTuple):
    """A point of a grid: its index there, and its values by name."""

    place: tuple[int, ...]
    values: dict[str, float]

    def value(self, name: str, fixed: Any) -> float:
        """Return a number of this point, `fixed` where the grid has it not."""
        return self.values[name] if name in self.values else float(fixed)


class Group(NamedTuple):
    """Points of one shape. optimizer: learning rate tabulated; spectrum: exponents a, b of a power law."""

    plan: Plan
    problem: Problem
    optimizer: Optimizer
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
        fixed = {"noise_var": self.problem.noise_var, **numbers_of(self.optimizer)}
        if self.spectrum is not None:
            fixed |= dict(zip("ab", self.spectrum, strict=True))
        swept = {name for name in self.points[0].values if name not in SIZES} | {"noise_var"}
        if swept & {"a", "b"}:
            swept |= {"a", "b"}
        return {name: np.array([point.value(name, fixed[name]) for point in self.points]) for name in sorted(swept)}

    def label_power(self) -> np.ndarray:
        """Return the variance (points,) of the labels."""
        numbers = self.numbers()
        power = np.zeros(len(self.points))
        for i in range(len(power)):
            problem = place_problem(self.problem, {name: x[i] for name, x in numbers.items()})
            outputs = map(problem.output, range(self.problem.num_outputs))
            power[i] = sum(p.power + float(p.noise_var) for p in outputs)
        return power

    def run_seconds(self, times: np.ndarray) -> float:
        """Estimate the seconds of one run, roughly: enough to tell the time that is left."""
        return estimate(self.plan, self.problem, times).seconds

    def batch_length(self, times: np.ndarray, memory: float | None) -> int:
        """Return how many runs make a batch; ValueError where `memory`, or what is free, does not hold the least."""
        size, devices = estimate(self.plan, self.problem, times).bytes, self.plan.layout
        budget = free_memory(devices) if memory is None else memory
        if memory is None and jax.default_backend() == "cpu":
            budget = min(budget, max(ON_CPU, LEAST * size))
        if LEAST * size > budget:
            setting = self.plan.setting
            allowed = (
                f"at least {LEAST * size:.3g} bytes for {LEAST} runs of num_features = {setting.num_features}, "
                f"num_samples = {setting.num_samples}"
            )
            checks.fail("memory", allowed, memory if memory is not None else f"{budget:.3g} bytes free")
        return int(budget // size) * devices.runs


def groups_of(request: Request, grid: Axes, choose: Callable[[Request], Plan]) -> list[Group]:
    """Sort the points of a grid by shape, every shape checked.

    request: of all points, but for what the grid changes; choose: `plan_simulation` or `plan_exact`.
    """
    by_shape: dict[tuple, list[Point]] = {}
    for place, values in grid.points():
        by_shape.setdefault(tuple(values.get(name) for name in SIZES), []).append(Point(place, values))
    return [_group(request, points, choose) for points in by_shape.values()]


def _group(request: Request, points: list[Point], choose: Callable[[Request], Plan]) -> Group:
    sizes: dict[str, Any] = {name: value for name, value in points[0].values.items() if name in SIZES}
    problem, optimizer = request.problem, request.optimizer
    if "batch_size" in sizes:
        optimizer = dataclasses.replace(optimizer, batch_size=sizes.pop("batch_size"))
    if "num_modes" in sizes:
        a, b = exponents(problem) or (math.nan, math.nan)  # `axes` has refused other problems
        problem = power_law(a, b, finite_or_none(sizes.pop("num_modes")), problem.noise_var)
    # the noise that is hardest to serve
    noisiest = max(point.value("noise_var", problem.noise_var) for point in points)
    problem = dataclasses.replace(problem, noise_var=noisiest)
    plan = choose(request._replace(problem=problem, optimizer=optimizer, **sizes))
    return Group(plan, problem, resolve(optimizer, request.times), exponents(problem), points)
