"""Data in, Figure out. Theory is a line, simulation points with error bars; style in one place."""

from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from experiments.compare.comparison import Comparison
from experiments.compare.exponent import Exponent
from experiments.compare.spread import Spread
from experiments.compare.statistics import standard_error
from experiments.output.axes import set_ticks

# one thing has one colour in all figures: numbers are places in COLORS, references to simulation and theory are black
# or grey, a fitted slope a black line, a closed form black dashes, a claim black dots
RISK, TRAINING, AVERAGE = 0, 1, 2
END, STOPPED, RIDGE = 0, 1, 2  # of training, at the best time, at the best ridge
BEST_SIZE, BEST_TIME = 0, 1
FRONTIER = FITTED = CLOSED = CLAIMED = "k"
LIMIT = "0.6"
WINDOW = "window of the fitted slope"
# Okabe and Ito 2008, safe for colour-blind readers; markers differ too
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
CAPTION, POINTS = "lines: theory; ", "points: simulation, two standard errors"
SPREAD = (
    f"{POINTS}; dots: leading order of theory\n"
    "lines and bands: to the next order, where it is small: mean and standard deviation of one model"
)
OUTLINE = [patheffects.withStroke(linewidth=2.0, foreground="k")]  # text on a coloured ground
STYLE: dict[Any, Any] = {
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def new_figure(
    rows: int, columns: int, width: float = 3.7, height: float = 3.3, caption: str = CAPTION + POINTS
) -> tuple[Figure, np.ndarray]:
    """A figure without a window behind it, and its axes (rows, columns); caption: what lines and points are."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    figure.suptitle(caption, fontsize=8, color="0.35")
    return figure, axes


def draw(
    ax: Axes,
    pair: Comparison,
    index: int = 0,
    *,
    label: str | None = None,
    hollow: bool = False,
    line_style: Mapping[str, Any] | None = None,
) -> None:
    """Draw theory as a line and simulated means as points with two standard errors.

    Args:
        ax: Where to draw.
        pair: What to draw.
        index: Colour and marker, the same for the same thing.
        label: Name in the legend, that of the comparison where it is None.
        hollow: Points are hollow and the line is dashed.
        line_style: How else the line is drawn, as `Axes.plot` takes it.
    """
    line_x, theory = pair.theory_line
    style = {"color": COLORS[index % len(COLORS)], "lw": 1.3, "ls": "--" if hollow else "-"}
    ax.plot(line_x, theory, **(style | dict(line_style or {})))
    stderr = standard_error(pair.risks) if pair.seeds > 1 else None
    draw_points(ax, pair.x, pair.mean, stderr, index, label=pair.label if label is None else label, hollow=hollow)


def draw_spread(ax: Axes, spread: Spread, index: int = 0) -> None:
    """Draw the leading order as dots, and mean and standard deviation of one model as a band where they are known."""
    color, known = COLORS[index % len(COLORS)], spread.line
    ax.plot(spread.x, spread.leading, color=color, lw=1.0, ls=":", zorder=1.5)
    ax.fill_between(spread.x, known - spread.std, known + spread.std, color=color, alpha=0.15, lw=0, zorder=0.5)


def draw_all(ax: Axes, pairs: Iterable[Comparison], label: str | None = None) -> None:
    """Draw each in the next colour; label: "N = {N}" with the held sizes, or None for their own labels."""
    for index, pair in enumerate(pairs):
        draw(ax, pair, index, label=None if label is None else label.format(**pair.fixed))


def draw_points(
    ax: Axes,
    x: ArrayLike,
    mean: np.ndarray,
    stderr: np.ndarray | None,
    index: int = 0,
    *,
    label: str | None = None,
    hollow: bool = False,
) -> None:
    """Draw points with two standard errors, where they have any, in the colour and with the marker of `index`."""
    color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
    spread = None if stderr is None else 2 * stderr
    face = "white" if hollow else color
    ax.errorbar(x, mean, spread, fmt=marker, ms=3.6, color=color, mfc=face, lw=0.9, label=label)


def draw_slope(
    ax: Axes,
    exponent: Exponent,
    start: float,
    label: str | None = None,
    *,
    line_style: Mapping[str, Any] | None = None,
) -> None:
    """Shade the window of an exponent, and draw its slope as a black line from `start` at the first x of it."""
    if exponent.window is None or exponent.simulated is None:
        return
    x, slope = np.array(exponent.window), exponent.simulated
    ax.axvspan(x[0], x[-1], color="0.93", zorder=-1, label=WINDOW)
    label = f"slope $-${slope:.3f}" if label is None else label
    ax.plot(x, start * (x / x[0]) ** -slope, **({"color": FITTED, "lw": 1, "label": label} | dict(line_style or {})))


def finish(ax: Axes, x_label: str, y_label: str, title: str, log: bool = True) -> None:
    """Set scales, labels and the legend."""
    if log:
        ax.set_xscale("log")
        ax.set_yscale("log")
    set_ticks(ax.xaxis)
    set_ticks(ax.yaxis)
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    ax.set_title(title, fontsize=9)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=6.5, facecolor="w", edgecolor="none", framealpha=0.85)


def number(value: float) -> str:
    """Return a number in TeX, for a label."""
    if np.isinf(value):
        return r"$\infty$"
    return f"{value:g}" if value < 1e5 else f"$10^{{{np.log10(value):.3g}}}$"
