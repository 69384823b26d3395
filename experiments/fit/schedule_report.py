"""Laws of schedules in words, in tables, and as rows and records of files."""

import numpy as np

from experiments.fit.readings import Reading, parameters
from experiments.fit.schedule_job import Curve, ScheduleFits
from experiments.fit.schedule_law import EmpiricalLaw, ScheduleLaw
from experiments.output.tables import align, records


def lines(fits: ScheduleFits) -> list[str]:
    """Return the printed report: what was read, parameters, errors of the runs, and which law is nearer."""
    losses = fits.curves.losses
    text = [losses.words, *losses.other_notes, *fits.curves.notes]
    for (name, size), readings in _readings(fits).items():
        title = name if np.isnan(size) or np.isinf(size) else f"{name}, N = {size:g}"
        text += ["", align([(title, "value", "95 % interval", ""), *(reading.cells() for reading in readings)])]
    cells = [("mean relative error", *fits.names)]
    for run in fits.curves.runs:
        cells.append((_label(run), *(f"{fits.error(name, run):.3%}" for name in fits.names)))
    for size in fits.curves.sizes:
        of_size = "" if np.isinf(size) else f", N = {size:g}"
        means = [fits.mean_error(name, size, fitted=False) for name in fits.names]
        if np.isfinite(means).all():
            cells.append((f"mean of the runs held out{of_size}", *(f"{mean:.3%}" for mean in means)))
    return [*text, "", align(cells), *verdicts(fits)]


def verdicts(fits: ScheduleFits) -> list[str]:
    """Say for each size which of the two laws forecasts the runs held out better."""
    said = []
    for size in fits.curves.sizes:
        ours, theirs = (fits.mean_error(law.name, size, fitted=False) for law in (ScheduleLaw, EmpiricalLaw))
        if np.isnan(ours):
            continue
        of_size = "" if np.isinf(size) else f" at N = {size:g}"
        better, worse = (
            (ScheduleLaw.name, EmpiricalLaw.name) if ours < theirs else (EmpiricalLaw.name, ScheduleLaw.name)
        )
        numbers = sorted([ours, theirs])
        said.append(
            f"held out{of_size}: the {better} is nearer than the {worse}, {numbers[0]:.3%} against {numbers[1]:.3%}"
        )
    return said


def _label(run: Curve) -> str:
    if run.known:
        return f"{run.label}, from step {run.schedule.steps[run.known]:g}"
    return f"{run.label}, {'fitted' if run.fitted else 'held out'}"


def _readings(fits: ScheduleFits) -> dict[tuple[str, float], list[Reading]]:
    """Return the parameters of each law at each size, with the slope (a - 1)/b of the loss in time."""
    readings_of = {}
    for (name, size), fit in fits.fits.items():
        readings_of[name, size] = parameters(fit)
    if fits.shared is not None:
        readings_of[fits.shared.model.name, np.nan] = parameters(fits.shared)
    for (name, size), readings in readings_of.items():
        fit = fits.shared if np.isnan(size) else fits.fits[name, size]
        if fit is not None and {"a", "b"} <= set(fit.model.names):
            i, j = (fit.model.names.index(letter) for letter in "ab")
            drawn = fit.draws()
            slope = lambda theta, i=i, j=j: (theta[..., i] - 1.0) / theta[..., j]  # noqa: E731
            low, high = np.quantile(slope(drawn), [0.025, 0.975])
            readings.append(Reading("(a - 1)/b", float(slope(fit.theta)), float(low), float(high)))
    return readings_of


def record(fits: ScheduleFits) -> dict:
    """Return what the file of settings keeps beside them."""
    errors = {
        f"{size:g}": {name: fits.mean_error(name, size, fitted=False) for name in fits.names}
        for size in fits.curves.sizes
    }
    return {"columns": fits.curves.losses.columns, "errors": {"held_out": errors}, "verdicts": verdicts(fits)}


def tables(fits: ScheduleFits) -> dict[str, list[dict]]:
    """Return the rows of the three tables: parameters, points, predictions."""
    rows = [
        {"model": name, "N": size, "parameter": r.name, "estimate": r.value, "low": r.low, "high": r.high,
         "note": r.note}
        for (name, size), readings in _readings(fits).items() for r in readings
    ]  # fmt: skip
    points, predictions = [], []
    split = any(run.known for run in fits.curves.runs)
    for run in fits.curves.runs:
        if split and run.fitted:
            continue  # it is the beginning of another
        held = np.arange(len(run.loss)) >= run.known if not run.fitted else np.zeros(len(run.loss), bool)
        here: dict = {"run": run.label, "step": run.schedule.steps, "N": run.size, "lr": run.schedule.rates}
        points += records(here | {"loss": run.loss, "held_out": held})
        for name in fits.names:
            loss = fits.predicted(name, run)
            row = {"model": name, **here, "loss": run.loss, "predicted": loss, "error": loss / run.loss - 1.0}
            predictions += records(row | {"held_out": held})
    return {"parameters": rows, "points": points, "predictions": predictions}
