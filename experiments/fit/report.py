"""Both fits in words, in tables, and as rows and records of files."""

from collections.abc import Sequence

from experiments.fit.job import BothFits
from experiments.fit.least_squares import Fit
from experiments.fit.readings import BestSize, Reading, compute_rule, errors, parameters, regimes
from experiments.fit.table import LETTERS
from experiments.output.tables import align, records

POOR = 1.5  # a misfit of the theory so many times that of power laws is told
FEW = 4.0  # standard errors either way of a 95 % interval: at fewer than three degrees of freedom


def lines(fits: BothFits, *, asked_to_hold_out: bool) -> list[str]:
    """Return what is printed: parameters, regimes, errors, and rules for compute."""
    table, solvable = fits.table, fits.whole[0]
    axes = ", ".join(LETTERS[axis] for axis in table.design.axes)
    text = [f"{len(table)} losses against {axes}, {_count(solvable.runs, 'run')}"]
    for fit in fits.whole:
        text += ["", align([(fit.model.name, "value", "95 % interval", ""), *(r.cells() for r in parameters(fit))])]
    text.append("")
    text += [f"{fit.model.name}: the fit did not converge" for fit in fits.whole if not fit.converged]
    text += few_runs(solvable) + regimes(solvable) + ["", align(_error_rows(fits))]
    if fits.ahead is None and asked_to_hold_out:
        text.append("nothing was held out: too few points or values of an axis would be left")
    text += _poor_fit(fits)
    rules = [compute_rule(fit) for fit in fits.whole]
    if any(rules):
        text += ["", align(rule_rows(rules, fits.best, fits.budget))]
    return text


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
        return ["one run: how far it is off as a whole is not to be known, so no intervals (best fit in fit.csv)"]
    reach = fit.quantile[fit.model.free][~fit.alone[fit.model.free]]
    if not (reach > FEW).any():
        return []
    return [
        f"few runs for {len(fit.model.free)} parameters: intervals rest on differences between {fit.runs}, and reach "
        f"for that up to {reach.max():.3g} standard errors either way"
    ]


def _poor_fit(fits: BothFits) -> list[str]:
    """Return a line where the theory fits much worse than power laws."""
    solvable, chinchilla = fits.whole
    if errors(solvable).median <= POOR * errors(chinchilla).median:
        return []
    why = "if N, P, t are not those of the model, try --units all"
    if set(getattr(solvable.model, "units", ())) >= set(fits.table.design.axes):
        why = "these losses are not those of the model, whatever its intervals say"
    return [f"the theory fits worse than power laws: {why}"]


def rule_rows(
    rules: Sequence[Sequence[Reading]], best: Sequence[BestSize | None], budget: float
) -> list[tuple[str, ...]]:
    """Return the compute-optimal rules of both models as a table."""
    rows: list[tuple[str, ...]] = [("compute C = N t, fresh data", "solvable", "chinchilla")]
    for pair in zip(*rules, strict=True):
        cells = [f"{r.value:.3f} ({r.low:.3f} .. {r.high:.3f})" if r.determined else "not identified" for r in pair]
        rows.append((pair[0].name, *cells))
    words = f"N* at C = {budget:.3g}", "loss there", "d log N*/d log C there"
    columns = []
    for rule, size in zip(rules, best, strict=True):
        missing = "-" if all(reading.determined for reading in rule) else "not identified"
        columns.append([missing] * len(words) if size is None else [f"{value:.4g}" for value in size])
    return rows + list(zip(words, *columns, strict=True))


def record(fits: BothFits) -> dict:
    """Return what the file of settings keeps beside them."""
    said = {
        "parameters": {fit.model.name: {r.name: r.record() for r in parameters(fit)} for fit in fits.whole},
        "errors": {"all": [errors(fit) for fit in fits.whole]},
        "held_out": int(fits.held.sum()),
    }
    if fits.ahead is not None:
        said["errors"]["held_out"] = [errors(fit, fits.held) for fit in fits.ahead]
    rules = [compute_rule(fit) for fit in fits.whole]
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
        for fit in fits.whole for r in parameters(fit)
    ]  # fmt: skip
    fitted = {fit.model.name: fit for fit in fits.whole}
    fitted |= {f"{fit.model.name}_held_out": fit for fit in fits.ahead or ()}
    points = {"kind": "point", "run": table.run, "loss": table.loss, "held_out": fits.held}
    points |= {axis: getattr(design, axis) for axis in design.axes}
    points |= {name: table.loss / (1.0 + fit.residuals) for name, fit in fitted.items()}
    return written + records(points)
