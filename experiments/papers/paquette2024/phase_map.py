"""The (alpha, beta) plane of Paquette et al. 2024 (arXiv 2405.15074; "S4"): compute-optimal one-pass SGD, measured on
the theory and drawn as a map of its phases."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

import rfm
import theory
from experiments.output import plotting, progress
from rfm import checks
from theory import exponents

ALPHAS, BETAS = (0.14, 1.6), (0.05, 1.6)  # of the map
MODES_PER_FEATURE = 2.0
LR = 0.5  # of what the trace of the spectrum allows
NODES = 80
TREND = np.geomspace(1e6, 1e14, 5)  # compute at which a point is followed
REACHED = 0.01  # exponents that differ by less are the same
FINE = 200  # pixels of the map


def inside(alpha: float, beta: float) -> bool:
    """Is the point inside a phase?"""
    try:
        exponents.phase(alpha, beta)
    except ValueError:
        return False
    return True


def learning_rate(b: float) -> tuple[float, float]:
    """(c, x) of the learning rate c N^x: a part of 1/trace, the trace of MODES_PER_FEATURE N modes for b < 1."""
    if b == 1.0:
        checks.fail("alpha", "different from 1/2, where the trace carries a logarithm", 0.5)
    # sum of k^-b: 1/(1 - b) times M^(1 - b), or b/(b - 1)
    lr = LR * (1.0 - b) * MODES_PER_FEATURE ** (b - 1.0) if b < 1.0 else LR * (b - 1.0) / b
    return lr, min(0.0, b - 1.0)


def measure(point: tuple[float, float], compute: float) -> tuple[float, float, float]:
    """Exponents of risk and of model size at the frontier of the theory, and whether it converged."""
    a, b = exponents.from_alpha_beta(*point)
    lr, shrinks = learning_rate(b)
    found = theory.frontier(
        rfm.power_law(a, b, 1000), np.array([compute]), optimizer=rfm.SGD(lr, 1), lr_exponent=shrinks,
        modes_per_feature=MODES_PER_FEATURE, nodes=NODES,
    )  # fmt: skip
    return float(found.risk_exponent[0]), float(found.size_exponent[0]), float(found.converged[0])


def measure_all(work: list[tuple[tuple[float, float], float]]) -> np.ndarray:
    """`measure` of every (point, compute), (len(work), 3), with a progress bar."""
    # two at a time: each leaves a core idle
    with ThreadPoolExecutor(2) as pool, progress.bar(len(work), "point") as bar:

        def one(item):
            found = measure(*item)
            bar.update()
            return found

        return np.array(list(pool.map(one, work)))


def verdict(formula: float, measured: np.ndarray) -> str:
    """Does the measured exponent reach the formula, or come closer?"""
    if not len(measured):
        return "not converged"
    gap = np.abs(measured - formula)
    if gap[-1] < REACHED:
        return "reached"
    return f"{gap[-1]:.3f} off, closer with compute" if gap[-1] < gap[0] else f"{gap[-1]:.3f} off, not closer"


def draw_map(figure, ax, title: str, points=None, measured=None, betas: tuple[float, float] = BETAS) -> None:
    """The formula over the plane, or with `points` and `measured` their colours, and the boundaries of the phases."""
    colours = dict(cmap="cividis", vmin=0.0, vmax=1.0)
    if points is None:
        fine = [(x, y) for y in np.linspace(*betas, FINE) for x in np.linspace(*ALPHAS, FINE)]
        formula = np.reshape([exponents.phase(*p).risk if inside(*p) else np.nan for p in fine], (FINE, FINE))
        picture = ax.imshow(formula, origin="lower", extent=(*ALPHAS, *betas), aspect="auto", **colours)
    else:
        picture = ax.scatter(*np.array(points).T, c=measured, s=62, marker="s", **colours)
    boundaries(ax, betas[1])
    ax.set_xlim(*ALPHAS)
    ax.set_ylim(*betas)
    ax.set_xlabel(r"$\alpha$")
    ax.set_ylabel(r"$\beta$")
    ax.set_title(f"exponent of the best risk, {title}", fontsize=9)
    figure.colorbar(picture, ax=ax)


def draw_trend(ax, points: dict[str, tuple[float, float]], followed: np.ndarray, trend: np.ndarray, title: str) -> None:
    """How the measured exponent of each point, followed (points, trend, 3), tends to its formula."""
    for index, ((name, point), line) in enumerate(zip(points.items(), followed, strict=True)):
        gap = np.where(line[:, 2] > 0, line[:, 0], np.nan) - exponents.phase(*point).risk
        ax.plot(trend, gap, label=name, color=plotting.COLORS[index], marker=plotting.MARKERS[index], ms=4, lw=1.0)
    ax.axhline(0.0, color="0.6", lw=0.8)
    ax.set_xlim(0.5 * TREND[0], 2.0 * TREND[-1])
    ax.set_xscale("log")
    plotting.finish(ax, "compute $C$", "measured $-$ formula", title, log=False)


def boundaries(ax, highest: float) -> None:
    """Where phases meet, up to the highest beta, and their names."""
    line = dict(color="w", lw=1.2)
    ax.plot([0.5, 0.5], [0.0, highest], **line)
    ax.plot([0.25, ALPHAS[1]], [0.5, 0.5], **line)
    ax.plot([0.5, ALPHAS[1]], [0.5, ALPHAS[1]], **line)
    for x in (0.25, 1.0 - 1.0 / np.sqrt(2.0)):
        ax.plot([x, x], [0.5, highest], **line)
    labels = {"Ia": (1.0, 0.25), "Ib": (0.4, 0.3), "Ic": (0.17, 1.1), "II": (1.2, 0.75), "III": (0.8, 1.2),
              "IVa": (0.4, 1.0), "IVb": (0.27, 1.4)}  # fmt: skip
    for name, (x, y) in labels.items():
        ax.text(x, y, name, color="w", ha="center", va="center", fontsize=9, path_effects=plotting.OUTLINE)
