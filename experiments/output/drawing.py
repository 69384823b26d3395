"""A scan as one panel: risk, training loss, the limit it tends to, and the window with its slope."""

import numpy as np
from matplotlib.axes import Axes

from experiments.compare.comparison import AXES, Comparison
from experiments.compare.exponent import Exponent
from experiments.compare.scans import Scan
from experiments.output import plotting

TEST_LOSS = "test loss = risk + label noise"
MOST_POINTS = 24  # of a curve, so that they do not hide the line


def draw_scan(ax: Axes, scan: Scan, exponent: Exponent | None = None, message: str = "") -> None:
    """Draw the risk of a scan, its training loss if along time, and the fitted window with its slope.

    message: what the panel shows, above what was held.
    """
    keep = np.flatnonzero(scan.x > 0)
    points = keep[:: max(1, len(keep) // MOST_POINTS)]
    x, predicted = scan.x[keep], scan.risk.theory[keep]
    # theory of the algorithm itself is explained once for the figure, any other by name
    dotted = {} if scan.comparable else {"ls": ":"}
    named = {} if scan.own_theory else {"label": scan.theory_label}
    plotting.draw(ax, scan.risk.at(points), line_style=named | dotted)
    if scan.spread is not None:
        plotting.draw_spread(ax, scan.spread.cut(keep))
    if scan.axis == "time" and np.isfinite(scan.risk.fixed["P"]):  # on fresh data it is the risk, noise added
        if scan.noise_var > 0:  # training losses have the label noise in them, the risk has not
            color = plotting.COLORS[plotting.RISK]
            ax.plot(x, predicted + scan.noise_var, color=color, lw=0.9, ls="-.", label=TEST_LOSS)
        training = scan.training.at(points)
        plotting.draw(ax, training, plotting.TRAINING, hollow=True, line_style=dotted)
        curves = (scan.training.theory[keep], predicted, scan.training.mean[keep], scan.risk.mean)
        ax.set_ylim(bottom=max(0.5 * min(np.min(y) for y in curves), 1e-2 * predicted.min()))
    if scan.average is not None:
        plotting.draw(ax, scan.average.at(points), plotting.AVERAGE)
    if scan.messages:  # what diverged is off by tens of decades
        ax.set_ylim(top=1e3 * predicted.max())
    if scan.comparable:
        ax.plot(x, scan.limit[keep], color=plotting.LIMIT, lw=1, ls=":", label="risk, all else infinite", zorder=0)
    if exponent is not None and exponent.window is not None:
        start = np.exp(np.interp(np.log(exponent.window[0]), np.log(x), np.log(predicted)))
        theory = f", theory $-${exponent.theory:.3f}"
        label = f"slope $-${exponent.simulated:.3f} $\\pm$ {exponent.stderr:.3f}{theory}"
        plotting.draw_slope(ax, exponent, 1.5 * start, label)
    plotting.finish(ax, AXES[scan.axis], "loss" if scan.axis == "time" else "risk",
                    "\n".join(filter(None, (message, describe(scan.risk)))))  # fmt: skip


def describe(pair: Comparison) -> str:
    """Return what was held, for a title."""
    symbols = {"richness": r"\gamma"}
    held = ", ".join(f"${symbols.get(name, name)}$ = {plotting.number(value)}" for name, value in pair.fixed.items())
    return f"{held}; {pair.seeds} seeds"
