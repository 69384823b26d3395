"""Words of the command line to settings: all commands, the options that they share, and what a wrong word is told."""

import argparse
import importlib
import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from experiments.output import console, manual

COMMANDS = {
    "compare": "train random-feature models beside their theory; exponents for time, model size and data (about 1 min)",
    "double-descent": "risk against N, P and t through the interpolation peak, and what stops it (about 1 min)",
    "decompose": "bias, variances and noise that the risk is made of, against t, N and P (about 15 s)",
    "modes": "the share of each mode that is learned against time, and how it scatters (about 1 min)",
    "exponents": "every scaling exponent: claimed, closed form, theory (about 15 s) and, with --simulate, simulation",
    "phases": "the phases of compute-optimal one-pass SGD, formulas and measured exponents on a grid (about 1 min)",
    "predict": "learning curves of your own features or kernel and labels, before any training (about 1 min)",
    "frontier": "the best model size and training time for a compute budget (about 1 min)",
    "fit": "fit laws to measured losses (power laws, the theory, schedules); predict held-out losses and best sizes",
    "schedule": "the best learning rate at every step, and what families of schedules lose to it (about 1 min)",
    "epochs": "loss against epochs: what using samples again is worth, and when to stop (about 1 min)",
    "sweep": "run a grid of settings and seeds from a TOML file, on all devices, beside its theory; resumable",
    "explore": "a page in the browser with a slider for every number; the theory follows the sliders",
    "figures": "published figures and claims, theory beside simulation, each with a verdict (minutes a row)",
    "report": "published claims and their verdicts on one HTML page, with every figure",
    "rerun": "make a result again, from the command line kept in its JSON file",
    "scale-time": "is a larger model a faster clock? where that holds, and where it fails (about 2 min)",
}
# arguments that several commands take; a command names those it has in ARGUMENTS
SHARED = {
    "a": dict(type=float, default=1.8, help="task exponent, lambda_k w_k^2 = k^-a"),
    "b": dict(type=float, default=1.5, help="spectral exponent, lambda_k = k^-b"),
    "modes": dict(type=int, default=10_000, metavar="M", help="number of modes"),
    "noise": dict(type=float, default=0.0, metavar="VAR", help="variance of the label noise"),
    "seeds": dict(type=int, default=16, help="independent draws, each with its own features and data"),
    "seed": dict(type=int, default=0, help="seed of the first key"),
    "out": dict(default="results", metavar="DIR", help="folder for figure, table and settings"),
    "quick": dict(action="store_true", help="a first look: fewer points, seeds or sizes, files named *-quick"),
}
NO_DRAWS = SHARED["seed"] | dict(help="accepted as by every command; this one uses no random numbers")
RICHNESS: dict[str, Any] = dict(
    type=float, default=0.0, metavar="GAMMA", help="train features too, this many times as fast as the readout"
)
# every command takes these
PRINTED: dict[str, dict[str, Any]] = {
    "json": dict(action="store_true", help="print the result as one JSON document, and nothing else"),
    "quiet": dict(action="store_true", help="print neither tables nor progress; files, warnings and errors stay"),
}
ALONE: dict[str, Any] = {"dest": argparse.SUPPRESS, "default": argparse.SUPPRESS}  # leaves nothing in the arguments
WITHOUT_COMMAND = ("-h", "--help", "--version", "--completion")
# what argparse says, and what is told in its place
WORDS = (
    (r"argument (\S+): invalid (int|float) value: (.*)", r"\1 must be a \2, but is \3"),
    (r"argument (\S+): invalid choice: (.*) \(choose from (.*)\)", r"\1 must be one of \3, but is \2"),
    (r"the following arguments are required: (.*)", r"\1 is missing"),
    (r"argument (\S+): (.*)", r"\1: \2"),
    (r"must be a int", "must be an integer"),
    (r"must be a float", "must be a number"),
)


def parse(given: Sequence[str]) -> argparse.Namespace:
    """Parse arguments; exit with code 2, and a guess at what was meant, for a command or option that does not exist."""
    parser = build_parser(_named(given))
    if given[0] not in COMMANDS and given[0].partition("=")[0] not in WITHOUT_COMMAND:
        guess = manual.guess(given[0], COMMANDS)
        parser.exit(2, f"rfm: error: there is no command {given[0]}{guess or ';'} `rfm` alone lists all of them.\n")
    args, unknown = parser.parse_known_args(given)
    if unknown:
        options = ["--" + name.replace("_", "-") for name in vars(args)]
        guess = (
            manual.guess(unknown[0].partition("=")[0], options) or f"; `rfm {args.command} --help` lists all of them"
        )
        parser.exit(2, f"rfm {args.command}: error: {unknown[0]} is not an option here{guess}\n")
    console.begin(console.Form(args.json, args.quiet))
    for name in PRINTED:  # how a result is told is no part of it
        delattr(args, name)
    return args


def _named(argv: Sequence[str]) -> str:
    """Return the command that the arguments begin with, so that no other one is imported; empty where there is none."""
    return argv[0] if argv and argv[0] in COMMANDS else ""


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return a parser of all commands, or of one of them, with the arguments they share."""
    parser = _Parser(
        prog="rfm", description="Random-feature models trained by gradient descent, beside their closed-form theory."
    )
    parser.add_argument("--version", action=_Version, nargs=0, **ALONE, help="print versions and stop")
    parser.add_argument(
        "--completion",
        action=_Completion,
        metavar="SHELL",
        **ALONE,
        help="print a completion script: bash, zsh, tcsh",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        sub = subparsers.add_parser(name, help=summary, description=summary, formatter_class=_HelpFormatter)
        if only not in (None, name):
            continue
        module = command(name)
        for argument in getattr(module, "ARGUMENTS", SHARED):
            sub.add_argument("--" + argument, **SHARED[argument])
        module.add_arguments(sub)
        for argument, keywords in PRINTED.items():
            sub.add_argument("--" + argument, **keywords)
    return parser


def command(name: str) -> ModuleType:
    """Return the module of a command."""
    return importlib.import_module(f"experiments.commands.{name.replace('-', '_')}")


class _Parser(argparse.ArgumentParser):
    """Errors in one line, with where the options of that command are explained."""

    def error(self, message: str) -> NoReturn:
        for said, shown in WORDS:
            message = re.sub(said, shown, message)
        self.exit(2, f"{self.prog}: error: {message}; `{self.prog} --help` explains all options\n")


class _Version(argparse.Action):
    """Versions of this package and of what it rests on, looked up when they are asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import rfm
        from experiments.output import files

        versions = {"rfm": rfm.__version__, **files.versions()}
        print("\n".join(f"{name} {version}" for name, version in versions.items() if version is not None))
        parser.exit(0)


class _Completion(argparse.Action):
    """The script that completes words of this command line in a shell."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: object, values: object, *_: object) -> None:
        try:
            shtab = importlib.import_module("shtab")
        except ImportError:
            parser.exit(2, "rfm: error: --completion needs the package shtab: pip install shtab\n")
        if values not in shtab.SUPPORTED_SHELLS:
            parser.error(f"--completion must be one of {', '.join(shtab.SUPPORTED_SHELLS)}, but is {values!r}")
        print(shtab.complete(build_parser(), str(values)))
        parser.exit(0)


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Help with defaults, but for those that depend on other arguments and are given in words."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        hidden = action.default is None or action.default is False
        return action.help if hidden else super()._get_help_string(action)
