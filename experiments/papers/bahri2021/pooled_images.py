"""S3 on the kernel of a random ReLU layer on pooled images: its spectrum decides how data and model size are used."""

import dataclasses

import jax
import numpy as np
from tqdm import tqdm

import rfm
import theory
from experiments.compare.comparison import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import bootstrap_slope, log_slope, standard_error
from experiments.compare.verdicts import OPEN, REFINED, judge
from experiments.compare.windows import SHORTER
from experiments.output import plotting
from experiments.papers import images
from experiments.papers.row import Script, Shown

INF, END = np.inf, rfm.Ridge(0.0)
AXES = {"samples": ("alpha_D", r"$\alpha_D$", "data $P$"), "features": ("alpha_P", r"$\alpha_P$", "model size $N$")}


def show(seed: int, data: str, rows: int, pools: tuple[int, ...], sizes: tuple[int, ...], seeds: int) -> Shown:
    """Spectra; risk against data and against model size, trained and in closed form, for a flat teacher."""
    inputs, classes = (array[:rows] for array in images.load(data, seed))
    keys = jax.random.split(jax.random.key(seed), seeds)
    x = np.array(sizes, float)
    caption = plotting.CAPTION + plotting.POINTS + "; rings: Gaussians of the same spectrum"
    figure, axes = plotting.new_figure(1, 3, caption=caption)
    findings, table, points = [], [], []
    with tqdm(total=2 * len(pools) * len(sizes), unit="run") as bar:
        for index, pool in enumerate(pools):
            problem = _problem(images.flatten(images.pool(inputs, pool)), classes, seed)
            name = f"pooled {pool} x {pool}"
            alpha, error = _spectrum(axes[0, 0], index, name, problem, x)
            for ax, axis in zip(axes[0, 1:], AXES, strict=True):
                real, gaussian, predicted = _risks(problem, axis, sizes, keys, bar)
                slope, spread = bootstrap_slope(x, real)
                symbol, tex, label = AXES[axis]
                line = -log_slope(x, predicted)
                told = f"{name}: {tex} = {-slope:.2f}, $\\alpha_K$ = {alpha:.2f}"
                plotting.draw_pair(ax, x, real, x, predicted, told, index)
                ax.plot(x, gaussian.mean(0), ls="none", marker="o", ms=7, mfc="none", color=plotting.COLORS[index])
                plotting.finish(ax, label, "risk, all else infinite", "flat teacher; dotted: slope $-\\alpha_K$")
                ax.plot(x, 0.6 * predicted[0] * (x / x[0]) ** -alpha, ":", lw=1, color=plotting.COLORS[index])
                findings.append(judge(
                    f"{name}: {symbol}, trained, against alpha_K", -slope, claimed=alpha, closed=line,
                    error=float(np.hypot(error, spread)),
                ))  # fmt: skip
                points.append((real, gaussian, predicted, x))
                table += [
                    {"pool": pool, "alpha_K": alpha, "axis": axis, "size": n, "risk": m, "stderr": s, "theory": p,
                     "risk_gaussian": g}
                    for n, m, s, p, g in zip(sizes, real.mean(0), standard_error(real), predicted, gaussian.mean(0),
                                             strict=True)
                ]  # fmt: skip
    real, gaussian, predicted, x = (np.concatenate(parts, axis=-1) for parts in zip(*points, strict=True))
    alike = agreement(real, predicted, x, "rows and neurons are as Gaussians of their spectrum")
    if alike.verdict == OPEN:  # a property of the data that theory does not claim
        alike = dataclasses.replace(alike, verdict=REFINED)
    findings = [agreement(gaussian, predicted, x, "theory = simulation, Gaussians of the spectrum"), alike, *findings]
    return Shown(figure, table, tuple(findings))


def _problem(x: np.ndarray, classes: np.ndarray, seed: int) -> rfm.Problem:
    """The ReLU kernel of the rows, and a teacher of random signs on all of its modes (w_k^2 = 1)."""
    problem = rfm.from_inputs(x, classes, "relu").output(0)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], len(problem.eigenvalues))
    labels = problem.population.rows @ signs
    population = dataclasses.replace(problem.population, labels=labels, target=signs, unexplained=0.0)
    return dataclasses.replace(problem, target=signs, noise_var=0.0, population=population)


def _spectrum(ax, index, name, problem, x):
    """alpha_K over the same window as the sizes, and how far it moves where a quarter is left out at either end."""
    k, values = np.arange(1.0, len(problem.eigenvalues) + 1), problem.eigenvalues
    cut = (x[-1] / x[0]) ** SHORTER
    windows = [(k >= low) & (k <= high) for low, high in ((x[0], x[-1]), (x[0] * cut, x[-1]), (x[0], x[-1] / cut))]
    alphas = [-log_slope(k[use], values[use]) - 1.0 for use in windows]
    ax.plot(k, values, ".", ms=2, color=plotting.COLORS[index], label=f"{name}: $\\alpha_K$ = {alphas[0]:.2f}")
    ax.plot(x, values[int(x[0])] * (x / x[0]) ** -(1.0 + alphas[0]), "k", lw=1)
    ax.set_ylim(bottom=1e-7)
    plotting.finish(ax, "mode $k$", r"eigenvalue $\lambda_k$", r"ReLU kernel; lines: slope $-(1 + \alpha_K)$")
    return alphas[0], max(abs(alpha - alphas[0]) for alpha in alphas[1:])


def _risks(problem, axis, sizes, keys, bar):
    """Risk at the end of training against one size, the other infinite: (S, X) of rows and neurons, (S, X) of
    Gaussians, and (X,) predicted."""
    real, gaussian, predicted = [], [], []
    spectrum = dataclasses.replace(problem, population=None)
    for n in sizes:
        args = {"num_features": INF, "num_samples": INF, f"num_{axis}": n, "optimizer": END}
        features = "relu" if axis == "features" else "gaussian"
        own = fold_keys(keys, n)
        real.append(rfm.simulate(problem, **args, keys=own, features=features).risk[:, 0])
        gaussian.append(rfm.simulate(spectrum, **args, keys=own).risk[:, 0])
        predicted.append(theory.predict(problem, **args).risk[0])
        bar.update()
    return np.array(real).T, np.array(gaussian).T, np.array(predicted)


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
