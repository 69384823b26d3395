"""Fits of `curve_models` to measured losses, with intervals that hold for points correlated along a training run.

Criterion: the deviance of a mean m seen with relative scatter, d^2 = 2 (y/m - 1 - log y/m) / s^2, s the relative error
of a point. Near the fit it is the residual of log loss; unlike that, its estimating equation sum (d log m)(y/m - 1)/s^2
has mean zero when m is the mean of y. A fit to log loss is low by half the variance: 2 % at a scatter of 20 %.

Intervals: the sandwich (X'X)^-1 [sum_g s_g s_g'] (X'X)^-1 (G - 1)/G over G runs, s_g = X_g' (I - H_gg)^-1 e_g with
H_gg the leverage of a run: the jackknife over runs of the linearised fit, exact for linear models, with Student's
quantile at the degrees of freedom that each parameter's variance has (Bell and McCaffrey 2002: their bias-reduced
estimator in its jackknife version, and its Satterthwaite degrees). Few runs make these wide, down to one degree.
"""

import dataclasses

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtri, stdtrit

from experiments.fit.models import Chinchilla, Solvable
from experiments.fit.table import CurveTable
from rfm import checks

KEPT = 2  # starts that are refined
FIRST_LOOK = 8  # evaluations each of them gets before the best is finished
LEVEL = 0.95
FLAT = 1e-7  # of the largest singular value of the scaled Jacobian: a direction the data do not see
SEEN = 0.05  # part of a parameter along such directions up to which it counts as determined
ALONE = 1e-6  # of one minus a leverage: a direction that a single run determines


@dataclasses.dataclass(frozen=True)
class Fit:
    """A fitted model. theta: all parameters as searched; covariance: of these, zero where held.

    flat: (p,) parameters with a part in a direction that the data do not see; alone: (p,) in one that a single run
    tells, whose error nothing else shows; at_bound: (p,); degrees: (p,) of freedom of Student's quantile; residuals:
    (R,) y/m - 1; runs: how many were fitted.
    """

    model: Solvable | Chinchilla
    theta: np.ndarray
    covariance: np.ndarray
    flat: np.ndarray
    alone: np.ndarray
    at_bound: np.ndarray
    degrees: np.ndarray
    residuals: np.ndarray
    runs: int
    converged: bool

    @property
    def half(self) -> np.ndarray:
        """(p,) half widths of the 95 % intervals of theta."""
        return self.quantile * np.sqrt(np.diag(self.covariance))

    @property
    def quantile(self) -> np.ndarray:
        """(p,) Student's, two-sided."""
        return stdtrit(self.degrees, 0.5 + LEVEL / 2)

    def interval(self, name: str) -> tuple[float, float, float]:
        """Value and 95 % interval of a parameter, in its own units and inside its bounds."""
        i = self.model.names.index(name)
        low, high = (bound[i] for bound in self.model.bounds)
        ends = np.clip([self.theta[i] - self.half[i], self.theta[i] + self.half[i]], low, high)
        with np.errstate(over="ignore"):
            own = np.exp if self.model.logarithmic[i] else float
            return float(own(self.theta[i])), float(own(ends[0])), float(own(ends[1]))

    def value(self, name: str) -> float:
        """A fitted or held parameter in its own units."""
        return self.interval(name)[0]

    def combination(self, **weights: float) -> tuple[float, float]:
        """sum of weight x parameter as searched, and the half width of its interval, at the fewest degrees of these."""
        w = np.array([weights.get(name, 0.0) for name in self.model.names])
        return float(w @ self.theta), float(self.quantile[w != 0].max() * np.sqrt(w @ self.covariance @ w))

    def draws(self, count: int = 2000) -> np.ndarray:
        """(count, p) parameters as searched, from the covariance scaled to the quantiles, inside the bounds."""
        rng = np.random.default_rng(0)
        values, basis = np.linalg.eigh(self.covariance)
        spread = rng.standard_normal((count, len(self.theta))) * np.sqrt(np.maximum(values, 0.0))
        scaled = spread @ basis.T * self.quantile / ndtri(0.5 + LEVEL / 2)
        return np.clip(self.theta + scaled, *self.model.bounds)


def fit(model: Solvable | Chinchilla, table: CurveTable, rows: np.ndarray | None = None) -> Fit:
    """The model fitted to the rows of a mask (R,), all by default; model.design is that of the table.

    Raises ValueError as `check_count` does.
    """
    rows = np.ones(len(table), bool) if rows is None else rows
    check_count(model, int(rows.sum()))
    free = model.free
    y = table.loss
    weight = np.where(rows, 1.0, 0.0)
    if table.stderr is not None:
        weight = weight * y / table.stderr
        weight = weight / np.sqrt(np.mean(weight[rows] ** 2))
    low, high = (bound[free] for bound in model.bounds)
    shared = {}

    def place(x):
        theta = base.copy()
        theta[free] = x
        return theta

    def residuals(x):
        shared["x"], shared["both"] = x.copy(), model.derivatives(place(x))
        return _deviance(y, shared["both"][0])[0][rows] * weight[rows]

    def jacobian(x):
        if not np.array_equal(shared["x"], x):
            residuals(x)
        m, slopes = shared["both"]
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = _deviance(y, m)[1] * weight / m
        # where the model has no loss there is no slope
        return np.nan_to_num(factor[:, None] * slopes[:, free])[rows]

    best = None
    starts = model.starts(y, weight)
    for budget, candidates in ((FIRST_LOOK, starts[:KEPT]), (200, None)):
        if candidates is None:
            candidates = [best.theta]
        for base in candidates:
            x = np.clip(base[free], np.nextafter(low, np.inf), np.nextafter(high, -np.inf))
            found = least_squares(
                residuals, x, jacobian, bounds=(low, high), x_scale="jac", max_nfev=budget,
                xtol=1e-8, ftol=1e-10, gtol=1e-10,
            )  # fmt: skip
            found.theta = place(found.x)
            if best is None or found.cost <= best.cost:
                best = found
    base = best.theta
    m, slopes = model.derivatives(base)
    design = (weight[:, None] * slopes[:, free] / m[:, None])[rows]
    error = (weight * (y / m - 1.0))[rows]
    run = table.run[rows]
    count = len(model.names)
    covariance, degrees = np.zeros((count, count)), np.full(count, np.inf)
    flat, alone, at_bound = np.zeros((3, count), bool)
    covariance[np.ix_(free, free)], degrees[free], flat[free], alone[free] = sandwich(design, error, run)
    at_bound[free] = best.active_mask != 0
    runs = len(np.unique(run))
    return Fit(model, base, covariance, flat, alone, at_bound, degrees, y / m - 1.0, runs, bool(best.success))


def check_count(model: Solvable | Chinchilla, count: int) -> None:
    """ValueError unless there are more rows than parameters."""
    if count <= len(model.free):
        names = ", ".join(model.names[i] for i in model.free)
        checks.fail("FILE", f"one with more rows than the {len(model.free)} parameters {names}", f"of {count}")


def sandwich(design: np.ndarray, error: np.ndarray, run: np.ndarray) -> tuple[np.ndarray, ...]:
    """Linear least squares on design (R, p) with residuals (R,) that are correlated inside a run (R,).

    Covariance (p, p) by the jackknife over runs; (p,) degrees of freedom of its diagonal, (tr Q)^2/tr Q^2 for a
    variance e'Qe of independent errors e; (p,) whether a parameter lies in a direction that the design does not see,
    and whether in one that a single run determines (of leverage one), which that jackknife leaves out.
    """
    norm = np.sqrt((design**2).sum(0))
    unseen = norm == 0
    norm = np.where(unseen, 1.0, norm)
    left, singular, right = np.linalg.svd(design / norm, full_matrices=False)
    keep = singular > FLAT * singular[0]
    flat = unseen | (1.0 - (right[keep] ** 2).sum(0) > SEEN)
    left, inverse = left[:, keep], right[keep].T / singular[keep]  # (R, r), (p, r)
    groups = [run == one for one in np.unique(run)]
    pull = np.array([left[g].T @ error[g] for g in groups])  # (G, r)
    own = np.array([left[g].T @ left[g] for g in groups])  # (G, r, r), with the eigenvalues of H_gg
    leverage, basis = np.linalg.eigh(own)
    single = 1.0 - leverage < ALONE  # (G, r)
    raised = basis / np.where(single, np.inf, 1.0 - leverage)[:, None] @ basis.mT  # (I - H)^-1 seen from u
    half = inverse @ (raised @ pull[..., None])[..., 0].T  # (p, G)
    covariance = half @ half.T * (len(groups) - 1) / len(groups) / np.outer(norm, norm)
    alone = ((inverse @ basis) ** 2 * single[:, None]).sum((0, 2)) > SEEN * (inverse**2).sum(1)
    # Q = diag(d) - F'F of size G: weights W of the errors, one column for each run, W'W and U'W
    d = np.einsum("pa,gab,pb->pg", inverse, raised @ own @ raised, inverse)
    f = np.einsum("gab,pb->pga", own @ raised, inverse)
    size = (f**2).sum(-1)
    trace = (d - size).sum(1)
    square = (d * (d - 2.0 * size)).sum(1) + ((f.mT @ f) ** 2).sum((1, 2))
    known = square > 0.0
    degrees = np.where(known, np.maximum(trace**2 / np.where(known, square, 1.0), 1.0), 1.0)
    return covariance, degrees, flat, alone


def _deviance(y: np.ndarray, m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """sign(y - m) sqrt(2 (y/m - 1 - log y/m)) and its derivative in log m, (R,); huge where m is not positive."""
    good = np.isfinite(m) & (m > 0)
    q = np.where(good, y / np.where(good, m, 1.0), 1e6)
    e = q - 1.0
    small = np.abs(e) < 1e-4
    near = np.where(small, e, 1.0)
    exact = np.sign(e) * np.sqrt(2.0 * np.maximum(e - np.log1p(e), 0.0))
    d = np.where(small, near * (1.0 - near / 3.0), exact)
    slope = np.where(small, -(1.0 + near / 3.0), -e / np.where(small, 1.0, d))
    return d, slope
