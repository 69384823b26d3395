"""Files of zarr arrays (format 3), made and read here, so that every byte of a chunk of results is accounted for.

zarr reads them like any others. A chunk of results is a shard of a single inner chunk. Between that and the index,
where zarr does not look, stand how much of the chunk is in the array (`extent`) and a digest of the numbers and of what
they are results of: a chunk that was damaged, or belongs elsewhere, is known by itself, and no other file has to be
written with it.
"""

import hashlib
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np

COORDINATES = 2**10  # values of a coordinate in a file
CRC, DIGEST = 4, 32  # bytes
_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_CODECS = [_BYTES, {"name": "crc32c"}]
_BEYOND = np.iinfo(np.uint64).max  # stands past the last coordinate: as a float no number, as an integer -1

Statement = Callable[[tuple[int, ...]], bytes]  # what a chunk of some extent is results of


class Sealed(NamedTuple):
    """A chunk of results that is whole: its numbers, and how many of them along each axis were in the array."""

    values: np.ndarray
    extent: tuple[int, ...]


def group(attributes: dict[str, Any]) -> bytes:
    """Return the metadata of a group."""
    return _json({"zarr_format": 3, "node_type": "group", "attributes": attributes})


def results(shape: tuple[int, ...], chunk: tuple[int, ...], names: tuple[str, ...], attributes: dict) -> bytes:
    """Return the metadata of an array of results, NaN where nothing is written."""
    shard = {"chunk_shape": chunk, "codecs": _CODECS, "index_codecs": _CODECS, "index_location": "end"}
    codecs = [{"name": "sharding_indexed", "configuration": shard}]
    return _array(shape, chunk, names, attributes, {"data_type": "float64", "fill_value": "NaN", "codecs": codecs})


def coordinates(name: str, values: np.ndarray, units: str) -> dict[str, bytes]:
    """Return the files of a coordinate by their place in the store; values (n,) of 8 bytes."""
    fill = {"data_type": str(values.dtype), "fill_value": 0, "codecs": _CODECS}
    files = {f"{name}/zarr.json": _array(values.shape, (COORDINATES,), (name,), {"units": units}, fill)}
    words = np.full(-(-len(values) // COORDINATES) * COORDINATES, _BEYOND)
    words[: len(values)] = values.view(np.uint64)
    parts = words.astype("<u8").reshape(-1, COORDINATES)
    return files | {f"{name}/c/{i}": _with_crc(part.tobytes()) for i, part in enumerate(parts)}


def agrees(content: bytes | None, expected: bytes) -> bool:
    """Does a file say what it should, or the same with more values after the last one?

    There are more where an extension was killed before the group told of it.
    """
    if content is None or content == expected:
        return content is not None
    if expected.startswith(b"{"):
        there, here = parsed(content), json.loads(expected)
        sizes, fewest = there.pop("shape", None), here.pop("shape")
        longer = isinstance(sizes, list) and len(sizes) == len(fewest)
        return there == here and longer and all(type(n) is int and n >= m for n, m in zip(sizes, fewest, strict=True))
    if len(content) != len(expected) or _with_crc(content[:-CRC]) != content:
        return False
    there, here = (np.frombuffer(x[:-CRC], "<u8") for x in (content, expected))
    return bool(np.all((there == here) | (here == _BEYOND)))


def parsed(content: bytes) -> dict[str, Any]:
    """Return an object in JSON, or {} if there is no file."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def seal(chunk: Sealed, statement: Statement) -> bytes:
    """Return the file of a chunk of results."""
    data = _with_crc(np.ascontiguousarray(chunk.values, "<f8").tobytes())
    extent = np.array(chunk.extent, "<u4").tobytes()
    digest = hashlib.blake2b(statement(chunk.extent), digest_size=DIGEST)
    digest.update(extent + data)
    return data + extent + digest.digest() + _with_crc(np.array([0, len(data)], "<u8").tobytes())


def unseal(content: bytes, shape: tuple[int, ...], statement: Statement) -> Sealed | None:
    """Return the chunk in a file; None unless it is what `seal` wrote of it, byte for byte."""
    length = 8 * int(np.prod(shape))
    extent = np.frombuffer(content[length + CRC : length + CRC + 4 * len(shape)], "<u4")
    if len(content) != length + CRC + 4 * len(shape) + DIGEST + 16 + CRC:
        return None
    chunk = Sealed(np.frombuffer(content[:length], "<f8").reshape(shape), tuple(extent.tolist()))
    return chunk if seal(chunk, statement) == content else None


def read(path: Path) -> bytes | None:
    """Return the contents of a file, or None if it does not exist."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def replace(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it, so that no reader sees half of it."""
    temporary = path.with_name(f"{path.name}.{platform.node()}.{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_bytes(content)
    os.replace(temporary, path)


def _array(
    shape: tuple[int, ...], chunk: tuple[int, ...], names: tuple[str, ...], attributes: dict, kind: dict
) -> bytes:
    separator = {"name": "default", "configuration": {"separator": "/"}}
    return _json({
        "zarr_format": 3, "node_type": "array", "shape": shape, **kind,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}}, "chunk_key_encoding": separator,
        "dimension_names": names, "attributes": attributes, "storage_transformers": [],
    })  # fmt: skip


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


def _with_crc(data: bytes) -> bytes:
    return data + google_crc32c.value(data).to_bytes(CRC, "little")
