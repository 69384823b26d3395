"""Readings of a fit: parameters that the data determine, the regime, the compute-optimal rule.

Intervals of what is not linear in the parameters are quantiles over `Fit.draws`.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import rfm
import theory
from experiments.compare.limits import FRONTIER_NODES
from experiments.fit.chinchilla import Chinchilla, powers
from experiments.fit.least_squares import CONFIDENCE, Fit
from experiments.fit.models import Solvable
from theory import exponents

OPEN_SCALE = math.log(10.0)  # a scale or a unit whose interval reaches a factor of ten either way is open
ZERO = 1e-6  # of the upper end of its interval: a noise or floor at the end of its range
ENDING_AT_ZERO = ("noise", "floor", "E")


@dataclasses.dataclass(frozen=True)
class Reading:
    """A quantity with its 95 % interval.

    Attributes:
        name: Of a parameter, or what scales.
        value, low, high: In the units of the table; NaN where there are none.
        note: Empty where the quantity is determined, else why it is not.
    """

    name: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    note: str = ""

    @property
    def determined(self) -> bool:
        """Do the data give its value?"""
        return not self.note.startswith("not identified")

    def alone(self) -> "Reading":
        """Return the value without its interval, as of a model that is rejected."""
        return dataclasses.replace(self, low=math.nan, high=math.nan)

    def cells(self) -> tuple[str, str, str, str]:
        """Return its row of the printed table; the value is empty if it is not identified."""
        ends = f"{self.low:.4g} .. {self.high:.4g}" if np.isfinite(self.low) else "-"
        return self.name, f"{self.value:.4g}" if self.determined else "-", ends, self.note

    def record(self) -> list[float | str]:
        """Return value, ends and note, for a file."""
        return [self.value, self.low, self.high, self.note]


class BestSize(NamedTuple):
    """The best model size N* for a compute budget, the loss there, and d log N*/d log C."""

    num_features: float
    loss: float
    size_exponent: float


class Errors(NamedTuple):
    """Median and worst relative error |fitted/measured - 1|."""

    median: float
    worst: float


def parameters(fit: Fit) -> list[Reading]:
    """Read every parameter of a model that is fitted, asked to be held, or beyond what the data can give.

    Args:
        fit: A fit of either model.

    Returns:
        In the model's order; a parameter that the data do not determine has the reason as its note.
    """
    readings = []
    for i, name in enumerate(fit.model.names):
        value, low, high = fit.interval(name)
        if name in dict(fit.model.fixed):
            readings.append(Reading(name, value, note="held"))
        elif name in fit.model.held:
            if name == "noise":
                readings.append(Reading(name, note="not identified: no data axis"))
        elif fit.flat[i]:
            readings.append(Reading(name, note="not identified: other parameters change the loss in the same way"))
        elif fit.alone[i]:
            readings.append(Reading(name, value, note="not identified: only one run determines it"))
        else:
            if name in ENDING_AT_ZERO and value < ZERO * high:
                value = 0.0  # the search stays inside its range
            readings.append(Reading(name, value, low, high, _note(fit, i, low)))
    return readings


def _note(fit: Fit, i: int, low: float) -> str:
    name, half = fit.model.names[i], fit.half[i]
    if name in ENDING_AT_ZERO:
        return "consistent with 0" if low <= 0.0 else ""
    if fit.at_bound[i]:
        return "not identified: at the end of its range"
    if fit.model.logarithmic[i]:
        return f"not identified: open by a factor of {math.exp(min(half, 700.0)):.2g}" if half > OPEN_SCALE else ""
    size = fit.theta[i] - 1.0 if name == "a" else fit.theta[i]
    return "not identified: the interval is wider than the value" if half > size else ""


def unknown(fit: Fit, *names: str) -> str:
    """Name, in words, the parameters that the data do not determine or the model lacks; empty: they give all."""
    given = [reading.name for reading in parameters(fit) if reading.determined]
    missing = [name for name in names if name not in given]
    return f"{' and '.join(missing)} not identified" if missing else ""


def regimes(fit: Fit) -> list[str]:
    """Say on which side of a - 1 = b, and of a - 1 = 2b where there is data, the fit lies, if the data can tell.

    Args:
        fit: Of the solvable model.

    Returns:
        A sentence for each, with the interval of the difference.
    """
    sentences = []
    lost = unknown(fit, "a", "b")
    sides = [(1.0, "b", "the model and compute exponents depend")]
    if "samples" in fit.model.design.axes:
        sides.append((2.0, "2b", "the data exponent depends"))
    for multiple, bound, what in sides:
        gap, half = fit.combination(a=1.0, b=-multiple)
        gap -= 1.0
        interval = f"a - 1 - {bound} = {gap:.3g} ({gap - half:.3g} .. {gap + half:.3g})"
        text = f"a - 1 {'<' if gap < 0 else '>'} {bound}"
        if lost or abs(gap) <= half:
            text = f"the data cannot tell a - 1 < {bound} from a - 1 > {bound}, on which {what}"
        sentences.append(f"{text}: {lost or interval}")
    return sentences


def compute_rule(fit: Fit) -> list[Reading]:
    """Read the exponents of N* and of the loss above its floor in compute C = N t, by the closed form of the model.

    Empty where the table has no N or no t. Solvable: `theory.exponents.frontier_exponents` on fresh data; Chinchilla:
    A N^-alpha + B t^-beta is least at alpha A N^-alpha = beta B t^-beta, N* ~ C^(beta/(alpha + beta)). Not identified,
    without numbers, where the two parameters that it follows from are not.
    """
    if not {"features", "times"} <= set(fit.model.design.axes):
        return []
    (names, rule), labels = _rule_of(fit), ("N* ~ C^", "loss - floor ~ C^-")
    if lost := unknown(fit, *names):
        return [Reading(label, note=f"not identified: {lost}") for label in labels]
    places = [fit.model.names.index(name) for name in names]
    here = rule(*fit.theta[places])
    drawn = np.array([rule(*pair) for pair in fit.draws()[:, places]])
    ends = np.quantile(drawn, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2], axis=0).T
    return [Reading(label, value, *pair) for label, value, pair in zip(labels, here, ends, strict=True)]


def _solvable_rule(a: float, b: float) -> tuple[float, float]:
    return exponents.frontier_exponents(max(a, 1.001), b)


def _power_rule(alpha: float, gamma: float) -> tuple[float, float]:
    return gamma / (alpha + gamma), alpha * gamma / (alpha + gamma)


def _rule_of(fit: Fit) -> tuple[tuple[str, ...], Callable[[float, float], tuple[float, float]]]:
    """The parameters that the exponents in compute follow from, and how."""
    if isinstance(fit.model, Solvable):
        return ("a", "b"), _solvable_rule
    assert isinstance(fit.model, Chinchilla)
    names = powers((*fit.model.axes, "features", "times"))
    return (names["features"][1], names["times"][1]), _power_rule


def best_size(fit: Fit, compute: float) -> BestSize | None:
    """Return the best model size at one budget C = N t on fresh data, in the units of the table.

    None where the model has no such rule (a missing axis, an algorithm without one) or the data do not
    determine it.
    """
    names, _ = _rule_of(fit)
    if not {"features", "times"} <= set(fit.model.design.axes) or unknown(fit, *names):
        return None
    if isinstance(fit.model, Solvable):
        value = {name: fit.value(name) for name in fit.model.names}
        problem = rfm.power_law(value["a"], value["b"], fit.model.num_modes, value["noise"])
        budget = np.array([compute * value["unit of N"] * value["unit of t"]])
        try:
            best = theory.frontier(problem, budget, optimizer=fit.model.optimizer, nodes=FRONTIER_NODES)
        except ValueError:  # a budget of less than two of the shortest runs
            return None
        size = float(best.num_features[0]) / value["unit of N"]
        loss = value["floor"] + value["scale"] * float(best.risk[0])
        return BestSize(size, loss, float(best.size_exponent[0])) if best.converged[0] else None
    assert isinstance(fit.model, Chinchilla)
    terms = powers(fit.model.axes)
    (a, alpha), (c, gamma) = ([fit.value(name) for name in terms[axis]] for axis in ("features", "times"))
    growth, _ = _power_rule(alpha, gamma)
    size = (alpha * a / (gamma * c)) ** (1.0 / (alpha + gamma)) * compute**growth
    loss = fit.value("E") + a * size**-alpha + c * (compute / size) ** -gamma
    return BestSize(size, loss, growth)


def errors(fit: Fit, rows: np.ndarray | None = None) -> Errors:
    """Return the relative errors of a fit over the rows of a mask (R,), over all without one."""
    gap = np.abs(1.0 / (1.0 + (fit.residuals if rows is None else fit.residuals[rows])) - 1.0)
    return Errors(float(np.median(gap)), float(gap.max()))
