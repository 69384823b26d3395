"""A sweep in a TOML file: the problem, the algorithm, the run and the grid, as `rfm sweep` reads them."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import rfm
from experiments.compare import schedules
from experiments.compare.algorithms import ALGORITHMS
from rfm import checks
from rfm.grid import SIZES, check_room
from rfm.optimizers import Optimizer
from rfm.sgd import changes

EXAMPLE = """\
[problem]                      # lambda_k = k^-b, lambda_k w_k^2 = k^-a
a = 1.8
b = 1.5
num_modes = 1_000
noise_var = 0.01

[optimizer]                    # flow, gd, heavy-ball, nesterov, sgd, adam, sign-sgd, ridge and their numbers
name = "gd"                    # gd and sgd also schedule = "cosine" (as rfm compare --schedule), sgd order = "shuffle"
lr = 0.5

[run]
seeds = 16
num_samples = 256              # a size is here or in the grid
times = { start = 1, stop = 1e3, num = 40 }    # logarithmic; or a list

[grid]                         # lists, or { start, stop, num }; inf is a number
num_features = [32, 64, 128, 256]
lr = [0.1, 0.5]
noise_var = [0.0, 0.01, 0.1]
"""
TABLES = ("problem", "optimizer", "run", "grid")
PROBLEM = {"a": 1.8, "b": 1.5, "num_modes": 10_000, "noise_var": 0.0}
RUN = {
    "seeds": 16, "seed": 0, "times": None, "num_features": None, "num_samples": None, "parametrization": "ntk",
    "features": "gaussian", "ensemble": 1, "bags": 1, "richness": 0.0, "exact": False,
}  # fmt: skip
QUICK_SEEDS = 4


class SweepFile(NamedTuple):
    """Arguments of `rfm.sweep`; run: its keywords beside optimizer and times."""

    problem: rfm.Problem
    optimizer: Optimizer
    times: np.ndarray | None
    grid: dict[str, np.ndarray]
    keys: jax.Array
    run: dict[str, Any]


def read(path: str | Path, *, quick: bool = False, seed: int | None = None) -> SweepFile:
    """Read a sweep; ValueError for a file that is not TOML, or for names and values that are not understood.

    quick: the first and last value of every axis and few seeds; seed: in place of the file's.
    """
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        checks.fail("FILE", f"a text file that can be read ({getattr(error, 'strerror', error)})", str(path))
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        checks.fail("FILE", f"TOML ({error})", str(path))
    except RecursionError:
        checks.fail("FILE", "TOML whose tables and lists are not nested hundreds deep", str(path))
    _known("FILE", tables, TABLES)
    if "grid" not in tables:
        checks.fail("FILE", "one with a table [grid]", str(path))
    _known("grid", tables["grid"], tables["grid"])
    _refuse_truth_values("FILE", tables)
    problem = {**PROBLEM, **_known("problem", tables.get("problem", {}), PROBLEM)}
    run = {**RUN, **_known("run", tables.get("run", {}), RUN)}
    if not isinstance(run["exact"], bool):
        checks.fail("exact", "true or false", run["exact"])
    algorithm = _known("optimizer", tables.get("optimizer", {"name": "flow"}), tables.get("optimizer", ("name",)))
    checks.one_of("optimizer.name", algorithm.get("name"), (*ALGORITHMS, "ridge"))
    whole = algorithm["name"] not in ("flow", "ridge")
    _check_room(tables["grid"], run, quick=quick)
    grid = {name: _values(name, values, whole=name in SIZES) for name, values in tables["grid"].items()}
    times, seeds, seed_there = run.pop("times"), run.pop("seeds"), run.pop("seed")
    name, seed = ("run.seed", seed_there) if seed is None else ("seed", seed)
    if times is not None:
        times = _values("times", times, whole=whole)
    known = np.ones(1) if times is None else np.append(times[np.isfinite(times)], 1.0)  # others are refused later
    optimizer = _optimizer(algorithm, float(np.max(known)))
    if "lr" in grid and changes(getattr(optimizer, "lr", 0.0)):
        checks.fail("grid.lr", "left out where the optimizer has a schedule: a file for each peak", grid["lr"])
    if quick:
        grid = {name: values[[0, -1]] if len(values) > 1 else values for name, values in grid.items()}
        seeds = min(QUICK_SEEDS, seeds)
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        checks.fail(name, "an integer from 0 to 2^32 - 1", seed)
    keys = jax.random.split(jax.random.key(seed), int(seeds))
    return SweepFile(rfm.power_law(**problem), optimizer, times, grid, keys, run)


def _check_room(grid: Mapping[str, Any], run: Mapping[str, Any], *, quick: bool) -> None:
    """ValueError, before any array is made, for more points, seeds and times than there is memory for."""
    allowed = "an integer >= 2 (standard errors are over seeds)"
    checks.number("seeds", run["seeds"], 2, allowed, inclusive=True)
    seeds, times = checks.count("seeds", run["seeds"], allowed), _count(run["times"])
    counts = {name: _count(values) for name, values in grid.items()}
    for name, count in {**counts, "times": times}.items():  # each is made, even where --quick takes a few of it
        check_room({}, {name: count})
    if quick:
        seeds, counts = min(QUICK_SEEDS, seeds), {name: min(2, count) for name, count in counts.items()}
    check_room({name: range(count) for name, count in counts.items()}, {"seeds": seeds, "times": times})


def _count(values: Any) -> int:
    """Count the values of a list, a number or { start, stop, num }; 1 for what is refused later."""
    if isinstance(values, Mapping):
        values = values.get("num")
        return values if type(values) is int and values > 0 else 1
    return len(values) if isinstance(values, list) else 1


def _optimizer(table: Mapping[str, Any], steps: float) -> Optimizer:
    """Return the algorithm of a table that names one, for so many steps."""
    given = {option: value for option, value in table.items() if option != "name"}
    if table["name"] == "ridge":
        return rfm.Ridge(**{"ridge": 0.0, **_known("optimizer", given, {"ridge": 0.0})})
    make, defaults = ALGORITHMS[table["name"]]
    if "average" in given and "average" in defaults:
        allowed = "left out: a sweep keeps the loss of the weights themselves (rfm compare --average has both)"
        checks.fail("optimizer.average", allowed, given["average"])
    numbers = defaults | _known("optimizer", given, defaults)
    if "schedule" in numbers and not isinstance(numbers["schedule"], str):
        checks.fail("optimizer.schedule", 'a text, such as "cosine"', numbers["schedule"])
    if schedules.is_file(numbers.get("schedule")):
        for option, column in schedules.read(numbers["schedule"])._asdict().items():
            if column is not None and option in given:
                checks.fail(f"optimizer.{option}", "left out where the schedule has it in a column", given[option])
    return make(steps, **numbers)


def _known(name: str, table: Any, allowed: Iterable[str]) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        checks.fail(name, "a table", table)
    for key in table:
        checks.one_of(name, key, tuple(allowed))
    return dict(table)


def _refuse_truth_values(name: str, value: Any) -> None:
    """ValueError for true or false where a number belongs: Python takes them for 1 and 0."""
    if isinstance(value, bool) and name != "exact":
        checks.fail(name, "a number, a text or a list of them", value)
    if isinstance(value, Mapping):
        for key, part in value.items():
            _refuse_truth_values(key, part)
    elif isinstance(value, list):
        for part in value:
            _refuse_truth_values(name, part)


def _values(name: str, values: Any, *, whole: bool) -> np.ndarray:
    """A list, a number, or logarithmic steps; whole: rounded, without repetition."""
    if isinstance(values, Mapping):
        _known(name, values, ("start", "stop", "num"))
        if len(values) < 3:
            checks.fail(name, "a list, or all of start, stop and num", values)
        try:
            return rfm.log_times(**values, integer=whole)
        except checks.ArgumentError as error:  # of start, stop or num
            checks.fail(f"{name}.{error.name}", error.allowed, error.value)
    try:
        return np.atleast_1d(checks.numeric(name, values))
    except checks.ArgumentError:
        checks.fail(name, "a list of numbers, or { start, stop, num }", values)
