"""`rfm figures`: published figures and claims, each run as theory and simulation side by side, with a verdict."""

import argparse
import dataclasses
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from experiments.commands.settings import settings_of
from experiments.output import children, console, progress, tables
from experiments.papers import images
from experiments.papers import row as rows
from experiments.papers.index import ROW_MODULES, load
from experiments.papers.row import Row, Script
from rfm import checks

ARGUMENTS = ("seed", "out")
JOBS = 2  # rows at a time: compilation, most of a small row, uses one core


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which rows, and what they run with.

    Attributes:
        names: Rows, or the beginnings of their names.
        all: Every row.
        size: One of `rows.SCALES`.
        data: Real data in place of that of the rows.
        seed: Of the first key.
        out: Folder of the files.
    """

    names: Sequence[str]
    all: bool
    size: str
    data: str | None
    seed: int
    out: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which rows, and how large."""
    add_choice(parser)
    parser.add_argument("--list", action="store_true", help="print the names of all rows and what they claim")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose rows, for the report too."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows, or the beginnings of their names (S1, S2-T)")
    parser.add_argument("--all", action="store_true", help="every row")
    parser.add_argument(
        "--size", choices=rows.SCALES, default="full", help="full: minutes a row; smoke: seconds, too small to judge by"
    )
    parser.add_argument(
        "--quick", dest="size", action="store_const", const="smoke", default=argparse.SUPPRESS,
        help="the same as --size smoke",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="DATA", help="real data for rows that use it: a data set or a file, with classes as labels"
    )


def run(args: argparse.Namespace) -> None:
    """Run the rows asked for; print a verdict line for each."""
    if args.list:
        scripts = map(load, ROW_MODULES)
        shown = [{"row": s.name, "shows": s.title, "source": s.source, "claim": s.claim} for s in scripts]
        console.tell(listing(), shown)
        return
    settings = settings_of(Settings, args)
    done = []
    for row in run_rows(choose(settings), settings):
        tell(row)
        done.append(dataclasses.asdict(row))
    console.tell(record=done)


def choose(settings: Settings) -> list[Script]:
    """Return the rows that are named, in the order of ROW_MODULES.

    Raises:
        ValueError: None are named, or data is given where a row takes none; errors of `images.load` for data that a
            row needs and that cannot be had. All before any work.
    """
    unknown = [part for part in settings.names if not any(begins(name, part) for name in ROW_MODULES)]
    if not (settings.names or settings.all):
        raise ValueError("Name at least one row (e.g. S1-4, or a prefix such as S2), or use --all.")
    if unknown:
        checks.fail("NAME", f"a row, or the beginning of some ({', '.join(ROW_MODULES)})", unknown[0])
    parts = ("",) if settings.all else settings.names
    scripts = [load(name) for name in ROW_MODULES if any(begins(name, part) for part in parts)]
    sources = {script.parameters(settings.size, settings.data).get("data") for script in scripts}
    for source in sources - {None}:
        images.load(str(source), settings.seed)
    return scripts


def begins(name: str, part: str) -> bool:
    """Return whether a part of a name means this row: a row's whole name that row alone, so that a child runs one.

    A beginning cuts no number in two.

    Example:
        >>> [begins(name, "S1") for name in ("S1-4", "S10")], begins("FL-10", "FL-1"), begins("FL-10", "FL")
        ([True, False], False, True)
    """
    if part in ROW_MODULES:
        return name == part
    return name.startswith(part) and not (part[-1:].isdigit() and name[len(part) : len(part) + 1].isdigit())


def run_rows(scripts: Sequence[Script], settings: Settings) -> Iterator[Row]:
    """Yield each row when it is done, in order: a single one here, several JOBS at a time in processes of their own."""
    if len(scripts) < 2:
        yield from (script(settings.size, settings.out, settings.seed, settings.data) for script in scripts)
        return
    with ThreadPoolExecutor(min(JOBS, os.cpu_count() or 1)) as pool, progress.bar(len(scripts), "row") as bar:
        under_way: list[str] = []  # names, in the order they were started

        def run_row(script: Script) -> Row:
            under_way.append(script.name)
            bar.set_description(", ".join(under_way))
            row = _in_own_process(script, settings)
            under_way.remove(script.name)
            bar.set_description(", ".join(under_way))
            bar.update()
            return row

        started = [pool.submit(run_row, script) for script in scripts]
        try:
            yield from (future.result() for future in started)
        finally:
            pool.shutdown(cancel_futures=True)


def _in_own_process(script: Script, settings: Settings) -> Row:
    """Return the row as another process leaves it; OSError with its last words where it fails."""
    options = ["--size", settings.size, "--out", settings.out, "--seed", str(settings.seed)]
    options += [] if settings.data is None else ["--data", settings.data]
    ended = children.run("-m", "experiments.cli", "figures", script.name, *options)
    if ended.returncode:
        words = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise OSError(f"row {script.name}: {words[-1]}")
    return rows.read(script.path(settings.size, settings.out))


def tell(row: Row) -> None:
    """Print every finding, the verdict line, and where the files are."""
    findings = [("quantity", "claimed", "measured", "verdict"), *map(dataclasses.astuple, row.findings)]
    wrote = f"wrote {row.stem}.png, .pdf, .csv, .json ({row.seconds:.0f} s)"
    console.tell(f"{tables.align(findings)}\n{row.line}\n{wrote}")


def listing() -> str:
    """Return a table of the name, source and claim of every row."""
    scripts = map(load, ROW_MODULES)
    return tables.align([("row", "shows", "source", "claim"), *((s.name, s.title, s.source, s.claim) for s in scripts)])
