"""Fits in words, in tables, and as rows and records of files."""

import math
from collections.abc import Sequence

import numpy as np

from experiments.fit import answers, decision
from experiments.fit.job import Fits
from experiments.fit.least_squares import Fit
from experiments.fit.readings import BestSize, Errors, Reading, compute_rule, errors, parameters, regimes
from experiments.fit.table import LETTERS
from experiments.output.tables import align, records

FEW = 4.0  # standard errors either way of a 95 % interval: at fewer than three degrees of freedom
MANY = 100  # times better
HUBER = "Huber's loss"
NAMED = 12  # rows, at most, of those that stand out


def lines(fits: Fits, *, asked_to_hold_out: bool) -> list[str]:
    """Return the printed report: the data, the verdict, parameters, regimes, errors, and what follows for compute."""
    solvable, rejected = fits.solvable, fits.rejected
    text = [fits.losses.words, *fits.losses.other_notes]
    text += [verdict(fits)] if solvable else ["the solvable model is not fitted: N and t of networks are not in its "
                                              "units (--units all fits them)"]  # fmt: skip
    for fit in fits.whole:
        cells = [r.cells() for r in _parameters(fits, fit)]
        text += ["", align([(_title(fit), "value", "95 % interval", ""), *cells])]
    values = [f"{name} {fits.other.value(name):.4g}" for name in fits.other.model.names]
    text.append(f"by {HUBER if fits.other.robust else 'least squares'}: {', '.join(values)}")
    text += [*(_outliers(fits) if rejected is not fits.chinchilla else []), ""]
    text += [f"{fit.model.name}: the fit did not converge" for fit in fits.whole if not fit.converged]
    text += few_runs(fits.whole[0])
    if solvable is not None and rejected is not solvable:
        text += regimes(solvable)
    text += ["", align(_error_rows(fits))] + ([fits.told] if fits.told else [])
    if not fits.held.any() and asked_to_hold_out:
        text.append("nothing was held out: too few points or values of an axis would be left")
    rules = _rules(fits)
    if any(rules):
        names = [fit.model.name for fit in fits.whole]
        text += ["", align(rule_rows(rules, fits.best, fits.budget, names))]
    return text + answers.lines(fits)


def _title(fit: Fit) -> str:
    """Name a model, and how it was fitted."""
    return f"{fit.model.name}, {HUBER}" if fit.robust else fit.model.name


def verdict(fits: Fits) -> str:
    """Say which of the two models describes the table better."""
    if fits.solvable is None:
        return ""
    names = "the solvable model", "power laws"
    solvable, chinchilla = (errors(fit, fits.fitted).median for fit in fits.by_squares)
    off = f"median error: solvable model {solvable:.2%}, power laws {chinchilla:.2%}"
    if fits.rejected is None:
        return f"the solvable model and power laws describe this table equally well ({off})"
    better, worse = names if fits.ratio < 1.0 else names[::-1]
    times = max(fits.ratio, 1.0 / fits.ratio)
    much = f"{times:.2g} times better" if times < MANY else f"more than {MANY} times better"
    text = f"{better} describe{'s' * (fits.ratio < 1.0)} this table {much} than {worse} ({off})"
    text += ": no intervals for the latter"
    if fits.ratio < 1.0:
        return text
    if set(getattr(fits.solvable.model, "units", ())) >= set(fits.table.design.axes):
        return text + "; these losses are not those of the model"
    return text + "; if N, P, t are not those of the model, try --units all"


def _parameters(fits: Fits, fit: Fit) -> list[Reading]:
    """Return readings of a fit, without intervals where it is rejected."""
    return [reading.alone() if fit is fits.rejected else reading for reading in parameters(fit)]


def _rules(fits: Fits) -> list[list[Reading]]:
    return [[r.alone() if fit is fits.rejected else r for r in compute_rule(fit)] for fit in fits.whole]


def _outliers(fits: Fits) -> list[str]:
    """Name the rows that stand out from the Chinchilla form, and what it is without them."""
    if fits.inner is None:
        return []
    places, named_runs = np.flatnonzero(fits.out), "run" in fits.losses.columns
    label = lambda i: f"{fits.losses.labels[fits.table.run[i]]}, " if named_runs else ""  # noqa: E731
    named = [f"{label(i)}{fits.losses.places[i]} ({fits.inner.residuals[i]:+.1%})" for i in places[:NAMED]]
    more = [f"and {len(places) - NAMED} more"] if len(places) > NAMED else []
    values = [f"{name} {fits.inner.value(name):.3f}" for name in fits.inner.model.names if name not in "ABC"]
    return [f"{_count(len(places), 'row')} off the power laws of all others: {', '.join(named + more)}; "
            f"without: {', '.join(values)}"]  # fmt: skip


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"


def _error_rows(fits: Fits) -> list[tuple[str, ...]]:
    """Relative errors of everything, over all points and over those held out, as a table."""
    table, held, said = fits.table, fits.held, fits.forecasts
    fitted = {fit.model.name: errors(fit, fits.fitted) for fit in fits.whole}
    names = list(said or fitted)
    cells = [("relative error: median, worst", *names)]
    first = [fitted.get(name) for name in names]
    cells.append((f"all {int(fits.fitted.sum())} points, fitted", *("-" if e is None else _errors(e) for e in first)))
    if held.any():
        along = {axis: getattr(table.design, axis) for axis in table.design.axes}
        cut = ", ".join(LETTERS[axis] for axis, x in along.items() if x[held].max() > x[~held].max())
        what = f"largest {cut}" if fits.ahead else "files held out"
        gaps = [np.abs(said[name][held] / table.loss[held] - 1.0) for name in names]
        cells.append((f"{_count(int(held.sum()), 'point')} held out: {what}",
                      *(_errors(Errors(float(np.median(gap)), float(gap.max()))) for gap in gaps)))  # fmt: skip
    return cells


def _errors(errors: Errors) -> str:
    return f"{errors.median:.2%}, {errors.worst:.2%}"


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
    rules: Sequence[Sequence[Reading]],
    best: Sequence[BestSize | None],
    budget: float,
    names: Sequence[str] = ("solvable", "chinchilla"),
) -> list[tuple[str, ...]]:
    """Return the compute-optimal rules of the models as a table."""
    rows: list[tuple[str, ...]] = [("compute C = N t, fresh data", *names)]
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


def record(fits: Fits) -> dict:
    """Return what the file of settings keeps beside them."""
    said = {
        "parameters": {fit.model.name: {r.name: r.record() for r in _parameters(fits, fit)} for fit in fits.whole},
        "errors": {"all": [errors(fit, fits.fitted) for fit in fits.whole]},
        "held_out_rows": int(fits.held.sum()),
        "verdict": verdict(fits),
        "columns": fits.losses.columns,
        "outliers": [fits.losses.places[i] for i in np.flatnonzero(fits.out)],
    }
    if fits.held.any():
        gaps = {name: np.abs(loss / fits.table.loss - 1.0)[fits.held] for name, loss in fits.forecasts.items()}
        said["errors"]["held_out"] = {name: [np.median(gap), gap.max(), gap.mean()] for name, gap in gaps.items()}
        said["told"] = fits.told
    rules = _rules(fits)
    if any(rules):
        said["compute_rule"] = {
            fit.model.name: {r.name: r.record() for r in rule} | {"best": size}
            for fit, rule, size in zip(fits.whole, rules, fits.best, strict=True)
        }
    return said


def tables(fits: Fits) -> dict[str, list[dict]]:
    """Return the rows of the three tables: parameters, points, predictions."""
    named = [(fit.model.name, _parameters(fits, fit)) for fit in fits.whole]
    named.append((f"chinchilla, {HUBER if fits.other.robust else 'least squares'}", parameters(fits.other)))
    if fits.inner is not None:
        named.append(("chinchilla without what stands out", parameters(fits.inner)))
    rows = [
        {"model": model, "parameter": r.name, "estimate": r.value, "low": r.low, "high": r.high, "note": r.note}
        for model, readings in named for r in readings
    ]  # fmt: skip
    rows += [
        {"model": fit.model.name, "parameter": r.name, "estimate": r.value, "low": r.low, "high": r.high,
         "note": r.note}
        for fit, rule in zip(fits.whole, _rules(fits), strict=True) for r in rule
    ]  # fmt: skip
    return {"parameters": rows, "points": _points(fits), "predictions": _predictions(fits) + answers.rows(fits)}


def _axes(fits: Fits) -> dict[str, np.ndarray]:
    """Return the columns that say which point a row is."""
    table, labels = fits.table, fits.losses.labels
    run = np.array([labels[number] for number in table.run])
    return {"run": run, **{LETTERS[axis]: getattr(table.design, axis) for axis in table.design.axes}}


def _points(fits: Fits) -> list[dict]:
    """Return every measured point."""
    table = fits.table
    columns: dict = {"place": np.array(fits.losses.places), **_axes(fits), "loss": table.loss}
    columns |= {name: x for name, x in (("stderr", table.stderr), ("weight", table.weight)) if x is not None}
    return records(columns | {"held_out": fits.held, "stands_out": fits.out})


def _predictions(fits: Fits) -> list[dict]:
    """Return what each model says of every point: fitted to all of them, and to those that are not held out."""
    table, ends = fits.table, {}
    said = {(fit.model.name, False): table.loss / (1.0 + fit.residuals) for fit in fits.whole}
    said |= {(name, True): loss for name, loss in fits.forecasts.items()}
    for fit, part in ((fits.chinchilla, False), (fits.shown[-1], True)):
        ends[fit.model.name, part] = decision.predicted(fit, table.design)[1:]
    none, written = np.full((2, len(table)), np.nan), []
    step = table.design.times if "times" in table.design.axes else np.full(len(table), np.nan)
    for (name, part), loss in said.items():
        low, high = ends.get((name, part), none)
        columns: dict = {"model": name, **_axes(fits)}
        columns = {"model": name, "run": columns["run"], "step": step, **columns, "loss": table.loss}
        written += records(columns | {"predicted": loss, "low": low, "high": high,
                                      "error": loss / table.loss - 1.0, "held_out": fits.held,
                                      "fitted_to": "rows not held out" if part else "all rows"})  # fmt: skip
    return written
