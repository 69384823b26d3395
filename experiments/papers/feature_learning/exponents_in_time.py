"""FL-1: the exponent of the risk in time against e = (a - 1)/b, lazy and rich: closed form, theory and training."""

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
from experiments.compare.comparison import AXES
from experiments.compare.keys import fold_keys
from experiments.compare.laws import FLOW, LATE, LEAST_RISK, risk_in_time
from experiments.compare.statistics import log_derivative
from experiments.compare.verdicts import judge
from experiments.output import plotting, progress
from experiments.papers.feature_learning.training import RICHNESS, B, solved
from experiments.papers.row import Script, Shown, Values
from rfm.arguments import Arguments
from theory import exponents

MODELS = {"lazy": 0.0, "rich": RICHNESS}


def show(seed: int, *, e: Values, sizes: Values, modes: int, window: Values, seeds: int) -> Shown:
    """Show slopes of trained models in a window, slopes of theory there and late, and the closed forms."""
    key = jax.random.key(seed)
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    times, line = np.geomspace(window[0], window[1], 9), np.geomspace(0.3 * window[0], 3.0 * window[1], 41)
    findings, table, slopes, late = [], [], [], []
    for place, share in enumerate(progress.over(e, "e")):
        a = 1.0 + B * share
        problem, infinite = rfm.power_law(a, B, modes), rfm.power_law(a, B, None)
        args = Arguments(num_features=sizes[0], num_samples=sizes[1], optimizer=FLOW, times=times)
        keys = jax.random.split(fold_keys(key, place), seeds)
        for index, (name, gamma) in enumerate(MODELS.items()):
            trained = solved(problem, args, gamma, keys, line)
            if share == e[1]:
                plotting.draw(axes[0, 0], trained, index, label=f"{name}, $\\gamma$ = {gamma:g}")
            closed = _closed(name, share)
            at = min(LATE, LEAST_RISK ** (-1.0 / closed))
            limit = -log_derivative(lambda t, p=infinite, x=gamma: risk_in_time(p, t, richness=x), at)
            findings.append(judge(f"e = {share:g}, {name}: theory at t = {at:.0e}", limit, claimed=closed))
            text = f"e = {share:g}, {name}: trained, t = {window[0]:g} to {window[1]:g}"
            slope = trained.slope(quantity=text)
            findings.append(slope.verdict())
            slopes.append((slope.simulated, slope.stderr, slope.theory))
            late.append(limit)
            table.append({"e": share, "richness": gamma, "closed": closed, "late": limit, "simulated": slope.simulated,
                          "stderr": slope.stderr, "theory there": slope.theory})  # fmt: skip
    title = f"e = {e[1]:g}, N = {sizes[0]:g}, P = {plotting.number(sizes[1])}; {seeds} seeds"
    plotting.finish(axes[0, 0], AXES["time"], "risk", title)
    values, limits = (np.array(x).reshape(len(e), len(MODELS), -1) for x in (slopes, late))
    _draw(axes[0, 1], np.array(e), values, limits[..., 0], window)
    return Shown(figure, table, tuple(findings))


def _closed(name: str, e: float) -> float:
    a = 1.0 + B * e
    return exponents.rich_time_exponent(a, B) if name == "rich" else exponents.time_exponent(a, B)


def _draw(ax: Axes, e: np.ndarray, slopes: np.ndarray, late: np.ndarray, window: Values) -> None:
    """Draw slopes (E, 2, 3) of trained models and theory in the window, and of theory late, (E, 2)."""
    span = np.linspace(0.05, 1.05 * e[-1], 200)
    for index, name in enumerate(MODELS):
        color = plotting.COLORS[index]
        simulated, stderr, there = slopes[:, index].T
        ax.plot(e, there, color=color, lw=1.3)
        plotting.draw_points(ax, e, simulated, stderr, index, label=f"{name}, t = {window[0]:g} to {window[1]:g}")
        label = f"{name}, theory as t $\\to\\infty$"
        ax.plot(e, late[:, index], color=color, ls="none", marker="x", ms=6, mew=1.4, label=label)
        closed = [_closed(name, x) for x in span]
        ax.plot(span, closed, color=plotting.CLOSED, lw=0.9, ls=("--", ":")[index], label=f"{name}, closed form")
    plotting.finish(ax, "$e = (a-1)/b$", "exponent of the risk in time", "hard tasks, e < 1, gain", log=False)


main = Script(
    name="FL-1",
    title="Exponents in time against e: features that are trained help hard tasks alone",
    source="arXiv 2409.17858 (exponents); this project, docs/richness.md (finite size)",
    claim="the risk falls as t^(-2e/(1+e)) for hard tasks, e = (a-1)/b < 1, and as t^-e for easy ones, trained or not",
    show=show,
    full=dict(e=(0.2, 0.4, 0.6, 0.8, 1.2, 1.6), sizes=(512, np.inf), modes=4000, window=(3.0, 30.0), seeds=32),
    smoke=dict(e=(0.4, 1.6), sizes=(24, 16), modes=60, window=(1.0, 5.0), seeds=16),
)
