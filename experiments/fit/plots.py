"""The figure of `rfm fit`: measured losses along every axis, both fits through them, and what was held out."""

import numpy as np

from experiments.fit.least_squares import Fit
from experiments.fit.models import LETTERS
from experiments.fit.readings import errors
from experiments.fit.table import AXES, CurveTable, Design
from experiments.output import plotting

SLICES = 4  # curves in a panel
POINTS = 96  # of a line: a peak at N = P is narrow
PEAK = 3.0  # times the largest loss: what is higher of a line is cut off
ROOM = 0.35  # of the height, below, for the legend
LABELS = {"features": "model size $N$", "samples": "data $P$", "times": "time $t$"}
CAPTION = "solid: solvable model; dashed: Chinchilla form; points: measured, two standard errors where known"


def draw(table: CurveTable, fits: list[Fit], held: np.ndarray):
    """A panel for each axis that varies, and one of fitted over measured losses; fits: solvable, Chinchilla."""
    axes = table.design.varied
    shown = CAPTION + ("; grey: held out of the fits" if held.any() else "")
    figure, panels = plotting.new_figure(1, len(axes) + 1, caption=shown)
    for ax, axis in zip(panels[0], axes, strict=False):
        draw_axis(ax, table, fits, held, axis)
    draw_ratio(panels[0, -1], table, fits, held)
    return figure


def draw_axis(ax, table: CurveTable, fits: list[Fit], held: np.ndarray, axis: str) -> None:
    """Losses against one axis at some values of the others."""
    x_all = getattr(table.design, axis)
    others = [other for other in AXES if other != axis]
    for index, rows in enumerate(slices(table, axis)):
        first = np.flatnonzero(rows)[0]
        fixed = {other: getattr(table.design, other)[first] for other in others}
        x, mean, error = means(x_all[rows], table.loss[rows], None if table.stderr is None else table.stderr[rows])
        label = ", ".join(
            f"${LETTERS[other]}$ = {plotting.number(float(f'{value:.4g}'))}" for other, value in fixed.items()
            if other in table.design.axes
        )  # fmt: skip
        color, marker = plotting.COLORS[index], plotting.MARKERS[index]
        ax.errorbar(x, mean, 2 * error, fmt=marker, ms=3.2, lw=0.9, color=color, label=label or "measured")
        line = np.geomspace(x[0], x[-1], POINTS)
        design = Design(**{axis: line}, **{other: np.full(POINTS, value) for other, value in fixed.items()})
        for one, style in zip(fits, ("-", "--"), strict=True):
            ax.plot(line, one.model.at(design).loss(one.theta), color=color, lw=1.2 if style == "-" else 0.9, ls=style)
    if held.any():
        kept = x_all[~held]
        if x_all.max() > kept.max():
            ax.axvspan(
                kept.max() ** 0.5 * x_all[x_all > kept.max()].min() ** 0.5, x_all.max() * 1.05, color="0.92", zorder=-1
            )
    plotting.finish(ax, LABELS[axis], "loss", "")
    low, high = ax.get_ylim()
    high = min(high, PEAK * table.loss.max())
    ax.set_ylim(low * (low / high) ** ROOM, high)
    plotting.label_digits(ax.yaxis)


def slices(table: CurveTable, axis: str) -> list[np.ndarray]:
    """Masks (R,) of rows that differ along one axis only: a few of those with the most values, far apart."""
    others = np.stack([getattr(table.design, other) for other in AXES if other != axis], 1)
    combos, which = np.unique(others, axis=0, return_inverse=True)
    which = which.reshape(-1)
    x = getattr(table.design, axis)
    counts = np.array([len(np.unique(x[which == i])) for i in range(len(combos))])
    long = np.flatnonzero(counts >= max(2, 0.7 * counts.max()))
    chosen = long[np.unique(np.linspace(0, len(long) - 1, SLICES).round().astype(int))] if len(long) else []
    return [which == i for i in chosen]


def means(x: np.ndarray, loss: np.ndarray, stderr: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct x, the mean loss there, and its standard error: over repetitions, else as given, else zero."""
    distinct, mean, error = np.unique(x), [], []
    for one in distinct:
        here = loss[x == one]
        mean.append(here.mean())
        if len(here) > 1:
            error.append(here.std(ddof=1) / np.sqrt(len(here)))
        else:
            error.append(0.0 if stderr is None else stderr[x == one][0])
    return distinct, np.array(mean), np.array(error)


def draw_ratio(ax, table: CurveTable, fits: list[Fit], held: np.ndarray) -> None:
    """Fitted over measured, each point: what is held out is filled."""
    for index, one in enumerate(fits):
        ratio, color, marker = 1.0 / (1.0 + one.residuals), plotting.COLORS[index], plotting.MARKERS[index]
        name = ("solvable", "Chinchilla")[index]
        fitted = ~held if held.any() else np.ones(len(table), bool)
        said = f"{name}, fitted: median {errors(one, fitted)[0]:.1%}"
        ax.plot(table.loss[fitted], ratio[fitted], marker, ms=2.6, mfc="none", mew=0.5, color=color, label=said)
        if held.any():
            said = f"{name}, held out: {errors(one, held)[0]:.1%}"
            ax.plot(table.loss[held], ratio[held], marker, ms=3.4, color=color, label=said, alpha=0.8, mew=0)
    ax.axhline(1.0, color="k", lw=0.7, zorder=0)
    ax.set_xscale("log")
    plotting.finish(ax, "measured loss", "fitted / measured", "", log=False)
    plotting.label_digits(ax.xaxis)
    low, high = ax.get_ylim()
    ax.set_ylim(bottom=low - ROOM * (high - low))
