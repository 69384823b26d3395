"""S5 gap: simulated mean less the leading order, against 1/N, beside the next order without a free number."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.laws import FLOW
from experiments.compare.spread import Call
from experiments.compare.verdicts import Verdict, condition, judge
from experiments.output import plotting, progress
from experiments.papers.row import Counts, Script, Shown, Values
from rfm.optimizers import Optimizer

A, B, NOISE = 1.8, 1.5, 0.1
ROWS = 2  # P = ROWS N at every point
LINE_POINTS = 15
BESIDE = 0.014  # of the width of a panel, between points of one size
SEEN = 3.0  # standard errors from which a point refuses a theory
CLOSE = 0.1  # of the next order: the order after it is 1/N of it or so


class Training(NamedTuple):
    """An algorithm and its times; None for a ridge."""

    optimizer: Optimizer
    times: np.ndarray | None

    def call(self, n: float) -> Call:
        """Return the arguments of a call at a model size."""
        return Call(num_features=n, num_samples=ROWS * n, optimizer=self.optimizer, times=self.times)


def show(seed: int, *, sizes: Counts, times: Values, steps: int, seeds: int, modes: int) -> Shown:
    """Show the gap of the leading order for gradient flow at some times, and for other algorithms at their end."""
    problem, keys = rfm.power_law(A, B, modes, NOISE), jax.random.key(seed)
    cases = {
        "gradient flow": Training(FLOW, np.array(times)),
        "gradient descent": Training(rfm.GradientDescent(0.25), np.array([float(steps)])),
        "heavy ball": Training(rfm.HeavyBall(0.2, 0.8), np.array([float(steps)])),
        "ridge": Training(rfm.Ridge(0.01), None),
    }
    runs: dict[str, list[Comparison]] = {name: [] for name in cases}
    for n in progress.over(sizes, "size"):
        drawn = jax.random.split(fold_keys(keys, n), seeds)
        for name, how in cases.items():
            call = how.call(n)
            risks = rfm.simulate(problem, keys=drawn, **call).risk
            x = np.array([np.inf]) if how.times is None else how.times
            held = {"N": n, "P": ROWS * n}
            mean, leading = (theory.predict(problem, correction=c, **call).risk for c in (True, False))
            runs[name].append(Comparison("time", x, risks, mean, held, name, x, leading, order=2))
    lines = {name: _line(problem, how, sizes) for name, how in cases.items()}
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    labels = {("gradient flow", i): f"t = {t:g}" for i, t in enumerate(times)}
    _draw(axes[0, 0], runs, lines, labels, "gradient flow")
    ends = {"gradient descent": f"gradient descent, {steps} steps", "heavy ball": f"heavy ball, {steps} steps"}
    ends["ridge"] = "ridge"
    _draw(axes[0, 1], runs, lines, {(name, 0): text for name, text in ends.items()}, "other algorithms")
    every = [run for pairs in runs.values() for run in pairs]
    table = [row for run in every for row in _rows(run)]
    agrees = agreement(every, "simulation = leading + next order")
    return Shown(figure, table, (agrees, *_judged(runs)))


def _line(problem: rfm.Problem, how: Training, sizes: Counts) -> tuple[np.ndarray, np.ndarray]:
    """1/N, and the next order over the leading one there, (L, T)."""
    inverse = np.linspace(0.0, 1.0 / sizes[0], LINE_POINTS)[1:]
    ratios = [np.zeros(1 if how.times is None else len(how.times))]
    for n in 1.0 / inverse:
        call = how.call(n)
        ratios.append(theory.correction(problem, **call).risk / theory.predict(problem, **call).risk)
    return np.concatenate([[0.0], inverse]), np.array(ratios)


def gap_of(run: Comparison) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measured gap over the leading order, its standard error, and the predicted one, each (T,)."""
    _, leading = run.theory_line
    return run.mean / leading - 1.0, run.stderr / leading, run.theory / leading - 1.0


def _draw(ax: Axes, runs: Mapping[str, Sequence[Comparison]], lines: Mapping, labels: Mapping, title: str) -> None:
    for index, ((name, i), label) in enumerate(labels.items()):
        x, ratio = lines[name]
        ax.plot(x, 100 * ratio[:, i], color=plotting.COLORS[index], lw=1.3)
        beside = BESIDE * (index - 0.5 * (len(labels) - 1))  # points of one size side by side
        inverse = [1.0 / run.fixed["N"] + beside * x[-1] for run in runs[name]]
        measured, errors = (100 * np.array([gap_of(run)[part][i] for run in runs[name]]) for part in (0, 1))
        plotting.draw_points(ax, inverse, measured, errors, index, label=label)
    ax.axhline(0.0, color="0.6", lw=0.8, zorder=0)
    seeds = next(iter(runs.values()))[0].seeds
    plotting.finish(ax, "$1/N$", "mean above leading order, %", f"{title}, $P = {ROWS}N$; {seeds} draws",
                    log=False)  # fmt: skip


def _rows(run: Comparison) -> list[dict]:
    _, leading = run.theory_line
    measured, error, predicted = gap_of(run)
    return [{"algorithm": run.label} | row for row in run.rows(
        leading=leading, gap=measured, gap_stderr=error, gap_theory=predicted, z=run.z, z_leading=measured / error,
    )]  # fmt: skip


def slope(runs: Sequence[Comparison]) -> tuple[float, float]:
    """Measured gap over the predicted one, by least squares over all points, and its standard error."""
    top, bottom, variance = 0.0, 0.0, 0.0
    for run in runs:  # points of a run share draws, runs do not
        (_, leading), (measured, error, predicted) = run.theory_line, gap_of(run)
        weights = predicted / error**2
        top, bottom = top + weights @ measured, bottom + weights @ predicted
        variance += np.var(run.risks @ (weights / leading), ddof=1) / run.seeds
    return float(top / bottom), float(np.sqrt(variance) / bottom)


def _judged(runs: Mapping[str, Sequence[Comparison]]) -> list[Verdict]:
    """Judge the gap over what is predicted, and whether the draws see that the leading order alone is wrong."""
    verdicts = []
    for name, pairs in runs.items():
        ratio, error = slope(pairs)
        verdicts.append(judge(f"{name}: measured gap over predicted", ratio, claimed=1.0, error=error, close=CLOSE))
    z = np.concatenate([np.abs(gap_of(run)[0] / gap_of(run)[1]) for pairs in runs.values() for run in pairs])
    text = f"{np.sum(z > SEEN)} of {len(z)} points more than {SEEN:g} standard errors off, {z.max():.0f} at most"
    return [*verdicts, condition("leading order alone", "refused", text, bool(np.mean(z > SEEN) > 0.5))]


main = Script(
    name="S5-gap",
    title="What finite size adds to the mean, without a free number",
    source="this project, docs/second-order.md",
    claim="the mean of simulations lies off the leading order by the next order in 1/N and 1/P, whatever trains",
    show=show,
    full=dict(sizes=(16, 24, 32, 48, 64), times=(3.0, 30.0, 300.0), steps=100, seeds=4000, modes=400),
    smoke=dict(sizes=(8, 16), times=(3.0, 30.0), steps=30, seeds=200, modes=100),
)
