"""S1 Fig. 3: one-pass SGD. What model size and batch size do to the risk, early and at its plateau."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
from experiments.compare.comparison import AXES, Comparison, across
from experiments.compare.equivalence import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import log_derivative
from experiments.compare.verdicts import CLOSE, REFINED, Verdict, condition, judge
from experiments.output import plotting, progress
from experiments.papers.bordelon2024.formulas import ENDLESS, ONE_PASS_LR, A, B, OnePass
from experiments.papers.row import Counts, Script, Shown
from theory import exponents

THEORY_STEPS = rfm.log_times(1, 1e6, 61, integer=True)  # steps of the theory, to every plateau
FAR_N, FAR_STEPS = 1e6, 1e12  # size where theory alone measures the plateau, and steps enough to be there
MANY = 1e4  # batch size where theory alone measures how the excess falls
NEAR_PLATEAU = 1.02  # times its plateau: a risk below it has ended

Pair = tuple[int, int]  # N and B


def show(
    *, seed: int, sizes: Counts, trained: int, size: int, batch: int, batches: Counts,
    steps: int, seeds: int, modes: int,
) -> Shown:  # fmt: skip
    """Show the risk against steps for many N and for many B, its plateau against N, and what batches add against B.

    trained: the largest of sizes with training runs; size, batch: what is held where the other varies.
    """
    problem, keys = rfm.power_law(A, B, modes), jax.random.split(jax.random.key(seed), seeds)
    times = rfm.log_times(1, steps, 25, integer=True)
    predicted = OnePass(problem, np.unique(np.concatenate([THEORY_STEPS, times, [FAR_STEPS]])))
    there, line_x = np.searchsorted(predicted.clock, times), predicted.clock[:-1]
    args = {"num_samples": np.inf, "times": times}
    runs: dict[Pair, Comparison] = {}
    pairs = [(n, batch) for n in sizes if n <= trained] + [(size, b) for b in batches if b != batch]
    for n, b in progress.over(pairs, "run", "one-pass SGD"):
        sgd, line, held = rfm.SGD(ONE_PASS_LR, b), predicted.risk(n, b), {"N": n, "B": b, "P": np.inf}
        risks = rfm.simulate(problem, num_features=n, optimizer=sgd, **args, keys=fold_keys(keys, n)).risk
        runs[n, b] = Comparison("steps", times, risks, line[there], held, line_x=line_x, line=line[:-1])
    # the same features with and without batches, in expectation: one run's own noise would hide their small effect
    exact = partial(rfm.exact, problem, num_features=size, **args, keys=fold_keys(keys, size))
    still = exact(optimizer=rfm.GradientDescent(ONE_PASS_LR)).risk
    noisy = np.stack([exact(optimizer=rfm.SGD(ONE_PASS_LR, b)).risk for b in batches], axis=1)
    added = (noisy - still[:, None]) / still.mean(0)  # (S, B, T): not the mean of ratios
    fine = np.geomspace(batches[0], batches[-1], 9)
    here, line = (predicted.excess(size, some)[:, there] for some in (batches, fine))  # (B, T)
    picked = [int(np.searchsorted(times, times[-1] ** power)) for power in (0.3, 0.6, 1.0)]
    x, held = np.array(batches, float), {"N": size, "P": np.inf}
    excess = [
        Comparison("B", x, added[..., i], here[:, i], held, f"{times[i]:g} steps", fine, line[:, i]) for i in picked
    ]

    figure, axes = plotting.new_figure(2, 2, width=4.4)
    _against_steps(axes[0, 0], f"B = {batch}", predicted, runs, {f"N = {n}": (n, batch) for n in sizes})
    _against_steps(axes[0, 1], f"N = {size}", predicted, runs, {f"B = {b}": (size, b) for b in batches})
    ends = predicted.ends(sizes, batch)
    ended = [
        replace(runs[n, batch], theory=np.full(len(times), end))
        for n, end in zip(sizes, ends, strict=True)
        if n <= trained and runs[n, batch].theory[-1] < NEAR_PLATEAU * end
    ]
    plateau = replace(across(ended, "features", times[-1]), line_x=np.array(sizes, float), line=ends)
    agrees = agreement([run.at(slice(None, None, 3)) for run in runs.values()])
    at_end = _plateau(axes[1, 0], predicted, plateau, batch, batches)
    table = [row for run in runs.values() for row in run.rows("N", "B", "steps", "risk", "stderr", "theory")]
    return Shown(figure, table, (agrees, *at_end, *_excess(axes[1, 1], predicted, size, excess)))


def _against_steps(
    ax: Axes, title: str, predicted: OnePass, runs: Mapping[Pair, Comparison], pairs: Mapping[str, Pair]
) -> None:
    for index, (label, pair) in enumerate(pairs.items()):
        if pair in runs:
            plotting.draw(ax, runs[pair], index, label=label)
        else:
            line, color = predicted.risk(*pair)[:-1], plotting.COLORS[index % len(plotting.COLORS)]
            ax.plot(predicted.clock[:-1], line, color=color, lw=1.3, label=f"{label}, theory")
    plotting.finish(ax, "steps", "risk", title)


def _plateau(ax: Axes, predicted: OnePass, plateau: Comparison, batch: int, batches: Counts) -> list[Verdict]:
    """Draw where training ends, against N: at the floor of the model, times a factor of lr and B alone."""
    (sizes, _), least = plateau.theory_line, min(batches)
    floors = predicted.ends(sizes, np.inf)
    plotting.draw(ax, plateau, label=f"B = {batch}")
    ax.plot(sizes, predicted.ends(sizes, least), color=plotting.COLORS[1], lw=1.3, label=f"B = {least}")
    ax.plot(sizes, floors, color="k", lw=0.9, ls="--", label="full batches: the floor of the model")
    window = f"{plateau.x[0]:g} to {plateau.x[-1]:g}"
    slope = plateau.slope(quantity=f"plateau against N, trained at {window}, beside theory there")
    plotting.draw_slope(ax, slope, 0.8 * plateau.theory[0])
    plotting.finish(ax, AXES["features"], "risk at the plateau", "the plateau falls as the model grows")
    endless = OnePass(rfm.power_law(A, B, ENDLESS), predicted.clock)
    far = -log_derivative(lambda sizes: endless.ends(sizes, batch), FAR_N)
    ratio = {b: predicted.risk(sizes[-1], b)[-1] / floors[-1] for b in batches}
    each = ", ".join(f"{ratio[b]:.3f} at B = {b} (closed form {predicted.factor(b):.3f})" for b in batches)
    right = all(abs((ratio[b] - 1.0) / (predicted.factor(b) - 1.0) - 1.0) < CLOSE for b in batches)
    return [
        judge(f"plateau against N, theory at {FAR_N:g}", far, claimed=A - 1.0, closed=exponents.model_exponent(A, B)),
        slope.verdict(),
        condition(f"plateau over that of full batches, N = {sizes[-1]:g}", "moves with N only",
                  f"times a factor of lr and B that N does not change and that is 1 for small lr/B: {each}",
                  bool(right and ratio[least] > NEAR_PLATEAU), yes=REFINED),
    ]  # fmt: skip


def _excess(ax: Axes, predicted: OnePass, size: int, excess: Sequence[Comparison]) -> list[Verdict]:
    """Draw what batches add to the risk, in parts of it: 1/B at all times, at the plateau the factor less one."""
    plotting.draw_all(ax, excess)
    batches, _ = excess[0].theory_line
    closed = [predicted.factor(b) - 1.0 for b in batches]
    ax.plot(batches, closed, color="k", lw=0.9, ls="--", label="plateau, closed form")
    title = f"N = {size}; points: expectation over batches"
    plotting.finish(ax, "batch size $B$", "risk over that of full batches $-$ 1", title)
    slope = -log_derivative(lambda many: predicted.excess(size, many)[:, -1], MANY)
    return [
        agreement(excess, "what batches add, in expectation: theory = the same features exactly"),
        judge(f"what batches add at the plateau, against B, theory at {MANY:g}", slope, closed=1.0),
    ]


main = Script(
    name="S1-3",
    title="One-pass SGD: model size sets the plateau, batches add noise",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 3",
    claim="trained on fresh batches, a model ends on a plateau that moves with N and not with B",
    show=show,
    full=dict(sizes=(64, 128, 256, 512, 1024, 2048, 4096), trained=1024, size=256, batch=32,
              batches=(8, 16, 32, 64, 128), steps=4000, seeds=16, modes=10_000),
    smoke=dict(sizes=(16, 32), trained=32, size=32, batch=16, batches=(8, 16), steps=200, seeds=4, modes=1000),
    limits="models of 2048 and 4096 features are theory alone: their plateaus lie beyond the steps trained here",
)  # fmt: skip
