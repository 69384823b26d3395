"""S1 Fig. 5: few data. Larger models stop helping, and training and test loss part as the data are used again."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import AXES, Comparison, across
from experiments.compare.equivalence import agreement
from experiments.compare.laws import FLOW
from experiments.compare.statistics import STEP, log_derivative
from experiments.compare.verdicts import Verdict, condition, judge
from experiments.output import console, plotting
from experiments.papers.bordelon2024.formulas import ENDLESS, A, B
from experiments.papers.row import Counts, Script, Shown

T_REUSE = rfm.log_times(1.0, 1e4, 25)
P_FEW, N_WIDE = 128, 512  # data where N varies, model size where P does
T_EARLY = 10.0  # time at which the gap is compared for all P; before it the scatter of training losses is as large
GAP_WINDOW = (T_EARLY, 100.0)  # of times, where the gap grows as a power law
SATURATED = 1.1  # times the risk of an infinite model
N_FAR, P_FAR, T_FAR = 1e6, 1e9, 1e6  # sizes and time where theory alone measures exponents
GRID = np.unique(np.concatenate([T_REUSE, T_FAR * np.exp([-STEP, STEP])]))  # of the theory: one compiled program
T_LAST = len(T_REUSE) - 1  # where the last of them is in GRID


def show(seed: int, sizes: Counts, samples: Counts, seeds: int, modes: int) -> Shown:
    """Show the risk for many N at P = P_FEW, with training loss for many P at N = N_WIDE, and the gap of the two."""
    problem, keys = rfm.power_law(A, B, modes), jax.random.split(jax.random.key(seed), seeds)
    train = partial(rfm.sweep, problem, keys=keys, optimizer=FLOW, times=T_REUSE, progress=console.shows_progress())
    wider = train({"num_features": list(sizes)}, num_samples=P_FEW)
    richer = train({"num_samples": list(samples)}, num_features=N_WIDE)
    pairs = [*((n, P_FEW) for n in sizes), *((N_WIDE, p) for p in samples)]
    runs = zip([*wider.risk, *richer.risk], [*wider.train_loss, *richer.train_loss], strict=True)
    risk, loss = [], []
    for (n, p), both in zip(pairs, runs, strict=True):
        predicted = _theory(problem, n, p)
        for curves, risks, line in zip((risk, loss), both, (predicted.risk, predicted.train_loss), strict=True):
            curves.append(Comparison("time", T_REUSE, risks, line[: len(T_REUSE)], {"N": n, "P": p}, f"P = {p}"))
    gap = [replace(r, risks=r.risks - x.risks, theory=r.theory - x.theory) for r, x in zip(risk, loss, strict=True)]
    # in parts of the mean risk: a ratio of means, not a mean of ratios
    part = [replace(g, risks=g.risks / r.mean, theory=g.theory / r.theory) for g, r in zip(gap, risk, strict=True)]
    wide = slice(len(sizes), None)
    late = slice(int(np.searchsorted(T_REUSE, T_EARLY)), None, 3)  # the training loss itself falls exponentially

    figure, axes = plotting.new_figure(1, 3, width=4.2)
    findings = [
        agreement([curve.at(slice(0, None, 3)) for curve in risk], "risk: simulation against theory"),
        agreement([curve.at(late) for curve in gap], "risk less training loss: simulation against theory"),
        *_saturation(axes[0, 0], problem, risk[: len(sizes)]),
        *_gap(axes[0, 2], problem, part[wide]),
    ]
    _both(axes[0, 1], problem, risk[wide], loss[wide])
    columns = ("N", "P", "t", "risk", "stderr", "theory", "training loss", "its theory")
    table = []
    for r, x in zip(risk, loss, strict=True):
        table += r.rows(*columns, **{"training loss": x.mean, "its theory": x.theory})
    return Shown(figure, table, tuple(findings))


def _theory(problem: rfm.Problem, n: float, p: float) -> rfm.Curve:
    return theory.predict(problem, num_features=n, num_samples=p, optimizer=FLOW, times=GRID)


def _saturation(ax: Axes, problem: rfm.Problem, curves: Sequence[Comparison]) -> list[Verdict]:
    """Draw larger models on the same few data: faster, and in the end no better than an infinite one."""
    endless, where = _theory(problem, np.inf, P_FEW).risk[: len(T_REUSE)], f"P = {P_FEW}, t = {T_REUSE[-1]:g}"
    plotting.draw_all(ax, curves, "N = {N}")
    ax.plot(T_REUSE, endless, "k", lw=1.0, ls=":", label="N = $\\infty$")
    plotting.finish(ax, AXES["time"], "risk", f"a larger model stops lower, P = {P_FEW}; {curves[0].seeds} seeds")
    far = log_derivative(lambda x: np.array([_theory(problem, n, P_FEW).risk[T_LAST] for n in x]) - endless[-1], N_FAR)
    ends = across(curves, "features", T_REUSE[-1])
    over, error = ends.mean / endless[-1], ends.stderr[-1] / endless[-1]
    return [
        judge(f"what N adds at {where}, theory at N = {N_FAR:g}", -far, claimed=1.0),
        condition(f"saturation at {where}", "risk stops falling with N",
                  f"trained, over theory at N = infinity: {over[0]:.2f} at N = {ends.x[0]}, {over[-1]:.3f} ± "
                  f"{error:.3f} at N = {ends.x[-1]}", bool(over[-1] - 2.0 * error < SATURATED < over[0])),
    ]  # fmt: skip


def _both(ax: Axes, problem: rfm.Problem, risk: Sequence[Comparison], loss: Sequence[Comparison]) -> None:
    """Draw risk and training loss at one model size: one curve on fresh data, two that part on few."""
    for index, (test, training) in enumerate(zip(risk, loss, strict=True)):
        plotting.draw(ax, test, index, label=f"{test.label}, risk")
        plotting.draw(ax, training, index, label=f"{test.label}, training loss", hollow=True)
    fresh = _theory(problem, N_WIDE, np.inf).risk[: len(T_REUSE)]
    ax.plot(T_REUSE, fresh, "k", lw=1.0, ls=":", label="fresh data, both")
    plotting.finish(
        ax, AXES["time"], "risk, training loss", f"reused data: training loss falls below risk, N = {N_WIDE}"
    )
    ax.set_ylim(0.02 * fresh[-1], 1.5 * max(curve.theory.max() for curve in risk))


def _gap(ax: Axes, problem: rfm.Problem, parts: Sequence[Comparison]) -> list[Verdict]:
    """Draw the gap in parts of the risk: the modes learned for each sample, t^(1/b)/P, until all seen is fitted."""
    plotting.draw_all(ax, parts)
    most, early = parts[-1], across(parts, "samples", T_EARLY)
    window = np.clip(T_REUSE, *GAP_WINDOW) == T_REUSE
    times, first, last = T_REUSE[window], early.x[0], early.x[-1]
    against_p = f"the same, against P, trained at t = {T_EARLY:g}, P = {first} to {last}, beside theory there"
    growth, fall = most.slope(window), early.slope(quantity=against_p)
    plotting.draw_slope(ax, growth, 0.6 * most.theory[window][0], f"slope {-growth.simulated:.3f}")
    plotting.finish(
        ax, AXES["time"], "1 $-$ training loss/risk", f"the gap grows with time, N = {N_WIDE}; {most.seeds} seeds"
    )
    ax.set_ylim(bottom=0.5 * min(part.theory.min() for part in parts))
    clean, fresh = rfm.power_law(A, B, ENDLESS), _theory(problem, N_WIDE, np.inf)

    def around(p: float) -> np.ndarray:  # a step before T_FAR and a step after
        curve = _theory(clean, np.inf, p)
        return 1.0 - (curve.train_loss / curve.risk)[-2:]

    of_time = np.diff(np.log(around(P_FAR))).item() / (2 * STEP)
    of_data = -log_derivative(lambda samples: np.array([around(p)[0] for p in samples]), P_FAR)
    at, gaps = int(np.argmin(np.abs(T_REUSE - T_EARLY))), {part.label: part.mean for part in parts}
    grows = all(np.all((np.diff(gap) > 0) | (gap[1:] > 0.99)) for gap in gaps.values())
    path = "; ".join(f"{gap[0]:.2f}, {gap[at]:.2f}, {gap[-1]:.2f} at {name}" for name, gap in gaps.items())
    none = float(np.abs(1.0 - fresh.train_loss / fresh.risk)[: len(T_REUSE)].max())
    return [
        judge(f"gap in parts of the risk, against t, theory at t = {T_FAR:g}, P = {P_FAR:g}", of_time, closed=1 / B),
        judge(f"the same, against P, theory at P = {P_FAR:g}", of_data, closed=1.0),
        judge(f"the same, against t, trained at {most.label}, t = {times[0]:.3g} to {times[-1]:.3g}, beside theory "
              "there", -growth.simulated, closed=-growth.theory, error=growth.stderr),
        fall.verdict(),
        condition("the gap as the same data are used longer", "grows",
                  f"trained, parts of the risk at t = {T_REUSE[0]:g}, {T_REUSE[at]:g}, {T_REUSE[-1]:g}: {path}", grows),
        condition("the gap on fresh data", "vanishes",
                  f"{none:.1g} in theory at P = infinity, where a batch is tried before it is learned; trained at "
                  f"t = {T_REUSE[at]:g}: from {early.mean[0]:.3f} at P = {first} to {early.mean[-1]:.3f} at P = {last}",
                  bool(none < 1e-9 and fall.simulated > 2.0 * fall.stderr)),
    ]  # fmt: skip


main = Script(
    name="S1-5",
    title="Few data: larger models saturate, and training and test loss part",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 5",
    claim="at fixed data larger models cannot go on improving, and the gap of test to training loss grows with reuse",
    show=show,
    full=dict(sizes=(64, 128, 256, 512, 1024, 2048, 4096), samples=(64, 128, 256, 512), seeds=16, modes=10_000),
    smoke=dict(sizes=(64, 256), samples=(32, 64), seeds=4, modes=1000),
)
