"""FL-8: weight decay on both layers ends at the least training loss plus a penalty of the unsquared norm of weights.

Gradient descent with weight decay omega comes to rest where g = (omega/sqrt(gamma)) beta/|beta|, g the residual: at the
minimum of half the training loss + (omega/sqrt(gamma)) |beta|. That is ridge regression at the ridge rho at which
rho sqrt(gamma) |beta_rho| = omega, and beta = 0 where omega >= sqrt(gamma) |h|, h the moment of features and labels.
"""

import math

import jax
import numpy as np
from scipy.optimize import brentq

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.keys import fold_keys
from experiments.compare.verdicts import FINITE, SIGMAS, Verdict, condition
from experiments.output import plotting, progress
from experiments.papers.feature_learning.training import NOISE, A, B, agrees
from experiments.papers.row import Counts, Script, Shown, Values
from rfm.arguments import Sizes
from theory.evaluation import problem_modes
from theory.fixed_point import Model, kappa_real
from theory.mode_sums import bias_of, degrees_of_freedom

DEPTH = 40.0  # of the spectrum that counts
SLOPE = 1e-4  # relative step of a derivative
BARE = 1.5  # times the decay beyond which nothing is learned: no draw learns there
NOTHING = 1e-3  # of the norm of weights without decay


def show(
    seed: int, *, sizes: Counts, richness: Values, decays: Values, steps: tuple[int, float], modes: int, seeds: int
) -> Shown:
    """Show risk and norm of trained weights against weight decay, and of the two penalties; steps: how many, and lr."""
    problem, key, (n, p) = rfm.power_law(A, B, modes, NOISE), jax.random.key(seed), sizes
    keys = jax.random.split(key, seeds)
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    line = np.geomspace(0.5 * decays[0], 2.0 * decays[-1], 60)
    findings, table, pairs, norms = [], [], [], []
    for index, gamma in enumerate(progress.over(richness, "richness")):
        ended = [_trained(problem, sizes, (decay, gamma), steps, fold_keys(keys, 10 * index + i))
                 for i, decay in enumerate(decays)]  # fmt: skip
        both = [np.array([penalised(problem, sizes, x, gamma) for x in at]) for at in (np.array(decays), line)]
        for column, (ax, symbol) in enumerate(zip(axes[0], ("risk", "norm"), strict=True)):
            values = np.stack([end[column] for end in ended], axis=1)
            held = {"N": n, "P": p, "richness": gamma}
            pair = Comparison("omega", np.array(decays), values, both[0][:, column], held, f"$\\gamma$ = {gamma:g}",
                              line, both[1][:, column])  # fmt: skip
            plotting.draw(ax, pair, index)
            (pairs, norms)[column].append(pair)
            table += pair.rows(quantity=np.full(len(decays), symbol))
    edge = np.sqrt(moment(problem, sizes))
    inside, norms_inside = (_inside(each, edge) for each in (pairs, norms))
    findings.append(agrees("risk in the end over that of the unsquared penalty", inside))
    findings.append(agrees("norm of weights over that of the unsquared penalty", norms_inside))
    findings.append(_bare(norms, edge))
    findings.append(_squared(problem, inside))
    ridge = np.array([theory.predict(problem, **_sizes(sizes), optimizer=rfm.Ridge(x)).risk[0] for x in line])
    axes[0, 0].plot(line, ridge, color=plotting.CLAIMED, ls=":", lw=1.2, label="squared penalty, ridge regression")
    title = f"N = {n}, P = {p}, $\\sigma^2$ = {NOISE:g}; {seeds} seeds"
    plotting.finish(axes[0, 0], "weight decay $\\omega$", "risk in the end", title)
    title = "none beyond a finite decay"
    plotting.finish(axes[0, 1], "weight decay $\\omega$", "norm of effective weights", title, log=False)
    axes[0, 1].set_xscale("log")
    axes[0, 1].set_ylim(bottom=0.0)
    return Shown(figure, table, tuple(findings))


def _inside(pairs: list[Comparison], edge: float) -> list[Comparison]:
    """Return the points at which every draw learns."""
    return [pair.at(np.flatnonzero(pair.x < edge * np.sqrt(pair.fixed["richness"]) / BARE)) for pair in pairs]


def _sizes(sizes: Counts) -> Sizes:
    return Sizes(num_features=sizes[0], num_samples=sizes[1])


def _trained(
    problem: rfm.Problem, sizes: Counts, numbers: Values, steps: tuple[int, float], keys: jax.Array
) -> tuple[np.ndarray, np.ndarray]:
    """Return risks and norms of effective weights (S,) after all steps; numbers: weight decay and richness."""
    optimizer = rfm.GradientDescent(steps[1], weight_decay=numbers[0])
    curve = rfm.simulate(
        problem, **_sizes(sizes), optimizer=optimizer, times=[steps[0]], richness=numbers[1], return_weights=True,
        keys=keys,
    )  # fmt: skip
    assert curve.weights is not None
    return np.asarray(curve.risk)[:, -1], np.linalg.norm(np.asarray(curve.weights)[:, -1], axis=-1)


def ridge_objective(problem: rfm.Problem, sizes: Counts, ridge: float) -> float:
    """Return training loss + ridge |beta|^2 at its minimum, R1 (sigma^2 + Q), whose derivative in ridge is |beta|^2."""
    model = Model(problem_modes(problem, DEPTH), 1.0 / sizes[0], 1.0 / sizes[1], problem.noise_var)
    kappa, _ = kappa_real(np.float64(ridge), model)
    df1, _ = degrees_of_freedom(kappa, model.modes)
    bias = bias_of(kappa, model.modes)
    return float((1.0 - df1 / sizes[1]) * (problem.noise_var + bias))


def norm_of(problem: rfm.Problem, sizes: Counts, ridge: float) -> float:
    """Return the norm of the weights of ridge regression."""
    high, low = (ridge_objective(problem, sizes, ridge * (1.0 + x)) for x in (SLOPE, -SLOPE))
    return float(np.sqrt(max(high - low, 0.0) / (2.0 * SLOPE * ridge)))


def moment(problem: rfm.Problem, sizes: Counts) -> float:
    """Return |h|^2, to which (ridge |beta|)^2 tends for a large ridge."""
    large = 1e4
    return (large * norm_of(problem, sizes, large)) ** 2


def penalised(problem: rfm.Problem, sizes: Counts, decay: float, richness: float) -> tuple[float, float]:
    """Return the risk of the unsquared penalty, and the norm of its weights."""
    force = decay / np.sqrt(richness)
    if force >= np.sqrt(moment(problem, sizes)):
        return float(np.sum(problem.eigenvalues * problem.target**2)), 0.0

    def excess(x: float) -> float:
        return math.exp(x) * norm_of(problem, sizes, math.exp(x)) - force

    ridge = math.exp(brentq(excess, -20.0, 9.0))  # pyright: ignore
    return float(theory.predict(problem, **_sizes(sizes), optimizer=rfm.Ridge(ridge)).risk[0]), force / ridge


def _bare(norms: list[Comparison], edge: float) -> Verdict:
    """Judge whether weights vanish beyond a finite decay; under a squared penalty they never do."""
    beyond, near = [], []
    for pair in norms:
        limit = edge * np.sqrt(pair.fixed["richness"])
        beyond += list(pair.mean[pair.x > BARE * limit] / pair.mean.max())
        near.append(limit)
    text = f"{max(beyond, default=np.nan):.1e} of the largest norm at {len(beyond)} decays beyond"
    claimed = f"0 beyond omega = {', '.join(f'{x:.3g}' for x in near)}"
    return condition("norm of weights", claimed, text, bool(beyond) and max(beyond) < NOTHING)


def _squared(problem: rfm.Problem, pairs: list[Comparison]) -> Verdict:
    """Judge whether ridge regression at the same decay, the squared penalty, is refused."""
    refused, total, ratios = 0, 0, []
    for pair in pairs:
        sizes = int(pair.fixed["N"]), int(pair.fixed["P"])
        risks = np.array([theory.predict(problem, **_sizes(sizes), optimizer=rfm.Ridge(x)).risk[0] for x in pair.x])
        off = np.abs(pair.mean - risks) > SIGMAS * pair.stderr + FINITE / sizes[0] * risks
        refused, total = refused + int(off.sum()), total + len(off)
        ratios += list(pair.mean / risks)
    text = f"{min(ratios):.3f} .. {max(ratios):.3f}, {refused} of {total} points beyond the errors"
    return condition("risk over that of ridge regression at the same decay", "not 1", text, 2 * refused > total)


main = Script(
    name="FL-8",
    title="Weight decay where features are trained: an unsquared penalty",
    source="this project, docs/richness.md",
    claim="weight decay on both layers ends at a penalty of the unsquared norm, which leaves no weights beyond a finite"
    " decay",
    show=show,
    full=dict(
        sizes=(120, 80), richness=(0.3, 1.0, 3.0), decays=(0.02, 0.06, 0.2, 0.6, 2.0, 6.0), steps=(4000, 0.06),
        modes=300, seeds=24,
    ),
    smoke=dict(sizes=(24, 16), richness=(1.0,), decays=(0.1, 0.3, 3.0), steps=(400, 0.1), modes=60, seeds=16),
)  # fmt: skip
