"""`rfm rerun`: a result made again from the JSON file beside it."""

import argparse
import sys

from experiments.output import console, files, provenance

ARGUMENTS = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which result, where the new one goes, and what is changed."""
    parser.add_argument("file", metavar="FILE", help="the JSON file that a command wrote beside its figure and table")
    parser.add_argument("--out", metavar="DIR", help="folder for the result (default: that of the command line)")
    parser.add_argument("--seed", type=int, help="another seed of the first key (default: that of the command line)")
    parser.add_argument("--quick", action="store_true", help="a first look at it")


def command_line(args: argparse.Namespace) -> list[str]:
    """Return the words after `rfm` that make the result again; ValueError where the file does not tell."""
    arguments, versions = provenance.read(args.file)
    here = files.versions()
    other = [f"{name} {version}" for name, version in versions.items() if here.get(name) != version]
    if other:
        print(f"rfm rerun: the result was made with {', '.join(other)}", file=sys.stderr)
    words = [f"--{name}={value}" for name in ("out", "seed") if (value := getattr(args, name)) is not None]
    return [*arguments, *words, *(["--quick"] if args.quick else []), *console.options()]
