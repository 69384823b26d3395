"""The work of a sweep: points of one shape share a program, whose batches of runs fit in memory."""

import dataclasses
import math
from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from rfm import checks
from rfm.devices import free_memory
from rfm.engine.batches import Plan, Runs, Task, run_batch
from rfm.engine.costs import estimate
from rfm.engine.requests import Request
from rfm.grid import SIZES, Axes, exponents, finite_or_none, numbers_of, place_problem, words
from rfm.optimizers import Optimizer, resolve
from rfm.problem import Problem, power_law
from rfm.sweeps import store

ON_CPU = 2**26  # bytes of a batch: what stays in the caches, and is soon on disk
# a run has diverged where its training loss is so many times that of zero weights; stable momentum may reach 1e4
GROWN = 1e6
LEAST = 2  # runs of a batch on every device: the program of a single one rounds differently


class Group(NamedTuple):
    """Points of one shape. points: index in the grid and values by name; optimizer: learning rate tabulated; spectrum:
    exponents a, b of a power law."""

    plan: Plan
    problem: Problem
    optimizer: Optimizer
    spectrum: tuple[float, float] | None
    points: list[tuple[tuple[int, ...], dict[str, float]]]

    def numbers(self) -> dict[str, np.ndarray]:
        """What is traced, by name, one number a point."""
        own = {"noise_var": self.problem.noise_var, **numbers_of(self.optimizer)}
        if self.spectrum is not None:
            own["a"], own["b"] = self.spectrum
        swept = {name for name in self.points[0][1] if name not in SIZES} | {"noise_var"}
        if swept & {"a", "b"}:
            swept |= {"a", "b"}
        return {name: np.array([float(p.get(name, own[name])) for _, p in self.points]) for name in sorted(swept)}

    def label_power(self) -> np.ndarray:
        """Variance of the labels, (points,), of the modes that a problem keeps as arrays: nearly all of it."""
        numbers, outputs = self.numbers(), range(self.problem.num_outputs)
        values = [{name: float(x[i]) for name, x in numbers.items()} for i in range(len(self.points))]
        problems = [map(place_problem(self.problem, v).output, outputs) for v in values]
        return np.array([sum(float(p.eigenvalues @ p.target**2 + p.noise_var) for p in own) for own in problems])


def groups_of(
    grid: Axes,
    sizes: dict[str, float],
    problem: Problem,
    optimizer: Optimizer,
    times: Array | None,
    keys: Array,
    kinds: tuple[str, str],
    choose: Callable[[Request], Plan],
) -> list[Group]:
    """The points of a grid by shape, every shape checked.

    sizes: those that the grid may leave out; kinds: parametrization and law of the features; choose: as
    `plan_simulation`, how a request is solved.
    """
    by_shape: dict[tuple, list] = {}
    for index, point in grid.points():
        by_shape.setdefault(tuple(point.get(name) for name in SIZES), []).append((index, point))
    found = []
    for points in by_shape.values():
        own = {**sizes, **{name: value for name, value in points[0][1].items() if name in SIZES}}
        here, algorithm = problem, optimizer
        if "batch_size" in own:
            algorithm = dataclasses.replace(optimizer, batch_size=own["batch_size"])
        if "num_modes" in own:
            here = power_law(*exponents(problem), finite_or_none(own["num_modes"]), problem.noise_var)
        # the noise that is hardest to serve
        noisiest = max(float(point.get("noise_var", here.noise_var)) for _, point in points)
        here = dataclasses.replace(here, noise_var=noisiest)
        request = Request(here, own["num_features"], own["num_samples"], algorithm, times, keys, *kinds)
        plan = choose(request._replace(ensemble=own["ensemble"], bags=own["bags"]))
        found.append(
            Group(plan, here, algorithm if times is None else resolve(algorithm, times), exponents(problem), points)
        )
    return found


def batch_length(group: Group, times: np.ndarray, memory: float | None) -> int:
    """Runs of a batch; ValueError where `memory`, or what is free, does not hold the least."""
    plan = group.plan
    size, ways = estimate(plan, group.problem, times).bytes, plan.layout.runs
    budget = free_memory(plan.layout) if memory is None else memory
    if memory is None and jax.default_backend() == "cpu":
        budget = min(budget, max(ON_CPU, LEAST * size))
    if LEAST * size > budget:
        setting = plan.setting
        allowed = (
            f"at least {LEAST * size:.3g} bytes for {LEAST} runs of num_features = {setting.num_features}, "
            f"num_samples = {setting.num_samples}"
        )
        checks.fail("memory", allowed, memory if memory is not None else f"{budget:.3g} bytes free")
    return int(budget // size) * ways


def run_groups(
    groups: list[Group],
    times: np.ndarray,
    keys: Array,
    results: store.Results,
    lengths: list[int],
    chunk_of: Callable[[tuple[int, ...]], Hashable],
    block: int,
    save: Callable[[list[tuple[int, ...]], slice], None],
    share: tuple[int, int],
    on_work: Callable[[float], None],
) -> None:
    """Fill in what `results` lacks, and call save(points, seeds) for every chunk that is done.

    chunk_of: of a point, which are saved together, `block` seeds at a time; share: (index, count) of this process,
    which does every so many-th chunk; on_work: called with the part of the estimated work that is done.
    """
    lacking = results.missing
    for group, length in zip(groups, lengths, strict=True):
        places = [place for place, _ in group.points]
        chunks: dict[Hashable, list[int]] = {}
        for p, place in enumerate(places):
            chunks.setdefault(chunk_of(place), []).append(p)
        members = list(chunks.values())
        chunk = np.empty(len(places), int)
        for c, points in enumerate(members):
            chunk[points] = c
        missing = np.stack([lacking[place] for place in places])  # (points, S)
        point, seed = np.nonzero(missing & (chunk % share[1] == share[0])[:, None])
        cost, most = work(group, times), GROWN * group.label_power()
        while len(point):
            length = min(length, _round_up(len(point), group.plan.layout.runs))
            try:
                for done, found in _in_flight(group, times, keys, point, seed, length):
                    _take(results, group, times, point[:done], seed[:done], most[point[:done]], found)
                    for c, first in sorted(set(zip(chunk[point[:done]], seed[:done] // block, strict=True))):
                        seeds = slice(first * block, min((first + 1) * block, len(keys)))
                        points = [places[p] for p in members[c]]
                        if not any(np.isnan(results.risk[place][seeds, 0]).any() for place in points):
                            save(points, seeds)
                    point, seed = point[done:], seed[done:]
                    on_work(done * cost)
            except jax.errors.JaxRuntimeError as error:
                length = _halved(error, length, group.plan.layout.runs)


def work(group: Group, times: np.ndarray) -> float:
    """Seconds of one run, roughly: for the estimate of the time left."""
    return estimate(group.plan, group.problem, times).seconds


def _in_flight(group, times, keys, point, seed, length) -> Iterator[tuple[int, tuple]]:
    """Results of the runs, some at a time: the next batch is under way while the last one is looked after."""
    names = np.array([words(values) for _, values in group.points], np.uint32)  # (points, 2)
    numbers, waiting = group.numbers(), None
    for start in range(0, len(point), length):
        some = np.minimum(np.arange(start, start + length), len(point) - 1)  # the last batch is padded
        runs = Runs(seed[some], names[point[some]], {name: x[point[some]] for name, x in numbers.items()})
        found = run_batch(group.plan, Task(group.problem, group.optimizer, times), keys, runs)
        if waiting is not None:
            yield waiting
        waiting = min(length, len(point) - start), found
    yield waiting


def _take(results: store.Results, group: Group, times, point, seed, most, found) -> None:
    risk, train_loss, steps = (None if x is None else np.asarray(x)[: len(point)] for x in found)
    late = ~(np.isfinite(risk) & (train_loss <= most[:, None]))  # (runs, T)
    if steps is not None:
        late |= times > steps[:, None]
    late = np.logical_or.accumulate(late, axis=1)
    for i, (p, s) in enumerate(zip(point, seed, strict=True)):
        for whole, values in zip(results, (risk, train_loss), strict=True):
            whole[(*group.points[p][0], s)] = np.where(late[i], np.inf, values[i])


def _halved(error: Exception, length: int, ways: int) -> int:
    if "RESOURCE_EXHAUSTED" not in str(error) and "ut of memory" not in str(error):
        raise error
    shorter = length // 2 // ways * ways
    if shorter < LEAST * ways:
        raise MemoryError(f"out of memory with a batch of {length} runs, the smallest there is: {error}") from error
    return shorter


def _round_up(number: int, ways: int) -> int:
    return max(LEAST, math.ceil(number / ways)) * ways
