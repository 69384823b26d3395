"""The statement of a store: the attributes of its group, with a digest; and every file that follows from them."""

import hashlib
import json
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

import jax
import numpy as np

from rfm import checks
from rfm.grid import UNITS, Axes
from rfm.sweeps import zarr_files

FORMAT = "random-feature sweep 2"
NAME = "zarr.json"
DIGESTED = ("format", "settings", "axes", "times", "keys", "chunk", "runs")
DAMAGED, MISSING, UNFINISHED = "is damaged", "is missing", "is not there yet"
FIELDS = {  # the last one is written last
    "train_loss": "mean of (f - y)^2 over the training set",
    "risk": "E (f - target . psi)^2, label noise not included",
}


class Fault(NamedTuple):
    """A file of a store that cannot be used, and why: DAMAGED, MISSING, or UNFINISHED (maybe just being written)."""

    file: str
    reason: str


class Header(NamedTuple):
    """Statement of a sweep beside its results.

    settings: by name, what all points have in common; keys: of the seeds, as raw numbers (S, words).
    """

    settings: dict[str, str]
    axes: Axes
    times: np.ndarray
    keys: np.ndarray


class Manifest(NamedTuple):
    """The sweep that a store is of, its axes in the order in which values came.

    chunk: points along each axis, and seeds, that are in one file; runs: of a shape in the call that made the store,
    by which the lengths of arrays were chosen.
    """

    header: Header
    chunk: tuple[int, ...]
    runs: int

    @property
    def identity(self) -> str:
        """A digest of everything that stays the same when a store is extended."""
        settings, axes, times, keys = self.header
        return _digest([FORMAT, settings, list(axes.values), _finite(times), keys.shape[1:], self.chunk])


def read(path: Path, argument: str = "out") -> Manifest | None:
    """Read what the store in a folder is of; None where no store was begun, or its file is gone.

    Raises ValueError for anything else: a file, a folder that holds other things, damage.
    """
    content, began = zarr_files.read(path / NAME), marker(path).exists()
    if content is None and (began or not path.exists() or _is_empty(path)):
        return None
    attributes = zarr_files.parsed(content or b"").get("attributes")
    known = attributes if isinstance(attributes, dict) else {}
    if known.get("format") == "random-feature sweep 1":
        older = "is of an older version, whose chunks carry no digest: delete it and run the same sweep again"
        refuse(path, older, argument)
    try:
        if known["digest"] == _digest([known[name] for name in DIGESTED]):
            axes = Axes({name: np.array([float(x) for x in values]) for name, values in known["axes"].items()})
            times, keys = np.array([float(x) for x in known["times"]]), np.array(known["keys"], np.uint32)
            header = Header(known["settings"], axes, times, keys)
            return Manifest(header, tuple(known["chunk"]), known["runs"])
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    cure = f"; delete {path / NAME} and run the same sweep again: what is whole of its chunks stays"
    refuse(path, "is not the store of a sweep, or is damaged" + (cure if began else ""), argument)


def write(path: Path, manifest: Manifest) -> None:
    """Bring every file but the chunks of results into agreement, the attributes of the group last."""
    settings, axes, times, keys = manifest.header
    for name, content in _files(manifest).items():
        if zarr_files.read(path / name) != content:
            zarr_files.replace(path / name, content)
    values = {name: _finite(x) for name, x in axes.values.items()}
    versions = {"python": sys.version.split()[0], "jax": jax.__version__, "numpy": np.__version__}
    attributes = {
        "format": FORMAT, "settings": settings, "axes": values, "times": _finite(times), "keys": keys.tolist(),
        "chunk": manifest.chunk, "runs": manifest.runs, "versions": versions,
    }  # fmt: skip
    digest = _digest([attributes[name] for name in DIGESTED])
    content = zarr_files.group(attributes | {"digest": digest})
    if zarr_files.read(path / NAME) != content:
        zarr_files.replace(path / NAME, content)


def faults(path: Path, manifest: Manifest) -> list[Fault]:
    """Return the files that should follow from the attributes of the group and do not agree with them."""
    there = {name: (zarr_files.read(path / name), content) for name, content in _files(manifest).items()}
    wrong = {name: content for name, (content, expected) in there.items() if not zarr_files.agrees(content, expected)}
    return [Fault(name, MISSING if content is None else DAMAGED) for name, content in wrong.items()]


def marker(path: Path) -> Path:
    """Return the file by which a folder is known to be ours from the first moment, and which processes lock.

    It stands where zarr does not look for arrays.
    """
    return path / "risk" / "lock"


def refuse(path: Path, reason: str, argument: str = "out") -> NoReturn:
    """Raise ValueError for a folder that cannot be the store of a sweep."""
    allowed = "a new name, or the store of the same sweep" if argument == "out" else "the store of a sweep"
    checks.fail(argument, f"{allowed} (this one {reason})", str(path))


def _files(manifest: Manifest) -> dict[str, bytes]:
    settings, axes, times, keys = manifest.header
    names, shape = (*axes.values, "seed", "time"), (*axes.shape, len(keys), len(times))
    values = {**axes.values, "seed": np.arange(len(keys)), "time": times}
    units = {**UNITS, "time": settings["time_unit"]}
    files = {}
    for name, long_name in FIELDS.items():
        attributes = {"long_name": long_name, "units": "1", "comment": "NaN: not run yet; inf: diverged"}
        files[f"{name}/zarr.json"] = zarr_files.results(shape, (*manifest.chunk, len(times)), names, attributes)
    for name in names:
        files |= zarr_files.coordinates(name, values[name], units.get(name, "1"))
    return files


def _digest(values: list) -> str:
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=zarr_files.DIGEST).hexdigest()


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(x.is_file() for x in path.rglob("*"))


def _finite(values: np.ndarray) -> list:
    # JSON has no infinity
    return [float(x) if np.isfinite(x) else "inf" for x in values]
