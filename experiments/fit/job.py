"""The job of `rfm fit`: power laws, where it is asked for the solvable model, what they predict, and what follows."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from experiments.fit import decision
from experiments.fit.baselines import TELLS, comparison, last_value, power_law
from experiments.fit.least_squares import Fit, fit
from experiments.fit.losses import Losses
from experiments.fit.models import Chinchilla, Model
from experiments.fit.readings import BestSize, best_size, errors
from experiments.fit.robust import huber, outliers, stand_out
from experiments.fit.settings import Settings
from experiments.fit.table import DESIGN_AXES, LETTERS, CurveTable, held_out
from experiments.output.progress import Bar
from rfm import checks

STEPS = 4  # of `fit_all`, for a progress bar
POOR = 1.5  # a model whose median error is so many times that of the other is rejected
LEAST = 1e-9  # error that counts as zero


@dataclasses.dataclass(frozen=True)
class Fits:
    """All that is fitted to one table.

    Attributes:
        losses: R measured losses, and where they were read.
        fitted: (R,) False for rows of files that are only predicted.
        held: (R,) True where the second fits do not see them, or where `fitted` is False.
        whole: Fits of all fitted losses: the solvable model, if it is fitted, and the Chinchilla form.
        ahead: Fits of those that are not held out, in the same order; empty where there are none.
        out: (R,) True for rows that stand out.
        inner: The Chinchilla form without these; None where there are none.
        other: The Chinchilla form by the estimator that was not asked for: least squares, or Huber's loss.
        flops_per_token: C = flops_per_token N t.
        budget: Largest compute N t of the table.
        best: Of the solvable model and the Chinchilla form at that budget, in the order of `whole`.
        choices: Answers to what was asked.
        second: Best sizes by parabolas, None where the table has no such budgets.
    """

    losses: Losses
    fitted: np.ndarray
    held: np.ndarray
    whole: tuple[Fit, ...]
    ahead: tuple[Fit, ...]
    out: np.ndarray
    inner: Fit | None
    other: Fit
    flops_per_token: float
    budget: float
    best: tuple[BestSize | None, ...]
    choices: tuple[decision.Choice, ...]
    second: decision.Parabolas | None

    @property
    def table(self) -> CurveTable:
        """R measured losses."""
        return self.losses.table

    @property
    def chinchilla(self) -> Fit:
        """The power laws."""
        return self.whole[-1]

    @property
    def solvable(self) -> Fit | None:
        """The solvable model, if it is fitted."""
        return self.whole[0] if len(self.whole) > 1 else None

    @property
    def by_squares(self) -> tuple[Fit, ...]:
        """The fits by least squares, which alone are compared: Huber's loss makes the median error its own aim."""
        return (*self.whole[:-1], self.other if self.chinchilla.robust else self.chinchilla)

    @property
    def ratio(self) -> float:
        """Median error of the solvable model over that of power laws; 1 without the former."""
        medians = [errors(fit, self.fitted).median + LEAST for fit in self.by_squares]
        return medians[0] / medians[-1] if len(medians) > 1 else 1.0

    @property
    def rejected(self) -> Fit | None:
        """The fit of the two that describes the table POOR times worse than the other."""
        return self.whole[0] if self.ratio > POOR else self.chinchilla if self.ratio < 1.0 / POOR else None

    @property
    def shown(self) -> tuple[Fit, ...]:
        """The fits that had something left to predict, if there are any."""
        return self.ahead or self.whole

    @cached_property
    def forecasts(self) -> dict[str, np.ndarray]:
        """Losses (R,) by everything that knows only the rows that are not held out; empty where none are."""
        if not self.held.any():
            return {}
        fits = self.ahead or self.whole
        said = {fit.model.name: self.table.loss / (1.0 + fit.residuals) for fit in fits}
        return said | {
            "power law": power_law(self.table, ~self.held),
            "last value": last_value(self.table, ~self.held),
        }

    @property
    def told(self) -> str:
        """Say whether the rows held out tell the Chinchilla form from simpler forecasts; empty without any."""
        said, held = self.forecasts, self.held
        if not said or "chinchilla" not in said:
            return ""
        loss, run = self.table.loss[held], self.table.run[held]
        unsure, worse = [], []
        for name in ("power law", "last value"):
            z = comparison(loss, run, said["chinchilla"][held], said[name][held])
            if not abs(z) > TELLS:
                unsure.append(f"a {name}" if name == "power law" else "the last value")
            elif z > 0:
                worse.append(f"a {name}" if name == "power law" else "the last value")
        text = f"on this table the Chinchilla form predicts no better than {' or '.join(unsure)}" if unsure else ""
        beside = f"predict{'s' * (len(worse) == 1)} the rows held out better than the Chinchilla form"
        lost = f"{' and '.join(worse)} {beside}" if worse else ""
        return "; ".join(part for part in (text, lost) if part)


def fit_all(settings: Settings, models: Sequence[Model], losses: Losses, fitted: np.ndarray, bar: Bar) -> Fits:
    """Fit the models to the rows that are fitted, and to all but about a part of them where enough are left.

    Args:
        settings: What is asked.
        models: See `models_of`.
        losses: R losses.
        fitted: Mask (R,) of the rows that are fitted at all.
        bar: Advances by STEPS.
    """
    table, given = losses.table, not fitted.all()
    held = ~fitted if given else held_out(table.design, 0.0 if settings.quick else settings.hold_out)
    most = max(len(model.free) for model in models)
    left = table.select(~held).design.varied if not held.all() else ()
    enough = bool(held.any() and (~held).sum() > most and left == table.design.varied)
    if given and not enough:
        checks.fail("held-out", "files beside which enough rows are left to fit, on all axes", list(settings.held_out))
    held = held if enough else np.zeros(len(table), bool)
    whole, ahead = [], []
    for model in models:
        words = "power laws" if isinstance(model, Chinchilla) else "solvable model"

        def tell(error: float, words: str = words) -> None:
            bar.set_description(f"{words}, off by {error:.2%}")

        bar.set_description(words)
        find = _estimator(settings, model, table, tell)
        whole.append(find(fitted, None))
        bar.update()
        if enough and not given:
            ahead.append(find(~held, whole[-1].theta))
    chinchilla = whole[-1]
    assert isinstance(models[-1], Chinchilla)
    rows = fitted.astype(float)
    seen = table.select(fitted)
    law = models[-1].at(seen.design)
    out = outliers(law, seen, huber(law, seen))
    out = np.isin(np.arange(len(table)), np.flatnonzero(fitted)[out])
    inner = huber(models[-1], table, np.where(out, 0.0, rows)) if out.any() else None
    other = _estimator(
        dataclasses.replace(settings, least_squares=not settings.least_squares), models[-1], table, _ignore
    )
    bar.update()
    bar.set_description("compute")
    choices, second = (
        _choices(settings, chinchilla),
        decision.parabolas(chinchilla, table, settings.reading.flops_per_token),
    )
    largest = float(np.max(table.design.features * table.design.times))
    best = tuple(best_size(fit, largest) for fit in whole)
    bar.update(STEPS - bar.n if bar.n < STEPS else 0)
    return Fits(losses, fitted, held, tuple(whole), tuple(ahead), out, inner, other(fitted, None),
                settings.reading.flops_per_token, largest, best, choices, second)  # fmt: skip


def _estimator(
    settings: Settings, model: Model, table: CurveTable, tell: Callable[[float], None]
) -> Callable[[np.ndarray, np.ndarray | None], Fit]:
    """Return the fit of a model to a mask of rows, from a start: robust unless least squares are asked for."""
    if isinstance(model, Chinchilla) and not settings.least_squares:
        return lambda rows, start: huber(model, table, rows.astype(float))

    def find(rows: np.ndarray, start: np.ndarray | None) -> Fit:
        first = fit(model, table, rows, start=start, on_step=tell)
        far = stand_out(first.residuals, table.run, rows)
        if settings.least_squares or not far.any():
            return first
        return fit(model, table, rows & ~far, start=first.theta, on_step=tell)

    return find


def _ignore(error: float) -> None:
    pass


def _choices(settings: Settings, fit: Fit) -> tuple[decision.Choice, ...]:
    """Answer what was asked."""
    flops, axes = settings.reading.flops_per_token, fit.model.design.varied
    choices = [decision.budget(fit, value, flops) for value in settings.compute]
    choices += [decision.asked(fit, decision.read_plan(text, axes), flops) for text in settings.plans]
    if settings.target_loss is not None:
        choices.append(decision.target(fit, settings.target_loss, flops))
    return tuple(choices)


def together(first: Losses, second: Losses | None) -> tuple[Losses, np.ndarray]:
    """Return the losses of two readings as one, and the mask (R,) of the rows of the first.

    Raises:
        ValueError: One has an axis, or a learning rate, that the other lacks.
    """
    if second is None:
        return first, np.ones(len(first.table), bool)
    a, b = first.table, second.table
    for axis in DESIGN_AXES:
        if (axis in a.design.axes) != (axis in b.design.axes):
            checks.fail("held-out", f"files with the axes of the others, {_letters(a)}",
                        f"with {_letters(b)}")  # fmt: skip

    def both(get: Callable[[Losses], np.ndarray | None]) -> np.ndarray | None:
        left, other = get(first), get(second)
        return None if left is None or other is None else np.concatenate([left, other])

    if (first.lr is None) != (second.lr is None):
        checks.fail("held-out", "files with a column of learning rates like the others", "without")
    design = type(a.design)(*(np.concatenate([getattr(x.design, axis) for x in (a, b)]) for axis in DESIGN_AXES))
    table = CurveTable(design, np.concatenate([a.loss, b.loss]), both(lambda x: x.table.stderr),
                       np.concatenate([a.run, b.run + a.run.max() + 1]), both(lambda x: x.table.weight))  # fmt: skip
    losses = first._replace(
        table=table, places=first.places + second.places, labels=first.labels + second.labels,
        title=first.words, notes=[*first.notes, f"held out: {second.words}", *second.other_notes],
        lr=both(lambda x: x.lr), batch=both(lambda x: x.batch),
    )  # fmt: skip
    return losses, np.arange(len(table)) < len(a)


def _letters(table: CurveTable) -> str:
    return ", ".join(LETTERS[axis] for axis in table.design.axes)
