"""S2, T3: the exponent gamma that brings risk(N^gamma t) of all sizes onto one curve."""

from itertools import pairwise

import numpy as np

from experiments.compare.comparison import AXES, agreement
from experiments.compare.verdicts import CLOSE, OPEN, REFINED, condition, judge
from experiments.output import plotting
from experiments.papers.boopathy2024 import scale_time as st
from experiments.papers.row import Script

EARLY = np.geomspace(1.0, 0.6, 15)[1:]  # risks that are compared, in parts of the start
PAIRS = np.geomspace(32, 2**16, 12)  # sizes N of pairs N, 2N


def panel(ax, setting):
    """gamma of neighbouring sizes: training of two at a time, theory up to large ones."""
    found, table, sizes = [], [], np.array(setting.sizes, float)
    start = float(np.mean(st.predicted(setting)[:, 0]))
    pairs = list(pairwise(sizes))
    middle = np.sqrt([low * high for low, high in pairs])
    line = {n: st.risk_by_clock(setting.infinite, n) for n in (*PAIRS, *(2 * PAIRS))}
    for index, (parametrization, unit) in enumerate(st.UNITS.items()):
        standard = parametrization == "standard"
        times = st.FEW_CLOCK / sizes[:, None] if standard else np.tile(st.FEW_CLOCK, (len(sizes), 1))
        risks, known = st.trained(setting, parametrization), st.predicted(setting)

        def each(mean, times=times):
            two = (slice(i, i + 2) for i in range(len(pairs)))
            return np.array([st.collapse_exponent(sizes[i], times[i], mean[i], start * EARLY)[0] for i in two])

        def gamma(mean, times=times):
            return np.array(st.collapse_exponent(sizes, times, mean, start * EARLY))

        color, marker = plotting.COLORS[index], plotting.MARKERS[index]
        value, error = st.over_draws(risks, each)
        far = [_two(st.CLOCK, (n, 2 * n), [line[n], line[2 * n]], standard) for n in PAIRS]
        ax.plot(
            np.sqrt(2) * PAIRS,
            far,
            color=color,
            lw=0.9,
            ls="--",
            label="theory, infinitely many modes" if standard else None,
        )
        ax.plot(middle, each(known), color=color, lw=1.3)
        ax.errorbar(middle, value, 2 * error, fmt=marker, ms=4, color=color, label=f"features of {unit}")
        table += [
            {"row": "T3", "parametrization": parametrization, "N": low, "2N": high, "gamma": v, "stderr": e,
             "theory": k} for (low, high), v, e, k in zip(pairs, value, error, each(known), strict=True)
        ]  # fmt: skip
        name, largest = f"T3 {unit}", far[-1]
        if standard:
            found.append(judge(f"{name}, theory at {PAIRS[-1]:g}", largest, claimed=1.0))
        else:
            told = f"g = {largest:.3f} at {PAIRS[-1]:g}: t is the clock, S2 needs features of variance 1"
            found.append(condition(name, "risk(N^g t), g = 1", told, abs(largest) < CLOSE, REFINED, OPEN))
        (both, spread), (both_error, _) = st.over_draws(risks, gamma)
        found.append(judge(
            f"{name}, trained at {sizes[0]:g} to {sizes[-1]:g} (leaves {spread:.1%} of the time), beside theory there",
            float(both), closed=gamma(known)[0], error=float(both_error),
        ))  # fmt: skip
    plotting.finish(ax, AXES["features"], r"$\gamma$ between $N$ and $2N$", r"T3: risk($N^\gamma t$) on one curve",
                    log=False)  # fmt: skip
    ax.set_xscale("log")
    ax.set_ylim(-0.25, 1.6)
    return found, table


def curves(ax, setting):
    """All sizes against the clock of S2, trained and in theory: one curve where they are compared."""
    risks, known = st.trained(setting), st.predicted(setting)
    early = (known.min(0) > 0.9 * EARLY[-1] * known[0, 0]) & (st.FEW_CLOCK >= 0.1)
    shown = (st.FEW_CLOCK >= 0.1) & (st.FEW_CLOCK <= 1e3)
    for index, n in enumerate(setting.sizes):
        samples, line = risks[index][:, shown], known[index, shown]
        plotting.draw_pair(ax, st.FEW_CLOCK[shown], samples, st.FEW_CLOCK[shown], line, f"N = {n}", index)
    ax.axhspan(EARLY[-1] * known[0, 0], EARLY[0] * known[0, 0], color="0.93", zorder=-1)
    plotting.finish(ax, "$N t$", "risk", "shaded: risks that are compared")
    size = np.repeat(setting.sizes, early.sum())
    return [agreement(np.moveaxis(risks[..., early], 1, 0).reshape(setting.seeds, -1), known[:, early].ravel(), size,
                      "T3 theory = simulation")], []  # fmt: skip


def _two(clock, sizes, risks, standard):
    times = clock / np.array(sizes)[:, None] if standard else np.tile(clock, (2, 1))
    return st.collapse_exponent(sizes, times, np.array(risks), risks[0][0] * EARLY)[0]


main = Script(
    name="S2-T3",
    title="The exponent that collapses learning curves of all sizes",
    source=st.SOURCE + "scale-time equivalence",
    claim="learning curves of all sizes are one curve in N t",
    show=st.shower(panel, curves),
    full=st.FULL,
    smoke=st.SMOKE,
    limits="S2's networks on images are not trained here: random features only",
)
