"""FL-7: one pass of SGD that trains features, by batch size: theory to first order in lr/B, and where that fails."""

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.keys import fold_keys
from experiments.compare.verdicts import FINITE, SIGMAS, Verdict, condition
from experiments.output import plotting, progress
from experiments.papers.feature_learning.training import NOISE, A, B, agrees, beside
from experiments.papers.row import Counts, Script, Shown, Values
from rfm.arguments import Arguments
from theory.rich_curves import CROWDED

LR = 0.05


def show(seed: int, *, size: int, batches: Counts, richness: Values, steps: int, modes: int, seeds: int) -> Shown:
    """Show risks against steps for every batch size, and how far training is from theory against lr m tr(H)/B."""
    problem, key = rfm.power_law(A, B, modes, NOISE), jax.random.key(seed)
    figure, axes = plotting.new_figure(1, 2, width=4.4)
    times, line = (rfm.log_times(1, steps, count, integer=True) for count in (10, 40))
    findings, table, runs, drawn = [], [], [], richness[len(richness) // 2]
    for place, gamma in enumerate(progress.over(richness, "richness")):
        for index, batch in enumerate(batches):
            args = Arguments(num_features=size, num_samples=np.inf, optimizer=rfm.SGD(LR, batch), times=times)
            keys = jax.random.split(fold_keys(key, 10 * place + index), seeds)
            risks = rfm.simulate(problem, **args | {"richness": gamma}, keys=keys).risk
            pair = beside(problem, args, gamma, risks, line)
            curve = theory.predict(problem, **args | {"richness": gamma})
            assert curve.kernel_growth is not None
            crowding = LR * float(np.max(curve.kernel_growth)) * float(np.sum(problem.eigenvalues)) / batch
            runs.append((batch, crowding, bool(curve.converged), pair))
            table += pair.rows(B=np.full(len(times), batch), crowding=np.full(len(times), crowding))
            if gamma == drawn:
                plotting.draw(axes[0, 0], pair, index, label=f"B = {batch}")
    served = [pair for _, _, converged, pair in runs if converged]
    findings.append(agrees(f"simulation over theory, {len(served)} curves that are not flagged", served))
    findings.append(_flag(runs))
    least = min((run for run in runs if run[2]), key=lambda run: run[0])
    findings.append(_without_batches(problem, least[3], least[0]))
    _draw(axes[0, 1], runs, batches)
    text = f"$\\gamma$ = {drawn:g}, N = {size}, lr = {LR:g}, $\\sigma^2$ = {NOISE:g}; {seeds} seeds"
    plotting.finish(axes[0, 0], "steps $t$", "risk", text)
    return Shown(figure, table, tuple(findings))


def _flag(runs: list[tuple[int, float, bool, Comparison]]) -> Verdict:
    """Judge whether theory flags the curves whose lr m tr(H)/B passes the threshold, and no others."""
    right = all(converged == (crowding < CROWDED) for _, crowding, converged, _ in runs)
    worst = [max((float(np.max(np.abs(pair.gap))) for _, _, served, pair in runs if served is flag), default=0.0)
             for flag in (True, False)]  # fmt: skip
    beyond = f"{worst[1]:.3f}" if np.isfinite(worst[1]) else "infinite"
    text = f"largest gap {worst[0]:.3f} of those served, {beyond} of those flagged"
    return condition("flag", f"where lr m tr(H)/B > {CROWDED:g}", text, right)


def _without_batches(problem: rfm.Problem, pair: Comparison, batch: int) -> Verdict:
    """Judge whether training is distinguished from gradient descent, which has no noise of batches."""
    descent, gamma = rfm.GradientDescent(LR), pair.fixed["richness"]
    args = Arguments(num_features=pair.fixed["N"], num_samples=np.inf, optimizer=descent, times=pair.x)
    plain = theory.predict(problem, **args | {"richness": gamma}).risk
    beyond = np.abs(pair.mean - plain) > SIGMAS * pair.stderr + FINITE / pair.fixed["N"] * plain
    text = f"{pair.mean[-1] / plain[-1]:.3f} of it in the end, {beyond.sum()} of {len(plain)} points beyond the errors"
    return condition(f"B = {batch}: risk over that of gradient descent", "above 1", text, bool(beyond.any()))


def _draw(ax: Axes, runs: list[tuple[int, float, bool, Comparison]], batches: Counts) -> None:
    """Draw the gap of every curve where it is largest against lr m tr(H)/B."""
    for index, batch in enumerate(batches):
        mine = [(crowding, pair) for b, crowding, _, pair in runs if b == batch and np.isfinite(pair.gap).all()]
        at = [int(np.argmax(np.abs(pair.gap))) for _, pair in mine]
        gaps = np.array([pair.gap[i] for i, (_, pair) in zip(at, mine, strict=True)])
        errors = np.array([pair.stderr[i] / pair.theory[i] for i, (_, pair) in zip(at, mine, strict=True)])
        plotting.draw_points(ax, [crowding for crowding, _ in mine], gaps, errors, index, label=f"B = {batch}")
    ax.axhline(0.0, color=plotting.LIMIT, lw=0.8)
    ax.axvline(CROWDED, color=plotting.CLOSED, lw=1, ls="--", label="flagged beyond")
    ax.set_xscale("log")
    plotting.finish(ax, "lr $m$ tr(H)/B", "largest gap to theory, relative", "every curve", log=False)
    ax.set_xscale("log")


main = Script(
    name="FL-7",
    title="One pass of SGD that trains features, by batch size",
    source="this project, docs/richness.md",
    claim="one pass of SGD that trains features follows a theory of first order in lr/B, until lr m tr(H)/B is 1/2",
    show=show,
    full=dict(size=100, batches=(2, 8, 32, 128), richness=(0.3, 1.0, 3.0), steps=400, modes=300, seeds=128),
    smoke=dict(size=16, batches=(4,), richness=(1.0,), steps=40, modes=60, seeds=16),
    limits="a training set whose rows are drawn again, of which there is no theory here",
)
