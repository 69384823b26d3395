"""The (alpha, beta) plane of Paquette et al. 2024 (arXiv 2405.15074; "S4"): compute-optimal one-pass SGD, measured on
the theory and drawn as a map of its phases."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.output import plotting, progress
from rfm import checks
from theory import exponents

ALPHAS, BETAS = (0.14, 1.6), (0.05, 1.6)  # of the map
MODES_PER_FEATURE = 2.0
LR = 0.5  # of what the trace of the spectrum allows
MAP_NODES = 80
TREND = np.geomspace(1e6, 1e14, 5)  # compute at which a point is followed
REACHED = 0.01  # exponents that differ by less are the same
FINE = 200  # pixels of the map
ALPHA_LABEL = r"$\alpha$: eigenvalues $\lambda_k = k^{-2\alpha}$"
BETA_LABEL = r"$\beta$: target $w_k = k^{-\beta}$"
PHASE_LABELS = {
    "Ia": (1.0, 0.25), "Ib": (0.4, 0.3), "Ic": (0.19, 1.1), "II": (1.2, 0.75), "III": (0.8, 1.2), "IVa": (0.4, 1.0),
    "IVb": (0.27, 1.4),
}  # fmt: skip
Point = tuple[float, float]  # alpha, beta


class Best(NamedTuple):
    """Exponents of risk and of model size at the frontier of the theory, at one point and compute."""

    point: Point
    compute: float
    risk: float
    size: float
    converged: bool

    @property
    def phase(self) -> exponents.Phase:
        """The phase of the point, with the formula of both exponents."""
        return exponents.phase(*self.point)


def inside(alpha: float, beta: float) -> bool:
    """Return whether the point is inside a phase."""
    try:
        exponents.phase(alpha, beta)
    except ValueError:
        return False
    return True


def learning_rate(b: float) -> tuple[float, float]:
    """Return (c, x) of the rate c N^x: a part of 1/trace, of MODES_PER_FEATURE N modes for b < 1, of all modes beyond.

    Raises:
        ValueError: b = 1, where the trace carries a logarithm.
    """
    if b == 1.0:
        checks.fail("alpha", "different from 1/2, where the trace carries a logarithm", 0.5)
    # sum of k^-b: 1/(1 - b) times M^(1 - b), or b/(b - 1)
    lr = LR * (1.0 - b) * MODES_PER_FEATURE ** (b - 1.0) if b < 1.0 else LR * (b - 1.0) / b
    return lr, min(0.0, b - 1.0)


def measure(point: Point, compute: float) -> Best:
    """Return the exponents at the frontier of the theory."""
    a, b = exponents.from_alpha_beta(*point)
    lr, shrinks = learning_rate(b)
    frontier = theory.frontier(
        rfm.power_law(a, b, 1000), [compute], optimizer=rfm.SGD(lr, 1), lr_exponent=shrinks,
        modes_per_feature=MODES_PER_FEATURE, nodes=MAP_NODES,
    )  # fmt: skip
    risk, size = float(frontier.risk_exponent[0]), float(frontier.size_exponent[0])
    return Best(point, float(compute), risk, size, bool(frontier.converged[0]))


def follow(points: Sequence[Point], computes: Sequence[float] | np.ndarray) -> list[list[Best]]:
    """Return `measure` of every point at every compute, a list a point, with a progress bar."""
    return [[measure(point, compute) for compute in computes] for point in progress.over(points, "point")]


def verdict(formula: float, measured: np.ndarray) -> str:
    """Return in words whether the measured exponents reach the formula, or come closer."""
    if not len(measured):
        return "not converged"
    gap = np.abs(measured - formula)
    if gap[-1] < REACHED:
        return "reached"
    return f"{gap[-1]:.3f} off, closer with compute" if gap[-1] < gap[0] else f"{gap[-1]:.3f} off, not closer"


def draw_map(ax: Axes, title: str, measured: Sequence[Best] = (), *, betas: tuple[float, float] = BETAS) -> None:
    """Draw what is measured as coloured points, or else the formula over the plane, with the boundaries of phases."""
    colours = dict[str, Any](cmap="cividis", vmin=0.0, vmax=1.0)
    if measured:
        xs, ys = (np.unique(values) for values in np.array([best.point for best in measured]).T)
        risks = np.full((len(ys), len(xs)), np.nan)
        for best in measured:
            place = np.searchsorted(ys, best.point[1]), np.searchsorted(xs, best.point[0])
            risks[place] = best.risk if best.converged else np.nan
    else:
        xs, ys = np.linspace(*ALPHAS, FINE), np.linspace(*betas, FINE)
        risks = np.array([[exponents.phase(x, y).risk if inside(x, y) else np.nan for x in xs] for y in ys])
    picture = ax.pcolormesh(xs, ys, risks, shading="nearest", rasterized=True, **colours)
    ax.vlines([0.5, 0.25, 1.0 - 1.0 / np.sqrt(2.0)], [0.0, 0.5, 0.5], betas[1], "w", lw=1.2)
    ax.hlines(0.5, 0.25, ALPHAS[1], "w", lw=1.2)
    ax.plot([0.5, ALPHAS[1]], [0.5, ALPHAS[1]], "w", lw=1.2)
    for name, (x, y) in PHASE_LABELS.items():
        ax.text(x, y, name, color="w", ha="center", va="center", fontsize=9, path_effects=plotting.OUTLINE)
    ax.set(xlim=ALPHAS, ylim=betas, xlabel=ALPHA_LABEL, ylabel=BETA_LABEL)
    ax.set_title(title, fontsize=9)
    ax.set_facecolor("0.85")
    ax.figure.colorbar(picture, ax=ax, label="$x$ of the best risk $\\sim C^{-x}$")


def draw_trend(ax: Axes, lines: Mapping[str, Sequence[Best]], title: str) -> None:
    """Draw how the measured exponent of each named point tends to its formula as compute grows."""
    for index, (name, line) in enumerate(lines.items()):
        gap = [best.risk - best.phase.risk if best.converged else np.nan for best in line]
        style = dict[str, Any](color=plotting.COLORS[index], marker=plotting.MARKERS[index], ms=4, lw=1.0)
        ax.plot([best.compute for best in line], gap, label=name, **style)
    ax.axhline(0.0, color=plotting.LIMIT, lw=0.8)
    ax.set(xlim=(0.5 * TREND[0], 2.0 * TREND[-1]), xscale="log")
    plotting.finish(ax, "compute $C$", "measured exponent $-$ formula", title, log=False)
