"""S2, T2: curves against the clock N t part at the floor of each size, below which no training time leads."""

import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES, agreement
from experiments.compare.statistics import bootstrap_slope, log_slope
from experiments.compare.verdicts import CONFIRMED, CONTRADICTED, condition, judge
from experiments.output import plotting
from experiments.papers.boopathy2024 import scale_time as st
from experiments.papers.row import Script
from theory import exponents

LAST = 3  # sizes over which training measures a slope: the largest ones
PART = 1.1  # a curve has parted where it is so many times that of infinite size


def panel(ax, setting):
    """Risk against the clock, one curve a size."""
    risks, known = st.trained(setting), st.predicted(setting)
    every = slice(None, None, 2)
    for index, n in enumerate(setting.sizes):
        plotting.draw_pair(ax, st.FEW_CLOCK[every], risks[index][:, every], st.FEW_CLOCK, known[index], f"N = {n}",
                           index)  # fmt: skip
    plotting.finish(ax, "clock $N t$", "risk", "T2: one curve, until each size meets its floor")
    table = [
        {"row": "T2", "N": n, "clock": t, "risk": m, "stderr": s, "theory": p}
        for n, samples, line in zip(setting.sizes, risks, known, strict=True)
        for t, m, s, p in zip(
            st.FEW_CLOCK, samples.mean(0), samples.std(0, ddof=1) / len(samples) ** 0.5, line, strict=True
        )
    ]
    ends = [_floor(setting.infinite, n) for n in setting.sizes]
    never = [n for n, end in zip(setting.sizes, ends, strict=True) if end > st.LEVELS[-1]]
    tested = [n for n, samples in zip(setting.sizes, risks, strict=True) if samples[:, -1].mean() > st.LEVELS[-1]]
    told = f"risk {st.LEVELS[-1]:g} never at N in {never}; trained to N t = {st.LONGEST:g}: not at N in {tested}"
    far = -log_slope(st.LARGE, [_floor(setting.infinite, n) for n in st.LARGE])
    closed = exponents.model_exponent(setting.a, setting.b)
    size = np.repeat(setting.sizes, len(st.FEW_CLOCK[every]))
    return [
        judge("T2 floor against N, theory at 1e6", far, claimed=0.0, closed=closed),
        condition("T2 longer training replaces size", "every risk", told, not never, CONFIRMED, CONTRADICTED),
        agreement(np.moveaxis(risks[..., every], 1, 0).reshape(setting.seeds, -1), known[:, every].ravel(), size,
                  "T2 theory = simulation"),
    ], table  # fmt: skip


def floors(ax, setting):
    """The floor of every size."""
    risks, known, n = st.trained(setting)[..., -1], st.predicted(setting)[:, -1], np.array(setting.sizes, float)
    plotting.draw_pair(ax, n, risks.T, n, known, f"$N t$ = {st.LONGEST:g}")
    ax.axhline(known[0], color="k", lw=1, ls=":", label="if training time replaced size")
    slope, error = bootstrap_slope(n[-LAST:], risks[-LAST:].T)
    ax.plot(
        n[-LAST:], 0.85 * known[-LAST:][0] * (n[-LAST:] / n[-LAST:][0]) ** slope, "k", lw=1, label=f"slope {slope:.3f}"
    )
    plotting.finish(ax, AXES["features"], "risk at the end", "the floor")
    here = f"trained at {n[-LAST:][0]:g} to {n[-1]:g}, beside theory there"
    return [judge(f"T2 floor, {here}", -slope, closed=-log_slope(n[-LAST:], known[-LAST:]), error=error)], []


def partings(ax, setting):
    """The clock at which each size leaves the curve of infinite size."""
    limit = theory.predict(
        setting.finite, num_features=st.INF, num_samples=st.INF, optimizer=st.FLOW, times=st.FEW_CLOCK
    ).risk  # fmt: skip
    n = np.array(setting.sizes, float)
    part = lambda risks: np.array([st.times_to_risk(st.FEW_CLOCK, limit / risk, (1 / PART,))[0] for risk in risks])  # noqa: E731
    known, (found, error) = part(st.predicted(setting)), st.over_draws(st.trained(setting), part)
    ax.plot(n, known, color=plotting.COLORS[0], lw=1.3)
    ax.errorbar(
        n, found, 2 * error, fmt="o", ms=4, color=plotting.COLORS[0], label=f"{PART - 1:.0%} above N = infinity"
    )
    closed = 1.0 / st.rule_growth(setting.a, setting.b)
    ax.plot(n, 0.5 * known[-1] * (n / n[-1]) ** closed, "k--", lw=1, label=f"closed form: slope {closed:g}")
    plotting.finish(ax, AXES["features"], "clock $N t$", "where the equivalence ends")
    ends = []
    for size in st.LARGE:
        clock = np.geomspace(1e-2, 10.0, len(st.CLOCK)) * size**closed
        limit = theory.predict(
            setting.infinite, num_features=st.INF, num_samples=st.INF, optimizer=st.FLOW, times=clock
        ).risk  # fmt: skip
        ends += [*st.times_to_risk(clock, limit / st.risk_by_clock(setting.infinite, size, clock=clock), (1 / PART,))]
    return [judge("T2 clock where a size parts, theory at 1e6", log_slope(st.LARGE, ends), closed=closed)], [
        {"row": "T2", "N": size, "parts at clock": t, "stderr": e, "theory": y}
        for size, t, e, y in zip(setting.sizes, found, error, known, strict=True)
    ]


def _floor(problem, size):
    return theory.predict(problem, num_features=size, num_samples=st.INF, optimizer=rfm.Ridge(0.0)).risk[0]


main = Script(
    name="S2-T2",
    title="Curves against the clock N t, and the floor at which they part",
    source=st.SOURCE + "scale-time equivalence",
    claim="a small model trained longer does what a large one does",
    show=st.shower(panel, floors, partings),
    full=st.FULL,
    smoke=st.SMOKE,
    limits="S2's networks on images are not trained here: random features only",
)
