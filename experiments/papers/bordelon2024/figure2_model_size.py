"""S1 Fig. 2a-c: the risk against model size at fixed times, and against time, at fixed data."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES, agreement
from experiments.compare.scans import whole
from experiments.compare.statistics import bootstrap_slope, log_derivative, log_slope
from experiments.compare.verdicts import REFINED, condition, judge
from experiments.output import plotting
from experiments.papers.row import Script, Shown
from theory import exponents

A, B = 1.5, 1.25
TIMES = (10.0, 20.0, 50.0, 100.0)
CURVE = rfm.log_times(1e-1, 1e6, 57)
FIXED, END = 1000, 1e6  # the size that is held; the time that stands for the end of training
FLOW, INF = rfm.GradientFlow(), np.inf
EARLY, LARGE = 1e4, 1e6  # sizes where theory alone measures the early correction, and the last exponent
LATE = 1e8  # and the time where it measures the one in time
OTHER = {"features": "samples", "samples": "features"}
SYMBOL = {"features": "N", "samples": "P"}
LAST = {"features": (exponents.model_exponent, "model size"), "samples": (exponents.data_exponent, "data")}
PLATEAU = 0.56  # of the start, where S1 draws the curve of the smallest size


def show(seed: int, axis: str, sizes: tuple[int, ...], seeds: int, modes: int) -> Shown:
    """Risk against one size and against time, trained and in closed form, with its three exponents."""
    problem = rfm.power_law(A, B, modes)
    times = np.unique(np.concatenate([CURVE, TIMES]))
    grid = {f"num_{axis}": list(sizes)}
    held = {f"num_{OTHER[axis]}": FIXED, "optimizer": FLOW, "times": times}
    keys = jax.random.split(jax.random.key(seed), seeds)
    simulated = rfm.sweep(problem, grid, keys, **held, progress=True)
    predicted = theory.sweep(problem, grid, **held)
    unlimited = theory.predict(problem, **{f"num_{axis}": INF}, **held).risk
    x = np.array(sizes, float)

    figure, axes = plotting.new_figure(1, 3)
    findings = [_agreement(simulated, predicted, x)]
    findings += _against_size(axes[0, 0], axis, x, times, simulated, predicted, unlimited)
    findings += _early(axes[0, 1], axis, x, times, simulated, predicted, unlimited)
    findings += _against_time(axes[0, 2], axis, x, times, simulated, predicted)
    if axis == "features":
        level = predicted.risk[0, -1] / np.sum(problem.eigenvalues * problem.target**2)
        findings.append(condition(
            f"plateau of N = {sizes[0]} over the start", f"{PLATEAU:g}",
            f"{level:.2f}: M, lr and normalization are not stated in S1, so slopes are compared, not levels",
            abs(level - PLATEAU) > 0.02, REFINED,
        ))  # fmt: skip
    table = [
        {SYMBOL[axis]: n, "t": t, "risk": m, "stderr": s, "theory": p}
        for n, mean, error, line in zip(sizes, simulated.mean(), simulated.stderr(), predicted.risk, strict=True)
        for t, m, s, p in zip(times, mean, error, line, strict=True)
    ]
    return Shown(figure, table, tuple(findings))


def _agreement(simulated, predicted, x):
    """Over all sizes, at every fourth time."""
    risk = np.moveaxis(simulated.risk, 1, 0)[..., ::4]  # (S, X, T)
    sizes = np.broadcast_to(1.0 / (1.0 / x + 1.0 / FIXED), risk.shape[:0:-1]).T  # (X, T)
    return agreement(risk.reshape(len(risk), -1), predicted.risk[:, ::4].ravel(), sizes.ravel())


def _against_size(ax, axis, x, times, simulated, predicted, unlimited):
    """One curve a time, tending to the risk at infinite size; the last one falls as the floor of its size."""
    for index, t in enumerate((*TIMES, END)):
        at = np.searchsorted(times, t)
        plotting.draw_pair(ax, x, simulated.risk[..., at].T, x, predicted.risk[:, at], f"$t$ = {t:g}", index)
        if t < END:
            ax.axhline(unlimited[at], color=plotting.COLORS[index], lw=0.6, ls=":")
    use = x <= FIXED / 4  # beyond it the size that is held limits the risk too
    known, name = LAST[axis]
    slope, error = bootstrap_slope(x[use], simulated.risk[use, :, -1].T)
    ax.axvspan(x[use][0], x[use][-1], color="0.93", zorder=-1)
    ax.plot(x[use], 0.7 * predicted.risk[0, -1] * (x[use] / x[0]) ** slope, "k", lw=1, label=f"slope $-${-slope:.3f}")
    plotting.finish(ax, AXES[axis], "risk", f"{SYMBOL[OTHER[axis]]} = {FIXED}; dots: {SYMBOL[axis]} = $\\infty$")
    finite = -log_slope(x[use], predicted.risk[use, -1])
    clean, other = rfm.power_law(A, B, None), {f"num_{OTHER[axis]}": INF, "optimizer": rfm.Ridge(0.0)}

    def ends(many):
        return np.array([theory.predict(clean, **{f"num_{axis}": n}, **other).risk[0] for n in many])

    window = f"{x[use][0]:g} to {x[use][-1]:g}"
    return [
        judge(f"{name}, late, theory at {LARGE:g}", -log_derivative(ends, LARGE), claimed=A - 1.0,
                 closed=known(A, B)),
        judge(f"{name}, late, trained at {window}", -slope, closed=finite, error=error, known="theory there"),
    ]  # fmt: skip


def _early(ax, axis, x, times, simulated, predicted, unlimited):
    """What a finite size adds to the risk, at early times."""
    for index, t in enumerate(TIMES):
        at = np.searchsorted(times, t)
        samples = simulated.risk[..., at].T - unlimited[at]
        plotting.draw_pair(ax, x, samples, x, predicted.risk[:, at] - unlimited[at], f"$t$ = {t:g}", index)
    plotting.finish(ax, AXES[axis], "risk $-$ risk at infinite size", "early: slope $-1$ at large sizes")
    clean = whole(rfm.power_law(A, B, 1000))
    args = {"optimizer": FLOW, "times": np.array(TIMES), f"num_{OTHER[axis]}": INF}
    limit = theory.predict(clean, **{f"num_{axis}": INF}, **args).risk

    def added(many):  # (sizes, times)
        return np.array([theory.predict(clean, **{f"num_{axis}": n}, **args).risk - limit for n in many])

    at = np.searchsorted(times, TIMES[0])
    anchor = 0.6 * (predicted.risk[-1, at] - unlimited[at])
    ax.plot(x[-3:], anchor * x[-1] / x[-3:], "k", lw=1, label="slope $-1$")
    ax.legend(fontsize=6.5, frameon=False)
    return [
        judge(
            f"correction, t = {TIMES[i]:g}, theory at {EARLY:g}",
            -log_derivative(lambda many, i=i: added(many)[:, i], EARLY),
            claimed=1.0,
        )
        for i in (0, -1)
    ]


def _against_time(ax, axis, x, times, simulated, predicted):
    """One curve a size, down to its floor."""
    use = times >= CURVE[0]
    for index, i in enumerate(range(len(x) - 1, -1, -2)):
        some = np.flatnonzero(use)[:: max(1, len(times) // 20)]
        plotting.draw_pair(ax, times[some], simulated.risk[i][:, some], times[use], predicted.risk[i, use],
                           f"{SYMBOL[axis]} = {x[i]:g}", index)  # fmt: skip
    window = (times >= 1.0) & (times <= 30.0)
    slope, error = bootstrap_slope(times[window], simulated.risk[-1][:, window])
    at = times[window]
    ax.axvspan(at[0], at[-1], color="0.93", zorder=-1)
    ax.plot(at, 0.7 * predicted.risk[-1, window][0] * (at / at[0]) ** slope, "k", lw=1, label=f"slope $-${-slope:.3f}")
    plotting.finish(ax, AXES["time"], "risk", f"{SYMBOL[OTHER[axis]]} = {FIXED}")
    finite = -log_slope(at, predicted.risk[-1, window])
    clean, infinite = rfm.power_law(A, B, None), {"num_features": INF, "num_samples": INF, "optimizer": FLOW}
    late = log_derivative(lambda many: theory.predict(clean, **infinite, times=many).risk, LATE)
    return [
        judge(f"time, theory at {LATE:g}, all sizes infinite", -late, claimed=0.4,
                 closed=exponents.time_exponent(A, B)),
        judge(f"time, trained at 1 to 30, {SYMBOL[axis]} = {x[-1]:g}", -slope, closed=finite, error=error,
                 known="theory there"),
    ]  # fmt: skip


main = Script(
    name="S1-2a-c",
    title="Risk against model size, and its three exponents",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 2a-c",
    claim="a finite model adds 1/N at early times, costs N^-(a-1) at late ones, and learns as t^-(a-1)/b in between",
    show=show,
    full=dict(axis="features", sizes=(32, 64, 128, 256, 512, 1024, 2048), seeds=16, modes=10_000),
    smoke=dict(axis="features", sizes=(32, 64, 128), seeds=4, modes=1000),
)
