"""Fits of `models` to measured losses, with intervals that hold for points correlated along a training run.

Criterion: the deviance of a mean m seen with relative scatter, d^2 = 2 (y/m - 1 - log y/m) / s^2, s the relative error
of a point. Near the fit it is the residual of log loss; unlike that, its estimating equation sum (d log m)(y/m - 1)/s^2
has mean zero when m is the mean of y. A fit to log loss is low by half the variance: 2 % at a scatter of 20 %.

Intervals: the sandwich (X'X)^-1 [sum_g s_g s_g'] (X'X)^-1 (G - 1)/G over G runs, s_g = X_g' (I - H_gg)^-1 e_g with
H_gg the leverage of a run: the jackknife over runs of the linearised fit, exact for linear models, with Student's
quantile at the degrees of freedom that each parameter's variance has (Bell and McCaffrey 2002: their bias-reduced
estimator in its jackknife version, and its Satterthwaite degrees). Few runs make these wide, down to one degree.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtri, stdtrit

from experiments.fit.models import Model
from experiments.fit.table import CurveTable
from rfm import checks

REFINED_STARTS = 3  # starts that are refined
FIRST_LOOK, LAST_LOOK = 8, 100  # evaluations that each of them gets, and then the best
CONFIDENCE = 0.95
FLAT = 1e-7  # of the largest singular value of the scaled Jacobian: a direction the data do not see
SEEN = 0.05  # part of a parameter along such directions up to which it counts as determined
ALONE = 1e-6  # of one minus a leverage: a direction that a single run determines


class Interval(NamedTuple):
    """A value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Sandwich(NamedTuple):
    """Errors of p parameters, from residuals that are correlated inside a run.

    Attributes:
        covariance: (p, p), by the jackknife over runs.
        degrees: (p,) degrees of freedom of its diagonal.
        flat: (p,) parameters that have a part in a direction that the data do not see.
        alone: (p,) parameters that have a part in one that a single run determines, whose error nothing else shows.
    """

    covariance: np.ndarray
    degrees: np.ndarray
    flat: np.ndarray
    alone: np.ndarray


@dataclasses.dataclass(frozen=True)
class Fit:
    """A fitted model of p parameters, with the errors of those that were fitted; held ones have none.

    Attributes:
        model: What was fitted.
        theta: (p,) all parameters as they are searched.
        covariance, degrees, flat, alone: See `Sandwich`; zero, infinite and False where held.
        at_bound: (p,) parameters at an end of their range.
        residuals: (R,) loss over fitted loss, less one.
        runs: How many training runs were fitted.
        converged: Did the search end by itself?
        robust: By Huber's loss of log residuals?
    """

    model: Model
    theta: np.ndarray
    covariance: np.ndarray
    flat: np.ndarray
    alone: np.ndarray
    at_bound: np.ndarray
    degrees: np.ndarray
    residuals: np.ndarray
    runs: int
    converged: bool
    robust: bool = False

    @property
    def half(self) -> np.ndarray:
        """(p,) half widths of the 95 % intervals of theta."""
        return self.quantile * np.sqrt(np.diag(self.covariance))

    @property
    def quantile(self) -> np.ndarray:
        """(p,) quantiles of Student, two-sided."""
        return stdtrit(self.degrees, 0.5 + CONFIDENCE / 2)

    def interval(self, name: str) -> Interval:
        """Return a parameter and its 95 % interval, in its own units and inside its bounds."""
        i = self.model.names.index(name)
        low, high = (bound[i] for bound in self.model.bounds)
        ends = np.clip([self.theta[i] - self.half[i], self.theta[i] + self.half[i]], low, high)
        with np.errstate(over="ignore"):
            values = [self.theta[i], *ends]
            return Interval(*(float(np.exp(x) if self.model.logarithmic[i] else x) for x in values))

    def value(self, name: str) -> float:
        """Return a fitted or held parameter in its own units."""
        return self.interval(name).value

    def combination(self, **weights: float) -> tuple[float, float]:
        """Return the sum of weight x parameter as searched, and the half width of its interval.

        Its degrees of freedom are the fewest of these parameters.
        """
        w = np.array([weights.get(name, 0.0) for name in self.model.names])
        return float(w @ self.theta), float(self.quantile[w != 0].max() * np.sqrt(w @ self.covariance @ w))

    def draws(self, count: int = 2000) -> np.ndarray:
        """Draw searched parameters (count, p) from the covariance scaled to the quantiles, inside the bounds."""
        rng = np.random.default_rng(0)
        values, basis = np.linalg.eigh(self.covariance)
        spread = rng.standard_normal((count, len(self.theta))) * np.sqrt(np.maximum(values, 0.0))
        scaled = spread @ basis.T * self.quantile / ndtri(0.5 + CONFIDENCE / 2)
        return np.clip(self.theta + scaled, *self.model.bounds)


def fit(
    model: Model, table: CurveTable, rows: np.ndarray | None = None, *, start: np.ndarray | None = None,
    on_step: Callable[[float], object] = lambda _: None,
) -> Fit:  # fmt: skip
    """Fit a model to measured losses.

    Args:
        model: `Solvable` or `Chinchilla`, whose design is that of the table.
        table: R losses; where they have standard errors these are the weights.
        rows: Mask (R,) of the losses that are fitted, all by default.
        start: (p,) searched parameters to begin with; None: the best of many.
        on_step: Called at each evaluation with the root mean square of relative residuals there.

    Returns:
        The fit; its residuals are those of all rows.

    Raises:
        ValueError: There are no more rows than parameters, or no start has a finite loss.

    Example:
        >>> from experiments.fit.models import Chinchilla
        >>> from experiments.fit.table import Design, runs
        >>> design = Design.grid([16.0, 32.0, 64.0, 128.0], [float("inf")], [float("inf")])
        >>> table = CurveTable(design, 0.5 + 2.0 * design.features**-0.5, None, runs(design))
        >>> fitted = fit(Chinchilla(design, ("features",)), table)
        >>> [round(fitted.value(name), 3) for name in ("E", "A", "alpha")]
        [0.5, 2.0, 0.5]
    """
    rows = np.ones(len(table), bool) if rows is None else rows
    check_count(model, int(rows.sum()))
    loss = table.loss
    weight = table.weights(rows)
    refine = _refiner(model, loss, weight, on_step)
    if start is None:
        start, *others = model.starts(loss, weight, on_step)[:REFINED_STARTS]
        if others:
            looks = [refine(place, FIRST_LOOK) for place in (start, *others)]
            start = min(reversed(looks), key=lambda minimum: minimum.cost).theta
    best = refine(start, LAST_LOOK)
    return with_errors(model, table, best, weight * (loss / model.loss(best.theta) - 1.0), weight)


def with_errors(model: Model, table: CurveTable, best: "Minimum", error: np.ndarray, weight: np.ndarray) -> Fit:
    """Return a fit with its errors, from the residuals (R,) of rows of weight (R,); rows of weight 0 do not count."""
    free, rows, count = model.free, weight > 0, len(model.names)
    m, slopes = model.derivatives(best.theta)
    run = table.run[rows]
    errors = sandwich((weight[:, None] * slopes[:, free] / m[:, None])[rows], error[rows], run)
    covariance, degrees = np.zeros((count, count)), np.full(count, np.inf)
    flat, alone, at_bound = np.zeros((3, count), bool)
    covariance[np.ix_(free, free)], degrees[free] = errors.covariance, errors.degrees
    flat[free], alone[free], at_bound[free] = errors.flat, errors.alone, best.at_bound
    return Fit(
        model, best.theta, covariance, flat, alone, at_bound, degrees,
        residuals=table.loss / m - 1.0, runs=len(np.unique(run)), converged=best.converged,
    )  # fmt: skip


def check_count(model: Model, count: int) -> None:
    """Raise ValueError unless there are more rows than parameters."""
    if count <= len(model.free):
        names = ", ".join(model.names[i] for i in model.free)
        checks.fail("FILE", f"one with more rows than the {len(model.free)} parameters {names}", f"of {count}")


class Minimum(NamedTuple):
    """Where a search ended: all parameters (p,), its cost, which free ones are at a bound, did it end by itself?"""

    theta: np.ndarray
    cost: float
    at_bound: np.ndarray
    converged: bool


def _refiner(
    model: Model, loss: np.ndarray, weight: np.ndarray, on_step: Callable[[float], object]
) -> Callable[[np.ndarray, int], Minimum]:
    """Return the search from given parameters (p,) with a limit of evaluations; rows of weight 0 are left out."""
    free, rows = model.free, weight > 0
    low, high = (bound[free] for bound in model.bounds)

    def refine(start: np.ndarray, evaluations: int) -> Minimum:
        def place(x: np.ndarray) -> np.ndarray:
            theta = start.copy()
            theta[free] = x
            return theta

        def residuals(x: np.ndarray) -> np.ndarray:
            m = model.loss(place(x))
            misfit = (_deviance(loss, m).root * weight)[rows]
            on_step(float(np.sqrt(np.mean(misfit**2))))
            return misfit

        def jacobian(x: np.ndarray) -> np.ndarray:
            m, slopes = model.derivatives(place(x))
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = _deviance(loss, m).slope * weight / m
            # where the model has no loss there is no slope
            return np.nan_to_num(factor[:, None] * slopes[:, free])[rows]

        x = np.clip(start[free], np.nextafter(low, np.inf), np.nextafter(high, -np.inf))
        options: dict[str, Any] = dict(jac=jacobian, bounds=(low, high), x_scale="jac", max_nfev=evaluations)
        end = least_squares(residuals, x, **options, xtol=1e-8, ftol=1e-6, gtol=1e-10)
        return Minimum(place(end.x), float(end.cost), end.active_mask != 0, bool(end.success))

    return refine


def sandwich(design: np.ndarray, error: np.ndarray, run: np.ndarray) -> Sandwich:
    """Return the errors of linear least squares on a design (R, p), with residuals (R,) correlated inside a run (R,).

    Degrees of freedom are (tr Q)^2/tr Q^2 for a variance e'Qe of independent errors e. A direction that a single run
    determines has leverage one, and the jackknife leaves it out.
    """
    norm = np.sqrt((design**2).sum(0))
    unseen = norm == 0
    norm = np.where(unseen, 1.0, norm)
    left, singular, right = np.linalg.svd(design / norm, full_matrices=False)
    keep = singular > FLAT * singular[0]
    flat = unseen | (1.0 - (right[keep] ** 2).sum(0) > SEEN)
    left, inverse = left[:, keep], right[keep].T / singular[keep]  # (R, r), (p, r)
    groups = [run == number for number in np.unique(run)]
    pull = np.array([left[g].T @ error[g] for g in groups])  # (G, r)
    gram = np.array([left[g].T @ left[g] for g in groups])  # (G, r, r), with the eigenvalues of H_gg
    leverage, basis = np.linalg.eigh(gram)
    single = 1.0 - leverage < ALONE  # (G, r)
    raised = basis / np.where(single, np.inf, 1.0 - leverage)[:, None] @ basis.mT  # (I - H)^-1 seen from u
    half = inverse @ (raised @ pull[..., None])[..., 0].T  # (p, G)
    covariance = half @ half.T * (len(groups) - 1) / len(groups) / np.outer(norm, norm)
    alone = ((inverse @ basis) ** 2 * single[:, None]).sum((0, 2)) > SEEN * (inverse**2).sum(1)
    # Q = diag(d) - F'F of size G: weights W of the errors, one column for each run, W'W and U'W
    d = np.einsum("pa,gab,pb->pg", inverse, raised @ gram @ raised, inverse)
    f = np.einsum("gab,pb->pga", gram @ raised, inverse)
    size = (f**2).sum(-1)
    trace = (d - size).sum(1)
    square = (d * (d - 2.0 * size)).sum(1) + ((f.mT @ f) ** 2).sum((1, 2))
    known = square > 0.0
    degrees = np.where(known, np.maximum(trace**2 / np.where(known, square, 1.0), 1.0), 1.0)
    return Sandwich(covariance, degrees, flat, alone)


class _Deviance(NamedTuple):
    root: np.ndarray
    slope: np.ndarray


def _deviance(y: np.ndarray, m: np.ndarray) -> _Deviance:
    """Signed root sign(y - m) sqrt(2 (y/m - 1 - log y/m)), (R,), and its derivative in log m; huge unless m > 0."""
    good = np.isfinite(m) & (m > 0)
    q = np.where(good, y / np.where(good, m, 1.0), 1e6)
    e = q - 1.0
    small = np.abs(e) < 1e-4
    near = np.where(small, e, 1.0)
    exact = np.sign(e) * np.sqrt(2.0 * np.maximum(e - np.log1p(e), 0.0))
    d = np.where(small, near * (1.0 - near / 3.0), exact)
    slope = np.where(small, -(1.0 + near / 3.0), -e / np.where(small, 1.0, d))
    return _Deviance(d, slope)
