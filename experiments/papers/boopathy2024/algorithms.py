"""S2, T6: algorithms that are not linear in the gradient have another clock, and an end of their own."""

from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes

import rfm
import theory
from experiments.compare.comparison import AXES, Comparison, agreement
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import log_slope, slopes_of_draws, standard_error
from experiments.compare.verdicts import CONFIRMED, CONTRADICTED, condition, judge
from experiments.output import plotting
from experiments.output.tables import records
from experiments.papers.boopathy2024 import scale_time as st
from experiments.papers.row import Script

MODES = 2000  # at most: every step is taken
REACH = 0.6  # part of the risk at the start that is to be reached
CLOCK_OF_SIGNS = {"standard": 0.0, "ntk": 0.5}  # see `panel_of`
DESCENT, SIGNS = st.ALGORITHMS[0], st.ALGORITHMS[-1]
EXCESS = 3.0  # standard errors by which an end lies above the floor
SOME = slice(None, None, 4)  # of the steps that are recorded


def panel_of(parametrization: str) -> st.Panel:
    """Return the panel of steps to a risk against model size.

    A step of gradient descent moves the output by sum_i F_i^2 g ~ N E F^2, a step of signs by sum_i |F_i| ~ N E |F|:
    both N with features of variance one, 1 and N^(1/2) with 1/N. So the clock is N^gamma t with a gamma that is larger
    by CLOCK_OF_SIGNS for signs, and for Adam, whose first steps are signs.
    """
    unit = st.UNITS[parametrization]

    def panel(ax: Axes, setting: st.Setting) -> st.Part:
        n, verdicts, table, gammas = np.array(setting.stepped, float), [], [], {}
        for index, name in enumerate(setting.algorithms):
            steps, title = steps_to_risk(setting, runs(setting, parametrization, name)), f"T6 {name}, {unit}"  # (S, X)
            if not np.isfinite(steps).all():
                text = f"not all reach the risk in {setting.steps} steps"
                verdicts.append(condition(title, "risk(N^g t)", text, False))
                continue
            gamma = gammas[name] = -slopes_of_draws(n, steps)  # (S,)
            label = f"{name}: slope {-gamma.mean():.2f}"
            plotting.draw_points(ax, n, steps.mean(0), standard_error(steps), index, label=label)
            if name == DESCENT:
                curves = _descent(setting, parametrization)
                line = steps_to_risk(setting, np.array([curve.theory for curve in curves]))
                ax.plot(n, line, color=plotting.COLORS[index], lw=1.3)
                title += f", trained at {n[0]:g} to {n[-1]:g}, beside theory"
                error = float(standard_error(gamma))
                verdicts.append(judge(title, gamma.mean(), closed=-log_slope(n, line), error=error))
                text = f"T6 theory = simulation, {name}, {unit}"
                verdicts.append(agreement([curve.at(SOME) for curve in curves], text))
            else:
                ax.plot(n, steps.mean(0), color=plotting.COLORS[index], ls=":", lw=1.0)
                more = gamma - gammas[DESCENT]
                verdicts.append(judge(
                    f"{title}: clock N^g t, g beyond gradient descent's", more.mean(), claimed=0.0,
                    closed=CLOCK_OF_SIGNS[parametrization], error=float(standard_error(more)),
                ))  # fmt: skip
            table += records({
                "row": "T6", "algorithm": name, "parametrization": parametrization, "N": n, "steps": steps.mean(0),
                "stderr": standard_error(steps),
            })  # fmt: skip
        plotting.finish(ax, AXES["features"], f"steps to {REACH:g} of the risk at the start", f"T6: {unit}")
        low, high = ax.get_ylim()
        ax.set_ylim(0.5 * low, 4 * high)
        return st.Part(verdicts, table)

    return panel


def curves(ax: Axes, setting: st.Setting) -> st.Part:
    """Draw risk against N t, features of variance one: signs end above the floor, the more so the larger the model."""
    n, verdicts, table = np.array(setting.stepped), [], []
    clock = n[:, None] * _times(setting)
    for index, name in enumerate(setting.algorithms):
        risks = runs(setting, "standard", name)  # (S, X, T)
        pairs = _descent(setting, "standard") if name == DESCENT else ()
        for end, line_style in ((0, "--"), (-1, "-")):
            label = f"{name}, N = {n[end]}"
            if pairs:
                plotting.draw(ax, pairs[end].at(SOME), label=label, hollow=end == 0)
            else:
                color = plotting.COLORS[index]
                ax.plot(clock[end], risks[:, end].mean(0), color=color, ls=line_style, lw=1.2, label=label)
        table += records({
            "row": "T6", "algorithm": name, "parametrization": "standard", "N": n[:, None], "clock": clock,
            "risk": risks.mean(0),
        })  # fmt: skip
        if name == SIGNS:
            above = risks[..., -1] / _floors(setting) - 1.0  # (S, X)
            mean, error = above.mean(0), standard_error(above)
            grows = mean[-1] - mean[0] > EXCESS * np.hypot(error[0], error[-1])
            text = ", ".join(f"{m:.1%} at N = {size}" for m, size in zip(mean, n, strict=True))
            verdicts.append(condition(
                f"T6 {name}, end of training", "the same learning rate for all N", f"ends above the floor by {text}",
                not grows, CONFIRMED, CONTRADICTED,
            ))  # fmt: skip
    title = "features of variance 1; Adam, sign-SGD: trained, no theory"
    plotting.finish(ax, "clock $N t$, $t$ in steps", "risk", title)
    return st.Part(verdicts, table)


def specs(setting: st.Setting, parametrization: str) -> dict[str, rfm.optimizers.Optimizer]:
    """Return gradient descent that is stable at the largest size, and two that are not linear in the gradient."""
    import optax

    largest = setting.stepped[-1]
    z_max = theory.largest_curvature(
        _problem(setting), num_features=largest, num_samples=st.INF, parametrization=parametrization
    )
    grown = 1.0 if parametrization == "standard" else largest**0.5  # weights for the same output
    algorithms = (
        rfm.GradientDescent(0.05 / float(z_max)),
        rfm.Optax(optax.adam, {"learning_rate": 2e-4 * grown}),
        rfm.Optax(optax.sign_sgd, {"learning_rate": 2e-4 * grown}),
    )
    return dict(zip(st.ALGORITHMS, algorithms, strict=True))


@lru_cache
def runs(setting: st.Setting, parametrization: str, name: str) -> np.ndarray:
    """Return the risk (S, X, T) of one algorithm at all sizes and recorded steps."""
    optimizer, times = specs(setting, parametrization)[name], _times(setting)
    trained = [
        rfm.simulate(
            _problem(setting), num_features=n, num_samples=st.INF, optimizer=optimizer, times=times,
            keys=fold_keys(setting.keys, n), parametrization=parametrization,
        ) for n in setting.stepped
    ]  # fmt: skip
    return np.stack([curve.risk for curve in trained], axis=1)


def steps_to_risk(setting: st.Setting, risks: np.ndarray) -> np.ndarray:
    """Return steps until risks (..., T) fall to REACH of the start of all models, (...)."""
    lam, w = _problem(setting).modes(0, min(setting.modes, MODES))
    level = REACH * float(np.sum(lam * w**2))
    return np.apply_along_axis(lambda risk: st.time_to_risk(_times(setting), risk, level), -1, risks)


def _descent(setting: st.Setting, parametrization: str) -> list[Comparison]:
    """Gradient descent beside its theory against N times steps, one comparison a size."""
    optimizer, times = specs(setting, parametrization)[DESCENT], _times(setting)
    pairs = []
    for n, risks in zip(setting.stepped, np.moveaxis(runs(setting, parametrization, DESCENT), 1, 0), strict=True):
        predicted = theory.predict(
            _problem(setting), num_features=n, num_samples=st.INF, optimizer=optimizer, times=times,
            parametrization=parametrization,
        )  # fmt: skip
        pairs.append(Comparison("clock", n * times, risks, predicted.risk, {"N": n}))
    return pairs


def _floors(setting: st.Setting) -> np.ndarray:
    """Risk (S, X) at the end of training by gradient flow."""
    ends = [
        rfm.simulate(
            _problem(setting), num_features=n, num_samples=st.INF, optimizer=rfm.Ridge(0.0),
            keys=fold_keys(setting.keys, n),
        ) for n in setting.stepped
    ]  # fmt: skip
    return np.concatenate([end.risk for end in ends], axis=1)


def _problem(setting: st.Setting) -> rfm.Problem:
    return rfm.power_law(setting.a, setting.b, min(setting.modes, MODES))


def _times(setting: st.Setting) -> np.ndarray:
    """Steps at which risks are recorded."""
    return rfm.log_times(1, setting.steps, 60, integer=True)


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
