"""Data in, Figure out. Theory is a line, simulation points with error bars; style in one place."""

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.compare.scans import AXES, Scan, standard_error
from experiments.compare.windows import Fit

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


def draw_pair(
    ax: Axes, x, samples, line_x, line, label: str, index: int = 0, hollow: bool = False, style: dict | None = None
) -> None:
    """Theory `line` over `line_x` and simulated `samples` (S, X) over x with two standard errors."""
    color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
    spread = 2 * standard_error(samples) if len(samples) > 1 else None
    face = "white" if hollow else color
    ax.plot(line_x, line, **({"color": color, "lw": 1.3, "ls": "--" if hollow else "-"} | (style or {})))
    ax.errorbar(x, samples.mean(0), spread, fmt=marker, ms=3.6, color=color, mfc=face, lw=0.9, label=label)


def draw_scan(ax: Axes, scan: Scan, fit: Fit | None = None) -> None:
    """Risk of a scan, its training loss if along time, and the fitted window with its slope."""
    keep = scan.x > 0
    x, predicted = scan.x[keep], scan.predicted[keep]
    every = slice(None, None, max(1, len(x) // 24))  # points that do not hide the line
    # theory of the algorithm itself is explained once for the figure, any other by name
    style = {} if scan.own_theory else {"label": scan.theory_label}
    style |= {} if scan.comparable else {"ls": ":"}
    draw_pair(ax, x[every], scan.samples[:, keep][:, every], x, predicted, "risk", style=style)
    if scan.axis == "time" and np.isfinite(scan.fixed["P"]):  # on fresh data it is the risk, noise added
        train = scan.train_predicted[keep]
        style |= {"label": None}
        draw_pair(ax, x[every], scan.train_samples[:, keep][:, every], x, train, "training loss", 1, True, style)
        lowest = min(np.min(y) for y in (train, predicted, scan.train_samples.mean(0), scan.mean))
        ax.set_ylim(bottom=max(0.5 * lowest, 1e-2 * predicted.min()))
    if scan.messages:  # what diverged is off by tens of decades
        ax.set_ylim(top=1e3 * predicted.max())
    if scan.comparable:
        ax.plot(x, scan.limit[keep], color="0.6", lw=1, ls=":", label="risk, all else infinite", zorder=0)
    if fit is not None and fit.window is not None:
        ax.axvspan(*fit.window, color="0.93", zorder=-1)
        window = np.array(fit.window)
        start = np.exp(np.interp(np.log(window[0]), np.log(x), np.log(predicted)))
        slope = f"slope $-${fit.simulated:.3f} $\\pm$ {fit.stderr:.3f}, theory $-${fit.theory:.3f}"
        ax.plot(window, 1.5 * start * (window / window[0]) ** -fit.simulated, color="k", lw=1, label=slope)
    finish(ax, AXES[scan.axis], "risk", describe(scan))


def describe(scan: Scan) -> str:
    """What was held, for a title."""
    fixed = ", ".join(f"${name}$ = {number(value)}" for name, value in scan.fixed.items())
    return f"{fixed}; {len(scan.samples)} seeds"


def finish(ax: Axes, x_label: str, y_label: str, title: str, log: bool = True) -> None:
    """Scales, labels, legend."""
    if log:
        ax.set_xscale("log")
        ax.set_yscale("log")
        label_digits(ax.xaxis)
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    ax.set_title(title, fontsize=9)
    ax.legend(fontsize=6.5, frameon=False)


def label_digits(axis) -> None:
    """On a logarithmic axis with a single power of ten, where every digit would be labelled, too wide: 2 and 5."""
    low, high = np.log10(axis.get_view_interval())
    if np.floor(high) - np.ceil(low) < 1:
        axis.set_minor_formatter(lambda x, _: f"{x:g}" if f"{x:e}"[0] in "25" else "")


def number(value: float) -> str:
    """For a label, in TeX."""
    if np.isinf(value):
        return r"$\infty$"
    return f"{value:g}" if value < 1e5 else f"$10^{{{np.log10(value):.3g}}}$"
