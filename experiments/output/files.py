"""Files that every command leaves behind: a figure, a table, and the settings, versions and seeds that made them."""

import csv
import dataclasses
import errno
import glob
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from matplotlib.figure import Figure

from experiments.output import provenance
from rfm import checks

SUFFIXES = (".json", ".csv", ".png", ".pdf")  # in the order in which they are written
PNG_END = b"IEND\xaeB`\x82"
PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "optax", "matplotlib", "random-feature-theory")


@dataclasses.dataclass(frozen=True)
class Result:
    """Everything that a command leaves.

    Attributes:
        name: Of its files.
        rows: Of the table.
        settings: What made it, and numbers that the table has no place for.
        figure: Draws it; called when the table is on disk.
        text: What is printed when all is on disk.
    """

    name: str
    rows: Sequence[dict]
    settings: dict
    figure: Callable[[], Figure]
    text: str = ""


def name_of(command: str, data: str | None) -> str:
    """Return the name of the files of a command, with the name of its data if it has any."""
    return command if data is None else f"{command}-{Path(data).stem}"


def check_folder(out: str) -> Path:
    """Return the output folder, which is made with its first file; ValueError at once if it cannot be written."""
    folder = Path(out)
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        checks.fail("out", f"a folder that can be written ({error.strerror})", out)
    return folder


def save(folder: Path, result: Result) -> list[Path]:
    """Write NAME.json, NAME.csv, NAME.png and NAME.pdf, each under a temporary name first.

    An earlier result of other settings is not replaced: its files are numbered, NAME-1, NAME-2 and so on. The settings
    come first: what a killed command has left beside them is known to be of the same result.

    Raises:
        OSError: A file cannot be written; the message names it, and earlier files are complete.
        ValueError: The figure cannot be drawn; the table and its settings are there.
    """
    record = {"settings": result.settings, "versions": versions()}
    written = [folder / f"{result.name}{suffix}" for suffix in SUFFIXES]
    settings, table, png, pdf = written
    _keep_earlier(settings, record)
    save_settings(folder, result.name, result.settings)
    replace(table, lambda path: write_rows(path, result.rows))
    try:
        figure = result.figure()
    except (OSError, MemoryError):
        raise
    except Exception as error:  # matplotlib raises of many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{png} cannot be drawn ({reason}); {table} and {settings} are written.") from error
    if result.settings.get("quick") or result.settings.get("size") == "smoke":
        figure.text(0.995, 0.995, "quick look: few points", ha="right", va="top", fontsize=7, color="0.4")
    replace(png, lambda path: figure.savefig(path, format="png", dpi=150))
    replace(pdf, lambda path: figure.savefig(path, format="pdf"))
    return written


def save_settings(folder: Path, name: str, settings: dict) -> None:
    """Write NAME.json: settings, and versions of what made a result."""
    text = json.dumps({"settings": settings, "run": provenance.record(), "versions": versions()}, indent=2, default=str)
    replace(folder / f"{name}.json", lambda path: path.write_text(text + "\n"))


def _keep_earlier(settings: Path, record: dict) -> None:
    """Give files of an earlier result a number, unless it is the same result."""
    there = [path for path in map(settings.with_suffix, SUFFIXES) if path.exists()]
    if not there or _is_same(settings, record):
        return
    number = 1
    while any(settings.with_name(f"{settings.stem}-{number}{suffix}").exists() for suffix in SUFFIXES):
        number += 1
    for path in there:
        path.rename(path.with_name(f"{path.stem}-{number}{path.suffix}"))
    print(f"kept the earlier result as {settings.with_name(f'{settings.stem}-{number}')}.*", file=sys.stderr)


def _is_same(settings: Path, record: dict) -> bool:
    """Has the file the same settings and results, apart from the duration and the outcome of a check?"""
    try:
        earlier = json.loads(settings.read_text())["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    timeless = lambda given: {name: value for name, value in given.items() if name not in ("seconds", "check")}  # noqa: E731
    return timeless(earlier) == timeless(json.loads(json.dumps(record["settings"], default=str)))


def whole(stem: Path) -> bool:
    """Are the table and the figures of a result there, and not cut short?"""
    try:
        table, png, pdf = (Path(f"{stem}{suffix}").read_bytes() for suffix in (".csv", ".png", ".pdf"))
    except OSError:
        return False
    complete = png.startswith(b"\x89PNG") and png.endswith(PNG_END) and pdf.rstrip().endswith(b"%%EOF")
    return complete and pdf.startswith(b"%PDF") and table.count(b"\n") > 1 and table.endswith(b"\n")


def write_rows(path: Path, rows: Sequence[dict]) -> None:
    """Write a CSV table whose columns are all keys of the rows, in the order in which they first come."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)


def save_and_tell(folder: Path, result: Result) -> None:
    """Save, then print the text of the result and which files were written: what is printed is on disk."""
    written: list[Path] = []
    try:
        written = save(folder, result)
    finally:  # print the result even if a figure fails or the disk is full
        print(result.text, flush=True)
    print(f"wrote {', '.join([str(written[0]), *(path.suffix for path in written[1:])])}", flush=True)


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file under a temporary name, then rename it, so that no reader sees half a file.

    Temporary files of processes that were killed are removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            if not psutil.pid_exists(int(stale.name.split(".")[-2])):
                stale.unlink(missing_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(f"{path} could not be written ({error.strerror or error}).") from error
    finally:
        temporary.unlink(missing_ok=True)


def versions() -> dict[str, str | None]:
    """Return versions of the packages that results depend on, and the machine."""
    machine = {"python": sys.version.split()[0], "platform": platform.platform(), "dtype": "float64"}
    return {package: _version(package) for package in PACKAGES} | machine


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
