"""The settings of `rfm fit`, and which models and questions suit a table."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from experiments.fit import decision
from experiments.fit.least_squares import check_count
from experiments.fit.losses import Reading
from experiments.fit.models import Chinchilla, Model, Solvable
from experiments.fit.table import DESIGN_AXES, LETTERS, CurveTable
from rfm import checks
from rfm.optimizers import GradientDescent, GradientFlow

QUICK_STARTS = 4  # of a quick look, see `Solvable`
LARGEST = 1e6  # a model size, and a time: beyond these a table is of networks, whose units are not the model's
HOLD_OUT = 0.4


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of `rfm fit`, checked as far as they can be before a table is read.

    Attributes:
        files: Files of the losses.
        held_out: Files of losses that are predicted and not fitted.
        reading: How files are read.
        optimizer: The algorithm that the losses come from, at constant learning rate.
        num_modes: Of the solvable model, None for infinitely many.
        units: Letters N, P, t of axes whose unit is fitted, or "all".
        fixed: Parameters of the solvable model that are held.
        hold_out: Part of the rows that a second fit does not see, 0 for no second fit.
        least_squares: Squares of relative residuals in place of Huber's loss of log residuals.
        solvable: Is the solvable model fitted whatever the table is?
        compute: Budgets.
        plans: Plans whose loss is asked for, as typed.
        target_loss: A loss whose cheapest plan is asked for.
        out: Folder for the results.
        quick: Few starts of the fit of the solvable model, and no second fit.
    """

    files: Sequence[str] = ()
    held_out: Sequence[str] = ()
    reading: Reading = Reading()  # noqa: RUF009 (frozen)
    optimizer: GradientFlow | GradientDescent = GradientFlow()  # noqa: RUF009 (frozen)
    num_modes: int | None = None
    units: tuple[str, ...] = ()
    fixed: tuple[tuple[str, float], ...] = ()
    hold_out: float = HOLD_OUT
    least_squares: bool = False
    solvable: bool = False
    compute: tuple[float, ...] = ()
    plans: tuple[str, ...] = ()
    target_loss: float | None = None
    out: str = "results"
    quick: bool = False

    def __post_init__(self) -> None:
        checks.fraction("hold-out", self.hold_out)
        for value in self.compute:
            checks.number("compute", value, 0.0, "numbers > 0")
        if self.target_loss is not None:
            checks.number("target-loss", self.target_loss, 0.0, "a number > 0")
        if self.num_modes is not None:
            checks.count("modes", self.num_modes, "an integer >= 1")
        elif (b := dict(self.fixed).get("b", 2.0)) <= 1.0:
            checks.fail("fix b", "a number > 1 for infinitely many modes (give --modes)", b)

    @property
    def asks_for_theory(self) -> bool:
        """Is there an option that only the solvable model has?"""
        discrete = self.optimizer.discrete
        return self.solvable or bool(self.units) or bool(self.fixed) or self.num_modes is not None or discrete


def wants_theory(settings: Settings, table: CurveTable) -> bool:
    """Is the solvable model fitted: where it is asked for, or where N and t can be in its units."""
    sizes = [x[np.isfinite(x)] for x in (table.design.features, table.design.times)]
    return settings.asks_for_theory or all(len(x) == 0 or x.max() <= LARGEST for x in sizes)


def models_of(settings: Settings, table: CurveTable) -> tuple[Model, ...]:
    """Return the models at the points of a table: the solvable one where it is wanted, then power laws.

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
    chinchilla: Model = Chinchilla(design, design.varied)
    models: tuple[Model, ...] = (chinchilla,)
    if wants_theory(settings, table):
        models = (
            Solvable(design, settings.optimizer, settings.num_modes, units, settings.fixed, tries=tries),
            chinchilla,
        )
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


def check_questions(settings: Settings, models: Sequence[Model]) -> None:
    """Refuse questions that the power laws of a table cannot answer; ValueError with the option."""
    axes = models[-1].axes if isinstance(models[-1], Chinchilla) else ()
    for text in settings.plans:
        decision.read_plan(text, axes)
    if (settings.compute or settings.target_loss is not None) and set(axes) != {"features", "times"}:
        option = "compute" if settings.compute else "target-loss"
        given = " and ".join(LETTERS[axis] for axis in axes)
        raise checks.ArgumentError(option, "left out for a table without several sizes N and times t, between which "
                                   "compute is shared", f"asked of one against {given}")  # fmt: skip
