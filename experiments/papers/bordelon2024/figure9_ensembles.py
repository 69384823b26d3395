"""S1 Fig. 9: the interpolation peak of isotropic features against data, and what averaging models does to it."""

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import Comparison, across
from experiments.compare.equivalence import agreement
from experiments.compare.verdicts import Verdict, condition
from experiments.output import console, plotting
from experiments.papers.bordelon2024.formulas import END_OF_TRAINING, SAME_NUMBER, end_of_training
from experiments.papers.row import Counts, Script, Shown, Values
from rfm.arguments import Arguments

NEAR_PEAK = np.geomspace(0.004, 0.06, 5)  # distances from it, relative, of points of the line
PLOTTED = {1: 0.857, 50: 0.586}  # S1 at nu = 1/4, alpha = 2: one model, and the average of 50


def show(
    *, seed: int, num_modes: int, ratios: Values, alphas: Values, members: Counts, seeds: int, points: int
) -> Shown:
    """Show the risk over |w|^2 at the end against alpha = P/M, one panel a ratio nu = N/M, one curve an ensemble."""
    problem, keys = rfm.white(num_modes), jax.random.split(jax.random.key(seed), seeds)
    even = (np.arange(points) + 0.5) * 2.0 / points  # alpha; never nu itself, where the risk of one is infinite
    figure, axes = plotting.new_figure(1, len(ratios), width=4.6)
    findings: list[Verdict] = []
    table: list[dict] = []
    for ax, nu in zip(axes[0], ratios, strict=True):
        line_x = np.union1d(even, nu * (1.0 + np.outer((-1, 1), NEAR_PEAK)))  # so that the peak is not drawn flat
        apart = [alpha for alpha in alphas if abs(alpha / nu - 1.0) > 0.19]  # the mean exists, and soon
        samples, n = [round(alpha * num_modes) for alpha in apart], round(nu * num_modes)
        end = Arguments(num_features=n, optimizer=rfm.GradientFlow(), times=np.array([END_OF_TRAINING]))
        grid = {"num_samples": samples, "ensemble": list(members)}
        shows = console.shows_progress()
        trained = rfm.sweep(problem, grid, keys, **end, progress=shows).risk[..., 0] / num_modes  # (P, K, S)
        # one call for the points and the lines: a sweep compiles for its number of points
        wider = {"num_samples": [*samples, *(line_x * num_modes)], "ensemble": [*members, np.inf]}
        predicted = theory.sweep(problem, wider, num_features=n, optimizer=rfm.Ridge(0.0)).risk[..., 0] / num_modes
        there, lines = np.split(predicted, [len(samples)])  # (P, K + 1), (points, K + 1)
        against_members = [
            Comparison("ensemble", np.array(members), risks.T, line[:-1], {"nu": nu, "alpha": alpha, "N": n, "P": p})
            for alpha, p, risks, line in zip(apart, samples, trained, there, strict=True)
        ]
        against_data = [
            replace(across(against_members, "alpha", count), line_x=line_x, line=line)
            for count, line in zip(members, lines.T, strict=False)
        ]
        endless = lines[:, -1]
        _draw(ax, nu, against_data, endless)
        agrees = agreement(against_members, f"simulation against theory, nu = {nu:g}")
        findings += [agrees, *_verdicts(nu, against_data[0], endless)]
        if nu == 0.25:
            findings += _at_two(ax, next(point for point in against_members if point.fixed["alpha"] == 2.0))
        columns = ("nu", "alpha", "ensemble", "risk", "stderr", "theory")
        table += [row for point in against_members for row in point.rows(*columns)]
    return Shown(figure, table, tuple(findings))


def _draw(ax: Axes, nu: float, averages: Sequence[Comparison], endless: np.ndarray) -> None:
    for index, average in enumerate(averages):
        count = average.fixed["ensemble"]
        plotting.draw(ax, average, index, label="one model" if count == 1 else f"average of {count:g}")
    line_x, endless_x = averages[0].theory_line
    ax.plot(line_x, endless, "k--", lw=1, label="average of infinitely many, theory")
    ax.axvline(nu, color="0.8", lw=0.8, zorder=-1)
    ax.set_yscale("log")
    ax.set_ylim(0.8 * min(endless_x.min(), endless.min()), 20.0)  # all other averages lie between the two
    plotting.finish(ax, r"data $\alpha = P/M$", r"risk over $|w|^2$", rf"$\nu = N/M$ = {nu:g}", log=False)


def _verdicts(nu: float, single: Comparison, endless: np.ndarray) -> list[Verdict]:
    """Judge the peak, the closed forms, and that infinitely many models have no peak."""
    alpha, line = single.theory_line
    gap = np.max(np.abs(np.stack([line, endless]) / end_of_training(nu, alpha) - 1.0))
    peak, step = alpha[np.argmax(line)], alpha[1] - alpha[0]
    highest, nearest = single.x[np.argmax(single.mean)], single.x[np.argsort(np.abs(single.x - nu))[:2]]
    return [
        condition(f"peak of one model, nu = {nu:g}", "alpha = nu",
                  f"theory at {peak:.3f} of steps of {step:.3f}; largest trained risk at {highest:g}, beside {nu:g} "
                  "among the points", bool(abs(peak - nu) <= step and highest in nearest)),
        condition(f"closed forms of 1 and infinitely many, nu = {nu:g}", "-",
                  f"theory within {gap:.0e} at {len(alpha)} alpha", bool(gap < SAME_NUMBER)),
        condition(f"infinitely many models, nu = {nu:g}", "-",
                  f"no peak: the risk falls with alpha from {endless[0]:.3f} to {endless[-1]:.3f}",
                  bool(np.all(np.diff(endless) < 0))),
    ]  # fmt: skip


def _at_two(ax: Axes, against_members: Comparison) -> list[Verdict]:
    """Judge the two numbers that S1 plots, at alpha = 2, and mark them."""
    findings = []
    for row in against_members.rows():
        if (count := int(row["ensemble"])) in PLOTTED:
            claim = PLOTTED[count]
            ax.plot(2.0, claim, "k*", ms=9, mfc="none", label=None if findings else "S1")
            quantity = f"risk at nu = 0.25, alpha = 2, {count} model{'s' if count > 1 else ''}"
            measured = f"theory {row['theory']:.4f}, trained {row['risk']:.3f} ± {row['stderr']:.3f}"
            findings.append(condition(quantity, f"{claim:g}", measured, bool(abs(row["theory"] - claim) < 1e-3)))
    ax.legend(fontsize=6.5, frameon=False)
    return findings


main = Script(
    name="S1-9",
    title="Double descent in data, and ensembles",
    source="Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), Fig. 9",
    claim="isotropic features: the risk peaks at P = N, and an ensemble over features lowers it, at most to that of "
    "infinitely many",
    show=show,
    full=dict(num_modes=200, ratios=(0.25, 0.75), alphas=(0.1, 0.2, 0.4, 0.6, 1.0, 2.0), members=(1, 5, 50), seeds=16,
              points=200),
    smoke=dict(num_modes=40, ratios=(0.25,), alphas=(0.5, 2.0), members=(1, 5), seeds=4, points=40),
)  # fmt: skip
