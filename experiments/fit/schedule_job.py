"""The job of `rfm fit` for runs with learning rates: the law of eq. 55 by size and for all, and a published law."""

import dataclasses
import re
from typing import NamedTuple

import numpy as np

from experiments.fit.least_squares import Fit, check_count
from experiments.fit.losses import Losses
from experiments.fit.robust import huber
from experiments.fit.schedule_law import EmpiricalLaw, Schedule, ScheduleLaw
from experiments.fit.settings import Settings
from experiments.fit.several_sizes import SeveralSizes
from experiments.fit.table import CurveTable
from experiments.output.progress import Bar
from rfm import checks

BLOCKS = 8  # parts of a run whose errors count as independent
SIZE_IN_NAME = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([MB])(?![A-Za-z])")
LAWS = (ScheduleLaw, EmpiricalLaw)


class Curve(NamedTuple):
    """One training run.

    Attributes:
        label: Its name.
        size: Model size N, infinite if not known.
        schedule: Its rows.
        loss: (T,) measured.
        weight: (T,) of relative residuals.
        fitted: Is it fitted, or only predicted?
        places: Of its rows in the table of all losses.
        known: How many of the first rows are fitted as a run of their own, and not predicted.
    """

    label: str
    size: float
    schedule: Schedule
    loss: np.ndarray
    weight: np.ndarray
    fitted: bool
    places: np.ndarray
    known: int = 0


class Curves(NamedTuple):
    """All training runs, and what is said of their files."""

    losses: Losses
    runs: list[Curve]
    notes: list[str]

    @property
    def sizes(self) -> list[float]:
        """Model sizes, rising."""
        return sorted({run.size for run in self.runs})


@dataclasses.dataclass(frozen=True)
class ScheduleFits:
    """Laws of schedules fitted to training runs.

    Attributes:
        curves: What was measured.
        fits: Fit of each law at each size.
        shared: Fit of one (a, b) for all sizes; None for fewer than two.
    """

    curves: Curves
    fits: dict[tuple[str, float], Fit]
    shared: Fit | None

    def predicted(self, name: str, run: Curve) -> np.ndarray:
        """Return the losses (T,) of a run by a law, or by `SeveralSizes.name`."""
        if name == SeveralSizes.name:
            assert self.shared is not None
            assert isinstance(self.shared.model, SeveralSizes)
            return self.shared.model.of_size(run.size, (run.schedule,)).loss(
                self.shared.model.theta_of(run.size, self.shared.theta)
            )
        fit = self.fits[name, run.size]
        return dataclasses.replace(fit.model, schedules=(run.schedule,)).loss(fit.theta)  # pyright: ignore

    @property
    def names(self) -> list[str]:
        """Names of all laws."""
        return [law.name for law in LAWS] + ([SeveralSizes.name] if self.shared is not None else [])

    def error(self, name: str, run: Curve) -> float:
        """Return the mean relative error of a law over the rows of a run that are new to it."""
        return float(np.mean(np.abs(self.predicted(name, run) / run.loss - 1.0)[run.known :]))

    def mean_error(self, name: str, size: float, *, fitted: bool) -> float:
        """Return the mean over the runs of one size, fitted or held out, of their errors; NaN without any."""
        errors = [self.error(name, run) for run in self.curves.runs if run.size == size and run.fitted == fitted]
        return float(np.mean(errors)) if errors else np.nan


def has_schedules(losses: Losses) -> bool:
    """Is there a learning rate for every step?"""
    return losses.lr is not None and "times" in losses.table.design.axes


def curves_of(losses: Losses, fitted: np.ndarray) -> Curves:
    """Return the training runs of losses with a learning rate.

    Args:
        losses: R losses with `lr`.
        fitted: Mask (R,) of the rows of files that are not held out.

    Raises:
        ValueError: A run whose steps do not rise.
    """
    assert losses.lr is not None
    table, runs, notes = losses.table, [], []
    batch = np.ones(len(table)) if losses.batch is None else losses.batch / np.exp(np.mean(np.log(losses.batch)))
    weight = table.weights(np.ones(len(table), bool))
    for number in np.unique(table.run):
        rows = np.flatnonzero(table.run == number)
        rows = rows[np.argsort(table.design.times[rows], kind="stable")]
        steps = table.design.times[rows]
        if np.any(np.diff(steps) <= 0):
            place = losses.places[rows[1 + int(np.argmin(np.diff(steps)))]]
            raise ValueError(
                f"Steps of one run must differ, but {place} repeats one: name the column of runs by --run."
            )
        label, size = losses.labels[number], float(table.design.features[rows[0]])
        if np.isinf(size) and (match := SIZE_IN_NAME.search(label)):
            size = float(match[1]) * (1e6 if match[2] == "M" else 1e9)
        schedule = Schedule(steps, losses.lr[rows], batch[rows])
        runs.append(Curve(label, size, schedule, table.loss[rows], weight[rows], bool(fitted[rows[0]]), rows))
    if not np.isfinite(table.design.features).any() and any(np.isfinite(run.size) for run in runs):
        notes.append("sizes N are read off the names of runs, as in 25M")
    return Curves(losses, runs, notes)


def check_questions(settings: Settings) -> None:
    """Refuse what the law of schedules does not answer."""
    asked = {"compute": settings.compute, "predict": settings.plans, "target-loss": settings.target_loss}
    for option, value in asked.items():
        if value:
            raise checks.ArgumentError(option, "left out for tables with a learning rate, whose law has no best size",
                                       value)  # fmt: skip


def steps(curves: Curves) -> int:
    """Count the fits, for a progress bar."""
    return len(LAWS) * len(curves.sizes) + 1


def fit_schedules(curves: Curves, settings: Settings, bar: Bar) -> ScheduleFits:
    """Fit each law to the runs of each size that are not held out; one (a, b) to all, where there are several sizes.

    Without files that are held out the last part of each run is, `Settings.hold_out`.
    """
    runs = curves.runs
    if all(run.fitted for run in runs) and settings.hold_out > 0:
        curves = curves._replace(runs=[half for run in runs for half in _split(run, settings.hold_out)])
    fits: dict[tuple[str, float], Fit] = {}
    for size in curves.sizes:
        known = [run for run in curves.runs if run.size == size and run.fitted]
        if not known:
            checks.fail("FILE", f"with a run of size {size:g} to fit, as some of that size are held out", "without")
        for law in LAWS:
            bar.set_description(f"{law.name}, N = {size:g}")
            model = law(tuple(run.schedule for run in known))
            fits[law.name, size] = huber(model, _table(model, known))
            bar.update()
    shared = None
    if len(curves.sizes) > 1 and np.isfinite(curves.sizes).all():
        bar.set_description("one (a, b) for all sizes")
        known = sorted((run for run in curves.runs if run.fitted), key=lambda run: run.size)
        laws = tuple(ScheduleLaw(tuple(run.schedule for run in known if run.size == size)) for size in curves.sizes)
        begin = tuple(fits[ScheduleLaw.name, size].theta for size in curves.sizes)
        model = SeveralSizes(laws, tuple(curves.sizes), begin)
        shared = huber(model, _table(model, known))
    bar.update()
    return ScheduleFits(curves, fits, shared)


def _split(run: Curve, part: float) -> list[Curve]:
    """Return the beginning of a run, and the whole of it as what is predicted."""
    kept = max(int(len(run.loss) * (1.0 - part)), 1)
    first = Schedule(*(x[:kept] for x in run.schedule))
    begin = run._replace(schedule=first, loss=run.loss[:kept], weight=run.weight[:kept], places=run.places[:kept])
    return [begin, run._replace(fitted=False, known=kept)]


def _table(model: ScheduleLaw | EmpiricalLaw | SeveralSizes, runs: list[Curve]) -> CurveTable:
    """Return the losses of runs as a table, parts of a run as its runs."""
    loss, weight = (np.concatenate([getattr(run, name) for run in runs]) for name in ("loss", "weight"))
    parts = [i * BLOCKS + np.arange(len(run.loss)) * BLOCKS // len(run.loss) for i, run in enumerate(runs)]
    check_count(model, len(loss))
    return CurveTable(model.design, loss, None, np.concatenate(parts), weight**2)
