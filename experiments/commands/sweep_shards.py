"""Parts of `rfm sweep` for job arrays: which one this is, and what the store of all of them has."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import rfm
from experiments.commands.sweep_file import SweepFile
from rfm import checks

MOST_LINES = 10  # points that are named


def read(text: str | None, *, alone: bool) -> tuple[int, int] | None:
    """Read "I/R"; ValueError for anything else, or beside options that join processes to one program."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if match is None or not int(match[1]) < int(match[2]):
        checks.fail("shard", "I/R with 0 <= I < R, as 0/8", text)
    if not alone:
        checks.fail("shard", "left out with --distributed or --coordinator: its parts need no other process", text)
    return int(match[1]), int(match[2])


class Status(NamedTuple):
    """State of a store in words, and as a record."""

    text: str
    record: dict[str, Any]


def status(spec: SweepFile, store: Path) -> Status:
    """Say how many runs of a sweep are in its store, and which points lack some."""
    shape = (*(len(np.atleast_1d(values)) for values in spec.grid.values()), len(spec.keys))
    missing = np.ones(shape, bool)
    if store.exists():
        swept = rfm.Sweep.load(store)
        seeds = _common_seeds(swept, spec)
        if list(swept.axes) != list(spec.grid) or not len(seeds):
            checks.fail("FILE", f"the sweep that {store} is of", "one with other axes, seeds or times")
        grid = {name: np.atleast_1d(values) for name, values in spec.grid.items()}
        here = [np.flatnonzero(np.isin(values, swept.axes[name])) for name, values in grid.items()]
        there = [np.searchsorted(swept.axes[name], grid[name][i]) for i, name in zip(here, grid, strict=True)]
        missing[np.ix_(*here, seeds)] = swept.missing[np.ix_(*there, seeds)]
    lines = [f"{store}: {missing.size - missing.sum()} of {missing.size} runs are done, {missing.sum()} are missing"]
    points = np.argwhere(missing.any(-1))
    for point in points[:MOST_LINES]:
        values = ", ".join(f"{name} = {x[i]:g}" for (name, x), i in zip(spec.grid.items(), point, strict=True))
        lines.append(f"  {values}: {missing[tuple(point)].sum()} of {len(spec.keys)} seeds are missing")
    if len(points) > MOST_LINES:
        lines.append(f"  and {len(points) - MOST_LINES} more points")
    record = {"store": str(store), "runs": missing.size, "missing": int(missing.sum())}
    return Status("\n".join(lines), record)


def _common_seeds(swept: rfm.Sweep, spec: SweepFile) -> np.ndarray:
    """Return the indices of the seeds that both have; none where seeds or times are others."""
    if swept.keys is None:
        return np.arange(0)
    stored, asked = (np.asarray(jax.random.key_data(keys)) for keys in (swept.keys, spec.keys))
    seeds = min(len(stored), len(asked))
    times = np.array([np.inf]) if spec.times is None else spec.times
    same = np.array_equal(stored[:seeds], asked[:seeds]) and np.array_equal(swept.times, times)
    return np.arange(seeds if same else 0)
