"""FL-5: the best risk for a budget of compute, counted in three ways: the gain is that of one of them.

Training of a layer of N x N takes N^2 operations a step where that of a readout takes N, and steps must shrink as the
kernel grows, lr m z_max < 2, so that as many of them pass the time tau = int m dt of the lazy model and no more:

    C = N t (as published), C = N^2 t (operations at a fixed lr), C = N tau (N a step, steps as long as is stable)
"""

from typing import NamedTuple

import jax
import numpy as np

import rfm
import theory
from experiments.compare.best_sizes import Best, Grid, lazy_clock, predicted
from experiments.compare.comparison import Comparison
from experiments.compare.keys import fold_keys
from experiments.compare.laws import FLOW
from experiments.compare.verdicts import CLOSE, CONFIRMED, REFINED, Verdict, condition, judge
from experiments.output import plotting, progress
from experiments.papers.feature_learning.training import RICHNESS, A, B, agrees, solved
from experiments.papers.row import Counts, Script, Shown, Values
from rfm.arguments import Arguments
from theory import exponents
from theory.exponents.rich import COSTS

STEP = 0.5  # in log C, of a local exponent
LATEST = 0.7  # power of the largest budget that models are followed to: all have ended, or are too small for it
LOOKS = 9  # times of a trained model


class Count(NamedTuple):
    """A way of counting compute, by its label, its name in `COSTS`, and the richness of the models."""

    name: str
    cost: str
    richness: float

    def closed(self) -> tuple[float, float]:
        """Return the exponents of the best size and of the risk in C."""
        lazy = self.richness == 0.0
        return exponents.frontier_exponents(A, B) if lazy else exponents.rich_frontier_exponents(A, B, cost=self.cost)


COUNTS = (
    Count("lazy, $C = N t$", "N t", 0.0),
    Count("rich, $C = N t$", "N t", RICHNESS),
    Count("rich, $C = N^2 t$", "N^2 t", RICHNESS),
    Count("rich, $C = N \\tau$", "N tau", RICHNESS),
)


def show(
    seed: int, *, span: Values, far: float, grid: Counts, sizes: Counts, samples: float, modes: int, seeds: int
) -> Shown:
    """Show the best risk and the best size against compute, counted in each way, and models trained to be the best."""
    keys = jax.random.split(jax.random.key(seed), seeds)
    curves = {gamma: _grid(far, grid, gamma) for gamma in (0.0, RICHNESS)}
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    findings, table, pairs, gains = [], [], [], []
    budgets = np.geomspace(span[0], span[1], 33)
    for index, count in enumerate(progress.over(COUNTS, "count")):
        name = count.name.replace("$", "").replace("\\tau", "tau")
        best = curves[count.richness].best(count.cost, budgets)
        ends = curves[count.richness].best(count.cost, far * np.exp([-STEP, STEP]))
        slopes = [abs(float(np.log(x[-1] / x[0]) / (2.0 * STEP))) for x in (ends.size, ends.risk)]
        for quantity, slope, closed in zip(("best size", "risk"), slopes, count.closed(), strict=True):
            findings.append(judge(f"{name}: {quantity} in C, theory at C = {far:g}", slope, closed=closed))
        gains.append(slopes[1])
        table += [{"count": name, "C": c, "N": n, "theory": r} for c, n, r in zip(*best, strict=True)]
        pair, rows = _trained(sizes, best, count, curves[count.richness], (modes, samples, keys))
        pairs.append(pair)
        table += rows
        label = count.name
        if len(sizes) > 1:
            trained = pair.slope(quantity=f"{name}: risk in C, trained N = {min(sizes)} to {max(sizes)}")
            findings.append(trained.verdict())
            label = f"{label}: $-${trained.simulated:.3f} $\\pm$ {trained.stderr:.3f}"
        inside = best.size > 1.05 * curves[count.richness].sizes[0]  # or a smaller one would be better
        axes[0, 0].plot(budgets[inside], best.risk[inside], color=plotting.COLORS[index], lw=1.3)
        axes[0, 1].plot(budgets[inside], best.size[inside], color=plotting.COLORS[index], lw=1.3, label=count.name)
        plotting.draw(axes[0, 0], pair, index, label=label, line_style={"ls": "--", "lw": 0.9})
    findings += [agrees("simulation over theory", pairs), _gain(gains)]
    title = (
        f"a = {A:g}, b = {B:g}, P = {plotting.number(samples)}; trained N = {min(sizes)} to {max(sizes)}, {seeds} seeds"
    )
    plotting.finish(axes[0, 0], "compute $C$", "best risk", title)
    plotting.finish(
        axes[0, 1], "compute $C$", "best model size $N$", f"theory, M = $\\infty$ (dashed lines: M = {modes})"
    )
    return Shown(figure, table, tuple(findings))


def _grid(far: float, counts: Counts, richness: float) -> Grid:
    """Predict models of all sizes."""
    sizes, times = np.geomspace(8.0, 0.1 * far, counts[0]), np.geomspace(1e-3, far**LATEST, counts[1])
    return predicted(A, B, sizes, times, richness=richness)


def _args(n: float, times: np.ndarray) -> Arguments:
    return Arguments(num_features=n, num_samples=np.inf, optimizer=FLOW, times=times)


def _trained(
    sizes: Counts, best: Best, count: Count, grid: Grid, draws: tuple[int, float, jax.Array]
) -> tuple[Comparison, list[dict]]:
    """Train each size until it has spent the budget at which it is best; draws: modes, samples and keys."""
    (modes, samples, keys), runs, spent = draws, [], []
    for n in sizes:
        compute = float(np.exp(np.interp(np.log(n), np.log(best.size), np.log(best.compute))))
        time = compute / n ** COSTS[count.cost]
        if count.cost == "N tau":
            growth = theory.predict(rfm.power_law(A, B, None), **_args(n, grid.times) | {"richness": count.richness})
            assert growth.kernel_growth is not None
            tau = lazy_clock(grid.times, growth.kernel_growth)
            time = float(np.exp(np.interp(np.log(time), np.log(tau), np.log(grid.times))))
        times = time * np.geomspace(0.05, 1.0, LOOKS)
        args = _args(n, times) | {"num_samples": samples}
        runs.append(solved(rfm.power_law(A, B, modes), args, count.richness, fold_keys(keys, n)))
        spent.append(compute)
    risks, line = np.stack([run.risks[:, -1] for run in runs], axis=1), np.array([run.theory[-1] for run in runs])
    held = {"N": min(sizes), "P": samples, "richness": count.richness}
    rows = [row for run in runs for row in run.rows(count=np.full(LOOKS, count.name))]
    return Comparison("C", np.array(spent), risks, line, held, count.name), rows


def _gain(slopes: list[float]) -> Verdict:
    """Judge in which counts training of features makes more of compute than lazy training does."""
    lazy, *rich = slopes
    more = [slope > lazy + CLOSE for slope in rich]
    text = ", ".join(f"{slope:.3f} for {count.name}" for count, slope in zip(COUNTS, slopes, strict=True))
    text = text.replace("$", "").replace("\\tau", "tau")
    verdict = CONFIRMED if all(more) else REFINED
    return condition("risk in C, above lazy", "in every count", text, more[0], yes=verdict)


main = Script(
    name="FL-5",
    title="Compute, counted in three ways: features that are trained gain in one of them",
    source="arXiv 2409.17858 (C = N t); this project, docs/richness.md (the other two)",
    claim="for hard tasks training of features raises the exponent of the best risk in compute",
    show=show,
    full=dict(
        span=(3e1, 1e8), far=1e10, grid=(49, 97), sizes=(32, 64, 128, 256, 512), samples=np.inf, modes=4000, seeds=32
    ),
    smoke=dict(span=(1e2, 1e4), far=1e5, grid=(9, 25), sizes=(24,), samples=16, modes=60, seeds=16),
)
