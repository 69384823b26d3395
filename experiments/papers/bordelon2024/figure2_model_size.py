"""S1 Fig. 2a-c: the risk against model size at fixed times, and against time, at fixed data."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import AXES, INFINITE, SYMBOLS, Comparison, across
from experiments.compare.equivalence import agreement
from experiments.compare.laws import FLOW, all_laws, corrections
from experiments.compare.statistics import log_derivative
from experiments.compare.verdicts import REFINED, Verdict, condition, judge
from experiments.output import console, plotting
from experiments.papers.bordelon2024.formulas import END_OF_TRAINING, A, B
from experiments.papers.row import Counts, Script, Shown
from rfm.arguments import Arguments

EARLY_TIMES = (10.0, 20.0, 50.0, 100.0)
LINE_TIMES = rfm.log_times(1e-1, 1e6, 57)
FIXED = 1000  # the size that is held
SIZE_TIMES = (*EARLY_TIMES, END_OF_TRAINING)  # of the curves against size, and the sizes at which theory draws them
BETWEEN = np.unique([*np.round(np.geomspace(32, 2048, 37)), FIXED]).tolist()  # the peak at N = P among them
EARLY_AT, LATE_AT = 1e4, 1e8  # size where theory alone measures the early correction, and time where the one in time
PLATEAU = 0.56  # of the start, where S1 draws the curve of the smallest size

HELD_SYMBOL = {"features": "P", "samples": "N"}
SIZE_NAMES, LATE_LAWS = {"features": "model size", "samples": "data"}, {"features": "model", "samples": "data"}
LAWS = {law.name: law for law in all_laws(A, B)}


def show(seed: int, axis: str, sizes: Counts, seeds: int, modes: int) -> Shown:
    """Show the risk against one size and against time, trained and in closed form, with its three exponents."""
    problem, symbol = rfm.power_law(A, B, modes), SYMBOLS[axis]
    times = np.unique(np.concatenate([LINE_TIMES, EARLY_TIMES]))
    held = Arguments(num_samples=FIXED) if axis == "features" else Arguments(num_features=FIXED)
    args = held | Arguments(optimizer=FLOW, times=times)
    grid = {f"num_{axis}": list(sizes)}
    keys = jax.random.split(jax.random.key(seed), seeds)
    trained = rfm.sweep(problem, grid, keys, **args, progress=console.shows_progress())
    predicted = theory.sweep(problem, grid, **args)
    curves = [
        Comparison("time", times, risks, line, {symbol: size, HELD_SYMBOL[axis]: FIXED})
        for size, risks, line in zip(sizes, trained.risk, predicted.risk, strict=True)
    ]
    unlimited = theory.predict(problem, **(Arguments(**INFINITE) | args)).risk
    between = {f"num_{axis}": [x for x in BETWEEN if sizes[0] <= x <= sizes[-1]]}
    lines = theory.sweep(problem, between, **(args | Arguments(times=SIZE_TIMES)))

    figure, axes = plotting.new_figure(1, 3)
    findings = [
        agreement([curve.at(slice(None, None, 4)) for curve in curves]),
        *_against_size(axes[0, 0], axis, curves, unlimited, lines),
        *_added(axes[0, 1], axis, curves, unlimited),
        *_against_time(axes[0, 2], axis, curves),
    ]
    if axis == "features":
        level = curves[0].theory[-1] / problem.power
        findings.append(condition(
            f"plateau of N = {sizes[0]} over the start", f"{PLATEAU:g}",
            f"{level:.2f}: M, lr and normalization are not stated in S1, so slopes are compared, not levels",
            abs(level - PLATEAU) > 0.02, yes=REFINED,
        ))  # fmt: skip
    table = [row for curve in curves for row in curve.rows(symbol, "t", "risk", "stderr", "theory")]
    return Shown(figure, table, tuple(findings))


def _against_size(
    ax: Axes, axis: str, curves: Sequence[Comparison], unlimited: np.ndarray, lines: rfm.Sweep
) -> list[Verdict]:
    """Draw a curve for each time, tending to the risk at infinite size; the last one falls as the floor of its size."""
    pairs = [across(curves, axis, t) for t in SIZE_TIMES]
    x, ends = lines.axes[f"num_{axis}"], pairs[-1]
    drawn = zip(pairs, lines.risk.T, strict=True)
    plotting.draw_all(ax, [dataclasses.replace(pair, line_x=x, line=line) for pair, line in drawn])
    for t, color in zip(EARLY_TIMES, plotting.COLORS, strict=False):
        ax.axhline(np.interp(t, curves[0].x, unlimited), color=color, lw=0.6, ls=":")
    ends = ends.at(ends.x <= FIXED / 4)  # beyond it the size that is held limits the risk too
    name = SIZE_NAMES[axis]
    late = ends.slope(quantity=f"{name}, late, trained at {ends.x[0]:g} to {ends.x[-1]:g}")
    plotting.draw_slope(ax, late, 0.7 * ends.theory[0])
    plotting.finish(ax, AXES[axis], "risk", f"{HELD_SYMBOL[axis]} = {FIXED}; dots: {SYMBOLS[axis]} = $\\infty$")
    law = LAWS[LATE_LAWS[axis]]
    far = judge(f"{name}, late, theory at {law.at:g}", law.measured(), claimed=A - 1.0, closed=law.closed)
    return [far, late.verdict()]


def _added(ax: Axes, axis: str, curves: Sequence[Comparison], unlimited: np.ndarray) -> list[Verdict]:
    """Draw what a finite size adds to the risk, at early times."""
    added = [curve.minus(unlimited) for curve in curves]
    plotting.draw_all(ax, [across(added, axis, t) for t in EARLY_TIMES])
    first = across(added, axis, EARLY_TIMES[0])
    x = first.x[-3:]
    ax.plot(x, 0.6 * first.theory[-1] * x[-1] / x, "k", lw=1, label="slope $-1$")
    plotting.finish(ax, AXES[axis], "risk $-$ risk at infinite size", "early: slope $-1$ at large sizes")
    clean = rfm.power_law(A, B, None)

    def slope(t: float) -> float:
        return -log_derivative(lambda sizes: corrections(clean, np.array([t]), axis, sizes)[:, 0], EARLY_AT)

    ends = EARLY_TIMES[0], EARLY_TIMES[-1]
    return [judge(f"correction, t = {t:g}, theory at {EARLY_AT:g}", slope(t), claimed=1.0) for t in ends]


def _against_time(ax: Axes, axis: str, curves: Sequence[Comparison]) -> list[Verdict]:
    """Draw a curve for every other size, down to its floor."""
    largest, symbol = curves[-1], SYMBOLS[axis]
    points = slice(None, None, max(1, len(largest.x) // 20))
    plotting.draw_all(ax, [curve.at(points) for curve in curves[::-2]], f"{symbol} = {{{symbol}:g}}")
    window = (largest.x >= 1.0) & (largest.x <= 30.0)
    slope = largest.slope(window, f"time, trained at 1 to 30, {symbol} = {largest.fixed[symbol]:g}")
    plotting.draw_slope(ax, slope, 0.7 * largest.theory[window][0])
    plotting.finish(ax, AXES["time"], "risk", f"{HELD_SYMBOL[axis]} = {FIXED}")
    law = LAWS["time"]
    late, where = -log_derivative(law.curve, LATE_AT), f"theory at {LATE_AT:g}, all sizes infinite"
    return [judge(f"time, {where}", late, claimed=0.4, closed=law.closed), slope.verdict()]


main = Script(
    name="S1-2a-c",
    title="Risk against model size, and its three exponents",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 2a-c",
    claim="a finite model adds 1/N at early times, costs N^-(a-1) at late ones, and learns as t^-(a-1)/b in between",
    show=show,
    full=dict(axis="features", sizes=(32, 64, 128, 256, 512, 1024, 2048), seeds=16, modes=10_000),
    smoke=dict(axis="features", sizes=(32, 64, 128), seeds=4, modes=1000),
)
