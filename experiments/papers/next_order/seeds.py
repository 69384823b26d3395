"""S5 seeds: how many draws a mean takes that is known to a percent, against model size, and a check that they do."""

from collections.abc import Sequence

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES
from experiments.compare.keys import fold_keys
from experiments.compare.laws import FLOW
from experiments.compare.verdicts import Verdict, condition, judge
from experiments.output import plotting, progress
from experiments.papers.next_order.gap import NOISE, ROWS, A, B
from experiments.papers.next_order.moments import std_of
from experiments.papers.row import Counts, Script, Shown, Values
from rfm.arguments import Arguments

WANTED = 0.01  # relative standard error of a mean
REACH = 16  # times the largest size drawn, to where theory alone says how many
CLOSE = 0.06  # of an error


def show(seed: int, *, sizes: Counts, times: Values, errors: Values, seeds: int, modes: int) -> Shown:
    """Show the number against N at some times, and the error of means over the numbers that theory advises."""
    problem, key, clock = rfm.power_law(A, B, modes, NOISE), jax.random.key(seed), np.array(times)
    risks = []
    for n in progress.over(sizes, "size"):
        call = Arguments(num_features=n, num_samples=ROWS * n, optimizer=FLOW, times=clock)
        risks.append(np.asarray(rfm.simulate(problem, keys=jax.random.split(fold_keys(key, n), seeds), **call).risk))
    line_x = np.geomspace(sizes[0], REACH * sizes[-1], 17)
    at, line = (np.array([predicted(problem, n, clock) for n in x]) for x in (sizes, line_x))  # (X, T)
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    findings, table = [], []
    for index, t in enumerate(times):
        measured, stderr = np.transpose([measured_number(draws[:, index]) for draws in risks])
        axes[0, 0].plot(line_x, line[:, index], color=plotting.COLORS[index], lw=1.3)
        plotting.draw_points(axes[0, 0], sizes, measured, stderr, index, label=f"t = {t:g}")
        columns = zip(sizes, measured, stderr, at[:, index], strict=True)
        table += [{"t": t, "N": n, "P": ROWS * n, "seeds": m, "stderr": e, "theory": p} for n, m, e, p in columns]
        findings.append(_number(t, sizes, measured / at[:, index], stderr / at[:, index]))
    title = f"$P = {ROWS}N$; points: std of {seeds} draws"
    plotting.finish(axes[0, 0], AXES["features"], f"draws for a mean to {100 * WANTED:g} %", title)
    ratios = []
    for index, (n, draws) in enumerate(zip(sizes, risks, strict=True)):
        kept = check(problem, n, draws[:, -1], times[-1], errors)
        asked, ratio, stderr = kept
        plotting.draw_points(axes[0, 1], asked * 1.03**index, ratio, stderr, index, label=f"N = {n}")  # side by side
        ratios.append(kept[1:])
    axes[0, 1].axhline(1.0, color="0.6", lw=1, zorder=0)
    title = f"t = {times[-1]:g}; means of as many draws as theory says"
    plotting.finish(axes[0, 1], "predicted relative error of means", "measured over predicted", title, log=False)
    axes[0, 1].set_xscale("log")
    return Shown(figure, table, (*findings, *_kept(sizes, np.concatenate(ratios, axis=1))))


def predicted(problem: rfm.Problem, n: float, times: np.ndarray) -> np.ndarray:
    """Draws that a relative error of WANTED takes, (T,), not rounded."""
    scatter = theory.scatter(
        problem, num_features=n, num_samples=ROWS * n, optimizer=FLOW, times=times, pairs=False
    )  # fmt: skip
    return (scatter.std / scatter.mean / WANTED) ** 2


def measured_number(risks: np.ndarray) -> tuple[float, float]:
    """Draws that a relative error of WANTED takes, from the scatter of risks (S,), and its standard error."""
    std, stderr = (float(x[0]) for x in std_of(risks[:, None]))
    number = (std / risks.mean() / WANTED) ** 2
    return number, 2.0 * number * stderr / std


def check(problem: rfm.Problem, n: int, risks: np.ndarray, time: float, errors: Values) -> np.ndarray:
    """Return errors of means over as many draws as theory says for those asked for, theirs over it, and s.e., (3, E).

    The first are those of the whole number of draws, which are a little smaller than what was asked for. Errors whose
    draws make no two groups are left out.
    """
    kept, wanted = [], np.sqrt(predicted(problem, n, np.array([time]))[0]) * WANTED
    for error in errors:
        count = theory.seeds_needed(
            problem, relative_error=error, num_features=n, num_samples=ROWS * n, optimizer=FLOW, times=[time]
        )
        groups, known = len(risks) // count, wanted / np.sqrt(count)
        if groups > 1:
            means = risks[: groups * count].reshape(groups, count).mean(1)
            ratio = means.std(ddof=1) / risks.mean() / known
            kept.append((known, ratio, ratio / np.sqrt(2.0 * (groups - 1))))
    return np.transpose(kept)


def _number(t: float, sizes: Sequence[int], ratio: np.ndarray, error: np.ndarray) -> Verdict:
    """Judge whether measured numbers are the predicted ones: they have twice the relative error of std."""
    worst = int(np.argmax(np.abs(ratio - 1.0)))
    text = f"{', '.join(f'{r:.2f}' for r in ratio)} at N = {', '.join(map(str, sizes))}; s.e. {error[worst]:.2f}"
    holds = bool(np.all(np.abs(ratio - 1.0) <= 2 * (CLOSE + error)))
    return condition(f"draws needed at t = {t:g}, measured over predicted", f"1 ± {2 * CLOSE:g}", text, holds)


def _kept(sizes: Sequence[int], ratios: np.ndarray) -> list[Verdict]:
    """Judge whether means over the numbers of theory are as exact as asked for."""
    ratio, error = ratios
    weights = 1.0 / error**2
    mean, stderr = weights @ ratio / weights.sum(), 1.0 / np.sqrt(weights.sum())
    z = np.abs(ratio - 1.0) / error
    quantity = f"error of means over the number of draws that theory advises, N = {sizes[0]} to {sizes[-1]}"
    text = f"{np.sum(z < 3)} of {len(z)} within 3 standard errors, {z.max():.1f} at most"
    return [
        judge(f"{quantity}: over the predicted one", float(mean), claimed=1.0, error=float(stderr), close=CLOSE),
        condition(f"{quantity}: each", "as predicted", text, bool(np.all(np.abs(ratio - 1.0) < CLOSE + 3 * error))),
    ]


main = Script(
    name="S5-seeds",
    title="How many draws a mean to one percent takes",
    source="this project, docs/second-order.md",
    claim="theory says beforehand how many draws make a mean as exact as asked for, and that larger models take fewer",
    show=show,
    full=dict(
        sizes=(32, 48, 64, 128), times=(1.0, 30.0, 1000.0), errors=(0.05, 0.03, 0.02), seeds=4000, modes=400
    ),
    smoke=dict(sizes=(8, 16), times=(1.0, 10.0), errors=(0.2, 0.1), seeds=200, modes=100),
    limits="N = 16 at t = 1000 takes 1.3 times as many draws: the scatter is known to its leading order alone",
)  # fmt: skip
