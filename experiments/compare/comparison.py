"""Simulation beside theory at the same points: the noun that figures, commands and reports speak."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from experiments.compare.exponent import Exponent
from experiments.compare.statistics import bootstrap_slope, log_slope, over_draws, standard_error
from experiments.compare.verdicts import Verdict, judge
from rfm.arguments import Sizes

AXES = {"time": "time $t$", "features": "model size $N$", "samples": "data $P$"}  # labels of figures
SYMBOLS = {"time": "t", "features": "N", "samples": "P"}  # columns of tables
INFINITE = Sizes(num_features=np.inf, num_samples=np.inf)


def with_size(axis: str, size: float, held: Sizes = INFINITE) -> Sizes:
    """Return sizes with the one along an axis, "features" or "samples", replaced."""
    n, p = (size, held["num_samples"]) if axis == "features" else (held["num_features"], size)
    return Sizes(num_features=n, num_samples=p)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Simulated risks and predicted ones along one axis.

    Attributes:
        axis: "time", "features", "samples", or the name that tables give to x.
        x: Points, (X,).
        risks: Simulated risks, (S, X), a row a seed.
        theory: Predicted risk at x, (X,).
        fixed: What is held, by symbol: "N", "P", "t" where they are not the axis.
        label: Name in a legend.
        line_x: Where theory is known on a finer grid, (L,); x where it is None.
        line: Predicted risk there, (L,).
        draws: Draws that a row of risks is the mean of, (X,), where every point has draws of its own; None where a row
            is one draw at all points.
        scatter: About the standard deviation of a row of risks as theory has it, (X,); None where it is not known.
        covariance: Of a row of risks between points as theory has it, (X, X), where a row is one draw at all points.
        order: Power of 1/N and 1/P at which the gap of a right theory begins: 2 where theory has their first power.

    Example:
        >>> import numpy as np
        >>> pair = Comparison("features", np.array([8, 16]), np.array([[2.0, 1.1], [2.2, 0.9]]), np.array([2.0, 1.0]))
        >>> pair.mean, pair.gap.round(2)
        (array([2.1, 1. ]), array([0.05, 0.  ]))
        >>> [row["N"].item() for row in pair.rows()]
        [8, 16]
    """

    axis: str
    x: np.ndarray
    risks: np.ndarray
    theory: np.ndarray
    fixed: Mapping[str, float] = dataclasses.field(default_factory=dict)
    label: str = "risk"
    line_x: np.ndarray | None = None
    line: np.ndarray | None = None
    draws: np.ndarray | None = None
    scatter: np.ndarray | None = None
    covariance: np.ndarray | None = None
    order: int = 1

    @property
    def seeds(self) -> int:
        """Number of draws S."""
        return len(self.risks)

    @property
    def mean(self) -> np.ndarray:
        """Mean over seeds, (X,)."""
        return self.risks.mean(0)

    @property
    def stderr(self) -> np.ndarray:
        """Standard error of the mean, (X,); never below rounding, so that z is defined where nothing is random."""
        return np.maximum(standard_error(self.risks), 1e-12 * self.mean + np.finfo(float).tiny)

    @property
    def z(self) -> np.ndarray:
        """(simulation - theory)/standard error, (X,)."""
        return (self.mean - self.theory) / self.stderr

    @property
    def gap(self) -> np.ndarray:
        """Relative gap simulation/theory - 1, (X,); where theory has vanished, relative to the smallest number."""
        return (self.mean - self.theory) / np.maximum(self.theory, np.finfo(float).tiny)

    @property
    def inverse_size(self) -> np.ndarray:
        """1/N + 1/P at every point, (X,): the variance of a draw falls in proportion to it."""
        held = {"N": np.inf, "P": np.inf} | dict(self.fixed) | {SYMBOLS.get(self.axis, self.axis): self.x}
        return np.broadcast_to(1.0 / np.asarray(held["N"], float) + 1.0 / np.asarray(held["P"], float), self.x.shape)

    @property
    def weights(self) -> np.ndarray:
        """Weight of every point in fits to the relative gap, (X,): one over its variance, or in proportion to it."""
        if self.scatter is not None:
            return (self.theory / self.scatter) ** 2
        draws = np.ones(len(self.x)) if self.draws is None else self.draws
        return draws / self.inverse_size if self.inverse_size.all() else draws

    @property
    def spread(self) -> np.ndarray | None:
        """Covariance (X, X) of a row of risks relative to theory, as theory has it; None where it is not known."""
        if self.covariance is not None:
            return self.covariance / (self.theory[:, None] * self.theory)
        if self.scatter is None or self.draws is None:
            return None
        return np.diag((self.scatter / self.theory) ** 2)

    @property
    def theory_line(self) -> tuple[np.ndarray, np.ndarray]:
        """x and theory where a line is drawn through them, each (L,)."""
        if self.line_x is None or self.line is None:
            return self.x, self.theory
        return self.line_x, self.line

    def at(self, points: slice | np.ndarray) -> "Comparison":
        """Return the comparison at some of its points; the line of theory stays whole."""
        x, risks, theory = self.x[points], self.risks[:, points], self.theory[points]
        line_x, line = self.theory_line
        known = {name: getattr(self, name) for name in ("draws", "scatter") if getattr(self, name) is not None}
        cut = {name: values[points] for name, values in known.items()}
        if self.covariance is not None:
            cut["covariance"] = self.covariance[points][:, points]
        return dataclasses.replace(self, x=x, risks=risks, theory=theory, line_x=line_x, line=line, **cut)

    def slope(self, window: slice | np.ndarray = slice(None), quantity: str = "") -> Exponent:
        """Return minus the log-log slopes of simulation, with its standard error, and of theory at the same points.

        Points are weighed by the covariance of their risks where theory has it (`statistics.slope_weights`).
        """
        here = self.at(window)
        x, spread = here.x, here.spread
        slope, stderr = bootstrap_slope(x, here.risks, spread)
        ends = float(x[0]), float(x[-1])
        there = -log_slope(x, here.theory, spread)
        return Exponent(quantity, theory=there, simulated=-slope, stderr=stderr, window=ends)

    def minus(self, baseline: float | np.ndarray) -> "Comparison":
        """Return what simulation and theory exceed a baseline by: one number, or (X,) where there is no finer line."""
        line = None if self.line is None else self.line - baseline
        return dataclasses.replace(self, risks=self.risks - baseline, theory=self.theory - baseline, line=line)

    def rows(self, *columns: str, **more: ArrayLike) -> list[dict]:
        """Return a row for every point: the held sizes, x, risk, its standard error, theory.

        Args:
            *columns: These alone, in this order; all where there are none.
            **more: Further columns by name, (X,) each or one value, or others in place of those above.
        """
        name = SYMBOLS.get(self.axis, self.axis)
        each = {name: self.x, "risk": self.mean, "stderr": self.stderr, "theory": self.theory} | more
        points = zip(*np.broadcast_arrays(*each.values()), strict=True)
        rows = [{**self.fixed, **dict(zip(each, values, strict=True))} for values in points]
        return [{column: row[column] for column in columns or row} for row in rows]


def across(comparisons: Sequence[Comparison], axis: str, at: float) -> Comparison:
    """Return the comparison along what the given ones differ in, at the point of each that is nearest to `at`.

    Args:
        comparisons: With one x and as many seeds each.
        axis: "features", "samples", or another symbol: its value is read from `fixed`.
        at: On the axis of the given comparisons.
    """
    first = comparisons[0]
    symbol, other = SYMBOLS.get(axis, axis), SYMBOLS.get(first.axis, first.axis)
    index = int(np.argmin(np.abs(first.x - at)))
    held = {
        name: value
        for name, value in first.fixed.items()
        if name != symbol and all(c.fixed[name] == value for c in comparisons)
    }
    return Comparison(
        axis,
        np.array([c.fixed[symbol] for c in comparisons]),
        np.stack([c.risks[:, index] for c in comparisons], axis=1),
        np.array([c.theory[index] for c in comparisons]),
        held | {other: float(first.x[index])},
        f"${other}$ = {at:g}",
        order=min(c.order for c in comparisons),
    )


class Derived(NamedTuple):
    """Numbers worked out from curves: of simulated means, with their standard error over draws, and of theory."""

    simulated: np.ndarray
    stderr: np.ndarray
    theory: np.ndarray

    def columns(self, name: str) -> dict[str, np.ndarray]:
        """Return what tables say of the numbers, called `name`."""
        return {name: self.simulated, "stderr": self.stderr, "theory": self.theory}

    def verdict(self, quantity: str) -> Verdict:
        """Return a number that is simulated, beside the number of theory."""
        return judge(quantity, float(self.simulated), closed=float(self.theory), error=float(self.stderr))


def derive(comparisons: Sequence[Comparison], function: Callable[[np.ndarray], np.ndarray | float]) -> Derived:
    """Return function(risks (C, X)) of C comparisons with as many points and seeds each."""
    risks = np.stack([c.risks for c in comparisons], axis=1)
    simulated, stderr = over_draws(risks, lambda mean: np.asarray(function(mean)))
    return Derived(simulated, stderr, np.asarray(function(np.stack([c.theory for c in comparisons]))))
