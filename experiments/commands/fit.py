"""`rfm fit`: measured losses to laws, what these predict, and what follows for a budget."""

import argparse
from collections.abc import Sequence

from experiments.commands.parsing import NO_DRAWS
from experiments.commands.settings import settings_of
from experiments.compare import algorithms
from experiments.fit.call import carry_out
from experiments.fit.columns import COLUMNS, OPTIONS
from experiments.fit.losses import Reading
from experiments.fit.settings import HOLD_OUT, Settings
from experiments.fit.table import LETTERS
from experiments.output import files
from rfm import checks

ARGUMENTS = ("out", "quick")
ROLES = {
    "features": "model size N; left out: infinite",
    "samples": "size P of a training set that is used repeatedly; left out: fresh data (tokens of one pass are a time)",
    "times": "training time t: tokens, steps, epochs; lr x steps for flow, steps for gd; left out: training has ended",
    "loss": "loss > 0",
    "stderr": "standard error of the loss, if known",
    "weight": "weight of a row's squared relative residual, if rows differ",
    "run": "name or seed of a training run: points of one run are correlated",
    "lr": "learning rate at each step: the law of schedules is fitted",
    "batch": "batch: samples seen are steps x batch where it differs between runs; less noise under a schedule",
    "flops": "compute C: gives t = C/(6 N) where there is no t",
}
LEAST_HELD = {"a": 1.0, "b": 0.0, "noise": 0.0, "scale": 0.0, "floor": 0.0}  # of parameters that can be held


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command alone."""
    parser.add_argument(
        "file", metavar="FILE", nargs="+", help="tables of losses: separated text with a header, JSON lines, Parquet; "
        "a row for every measured loss, or a column for every run (RUN - METRIC)",
    )  # fmt: skip
    parser.add_argument("--held-out", metavar="FILE", nargs="+",
                        help="tables of losses that are predicted from the others")  # fmt: skip
    for role, words in ROLES.items():
        usual = ", ".join(COLUMNS[role][:12])
        parser.add_argument(f"--{OPTIONS.get(role, role)}", metavar="COLUMN",
                            help=f"{words} (default: the first column found of {usual})")  # fmt: skip
    parser.add_argument("--accuracy", action="store_true", help="the losses are accuracies: 1 - accuracy is fitted")
    parser.add_argument("--least-squares", action="store_true",
                        help="squares of relative residuals in place of Huber's loss of log residuals")  # fmt: skip
    question = parser.add_argument_group("what the power laws say")
    question.add_argument("--compute", type=float, nargs="+", metavar="C",
                          help="budgets: the best N and t for each, and the loss there")  # fmt: skip
    question.add_argument("--flops-per-token", type=float, default=6.0, metavar="F", help="C = F N t")
    question.add_argument("--predict", nargs="+", metavar="PLAN", help="losses of plans, as N=7e9,tokens=1.4e12")
    question.add_argument("--target-loss", type=float, metavar="L", help="the cheapest N and t that reach a loss")
    theory = parser.add_argument_group("the solvable model, fitted if N and t can be in its units")
    theory.add_argument("--solvable", action="store_true", help="fit it whatever the sizes are")
    theory.add_argument("--modes", type=int, metavar="M", help="number of modes of the model (default: infinite)")
    theory.add_argument(
        "--units", nargs="*", choices=[*LETTERS.values(), "all"],
        help="axes whose unit is fitted too: needed where N, P or t are not those of the model, as for any network",
    )  # fmt: skip
    theory.add_argument(
        "--fix", nargs="+", metavar="NAME=VALUE",
        help="hold parameters: a, b, noise, scale, floor (as b=1.3 floor=0)",
    )  # fmt: skip
    parser.add_argument(
        "--hold-out", type=float, default=HOLD_OUT, metavar="PART",
        help="share of the rows, of the largest N, P or t, that a second fit predicts without seeing them; 0: none",
    )  # fmt: skip
    algorithms.add_arguments(parser, ("flow", "gd"), left_out=("schedule", "weight_decay"))
    parser.add_argument("--seed", **NO_DRAWS)


def run(args: argparse.Namespace) -> None:
    """Write fit.png, .pdf, .json and three tables; print what was understood, parameters, forecasts and answers."""
    settings = _settings(args)
    folder = files.check_folder(settings.out)
    outcome = carry_out(settings, settings.files, settings.held_out or None)
    record = {**vars(args), **outcome.record}
    files.save_and_tell(folder, files.Result("fit", [], record, outcome.figure, outcome.text, outcome.tables))


def _settings(args: argparse.Namespace) -> Settings:
    """Return the settings that the command line asks for; ValueError for what is wrong before the file is read."""
    optimizer = algorithms.choose(args, 1.0)
    named = {role: getattr(args, OPTIONS.get(role, role).replace("-", "_")) for role in COLUMNS}
    return settings_of(
        Settings,
        args,
        files=tuple(args.file),
        reading=Reading(named, args.accuracy, args.flops_per_token),
        optimizer=optimizer,
        num_modes=args.modes,
        units=tuple(args.units or ()),
        fixed=read_fixed(args.fix or []),
        held_out=tuple(args.held_out or ()),
        compute=tuple(args.compute or ()),
        plans=tuple(args.predict or ()),
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
