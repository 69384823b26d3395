"""The figure of `rfm fit`: measured losses along every axis, both fits through them, and what was held out."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.compare.statistics import standard_error
from experiments.fit.job import BothFits
from experiments.fit.readings import errors
from experiments.fit.table import DESIGN_AXES, LETTERS, CurveTable, Design
from experiments.output import plotting

SLICES = 4  # curves in a panel
SHARE = 0.25  # of the points, at least, that lie on such curves: else all points are drawn
FINE_POINTS = 96  # of a line: a peak at N = P is narrow
CEILING = 3.0  # times the largest loss: what is higher of a line is cut off
DESIGN_LABELS = {"features": "model size $N$", "samples": "data $P$", "times": "time $t$"}
STYLES = (("-", 1.2), ("--", 0.9))  # of both models, and widths
MODEL_NAMES = ("solvable", "Chinchilla")
FIT_CAPTION = "solid: solvable model; dashed: Chinchilla form; points: measured, two standard errors where known"


def draw(fits: BothFits) -> Figure:
    """Draw a panel for each axis that varies, and one of fitted over measured losses."""
    axes = fits.table.design.varied
    caption = FIT_CAPTION + ("; grey: held out of the fits" if fits.held.any() else "")
    figure, panels = plotting.new_figure(1, len(axes) + 1, caption=caption)
    for ax, axis in zip(panels[0], axes, strict=False):
        _draw_axis(ax, fits, axis)
    _draw_ratio(panels[0, -1], fits)
    return figure


def _draw_axis(ax: Axes, fits: BothFits, axis: str) -> None:
    """Draw losses against one axis at some values of the others, or all losses if none share these values."""
    table, held = fits.table, fits.held
    x_all = getattr(table.design, axis)
    slices = _slices(table.design, axis)
    for index, rows in enumerate(slices):
        part = table.select(rows)
        fixed = {other: getattr(part.design, other)[0] for other in DESIGN_AXES if other != axis}
        label = ", ".join(
            f"${LETTERS[other]}$ = {plotting.number(float(f'{value:.4g}'))}" for other, value in fixed.items()
            if other in table.design.axes
        )  # fmt: skip
        color, marker = plotting.COLORS[index], plotting.MARKERS[index]
        x, mean, error = _means(part, axis)
        ax.errorbar(x, mean, 2 * error, fmt=marker, ms=3.2, lw=0.9, color=color, label=label or "measured")
        line = np.geomspace(x[0], x[-1], FINE_POINTS)
        design = Design(**{axis: line}, **{other: np.full(FINE_POINTS, value) for other, value in fixed.items()})
        for fit, (style, width) in zip(fits.shown, STYLES, strict=True):
            ax.plot(line, fit.model.at(design).loss(fit.theta), color=color, lw=width, ls=style)
    if not slices:
        ax.plot(x_all, table.loss, "o", ms=3.2, mfc="none", color="0.4", label="measured")
        for name, fit, marker, color in zip(MODEL_NAMES, fits.shown, ("x", "+"), plotting.COLORS, strict=False):
            ax.plot(x_all, fit.model.loss(fit.theta), marker, ms=3.6, mew=0.7, color=color, label=name)
    last = x_all[~held].max()
    if held.any() and x_all.max() > last:
        ax.axvspan(
            last**0.5 * x_all[x_all > last].min() ** 0.5, x_all.max() * 1.05, color="0.92", zorder=-1, label="held out"
        )
    plotting.finish(ax, DESIGN_LABELS[axis], "loss", f"both fits along {DESIGN_LABELS[axis]}")
    low, high = ax.get_ylim()
    high = min(high, CEILING * table.loss.max())
    ax.set_ylim(low, high)


def _slices(design: Design, axis: str) -> list[np.ndarray]:
    """Masks (R,) of rows that differ along one axis only: a few of those with the most values, far apart."""
    others = np.stack([getattr(design, other) for other in DESIGN_AXES if other != axis], 1)
    combos, which = np.unique(others, axis=0, return_inverse=True)
    which = which.reshape(-1)
    x = getattr(design, axis)
    counts = np.array([len(np.unique(x[which == i])) for i in range(len(combos))])
    long = np.flatnonzero(counts >= max(2, 0.7 * counts.max()))
    if np.isin(which, long).mean() < SHARE:
        return []
    chosen = long[np.unique(np.linspace(0, len(long) - 1, SLICES).round().astype(int))]
    return [which == i for i in chosen]


def _means(part: CurveTable, axis: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct x, the mean loss there, and its standard error: over repetitions, else as given, else zero."""
    x = getattr(part.design, axis)
    distinct = np.unique(x)
    losses = [part.loss[x == value] for value in distinct]
    given = [0.0 if part.stderr is None else part.stderr[x == value][0] for value in distinct]
    error = [standard_error(y) if len(y) > 1 else known for y, known in zip(losses, given, strict=True)]
    return distinct, np.array([y.mean() for y in losses]), np.array(error)


def _draw_ratio(ax: Axes, fits: BothFits) -> None:
    """Draw fitted over measured losses, point by point; held-out points are filled."""
    loss, held = fits.table.loss, fits.held
    for index, (name, fit) in enumerate(zip(MODEL_NAMES, fits.shown, strict=True)):
        ratio, color, marker = 1.0 / (1.0 + fit.residuals), plotting.COLORS[index], plotting.MARKERS[index]
        label = f"{name}, fitted: median {errors(fit, ~held).median:.1%}"
        ax.plot(loss[~held], ratio[~held], marker, ms=2.6, mfc="none", mew=0.5, color=color, label=label)
        if held.any():
            label = f"{name}, held out: {errors(fit, held).median:.1%}"
            ax.plot(loss[held], ratio[held], marker, ms=3.4, color=color, label=label, alpha=0.8, mew=0)
    ax.axhline(1.0, color="k", lw=0.7, zorder=0)
    ax.set_xscale("log")
    plotting.finish(ax, "measured loss", "fitted / measured", "how far both fits are off", log=False)
