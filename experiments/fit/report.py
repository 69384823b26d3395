"""Both fits in words, in tables, and as rows and records of files."""

import math
from collections.abc import Sequence

import numpy as np

from experiments.fit.job import BothFits
from experiments.fit.least_squares import Fit
from experiments.fit.losses import Losses
from experiments.fit.readings import BestSize, Reading, compute_rule, errors, parameters, regimes
from experiments.fit.robust import DELTA
from experiments.fit.table import LETTERS
from experiments.output.tables import align, records

FEW = 4.0  # standard errors either way of a 95 % interval: at fewer than three degrees of freedom
MANY = 100  # times better
NAMED = 12  # rows, at most, of those that stand out


def lines(fits: BothFits, *, asked_to_hold_out: bool) -> list[str]:
    """Return the printed report: the data, the verdict, parameters, regimes, errors, and rules for compute."""
    solvable, rejected = fits.whole[0], fits.rejected
    text = [*_reading(fits.losses, solvable.runs), verdict(fits)]
    for fit in fits.whole:
        cells = [r.cells() for r in _parameters(fits, fit)]
        text += ["", align([(fit.model.name, "value", "95 % interval", ""), *cells])]
    text += ["", align(_huber_rows(fits)), *_outliers(fits), ""]
    text += [f"{fit.model.name}: the fit did not converge" for fit in fits.whole if not fit.converged]
    text += few_runs(solvable) + ([] if rejected is solvable else regimes(solvable)) + ["", align(_error_rows(fits))]
    if fits.ahead is None and asked_to_hold_out:
        text.append("nothing was held out: too few points or values of an axis would be left")
    rules = _rules(fits)
    if any(rules):
        text += ["", align(rule_rows(rules, fits.best, fits.budget))]
    return text


def _reading(losses: Losses, runs: int) -> list[str]:
    """Say what was read, and how."""
    design = losses.table.design
    first = (
        f"{len(losses.table)} losses against {', '.join(LETTERS[axis] for axis in design.axes)}, {_count(runs, 'run')}"
    )
    words = LETTERS | {"loss": "loss"}
    how = [f"{words[role]} = {name}" for role, name in losses.columns.items() if words.get(role, name) != name]
    how += [f"not used: {', '.join(losses.unused)}"] if losses.unused else []
    return [f"{first} ({'; '.join(how)})" if how else first, *losses.notes]


def verdict(fits: BothFits) -> str:
    """Say which of the two models describes the table better."""
    names, (solvable, chinchilla) = ("the solvable model", "power laws"), (errors(fit).median for fit in fits.whole)
    off = f"median error: solvable model {solvable:.2%}, power laws {chinchilla:.2%}"
    if fits.rejected is None:
        return f"the solvable model and power laws describe this table alike ({off})"
    better, worse = names if fits.ratio < 1.0 else names[::-1]
    times = max(fits.ratio, 1.0 / fits.ratio)
    much = f"{times:.2g} times better" if times < MANY else f"more than {MANY} times better"
    text = f"{better} describe{'s' * (fits.ratio < 1.0)} this table {much} than {worse} ({off})"
    text += ": no intervals for the latter"
    if fits.ratio < 1.0:
        return text
    if set(getattr(fits.whole[0].model, "units", ())) >= set(fits.table.design.axes):
        return text + "; these losses are not those of the model"
    return text + "; if N, P, t are not those of the model, try --units all"


def _parameters(fits: BothFits, fit: Fit) -> list[Reading]:
    """Return readings of a fit, without intervals where it is rejected."""
    return [reading.alone() if fit is fits.rejected else reading for reading in parameters(fit)]


def _rules(fits: BothFits) -> list[list[Reading]]:
    return [[r.alone() if fit is fits.rejected else r for r in compute_rule(fit)] for fit in fits.whole]


def _huber_rows(fits: BothFits) -> list[tuple[str, ...]]:
    """Return the table of the Chinchilla form as it was published: Huber's loss of log residuals."""
    title = f"chinchilla, Huber's loss of log residuals (delta {DELTA:g})"
    with_note = [(title, "value", "95 % interval", "")]
    return with_note + [reading.cells() for reading in parameters(fits.robust)]


def _outliers(fits: BothFits) -> list[str]:
    """Name the rows that stand out from the Chinchilla form, and what it is without them."""
    if fits.inner is None:
        return []
    places = np.flatnonzero(fits.out)
    named = [f"{fits.losses.places[i]} ({fits.inner.residuals[i]:+.1%})" for i in places[:NAMED]]
    more = [f"and {len(places) - NAMED} more"] if len(places) > NAMED else []
    values = [f"{name} {fits.inner.value(name):.3f}" for name in fits.inner.model.names if name not in "ABC"]
    return [f"{_count(len(places), 'row')} off the power laws of all others: {', '.join(named + more)}; "
            f"without: {', '.join(values)}"]  # fmt: skip


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"


def _error_rows(fits: BothFits) -> list[tuple[str, ...]]:
    """Relative errors of both models, over all points and over those held out, as a table."""
    table, held = fits.table, fits.held
    rows: list[tuple] = [(f"all {len(table)} points, fitted", fits.whole, None)]
    if fits.ahead is not None:
        along = {axis: getattr(table.design, axis) for axis in table.design.axes}
        cut = ", ".join(LETTERS[axis] for axis, x in along.items() if x[held].max() > x[~held].max())
        rows.append((f"{_count(int(held.sum()), 'point')} held out: largest {cut}", fits.ahead, held))
    cells = [("relative error: median, worst", "solvable", "chinchilla")]
    return cells + [
        (name, *(f"{e.median:.2%}, {e.worst:.2%}" for e in (errors(fit, points) for fit in pair)))
        for name, pair, points in rows
    ]


def few_runs(fit: Fit) -> list[str]:
    """Return a line where the runs are hardly enough for an interval, or not at all."""
    if fit.runs == 1:
        return ["One run: its error as a whole cannot be known, so there are no intervals (best fit in the CSV file)."]
    reach = fit.quantile[fit.model.free][~fit.alone[fit.model.free]]
    if not (reach > FEW).any():
        return []
    return [
        f"Only {fit.runs} runs for {len(fit.model.free)} parameters: 95 % intervals use a t-distribution (up to "
        f"± {reach.max():.3g} standard errors)."
    ]


def rule_rows(
    rules: Sequence[Sequence[Reading]], best: Sequence[BestSize | None], budget: float
) -> list[tuple[str, ...]]:
    """Return the compute-optimal rules of both models as a table."""
    rows: list[tuple[str, ...]] = [("compute C = N t, fresh data", "solvable", "chinchilla")]
    for pair in zip(*rules, strict=True):
        cells = [_value(r) if r.determined else "not identified" for r in pair]
        rows.append((pair[0].name, *cells))
    words = f"N* at C = {budget:.3g}", "loss there", "d log N*/d log C there"
    columns = []
    for rule, size in zip(rules, best, strict=True):
        missing = "-" if all(reading.determined for reading in rule) else "not identified"
        columns.append([missing] * len(words) if size is None else [f"{value:.4g}" for value in size])
    return rows + list(zip(words, *columns, strict=True))


def _value(reading: Reading) -> str:
    ends = f" ({reading.low:.3f} .. {reading.high:.3f})" if math.isfinite(reading.low) else ""
    return f"{reading.value:.3f}{ends}"


def record(fits: BothFits) -> dict:
    """Return what the file of settings keeps beside them."""
    said = {
        "parameters": {fit.model.name: {r.name: r.record() for r in _parameters(fits, fit)} for fit in fits.whole},
        "errors": {"all": [errors(fit) for fit in fits.whole]},
        "held_out": int(fits.held.sum()),
        "verdict": verdict(fits),
        "columns": fits.losses.columns,
        "huber": {r.name: r.record() for r in parameters(fits.robust)},
        "outliers": [fits.losses.places[i] for i in np.flatnonzero(fits.out)],
    }
    if fits.ahead is not None:
        said["errors"]["held_out"] = [errors(fit, fits.held) for fit in fits.ahead]
    rules = _rules(fits)
    if any(rules):
        said["compute"] = {
            fit.model.name: {r.name: r.record() for r in rule} | {"best": size}
            for fit, rule, size in zip(fits.whole, rules, fits.best, strict=True)
        }
    return said


def rows(fits: BothFits) -> list[dict]:
    """Return the rows of the CSV file: parameters, then every point with what the models say of it."""
    table, design = fits.table, fits.table.design
    written = [
        {"kind": "parameter", "model": fit.model.name, "name": r.name, "value": r.value, "low": r.low, "high": r.high,
         "note": r.note}
        for fit in fits.whole for r in _parameters(fits, fit)
    ]  # fmt: skip
    fitted = {fit.model.name: fit for fit in fits.whole}
    fitted |= {f"{fit.model.name}_held_out": fit for fit in fits.ahead or ()}
    points = {"kind": "point", "run": table.run, "loss": table.loss, "held_out": fits.held, "outlier": fits.out}
    points |= {axis: getattr(design, axis) for axis in design.axes}
    points |= {name: table.loss / (1.0 + fit.residuals) for name, fit in fitted.items()}
    return written + records(points)
