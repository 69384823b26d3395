"""S1 Fig. 4: the best risk for a budget of compute C = N t, on hard tasks and on one that is easy.

The problem has PER_FEATURE modes for every feature. At b = 1 the trace of the spectrum diverges with the number of
modes: at M fixed the largest models would come to see all modes, and every exponent would drift with log M. With M in
proportion to N, kappa N is one number for all N and the laws are those of infinitely many modes where b > 1.
"""

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.laws import FLOW
from experiments.compare.verdicts import CLOSE, REFINED, Verdict, condition, judge
from experiments.output import plotting, progress
from experiments.papers.bordelon2024.formulas import best_risk, claimed_size, limit
from experiments.papers.row import Counts, Script, Shown
from rfm.arguments import Arguments
from theory import exponents
from theory.optimal import Frontier

PER_FEATURE = 20
COMPUTE_TIMES = 2.0 ** np.arange(-1.0, 16.5, 0.5)  # sizes are powers of two: all models meet at the same budgets
LINE_BUDGETS = np.geomspace(1e2, 1e6, 7)
FAR = np.array([1e10, 1e14, 1e18])  # where theory alone measures exponents: the first, or the limit of all three
CONTOUR_NODES = 64  # of the contour of the frontier: exponents to 1e-4


def show(seed: int, tasks: tuple[tuple[float, float], ...], sizes: Counts, seeds: int) -> Shown:
    """Show the risk against compute of models of every size, the envelope of the trained ones, and the frontier."""
    keys = jax.random.split(jax.random.key(seed), seeds)
    figure, axes = plotting.new_figure(len(tasks) // 2, 2, width=4.4)
    findings, table = [], []
    for index, (ax, (a, b)) in enumerate(zip(axes.flat, tasks, strict=True)):
        curves, apart = [], fold_keys(keys, index)  # or all tasks would be lucky at the same size
        for n in progress.over(sizes, "size", f"a = {a:g}, b = {b:g}"):
            problem = rfm.power_law(a, b, PER_FEATURE * n)
            args = Arguments(num_features=n, num_samples=np.inf, optimizer=FLOW, times=COMPUTE_TIMES)
            risks = rfm.simulate(problem, **args, keys=fold_keys(apart, n)).risk
            held = {"a": a, "b": b, "N": n, "P": np.inf}
            curves.append(Comparison("time", COMPUTE_TIMES, risks, theory.predict(problem, **args).risk, held))
        compute, size, time = envelope(sizes, np.array([curve.theory for curve in curves]))
        chosen = [curves[i].at(np.array([j])) for i, j in zip(size, time, strict=True)]
        risks, line = np.hstack([c.risks for c in chosen]), np.hstack([c.theory for c in chosen])
        best = Comparison("compute", compute, risks, line, {"a": a, "b": b})
        largest, budgets = rfm.power_law(a, b, PER_FEATURE * sizes[-1]), np.array([*LINE_BUDGETS, *FAR])
        frontier = theory.frontier(largest, budgets, optimizer=FLOW, modes_per_feature=PER_FEATURE, nodes=CONTOUR_NODES)
        _draw(ax, curves, best, frontier)
        task, (claimed, closed) = f"a = {a:g}, b = {b:g}", best_risk(a, b)
        window = f"best of N = {sizes[0]} to {sizes[-1]}, C = {compute[0]:.0f} to {compute[-1]:.0f}"
        slope = best.slope(quantity=f"{task}: compute, trained, {window}, beside theory there")
        if abs(claimed - closed) >= CLOSE:  # else slopes at finite sizes are not claimed
            slope = replace(slope, claimed=claimed)
        few = [curve.at(slice(2, None, 5)) for curve in curves]
        findings += [agreement(few, f"{task}: simulation against theory"), slope.verdict(), *_far(a, b, frontier)]
        columns = ("a", "b", "N", "t", "compute", "risk", "stderr", "theory")
        table += [row for curve in curves for row in curve.rows(*columns, compute=curve.fixed["N"] * COMPUTE_TIMES)]
    return Shown(figure, table, tuple(findings))


def envelope(sizes: Sequence[int], predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return budgets at which one of the inner sizes is best in theory, and which size and time it is: indices, (C,).

    Theory, predicted (N, T), chooses, so that no draw is picked for being lucky; where the smallest or the largest of
    sizes is best, one that is not here would be better still.
    """
    compute = np.multiply.outer(np.array(sizes, float), COMPUTE_TIMES)  # (N, T)
    best = []
    for c in np.unique(compute[0]):
        size, time = np.nonzero(np.isclose(compute, c))
        i = int(np.argmin(predicted[size, time]))
        if len(size) == len(sizes) and 0 < size[i] < len(sizes) - 1:
            best.append((c, size[i], time[i]))
    budgets, size, time = map(np.array, zip(*best, strict=True))
    return budgets, size, time


def _draw(ax: Axes, curves: Sequence[Comparison], best: Comparison, frontier: Frontier) -> None:
    for index, curve in enumerate(curves):
        n, color = curve.fixed["N"], plotting.COLORS[index]
        against = replace(curve, axis="compute", x=n * COMPUTE_TIMES, label="_")
        plotting.draw(ax, against.at(slice(1, None, 4)), index, line_style={"lw": 0.9})
        text = f"{n}" if index else f"N = {n}"
        ax.text(1.3 * n * COMPUTE_TIMES[-1], curve.theory[-1], text, color=color, fontsize=6.5, va="center")
    risk, start = frontier.risk[: len(LINE_BUDGETS)], np.searchsorted(LINE_BUDGETS, best.x[0])
    ax.plot(LINE_BUDGETS, risk, "k", lw=1.6, label="frontier of theory")
    slope = best.slope()
    label = f"best of those trained: $-${slope.simulated:.3f} $\\pm$ {slope.stderr:.3f}"
    plotting.draw_slope(ax, slope, 0.5 * best.mean[0], label, line_style={"lw": 0.9, "ls": "-."})
    a, b = best.fixed["a"], best.fixed["b"]
    claimed, closed = best_risk(a, b)
    for value, style, label in ((closed, "--", "closed form"), (claimed, ":", "claimed, does not hold:")):
        if style == "--" or abs(claimed - closed) > CLOSE:
            line, name = risk[start] * (LINE_BUDGETS[start:] / LINE_BUDGETS[start]) ** -value, f"{label} {value:.3f}"
            ax.plot(LINE_BUDGETS[start:], line, color=plotting.CLOSED, lw=1.4, ls=style, label=name, zorder=5)
    lines = np.array([curve.theory for curve in curves])
    ax.set_ylim(0.3 * min(risk[-1], lines[-1, -1]), 2.0 * lines[:, 0].max())
    title = f"a = {a:g}, b = {b:g}, M = {PER_FEATURE} N; {best.seeds} seeds"
    plotting.finish(ax, "compute $C = N t$", "risk", title)
    ax.legend(fontsize=6.5, frameon=False, loc="lower left")


def _far(a: float, b: float, frontier: Frontier) -> list[Verdict]:
    """Judge the exponents of the frontier where C is large, or their limit where they come near it as 1/log C."""
    task, edge = f"a = {a:g}, b = {b:g}", abs(a - 1.0 - b) < 1e-9
    claimed, closed = best_risk(a, b)
    closed_size, _ = exponents.frontier_exponents(a, b)
    where = f"theory from C = {FAR[0]:g} to {FAR[-1]:g}, limit in 1/log C" if edge else f"theory at C = {FAR[0]:g}"
    slopes, far = frontier.risk_exponent, slice(-len(FAR), None)
    risk, size = (limit(x[far], FAR) if edge else x[far][0] for x in (slopes, frontier.size_exponent))
    findings = [
        judge(f"{task}: compute, {where}", risk, claimed=claimed, closed=closed),
        judge(f"{task}: best size in compute, {where}", size, claimed=claimed_size(a, b), closed=closed_size),
    ]
    if edge:
        at = [0, len(LINE_BUDGETS) - 1, *range(len(LINE_BUDGETS), len(slopes))]
        path = ", ".join(f"{slopes[i]:.3f} at C = {frontier.compute[i]:g}" for i in at)
        holds = bool(np.all(np.diff(slopes[at]) > 0) and slopes[-len(FAR)] < claimed - CLOSE)
        measured = f"a - 1 = b, where the model law carries a logarithm: {path}"
        findings.append(condition(f"{task}: compute, at finite C", f"{claimed:.3f}", measured, holds, yes=REFINED))
    return findings


main = Script(
    name="S1-4",
    title="The best risk for a budget of compute",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 4 and eq. 17",
    claim="the best risk falls as C^-((a-1) m/(a-1 + b m)), m = min(a-1, 2b), as time and model size balance",
    show=show,
    full=dict(tasks=((2.0, 1.0), (2.0, 1.5), (2.0, 2.0), (3.0, 1.5)), sizes=(32, 64, 128, 256, 512, 1024), seeds=32),
    smoke=dict(tasks=((2.0, 1.0), (3.0, 1.5)), sizes=(32, 64, 128), seeds=4),
)
