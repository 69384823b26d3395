"""`rfm figures`: published figures and claims, each run as theory and simulation side by side, with a verdict."""

import argparse
import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from experiments.output.tables import align
from experiments.papers import images
from experiments.papers import row as rows
from experiments.papers.index import ROWS, load
from experiments.papers.row import Row, Script
from rfm import checks

ARGUMENTS = ("seed", "out")
JOBS = 2  # rows at a time: compilation, most of a small row, uses one core


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which rows, and how large."""
    add_choice(parser)
    parser.add_argument("--list", action="store_true", help="print the names of all rows and what they claim")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Arguments that choose rows, for the report too."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows, or the beginnings of their names (S1, S2-T)")
    parser.add_argument("--all", action="store_true", help="every row")
    parser.add_argument(
        "--size", choices=rows.SIZES, default="full", help="full: minutes a row; smoke: seconds, too small to judge by"
    )
    quick = {"action": "store_const", "const": "smoke", "default": argparse.SUPPRESS}
    parser.add_argument("--quick", dest="size", **quick, help="the same as --size smoke")
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="real data for rows that train on it: a set, or a file, whose labels are classes",
    )


def run(args: argparse.Namespace) -> None:
    """Run the rows asked for; print a verdict line for each."""
    if args.list:
        print(listing())
        return
    for row in run_rows(choose(args), args):
        tell(row)


def choose(args: argparse.Namespace) -> list[Script]:
    """The rows that the arguments name, in the order of ROWS.

    Raises ValueError where they name none, for --data where a row takes none, and as `images.load` does for
    data that a row needs and that cannot be had: before any work.
    """
    unknown = [part for part in args.names if not any(name.startswith(part) for name in ROWS)]
    if unknown or not (args.names or args.all):
        allowed = f"--all, or of {', '.join(ROWS)}, or how some of them begin"
        checks.fail("NAME", allowed, unknown[0] if unknown else None)
    scripts = [load(name) for name in ROWS if args.all or any(name.startswith(part) for part in args.names)]
    data = {script.parameters(args.size, args.data).get("data") for script in scripts} - {None}
    for source in data:
        images.load(source, args.seed)
    return scripts


def run_rows(scripts: Sequence[Script], args: argparse.Namespace) -> Iterator[Row]:
    """Each row as it is done, in order: a single one here, of several JOBS at a time, each in a process of its own."""
    if len(scripts) < 2:
        yield from (script(args.size, args.out, args.seed, args.data) for script in scripts)
        return
    with ThreadPoolExecutor(min(JOBS, os.cpu_count() or 1)) as pool, tqdm(total=len(scripts), unit="row") as bar:

        def one(script: Script) -> Row:
            row = _in_own_process(script, args)
            bar.update()
            return row

        started = [pool.submit(one, script) for script in scripts]
        try:
            yield from (future.result() for future in started)
        finally:
            pool.shutdown(cancel_futures=True)


def _in_own_process(script: Script, args: argparse.Namespace) -> Row:
    """The row as another process leaves it. Raises OSError with its last words where it fails."""
    options = ["--size", args.size, "--out", args.out, "--seed", str(args.seed)]
    command = [sys.executable, "-m", "experiments.cli", "figures", script.name, *options]
    command += [] if args.data is None else ["--data", args.data]
    ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if ended.returncode:
        words = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise OSError(f"row {script.name}: {words[-1]}")
    return rows.read(Path(args.out) / f"{script.name}.json")


def tell(row: Row) -> None:
    """Every finding, the verdict line, and where the files are."""
    print(align([("quantity", "claimed", "measured", "verdict"), *map(dataclasses.astuple, row.findings)]))
    print(row.line)
    print(f"wrote {row.stem}.png, .pdf, .csv, .json ({row.seconds:.0f} s)", flush=True)


def listing() -> str:
    """Name, source and claim of every row."""
    scripts = [load(name) for name in ROWS]
    return align([("row", "shows", "source", "claim"), *((s.name, s.title, s.source, s.claim) for s in scripts)])
