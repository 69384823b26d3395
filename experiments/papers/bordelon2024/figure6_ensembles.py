"""S1 Fig. 6: an ensemble of small models against one large model of the same compute, and where each mode ends."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import AXES, Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.verdicts import Verdict, condition
from experiments.output import plotting, progress
from experiments.papers.bordelon2024.formulas import ENDLESS, SAME_NUMBER, A, B, one_mode, response
from experiments.papers.row import Counts, Script, Shown
from rfm.arguments import Arguments

MEMBERS = 4
ENSEMBLE_TIMES = rfm.log_times(1e-1, 1e6, 29)
FRESH_DATA = Arguments(num_samples=np.inf, optimizer=rfm.GradientFlow(), times=ENSEMBLE_TIMES)
LADDER = (16, 64, 256, 1024, 4096, 16384)  # sizes of the theory: each is MEMBERS of the one before
TASKS = ((A, B), (3.0, 1.25), (2.0, 2.0))  # for theory alone: an easy one too, and a spectrum that falls faster

Runs = Mapping[tuple[int, int], Comparison]  # risk along time, by (N, members)


def show(seed: int, sizes: Counts, followed: Counts, seeds: int, modes: int) -> Shown:
    """Show the risk of one model and of MEMBERS against compute K N t, their ratio at equal compute, and single modes.

    followed: which modes, in models of the smallest of sizes.
    """
    problem, keys = rfm.power_law(A, B, modes), jax.random.split(jax.random.key(seed), seeds)
    ladder = _ladder(problem)
    runs, alone = {}, []
    for n, k in progress.over([(n, k) for n in sizes for k in (1, MEMBERS)], "run", "training"):
        apart = fold_keys(fold_keys(keys, n), k)  # so that a model and an ensemble of one compute are independent
        risks = rfm.simulate(problem, **(FRESH_DATA | Arguments(num_features=n, ensemble=k)), keys=apart).risk
        runs[n, k] = Comparison("time", ENSEMBLE_TIMES, risks, ladder[n, k], {"N": n, "members": k, "P": np.inf})
    for k in progress.over(followed, "run", "single modes"):
        apart, single = fold_keys(fold_keys(keys, sizes[0]), MEMBERS + k), one_mode(problem, k)
        risks = rfm.simulate(single, **(FRESH_DATA | Arguments(num_features=sizes[0])), keys=apart).risk
        alone.append(Comparison("time", ENSEMBLE_TIMES, risks, _ladder(single)[sizes[0], 1], {"k": k, "N": sizes[0]}))

    figure, axes = plotting.new_figure(1, 3, width=4.2)
    _against_compute(axes[0, 0], runs)
    agrees = agreement([run.at(slice(None, None, 3)) for run in runs.values()])
    findings = agrees, *_wider(axes[0, 1], runs), *_modes(axes[0, 2], problem, alone)
    columns = ("N", "members", "t", "compute", "risk", "stderr", "theory")
    table = [row for (n, k), run in runs.items() for row in run.rows(*columns, compute=k * n * ENSEMBLE_TIMES)]
    return Shown(figure, table, findings)


def _ladder(problem: rfm.Problem) -> dict[tuple[int, int], np.ndarray]:
    """Return theory (T,) of every (N, members)."""
    risk = theory.sweep(problem, {"num_features": LADDER, "ensemble": (1, MEMBERS)}, **FRESH_DATA).risk
    return {(n, k): risk[i, j] for i, n in enumerate(LADDER) for j, k in enumerate((1, MEMBERS))}


def _against_compute(ax: Axes, runs: Runs) -> None:
    """Draw one model filled, an ensemble hollow."""
    sizes = list(dict.fromkeys(n for n, _ in runs))
    for (n, k), run in runs.items():
        label = f"N = {n}" + (f", {k} models" if k > 1 else "")
        against = replace(run, axis="compute", x=k * n * ENSEMBLE_TIMES)
        plotting.draw(ax, against, sizes.index(n), label=label, hollow=k > 1)
    title = f"a = {A:g}, b = {B:g}; {runs[sizes[0], 1].seeds} seeds"
    plotting.finish(ax, "compute $C = K N t$", "risk", title)


def _wider(ax: Axes, runs: Runs) -> list[Verdict]:
    """Draw one model of MEMBERS times the size over the ensemble: the same compute at the same time."""
    ladders = {(a, b): _ladder(rfm.power_law(a, b, ENDLESS)) for a, b in TASKS}
    each, below = [], True
    for index, n in enumerate(dict.fromkeys(n for n, _ in runs)):
        label = f"N = {MEMBERS * n} over {MEMBERS} of {n}"
        if (MEMBERS * n, 1) not in runs:
            # it is not held to the modes of those that are trained: it would see nearly all of them
            line = ladders[A, B][MEMBERS * n, 1] / ladders[A, B][n, MEMBERS]
            ax.plot(ENSEMBLE_TIMES, line, color=plotting.COLORS[index], lw=1.3, label=f"{label}, M = $\\infty$")
            continue
        wide, many = runs[MEMBERS * n, 1], runs[n, MEMBERS]
        # to first order in the errors of both; their draws are independent
        risks = wide.mean / many.mean * (1.0 + wide.risks / wide.mean - many.risks / many.mean)
        ratio = replace(wide, risks=risks, theory=wide.theory / many.theory)
        plotting.draw(ax, ratio, index, label=label)
        end, error = ratio.mean[-1], ratio.stderr[-1]
        each.append(f"{end:.3f} ± {error:.3f} at N = {n} (theory {ratio.theory[-1]:.3f})")
        below &= bool(end + 2.0 * error < 1.0)
    ax.axhline(1.0, color="0.6", lw=0.8, zorder=0)
    plotting.finish(ax, AXES["time"], "one wide model/ensemble", "equal compute at equal time", log=False)
    ax.set_xscale("log")
    closest = {
        task: min(float(np.min(1.0 - risk[MEMBERS * n, 1] / risk[n, MEMBERS])) for n in LADDER[:-1])
        for task, risk in ladders.items()
    }
    gaps = ", ".join(f"1 - {gap:.1g} at a = {a:g}, b = {b:g}" for (a, b), gap in closest.items())
    where = f"all times from {ENSEMBLE_TIMES[0]:g} to {ENSEMBLE_TIMES[-1]:g} and N = {LADDER[0]} to {LADDER[-2]}"
    return [
        condition(f"one model of {MEMBERS} N over {MEMBERS} models of N, trained, at the end", "below one",
                  "; ".join(each), below),
        condition("the same, theory", "below one", f"largest of {where}: {gaps}", min(closest.values()) > 0.0),
    ]  # fmt: skip


def _modes(ax: Axes, problem: rfm.Problem, alone: Sequence[Comparison]) -> list[Verdict]:
    """Draw the error of single modes: each is learned in turn, as far as N features can tell it from the others."""
    n, (eigenvalues, _) = alone[0].fixed["N"], problem.modes(0, int(problem.num_modes))
    r = response(np.asarray(eigenvalues), n)
    gap, ends = 0.0, []
    for index, run in enumerate(alone):
        k = int(run.fixed["k"])
        plateau = 1.0 / (1.0 + eigenvalues[k - 1] * r)
        plotting.draw(ax, replace(run, x=2.0 * ENSEMBLE_TIMES), index, label=f"k = {k}")
        ax.axhline(plateau, color=plotting.COLORS[index], lw=0.8, ls=":")
        gap = max(gap, float(abs(run.theory[-1] / plateau - 1.0)))
        ends.append(f"{run.mean[-1]:.3f} ± {run.stderr[-1]:.3f} ({plateau:.3f}) at k = {k}")
    title = f"N = {n}; dots: $1/(1 + \\lambda_k r)$, r = {r:.3g}"
    plotting.finish(ax, AXES["time"], r"mean error $\Delta_k/w_k$", title)
    rule = f"r = 1/kappa = {r:.4g}, sum lambda/(lambda + kappa) = N: theory within {gap:.1g} of it"
    measured, every = f"{rule}; trained {', '.join(ends)}", slice(None, None, 3)
    return [
        agreement([run.at(every) for run in alone], f"error of single modes, N = {n}: simulation against theory"),
        condition(f"plateau of mode k, N = {n}", "1/(1 + lambda_k r)", measured, gap < SAME_NUMBER),
    ]


main = Script(
    name="S1-6",
    title="At equal compute one wide model beats an ensemble",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 6",
    claim="an ensemble averages the variance away not the plateau 1/(1 + lambda r) of a mode: width lowers both",
    show=show,
    full=dict(sizes=(64, 256, 1024), followed=(1, 4, 16, 64), seeds=16, modes=5000),
    smoke=dict(sizes=(16, 64), followed=(1, 16), seeds=4, modes=1000),
)
