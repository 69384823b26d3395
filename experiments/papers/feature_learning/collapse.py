"""FL-3: risk over lazy risk, N = P = infinity, against richness^(1/(1-e)) t: one curve for all; and its law."""

import numpy as np

import rfm
from experiments.compare.laws import risk_in_time
from experiments.compare.statistics import log_derivative
from experiments.compare.verdicts import condition, judge
from experiments.output import plotting, progress
from experiments.papers.row import Script, Shown, Values
from theory import exponents

SPREAD = 0.05  # of curves that lie on each other
LATE = 1e8


def show(seed: int, *, a: Values, b: float, richness: Values, clock: Values, points: int) -> Shown:
    """Show the ratio against the scaled time for some tasks, and the exponent of late times."""
    del seed  # nothing is random
    figure, axes = plotting.new_figure(1, len(a), caption="lines: theory at N = P = infinity")
    findings, table = [], []
    for ax, task in zip(axes[0], progress.over(a, "task"), strict=True):
        e, problem = exponents.time_exponent(task, b), rfm.power_law(task, b, None)
        scaled, ratios = np.geomspace(clock[0], clock[1], points), []
        for index, gamma in enumerate(richness):
            times = scaled * gamma ** (-1.0 / (1.0 - e))
            rich, lazy = (risk_in_time(problem, times, richness=x) for x in (gamma, 0.0))
            ratios.append(rich / lazy)
            ax.plot(scaled, ratios[-1], color=plotting.COLORS[index], lw=1.3, label=f"$\\gamma$ = {gamma:g}")
            columns = zip(times, scaled, rich, lazy, strict=True)
            table += [{"a": task, "b": b, "richness": gamma, "t": t, "scaled": x, "risk": r, "lazy": z}
                      for t, x, r, z in columns]  # fmt: skip
        spread = float(np.max(np.max(ratios, axis=0) / np.min(ratios, axis=0) - 1.0))
        findings.append(
            condition(f"e = {e:.2g}: spread of the curves", f"below {SPREAD:g}", f"{spread:.3f}", spread < SPREAD)
        )
        slope = -log_derivative(lambda t, p=problem: risk_in_time(p, t, richness=richness[-1]), LATE)
        claimed = exponents.rich_time_exponent(task, b)
        findings.append(judge(f"e = {e:.2g}: exponent at t = {LATE:g}", slope, claimed=claimed))
        level = exponents.rich_time_amplitude(task, b, richness[-1]) * LATE**-claimed
        there = float(risk_in_time(problem, np.array([LATE]), richness=richness[-1])[0])
        findings.append(judge(f"e = {e:.2g}: risk there over the closed law", there / level, claimed=1.0))
        plotting.finish(ax, "$\\gamma^{1/(1-e)}\\, t$", "risk over lazy risk", f"e = {e:.2g}: one curve")
    return Shown(figure, table, tuple(findings))


main = Script(
    name="FL-3",
    title="Features that are trained: one curve for every richness, and a faster law",
    source="arXiv 2409.17858 (exponents); this project, docs/richness.md (collapse, amplitudes)",
    claim="the risk of hard tasks falls as t^(-2e/(1+e)) once richness^(1/(1-e)) t is large, and depends on that alone",
    show=show,
    full=dict(a=(1.5, 1.75), b=1.25, richness=(1e-3, 1e-2, 1e-1), clock=(1.0, 1e5), points=31),
    smoke=dict(a=(1.5,), b=1.25, richness=(1e-2, 1e-1), clock=(1.0, 1e3), points=7),
    limits="no simulation: sizes are infinite; FL-6 has training at finite N and P",
)
