"""Results of a sweep on disk: a zarr group of named axes with units, written chunk by chunk.

`zarr.open_group(path)` and `xarray.open_zarr(path)` read it. A chunk is a point, or some that are quickly done, with
a block of seeds; it is written under a temporary name and renamed, its risk last, so that what has a risk is whole at
any moment.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from rfm import checks
from rfm.grid import SIZES, UNITS, Axes

FORMAT = "random-feature sweep 1"
LARGEST_CHUNK, SMALL_CHUNK = 2**22, 2**16  # bytes: seeds are divided beyond one, points go together below the other
WRITERS = 4  # threads: most of a write is waiting
COORDINATES = 2**16  # values of an axis that are written at once
LONG_NAMES = {
    "risk": "E (f - target . psi)^2, label noise not included",
    "train_loss": "mean of (f - y)^2 over the training set",
}


class Results(NamedTuple):
    """Risk and training loss (axes..., S, T), NaN where a run is missing, inf from where it has diverged."""

    risk: np.ndarray
    train_loss: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """Runs without a result, (axes..., S)."""
        return np.isnan(self.risk[..., 0])

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


class Header(NamedTuple):
    """Statement of a sweep beside its results. settings: by name, what all points have in common; keys: (S,)."""

    settings: dict[str, str]
    axes: Axes
    times: np.ndarray
    keys: jax.Array


class Store(NamedTuple):
    """An open store, read and written on a grid.

    axes: all it holds, in the order they came; chunk: points along each axis and seeds of a chunk; positions: where
    the values of the grid are along each axis.
    """

    path: Path
    axes: Axes
    chunk: tuple[int, ...]
    positions: list[np.ndarray]
    arrays: dict[str, Any]

    def chunk_numbers(self) -> np.ndarray:
        """Number the chunks that the points of the grid are in, (axes...)."""
        places = np.meshgrid(*(p // c for p, c in zip(self.positions, self.chunk[:-1], strict=True)), indexing="ij")
        _, number = np.unique(np.stack(places).reshape(len(places), -1), axis=1, return_inverse=True)
        return number.reshape(places[0].shape)


def empty(shape: tuple[int, ...], num_times: int) -> Results:
    """Return results of which all are missing; shape: (axes..., S)."""
    return Results(*(np.full((*shape, num_times), np.nan) for _ in Results._fields))


def prepare(path: Path, header: Header, most: int) -> None:
    """Create the store, or extend one of the same settings by the values and seeds that it lacks.

    most: points of a chunk in a store that is created. Raises ValueError for a store of another sweep, a foreign or
    damaged file: nothing of it is touched.
    """
    keys = _key_data(header)
    if not path.exists():
        with _explained(path):
            _create(path, header, most)
        return
    axes, store, known = header.axes, open_store(path), _attributes(path)
    for name in sorted({*known["settings"], *header.settings}):
        there, here = (settings.get(name) for settings in (known["settings"], header.settings))
        if there != here:
            _refuse(path, f"is of another sweep: {name} is {there!r} there and {here!r} here")
    if list(store.axes.values) != list(axes.values):
        _refuse(path, f"has axes {', '.join(store.axes.values)}, not {', '.join(axes.values)}")
    if not np.array_equal(_read(path, store.arrays["time"]), header.times):
        _refuse(path, "has other times")
    longer, shorter = (keys, known["keys"]) if len(keys) > len(known["keys"]) else (known["keys"], keys)
    if longer[: len(shorter)] != shorter:
        _refuse(path, "was made with other keys")
    with _explained(path):
        for leftover in path.rglob("*.partial"):  # of a write that was killed
            leftover.unlink(missing_ok=True)
        # in the order they came, so that chunks stay where they are
        merged = Axes({
            name: np.concatenate([v, np.setdiff1d(axes.values[name], v)]) for name, v in store.axes.values.items()
        })  # fmt: skip
        whole = (*merged.shape, len(longer))
        # an extension that was killed leaves arrays of another shape
        shapes = {array.shape[: len(whole)] for name, array in store.arrays.items() if name != "time"}
        if merged.shape != store.axes.shape or longer != known["keys"] or shapes != {whole}:
            _extend(store, merged, longer)


def open_store(path: Path, grid: Axes | None = None, mode: Literal["r", "r+"] = "r+") -> Store:
    """Open a store that `prepare` made, on a grid that it covers, else on all of its own; ValueError where it is none.

    Its own axes are read in increasing order.
    """
    import zarr

    attributes = _attributes(path)
    try:
        group = zarr.open_group(path, mode=mode)
        arrays: dict[str, Any] = {name: group[name] for name in (*Results._fields, "time")}
    except (OSError, KeyError, ValueError, TypeError) as error:
        _refuse(path, f"is damaged ({error})")
    axes = Axes({name: np.array([float(x) for x in values]) for name, values in attributes["axes"].items()})
    positions = [
        np.array([int(np.flatnonzero(axes.values[name] == value)[0]) for value in values])
        for name, values in (_sorted(axes) if grid is None else grid).values.items()
    ]
    return Store(path, axes, arrays["risk"].chunks[:-1], positions, arrays)


def load(store: Store, num_seeds: int) -> Results:
    """Return what the store holds of its grid and of the first seeds."""
    index = (*store.positions, slice(0, num_seeds))
    return Results(*(_read(store.path, store.arrays[name], index) for name in Results._fields))


def write(store: Store, chunk: Chunk) -> None:
    """Add a chunk of the grid, its risk last."""
    places = [p[i] for p, i in zip(store.positions, chunk.points.T, strict=True)]  # of each axis, (points,)
    order, index = np.lexsort(places), [np.unique(column) for column in places]
    shape = [len(x) for x in index]
    with _explained(store.path):
        for name in reversed(Results._fields):
            values = getattr(chunk.results, name)[order]
            store.arrays[name].oindex[(*index, chunk.seeds)] = values.reshape(*shape, *values.shape[1:])


@contextmanager
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


def read_header(store: Store) -> Header:
    """Return the statement of all that the store holds, its axes in increasing order."""
    known = _attributes(store.path)
    keys = jax.random.wrap_key_data(jnp.array(known["keys"], jnp.uint32), impl=known["settings"]["key"])
    return Header(known["settings"], _sorted(store.axes), _read(store.path, store.arrays["time"]), keys)


def _create(path: Path, header: Header, most: int) -> None:
    import zarr
    from zarr.codecs import Crc32cCodec

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    settings, axes, times, key_data = *header[:3], _key_data(header)
    num_seeds = len(key_data)
    block = max(1, min(num_seeds, LARGEST_CHUNK // (8 * len(times))))
    names = tuple(axes.values)
    # points along the last axis that is no size: those of one shape come one after the other
    several = max((i for i, name in enumerate(names) if name not in SIZES), default=None)
    few = min(most, SMALL_CHUNK // (8 * block * len(times)), axes.shape[several] if several is not None else 1)
    chunk = tuple(max(1, few) if i == several else 1 for i in range(len(names)))
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
    try:
        group = zarr.create_group(temporary)
        for name, long_name in LONG_NAMES.items():
            group.create_array(
                name, shape=(*axes.shape, num_seeds, len(times)), chunks=(*chunk, block, len(times)), dtype="f8",
                fill_value=np.nan, compressors=Crc32cCodec(), dimension_names=(*names, "seed", "time"),
                attributes={"long_name": long_name, "units": "1", "comment": "NaN: not run yet; inf: diverged"},
            )  # fmt: skip
        group.create_array("time", data=times, dimension_names=("time",), attributes={"units": settings["time_unit"]})
        for name, values in _coordinates(axes, key_data).items():
            array = group.create_array(
                name, shape=values.shape, chunks=(COORDINATES,), dtype=values.dtype, dimension_names=(name,),
                attributes={"units": UNITS.get(name, "1")},
            )  # fmt: skip
            array[...] = values
        versions = {"python": sys.version.split()[0], "jax": jax.__version__, "numpy": np.__version__}
        attributes = {"settings": settings, "axes": _encode(axes), "keys": key_data}
        group.attrs.update({"format": FORMAT, **attributes, "versions": versions})
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _extend(store: Store, axes: Axes, key_data: list) -> None:
    # the attributes say what the grid is; killed before they are written, the store is as it was
    import zarr

    shape = (*axes.shape, len(key_data))
    for name in Results._fields:
        array = store.arrays[name]
        array.resize(shape + array.shape[len(shape) :])
    group = zarr.open_group(store.path, mode="r+")
    for name, values in _coordinates(axes, key_data).items():
        array: Any = group[name]
        array.resize(values.shape)
        array[...] = values
    group.attrs.update({"axes": _encode(axes), "keys": key_data})


def _coordinates(axes: Axes, key_data: list) -> dict[str, np.ndarray]:
    return {**axes.values, "seed": np.arange(len(key_data))}


def _attributes(path: Path) -> dict:
    try:
        attributes = json.loads((path / "zarr.json").read_text())["attributes"]
        if attributes["format"] == FORMAT and {"axes", "settings", "keys"} <= set(attributes):
            return attributes
    except (OSError, ValueError, KeyError, TypeError):
        pass
    _refuse(path, "is no store of a sweep, or a damaged one")


def _encode(axes: Axes) -> dict[str, list]:
    # JSON has no infinity
    return {name: [float(x) if np.isfinite(x) else "inf" for x in values] for name, values in axes.values.items()}


def _sorted(axes: Axes) -> Axes:
    return Axes({name: np.sort(values) for name, values in axes.values.items()})


def _key_data(header: Header) -> list:
    return np.asarray(jax.random.key_data(header.keys)).tolist()


def _read(path: Path, array: Any, index: tuple = (...,)) -> np.ndarray:
    try:
        return array.oindex[index] if len(index) > 1 else array[...]
    except (ValueError, OSError, RuntimeError) as error:
        _refuse(path, f"has a damaged chunk in {array.path!r} ({error})")


def _refuse(path: Path, reason: str) -> NoReturn:
    checks.fail("out", f"a new name, or the store of the same sweep; this one {reason}", str(path))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write the store ({error.strerror or error}); what it holds is whole, the same call resumes",
            str(path),
        ) from error
