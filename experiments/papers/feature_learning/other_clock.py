"""FL-6: risk against time with label noise at finite P, features trained or not: another clock alone."""

from functools import partial

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES
from experiments.compare.keys import fold_keys
from experiments.compare.laws import FLOW
from experiments.compare.statistics import standard_error
from experiments.compare.verdicts import condition, judge
from experiments.output import plotting, progress
from experiments.papers.feature_learning.training import NOISE, B, agrees, beside
from experiments.papers.row import Counts, Script, Shown, Values
from rfm.arguments import Arguments

TASKS = {"hard": 1.5, "easy": 2.6}
SAME = 0.03  # of a best risk that counts as the same
LINE = 61  # points of a line


def show(seed: int, *, sizes: Counts, richness: Values, times: Values, seeds: int, modes: int) -> Shown:
    """Show curves of every richness, the growth of the kernel, and where each is best and ends."""
    (n, p), key = sizes, jax.random.key(seed)
    figure, axes = plotting.new_figure(1, 3, caption=plotting.CAPTION + plotting.POINTS)
    line, points = (np.geomspace(times[0], times[1], count) for count in (LINE, 9))
    findings, table = [], []
    for place, (task, a) in enumerate(TASKS.items()):
        problem, best, last = rfm.power_law(a, B, modes, NOISE), [], []
        predicted = partial(theory.predict, problem, num_features=n, num_samples=p, optimizer=FLOW)
        for index, gamma in enumerate(progress.over(richness, task)):
            curve = predicted(times=line, richness=gamma)
            keys = jax.random.split(fold_keys(key, 10 * place + index), seeds)
            args = Arguments(num_features=n, num_samples=p, optimizer=FLOW, times=points)
            drawn = rfm.exact(problem, **args | {"richness": gamma}, keys=keys)
            pair = beside(problem, args, gamma, drawn.risk, line)
            plotting.draw(axes[0, place], pair, index)
            table += pair.rows("richness", "t", "risk", "stderr", "theory", "task", task=np.full(len(points), task))
            findings.append(agrees(f"{task}, richness {gamma:g}: simulation over theory", [pair]))
            best.append(float(curve.risk.min()))
            last.append(float(predicted(times=[1e9], richness=gamma).risk[0]))
            if gamma > 0 and task == "hard":
                grown, spread = drawn.kernel_growth.mean(0), standard_error(drawn.kernel_growth)
                axes[0, 2].plot(line, curve.kernel_growth, color=plotting.COLORS[index], lw=1.3)
                plotting.draw_points(axes[0, 2], points, grown, spread, index, label=pair.label)
        shifts = np.array(best[1:]) / best[0] - 1.0
        worst = float(shifts[np.argmax(np.abs(shifts))])
        findings.append(judge(f"{task}: best stopped risk over the lazy one", 1.0 + worst, claimed=1.0, close=SAME))
        text = f"{max(last) / min(last) - 1.0:.1e}"
        findings.append(
            condition(f"{task}: spread of the risk at t = 1e9", "none", text, max(last) < 1.0001 * min(last))
        )
        plotting.finish(axes[0, place], AXES["time"], "risk", f"{task} task, a = {a:g}: another clock")
    plotting.finish(axes[0, 2], AXES["time"], "growth $m$ of the kernel", "hard task")
    return Shown(figure, table, tuple(findings))


main = Script(
    name="FL-6",
    title="Label noise and finite data: features that are trained change the clock, not the reach",
    source="this project, docs/richness.md",
    claim="with label noise and P samples, training of features moves the time of the best risk, not the best risk",
    show=show,
    full=dict(sizes=(120, 80), richness=(0.0, 0.3, 1.0, 10.0), times=(0.1, 1e4), seeds=64, modes=300),
    smoke=dict(sizes=(24, 16), richness=(0.0, 1.0), times=(0.1, 1e3), seeds=16, modes=60),
)
