"""The figure of `rfm fit` for runs under schedules: losses with both laws, learning rates, errors of each run."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.fit.schedule_job import Curve, ScheduleFits
from experiments.fit.schedule_law import EmpiricalLaw, ScheduleLaw
from experiments.output import plotting

CAPTION = "points: measured; solid: schedule law; dots: multi-power law; hollow points: held out"
SHOWN = 6  # runs in a panel, held out first
POINTS = 40  # of a run, at most
STYLES = {ScheduleLaw.name: "-", EmpiricalLaw.name: ":"}


def draw(fits: ScheduleFits) -> Figure:
    """Draw a row of panels for each size: losses and laws, learning rates, and the mean error of each run."""
    sizes = fits.curves.sizes
    figure, panels = plotting.new_figure(len(sizes), 3, caption=CAPTION)
    for row, size in zip(panels, sizes, strict=True):
        runs = [run for run in fits.curves.runs if run.size == size]
        chosen = sorted(runs, key=lambda run: run.fitted)[:SHOWN]
        of_size = "" if np.isinf(size) else f", $N$ = {size:g}"
        for index, run in enumerate(chosen):
            _draw_loss(row[0], fits, run, index)
            row[1].plot(run.schedule.steps, run.schedule.rates, color=plotting.COLORS[index], lw=1.2)
        plotting.finish(row[0], "step", "loss", f"losses under schedules{of_size}")
        plotting.finish(row[1], "step", "learning rate", "schedules, in the same colours", log=False)
        _draw_errors(row[2], fits, runs)
    return figure


def _draw_loss(ax: Axes, fits: ScheduleFits, run: Curve, index: int) -> None:
    """Draw some points of a run, and both laws through them."""
    few = np.unique(np.linspace(0, len(run.loss) - 1, POINTS).round().astype(int))
    steps, color = run.schedule.steps, plotting.COLORS[index]
    face = color if run.fitted else "none"
    ax.plot(steps[few], run.loss[few], plotting.MARKERS[index], ms=2.6, mfc=face, mew=0.6, color=color, label=run.label)
    for name, style in STYLES.items():
        ax.plot(steps, fits.predicted(name, run), style, color="k" if style == ":" else color, lw=0.9)


def _draw_errors(ax: Axes, fits: ScheduleFits, runs: list[Curve]) -> None:
    """Draw the mean relative error of each law on each run."""
    for index, name in enumerate(fits.names):
        errors = [100.0 * fits.error(name, run) for run in runs]
        ax.plot(errors, range(len(runs)), plotting.MARKERS[index], ms=4, color=plotting.COLORS[index], label=name)
    words = [f"{run.label}{'' if run.fitted else ' *'}" for run in runs]
    ax.set_yticks(range(len(runs)), words, fontsize=6)
    ax.set_ylim(-0.5, len(runs) + 2.0)
    ax.set_xlim(left=0.0)
    plotting.finish(ax, "mean relative error, %", "", "errors of the laws (* held out)", log=False)
