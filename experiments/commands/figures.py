"""`rfm figures`: published figures and claims, each run as theory and simulation side by side, with a verdict."""

import argparse
import dataclasses

from experiments import reports, rows
from experiments.figures import ROWS, load
from experiments.rows import Row
from rfm import checks

ARGUMENTS = ("seed", "out")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which rows, and how large."""
    add_choice(parser)
    parser.add_argument(
        "--data", metavar="FILE", help="FILE.npz with x (n, ...) and classes y (n,), for rows that train on real data"
    )
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


def run(args: argparse.Namespace) -> None:
    """Run the rows asked for; print a verdict line for each."""
    if args.list:
        print(listing())
        return
    scripts = [load(name) for name in choose(args)]
    for script in scripts:
        script.parameters(args.size, args.data)  # refused before any work
    for script in scripts:
        tell(script(args.size, args.out, args.seed, args.data))


def choose(args: argparse.Namespace) -> list[str]:
    """The rows that the arguments name, in the order of ROWS. Raises ValueError where they name none."""
    unknown = [part for part in args.names if not any(name.startswith(part) for name in ROWS)]
    if unknown or not (args.names or args.all):
        allowed = f"--all, or of {', '.join(ROWS)}, or how some of them begin"
        checks.fail("NAME", allowed, unknown[0] if unknown else None)
    return [name for name in ROWS if args.all or any(name.startswith(part) for part in args.names)]


def tell(row: Row) -> None:
    """Every finding, the verdict line, and where the files are."""
    print(reports.align([("quantity", "claimed", "measured", "verdict"), *map(dataclasses.astuple, row.findings)]))
    print(row.line)
    print(f"wrote {row.stem}.png, .pdf, .csv, .json ({row.seconds:.0f} s)", flush=True)


def listing() -> str:
    """Name, source and claim of every row."""
    scripts = [load(name) for name in ROWS]
    return reports.align(
        [("row", "shows", "source", "claim"), *((s.name, s.title, s.source, s.claim) for s in scripts)]
    )
