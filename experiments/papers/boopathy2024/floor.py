"""S2, T2: curves against the clock N t part at the floor of each size, below which no training time leads."""

import numpy as np
from matplotlib.axes import Axes

from experiments.compare.comparison import AXES, across, derive
from experiments.compare.equivalence import agreement
from experiments.compare.laws import risk_at_end, risk_in_time
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import CONTRADICTED, condition, judge
from experiments.output import plotting, tables
from experiments.papers.boopathy2024 import scale_time as st
from theory import exponents

PART = 1.1  # a curve has parted where it is so many times that of infinite size


def panel(ax: Axes, setting: st.Setting) -> st.Part:
    """Draw risk against the clock, one curve a size."""
    curves, lowest = st.curves(setting), st.RISKS[-1]
    some = [pair.at(slice(None, None, 2)) for pair in curves]
    plotting.draw_all(ax, some)
    plotting.finish(ax, "clock $N t$", "risk", "one curve, until each size meets its floor")
    least, ends = risk_at_end(setting.infinite, setting.sizes, "features"), across(curves, "features", st.LONGEST_CLOCK)
    never, trained = (np.array(setting.sizes)[risk > lowest].tolist() for risk in (least, ends.mean))
    text = f"risk {lowest:g} never at N in {never}; trained to N t = {st.LONGEST_CLOCK:g}: not at N in {trained}"
    far = -log_slope(st.LARGE_N, risk_at_end(setting.infinite, st.LARGE_N, "features"))
    closed = exponents.model_exponent(setting.a, setting.b)
    verdicts = [
        judge("floor against N, theory at 1e6", far, claimed=0.0, closed=closed),
        condition("longer training replaces size", "every risk", text, not never, no=CONTRADICTED),
        agreement(some, "floor: simulation against theory"),
    ]
    return st.Part(verdicts, [{"row": "floor"} | record for pair in curves for record in pair.rows()])


def floors(ax: Axes, setting: st.Setting) -> st.Part:
    """Draw the risk at the end of training of every size."""
    pair = across(st.curves(setting), "features", st.LONGEST_CLOCK)
    plotting.draw(ax, pair, label=f"$N t$ = {st.LONGEST_CLOCK:g}")
    ax.axhline(pair.theory[0], color="k", lw=1, ls=":", label="if training time replaced size")
    last = pair.at(slice(-st.SLOPE_SIZES, None))
    slope = last.slope(quantity=f"floor, trained at {last.x[0]:g} to {last.x[-1]:g}, beside theory there")
    line = 0.85 * last.theory[0] * (last.x / last.x[0]) ** -slope.simulated
    ax.plot(last.x, line, "k", lw=1, label=f"slope {-slope.simulated:.3f}")
    plotting.finish(ax, AXES["features"], "risk at the end", "the floor falls with size, whatever the time")
    return st.Part([slope.verdict()])


def partings(ax: Axes, setting: st.Setting) -> st.Part:
    """Draw the clock at which each size leaves the curve of infinite size."""
    # infinite size: its kernel has no factor N
    limit, n = risk_in_time(setting.finite, st.FEW_CLOCK), np.array(setting.sizes, float)

    def parts(risks: np.ndarray) -> np.ndarray:
        return np.array([st.time_to_risk(st.FEW_CLOCK, limit / risk, 1 / PART) for risk in risks])

    clocks = derive(st.curves(setting), parts)
    ax.plot(n, clocks.theory, color=plotting.COLORS[0], lw=1.3)
    plotting.draw_points(ax, n, clocks.simulated, clocks.stderr, label=f"{PART - 1:.0%} above N = infinity")
    closed = 1.0 / st.rule_growth(setting.a, setting.b)
    line = 0.5 * clocks.theory[-1] * (n / n[-1]) ** closed
    ax.plot(n, line, "k--", lw=1, label=f"closed form: slope {closed:g}")
    plotting.finish(ax, AXES["features"], "clock $N t$", "a larger model keeps to the common curve longer")
    ends = []
    for size in st.LARGE_N:
        clock = np.geomspace(1e-2, 10.0, len(st.CLOCK)) * size**closed
        risk = st.risk_by_clock(setting.infinite, size, clock=clock)
        ends.append(st.time_to_risk(clock, risk_in_time(setting.infinite, clock) / risk, 1 / PART))
    slope = log_slope(st.LARGE_N, np.array(ends))
    table = tables.records({"row": "floor", "N": setting.sizes, **clocks.columns("parts at clock")})
    return st.Part([judge("N t at which a size leaves infinite size, theory at 1e6", slope, closed=closed)], table)


main = st.script(
    name="S2-T2",
    title="Curves against the clock N t, and the floor at which they part",
    claim="a small model trained longer does what a large one does",
    panels=(panel, floors, partings),
)
