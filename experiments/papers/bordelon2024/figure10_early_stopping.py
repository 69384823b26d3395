"""S1 Fig. 10: isotropic features against model size: the interpolation peak grows with time, and stopping avoids it."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES, agreement
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import CONFIRMED, CONTRADICTED, REFINED, condition
from experiments.output import plotting
from experiments.papers.row import Script, Shown

ALPHA, NUM_MODES = 0.8, 200
FLOW = rfm.GradientFlow()
CURVE = rfm.log_times(0.1, 500.0, 41)
NUS = np.linspace(0.1, 1.0, 181)
LATE = (1e4, 1e5, 1e6)  # where theory alone follows the peak on its way to nu = alpha
SHOWN = (0.2, 0.5, 0.8, 1.0)  # model sizes whose curves are drawn against time


def show(seed: int, times: tuple[float, ...], ratios: tuple[float, ...], seeds: int) -> Shown:
    """Risk over |w|^2 against nu = N/M at fixed times, against time, and at the best time to stop."""
    problem = rfm.white(NUM_MODES)
    every = np.unique(np.concatenate([CURVE, times]))
    args = {"num_samples": round(ALPHA * NUM_MODES), "optimizer": FLOW, "times": every}
    keys = jax.random.split(jax.random.key(seed), seeds)
    grid = {"num_features": [round(nu * NUM_MODES) for nu in ratios]}
    simulated = rfm.sweep(problem, grid, keys, **args, progress=True).risk / NUM_MODES  # (N, S, T)
    lines = theory.sweep(problem, {"num_features": list(NUS * NUM_MODES)}, **args).risk / NUM_MODES  # (181, T)
    predicted = lines[[np.argmin(np.abs(NUS - nu)) for nu in ratios]]  # (N, T)
    nu = np.array(ratios)
    figure, axes = plotting.new_figure(1, 3)
    _against_size(axes[0, 0], nu, every, times, simulated, lines)
    _against_time(axes[0, 1], nu, every, simulated, predicted)
    _stopped(axes[0, 2], nu, every, simulated, predicted, lines)
    table = [
        {"nu": n, "t": t, "risk": s.mean(), "stderr": s.std(ddof=1) / np.sqrt(seeds), "theory": p}
        for n, of_n, row in zip(ratios, simulated, predicted, strict=True)
        for t, s, p in zip(every, of_n.T, row, strict=True)
    ]
    return Shown(figure, table, tuple(_findings(nu, every, times, simulated, predicted, lines)))


def late_peak(problem, time: float, count: int) -> float:
    """nu of the largest risk at a late time: a parabola through the best of a grid in (1 - nu/alpha) t.

    The grid is where it was found: the distance to alpha falls as 1/t, faster than the t^-1/2 of the peak's width.
    """
    x = np.linspace(20.0, 100.0, len(NUS))  # as many points, and times, as above: one compilation
    args = {"num_samples": ALPHA * problem.num_modes, "optimizer": FLOW, "times": np.linspace(0.5, 1.0, count) * time}
    sizes = ALPHA * (1.0 - x / time) * problem.num_modes
    risk = theory.sweep(problem, {"num_features": list(sizes)}, **args).risk[:, -1]
    at = int(np.clip(np.argmax(risk), 1, len(x) - 2))
    bend, slope, _ = np.polyfit(x[at - 1 : at + 2] - x[at], risk[at - 1 : at + 2], 2)
    return ALPHA * (1.0 - (x[at] - slope / (2.0 * bend)) / time)


def _against_size(ax, nu, every, times, simulated, lines):
    for index, t in enumerate(times):
        at = np.searchsorted(every, t)
        plotting.draw_pair(ax, nu, simulated[..., at].T, NUS, lines[:, at], f"$t$ = {t:g}", index)
    ax.axvline(ALPHA, color="0.8", lw=0.8, zorder=-1)
    plotting.finish(ax, r"$\nu = N/M$", r"risk over $|w|^2$", rf"$\alpha = P/M$ = {ALPHA:g} (grey)", log=False)


def _against_time(ax, nu, every, simulated, predicted):
    for index, value in enumerate(value for value in SHOWN if value in nu):
        (row,) = np.flatnonzero(nu == value)
        plotting.draw_pair(ax, every[::4], simulated[row][:, ::4], every, predicted[row], rf"$\nu$ = {value:g}", index)
    plotting.finish(ax, AXES["time"], r"risk over $|w|^2$", "no label noise", log=False)
    ax.set_xscale("log")


def _stopped(ax, nu, every, simulated, predicted, lines):
    """The last time beside the best one, which theory chooses."""
    best = simulated[np.arange(len(nu)), :, np.argmin(predicted, 1)]  # (N, S)
    plotting.draw_pair(ax, nu, best.T, NUS, lines.min(1), "best stopping", 0)
    plotting.draw_pair(ax, nu, simulated[..., -1].T, NUS, lines[:, -1], f"$t$ = {every[-1]:g}", 1)
    ax.axvline(ALPHA, color="0.8", lw=0.8, zorder=-1)
    plotting.finish(ax, r"$\nu = N/M$", r"risk over $|w|^2$", "early stopping", log=False)


def _highest(risk: np.ndarray) -> float | None:
    """nu of the highest local maximum of risk (181,), None where there is none."""
    at = 1 + np.flatnonzero((risk[1:-1] > risk[:-2]) & (risk[1:-1] > risk[2:]))
    return float(NUS[at[np.argmax(risk[at])]]) if len(at) else None


def _findings(nu, every, times, simulated, predicted, lines) -> list:
    risk = np.moveaxis(simulated, 1, 0)[..., ::4]  # (S, N, T)
    sizes = np.repeat(NUM_MODES / (1.0 / nu + 1.0 / ALPHA), risk.shape[-1])
    problem = rfm.white(NUM_MODES)
    gaps = np.array([ALPHA - late_peak(problem, t, len(every)) for t in LATE])
    highest = {t: at for t in times if (at := _highest(lines[:, np.searchsorted(every, t)])) is not None}
    rate = log_slope(LATE[1:], 1.0 / gaps[1:])
    best = lines.min(1)
    falling = np.all(np.diff(lines, axis=0) < 0, axis=0)
    until = every[np.argmin(falling) - 1] if not falling.all() else every[-1]
    return [
        agreement(risk.reshape(len(risk), -1), predicted[:, ::4].ravel(), sizes),
        condition(
            "late peak", f"nu = alpha = {ALPHA:g}",
            "tends to it: theory at " + ", ".join(f"{at:.3f} (t = {t:g})" for t, at in highest.items())
            + f"; alpha - nu is {gaps[0]:.1e} at t = {LATE[0]:g} and falls as t^-{rate:.2f}",
            bool(np.all(gaps > 0) and rate > 0.5), REFINED,
        ),
        condition("risk at the best time to stop", "falls with nu",
                  f"falls from {best[0]:.3f} to {best[-1]:.3f}, at all {len(NUS)} sizes",
                  bool(np.all(np.diff(best) < 0)), no=CONTRADICTED),
        condition("one early time for all sizes", "falls with nu",
                  f"only up to t = {until:.2g}; from then on smaller models have their peak already",
                  not falling.all(), REFINED, CONFIRMED),
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
