"""What a fit of `curve_fits` says: parameters that the data determine, the regime, the compute-optimal rule.

Intervals of what is not linear in the parameters are quantiles over `Fit.draws`.
"""

import dataclasses
import math

import numpy as np

import rfm
import theory
from experiments.fit.least_squares import LEVEL, Fit
from experiments.fit.models import POWERS, Solvable
from theory import exponents

OPEN = math.log(10.0)  # a scale or a unit whose interval reaches a factor of ten either way is open
ZERO = 1e-6  # of the upper end of its interval: a noise or floor at the end of its range
FRONTIER_NODES = 64  # of the contour: exponents to 1e-4


@dataclasses.dataclass(frozen=True)
class Reading:
    """A quantity with its 95 % interval; note: empty where it is determined, else why not."""

    name: str
    value: float
    low: float
    high: float
    note: str = ""

    @property
    def determined(self) -> bool:
        """Do the data give its value?"""
        return not self.note.startswith("not identified")

    def cells(self) -> tuple[str, str, str, str]:
        """For the printed table: no value where there is none."""
        ends = f"{self.low:.4g} .. {self.high:.4g}" if np.isfinite(self.low) else "-"
        return self.name, f"{self.value:.4g}" if self.determined else "-", ends, self.note


def parameters(fit: Fit) -> list[Reading]:
    """Every parameter of a model that is fitted, or that the data cannot give."""
    found = []
    for i, name in enumerate(fit.model.names):
        value, low, high = fit.interval(name)
        if name in fit.model.held:
            if name == "noise" and name not in dict(fit.model.fixed):
                found.append(Reading(name, math.nan, math.nan, math.nan, "not identified: no data axis"))
            elif name in dict(fit.model.fixed):
                found.append(Reading(name, value, math.nan, math.nan, "held"))
            continue
        if fit.flat[i]:
            why = "not identified: others change the loss in the same way"
            found.append(Reading(name, math.nan, math.nan, math.nan, why))
            continue
        if fit.alone[i]:
            found.append(Reading(name, value, math.nan, math.nan, "not identified: one run alone tells it"))
            continue
        if name in ("noise", "floor", "E") and value < ZERO * high:
            value = 0.0  # the search stays inside its range
        found.append(Reading(name, value, low, high, _note(fit, i, low, high)))
    return found


def _note(fit: Fit, i: int, low: float, high: float) -> str:
    name, half = fit.model.names[i], fit.half[i]
    if name in ("noise", "floor", "E"):
        return "not told from 0" if low <= 0.0 else ""
    if fit.at_bound[i]:
        return "not identified: at the end of its range"
    if fit.model.logarithmic[i]:
        return f"not identified: open by a factor of {math.exp(min(half, 700.0)):.2g}" if half > OPEN else ""
    size = fit.theta[i] - 1.0 if name == "a" else fit.theta[i]
    return "not identified: the interval is wider than the value" if half > size else ""


def unknown(fit: Fit, *names: str) -> str:
    """Those of these parameters that the data do not determine or the model lacks, in words; empty: they give all."""
    given = [reading.name for reading in parameters(fit) if reading.determined]
    found = [name for name in names if name not in given]
    return f"{' and '.join(found)} not identified" if found else ""


def regimes(fit: Fit) -> list[str]:
    """Which side of a - 1 = b, and of a - 1 = 2b where there is data, the fit lies on, or that the data cannot tell."""
    said = []
    lost = unknown(fit, "a", "b")
    for multiple, where in ((1.0, "the model and compute exponents"), (2.0, "the data exponent")):
        if multiple == 2.0 and "samples" not in fit.model.design.axes:
            continue
        bound = "b" if multiple == 1.0 else "2b"
        gap, half = fit.combination(a=1.0, b=-multiple)
        gap -= 1.0
        interval = f"a - 1 - {bound} = {gap:.3g} ({gap - half:.3g} .. {gap + half:.3g})"
        if lost or abs(gap) <= half:
            text = f"the data cannot tell a - 1 < {bound} from a - 1 > {bound}, on which {where} depend"
            text = text.replace("exponent depend", "exponent depends")
        else:
            text = f"a - 1 {'<' if gap < 0 else '>'} {bound}"
        said.append(f"{text}: {lost or interval}")
    return said


def compute_rule(fit: Fit) -> list[Reading]:
    """Exponents of N* and of the loss above its floor in compute C = N t, by the closed form of the model.

    Empty where the table has no N or no t. Solvable: `theory.exponents.frontier_exponents` on fresh data; Chinchilla:
    A N^-alpha + C t^-gamma is least at alpha A N^-alpha = gamma C t^-gamma, N* ~ C^(gamma/(alpha + gamma)). Not
    identified, without numbers, where the two parameters that it follows from are not.
    """
    if not {"features", "times"} <= set(fit.model.design.axes):
        return []
    names, labels = _exponents(fit), ("N* ~ C^", "loss - floor ~ C^-")
    if lost := unknown(fit, *names):
        return [Reading(label, math.nan, math.nan, math.nan, f"not identified: {lost}") for label in labels]
    rule = _solvable_rule if isinstance(fit.model, Solvable) else _power_rule
    places = [fit.model.names.index(name) for name in names]
    here = rule(*fit.theta[places])
    drawn = np.array([rule(*pair) for pair in fit.draws()[:, places]])
    ends = np.quantile(drawn, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0).T
    return [Reading(label, value, *pair) for label, value, pair in zip(labels, here, ends, strict=True)]


def _exponents(fit: Fit) -> tuple[str, str]:
    """Parameters that the exponents in compute follow from."""
    return ("a", "b") if isinstance(fit.model, Solvable) else (POWERS["features"][1], POWERS["times"][1])


def _solvable_rule(a: float, b: float) -> tuple[float, float]:
    return exponents.frontier_exponents(max(a, 1.001), b)


def _power_rule(alpha: float, gamma: float) -> tuple[float, float]:
    return gamma / (alpha + gamma), alpha * gamma / (alpha + gamma)


def best_size(fit: Fit, compute: float) -> tuple[float, float, float] | None:
    """N*, the loss there and d log N*/d log C at one budget C = N t on fresh data, in the units of the table.

    None where the model has no such rule (an axis that there is not, an algorithm without one) or the data do not
    determine it.
    """
    if not {"features", "times"} <= set(fit.model.design.axes) or unknown(fit, *_exponents(fit)):
        return None
    if isinstance(fit.model, Solvable):
        value = {name: fit.value(name) for name in fit.model.names}
        problem = rfm.power_law(value["a"], value["b"], fit.model.num_modes, value["noise"])
        own = compute * value["unit of N"] * value["unit of t"]
        try:
            found = theory.frontier(problem, np.array([own]), optimizer=fit.model.optimizer, nodes=FRONTIER_NODES)
        except ValueError:  # a budget of less than two steps
            return None
        size = float(found.num_features[0]) / value["unit of N"]
        loss = value["floor"] + value["scale"] * float(found.risk[0])
        return (size, loss, float(found.size_exponent[0])) if found.converged[0] else None
    (a, alpha), (c, gamma) = ([fit.value(name) for name in POWERS[axis]] for axis in ("features", "times"))
    size = (alpha * a / (gamma * c)) ** (1.0 / (alpha + gamma)) * compute ** (gamma / (alpha + gamma))
    loss = fit.value("E") + a * size**-alpha + c * (compute / size) ** -gamma
    return size, loss, gamma / (alpha + gamma)


def errors(fit: Fit, rows: np.ndarray) -> tuple[float, float]:
    """Median and worst relative error |fitted/measured - 1| over rows of a mask."""
    gap = np.abs(1.0 / (1.0 + fit.residuals[rows]) - 1.0)
    return float(np.median(gap)), float(gap.max())
