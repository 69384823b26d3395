"""S5 std: standard deviation between draws against time, and how draws keep their order, measured and predicted."""

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES
from experiments.compare.laws import FLOW
from experiments.compare.spread import Call
from experiments.compare.verdicts import Verdict, condition
from experiments.output import plotting
from experiments.papers.next_order.gap import A, B
from experiments.papers.next_order.moments import correlation_with, std_of
from experiments.papers.row import Script, Shown, Values

TIMES = rfm.log_times(0.1, 1e3, 13)
LINE_TIMES = rfm.log_times(0.1, 1e3, 25)
CLOSE = 0.06  # of a standard deviation: the theory of it is the leading order alone
APART = 0.05  # of a correlation
APART_ON_PAGE = 1.16  # factor between the times at which the ratios at one time are drawn
MIDDLE = 6  # of TIMES: with the risk at this time all others are correlated


def show(seed: int, *, size: int, rows: int, noises: Values, seeds: int, modes: int) -> Shown:
    """Show std of risk and training loss against time, measured over predicted std, and correlations in time."""
    figure, axes = plotting.new_figure(1, 3)
    findings, table = [], []
    for index, noise in enumerate(noises):
        problem = rfm.power_law(A, B, modes, noise)
        args = Call(num_features=size, num_samples=rows, optimizer=FLOW, times=TIMES)
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), index), seeds)
        drawn = rfm.simulate(problem, keys=keys, **args)
        fine = Call(num_features=size, num_samples=rows, optimizer=FLOW, times=LINE_TIMES)
        line, known = theory.scatter(problem, pairs=False, **fine), theory.scatter(problem, pairs=True, **args)
        label = f"noise {noise:g}"
        for hollow, name, risks, there, at in (
            (False, "risk", drawn.risk, line.std, known.std),
            (True, "training loss", drawn.train_loss, line.train_std, known.train_std),
        ):
            measured, error = std_of(np.asarray(risks))
            style = {"color": plotting.COLORS[index], "lw": 1.3, "ls": "--" if hollow else "-"}
            axes[0, 0].plot(LINE_TIMES, there, **style)
            axes[0, 1].plot(TIMES, np.ones(len(TIMES)), color="0.6", lw=0.8)
            what = f"{name}, {label}"
            plotting.draw_points(axes[0, 0], TIMES, measured, error, index, label=what, hollow=hollow)
            shift = APART_ON_PAGE ** (2 * index + hollow - len(noises) + 0.5)  # side by side
            plotting.draw_points(axes[0, 1], TIMES * shift, measured / at, error / at, index, label=what, hollow=hollow)
            table += [
                {"noise": noise, "of": name, "t": t, "std": s, "stderr": e, "theory": p}
                for t, s, e, p in zip(TIMES, measured, error, at, strict=True)
            ]
            findings.append(_ratio(what, measured / at, error / at))
        rho, error = correlation_with(np.asarray(drawn.risk), MIDDLE)
        there = known.covariance[MIDDLE] / (known.std * known.std[MIDDLE])
        axes[0, 2].plot(TIMES, there, color=plotting.COLORS[index], lw=1.3)
        plotting.draw_points(axes[0, 2], TIMES, rho, error, index, label=label)
        findings.append(_correlation(label, np.abs(rho - there), error))
    held = f"$N$ = {size}, $P$ = {rows}; {seeds} draws"
    plotting.finish(axes[0, 0], AXES["time"], "standard deviation between draws", held)
    axes[0, 1].axhspan(1 - CLOSE, 1 + CLOSE, color="0.93", zorder=-1)
    axes[0, 1].set_ylim(0.85, 1.2)
    axes[0, 1].set_xscale("log")
    for ax, y, title in (
        (axes[0, 1], "measured over predicted", "grey: what the next order may add"),
        (axes[0, 2], f"correlation with the risk at t = {TIMES[MIDDLE]:g}", held),
    ):
        plotting.finish(ax, AXES["time"], y, title, log=False)
        ax.set_xscale("log")
    return Shown(figure, table, tuple(findings))


def _ratio(what: str, ratio: np.ndarray, error: np.ndarray) -> Verdict:
    """Judge whether every standard deviation is the predicted one, to CLOSE and two standard errors."""
    worst = int(np.argmax(np.abs(ratio - 1.0) - 2 * error))
    holds = bool(np.all(np.abs(ratio - 1.0) <= CLOSE + 2 * error))
    text = (
        f"{np.median(ratio):.3f} in the median of {len(ratio)} times, {ratio.min():.3f} to {ratio.max():.3f}; "
        f"worst {ratio[worst]:.3f} ± {error[worst]:.3f} at t = {TIMES[worst]:.3g}"
    )
    return condition(f"{what}: std, measured over predicted", f"1 ± {CLOSE:g}", text, holds)


def _correlation(label: str, apart: np.ndarray, error: np.ndarray) -> Verdict:
    text = f"off by {apart.max():.3f} at most, s.e. {error.max():.3f}"
    holds = bool(np.all(apart <= APART + 2 * error))
    return condition(f"risk, {label}: correlation in time", f"as predicted to {APART:g}", text, holds)


main = Script(
    name="S5-std",
    title="How far draws scatter, against time",
    source="this project, docs/second-order.md",
    claim="the standard deviation between draws, and what lasts of it from one time to another, have a closed form",
    show=show,
    full=dict(size=64, rows=128, noises=(0.0, 0.3), seeds=4000, modes=400),
    smoke=dict(size=16, rows=32, noises=(0.1,), seeds=200, modes=100),
)
