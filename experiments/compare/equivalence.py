"""Simulation against theory, one rule for all commands and figures: how far apart they are in level and in slope.

The logarithm of simulated mean over theory is taken as a level, a slope along the axis, and a finite-size part c s^k
with s = 1/N + 1/P, where theory leaves out the powers of s from the k-th on. They are fitted at once, by least squares
with weights that are known beforehand: as theory has the scatter, or as it falls with s. Errors are those that theory
predicts where its scatter is known and below FAR of the mean, else measured over draws. Where s hardly varies c cannot
be fitted, and FINITE_SIZE s^k is allowed instead. A level is measured where the run knows it best, so that it does not
depend on the slope.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.compare.comparison import Comparison
from experiments.compare.differences import TOLD, Agreement, Difference, FiniteSize, seeds_for
from experiments.compare.statistics import standard_error, student
from experiments.compare.verdicts import FINITE_SIZE, LEVEL, Verdict, condition
from rfm import checks

FITTED = 4.0  # the finite-size part is fitted where 1/N + 1/P varies by this factor
VANISHED = 1e-12  # of the largest risk: what is below has no relative gap
FLATTEST = 0.02  # exponents below have no relative difference
FAR = 0.3  # of the mean: draws that scatter by more are far from Gaussian, and the scatter of theory is rough


def agreements(comparisons: Sequence[Comparison], exponents: Sequence[float | None]) -> list[Agreement]:
    """Return the verdict on each comparison, as rows of one table: their chance of a false alarm is shared.

    Args:
        comparisons: One a row, of two seeds or more.
        exponents: The exponent of each that a difference in slope is relative to; None for the mean one of theory.

    Raises:
        ValueError: A comparison has fewer than two seeds.
    """
    rows = [_agreement([pair], exponent) for pair, exponent in zip(comparisons, exponents, strict=True)]
    tests = sum(len(row.differences) for row in rows)
    share = lambda d: None if d is None else dataclasses.replace(d, tests=tests)  # noqa: E731
    return [dataclasses.replace(row, level=share(row.level), slope=share(row.slope)) for row in rows]


def agreement(
    comparisons: Sequence[Comparison],
    quantity: str = "simulation against theory",
    *,
    sizes: Sequence[float] | None = None,
) -> Verdict:
    """Return whether simulation agrees with theory in level, over all points of all comparisons, and at each point.

    A point is called off beyond q standard errors + FINITE_SIZE (1/N + 1/P)^order theory: q is Student's quantile at
    which one of all points of a right theory is called off with chance LEVEL.

    Args:
        comparisons: As many seeds each; the rows of risks may share draws.
        quantity: What is compared, in words.
        sizes: 1/(1/N + 1/P) of each comparison, where it does not follow from N and P of its points.
    """
    points = _points(comparisons, sizes)
    level = _agreement(comparisons, None, sizes).level
    q = student(len(points.risks), LEVEL / len(points.theory))
    allowed = q * standard_error(points.risks) + points.allowance * points.theory
    gap, worst = np.abs(points.mean / points.theory - 1.0), np.max(np.abs(points.mean - points.theory) / allowed)
    state = "" if level.agrees else f" ({'differs' if level.differs else level.advice})"
    measured = (
        f"level {level}{state}; gap {np.median(gap):.1%} in the median, {gap.max():.1%} at most, {worst:.2f} of what a "
        f"point may; {len(gap)} points, {len(points.risks)} seeds"
    )
    claimed = f"level to {level.margin:.1%}; points to {q:.1f} s.e. + {stated(comparisons)}"
    return condition(quantity, claimed, measured, level.agrees and bool(worst <= 1.0))


def stated(comparisons: Sequence[Comparison]) -> str:
    """Return the gap that finite sizes are allowed, in words."""
    order = min(c.order for c in comparisons)
    return f"{FINITE_SIZE[order]:g} (1/N + 1/P)" + (f"^{order}" if order > 1 else "")


class _Points(NamedTuple):
    """Points of all comparisons: x, theory, (1/N + 1/P)^order, its allowance and weights (X,), risks (S, X); are draws
    independent of each other at different points? What difference should be seen? spread: covariance (X, X) of a row of
    risks relative to theory, as theory predicts it, of one comparison."""

    x: np.ndarray
    theory: np.ndarray
    finite: np.ndarray
    allowance: np.ndarray
    weights: np.ndarray
    risks: np.ndarray
    independent: bool
    told: float
    spread: np.ndarray | None

    @property
    def mean(self) -> np.ndarray:
        return self.risks.mean(0)

    @property
    def near(self) -> bool:
        """Is the predicted scatter known, and small?"""
        return self.spread is not None and bool(np.diag(self.spread).max() <= FAR**2)


def _points(comparisons: Sequence[Comparison], sizes: Sequence[float] | None) -> _Points:
    """Collect the points that have a relative gap."""
    kept = [c.at((c.x > 0) & (c.theory > VANISHED * c.theory.max())) for c in comparisons]
    inverse = [c.inverse_size if sizes is None else np.full(len(c.x), 1 / sizes[i]) for i, c in enumerate(kept)]
    finite = [size**c.order for size, c in zip(inverse, kept, strict=True)]
    allowance = [FINITE_SIZE[c.order] * size for size, c in zip(finite, kept, strict=True)]
    inverse, finite, allowance = (np.concatenate(each) for each in (inverse, finite, allowance))
    theory, x = (np.concatenate(each) for each in ([c.theory for c in kept], [c.x for c in kept]))
    weights = np.concatenate([c.weights for c in kept]) if sizes is None else 1.0 / inverse
    risks = np.concatenate([c.risks for c in kept], axis=1)
    told = max(TOLD[c.order] for c in kept)
    spread = kept[0].spread if len(kept) == 1 else None
    return _Points(x, theory, finite, allowance, weights, risks, all(c.draws is not None for c in kept), told, spread)


def _agreement(
    comparisons: Sequence[Comparison], exponent: float | None, sizes: Sequence[float] | None = None
) -> Agreement:
    """Fit level, slope (of one comparison alone) and finite-size part of log(simulation/theory)."""
    points = _points(comparisons, sizes)
    if len(points.risks) < 2:
        checks.fail("seeds", "2 or more, since one draw has no scatter", len(points.risks))
    fit = _fit(points, exponent, alone=len(comparisons) == 1)
    size = None if fit.size is None else _difference(points, fit.size, fitted=True)
    fitted = size is not None
    return Agreement(
        _difference(points, fit.level, fitted=fitted),
        None if fit.slope is None else _difference(points, fit.slope, fitted=fitted),
        None if size is None else FiniteSize(size.value, size.stderr, comparisons[0].order),
    )


def seeds_to_tell(comparison: Comparison, relative: float, *, exponent: float | None = None) -> int:
    """Count the seeds with which a scan tells a relative difference, from the scatter that theory predicts.

    Args:
        comparison: With its scatter, and `covariance` where points share draws; its risks are not read.
        relative: The difference in level and slope that is to be told, > 0.
        exponent: As in `agreements`.

    Raises:
        ValueError: The scatter is not known, or the relative difference is not positive.

    Example:
        >>> import numpy as np
        >>> sizes = np.array([8.0, 16.0, 32.0, 64.0])
        >>> scan = Comparison("features", sizes, np.ones((0, 4)), 1 / sizes, draws=np.ones(4), scatter=0.1 / sizes)
        >>> seeds_to_tell(scan, 0.05) > seeds_to_tell(scan, 0.1)
        True
    """
    checks.number("relative", relative, 0.0, "a finite number > 0")
    points = _points([comparison], None)
    if points.spread is None:
        checks.fail("comparison", "one with a scatter, and a covariance if draws are shared", comparison)
    fit = _fit(points, exponent, alone=True)
    parts = [part for part in (fit.level, fit.slope) if part is not None]
    return max(seeds_for(_predicted(points, part), relative, len(parts)) for part in parts)


class _Fit(NamedTuple):
    """Linear maps (X,) from log(simulation/theory) to level, relative slope and finite-size part, or None."""

    level: np.ndarray
    slope: np.ndarray | None
    size: np.ndarray | None


def _fit(points: _Points, exponent: float | None, *, alone: bool) -> _Fit:
    """Return the maps; alone: the points are those of one comparison, along one axis."""
    along, finite = np.log(points.x), points.finite
    fitted = len(along) > 3 and finite.max() >= FITTED * finite.min() and finite.max() > 0
    varied = alone and len(along) > 2 and bool(np.isfinite(along).all() and np.ptp(along) > 0)
    if varied and exponent is None:
        exponent = -float(np.polyfit(along, np.log(points.theory), 1)[0])
    steep = varied and exponent is not None and abs(exponent) >= FLATTEST
    columns = [np.ones(len(along)), *([along - along.mean()] if steep else []), *([finite] if fitted else [])]
    parts = _functionals(np.stack(columns, axis=1), points.weights)
    if steep:  # the level where it is known best: where its error has nothing to do with that of the slope
        squares = parts / points.weights @ parts.T
        parts[0] -= squares[0, 1] / squares[1, 1] * parts[1]
    slope = -parts[1] / exponent if steep and exponent else None
    return _Fit(parts[0], slope, parts[-1] if fitted else None)


def _functionals(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Linear maps (C, X) from values at points to the coefficients of weighted least squares on columns (X, C)."""
    root = np.sqrt(weights / weights.max())
    return np.linalg.pinv(columns * root[:, None]) * root


def _difference(points: _Points, part: np.ndarray, *, fitted: bool) -> Difference:
    """part @ log(simulated mean/theory), and its error: as predicted, or measured to first order in the scatter."""
    seeds, share = len(points.risks), points.risks / points.mean * part
    each = standard_error(share) ** 2 if points.independent else np.array([standard_error(share.sum(1)) ** 2])
    variance = max(float(each.sum()), 1e-24)
    freedom = (seeds - 1) * variance**2 / max(float((each**2).sum()), 1e-48)  # Welch and Satterthwaite
    gap = part * (0.0 if fitted else points.allowance)
    most = max(gap[gap > 0].sum(), -gap[gap < 0].sum())
    value = float(part @ np.log(points.mean / points.theory))
    predicted = None if points.spread is None else _predicted(points, part)
    if predicted is not None and points.near:
        variance, freedom = predicted**2 / seeds, np.inf
    return Difference(
        value, float(np.sqrt(variance)), freedom, seeds, float(most), told=points.told, predicted=predicted
    )  # fmt: skip


def _predicted(points: _Points, part: np.ndarray) -> float:
    """Return the standard error of part @ log(simulation/theory) over one seed, as theory predicts it."""
    assert points.spread is not None
    return float(np.sqrt(max(part @ points.spread @ part, 1e-24)))
