"""Simulation beside theory at the same points: the noun that figures, commands and reports speak."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from experiments.compare.exponent import Exponent
from experiments.compare.statistics import bootstrap_slope, log_slope, standard_error, student
from experiments.compare.verdicts import FINITE_SIZE, LEVEL, Verdict, condition

AXES = {"time": "time $t$", "features": "model size $N$", "samples": "data $P$"}  # labels of figures
SYMBOLS = {"time": "t", "features": "N", "samples": "P"}  # columns of tables


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
    def sizes(self) -> np.ndarray:
        """Harmonic sum 1/(1/N + 1/P) at every point, (X,): the gap of a right theory falls as one over it."""
        held = {"N": np.inf, "P": np.inf} | dict(self.fixed)
        ends = {symbol: self.x if SYMBOLS.get(self.axis, self.axis) == symbol else held[symbol] for symbol in "NP"}
        return np.broadcast_to(1.0 / (1.0 / np.asarray(ends["N"]) + 1.0 / np.asarray(ends["P"])), self.x.shape)

    def at(self, points: slice | np.ndarray) -> "Comparison":
        """Return the comparison at some of its points; the line of theory stays whole."""
        line_x, line = (self.x, self.theory) if self.line_x is None else (self.line_x, self.line)
        some = dict(x=self.x[points], risks=self.risks[:, points], theory=self.theory[points])
        return dataclasses.replace(self, **some, line_x=line_x, line=line)

    def slope(self, window: slice | np.ndarray = slice(None), quantity: str = "") -> Exponent:
        """Return minus the log-log slopes of simulation, with its standard error, and of theory at the same points."""
        x = self.x[window]
        slope, stderr = bootstrap_slope(x, self.risks[:, window])
        ends = float(x[0]), float(x[-1])
        there = -log_slope(x, self.theory[window])
        return Exponent(quantity, theory=there, simulated=-slope, stderr=stderr, window=ends)

    def agreement(self, quantity: str = "theory = simulation") -> Verdict:
        """Return the verdict of `agreement` on this comparison alone."""
        return agreement([self], quantity)

    def rows(self) -> list[dict]:
        """Return what tables say of every point: what is held, x, risk, its standard error, theory."""
        name = SYMBOLS.get(self.axis, self.axis)
        columns = zip(self.x, self.mean, self.stderr, self.theory, strict=True)
        return [{**self.fixed, name: x, "risk": m, "stderr": s, "theory": y} for x, m, s, y in columns]


def agreement(
    comparisons: Sequence[Comparison],
    quantity: str = "theory = simulation",
    *,
    sizes: Sequence[float] | None = None,
    finite_size: float = FINITE_SIZE,
) -> Verdict:
    """Return whether simulated means agree with theory, at all points of all comparisons, within the stated error.

    The stated error of a point is q stderr + finite_size/size theory: q is Student's quantile at which one of all
    points of a right theory fails with chance LEVEL, and size is 1/(1/N + 1/P), since the theory is that of large N and
    P and its gap falls as 1/N + 1/P.

    Args:
        comparisons: As many seeds each.
        quantity: What is compared, in words.
        sizes: One size a comparison, where it does not follow from N and P of its points.
        finite_size: Stated relative gap in units of 1/size.
    """
    mean, theory = (np.concatenate([getattr(c, name) for c in comparisons]) for name in ("mean", "theory"))
    stderr = np.concatenate([standard_error(c.risks) for c in comparisons])
    by_point = [c.sizes if sizes is None else np.full(len(c.x), sizes[i]) for i, c in enumerate(comparisons)]
    q = student(comparisons[0].seeds, LEVEL / mean.size)
    stated = q * stderr + finite_size / np.concatenate(by_point) * theory
    gap, worst = np.abs(mean / theory - 1.0), np.max(np.abs(mean - theory) / stated)
    measured = (
        f"{worst:.2f} of it at most; gap {np.median(gap):.1%} in the median, {gap.max():.1%} at most; "
        f"{mean.size} points, {comparisons[0].seeds} seeds"
    )
    stated_error = f"to {q:.1f} s.e. + {finite_size:g} (1/N + 1/P)"
    return condition(quantity, stated_error, measured, bool(worst <= 1.0))
