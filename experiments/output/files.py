"""Files that every command leaves behind: a figure, a table, and the settings, versions and seeds that made them."""

import csv
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from rfm import checks

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "optax", "matplotlib", "random-feature-theory")


def open_folder(out: str) -> Path:
    """Create the output folder; ValueError at once, before any work, if it cannot be written."""
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        checks.fail("out", f"a folder that can be written ({error.strerror})", out)
    return folder


def save(
    folder: Path, name: str, figure: Figure | Callable[[], Figure], rows: Sequence[dict], settings: dict
) -> list[Path]:
    """Write NAME.csv, NAME.json, NAME.png and NAME.pdf, each under a temporary name first; figures may be drawn last.

    Raises:
        ValueError: The figure could not be drawn or written; the tables are.
    """
    csv_file, json_file, png, pdf = (folder / f"{name}.{ending}" for ending in ("csv", "json", "png", "pdf"))
    replace(csv_file, lambda path: write_rows(path, rows))
    save_record(folder, name, settings)
    try:
        drawn = figure if isinstance(figure, Figure) else figure()
        replace(png, lambda path: drawn.savefig(path, format="png", dpi=150))
        replace(pdf, lambda path: drawn.savefig(path, format="pdf"))
    except Exception as error:  # of matplotlib, which raises of many kinds, or of a full disk
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"The figure {png} was not made ({reason}); {csv_file} and {json_file} are whole.") from error
    return [png, pdf, csv_file, json_file]


def save_record(folder: Path, name: str, settings: dict) -> None:
    """Write NAME.json: settings, and versions of what made a result."""
    text = json.dumps({"settings": settings, "versions": versions()}, indent=2, default=str)
    replace(folder / f"{name}.json", lambda path: path.write_text(text + "\n"))


def write_rows(path: Path, rows: Sequence[dict]) -> None:
    """Write a CSV table whose columns are all keys of the rows, in the order in which they first come."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)


def save_and_tell(folder: Path, name: str, figure: Figure, rows: Sequence[dict], settings: dict) -> None:
    """Save, and print which files were written."""
    print("wrote " + ", ".join(str(path) for path in save(folder, name, figure, rows, settings)))


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file under a temporary name, then give it its own: nobody meets half a file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
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
