"""`rfm rerun`: a result made again from the JSON file beside it."""

import argparse
import sys

from experiments.output import files, provenance

ARGUMENTS = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which result, and where the new one goes."""
    parser.add_argument("file", metavar="FILE", help="the JSON file that a command wrote beside its figure and table")
    parser.add_argument("--out", metavar="DIR", help="folder for the result (default: that of the command line)")


def command_line(args: argparse.Namespace) -> list[str]:
    """Return the words after `rfm` that make the result again; ValueError where the file does not tell."""
    arguments, versions = provenance.read(args.file)
    here = files.versions()
    other = [f"{name} {version}" for name, version in versions.items() if here.get(name) != version]
    if other:
        print(f"rfm rerun: the result was made with {', '.join(other)}", file=sys.stderr)
    return [*arguments, *([] if args.out is None else ["--out", args.out])]
