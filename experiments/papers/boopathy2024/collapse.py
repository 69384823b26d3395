"""S2, T3: the exponent gamma that brings risk(N^gamma t) of all sizes onto one curve."""

import dataclasses

import numpy as np
from matplotlib.axes import Axes

from experiments.compare.comparison import AXES, derive
from experiments.compare.equivalence import agreement
from experiments.compare.verdicts import CLOSE, REFINED, condition, judge
from experiments.output import plotting, tables
from experiments.papers.boopathy2024 import scale_time as st

EARLY_RISKS = np.geomspace(1.0, 0.6, 15)[1:]  # risks that are compared, in parts of the start
PAIRS = np.geomspace(32, 2**16, 12)  # sizes N of pairs N, 2N


def panel(ax: Axes, setting: st.Setting) -> st.Part:
    """Draw gamma of neighbouring sizes: training of two at a time, theory up to large ones."""
    part = st.joined([_gammas(ax, setting, parametrization) for parametrization in st.FEATURE_UNITS])
    title = r"risk($N^\gamma t$) of all sizes falls on one curve"
    plotting.finish(ax, AXES["features"], r"$\gamma$ between $N$ and $2N$", title, log=False)
    ax.set(xscale="log", ylim=(-0.25, 1.6))
    return part


def _gammas(ax: Axes, setting: st.Setting, parametrization: str) -> st.Part:
    """Draw and judge gamma in one parametrization."""
    pairs, standard = st.curves(setting, parametrization), parametrization == "standard"
    unit, index = st.FEATURE_UNITS[parametrization], list(st.FEATURE_UNITS).index(parametrization)
    sizes = np.array(setting.sizes, float)
    levels = EARLY_RISKS * float(np.mean([pair.theory[0] for pair in pairs]))

    def collapse(n: np.ndarray, risks: np.ndarray, clock=st.FEW_CLOCK, levels=levels) -> st.Collapse:
        times = clock / n[:, None] if standard else np.tile(clock, (len(n), 1))
        return st.collapse_exponent(n, times, risks, levels)

    def neighbours(risks: np.ndarray) -> np.ndarray:
        return np.array([collapse(sizes[i : i + 2], risks[i : i + 2]).gamma for i in range(len(sizes) - 1)])

    def large(n: float) -> float:
        risks = np.array([st.risk_by_clock(setting.infinite, size) for size in (n, 2 * n)])
        return collapse(np.array([n, 2 * n]), risks, st.CLOCK, risks[0, 0] * EARLY_RISKS).gamma

    two, far = derive(pairs, neighbours), [large(n) for n in PAIRS]
    color, label = plotting.COLORS[index], "theory, infinitely many modes" if standard else None
    ax.plot(np.sqrt(2) * PAIRS, far, color=color, lw=0.9, ls="--", label=label)
    middle = np.sqrt(sizes[:-1] * sizes[1:])
    ax.plot(middle, two.theory, color=color, lw=1.3)
    plotting.draw_points(ax, middle, two.simulated, two.stderr, index, label=f"features of {unit}")
    held = {"row": "one curve", "parametrization": parametrization, "N": sizes[:-1], "2N": sizes[1:]}
    name = f"one curve, {unit}"
    if standard:
        largest = judge(f"{name}, theory at {PAIRS[-1]:g}", far[-1], claimed=1.0)
    else:
        text = f"g = {far[-1]:.3f} at {PAIRS[-1]:g}: t is the clock, S2 needs features of variance 1"
        largest = condition(name, "risk(N^g t), g = 1", text, abs(far[-1]) < CLOSE, yes=REFINED)
    spread = collapse(sizes, np.array([pair.mean for pair in pairs])).spread
    trained = f"trained at {sizes[0]:g} to {sizes[-1]:g} (leaves {spread:.1%} of the time), beside theory there"
    together = derive(pairs, lambda risks: collapse(sizes, risks).gamma)
    return st.Part([largest, together.verdict(f"{name}, {trained}")], tables.records(held | two.columns("gamma")))


def curves(ax: Axes, setting: st.Setting) -> st.Part:
    """Draw all sizes against the clock of S2, trained and in theory: one curve where they are compared."""
    pairs = st.curves(setting)
    start, lowest = pairs[0].theory[0], np.min([pair.theory for pair in pairs], axis=0)
    late = st.FEW_CLOCK >= 0.1
    shown = [pair.at(late & (st.FEW_CLOCK <= 1e3)) for pair in pairs]
    plotting.draw_all(ax, [dataclasses.replace(pair, line_x=None, line=None) for pair in shown])
    ax.axhspan(EARLY_RISKS[-1] * start, EARLY_RISKS[0] * start, color="0.93", zorder=-1)
    plotting.finish(ax, "$N t$", "risk", "shaded: risks that are compared")
    compared = [pair.at(late & (lowest > 0.9 * EARLY_RISKS[-1] * start)) for pair in pairs]
    return st.Part([agreement(compared, "one curve: simulation against theory")])


main = st.script(
    name="S2-T3",
    title="The exponent that collapses learning curves of all sizes",
    claim="learning curves of all sizes are one curve in N t",
    panels=(panel, curves),
)
