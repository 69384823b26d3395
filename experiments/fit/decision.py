"""Decisions that follow from power laws: the best size for a budget, the loss of a plan, the cheapest way to a loss.

With loss = E + A N^-alpha + B D^-beta and C = c N D, N D is best spent where alpha A N^-alpha = beta B D^-beta. Each
answer has the quantiles of the same answer over draws of the parameters. The curve of best sizes read off parabolas
through losses of equal compute (Hoffmann et al. 2022, approach 2) is a second opinion: it is the top of a parabola in
log N through a curve that is not a parabola, and its bias is that of the same parabolas through the fitted law itself.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.fit.chinchilla import Chinchilla, powers
from experiments.fit.columns import COLUMNS, number, plain
from experiments.fit.least_squares import CONFIDENCE, Fit, Interval
from experiments.fit.table import DESIGN_AXES, CurveTable, Design
from rfm import checks

TOGETHER = 1.12  # factor of compute within which rows count as one budget
LEAST_ROWS, LEAST_BUDGETS = 4, 3  # of a parabola, and parabolas of a rule
OPEN = 100.0  # factor between the ends of an interval from which a size is not known


class Choice(NamedTuple):
    """A model size and a time with the loss there.

    Attributes:
        what: "budget", "target" or "asked".
        compute: C = c N t.
        features: Model size N.
        times: Time t, tokens.
        loss: Loss there.
        samples: Data P, where the law has it.
    """

    what: str
    compute: Interval
    features: Interval
    times: Interval
    loss: Interval
    samples: float = math.inf


class Parabolas(NamedTuple):
    """Best sizes by parabolas through losses of equal compute.

    Attributes:
        compute: (G,) budgets.
        features: (G,) best sizes.
        exponent: N* ~ C^exponent.
        bias: (G,) best size by parabolas through the fitted law at the same points, over its true one.
    """

    compute: np.ndarray
    features: np.ndarray
    exponent: float
    bias: np.ndarray

    def at(self, compute: float) -> float:
        """Return the best size at a budget, by a line through log N and log C."""
        slope, level = np.polyfit(np.log(self.compute), np.log(self.features), 1)
        return float(np.exp(level + slope * np.log(compute)))


class _Law(NamedTuple):
    """Parameters of E + A N^-alpha + B t^-beta: those of the fit first, then of its draws, (1 + draws,) each."""

    floor: np.ndarray
    a: np.ndarray
    alpha: np.ndarray
    b: np.ndarray
    beta: np.ndarray


def can_decide(fit: Fit) -> bool:
    """Has the fitted law the two axes, N and t on fresh data, between which compute is shared?"""
    return isinstance(fit.model, Chinchilla) and set(fit.model.axes) == {"features", "times"}


def budget(fit: Fit, compute: float, flops_per_token: float) -> Choice:
    """Return the best N and t for a budget.

    Args:
        fit: Of `Chinchilla` in N and t.
        compute: C = flops_per_token N t.
        flops_per_token: 6 for transformers, forward and backward.
    """
    law, product = _law(fit), compute / flops_per_token
    with np.errstate(all="ignore"):  # draws may lie where powers overflow
        size = (law.alpha * law.a / (law.beta * law.b) * product**law.beta) ** (1.0 / (law.alpha + law.beta))
        return _choice("budget", law, np.full(len(size), compute), size, product / size)


def target(fit: Fit, loss: float, flops_per_token: float) -> Choice:
    """Return the cheapest N and t that reach a loss; infinite, or NaN for ends, where the floor is above it."""
    law = _law(fit)
    with np.errstate(all="ignore"):
        above = np.where(loss > law.floor, loss - law.floor, np.nan)
        size = (above / (law.a * (1.0 + law.alpha / law.beta))) ** (-1.0 / law.alpha)
        times = (above / (law.b * (1.0 + law.beta / law.alpha))) ** (-1.0 / law.beta)
        size, times = (np.where(np.isnan(x), np.inf, x) for x in (size, times))
        compute = np.where(np.isinf(size) | np.isinf(times), np.inf, flops_per_token * size * times)
    known = _interval(compute), _interval(size), _interval(times)
    return Choice("target", *known, Interval(loss, loss, loss))


def asked(fit: Fit, plan: dict[str, float], flops_per_token: float) -> Choice:
    """Return the loss of a plan.

    Args:
        fit: Of `Chinchilla`.
        plan: A value for each axis of the law.
        flops_per_token: As in `budget`.
    """
    assert isinstance(fit.model, Chinchilla)
    design = Design(*(np.array([plan.get(axis, math.inf)]) for axis in DESIGN_AXES))
    model = fit.model.at(design)
    losses = np.array([model.loss(theta)[0] for theta in (fit.theta, *fit.draws())])
    n, t = (plan.get(axis, math.inf) for axis in ("features", "times"))
    compute, size, time = (Interval(x, x, x) for x in (flops_per_token * n * t, n, t))
    return Choice("asked", compute, size, time, _interval(losses), plan.get("samples", math.inf))


def predicted(fit: Fit, design: Design) -> np.ndarray:
    """Return the loss at the points of a design with the ends of its interval, (3, R)."""
    assert isinstance(fit.model, Chinchilla)
    model = fit.model.at(design)
    drawn = np.array([model.loss(theta) for theta in fit.draws(400)])
    return np.stack([model.loss(fit.theta), *np.quantile(drawn, _ENDS, axis=0)])


def read_plan(text: str, axes: Sequence[str]) -> dict[str, float]:
    """Return a plan, such as "N=7e9,tokens=1.4e12", as a value for each axis of a law.

    Raises:
        ValueError: No such text, a name that is not an axis, or an axis without a value.

    Example:
        >>> read_plan("N=7B,tokens=1.4e12", ("features", "times"))
        {'features': 7000000000.0, 'times': 1400000000000.0}
    """
    plan: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        known = [axis for axis in DESIGN_AXES if plain(name) in map(plain, COLUMNS[axis])]
        if not known or not value:
            checks.fail("predict", "a value for each axis, such as N=7e9,tokens=1.4e12", text)
        try:
            plan[known[0]] = number(name.strip(), "--predict", value.strip(), known[0])
        except ValueError:
            checks.fail("predict", "numbers > 0, such as N=7e9,tokens=1.4e12", text)
    names = {"features": "N", "samples": "P", "times": "tokens"}
    missing = [names[axis] for axis in axes if axis not in plan]
    foreign = [names[axis] for axis in plan if axis not in axes]
    if missing or foreign:
        wanted = ", ".join(f"{names[axis]}=..." for axis in axes)
        checks.fail("predict", f"a value for each axis of the table and no other, {wanted}", text)
    return plan


def parabolas(fit: Fit, table: CurveTable, flops_per_token: float) -> Parabolas | None:
    """Return the second opinion on best sizes; None unless several budgets have sizes on both sides of the best."""
    if not can_decide(fit):
        return None
    compute = flops_per_token * table.design.features * table.design.times
    order = np.argsort(compute)
    logs = np.log(compute[order])
    groups, begin = [], 0
    for i in range(1, len(order) + 1):
        if i == len(order) or logs[i] - logs[begin] > np.log(TOGETHER):
            groups.append(order[begin:i])
            begin = i
    answers, law = [], fit.model.loss(fit.theta)
    for rows in groups:
        sizes = np.log(table.design.features[rows])
        best, of_law = _top(sizes, table.loss[rows]), _top(sizes, law[rows])
        if best is not None and of_law is not None:
            middle = float(np.exp(np.mean(np.log(compute[rows]))))
            true = budget(fit, middle, flops_per_token).features.value
            answers.append((middle, np.exp(best), np.exp(of_law) / true))
    if len(answers) < LEAST_BUDGETS:
        return None
    budgets, sizes, bias = np.array(answers).T
    return Parabolas(budgets, sizes, float(np.polyfit(np.log(budgets), np.log(sizes), 1)[0]), bias)


def _top(x: np.ndarray, loss: np.ndarray) -> float | None:
    """Return where a parabola through losses is least, if that is inside."""
    if len(np.unique(x)) < LEAST_ROWS:
        return None
    middle = x.mean()
    curvature, slope, _ = np.polyfit(x - middle, loss, 2)
    best = middle - slope / (2.0 * curvature) if curvature > 0 else np.inf
    return float(best) if x.min() < best < x.max() else None


def is_open(interval: Interval) -> bool:
    """Do the ends of an interval lie so far apart that nothing is known?"""
    return not (interval.low > 0 and interval.high < OPEN * interval.low)


_ENDS = (0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2)


def _law(fit: Fit) -> _Law:
    assert isinstance(fit.model, Chinchilla)
    theta = np.concatenate([fit.theta[None], fit.draws()]).T
    names = fit.model.names
    (a, alpha), (b, beta) = (powers(fit.model.axes)[axis] for axis in ("features", "times"))
    with np.errstate(over="ignore"):
        amplitudes = [np.exp(theta[names.index(name)]) for name in (a, b)]
    exponents = [theta[names.index(name)] for name in (alpha, beta)]
    return _Law(theta[0], amplitudes[0], exponents[0], amplitudes[1], exponents[1])


def _choice(what: str, law: _Law, compute: np.ndarray, size: np.ndarray, times: np.ndarray) -> Choice:
    loss = law.floor + law.a * size**-law.alpha + law.b * times**-law.beta
    return Choice(what, _interval(compute), _interval(size), _interval(times), _interval(loss))


def _interval(values: np.ndarray) -> Interval:
    """The first of some values, with quantiles of the others."""
    value, *drawn = np.where(np.isnan(values), np.inf, values)
    low, high = np.quantile(drawn, _ENDS, method="nearest")  # some may be infinite
    return Interval(float(value), float(min(low, value)), float(max(high, value)))
