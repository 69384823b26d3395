"""Independent parts of one sweep, for job arrays: no coordinator, and a lost part is taken over by any other."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rfm import checks
from rfm.grid import Axes
from rfm.sweeps import store
from rfm.sweeps.locks import part, shared
from rfm.sweeps.processes import Processes

MOST_SHARDS = 10_000


@contextlib.contextmanager
def opened(path: Path, made: store.Manifest, grid: Axes) -> Iterator[tuple[store.Store, list[store.Fault]]]:
    """Open the store beside other shards, made or extended by one alone; and the files that it made again."""
    faults = []
    with shared(path, lambda: store.covers(path, made), lambda: faults.extend(store.prepare(path, made))):
        yield store.open_store(path, grid), faults


def free_parts(path: Path, index: int, count: int) -> Iterator[Processes]:
    """Yield this process's part, then all other parts that no other process works on."""
    for other in range(count):
        number = (index + other) % count
        with part(path, number, count, without_locks=not other) as free:
            if free:
                yield Processes(number, count)


def check(shard: Any, team: Processes) -> None:
    """Refuse anything but a part I of R, and shards of processes that already share one program."""
    if shard is None:
        return
    allowed = "(i, r), integers with 0 <= i < r"
    if not (isinstance(shard, tuple) and len(shard) == 2):
        checks.fail("shard", allowed, shard)
    index, count = shard
    whole = all(isinstance(x, int) and not isinstance(x, bool) for x in shard)
    if not whole or not 0 <= index < count <= MOST_SHARDS:
        checks.fail("shard", f"{allowed} <= {MOST_SHARDS}", shard)
    if team.count > 1:
        checks.fail("shard", "None in a program of several processes", shard)
