"""S3 on the kernel of a random ReLU layer on pooled images: its spectrum decides how data and model size are used."""

import dataclasses
from functools import partial

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
from experiments.compare.comparison import AXES, INFINITE
from experiments.compare.equivalence import agreement
from experiments.compare.laws import END
from experiments.compare.scans import scan_size
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import OPEN, REFINED
from experiments.compare.windows import SHORTER
from experiments.output import plotting, progress
from experiments.papers import images
from experiments.papers.row import Counts, Script, Shown

COLUMNS = ("pool", "alpha_K", "axis", "size", "risk", "stderr", "theory", "risk_gaussian")
SLOPE_NAMES = {"samples": "alpha_D", "features": "alpha_P"}


def show(seed: int, *, data: str, rows: int, pools: Counts, sizes: Counts, seeds: int) -> Shown:
    """Draw spectra; risk against data and against model size, trained and in closed form, for a flat teacher."""
    inputs, classes = (array[:rows] for array in images.load(data, seed))
    keys = jax.random.split(jax.random.key(seed), seeds)
    caption = plotting.CAPTION + plotting.POINTS + "; rings: Gaussians of the same spectrum"
    figure, axes = plotting.new_figure(1, 3, caption=caption)
    verdicts, table, rows_and_neurons, gaussians = [], [], [], []
    for index, pool in enumerate(progress.over(pools, "pool")):
        problem, color = _problem(images.flatten(images.pool(inputs, pool)), classes, seed), plotting.COLORS[index]
        name = f"pooled {pool} x {pool}"
        alpha, error = _spectrum(axes[0, 0], index, name, problem, np.array(sizes, float))
        for ax, (axis, symbol) in zip(axes[0, 1:], SLOPE_NAMES.items(), strict=True):
            scan = partial(scan_size, axis=axis, sizes=sizes, **INFINITE, optimizer=END, time=None, keys=keys)
            real = scan(problem, features="relu" if axis == "features" else "gaussian").risk
            gaussian = scan(dataclasses.replace(problem, population=None)).risk
            gaussian = dataclasses.replace(gaussian, theory=real.theory)
            rows_and_neurons.append(real)
            gaussians.append(gaussian)
            slope = real.slope(quantity=f"{name}: {symbol}, trained, against alpha_K")
            text = f"{name}: $\\{symbol}$ = {slope.simulated:.2f}, $\\alpha_K$ = {alpha:.2f}"
            plotting.draw(ax, real, index, label=text)
            ax.plot(real.x, gaussian.mean, ls="none", marker="o", ms=7, mfc="none", color=color)
            plotting.finish(ax, AXES[axis], "risk, all else infinite", "flat teacher; dotted: slope $-\\alpha_K$")
            ax.plot(real.x, 0.6 * real.theory[0] * (real.x / real.x[0]) ** -alpha, ":", lw=1, color=color)
            unsure = float(np.hypot(error, slope.stderr))
            verdicts.append(dataclasses.replace(slope, claimed=alpha, stderr=unsure).verdict())
            more = {"pool": pool, "alpha_K": alpha, "axis": axis, "size": sizes, "risk_gaussian": gaussian.mean}
            table += real.rows(*COLUMNS, **more)
    alike = agreement(rows_and_neurons, "rows and neurons are as Gaussians of their spectrum")
    if alike.verdict == OPEN:  # a property of the data that theory does not claim
        alike = dataclasses.replace(alike, verdict=REFINED)
    spectral = agreement(gaussians, "simulation against theory, Gaussians of the spectrum")
    return Shown(figure, table, (spectral, alike, *verdicts))


def _problem(x: np.ndarray, classes: np.ndarray, seed: int) -> rfm.Problem:
    """The ReLU kernel of the rows, and a teacher of random signs on all of its modes (w_k^2 = 1)."""
    problem = rfm.from_inputs(x, classes, "relu").output(0)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], len(problem.eigenvalues))
    rows = problem.population
    assert rows is not None
    population = dataclasses.replace(rows, labels=rows.rows @ signs, target=signs, unexplained=0.0)
    return dataclasses.replace(problem, target=signs, noise_var=0.0, population=population)


def _spectrum(ax: Axes, index: int, name: str, problem: rfm.Problem, x: np.ndarray) -> tuple[float, float]:
    """Draw the eigenvalues; alpha_K over the window of the sizes x, and how far it moves with a quarter less of it."""
    k, values = np.arange(1.0, len(problem.eigenvalues) + 1), problem.eigenvalues
    cut = (x[-1] / x[0]) ** SHORTER
    windows = [(k >= low) & (k <= high) for low, high in ((x[0], x[-1]), (x[0] * cut, x[-1]), (x[0], x[-1] / cut))]
    alpha, *shorter = [-log_slope(k[use], values[use]) - 1.0 for use in windows]
    ax.plot(k, values, ".", ms=2, color=plotting.COLORS[index], label=f"{name}: $\\alpha_K$ = {alpha:.2f}")
    ax.plot(x, values[int(x[0])] * (x / x[0]) ** -(1.0 + alpha), "k", lw=1)
    ax.set_ylim(bottom=1e-7)
    plotting.finish(ax, "mode $k$", r"eigenvalue $\lambda_k$", r"ReLU kernel; lines: slope $-(1 + \alpha_K)$")
    return alpha, max(abs(other - alpha) for other in shorter)


main = Script(
    name="S3-pool",
    title="Random ReLU features of pooled images: data, model size and the kernel's spectrum",
    source="Bahri et al. 2021 (arXiv 2102.06701), random features on pooled images",
    claim="pooling changes the spectrum k^-(1 + alpha_K) of the kernel, and alpha_D = alpha_P = alpha_K throughout",
    show=show,
    full=dict(data="digits", rows=2000, pools=(1, 2, 4), sizes=(8, 16, 32, 64, 128), seeds=32),
    smoke=dict(data="digits", rows=250, pools=(2,), sizes=(8, 32), seeds=4),
    limits=(
        "S3 pools MNIST and CIFAR-10; other images: rfm figures S3-pool --data FILE.npz, with arrays "
        "x (n, height, width) and classes y (n,); 2,000 of them are used."
    ),
)
