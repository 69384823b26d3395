"""S4: compute-optimal one-pass SGD at six points of the (alpha, beta) plane: curves, exponents, and the phase map."""

from collections.abc import Sequence

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import Comparison, derive
from experiments.compare.equivalence import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.limits import in_words
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import CLOSE, CONFIRMED, REFINED, Verdict, condition
from experiments.output import plotting, progress
from experiments.papers.paquette2024 import phase_map as phases
from experiments.papers.row import Counts, Script, Shown
from rfm.arguments import Arguments
from theory import exponents

SGD_POINTS = ((0.75, 0.25), (1.25, 0.75), (1.0, 2.0), (0.25, 2.0), (0.33, 0.45), (0.45, 0.33))
WIDER_BETAS = (0.05, 2.2)  # of the map
FRONTIER_POINTS = 16  # compute points of a frontier
RECORDED = 40  # steps at which risks are recorded
COLUMNS = ("alpha", "beta", "N", "steps", "compute", "risk", "stderr", "theory")
FRONTIER_COLUMNS = ("compute", "risk_exponent", "size_exponent", "converged")


def show(seed: int, *, sizes: Counts, steps: int, seeds: int, points: int, trend: int) -> Shown:
    """Draw trained models of some sizes beside their theory, their frontier, and where its exponent tends."""
    chosen, computes = SGD_POINTS[:points], phases.TREND[:trend]
    followed = phases.follow(chosen, computes)
    names = {f"({a:g}, {b:g}) {exponents.phase(a, b).name}": (a, b) for a, b in chosen}
    figure, axes = plotting.new_figure(2, 4)
    verdicts, table = [], []
    times = rfm.log_times(1, steps, RECORDED, integer=True)
    keys = jax.random.split(jax.random.key(seed), seeds)
    for ax, (name, (alpha, beta)), line in zip(axes.flat, names.items(), followed, strict=False):
        curves = [_train((alpha, beta), n, times, keys) for n in progress.over(sizes, "size", name)]
        verdicts += [_tends(name, (alpha, beta), line), *_compare(ax, name, (alpha, beta), curves)]
        held = {"alpha": alpha, "beta": beta}
        table += [row for pair in curves for row in pair.rows(*COLUMNS, steps=times, **held)]
        frontier = [(best.compute, best.risk, best.size, best.converged) for best in line]
        table += [held | dict(zip(FRONTIER_COLUMNS, values, strict=True)) for values in frontier]
    for ax in axes.flat[len(chosen) : -2]:
        ax.set_visible(False)
    last = [next((best.risk for best in reversed(line) if best.converged), np.nan) for line in followed]
    phases.draw_map(axes[1, 2], "dots: measured", betas=WIDER_BETAS)
    axes[1, 2].scatter(*np.array(chosen).T, c=last, cmap="cividis", vmin=0.0, vmax=1.0, s=70, edgecolors="w")
    phases.draw_trend(axes[1, 3], dict(zip(names, followed, strict=True)), "exponent of the frontier, theory")
    return Shown(figure, table, tuple(verdicts))


def _train(point: tuple[float, float], n: int, times: np.ndarray, keys: jax.Array) -> Comparison:
    """Risk against compute of SGD with batches of one, beside theory: lr shrinks with N for 2 alpha < 1."""
    a, b = exponents.from_alpha_beta(*point)
    lr, shrinks = phases.learning_rate(b)
    problem = rfm.power_law(a, b, int(phases.MODES_PER_FEATURE * n))
    args = Arguments(num_features=n, num_samples=np.inf, optimizer=rfm.SGD(lr * n**shrinks, 1), times=times)
    risks = rfm.simulate(problem, **args, keys=fold_keys(keys, n)).risk
    return Comparison("compute", n * times, risks, theory.predict(problem, **args).risk, {"N": n}, f"N = {n}")


def _tends(name: str, point: tuple[float, float], line: Sequence[phases.Best]) -> Verdict:
    """Is the exponent of the paper reached at all compute that is followed, only tended to, or neither?"""
    formula, reached = exponents.phase(*point).risk, [best for best in line if best.converged]
    measured = np.array([best.risk for best in reached])
    gap = np.abs(measured - formula)
    text = ", ".join(f"{best.risk:.3f} at C = {best.compute:.0e}" for best in reached)
    text += (": " if text else "") + phases.verdict(formula, measured)
    everywhere = bool(len(gap) and gap.max() < CLOSE)
    closer = len(gap) > 1 and bool(np.all(np.diff(gap) < 0))
    quantity, yes = f"{name}: best risk in C, theory", CONFIRMED if everywhere else REFINED
    return condition(quantity, f"{formula:.3f}", text, everywhere or closer, yes=yes)


def _compare(ax: Axes, name: str, point: tuple[float, float], curves: Sequence[Comparison]) -> list[Verdict]:
    """Curves against compute and their lower envelope; its slope where no size at an end of the range is the best."""
    some = [pair.at(slice(None, None, 3)) for pair in curves]
    plotting.draw_all(ax, some)
    x, known = [pair.x for pair in curves], np.array([pair.theory for pair in curves])
    compute = np.geomspace(curves[-1].fixed["N"], x[1][-1], 8 * FRONTIER_POINTS)
    best = np.argmin(_at(x, known, compute), axis=0)
    inner = compute[(best > 0) & (best < len(curves) - 1)]
    if len(inner) < FRONTIER_POINTS:  # too few sizes
        inner = compute
    window = np.geomspace(inner[0], inner[-1], FRONTIER_POINTS)

    def envelope(risks: np.ndarray) -> np.ndarray:
        return np.exp(_at(x, risks, window).min(0))

    slope = derive(curves, lambda risks: -log_slope(window, envelope(risks)))
    phase, line = exponents.phase(*point), envelope(known)
    label = f"frontier: {slope.theory:.3f}, trained {slope.simulated:.3f}"
    ax.plot(window, line, "k", lw=2.0, alpha=0.6, label=label)
    guide = 0.7 * line[-1] * (window / window[-1]) ** -phase.risk
    ax.plot(window, guide, "k--", lw=1.0, label=f"formula: {phase.risk:.3f}")
    plotting.finish(ax, "compute $f = N r$", "risk", f"$(\\alpha, \\beta)$ = {name}: {in_words(phase.balance)}")
    ax.set_ylim(0.3 * known.min(), None)
    ax.legend(fontsize=5.5, frameon=False, loc="lower left")
    quantity = f"{name}: trained, C = {window[0]:.0e} to {window[-1]:.0e}, beside theory there"
    return [slope.verdict(quantity), agreement(some, f"{name}: simulation against theory")]


def _at(x: Sequence[np.ndarray], risks: Sequence[np.ndarray] | np.ndarray, compute: np.ndarray) -> np.ndarray:
    """Log risk (sizes, C) at compute (C,) of one curve a size, infinite where a curve does not reach."""
    return np.array([
        np.interp(np.log(compute), np.log(at), np.log(risk), left=np.inf, right=np.inf)
        for at, risk in zip(x, risks, strict=True)
    ])  # fmt: skip


main = Script(
    name="S4",
    title="Compute-optimal one-pass SGD: curves, exponents and phases",
    source="Paquette, Paquette, Xiao and Pennington 2024 (arXiv 2405.15074), 4+3 phases",
    claim="the best risk falls as a power of compute, with the exponent of its phase",
    show=show,
    full=dict(sizes=(16, 32, 64, 128, 256), steps=10_000, seeds=32, points=6, trend=5),
    smoke=dict(sizes=(8, 16), steps=200, seeds=4, points=1, trend=0),  # the frontier takes long to compile
    limits="measured exponents over the whole plane: rfm phases",
)
