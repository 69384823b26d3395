"""S2, T1: the time to reach a risk against model size, with features of variance one and of variance 1/N."""

from functools import partial

import numpy as np
from matplotlib.axes import Axes

import rfm
from experiments.compare.comparison import AXES, derive
from experiments.compare.equivalence import agreement
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import CLOSE, REFINED, Verdict, condition, judge
from experiments.output import plotting, tables
from experiments.papers.boopathy2024 import scale_time as st
from rfm import checks

TABLE_MODES = 10**7


def panel(ax: Axes, setting: st.Setting) -> st.Part:
    """Times to three risks, theory and trained, in both parametrizations."""
    sizes, verdicts, table = np.array(setting.sizes), [_table(setting)], []
    last = sizes[-st.SLOPE_SIZES :]
    slowest = _times(np.array([c.theory for c in st.curves(setting)[-st.SLOPE_SIZES :]]), 1.0)[:, 0]
    if not np.isfinite(slowest).all():
        checks.fail("a", f"such that models of {last[0]:g} features reach risk {st.RISKS[0]:g}", setting.a)
    far = np.array([st.time_to_risk(st.CLOCK, st.risk_by_clock(setting.infinite, n), st.RISKS[0]) for n in st.LARGE_N])
    for parametrization, unit in st.FEATURE_UNITS.items():
        standard = parametrization == "standard"
        curves, clock = st.curves(setting, parametrization), sizes[:, None] if standard else 1.0
        times = derive(curves, partial(_times, clock=clock))  # (sizes, levels)
        for index, level in enumerate(st.RISKS):
            ax.plot(sizes, times.theory[:, index], color=plotting.COLORS[index], lw=1.3, ls="-" if standard else "--")
            mean, stderr = times.simulated[:, index], times.stderr[:, index]
            use = np.isfinite(mean) & np.isfinite(stderr)
            label = f"risk {level:g}, {unit}"
            plotting.draw_points(ax, sizes[use], mean[use], stderr[use], index, label=label, hollow=not standard)
        held = {"row": "time to a risk", "parametrization": parametrization, "N": sizes[:, None], "level": st.RISKS}
        table += tables.records(held | times.columns("time"))
        name, slope = f"time to a risk, {unit}", -log_slope(st.LARGE_N, far / (st.LARGE_N if standard else 1.0))
        if standard:
            verdicts.append(judge(name, slope, claimed=1.0))
        else:
            text = f"time to risk {st.RISKS[0]:g} ~ N^{-slope:.3f}: larger is no faster with variance 1/N"
            verdicts.append(condition(name, "time ~ N^-1", text, abs(slope) < CLOSE, yes=REFINED))
        trained = derive(curves[-st.SLOPE_SIZES :], partial(_slope, sizes=last, standard=standard))
        verdicts.append(trained.verdict(f"{name}, trained at {last[0]:g} to {last[-1]:g}, beside theory there"))
    ends = sizes[[0, -1]]
    ax.plot(ends, 0.25 * slowest[-1] / ends, "k", lw=1, label="slope $-1$")
    plotting.finish(ax, AXES["features"], "time to reach the risk", "larger is faster, by normalization only")
    ax.legend(fontsize=6, frameon=False, ncols=2, loc="upper right")
    some = [c.at(slice(None, None, 3)) for name in st.FEATURE_UNITS for c in st.curves(setting, name)]
    return st.Part([*verdicts, agreement(some, "time to a risk: simulation against theory")], table)


def _times(risks: np.ndarray, clock: np.ndarray | float) -> np.ndarray:
    """Times (sizes, levels) to all risks, where a unit of time is so many units of the clock."""
    return np.array([st.times_to_risk(st.FEW_CLOCK, risk) for risk in risks]) / clock


def _slope(risks: np.ndarray, sizes: np.ndarray, standard: bool) -> float:
    """Exponent of the time to the first risk in model size."""
    return -log_slope(sizes, _times(risks, sizes[:, None] if standard else 1.0)[:, 0])


def _table(setting: st.Setting) -> Verdict:
    """The times themselves: variance 1/N; at b = 1.25 the modes beyond still move them by percents."""
    problem = rfm.power_law(setting.a, setting.b, TABLE_MODES)
    times = np.array([st.times_to_risk(st.CLOCK, st.risk_by_clock(problem, n)) for n in setting.sizes])
    lines = ["/".join(f"{t:.1f}" if np.isfinite(t) else "never" for t in of_size) for of_size in times]
    text = "; ".join(f"N = {n}: {line}" for n, line in zip(setting.sizes, lines, strict=True))
    levels = " / ".join(f"{level:g}" for level in st.RISKS)
    quantity = f"times to a risk, variance 1/N, {TABLE_MODES:.0e} modes: risk {levels}"
    return condition(quantity, "-", text, bool(np.all(times[1:] <= times[:-1])))


main = st.script(
    name="S2-T1",
    title="Time to reach a risk against model size, in two parametrizations",
    claim="a model N times larger reaches a risk N times sooner",
    panels=(panel,),
    limits="S2's networks on images (MNIST, CIFAR) are not trained here: random features only",
)
