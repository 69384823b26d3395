"""`rfm fit`: measured losses fitted by the theory, beside a sum of power laws."""

import argparse
from collections.abc import Sequence

from experiments.commands.parsing import NO_DRAWS
from experiments.commands.settings import settings_of
from experiments.compare import algorithms
from experiments.fit import job, plots, report
from experiments.fit.losses import COLUMNS, read
from experiments.fit.table import LETTERS
from experiments.output import files, progress
from rfm import checks

ARGUMENTS = ("out", "quick")
ROLES = {
    "features": "model size N; left out: infinite",
    "samples": "training samples P; left out: fresh data at every step (tokens of one pass are a time)",
    "times": "training time t: lr x steps for flow, steps for gd; left out: training has ended",
    "loss": "loss > 0",
    "stderr": "standard error of the loss, if known",
    "run": "name or seed of a training run: points of one run are correlated",
}
LEAST_HELD = {"a": 1.0, "b": 0.0, "noise": 0.0, "scale": 0.0, "floor": 0.0}  # of parameters that can be held


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command alone."""
    parser.add_argument("file", metavar="FILE", help="CSV file with a header, a row for every measured loss, or a "
                        "column for every run (RUN - METRIC)")  # fmt: skip
    for role, words in ROLES.items():
        usual = ", ".join(COLUMNS[role])
        parser.add_argument(f"--{role}", metavar="COLUMN", help=f"{words} (default: the first there of {usual})")
    parser.add_argument("--modes", type=int, metavar="M", help="number of modes of the model (default: infinite)")
    parser.add_argument(
        "--units", nargs="*", choices=[*LETTERS.values(), "all"],
        help="axes whose unit is fitted too: needed where N, P or t are not those of the model, as for any network",
    )  # fmt: skip
    parser.add_argument(
        "--fix", nargs="+", metavar="NAME=VALUE",
        help="hold parameters: a, b, noise, scale, floor (as b=1.3 floor=0)",
    )  # fmt: skip
    parser.add_argument(
        "--hold-out", type=float, default=0.2, metavar="PART",
        help="part of the rows, of the largest N, P or t, that a second fit does not see and has to predict; 0: none",
    )  # fmt: skip
    algorithms.add_arguments(parser, ("flow", "gd"), left_out=("schedule", "weight_decay"))
    parser.add_argument("--seed", **NO_DRAWS)


def run(args: argparse.Namespace) -> None:
    """Write fit-FILE.csv, .json, .png and .pdf; print the verdict, parameters, extrapolation errors and rules."""
    settings = _settings(args)
    losses = read(settings.file, settings.columns)
    models = job.models_of(settings, losses.table)
    folder = files.check_folder(settings.out)
    with progress.bar(job.STEPS, "step", "power laws") as bar:
        fits = job.fit_both(models, losses, settings.hold_out, bar)
    text = "\n".join(report.lines(fits, asked_to_hold_out=settings.hold_out > 0))
    record = {**vars(args), **report.record(fits)}
    name = files.name_of("fit", settings.file)
    files.save_and_tell(folder, files.Result(name, report.rows(fits), record, lambda: plots.draw(fits), text))


def _settings(args: argparse.Namespace) -> job.Settings:
    """Return the settings that the command line asks for; ValueError for what is wrong before the file is read."""
    optimizer = algorithms.choose(args, 1.0)
    return settings_of(
        job.Settings,
        args,
        columns={role: getattr(args, role) for role in COLUMNS},
        optimizer=optimizer,
        num_modes=args.modes,
        units=tuple(args.units or ()),
        fixed=read_fixed(args.fix or []),
        hold_out=0.0 if args.quick else args.hold_out,
    )


def read_fixed(given: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Return NAME=VALUE as pairs; ValueError for other names, or values outside the range of a parameter."""
    fixed = {}
    for text in given:
        name, _, value = text.partition("=")
        checks.one_of("fix", name, tuple(LEAST_HELD))
        inclusive = name in ("noise", "floor")
        allowed = f"a number {'>=' if inclusive else '>'} {LEAST_HELD[name]:g}"
        try:
            fixed[name] = float(value)
        except ValueError:
            checks.fail(f"fix {name}", allowed, value)
        checks.number(f"fix {name}", fixed[name], LEAST_HELD[name], allowed, inclusive=inclusive)
    return tuple(fixed.items())
