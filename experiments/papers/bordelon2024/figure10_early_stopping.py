"""S1 Fig. 10: isotropic features against model size: the interpolation peak grows with time, and stopping avoids it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import AXES, Comparison, across
from experiments.compare.equivalence import agreement
from experiments.compare.laws import FLOW
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import CONFIRMED, CONTRADICTED, REFINED, Verdict, condition
from experiments.output import console, plotting
from experiments.papers.row import Script, Shown, Values
from rfm.arguments import Arguments

ALPHA, NUM_MODES = 0.8, 200
CURVE_TIMES = rfm.log_times(0.1, 500.0, 41)
NUS = np.linspace(0.1, 1.0, 181)
FOLLOWED = np.array([1e4, 1e5, 1e6])  # where theory alone follows the peak on its way to nu = alpha
SHOWN_NUS = (0.2, 0.5, 0.8, 1.0)  # model sizes whose curves are drawn against time


def show(seed: int, times: Values, ratios: Values, seeds: int) -> Shown:
    """Show the risk over |w|^2 against nu = N/M at fixed times, against time, and at the best time to stop."""
    problem, data = rfm.white(NUM_MODES), round(ALPHA * NUM_MODES)
    clock = np.unique(np.concatenate([CURVE_TIMES, times]))
    args = Arguments(num_samples=data, optimizer=FLOW, times=clock)
    sizes = [round(nu * NUM_MODES) for nu in ratios]
    keys = jax.random.split(jax.random.key(seed), seeds)
    shows = console.shows_progress()
    trained = rfm.sweep(problem, {"num_features": sizes}, keys, **args, progress=shows).risk / NUM_MODES
    lines = theory.sweep(problem, {"num_features": list(NUS * NUM_MODES)}, **args).risk / NUM_MODES  # (181, T)
    curves = [
        Comparison("time", clock, risks, lines[np.argmin(np.abs(NUS - nu))], {"nu": nu, "N": n, "P": data})
        for nu, n, risks in zip(ratios, sizes, trained, strict=True)
    ]
    by_time = {t: lines[:, np.searchsorted(clock, t)] for t in (*times, clock[-1])}
    against_size = {t: replace(across(curves, "nu", t), line_x=NUS, line=line) for t, line in by_time.items()}

    figure, axes = plotting.new_figure(1, 3)
    _against_size(axes[0, 0], rf"$\alpha = P/M$ = {ALPHA:g} (grey)", [against_size[t] for t in times])
    _against_time(axes[0, 1], curves)
    _against_size(axes[0, 2], "early stopping", [_stopped(curves, lines), against_size[clock[-1]]])
    table = [row for curve in curves for row in curve.rows("nu", "t", "risk", "stderr", "theory")]
    agrees = agreement([curve.at(slice(None, None, 4)) for curve in curves])
    return Shown(figure, table, (agrees, _late_peak(problem, by_time), *_stopping(clock, lines)))


def _stopped(curves: Sequence[Comparison], lines: np.ndarray) -> Comparison:
    """Return the risk against nu at the best time of each, which theory chooses."""
    best = [curve.at(np.array([np.argmin(curve.theory)])) for curve in curves]
    risks, there = np.hstack([curve.risks for curve in best]), np.hstack([curve.theory for curve in best])
    nus = np.array([curve.fixed["nu"] for curve in best])
    return Comparison("nu", nus, risks, there, label="best stopping", line_x=NUS, line=lines.min(1))


def _against_size(ax: Axes, title: str, pairs: Sequence[Comparison]) -> None:
    plotting.draw_all(ax, pairs)
    ax.axvline(ALPHA, color="0.8", lw=0.8, zorder=-1)
    plotting.finish(ax, r"$\nu = N/M$", r"risk over $|w|^2$", title, log=False)


def _against_time(ax: Axes, curves: Sequence[Comparison]) -> None:
    shown = [curve.at(slice(None, None, 4)) for curve in curves if curve.fixed["nu"] in SHOWN_NUS]
    plotting.draw_all(ax, shown, r"$\nu$ = {nu:g}")
    plotting.finish(ax, AXES["time"], r"risk over $|w|^2$", "no label noise", log=False)
    ax.set_xscale("log")


def late_peak(problem: rfm.Problem, time: float) -> float:
    """Return nu of the largest risk at a late time: a parabola through the best of a grid in (1 - nu/alpha) t.

    The grid is where the peak lies: its distance to alpha falls as 1/t, faster than the t^-1/2 of its width.
    """
    x = np.linspace(20.0, 100.0, len(NUS))
    sizes = ALPHA * (1.0 - x / time) * problem.num_modes
    args = Arguments(num_samples=ALPHA * problem.num_modes, optimizer=FLOW, times=[time])
    risk = theory.sweep(problem, {"num_features": list(sizes)}, **args).risk[:, 0]
    at = int(np.clip(np.argmax(risk), 1, len(x) - 2))
    bend, slope, _ = np.polyfit(x[at - 1 : at + 2] - x[at], risk[at - 1 : at + 2], 2)
    return ALPHA * (1.0 - (x[at] - slope / (2.0 * bend)) / time)


def _highest(risk: np.ndarray) -> float | None:
    """Return nu of the highest local maximum of risk (181,), or None."""
    at = 1 + np.flatnonzero((risk[1:-1] > risk[:-2]) & (risk[1:-1] > risk[2:]))
    return float(NUS[at[np.argmax(risk[at])]]) if len(at) else None


def _late_peak(problem: rfm.Problem, by_time: Mapping[float, np.ndarray]) -> Verdict:
    peaks = {t: _highest(line) for t, line in by_time.items()}
    path = ", ".join(f"{nu:.3f} (t = {t:g})" for t, nu in peaks.items() if nu is not None)
    gaps = np.array([ALPHA - late_peak(problem, t) for t in FOLLOWED])
    rate = log_slope(FOLLOWED[1:], 1.0 / gaps[1:])
    gap = f"alpha - nu is {gaps[0]:.1e} at t = {FOLLOWED[0]:g} and falls as t^-{rate:.2f}"
    claim, tends = f"nu = alpha = {ALPHA:g}", bool(np.all(gaps > 0) and rate > 0.5)
    return condition("late peak", claim, f"tends to it: theory at {path}; {gap}", tends, yes=REFINED)


def _stopping(clock: np.ndarray, lines: np.ndarray) -> list[Verdict]:
    best = lines.min(1)
    falling = np.all(np.diff(lines, axis=0) < 0, axis=0)  # with nu, at each time
    until = clock[np.argmin(falling) - 1] if not falling.all() else clock[-1]
    return [
        condition("risk at the best time to stop", "falls with nu",
                  f"falls from {best[0]:.3f} to {best[-1]:.3f}, at all {len(NUS)} sizes",
                  bool(np.all(np.diff(best) < 0)), no=CONTRADICTED),
        condition("one early time for all sizes", "falls with nu",
                  f"only up to t = {until:.2g}; from then on smaller models have their peak already",
                  not falling.all(), yes=REFINED, no=CONFIRMED),
    ]  # fmt: skip


main = Script(
    name="S1-10",
    title="Double descent in model size grows with time; early stopping",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 10",
    claim="isotropic features without noise: the risk peaks at N = P late in training, and early stopping makes it "
    "fall with N",
    show=show,
    full=dict(times=(2.0, 10.0, 50.0, 100.0, 500.0), ratios=tuple(round(0.1 * i, 1) for i in range(1, 11)), seeds=32),
    smoke=dict(times=(2.0, 500.0), ratios=(0.2, 0.8), seeds=4),
)
