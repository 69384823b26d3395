"""S2, T1: the time to reach a risk against model size, with features of variance one and of variance 1/N."""

import numpy as np

import rfm
from experiments.compare.comparison import AXES, agreement
from experiments.compare.statistics import log_slope
from experiments.compare.verdicts import CLOSE, CONFIRMED, OPEN, REFINED, condition, judge
from experiments.output import plotting
from experiments.papers.boopathy2024 import scale_time as st
from experiments.papers.row import Script
from rfm import checks

TABLE_MODES = 10**7
LAST = 3  # sizes over which training measures a slope: the largest ones


def panel(ax, setting):
    """Times to three risks, theory and trained, in both parametrizations."""
    sizes = np.array(setting.sizes, float)
    known = _times(st.predicted(setting))  # (sizes, levels)
    last = sizes[-LAST:]
    if not np.isfinite(known[-LAST:, 0]).all():
        checks.fail("a", f"such that models of {last[0]:g} features reach risk {st.LEVELS[0]:g}", setting.a)
    far = np.array([st.times_to_risk(st.CLOCK, st.risk_by_clock(setting.infinite, n)) for n in st.LARGE])
    found, table = [], []
    for parametrization, unit in st.UNITS.items():
        standard = parametrization == "standard"
        risks = st.trained(setting, parametrization)
        times, error = st.over_draws(risks, _times)
        for index, level in enumerate(st.LEVELS):
            style = dict(color=plotting.COLORS[index], ms=4, mfc=None if standard else "white", lw=0.9)
            line, mean, bar = (y[:, index] / _clock(sizes, standard) for y in (known, times, error))
            dash = "-" if standard else "--"
            ax.plot(sizes, line, color=plotting.COLORS[index], lw=1.3, ls=dash)
            use = np.isfinite(times[:, index]) & np.isfinite(error[:, index])
            ax.errorbar(
                sizes[use], mean[use], 2 * bar[use],
                fmt=plotting.MARKERS[index], label=f"risk {level:g}, {unit}", **style,
            )  # fmt: skip
        table += [
            {"row": "T1", "parametrization": parametrization, "N": n, "level": level, "time": t / _clock(n, standard),
             "stderr": e / _clock(n, standard), "theory": y / _clock(n, standard)}
            for n, line, errors, ys in zip(setting.sizes, times, error, known, strict=True)
            for level, t, e, y in zip(st.LEVELS, line, errors, ys, strict=True)
        ]  # fmt: skip
        slope = -log_slope(st.LARGE, far[:, 0] / _clock(st.LARGE, standard))
        name = f"T1 {unit}"
        if standard:
            found.append(judge(name, slope, claimed=1.0))
        else:
            told = f"time to risk {st.LEVELS[0]:g} ~ N^{-slope:.3f}: larger is no faster with variance 1/N"
            found.append(condition(name, "time ~ N^-1", told, abs(slope) < CLOSE, REFINED, OPEN))
        slopes = lambda mean, standard=standard: -log_slope(last, _times(mean)[-LAST:, 0] / _clock(last, standard))  # noqa: E731
        value, spread = st.over_draws(risks, slopes)
        name += f", trained at {last[0]:g} to {last[-1]:g}, beside theory there"
        found.append(judge(name, float(value), closed=slopes(st.predicted(setting)), error=float(spread)))
    x = np.array([sizes[0], sizes[-1]])
    ax.plot(x, 0.25 * known[-1, 0] / x, "k", lw=1, label="slope $-1$")
    plotting.finish(ax, AXES["features"], "time to reach the risk", "T1: larger is faster, by normalization only")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * 300)
    ax.legend(fontsize=6, frameon=False, ncols=2, loc="upper right")
    found.append(_agreement(setting))
    return [_table(setting), *found], table


def _clock(n, standard):
    """What a time is multiplied by where N t is the clock."""
    return n if standard else 1.0


def _times(risks):
    """Times (sizes, levels) to all risks on the clock of training."""
    return np.array([st.times_to_risk(st.FEW_CLOCK, risk) for risk in risks])


def _agreement(setting):
    """Over all sizes, parametrizations and every third time."""
    both = np.concatenate([st.trained(setting, name) for name in st.UNITS])[..., ::3]  # (2 sizes, S, T)
    known = np.tile(st.predicted(setting)[:, ::3], (len(st.UNITS), 1))
    size = np.repeat(np.tile(setting.sizes, len(st.UNITS)), known.shape[1])
    return agreement(np.moveaxis(both, 1, 0).reshape(setting.seeds, -1), known.ravel(), size, "T1 theory = simulation")


def _table(setting):
    """The times themselves: variance 1/N; at b = 1.25 the modes beyond still move them by percents."""
    problem = rfm.power_law(setting.a, setting.b, TABLE_MODES)
    times = np.array([st.times_to_risk(st.CLOCK, st.risk_by_clock(problem, n)) for n in setting.sizes])
    each = "; ".join(
        f"N = {n}: " + "/".join(f"{t:.1f}" if np.isfinite(t) else "never" for t in line)
        for n, line in zip(setting.sizes, times, strict=True)
    )
    sooner = np.all(times[1:] <= times[:-1])
    levels = " / ".join(f"{level:g}" for level in st.LEVELS)
    return condition(
        f"T1 table, variance 1/N, {TABLE_MODES:.0e} modes: time to risk {levels}",
        "-",
        each,
        bool(sooner),
        CONFIRMED,
        OPEN,
    )


main = Script(
    name="S2-T1",
    title="Time to reach a risk against model size, in two parametrizations",
    source=st.SOURCE + "scale-time equivalence",
    claim="a model N times larger reaches a risk N times sooner",
    show=st.shower(panel),
    full=st.FULL,
    smoke=st.SMOKE,
    limits="S2's networks on images (MNIST, CIFAR) are not trained here: random features only",
)
