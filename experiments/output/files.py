"""Files that every command leaves behind: a figure, a table, and the settings, versions and seeds that made them."""

import csv
import dataclasses
import errno
import glob
import importlib.metadata
import io
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil
from matplotlib.figure import Figure

from experiments.output import console, provenance
from experiments.output.axes import tidy
from rfm import checks

DPI = 150  # pixels an inch, of what is not drawn as lines in a PDF too
SUFFIXES = (".json", ".csv", ".png", ".pdf")  # in the order in which they are written
PNG_END = b"IEND\xaeB`\x82"
PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "optax", "matplotlib", "random-feature-theory")


@dataclasses.dataclass(frozen=True)
class Result:
    """Everything that a command leaves.

    Attributes:
        name: Of its files; that of a quick look is marked, see `marked`.
        rows: Of the table.
        settings: What made it, and numbers that the table has no place for.
        figure: Draws it; called when the table is on disk.
        text: What is printed when all is on disk.
        tables: Rows of several tables NAME_PART.csv by their part, in place of one table; `rows` is empty then.
    """

    name: str
    rows: Sequence[dict]
    settings: dict
    figure: Callable[[], Figure]
    text: str = ""
    tables: Mapping[str, Sequence[dict]] = dataclasses.field(default_factory=dict)

    @property
    def quick(self) -> bool:
        """Is it a quick look?"""
        return bool(self.settings.get("quick")) or self.settings.get("size") == "smoke"

    def path(self, folder: Path, suffix: str) -> Path:
        """Return where one of its files goes."""
        return folder / f"{marked(self.name, quick=self.quick)}{suffix}"

    def texts(self, folder: Path) -> dict[Path, str]:
        """Return where each of its tables goes, and the text of it."""
        if not self.tables:
            return {self.path(folder, ".csv"): table_text(self.rows)}
        stems = {part: marked(f"{self.name}_{part}", quick=self.quick) for part in self.tables}
        return {folder / f"{stem}.csv": table_text(self.tables[part]) for part, stem in stems.items()}


def name_of(command: str, *parts: str | None) -> str:
    """Return the name of the files of a command: what they are of, such as its data, is part of it.

    Example:
        >>> name_of("compare", "digits", None), name_of("predict", "rows/mine.npz")
        ('compare-digits', 'predict-mine')
    """
    return "-".join([command, *(Path(part).stem for part in parts if part is not None)])


def marked(name: str, *, quick: bool) -> str:
    """Return the name of a result, with a mark where it is a quick look: it never takes the place of a whole one."""
    return f"{name}-quick" if quick else name


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

    An earlier result of other settings, or with other numbers, is not replaced: its files are numbered, NAME-1, NAME-2
    and so on. The settings come first: what a killed command has left beside them is known to be of the same result.

    Raises:
        OSError: A file cannot be written; the message names it, and earlier files are complete.
        ValueError: The figure cannot be drawn; the table and its settings are there.
    """
    settings, png, pdf = (result.path(folder, suffix) for suffix in (".json", ".png", ".pdf"))
    texts = result.texts(folder)
    _keep_earlier(settings, result)
    save_settings(settings, result.settings)
    for table, text in texts.items():
        replace(table, lambda path, text=text: path.write_text(text, newline=""))
    written, table = [settings, *texts, png, pdf], " and ".join(map(str, texts))
    try:
        figure = result.figure()
    except (OSError, MemoryError):
        raise
    except Exception as error:  # matplotlib raises of many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{png} cannot be drawn ({reason}); {table} and {settings} are written.") from error
    if result.quick:
        figure.suptitle(f"{figure.get_suptitle()}\nquick look: few points".strip(), fontsize=8, color="0.35")
    tidy(figure)
    replace(png, lambda path: figure.savefig(path, format="png", dpi=DPI))
    replace(pdf, lambda path: figure.savefig(path, format="pdf", dpi=DPI))
    return written


def save_settings(path: Path, settings: dict) -> None:
    """Write settings, the command line, and versions of what made a result."""
    text = console.as_json({"settings": settings, "run": provenance.record(), "versions": versions()})
    replace(path, lambda path: path.write_text(text + "\n"))


def _keep_earlier(settings: Path, result: Result) -> None:
    """Give files of an earlier result a number, unless it is the same result."""
    paths = dict.fromkeys([*map(settings.with_suffix, SUFFIXES), *result.texts(settings.parent)])
    there = [path for path in paths if path.exists()]
    if not there or _is_same(settings, result):
        return
    number = 1
    while any(path.with_name(f"{path.stem}-{number}{path.suffix}").exists() for path in paths):
        number += 1
    for path in there:
        path.rename(path.with_name(f"{path.stem}-{number}{path.suffix}"))
    print(f"kept the earlier result as {settings.with_name(f'{settings.stem}-{number}')}.*", file=sys.stderr)


def _is_same(settings: Path, result: Result) -> bool:
    """Has the file the same settings and table, apart from the duration and the outcome of a check?"""
    try:
        earlier = json.loads(settings.read_text())["settings"]
        # a killed command leaves settings alone
        texts = [not path.exists() or path.read_text() == text for path, text in result.texts(settings.parent).items()]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    timeless = lambda given: {name: value for name, value in given.items() if name not in ("seconds", "check")}  # noqa: E731
    same = timeless(earlier) == timeless(json.loads(console.as_json(result.settings)))
    return same and all(texts)


def whole(stem: Path) -> bool:
    """Are the table and the figures of a result there, and not cut short?"""
    try:
        table, png, pdf = (Path(f"{stem}{suffix}").read_bytes() for suffix in (".csv", ".png", ".pdf"))
    except OSError:
        return False
    complete = png.startswith(b"\x89PNG") and png.endswith(PNG_END) and pdf.rstrip().endswith(b"%%EOF")
    return complete and pdf.startswith(b"%PDF") and table.count(b"\n") > 1 and table.endswith(b"\n")


def table_text(rows: Sequence[dict]) -> str:
    """Return a CSV table whose columns are all keys of the rows, in the order in which they first come."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def save_and_tell(folder: Path, result: Result, *, last: bool = True) -> None:
    """Save, then print the text of the result and which files were written: what is printed is on disk.

    As JSON the last result of a command is printed: its settings, rows and files.
    """
    written: list[Path] = []
    try:
        written = save(folder, result)
    finally:  # print the result even if a figure fails or the disk is full
        console.tell(result.text)
    tables = {"tables": result.tables} if result.tables else {"rows": result.rows}
    record = json.loads(written[0].read_text()) | tables | {"files": [str(path) for path in written]}
    files = ", ".join([str(written[0]), *(path.name if result.tables else path.suffix for path in written[1:])])
    console.tell(f"wrote {files}", record if last else None)


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
