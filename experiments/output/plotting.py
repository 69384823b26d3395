"""Data in, Figure out. Theory is a line, simulation points with error bars; style in one place."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.compare.comparison import Comparison
from experiments.compare.exponent import Exponent
from experiments.compare.statistics import standard_error

# Okabe and Ito 2008, safe for colour-blind readers; markers differ too
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
CAPTION, POINTS = "lines: theory; ", "points: simulation, two standard errors"
OUTLINE = [patheffects.withStroke(linewidth=2.0, foreground="k")]  # text on a coloured ground
STYLE = {
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
    color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
    line_x, theory = (pair.x, pair.theory) if pair.line is None else (pair.line_x, pair.line)
    ax.plot(line_x, theory, **({"color": color, "lw": 1.3, "ls": "--" if hollow else "-"} | dict(line_style or {})))
    spread = 2 * standard_error(pair.risks) if pair.seeds > 1 else None
    face = "white" if hollow else color
    ax.errorbar(
        pair.x, pair.mean, spread, fmt=marker, ms=3.6, color=color, mfc=face, lw=0.9,
        label=pair.label if label is None else label,
    )  # fmt: skip


def draw_slope(ax: Axes, exponent: Exponent, start: float, label: str | None = None) -> None:
    """Shade the window of an exponent, and draw its slope as a black line from `start` at the first x of it."""
    if exponent.window is None or exponent.simulated is None:
        return
    x, slope = np.array(exponent.window), exponent.simulated
    ax.axvspan(x[0], x[-1], color="0.93", zorder=-1)
    label = f"slope $-${slope:.3f}" if label is None else label
    ax.plot(x, start * (x / x[0]) ** -slope, "k", lw=1, label=label)


def finish(ax: Axes, x_label: str, y_label: str, title: str, log: bool = True) -> None:
    """Set scales, labels and the legend."""
    if log:
        ax.set_xscale("log")
        ax.set_yscale("log")
        label_digits(ax.xaxis)
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    ax.set_title(title, fontsize=9)
    ax.legend(fontsize=6.5, frameon=False)


def label_digits(axis) -> None:
    """Label 2 and 5 alone on a logarithmic axis with a single power of ten, where all digits would be too wide."""
    low, high = np.log10(axis.get_view_interval())
    if np.floor(high) - np.ceil(low) < 1:
        axis.set_minor_formatter(lambda x, _: f"{x:g}" if f"{x:e}"[0] in "25" else "")


def number(value: float) -> str:
    """Return a number in TeX, for a label."""
    if np.isinf(value):
        return r"$\infty$"
    return f"{value:g}" if value < 1e5 else f"$10^{{{np.log10(value):.3g}}}$"
