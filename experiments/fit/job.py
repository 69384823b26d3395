"""The job of `rfm fit`: both models on all losses, and on those that are not held out."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from experiments.fit.least_squares import Fit, check_count, fit
from experiments.fit.losses import Losses
from experiments.fit.models import Chinchilla, Model, Solvable
from experiments.fit.readings import BestSize, best_size, errors
from experiments.fit.robust import huber, outliers
from experiments.fit.table import DESIGN_AXES, LETTERS, CurveTable, held_out
from experiments.output.progress import Bar
from rfm import checks
from rfm.optimizers import GradientDescent, GradientFlow

QUICK_STARTS = 4  # of a quick look, see `Solvable`
STEPS = 6  # of `fit_both`, for a progress bar
POOR = 1.5  # a model whose median error is so many times that of the other is rejected
LEAST = 1e-9  # error that counts as zero


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of `rfm fit`, checked as far as they can be before the table is read.

    Attributes:
        file: CSV file of the losses.
        columns: Name of the column for each role of `losses.COLUMNS`, None for the usual names.
        optimizer: The algorithm that the losses come from, at constant learning rate.
        num_modes: Of the solvable model, None for infinitely many.
        units: Letters N, P, t of axes whose unit is fitted, or "all".
        fixed: Parameters of the solvable model that are held.
        hold_out: Part of the rows that a second fit does not see, 0 for no second fit.
        out: Folder for the results.
        quick: Few starts of the fit of the solvable model.
    """

    file: str
    columns: Mapping[str, str | None]
    optimizer: GradientFlow | GradientDescent
    num_modes: int | None
    units: tuple[str, ...]
    fixed: tuple[tuple[str, float], ...]
    hold_out: float
    out: str
    quick: bool = False

    def __post_init__(self) -> None:
        checks.fraction("hold-out", self.hold_out)
        if self.num_modes is not None:
            checks.count("modes", self.num_modes, "an integer >= 1")
        elif (b := dict(self.fixed).get("b", 2.0)) <= 1.0:
            checks.fail("fix b", "a number > 1 for infinitely many modes (give --modes)", b)


@dataclasses.dataclass(frozen=True)
class BothFits:
    """Both models, solvable and Chinchilla, fitted to one table.

    Attributes:
        losses: R measured losses, and where they were read.
        robust: The Chinchilla form by Huber's loss.
        out: (R,) True for rows that stand out from it.
        inner: As `robust`, without these; None where there are none.
        whole: Fits of all losses.
        ahead: Fits of those that are not held out; None where nothing is.
        held: (R,) True where held out.
        budget: Largest compute C = N t of the table.
        best: What each model makes of that budget.
    """

    losses: Losses
    robust: Fit
    out: np.ndarray
    inner: Fit | None
    whole: tuple[Fit, Fit]
    ahead: tuple[Fit, Fit] | None
    held: np.ndarray
    budget: float
    best: tuple[BestSize | None, BestSize | None]

    @property
    def table(self) -> CurveTable:
        """R measured losses."""
        return self.losses.table

    @property
    def ratio(self) -> float:
        """Median error of the solvable model over that of power laws."""
        solvable, chinchilla = (errors(fit).median + LEAST for fit in self.whole)
        return solvable / chinchilla

    @property
    def rejected(self) -> Fit | None:
        """The fit of the two that describes the table POOR times worse than the other."""
        solvable, chinchilla = self.whole
        return solvable if self.ratio > POOR else chinchilla if self.ratio < 1.0 / POOR else None

    @property
    def shown(self) -> tuple[Fit, Fit]:
        """The fits that had something left to predict, if there are any."""
        return self.ahead or self.whole


def models_of(settings: Settings, table: CurveTable) -> tuple[Solvable, Chinchilla]:
    """Return both models at the points of a table.

    Raises:
        ValueError: Steps that are not whole, units of a missing axis, an axis that does not vary, or too
            few rows.
    """
    design, discrete = table.design, settings.optimizer.discrete
    if discrete and np.any(design.times % 1):
        checks.fail("times", "whole step counts for --optimizer gd", float(design.times[design.times % 1 > 0][0]))
    units = _units(settings, table)
    if not design.varied:
        checks.fail("FILE", "one in which N, P or t takes two values or more", "one value of each")
    tries = QUICK_STARTS if settings.quick else None
    solvable = Solvable(design, settings.optimizer, settings.num_modes, units, settings.fixed, tries=tries)
    models = solvable, Chinchilla(design, design.varied)
    for model in models:
        check_count(model, len(table))
    return models


def _units(settings: Settings, table: CurveTable) -> tuple[str, ...]:
    """Axes of the table whose unit is fitted."""
    discrete, axes = settings.optimizer.discrete, table.design.axes
    if settings.units == ("all",):
        return tuple(axis for axis in axes if not (axis == "times" and discrete))
    asked = tuple(axis for axis in DESIGN_AXES if LETTERS[axis] in settings.units)
    for axis in asked:
        if axis not in axes:
            checks.fail("units", "of axes that the file has", LETTERS[axis])
    if "times" in asked and discrete:
        checks.fail("units", "left out for t with --optimizer gd, whose steps are counted", "t")
    return asked


def fit_both(models: tuple[Solvable, Chinchilla], losses: Losses, part: float, bar: Bar) -> BothFits:
    """Fit both models to all rows, and to all but about `part` of them where enough are left.

    `bar` advances by STEPS.
    """
    table, (solvable, chinchilla) = losses.table, models
    held = held_out(table.design, part)
    most = max(len(model.free) for model in models)
    left = table.select(~held).design.varied if not held.all() else ()
    enough = bool(held.any() and (~held).sum() > most and left == table.design.varied)

    def both(model: Model, words: str) -> tuple[Fit, Fit | None]:
        def tell(error: float) -> None:
            bar.set_description(f"{words}, off by {error:.2%}")

        bar.set_description(words)
        whole = fit(model, table, on_step=tell)
        bar.update()
        ahead = fit(model, table, ~held, start=whole.theta, on_step=tell) if enough else None
        bar.update()
        return whole, ahead

    power_laws = both(chinchilla, "power laws")
    robust = huber(chinchilla, table)
    out = outliers(chinchilla, table, robust)
    inner = huber(chinchilla, table, np.where(out, 0.0, 1.0)) if out.any() else None
    bar.update()
    theory = both(solvable, "solvable model")
    bar.set_description("compute")
    budget = float(np.max(table.design.features * table.design.times))
    (first, first_ahead), (second, second_ahead) = theory, power_laws
    best = best_size(first, budget), best_size(second, budget)
    bar.update()
    ahead = None if first_ahead is None or second_ahead is None else (first_ahead, second_ahead)
    held = held if enough else np.zeros(len(table), bool)
    return BothFits(losses, robust, out, inner, (first, second), ahead, held, budget, best)
