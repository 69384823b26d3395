"""Scale-time equivalence where features are trained too: their kernel grows, and so the clock runs N int m dt."""

import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.best_sizes import lazy_clock
from experiments.compare.comparison import Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import CLOSE, REFINED, condition, judge
from experiments.output import plotting
from experiments.papers.boopathy2024 import scale_time as st

LARGE, EARLY = 2.0 ** np.array([14, 15]), 10.0  # sizes, and the clock N t, at which the growth is compared
OFF = 2.0  # by at most so much: the factor of one mode alone lies between 1 and 2


def panel(ax: Axes, setting: st.Setting) -> st.Part:
    """Draw the smallest and the largest model against both clocks, beside features as drawn, and judge the clock."""
    name, gamma = "trained features", setting.richness
    pairs, grown, table = [], [], []
    for i, n in enumerate((setting.sizes[0], setting.sizes[-1])):
        lazy = st.risk_by_clock(setting.finite, n)
        curve = theory.predict(setting.finite, **st.by_clock(n, np.inf, st.CLOCK, richness=gamma))
        clock = lazy_clock(st.CLOCK, curve.kernel_growth)
        few = st.by_clock(n, np.inf, st.FEW_CLOCK, richness=gamma)
        trained = rfm.simulate(setting.finite, **few, keys=fold_keys(setting.keys, n))
        there = theory.predict(setting.finite, **few).risk
        pairs.append(Comparison("clock", st.FEW_CLOCK, trained.risk, there, {"N": n}))
        turned = np.interp(st.FEW_CLOCK, st.CLOCK, clock)
        grown.append((st.times_to_risk(st.CLOCK, lazy), st.times_to_risk(clock, curve.risk)))
        colors, hollow = plotting.COLORS, i == 0
        style, points = "--" if hollow else "-", slice(None, None, 2)
        ax.plot(st.CLOCK, lazy, color=plotting.LIMIT, lw=1.0, ls=style, label=f"N = {n}: features as drawn")
        mean, stderr = trained.mean()[points], trained.stderr()[points]
        both = ((st.CLOCK, st.FEW_CLOCK, "$N t$"), (clock, turned, r"$N \int m\, dt$"))
        for color, (line, at, words) in enumerate(both):
            ax.plot(line, curve.risk, color=colors[color], lw=1.3, ls=style)
            plotting.draw_points(ax, at[points], mean, stderr, color, label=f"N = {n}: {words}", hollow=hollow)
        growth = {
            "growth": trained.kernel_growth.mean(0),
            "growth_theory": np.interp(turned, clock, curve.kernel_growth),
        }
        table += pairs[-1].rows(row=name, own_clock=turned, **growth)
    plotting.finish(ax, "clock", "risk", rf"trained features, $\gamma$ = {gamma:g}: the clock of a growing kernel")
    ax.set_xlim(1e-2, 1e5)
    with np.errstate(invalid="ignore"):  # what is never reached
        ratios = [lazy / rich for lazy, rich in grown]
    known = np.concatenate([ratio[np.isfinite(ratio)] for ratio in ratios])
    words = ["/".join("never" if np.isnan(x) else f"{x:.2f}" for x in ratio) for ratio in ratios]
    text = "; ".join(f"N = {pair.fixed['N']}: {word}" for pair, word in zip(pairs, words, strict=True))
    levels = "/".join(f"{level:g}" for level in st.RISKS)
    holds = len(known) > 0 and bool(np.all((known > 1.0 - CLOSE) & (known < OFF)))
    clock = condition(f"{name}: clock as drawn over N int m dt, risk {levels}", "-", text, holds, yes=REFINED)
    lazier = judge(f"{name}: m - 1 at N t = {EARLY:g}, one richness, against N", _lazier(setting), closed=1.0)
    return st.Part([clock, lazier, agreement(pairs, f"{name}: simulation against theory")], table)


def _lazier(setting: st.Setting) -> float:
    """Exponent of the growth of the kernel in model size: layers whose rates have one ratio at all sizes."""
    grown = []
    for n in LARGE:
        args = st.by_clock(n, np.inf, np.array([EARLY]), richness=setting.richness / n)
        grown.append(theory.predict(setting.infinite, **args).kernel_growth[0] - 1.0)
    return -log_slope(LARGE, np.array(grown))
