"""Results of a sweep on disk: a zarr group of named axes with units, written chunk by chunk.

`zarr.open_group(path)` and `xarray.open_zarr(path)` read it. A chunk is a point, or some that are quickly done, with
a block of seeds; it is written under a temporary name and renamed, its risk last, so that what has a risk is whole at
any moment. Every chunk carries a digest of its numbers, of the sweep, of its points and of its seeds (`zarr_files`): it
is read as what it is, or not at all. Processes that write different chunks share no file.
"""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rfm.grid import SIZES, Axes
from rfm.sweeps import manifest, zarr_files
from rfm.sweeps.locks import explained, forget_parts
from rfm.sweeps.manifest import DAMAGED, FIELDS, MISSING, UNFINISHED, Fault, Header, Manifest, refuse
from rfm.sweeps.zarr_files import Sealed, Statement

LARGEST_CHUNK, SMALL_CHUNK = 2**22, 2**16  # bytes: seeds are divided beyond one, points go together below the other
WRITERS = 4  # threads: most of a write is waiting


class Results(NamedTuple):
    """Risk and training loss (axes..., S, T), NaN where a run is missing, inf from where it has diverged."""

    risk: np.ndarray
    train_loss: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """Runs with something missing, (axes..., S)."""
        return np.any(np.isnan(self.risk) | np.isnan(self.train_loss), axis=-1)

    @property
    def diverged(self) -> np.ndarray:
        """Runs that diverged, (axes..., S)."""
        return np.logical_or.reduce(np.isinf(self.risk) | np.isinf(self.train_loss), axis=-1)


class Chunk(NamedTuple):
    """Results that are written together: points (n, axes) of a grid, which differ along one axis, and some seeds.

    results: (n, seeds, T) each.
    """

    points: np.ndarray
    seeds: slice
    results: Results


class Store(NamedTuple):
    """An open store, read and written on a grid.

    axes: of the grid; positions: where its values are along each axis of all that the store holds; identity: of its
    sweep.
    """

    path: Path
    manifest: Manifest
    axes: Axes
    positions: list[np.ndarray]
    identity: str

    def chunk_numbers(self) -> np.ndarray:
        """Number the chunks that the points of the grid are in, (axes...)."""
        chunk = self.manifest.chunk[:-1]
        places = np.meshgrid(*(p // c for p, c in zip(self.positions, chunk, strict=True)), indexing="ij")
        _, number = np.unique(np.stack(places).reshape(len(places), -1), axis=1, return_inverse=True)
        return number.reshape(places[0].shape)


def empty(shape: tuple[int, ...], num_times: int) -> Results:
    """Return results that are all missing; shape: (axes..., S)."""
    return Results(*(np.full((*shape, num_times), np.nan) for _ in Results._fields))


def prepare(path: Path, made: Manifest) -> list[Fault]:
    """Create a locked store, or extend one of the same settings by the values and seeds that it lacks.

    made: what it would be if it were created. Files that do not agree with what the store is of are made anew, and
    returned. Raises ValueError for a store of another sweep: nothing of it is touched.
    """
    known, header, damaged = manifest.read(path), made.header, []
    if known is not None:
        made = made._replace(header=_merged(path, known.header, header), chunk=known.chunk, runs=known.runs)
        damaged = manifest.faults(path, known)
    with explained(path):
        for leftover in path.rglob("*.partial"):  # of a process that was killed
            leftover.unlink(missing_ok=True)
        forget_parts(path)
        manifest.write(path, made)
    return damaged


def covers(path: Path, made: Manifest) -> bool:
    """Is there a whole store of the same settings, with all values and seeds? ValueError for another sweep's."""
    known = manifest.read(path)
    if known is None or manifest.faults(path, known):
        return False
    merged = _merged(path, known.header, made.header)
    return merged.axes.shape == known.header.axes.shape and len(merged.keys) == len(known.header.keys)


def chunk_shape(header: Header, most: int) -> tuple[int, ...]:
    """Return the points along each axis, at most `most` of them, and the seeds of a chunk in a new store."""
    axes, num_times, num_seeds = header.axes, len(header.times), len(header.keys)
    block = max(1, min(num_seeds, LARGEST_CHUNK // (8 * num_times)))
    # points along the last axis that is no size: those of one shape come one after the other
    several = max((i for i, name in enumerate(axes.values) if name not in SIZES), default=None)
    few = min(most, SMALL_CHUNK // (8 * block * num_times), axes.shape[several] if several is not None else 1)
    return (*(max(1, few) if i == several else 1 for i in range(len(axes.shape))), block)


def open_store(path: Path, grid: Axes | None = None, argument: str = "out") -> Store:
    """Open a store that `prepare` made, on a grid that it covers, else on its whole grid; ValueError if it is none.

    Its own axes are read in increasing order.
    """
    known = manifest.read(path, argument)
    if known is None:
        refuse(path, "is not a store, or was only begun", argument)
    axes = known.header.axes.values
    grid = Axes({name: np.sort(values) for name, values in axes.items()}) if grid is None else grid
    positions = [
        np.array([int(np.flatnonzero(axes[name] == value)[0]) for value in values])
        for name, values in grid.values.items()
    ]
    return Store(path, known, grid, positions, known.identity)


def load(store: Store, num_seeds: int) -> tuple[Results, list[Fault]]:
    """Return what the store holds of its grid and of the first seeds, and what of that cannot be used."""
    *chunk, block = store.manifest.chunk
    results = empty((*map(len, store.positions), num_seeds), len(store.manifest.header.times))
    faults = []
    numbers = [p // c for p, c in zip(store.positions, chunk, strict=True)]
    within = [{i: np.flatnonzero(number == i) for i in np.unique(number).tolist()} for number in numbers]
    for place in itertools.product(*within, range(-(-num_seeds // block))):
        contents = {name: zarr_files.read(store.path / _file(name, place)) for name in FIELDS}
        if all(content is None for content in contents.values()):
            continue
        seeds = np.arange(place[-1] * block, min((place[-1] + 1) * block, num_seeds))
        here = [axis[i] for axis, i in zip(within, place, strict=False)]  # on the grid
        there = [p[x] % c for p, x, c in zip(store.positions, here, chunk, strict=True)]  # in the chunk
        for name, content in contents.items():
            sealed = _unsealed(store, name, place, content)
            if sealed is None:
                last = name == list(FIELDS)[-1]
                reason = DAMAGED if content is not None else UNFINISHED if last else MISSING
                faults.append(Fault(_file(name, place), reason))
            else:
                getattr(results, name)[np.ix_(*here, seeds)] = sealed.values[np.ix_(*there, seeds % block)]
    return results, faults


def load_whole(store: Store, num_seeds: int) -> Results:
    """Return what the store holds of its grid and of the first seeds; ValueError for a file that is damaged or gone.

    A chunk whose risk alone is not there may just be written: its runs are missing.
    """
    results, faults = load(store, num_seeds)
    for file, reason in manifest.faults(store.path, store.manifest) + faults:
        if reason != UNFINISHED:
            cure = "delete it and " if reason == DAMAGED else ""
            cure = f"{cure}run the same sweep again to recompute it"
            raise ValueError(f"The store {store.path} cannot be read: its file {file} {reason}; {cure}.")
    return results


def write(store: Store, chunk: Chunk) -> None:
    """Add a chunk of the grid, its risk last; undamaged values of the file stay beside it."""
    known, shape = store.manifest, (*store.manifest.chunk, len(store.manifest.header.times))
    points = [p[i] for p, i in zip(store.positions, chunk.points.T, strict=True)]  # of each axis, (points,)
    first = [*(p[0] for p in points), chunk.seeds.start]
    place = tuple(int(x) // c for x, c in zip(first, known.chunk, strict=True))
    start = [i * c for i, c in zip(place, known.chunk, strict=True)]
    sizes = (*known.header.axes.shape, len(known.header.keys))
    extent = tuple(min(c, n - i) for c, n, i in zip(known.chunk, sizes, start, strict=True))
    inside = tuple(p - i for p, i in zip(points, start, strict=False))
    among = slice(chunk.seeds.start - start[-1], chunk.seeds.stop - start[-1])
    for name in FIELDS:
        path, values = store.path / _file(name, place), np.full(shape, np.nan)
        with explained(store.path):
            before = _unsealed(store, name, place, zarr_files.read(path))
            if before is not None:
                values[...] = before.values
            values[(*inside, among)] = getattr(chunk.results, name)
            whole = Sealed(values, (*extent, shape[-1]))
            zarr_files.replace(path, zarr_files.seal(whole, _statement(store, name, place)))


@contextlib.contextmanager
def writer(store: Store) -> Iterator[Callable[[Chunk], None]]:
    """Yield `write` in threads, so that the disk is waited for beside the computation; all is written at the end.

    A write that fails raises at the next one, or at the end.
    """
    with ThreadPoolExecutor(WRITERS) as pool:
        waiting: list[Future] = []

        def write_later(chunk: Chunk) -> None:
            for done in [future for future in waiting if future.done()]:
                waiting.remove(done)
                done.result()
            waiting.append(pool.submit(write, store, chunk))

        yield write_later  # where the computation fails, what is waiting is still written: the pool is joined
        for future in waiting:
            future.result()


def _file(name: str, place: tuple[int, ...]) -> str:
    return "/".join([name, "c", *map(str, place), "0"])  # all times are in one chunk


def _statement(store: Store, name: str, place: tuple[int, ...]) -> Statement:
    """Return the identity of a chunk, with its extent in the array along each axis."""
    axes, keys = store.manifest.header.axes.values, store.manifest.header.keys

    def of(extent: tuple[int, ...]) -> bytes:
        parts = [slice(i * c, i * c + n) for i, c, n in zip(place, store.manifest.chunk, extent, strict=False)]
        points = {axis: values[part].tolist() for (axis, values), part in zip(axes.items(), parts, strict=False)}
        return json.dumps([store.identity, name, place, points, keys[parts[-1]].tolist()]).encode()

    return of


def _unsealed(store: Store, name: str, place: tuple[int, ...], content: bytes | None) -> Sealed | None:
    if content is None:
        return None
    shape = (*store.manifest.chunk, len(store.manifest.header.times))
    return zarr_files.unseal(content, shape, _statement(store, name, place))


def _merged(path: Path, known: Header, header: Header) -> Header:
    """Return both together, values in the order they came, so that chunks stay where they are."""
    for name in sorted({*known.settings, *header.settings}):
        there, here = (settings.get(name) for settings in (known.settings, header.settings))
        if there != here:
            refuse(path, f"is of another sweep, in which {name} is {there}, not {here}")
    if list(known.axes.values) != list(header.axes.values):
        refuse(path, f"has axes {', '.join(known.axes.values)}, not {', '.join(header.axes.values)}")
    if not np.array_equal(known.times, header.times):
        refuse(path, "has other times")
    longer, shorter = sorted((known.keys, header.keys), key=len, reverse=True)
    if not np.array_equal(longer[: len(shorter)], shorter):
        refuse(path, "was made with other keys")
    merged = {x: np.concatenate([v, np.setdiff1d(header.axes.values[x], v)]) for x, v in known.axes.values.items()}
    return header._replace(axes=Axes(merged), keys=longer)
