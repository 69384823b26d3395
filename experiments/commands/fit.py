"""`rfm fit`: measured losses fitted by the theory, beside a sum of power laws."""

import argparse

import numpy as np
from tqdm import tqdm

from experiments.compare import algorithms
from experiments.fit import plots as curve_plots
from experiments.fit.least_squares import Fit, check_count, fit
from experiments.fit.models import LETTERS, Chinchilla, Solvable
from experiments.fit.readings import best_size, compute_rule, errors, parameters, regimes
from experiments.fit.table import AXES, COLUMNS, CurveTable, held_out, read
from experiments.output import files as reports
from experiments.output.tables import align
from rfm import checks

ARGUMENTS = ("out",)
POOR = 1.5  # a misfit of the theory so many times that of power laws is told
FEW = 4.0  # standard errors either way of a 95 % interval: at fewer than three degrees of freedom
ROLES = {
    "features": "model size N; left out: infinite",
    "samples": "training samples P; left out: fresh data at every step (tokens of one pass are a time)",
    "times": "training time t: lr x steps for flow, steps for gd; left out: training has ended",
    "loss": "loss > 0",
    "stderr": "standard error of the loss, if known",
    "run": "name or seed of a training run: points of one run are correlated",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command alone."""
    parser.add_argument("file", metavar="FILE", help="CSV file with a header, a row for every measured loss")
    for role, words in ROLES.items():
        usual = ", ".join(COLUMNS[role])
        parser.add_argument(f"--{role}", metavar="COLUMN", help=f"{words} (default: {usual}, if there)")
    parser.add_argument("--modes", type=int, metavar="M", help="number of modes of the model (default: infinite)")
    parser.add_argument(
        "--units", nargs="*", choices=[*LETTERS.values(), "all"],
        help="axes whose unit is fitted too: needed where N, P or t are not those of the model, as for any network",
    )  # fmt: skip
    parser.add_argument(
        "--fix",
        nargs="+",
        metavar="NAME=VALUE",
        help="hold parameters: a, b, noise, scale, floor (as b=1.3 floor=0)",
    )
    parser.add_argument(
        "--hold-out", type=float, default=0.2, metavar="PART",
        help="part of the rows, of the largest N, P or t, that a second fit does not see and has to predict; 0: none",
    )  # fmt: skip
    algorithms.add_arguments(parser, ("flow", "gd"))
    parser.epilog = (
        "The same file gives the same fit, so there is no --seed; nor is there a --quick: --hold-out 0 leaves out\n"
        "the second fit, half of the time."
    )


def run(args: argparse.Namespace) -> None:
    """Print parameters, extrapolation errors and rules; write fit.png, .pdf, .csv and .json."""
    checks.fraction("hold-out", args.hold_out)
    optimizer = algorithms.choose(args, 1.0)
    if getattr(args, "schedule", None) == "cosine" or getattr(args, "weight_decay", None):
        checks.fail("optimizer", "at constant lr, without weight decay, for a fit", args.optimizer)
    fixed = read_fixed(args.fix or [])
    if args.modes is not None:
        checks.count("modes", args.modes, "an integer >= 1")
    if dict(fixed).get("b", 2.0) <= 1.0 and args.modes is None:
        checks.fail("fix b", "a number > 1 for infinitely many modes (give --modes)", dict(fixed)["b"])
    table = read(args.file, {role: getattr(args, role) for role in COLUMNS})
    if optimizer.discrete and np.any(table.design.times % 1):
        checks.fail(
            "times", "whole step counts for --optimizer gd", float(table.design.times[table.design.times % 1 > 0][0])
        )
    units = read_units(args.units or [], table, optimizer)
    if not table.design.varied:
        checks.fail("FILE", "one in which N, P or t takes two values or more", "one value of each")
    models = (
        Solvable(table.design, optimizer, args.modes, units, fixed),
        Chinchilla(table.design, table.design.varied),
    )
    for model in models:
        check_count(model, len(table))
    folder = reports.open_folder(args.out)
    with tqdm(total=6, unit="step") as bar:
        whole, ahead, held = fit_both(models, table, args.hold_out, bar)
        bar.set_description("compute")
        budget = float(np.max(table.design.features * table.design.times))
        best = [best_size(one, budget) for one in whole]
        bar.update()
        bar.set_description("drawing")
        figure = curve_plots.draw(table, ahead or whole, held)
        bar.update()
    lines, settings = tell(args, table, whole, ahead, held, best, budget)
    print("\n".join(lines))
    written = reports.save(folder, "fit", figure, rows(table, whole, ahead, held), {**vars(args), **settings})
    print("wrote " + ", ".join(str(path) for path in written))


def read_fixed(given: list[str]) -> tuple[tuple[str, float], ...]:
    """NAME=VALUE as pairs; ValueError for other names, or values outside the range of a parameter."""
    least = {"a": 1.0, "b": 0.0, "noise": 0.0, "scale": 0.0, "floor": 0.0}
    found = {}
    for one in given:
        name, _, value = one.partition("=")
        checks.one_of("fix", name, tuple(least))
        inclusive = name in ("noise", "floor")
        checks.number(
            f"fix {name}", value, least[name], f"a number {'>=' if inclusive else '>'} {least[name]:g}", inclusive
        )
        found[name] = float(value)
    return tuple(found.items())


def read_units(given: list[str], table: CurveTable, optimizer) -> tuple[str, ...]:
    """Axes of the table whose unit is fitted."""
    if given == ["all"]:
        return tuple(a for a in table.design.axes if not (a == "times" and optimizer.discrete))
    asked = tuple(axis for axis in AXES if LETTERS[axis] in given)
    for axis in asked:
        if axis not in table.design.axes:
            checks.fail("units", "of axes that the file has", LETTERS[axis])
    if "times" in asked and optimizer.discrete:
        checks.fail("units", "left out for t with --optimizer gd, whose steps are counted", "t")
    return asked


def fit_both(models, table: CurveTable, part: float, bar: tqdm):
    """Both models on all rows, on those that are not held out (None where these are too few), and which are held."""
    held = held_out(table.design, part)
    whole, ahead = [], []
    most = max(len(model.free) for model in models)
    left = table.select(~held).design.varied if not held.all() else ()
    enough = held.any() and (~held).sum() > most and left == table.design.varied
    for model in models:
        bar.set_description(type(model).__name__.lower())
        whole.append(fit(model, table))
        bar.update()
        if enough:
            ahead.append(fit(model, table, ~held))
        bar.update()
    return whole, ahead if enough else None, held if enough else np.zeros(len(table), bool)


def tell(args, table: CurveTable, whole: list[Fit], ahead, held: np.ndarray, best, budget: float):
    """Lines to print, and what goes with the settings."""
    everything = np.ones(len(table), bool)
    solvable = whole[0]
    axes = ", ".join(LETTERS[axis] for axis in table.design.axes)
    lines = [f"{len(table)} losses against {axes}, {solvable.runs} run{'s' if solvable.runs > 1 else ''}"]
    settings = {"parameters": {}, "errors": {}, "held_out": int(held.sum())}
    for name, one in zip(("solvable", "chinchilla"), whole, strict=True):
        found = parameters(one)
        lines += ["", align([(name, "value", "95 % interval", ""), *(r.cells() for r in found)])]
        settings["parameters"][name] = {r.name: [r.value, r.low, r.high, r.note] for r in found}
    lines.append("")
    for one in whole:
        if not one.converged:
            lines.append(f"{type(one.model).__name__.lower()}: the fit did not converge")
    lines += few_runs(solvable)
    lines += regimes(solvable)
    misfit = [errors(one, everything) for one in whole]
    table_rows = [("relative error: median, worst", "solvable", "chinchilla")]
    table_rows.append((f"all {len(table)} points, fitted", *(f"{m:.2%}, {w:.2%}" for m, w in misfit)))
    settings["errors"]["all"] = misfit
    if ahead is not None:
        out = [errors(one, held) for one in ahead]
        cut = ", ".join(LETTERS[axis] for axis in table.design.axes if beyond(table, held, axis))
        name = f"{held.sum()} point{'s' if held.sum() > 1 else ''} held out: largest {cut}"
        table_rows.append((name, *(f"{m:.2%}, {w:.2%}" for m, w in out)))
        settings["errors"]["held_out"] = out
    lines += ["", align(table_rows)]
    if ahead is None and args.hold_out > 0:
        lines.append("nothing was held out: too few points or values of an axis would be left")
    if misfit[0][0] > POOR * misfit[1][0]:
        why = "if N, P, t are not those of the model, try --units all"
        if set(solvable.model.units) >= set(table.design.axes):
            why = "these losses are not those of the model, whatever its intervals say"
        lines.append(f"the theory fits worse than power laws: {why}")
    rules = [compute_rule(one) for one in whole]
    if any(rules):
        lines += ["", align(rule_rows(rules, best, budget))]
        settings["compute"] = {
            name: {r.name: [r.value, r.low, r.high, r.note] for r in rule} | {"best": point}
            for name, rule, point in zip(("solvable", "chinchilla"), rules, best, strict=True)
        }
    return lines, settings


def beyond(table: CurveTable, held: np.ndarray, axis: str) -> bool:
    """Do the rows held out go beyond the others along this axis?"""
    x = getattr(table.design, axis)
    return x[held].max() > x[~held].max()


def few_runs(fit: Fit) -> list[str]:
    """A line where the runs are hardly enough for an interval, or not at all."""
    if fit.runs == 1:
        return ["one run: how far it is off as a whole is not to be known, so no intervals (best fit in fit.csv)"]
    told = fit.quantile[fit.model.free][~fit.alone[fit.model.free]]
    if not (told > FEW).any():
        return []
    return [
        f"few runs for {len(fit.model.free)} parameters: intervals rest on differences between {fit.runs}, and reach "
        f"for that up to {told.max():.3g} standard errors either way"
    ]


def rule_rows(rules, best, budget: float) -> list[tuple[str, ...]]:
    """The compute-optimal rules of both models as a table."""
    out = [("compute C = N t, fresh data", "solvable", "chinchilla")]
    for pair in zip(*rules, strict=True):
        cells = [f"{r.value:.3f} ({r.low:.3f} .. {r.high:.3f})" if r.determined else "not identified" for r in pair]
        out.append((pair[0].name, *cells))
    known = [all(r.determined for r in rule) for rule in rules]
    for i, words in enumerate(("N* at C = {:.3g}", "loss there", "d log N*/d log C there")):
        cells = (
            f"{point[i]:.4g}" if point else ("-" if told else "not identified")
            for point, told in zip(best, known, strict=True)
        )
        out.append((words.format(budget), *cells))
    return out


def rows(table: CurveTable, whole: list[Fit], ahead, held: np.ndarray) -> list[dict]:
    """Parameters, then every point with what the models say of it."""
    out = [
        {"kind": "parameter", "model": type(one.model).__name__.lower(), "name": r.name, "value": r.value,
         "low": r.low, "high": r.high, "note": r.note}
        for one in whole for r in parameters(one)
    ]  # fmt: skip
    for i in range(len(table)):
        point = {"kind": "point", "run": int(table.run[i]), "loss": float(table.loss[i]), "held_out": bool(held[i])}
        point |= {axis: float(getattr(table.design, axis)[i]) for axis in table.design.axes}
        for name, fits in (("", whole), ("_held_out", ahead or ())):
            for one in fits:
                key = type(one.model).__name__.lower() + name
                point[key] = float(table.loss[i] / (1.0 + one.residuals[i]))
        out.append(point)
    return out
