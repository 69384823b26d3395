"""S2, T6: algorithms that are not linear in the gradient have another clock, and an end of their own."""

from functools import lru_cache

import numpy as np

import rfm
import theory
from experiments.compare.comparison import AXES, agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import log_slope, standard_error
from experiments.compare.verdicts import CONFIRMED, CONTRADICTED, condition, judge
from experiments.output import plotting
from experiments.papers.boopathy2024 import scale_time as st
from experiments.papers.row import Script

MODES = 2000  # at most: every step is taken
CLOCK_OF_SIGNS = {"standard": 0.0, "ntk": 0.5}  # see `panel_of`
DESCENT = st.ALGORITHMS[0]
EXCESS = 3.0  # standard errors by which an end lies above the floor


def panel_of(parametrization):
    """Steps to a risk against model size.

    A step of gradient descent moves the output by sum_i F_i^2 g ~ N E F^2, a step of signs by sum_i |F_i| ~ N E |F|:
    both N with features of variance one, 1 and N^(1/2) with 1/N. So the clock is N^gamma t with a gamma that is larger
    by CLOCK_OF_SIGNS for signs, and for Adam, whose first steps are signs.
    """
    unit = st.UNITS[parametrization]

    def panel(ax, setting):
        n, descent, found, table = np.array(setting.stepped, float), None, [], []
        problem = _problem(setting)
        for index, name in enumerate(setting.algorithms):
            risks = _runs(setting, parametrization, name)
            steps = st.steps_to_risk(problem, risks, setting.steps)  # (sizes, S)
            title = f"T6 {name}, {unit}"
            if not np.isfinite(steps).all():
                told = f"not all reach the risk in {setting.steps} steps"
                found.append(condition(title, "risk(N^g t)", told, False))
                continue
            gamma = -np.polyfit(np.log(n), np.log(steps), 1)[0]  # (S,)
            label = f"{name}: slope {-gamma.mean():.2f}"
            error = float(standard_error(gamma[:, None])[0])
            color, marker = plotting.COLORS[index], plotting.MARKERS[index]
            ax.errorbar(n, steps.mean(1), 2 * standard_error(steps.T), fmt=marker, ms=4, color=color,
                        ls=":" if index else "none", lw=1.0, label=label)  # fmt: skip
            if not index:
                descent, known = gamma, _predicted(setting, parametrization)
                line = st.steps_to_risk(problem, known, setting.steps)
                ax.plot(n, line, color=color, lw=1.3)
                told = f"{title}, trained at {n[0]:g} to {n[-1]:g}, beside theory"
                found.append(judge(told, gamma.mean(), closed=-log_slope(n, line), error=error))
                samples, x = np.moveaxis(risks[..., ::4], 1, 0), np.repeat(n, len(known[0, ::4]))
                told = f"T6 theory = simulation, {name}, {unit}"
                found.append(agreement(samples.reshape(len(samples), -1), known[:, ::4].ravel(), x, told))
            else:
                more = gamma - descent
                found.append(judge(
                    f"{title}: clock N^g t, g beyond gradient descent's", more.mean(), claimed=0.0,
                    closed=CLOCK_OF_SIGNS[parametrization], error=float(standard_error(more[:, None])[0]),
                ))  # fmt: skip
            table += [
                {"row": "T6", "algorithm": name, "parametrization": parametrization, "N": x, "steps": m, "stderr": s}
                for x, m, s in zip(n, steps.mean(1), standard_error(steps.T), strict=True)
            ]
        plotting.finish(ax, AXES["features"], f"steps to {st.REACH:g} of the risk at the start", f"T6: {unit}")
        low, high = ax.get_ylim()
        ax.set_ylim(0.5 * low, 4 * high)
        return found, table

    return panel


def curves(ax, setting):
    """Curves against N t, features of variance one: those of signs end above the floor, the more so the larger."""
    times, n, found, table = st.step_times(setting.steps), setting.stepped, [], []
    floor = np.array([
        rfm.simulate(_problem(setting), num_features=x, num_samples=st.INF, optimizer=rfm.Ridge(0.0),
                     keys=fold_keys(setting.keys, x)).risk[:, 0] for x in n
    ])  # fmt: skip
    for index, name in enumerate(setting.algorithms):
        risks = _runs(setting, "standard", name)
        for i, (x, ls) in enumerate(zip((n[0], n[-1]), ("--", "-"), strict=True)):
            mean = risks[-i].mean(0)
            if index:
                ax.plot(x * times, mean, color=plotting.COLORS[index], ls=ls, lw=1.2, label=f"{name}, N = {x}")
            else:
                some = slice(None, None, 4)
                line = _predicted(setting, "standard")[-i]
                plotting.draw_pair(ax, x * times[some], risks[-i][:, some], x * times, line, f"{name}, N = {x}",
                                   hollow=not i)  # fmt: skip
        table += [
            {"row": "T6", "algorithm": name, "parametrization": "standard", "N": x, "clock": x * t, "risk": r}
            for x, line in zip(n, risks.mean(1), strict=True) for t, r in zip(times, line, strict=True)
        ]  # fmt: skip
        if name == "sign-SGD":
            above = risks[..., -1] / floor - 1.0
            mean, error = above.mean(1), standard_error(above.T)
            grows = mean[-1] - mean[0] > EXCESS * np.hypot(error[0], error[-1])
            each = ", ".join(f"{m:.1%} at N = {x}" for m, x in zip(mean, n, strict=True))
            told = f"ends above the floor by {each}"
            claim = "the same learning rate for all N"
            found.append(condition(f"T6 {name}, end of training", claim, told, not grows, CONFIRMED, CONTRADICTED))
    plotting.finish(
        ax, "clock $N t$, $t$ in steps", "risk", "features of variance 1; Adam, sign-SGD: trained, no theory"
    )
    return found, table


def _problem(setting):
    return rfm.power_law(setting.a, setting.b, min(setting.modes, MODES))


def _algorithms(setting, parametrization):
    return st.algorithms(_problem(setting), parametrization, setting.stepped[-1])


@lru_cache
def _runs(setting, parametrization, name):
    """Risk (sizes, S, T) of one algorithm."""
    optimizer = _algorithms(setting, parametrization)[name]
    return st.risk_by_step(_problem(setting), optimizer, parametrization, setting)


def _predicted(setting, parametrization):
    """Theory (sizes, T) of gradient descent."""
    descent = _algorithms(setting, parametrization)[DESCENT]
    return np.array([
        theory.predict(_problem(setting), num_features=x, num_samples=st.INF, optimizer=descent,
                       times=st.step_times(setting.steps), parametrization=parametrization).risk
        for x in setting.stepped
    ])  # fmt: skip


main = Script(
    name="S2-T6",
    title="Adam and sign-SGD: steps to a risk against model size",
    source=st.SOURCE + "scale-time equivalence",
    claim="one clock N t for all training algorithms",
    show=st.shower(curves, panel_of("standard"), panel_of("ntk")),
    full=dict(modes=2000, seeds=16, stepped=st.TRAINED, steps=st.STEPS, algorithms=st.ALGORITHMS),
    smoke=dict(modes=300, seeds=4, stepped=(16, 32), steps=1000, algorithms=(DESCENT, "sign-SGD")),
    limits="theory knows no Adam and no sign-SGD: those are training runs alone",
)
