"""Grids times seeds: one compilation a shape, batches that fit in memory, results on disk as they come."""

import contextlib
import hashlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from rfm import checks
from rfm.devices import use_device
from rfm.engine.costs import DAY, too_long
from rfm.engine.exact_solution import plan_exact
from rfm.engine.features import FeatureLaw
from rfm.engine.requests import Request, check_keys, choose_keys
from rfm.engine.simulation import plan_simulation
from rfm.grid import Axes, axes, check_room, check_sizes, exponents, len_of
from rfm.optimizers import Optax, Optimizer
from rfm.precision import float64
from rfm.problem import Problem
from rfm.sgd import changes
from rfm.steps import Schedule
from rfm.sweeps import shards, store
from rfm.sweeps.groups import Group, groups_of, runs_of_a_shape
from rfm.sweeps.locks import locked
from rfm.sweeps.manifest import UNFINISHED
from rfm.sweeps.processes import Processes, current_team
from rfm.sweeps.result import Sweep
from rfm.sweeps.work import Work

LONGEST = 365 * DAY  # of all runs, shared by devices and processes
CHUNK_SECONDS = 0.6  # of a core, that may be lost when a process is killed


def sweep(
    problem: Problem,
    grid: Mapping[str, Any],
    keys: Array | None = None,
    *,
    seeds: int | None = None,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    num_features: float | None = None,
    num_samples: float | None = None,
    parametrization: str = "ntk",
    richness: float = 0.0,
    feature_noise: float = 0.0,
    features: str | FeatureLaw = "gaussian",
    ensemble: float = 1,
    bags: float = 1,
    out: str | Path | None = None,
    exact: bool = False,
    memory: float | None = None,
    device: Any = None,
    shard: tuple[int, int] | None = None,
    progress: bool = False,
) -> Sweep:
    """Run `simulate` on every point of a grid with every seed, on all devices of all processes.

    A point's runs draw from the keys with 64 bits of its values folded in (`Sweep.keys_at`), so that no result depends
    on the rest of the grid, the order, the batch or the device. The lengths of arrays, and with them the rounding,
    depend on how many runs share a shape; a store is resumed with the lengths that it was begun with, bit for bit. In a
    program of several processes (`rfm.sweeps.processes.start`) each does its part of the points and all return the
    same.

    Args:
        problem: Spectrum, target and noise, as in `simulate`.
        grid: Values (n,) by name, out of num_features, num_samples, batch_size, ensemble, bags (each combination is a
            shape; small ones share a compiled program), noise_var, richness, feature_noise and the numbers of the
            optimizer, and a, b, num_modes of a `power_law`.
        keys: (S,) from `jax.random.split`, one a seed, or else
        seeds: S, as in `simulate`.
        optimizer: The training algorithm, as in `simulate`.
        times: (T,), as in `simulate`.
        num_features: N, where the grid has it not.
        num_samples: P, where the grid has it not.
        parametrization: "ntk" or "standard", as in `simulate`.
        richness: As in `simulate`, where the grid has it not.
        feature_noise: As in `simulate`, likewise.
        features: The law of F, as in `simulate`.
        ensemble: Feature draws whose models are averaged.
        bags: Data sets whose models are averaged.
        out: A folder, made as a zarr store that holds every point from the moment it is done. The same call resumes,
            and one with more values or seeds adds what is missing; a file of it that was damaged is made again, and a
            second process at the same store waits for the first.
        exact: Solve every draw as `rfm.exact` does.
        memory: Bytes that a batch may fill on each device, else a part of what is free; where a device runs out of
            memory all the same, the batch is halved.
        device: The one to use, as in `simulate`; None for all of this process.
        shard: (i, r), this call as number i = 0 .. r - 1 of r independent ones with the same `out`, which need not run
            at the same time: it does its part, then parts that no other process works on, and returns what is there.
        progress: Show a bar with the time left.

    Returns:
        Risk and training loss at every point, seed and time, NaN where other shards are not done. A learning rate
            beyond stability is not an error: a run has diverged, and is inf, from where its training loss is 10^6 times
            that of zero weights.

    Raises:
        ValueError: Wrong arguments, a store that is foreign or of another sweep, too little memory, or a run of more
            than a week. What is in the store stays as it is.
        OSError: The store cannot be written.

    Example:
        >>> import jax, rfm
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 10.0, 100.0])
        >>> grid = {"num_features": [16], "noise_var": [0.0, 0.1]}
        >>> swept = rfm.sweep(problem, grid, jax.random.split(jax.random.key(0), 2), **args)
        >>> swept.risk.shape
        (1, 2, 2, 3)
    """
    grid_axes = axes(grid, problem, optimizer)
    sizes = {"num_features": num_features, "num_samples": num_samples, "ensemble": ensemble, "bags": bags}
    check_sizes(grid_axes, sizes)
    team = current_team()
    shards.check(shard, team)
    if (team.count > 1 or shard is not None) and out is None:
        checks.fail("out", "a folder that all processes see", None)
    if memory is not None:
        checks.number("memory", memory, 0.0, "a number of bytes > 0")
    keys = choose_keys(keys, seeds)
    check_room(grid_axes.values, {"keys": len(keys), "times": 1 if times is None else len_of(times)})
    n, p = (math.nan if size is None else size for size in (num_features, num_samples))  # nan: an axis of the grid
    request = Request(
        problem, n, p, optimizer, times, keys, parametrization, features, ensemble, bags, richness=richness,
        feature_noise=feature_noise,
    )  # fmt: skip
    groups_for = partial(groups_of, request, grid_axes, plan_exact if exact else plan_simulation)
    with use_device(device), float64(), contextlib.ExitStack() as stack:
        groups = groups_for(runs := runs_of_a_shape(grid_axes, len(keys)))
        _check_duration(groups, grid_axes, len(keys) / (team.count if shard is None else shard[1]))
        kind, stops, opened, parts = groups[0].plan.kind, request.stops, None, iter([team])
        lengths = [group.batch_length(memory) for group in groups]  # refuses too little memory before a store is made
        results = store.empty((*grid_axes.shape, len(keys)), len(stops))
        chunk, block = np.arange(np.prod(grid_axes.shape)).reshape(grid_axes.shape), len(keys)
        if out is not None:
            resolved = request._replace(optimizer=groups[0].task.optimizer)
            settings = _settings(resolved, grid_axes, kind=kind, method="exact" if exact else "simulate")
            header = store.Header(settings, grid_axes, stops, np.asarray(jax.random.key_data(keys)))
            most = max(1, int(CHUNK_SECONDS / (len(keys) * max(group.cost.seconds for group in groups))))
            made = store.Manifest(header, store.chunk_shape(header, most), runs)
            path, alone = Path(out), shard is None
            opening = _stored(path, made, grid_axes, team) if alone else shards.opened(path, made, grid_axes)
            opened, faults = stack.enter_context(opening)
            groups = groups_for(opened.manifest.runs)
            lengths = [group.batch_length(memory) for group in groups]
            results, damaged = store.load(opened, len(keys))
            chunk, block = opened.chunk_numbers(), opened.manifest.chunk[-1]
            if team.index == 0:
                _tell(path, faults + [fault for fault in damaged if alone or fault.reason != UNFINISHED])
            if shard is not None:
                parts = shards.free_parts(path, *shard)
        for mine in parts:
            if opened is not None and shard is not None:
                if not results.missing[chunk % mine.count == mine.index].any():
                    continue
                results, _ = store.load(opened, len(keys))  # others may have done more of it since
            work = Work(groups, lengths, stops, keys, results, chunk, block, mine)
            keep = contextlib.nullcontext(lambda chunk: None) if opened is None else store.writer(opened)
            with keep as write, _bar(work, show=progress) as update:
                for done in work:
                    for whole in done.chunks:
                        write(whole)
                    update(done.seconds)
        if team.count > 1 and opened is not None:
            team.wait("the end of the sweep")
            results = store.load_whole(opened, len(keys))
        elif shard is not None and opened is not None:
            results, _ = store.load(opened, len(keys))
    diverged = results.diverged
    if diverged.any():
        text = f"{diverged.sum()} of {diverged.size} runs diverged: inf in the result from there on"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    noise_var = None if "noise_var" in grid_axes.values else float(problem.noise_var)
    return Sweep(grid_axes.values, stops, *results, keys, kind, noise_var)


@contextlib.contextmanager
def _stored(
    path: Path, made: store.Manifest, grid: Axes, team: Processes
) -> Iterator[tuple[store.Store, list[store.Fault]]]:
    """Open the store, made or extended and kept by the first process; and the files that it made again."""
    with contextlib.ExitStack() as stack:
        faults = []
        with team.first_alone():
            if team.index == 0:
                stack.enter_context(locked(path))
                faults = store.prepare(path, made)
        yield store.open_store(path, grid), faults


def _tell(path: Path, faults: list[store.Fault]) -> None:
    if faults:
        file, reason = faults[0]
        more = f" (and so on, {len(faults)} files)" if len(faults) > 1 else ""
        warnings.warn(f"{path / file} {reason}{more}: it is made again", RuntimeWarning, stacklevel=3)


def _check_duration(groups: list[Group], grid: Axes, seeds: float) -> None:
    """Refuse a sweep that would take longer than a lifetime; seeds: of each process."""
    shares = [group.cost.seconds * len(group.points) * seeds / group.plan.layout.runs for group in groups]
    if reason := too_long("the sweep", sum(shares), LONGEST):
        name, values = max(grid.values.items(), key=lambda axis: len(axis[1]))
        what, name, length = "fewer", name, len(values)
        if seeds > length:
            what, name, length = "fewer seeds", "keys", int(seeds)
        checks.fail(name, f"{what}: {reason}", length)


@contextlib.contextmanager
def _bar(work: Work, *, show: bool) -> Iterator[Callable[[float], object]]:
    """Yield what moves a bar in units of estimated work, so that the time left does not jump where points are large."""
    if not show:
        yield lambda seconds: None
        return
    from tqdm.auto import tqdm

    missing = work.results.missing
    total, left = work.seconds(np.ones_like(missing)), work.seconds(missing)
    layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} gone, {remaining} left"
    with tqdm(total=total, initial=total - left, desc="sweep", bar_format=layout) as bar:
        yield lambda seconds: bar.update(min(seconds, total - bar.n))  # sums of floats end a little beyond the total


def _settings(request: Request, grid: Axes, *, kind: str, method: str) -> dict[str, str]:
    """Return what all points have in common, by name: what makes two calls the same sweep."""
    problem, optimizer = request.problem, request.optimizer
    digest = hashlib.sha256()
    swept = set(grid.values)
    if not swept & {"a", "b", "num_modes"}:
        for output in map(problem.output, range(problem.num_outputs)):
            parts = (output.eigenvalues, output.target, output.tail, output.population, output.mixture, output.domains)
            for leaf in jax.tree.leaves(parts):
                digest.update(np.asarray(leaf, np.float64).tobytes())
    algorithm, numbers = type(optimizer).__name__, vars(optimizer)
    if isinstance(optimizer, Optax):
        numbers = {"batch_size": optimizer.batch_size, **optimizer.numbers}
        algorithm = f"Optax({_name_of(optimizer.transformation, 'optimizer', 'made as Optax(optax.adam, {...})')})"
    numbers = {"noise_var": problem.noise_var, **numbers}
    spectrum = exponents(problem)
    if spectrum is not None:
        numbers |= {"num_modes": problem.num_modes, **dict(zip("ab", spectrum, strict=True))}
    for name, value in numbers.items():
        if isinstance(value, Schedule) or changes(value):
            parts = value if isinstance(value, Schedule) else [np.asarray(value, np.float64)]
            numbers[name] = hashlib.sha256(np.concatenate(parts).tobytes()).hexdigest()
    numbers |= {name: getattr(request, name) for name in ("num_features", "num_samples", "ensemble", "bags")}
    numbers |= {"richness": request.trained, "feature_noise": request.noisy}
    law = request.features
    fixed = {name: x for name, x in numbers.items() if name not in swept and x is not None}
    return {
        "kind": kind,
        "optimizer": algorithm,
        "method": method,
        "problem": digest.hexdigest(),
        "parametrization": request.parametrization,
        "features": _name_of(law, "features", "a name") if callable(law) else law,
        "key": str(jax.random.key_impl(check_keys(request.keys))),
        "time_unit": "steps" if optimizer.discrete else "learning rate x steps",
        **{name: x if isinstance(x, str) else str(float(x)) for name, x in fixed.items()},
    }


def _name_of(function: Any, argument: str, cure: str) -> str:
    """Return the name under which a store records a function; ValueError if it has none."""
    if "<" in getattr(function, "__qualname__", "<"):
        checks.fail(argument, f"{cure} in a stored sweep, or a function with a name", function)
    return f"{function.__module__}.{function.__qualname__}"
