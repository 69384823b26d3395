"""Grids times seeds: one compilation a shape, batches that fit in memory, results on disk as they come."""

import contextlib
import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array

from rfm import checks
from rfm.engine.exact_solution import plan_exact
from rfm.engine.requests import check_keys
from rfm.engine.simulation import plan_simulation
from rfm.grid import Axes, axes, check_sizes, exponents
from rfm.optimizers import Optax, Optimizer
from rfm.precision import float64
from rfm.problem import Problem
from rfm.steps import Schedule
from rfm.sweeps import store
from rfm.sweeps.groups import Group, batch_length, groups_of, run_groups, work
from rfm.sweeps.processes import current_team
from rfm.sweeps.result import Sweep

CHUNK_SECONDS = 0.6  # of a core, that may be lost when a process is killed


def sweep(
    problem: Problem,
    grid: Mapping[str, Any],
    keys: Array,
    *,
    optimizer: Optimizer,
    times: Array | None = None,
    num_features: float | None = None,
    num_samples: float | None = None,
    parametrization: str = "ntk",
    features: str = "gaussian",
    ensemble: int = 1,
    bags: int = 1,
    out: str | Path | None = None,
    exact: bool = False,
    memory: float | None = None,
    progress: bool = False,
) -> Sweep:
    """`simulate` on every point of a grid with every seed, on all devices of all processes.

    grid: values by name, out of num_features, num_samples, batch_size, ensemble, bags (each combination is a shape, and
    compiles once), noise_var and the numbers of the optimizer, and a, b, num_modes of a `power_law`. keys: (S,) from
    `jax.random.split`; a point's runs draw from them with 64 bits of its values folded in (`Sweep.keys_at`), so that no
    result depends on the rest of the grid, the order, the batch or the device. Other arguments as in `simulate`,
    num_features and num_samples where the grid has them not. exact: solve every draw as `rfm.exact` does.

    out: a folder, made as a zarr store that holds every point from the moment it is done. The same call resumes, and
    one with more values or seeds adds what is missing. memory: bytes that a batch may fill on each device, else a
    part of what is free; where a device runs out of memory all the same, the batch is halved. A learning rate beyond
    stability is no error: a run has diverged, and is inf, from where its training loss is 10^6 times that of zero
    weights.

    In a program of several processes (`rfm.processes.start`) each does its part of the points and all return the same.

    Raises ValueError for wrong arguments, a store that is foreign, damaged or of another sweep, or too little memory
    for one run; OSError where the store cannot be written. What is in the store stays as it is.
    """
    grid_axes = axes(grid, problem, optimizer)
    sizes = {"num_features": num_features, "num_samples": num_samples, "ensemble": ensemble, "bags": bags}
    check_sizes(grid_axes, sizes)
    team = current_team()
    if team.count > 1 and out is None:
        checks.fail("out", "a folder that all processes see", None)
    if memory is not None:
        checks.number("memory", memory, 0.0, "a number of bytes > 0")
    check_keys(keys)
    choose = plan_exact if exact else plan_simulation
    kinds = parametrization, features
    with float64():
        groups = groups_of(grid_axes, sizes, problem, optimizer, times, keys, kinds, choose)
        times = np.array([np.inf]) if times is None else np.asarray(times, np.float64)
        lengths = [batch_length(group, times, memory) for group in groups]
        kind, method = groups[0].plan.kind, "exact" if exact else "simulate"
        place, results, block = None, store.empty((*grid_axes.shape, len(keys)), len(times)), len(keys)
        chunk_of = tuple
        if out is not None:
            settings = _settings(problem, groups[0].optimizer, keys, grid_axes, sizes, kinds, kind, method)
            most = max(1, int(CHUNK_SECONDS / (len(keys) * max(work(group, times) for group in groups))))
            with team.first_alone():
                if team.index == 0:
                    store.prepare(Path(out), settings, grid_axes, times, keys, most)
            place = store.open_store(Path(out))
            results, block = store.load(place, grid_axes, len(keys)), place.chunk[-1]
            chunk_of = store.chunks(place, grid_axes)
        share = team.index, team.count
        with _bar(groups, times, results, share, progress) as on_work, contextlib.ExitStack() as stack:
            write = None if place is None else stack.enter_context(store.writer(place, grid_axes))

            def save(points, seeds):
                if write is not None:
                    write(points, seeds, store.Results(*(np.stack([x[p][seeds] for p in points]) for x in results)))

            run_groups(groups, times, keys, results, lengths, chunk_of, block, save, share, on_work)
        if team.count > 1:
            team.wait("the end of the sweep")
            results = store.load(place, grid_axes, len(keys))
    diverged = results.diverged
    if diverged.any():
        text = f"{diverged.sum()} of {diverged.size} runs diverged: inf in the result from there on"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    return Sweep(grid_axes.values, times, *results, keys, kind)


@contextlib.contextmanager
def _bar(groups: list[Group], times, results: store.Results, share: tuple, progress: bool) -> Iterator[Callable]:
    """A progress bar in units of estimated work, so that the time left does not jump where points are larger."""
    if not progress:
        yield lambda done: None
        return
    from tqdm import tqdm

    total, left, missing = 0.0, 0.0, results.missing
    for group in groups:
        cost = work(group, times)
        runs = np.stack([missing[place] for place, _ in group.points])
        total += cost * runs.size / share[1]
        left += cost * runs.sum() / share[1]
    layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} gone, {remaining} left"
    with tqdm(total=total, initial=total - left, desc="sweep", bar_format=layout) as bar:
        yield bar.update


def _settings(
    problem, optimizer, keys, grid: Axes, sizes: dict, kinds: tuple[str, str], kind: str, method: str
) -> dict:
    """What all points have in common, by name: what makes two calls the same sweep."""
    digest = hashlib.sha256()
    swept = set(grid.values)
    if not swept & {"a", "b", "num_modes"}:
        for own in map(problem.output, range(problem.num_outputs)):
            for leaf in (own.eigenvalues, own.target, *jax.tree.leaves((own.tail, own.population, own.mixture))):
                digest.update(np.asarray(leaf, np.float64).tobytes())
    if isinstance(optimizer, Optax):
        make = optimizer.transformation
        if "<" in getattr(make, "__qualname__", "<"):
            checks.fail(
                "optimizer", "made as Optax(optax.adam, {...}) in a stored sweep, by a function with a name", make
            )
        algorithm = f"Optax({make.__module__}.{make.__qualname__})"
    else:
        algorithm = type(optimizer).__name__
    own = optimizer.numbers if isinstance(optimizer, Optax) else vars(optimizer)
    numbers = {"noise_var": problem.noise_var, **own}
    if exponents(problem) is not None:
        numbers |= {"num_modes": problem.num_modes, **dict(zip("ab", exponents(problem), strict=True))}
    for name, value in numbers.items():
        if isinstance(value, Schedule):
            numbers[name] = hashlib.sha256(np.concatenate(value).tobytes()).hexdigest()
    fixed = {name: value for name, value in {**numbers, **sizes}.items() if name not in swept and value is not None}
    return {
        "kind": kind,
        "optimizer": algorithm,
        "method": method,
        "problem": digest.hexdigest(),
        "parametrization": kinds[0],
        "features": kinds[1],
        "key": str(jax.random.key_impl(keys)),
        "time_unit": "steps" if optimizer.discrete else "learning rate x steps",
        **{name: value if isinstance(value, str) else str(float(value)) for name, value in fixed.items()},
    }
