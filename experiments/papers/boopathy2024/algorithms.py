"""S2, T6: algorithms that are not linear in the gradient have another clock, and another end."""

from functools import lru_cache, partial

import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import AXES, Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import log_slope, slopes_of_draws, standard_error
from experiments.compare.verdicts import CONTRADICTED, Verdict, condition, judge
from experiments.output import plotting, tables
from experiments.papers.boopathy2024 import scale_time as st
from rfm.arguments import Arguments

REACHED_PART = 0.6  # part of the risk at the start that is to be reached
CLOCK_OF_SIGNS = {"standard": 0.0, "ntk": 0.5}  # see `panel`
GRADIENT_DESCENT, SIGNS = st.T6_ALGORITHMS[0], st.T6_ALGORITHMS[-1]
EXCESS = 3.0  # standard errors by which an end lies above the floor
SOME = slice(None, None, 4)  # of the steps that are recorded


def panel(ax: Axes, setting: st.Setting, parametrization: str) -> st.Part:
    """Draw steps to a risk against model size.

    A step of gradient descent moves the output by sum_i F_i^2 g ~ N E F^2, a step of signs by sum_i |F_i| ~ N E |F|:
    both N with features of variance one, 1 and N^(1/2) with 1/N. So the clock is N^gamma t with a gamma that is larger
    by CLOCK_OF_SIGNS for signs, and for Adam, whose first steps are signs.
    """
    n, unit = np.array(setting.stepped, float), st.FEATURE_UNITS[parametrization]
    verdicts, table, gammas = [], [], {}
    for index, name in enumerate(setting.algorithms):
        pairs, title = train(setting, parametrization, name), f"{name}, {unit}"
        steps = np.stack([steps_to_risk(setting, pair.risks) for pair in pairs], axis=1)  # (S, X)
        if not np.isfinite(steps).all():
            text = f"not all reach the risk in {setting.steps} steps"
            verdicts.append(condition(title, "risk(N^g t)", text, False))
            continue
        gamma = gammas[name] = -slopes_of_draws(n, steps)  # (S,)
        mean, stderr, color = steps.mean(0), standard_error(steps), plotting.COLORS[index]
        plotting.draw_points(ax, n, mean, stderr, index, label=f"{name}: slope {-gamma.mean():.2f}")
        if name == GRADIENT_DESCENT:
            line = steps_to_risk(setting, np.array([pair.theory for pair in pairs]))
            ax.plot(n, line, color=color, lw=1.3)
            verdicts += [
                _judge(f"{title}, trained at {n[0]:g} to {n[-1]:g}, beside theory", gamma, -log_slope(n, line)),
                agreement([pair.at(SOME) for pair in pairs], f"{name}, {unit}: simulation against theory"),
            ]
        else:
            ax.plot(n, mean, color=color, ls=":", lw=1.0)
            more, closed = gamma - gammas[GRADIENT_DESCENT], CLOCK_OF_SIGNS[parametrization]
            verdicts.append(_judge(f"{title}: clock N^g t, g beyond gradient descent's", more, closed, claimed=0.0))
        held = {"row": "algorithms", "algorithm": name, "parametrization": parametrization}
        table += tables.records(held | {"N": n, "steps": mean, "stderr": stderr})
    plotting.finish(
        ax,
        AXES["features"],
        f"steps to {REACHED_PART:g} of the risk at the start",
        f"{unit}: algorithms differ",
    )
    low, high = ax.get_ylim()
    ax.set_ylim(0.5 * low, 4 * high)
    return st.Part(verdicts, table)


STANDARD, NTK = (partial(panel, parametrization=name) for name in st.FEATURE_UNITS)


def _judge(quantity: str, values: np.ndarray, closed: float, claimed: float | None = None) -> Verdict:
    """Judge the mean of values (S,) over draws."""
    error = float(standard_error(values))
    return judge(quantity, float(values.mean()), claimed=claimed, closed=closed, error=error)


def curves(ax: Axes, setting: st.Setting) -> st.Part:
    """Draw risk against N t, features of variance one: signs end above the floor, the more so the larger the model."""
    verdicts, table = [], []
    for index, name in enumerate(setting.algorithms):
        pairs = train(setting, "standard", name)
        for pair, line_style in ((pairs[0], "--"), (pairs[-1], "-")):
            if name == GRADIENT_DESCENT:
                plotting.draw(ax, pair.at(SOME), hollow=pair is pairs[0])
            else:
                ax.plot(pair.x, pair.mean, color=plotting.COLORS[index], ls=line_style, lw=1.2, label=pair.label)
        for pair in pairs:
            columns = ("row", "algorithm", "parametrization", "N", "clock", "risk")
            table += pair.rows(*columns, row="algorithms", algorithm=name, parametrization="standard")
        if name == SIGNS:
            ends = np.array([pair.risks[:, -1] / _floor(setting, int(pair.fixed["N"])) - 1.0 for pair in pairs])
            mean, error = ends.mean(1), standard_error(ends.T)
            grows = mean[-1] - mean[0] > EXCESS * np.hypot(error[0], error[-1])
            text = ", ".join(f"{m:.1%} at N = {n}" for m, n in zip(mean, setting.stepped, strict=True))
            quantity, claim = f"{name}, end of training", "the same learning rate for all N"
            verdicts.append(condition(quantity, claim, f"ends above the floor by {text}", not grows, no=CONTRADICTED))
    title = "features of variance 1; Adam, sign-SGD: trained, no theory"
    plotting.finish(ax, "clock $N t$, $t$ in steps", "risk", title)
    return st.Part(verdicts, table)


@lru_cache
def train(setting: st.Setting, parametrization: str, name: str) -> tuple[Comparison, ...]:
    """Return risk against N times steps, one comparison a size, with a theory for gradient descent alone.

    Gradient descent is stable at the largest size; the two others are not linear in the gradient.
    """
    import optax

    problem, largest, times, pairs = setting.small, setting.stepped[-1], _times(setting), []
    z_max = theory.largest_curvature(problem, num_features=largest, num_samples=np.inf, parametrization=parametrization)
    rate = {"learning_rate": 2e-4 * (1.0 if parametrization == "standard" else largest**0.5)}  # for the same output
    descent, adam, signs = rfm.GradientDescent(0.05 / float(z_max)), optax.adam, optax.sign_sgd
    optimizer = (descent, rfm.Optax(adam, rate), rfm.Optax(signs, rate))[st.T6_ALGORITHMS.index(name)]
    args = Arguments(num_samples=np.inf, optimizer=optimizer, times=times, parametrization=parametrization)
    for n in setting.stepped:
        args |= Arguments(num_features=n)
        risks = rfm.simulate(problem, **args, keys=fold_keys(setting.keys, n)).risk
        known = theory.predict(problem, **args).risk if name == GRADIENT_DESCENT else np.full(len(times), np.nan)
        pairs.append(Comparison("clock", n * times, risks, known, {"N": n}, f"{name}, N = {n}"))
    return tuple(pairs)


def steps_to_risk(setting: st.Setting, risks: np.ndarray) -> np.ndarray:
    """Return steps until risks (S, T) fall to REACHED_PART of the start of all models, (S,)."""
    lam, w = setting.small.modes(0, min(setting.modes, st.FEW_MODES))
    level = REACHED_PART * float(np.sum(lam * w**2))
    return np.array([st.time_to_risk(_times(setting), risk, level) for risk in risks])


def _floor(setting: st.Setting, n: int) -> np.ndarray:
    """Risk (S,) at the end of training by gradient flow."""
    args = Arguments(num_features=n, num_samples=np.inf, optimizer=rfm.Ridge(0.0))
    return rfm.simulate(setting.small, **args, keys=fold_keys(setting.keys, n)).risk[:, 0]


def _times(setting: st.Setting) -> np.ndarray:
    """Steps at which risks are recorded."""
    return rfm.log_times(1, setting.steps, 60, integer=True)


main = st.script(
    name="S2-T6",
    title="Adam and sign-SGD: steps to a risk against model size",
    claim="one clock N t for all training algorithms",
    panels=(curves, STANDARD, NTK),
    full=dict(modes=2000, seeds=16, stepped=st.T6_SIZES, steps=st.T6_STEPS, algorithms=st.T6_ALGORITHMS),
    smoke=dict(modes=300, seeds=4, stepped=(16, 32), steps=1000, algorithms=(GRADIENT_DESCENT, "sign-SGD")),
    limits="theory knows no Adam and no sign-SGD: those are training runs alone",
)
