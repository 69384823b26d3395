"""S1 Fig. 4: the best risk for a budget of compute C = N t, on hard tasks and on one that is easy.

The problem has PER_FEATURE modes for every feature. At b = 1 the trace of the spectrum diverges with the number of
modes: at M fixed the largest models would come to see all modes, and every exponent would drift with log M. With M in
proportion to N, kappa N is one number for all N and the laws are those of infinitely many modes where b > 1.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.axes import Axes
from tqdm import tqdm

import rfm
import theory
from experiments.compare.comparison import Comparison, agreement
from experiments.compare.exponent import Exponent
from experiments.compare.keys import fold_keys
from experiments.compare.verdicts import CLOSE, REFINED, Verdict, condition, judge
from experiments.output import plotting
from experiments.papers.row import Script, Shown
from rfm.arguments import Arguments
from theory import exponents
from theory.optimal import Frontier

PER_FEATURE = 20
TIMES = 2.0 ** np.arange(-1.0, 16.5, 0.5)  # sizes are powers of two: all models meet at the same budgets
LINE = np.geomspace(1e2, 1e6, 7)
FAR = np.array([1e10, 1e14, 1e18])  # where theory alone measures exponents: the first, or the limit of all three
NODES = 64  # of the contour of the frontier: exponents to 1e-4
FLOW, INF = rfm.GradientFlow(), np.inf


class Envelope(NamedTuple):
    """Budgets (C,), and which size and time is best at each: indices (C,)."""

    compute: np.ndarray
    size: np.ndarray
    time: np.ndarray


@dataclasses.dataclass(frozen=True)
class Task:
    """One target and spectrum: `curves` along time by size, the `best` of them against compute, theory's frontier."""

    a: float
    b: float
    curves: Sequence[Comparison]
    best: Comparison
    frontier: Frontier

    @property
    def name(self) -> str:
        """Name in titles and findings."""
        return f"a = {self.a:g}, b = {self.b:g}"

    @property
    def claimed(self) -> float:
        """Exponent of the best risk in compute, as S1 has it."""
        return exponents.CLAIMS["compute"].exponent(self.a, self.b)

    def slope(self) -> Exponent:
        """Return the exponent of the best of the trained models."""
        first, last, c = self.curves[0], self.curves[-1], self.best.x
        trained = f"trained, best of N = {first.fixed['N']} to {last.fixed['N']}, C = {c[0]:.0f} to {c[-1]:.0f}"
        return self.best.slope(quantity=f"{self.name}: compute, {trained}, beside theory there")


def show(seed: int, tasks: tuple[tuple[float, float], ...], sizes: tuple[int, ...], seeds: int) -> Shown:
    """Show the risk against compute of models of every size, the envelope of the trained ones, and the frontier."""
    keys = jax.random.split(jax.random.key(seed), seeds)
    figure, axes = plotting.new_figure(len(tasks) // 2, 2, width=4.4)
    findings: list[Verdict] = []
    table: list[dict] = []
    for index, (ax, (a, b)) in enumerate(zip(axes.flat, tasks, strict=True)):
        # draws of its own, or all tasks would be lucky at the same size
        task = _task(a, b, sizes, fold_keys(keys, index))
        findings += _findings(task)
        _draw(ax, task)
        columns = ("a", "b", "N", "t", "compute", "risk", "stderr", "theory")
        table += [row for curve in task.curves for row in curve.rows(*columns, compute=curve.fixed["N"] * curve.x)]
    return Shown(figure, table, tuple(findings))


def _task(a: float, b: float, sizes: Sequence[int], keys: jax.Array) -> Task:
    """Train and predict models of every size."""
    curves = []
    for n in tqdm(sizes, desc=f"a = {a:g}, b = {b:g}", unit="size"):
        problem = rfm.power_law(a, b, PER_FEATURE * n)
        args = Arguments(num_features=n, num_samples=INF, optimizer=FLOW, times=TIMES)
        risks = rfm.simulate(problem, **args, keys=fold_keys(keys, n)).risk
        held = {"a": a, "b": b, "N": n, "P": INF}
        curves.append(Comparison("time", TIMES, risks, theory.predict(problem, **args).risk, held))
    compute, size, time = envelope(sizes, np.array([curve.theory for curve in curves]))
    picked = [curves[i].at(np.array([j])) for i, j in zip(size, time, strict=True)]
    risks, there = np.hstack([curve.risks for curve in picked]), np.hstack([curve.theory for curve in picked])
    largest = rfm.power_law(a, b, PER_FEATURE * sizes[-1])
    frontier = theory.frontier(
        largest, np.array([*LINE, *FAR]), optimizer=FLOW, modes_per_feature=PER_FEATURE, nodes=NODES
    )
    return Task(a, b, curves, Comparison("compute", compute, risks, there), frontier)


def envelope(sizes: Sequence[int], predicted: np.ndarray) -> Envelope:
    """Return the budgets at which one of the inner sizes is best in theory, predicted (N, T), and which it is.

    Theory chooses, so that no draw is picked for being lucky; where the smallest or the largest of sizes is best, one
    that is not here would be better still.
    """
    compute = np.multiply.outer(np.array(sizes, float), TIMES)  # (N, T)
    best = []
    for c in np.unique(compute[0]):
        size, time = np.nonzero(np.isclose(compute, c))
        i = int(np.argmin(predicted[size, time]))
        if len(size) == len(sizes) and 0 < size[i] < len(sizes) - 1:
            best.append((c, size[i], time[i]))
    return Envelope(*(np.array(values) for values in zip(*best, strict=True)))


def claimed_size(a: float, b: float) -> float:
    """Return x of N* ~ C^x in S1: the limits t^-((a-1)/b) and N^-min(a-1, 2b) balance, x = r_t/(r_t + r_N)."""
    time, model = exponents.CLAIMS["time"].exponent(a, b), exponents.CLAIMS["model"].exponent(a, b)
    return time / (time + model)


def limit(values: np.ndarray, compute: np.ndarray) -> float:
    """Return the limit of an exponent that is approached as 1/log C: a straight line in 1/log C, at zero."""
    return float(np.polyfit(1.0 / np.log(compute), values, 1)[1])


def _findings(task: Task) -> list[Verdict]:
    claim, (size, risk) = task.claimed, exponents.frontier_exponents(task.a, task.b)
    # slopes at finite sizes are nobody's claim
    slope = dataclasses.replace(task.slope(), claimed=None if abs(claim - risk) < CLOSE else claim)
    edge = abs(task.a - 1.0 - task.b) < 1e-9
    risk_slopes, size_slopes = task.frontier.risk_exponent, task.frontier.size_exponent
    far, far_size = risk_slopes[-len(FAR) :], size_slopes[-len(FAR) :]
    where = f"theory from C = {FAR[0]:g} to {FAR[-1]:g}, limit in 1/log C" if edge else f"theory at C = {FAR[0]:g}"
    measured, best_size = (limit(far, FAR), limit(far_size, FAR)) if edge else (far[0], far_size[0])
    findings = [
        agreement([curve.at(slice(2, None, 5)) for curve in task.curves], f"{task.name}: theory = simulation"),
        slope.verdict(),
        judge(f"{task.name}: compute, {where}", measured, claimed=claim, closed=risk),
        judge(f"{task.name}: best size in compute, {where}", best_size, claimed=claimed_size(task.a, task.b),
              closed=size),
    ]  # fmt: skip
    if edge:
        at = [0, len(LINE) - 1, *range(len(LINE), len(LINE) + len(FAR))]
        path = ", ".join(f"{risk_slopes[i]:.3f} at C = {task.frontier.compute[i]:g}" for i in at)
        holds = bool(np.all(np.diff(risk_slopes[at]) > 0) and far[0] < claim - CLOSE)
        measured = f"a - 1 = b, where the model law carries a logarithm: {path}"
        findings.append(condition(f"{task.name}: compute, at finite C", f"{claim:.3f}", measured, holds, REFINED))
    return findings


def _draw(ax: Axes, task: Task) -> None:
    for index, curve in enumerate(task.curves):
        n = curve.fixed["N"]
        against = dataclasses.replace(curve, axis="compute", x=n * curve.x, label="_")
        plotting.draw(ax, against.at(slice(1, None, 4)), index, line_style={"lw": 0.9})
        text, color = f"{n}" if index else f"N = {n}", plotting.COLORS[index]
        ax.text(1.3 * against.x[-1], curve.theory[-1], text, color=color, fontsize=6.5, va="center")
    c, risk = task.frontier.compute[: len(LINE)], task.frontier.risk[: len(LINE)]
    ax.plot(c, risk, "k", lw=1.6, label="frontier of theory")
    slope, closed = task.slope(), exponents.frontier_exponents(task.a, task.b)[1]
    label = f"best of those trained: $-${slope.simulated:.3f} $\\pm$ {slope.stderr:.3f}"
    plotting.draw_slope(ax, slope, 0.5 * task.best.mean[0], label, line_style={"lw": 0.9, "ls": "-."})
    laws = [("--", "closed form", closed)]
    if abs(task.claimed - closed) > CLOSE:
        laws.append((":", "claimed, and fails:", task.claimed))
    start, color = np.searchsorted(c, task.best.x[0]), plotting.COLORS[1]
    for style, label, value in laws:
        line = risk[start] * (c[start:] / c[start]) ** -value
        ax.plot(c[start:], line, color=color, lw=1.4, ls=style, label=f"{label} {value:.3f}", zorder=5)
    lines = np.array([curve.theory for curve in task.curves])
    ax.set_ylim(0.3 * min(risk[-1], lines[-1, -1]), 2.0 * lines[:, 0].max())
    plotting.finish(ax, "compute $C = N t$", "risk", f"{task.name}, M = {PER_FEATURE} N; {task.best.seeds} seeds")
    ax.legend(fontsize=6.5, frameon=False, loc="lower left")


main = Script(
    name="S1-4",
    title="The best risk for a budget of compute",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 4 and eq. 17",
    claim="the best risk falls as C^-((a-1) m/(a-1 + b m)), m = min(a-1, 2b), as time and model size balance",
    show=show,
    full=dict(tasks=((2.0, 1.0), (2.0, 1.5), (2.0, 2.0), (3.0, 1.5)), sizes=(32, 64, 128, 256, 512, 1024), seeds=32),
    smoke=dict(tasks=((2.0, 1.0), (3.0, 1.5)), sizes=(32, 64, 128), seeds=4),
)
