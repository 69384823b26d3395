"""Measured losses to laws in one call, which `rfm fit` makes too."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from experiments.fit import job, plots, report, schedule_job, schedule_plots, schedule_report
from experiments.fit.cells import Source
from experiments.fit.losses import Reading, read
from experiments.fit.settings import HOLD_OUT, Settings, check_questions, models_of
from experiments.output import progress

Losses = Source | Sequence[Source]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Laws fitted to measured losses, and what follows from them.

    Attributes:
        fits: All fits with their residuals: `job.Fits`, or `schedule_job.ScheduleFits` where there are learning rates.
        text: The report that `rfm fit` prints.
        tables: Rows of the tables "parameters", "points" and "predictions", as `rfm fit` writes them.
        record: Errors, columns and verdicts, as the JSON file has them.
    """

    fits: job.Fits | schedule_job.ScheduleFits
    text: str
    tables: dict[str, list[dict]]
    record: dict

    def figure(self) -> Figure:
        """Draw losses, laws, errors by run and, where there is one, the frontier of best sizes."""
        if isinstance(self.fits, schedule_job.ScheduleFits):
            return schedule_plots.draw(self.fits)
        return plots.draw(self.fits)

    def value(self, parameter: str, model: str = "chinchilla") -> tuple[float, float, float]:
        """Return a parameter of a model and the ends of its 95 % interval, as in the table of parameters."""
        for row in self.tables["parameters"]:
            if (row["model"], row["parameter"]) == (model, parameter):
                return row["estimate"], row["low"], row["high"]
        known = sorted({row["parameter"] for row in self.tables["parameters"] if row["model"] == model})
        raise KeyError(f"{model} has no parameter {parameter}, but {', '.join(known)}")


def fit_losses(
    losses: Losses,
    *,
    held_out: Losses | None = None,
    columns: Mapping[str, str] | None = None,
    accuracy: bool = False,
    least_squares: bool = False,
    hold_out: float = HOLD_OUT,
    compute: Sequence[float] = (),
    flops_per_token: float = 6.0,
    predict: Sequence[Mapping[str, float]] = (),
    target_loss: float | None = None,
    **theory: Any,
) -> Outcome:
    """Fit measured losses by power laws, by the solvable model, or by the law of schedules.

    Args:
        losses: A file or several, or columns by their name (a mapping, a data frame).
        held_out: The same of losses that are predicted and not fitted.
        columns: Name of the column of a role ("features", "times", "loss", "run", ...), where it has no usual name.
        accuracy: Are the losses accuracies? Then 1 - accuracy is fitted.
        least_squares: Squares of relative residuals in place of Huber's loss of log residuals.
        hold_out: Part of the rows, of the largest sizes, that a second fit does not see; 0 for none.
        compute: Budgets whose best size and time are asked for.
        flops_per_token: C = flops_per_token N t.
        predict: Plans whose loss is asked for, as {"N": 7e9, "tokens": 1.4e12}.
        target_loss: A loss whose cheapest size and time are asked for.
        **theory: Of the solvable model: solvable, optimizer, num_modes, units, fixed; see `settings.Settings`.

    Returns:
        The fits, their report, tables and figure.

    Raises:
        ValueError: What the options of `rfm fit` refuse, in the same words.

    Example:
        >>> sizes = np.repeat([1e8, 1e9, 1e10], 4)
        >>> tokens = np.tile([1e9, 1e10, 1e11, 1e12], 3)
        >>> loss = 1.8 + 480.0 * sizes**-0.35 + 2100.0 * tokens**-0.37
        >>> outcome = fit_losses({"params": sizes, "tokens": tokens, "loss": loss}, compute=[1e21])
        >>> print(outcome.text.splitlines()[0])
        params → N, tokens → t; 12 losses against N, t, 12 runs
        >>> [round(outcome.value(name)[0], 3) for name in ("E", "alpha", "beta")]
        [1.8, 0.35, 0.37]
    """
    plans = tuple(",".join(f"{name}={value!r}" for name, value in plan.items()) for plan in predict)
    reading = Reading(dict(columns or {}), accuracy, flops_per_token)
    settings = Settings(reading=reading, hold_out=hold_out, least_squares=least_squares, compute=tuple(compute),
                        plans=plans, target_loss=target_loss, **theory)  # fmt: skip
    return carry_out(settings, losses, held_out)


def carry_out(settings: Settings, losses: Losses, held_out: Losses | None) -> Outcome:
    """Read losses, fit what suits them, and say what follows; settings as they come from the command line.

    Args:
        settings: What is asked.
        losses: Files or columns.
        held_out: The same of losses that are only predicted.
    """
    second = None if held_out is None else read(held_out, settings.reading)
    together, fitted = job.together(read(losses, settings.reading), second)
    if schedule_job.has_schedules(together):
        schedule_job.check_questions(settings)
        curves = schedule_job.curves_of(together, fitted)
        with progress.bar(schedule_job.steps(curves), "fit", "schedules") as bar:
            of_schedules = schedule_job.fit_schedules(curves, settings, bar)
        return Outcome(of_schedules, "\n".join(schedule_report.lines(of_schedules)),
                       schedule_report.tables(of_schedules), schedule_report.record(of_schedules))  # fmt: skip
    models = models_of(settings, together.table)
    check_questions(settings, models)
    with progress.bar(job.STEPS, "step", "power laws") as bar:
        fits = job.fit_all(settings, models, together, fitted, bar)
    asked_to_hold_out = not settings.quick and settings.hold_out > 0
    text = "\n".join(report.lines(fits, asked_to_hold_out=asked_to_hold_out))
    return Outcome(fits, text, report.tables(fits), report.record(fits))
