"""Rows that are correlated with each other, as those of a time series, stated as rows of unequal size.

Rows X = C^(1/2) Z Lambda^(1/2), with labels X w + noise that is white, are after a rotation of the rows by the
eigenvectors of C independent, with the sizes eig(C): a rotation changes neither the training loss of linear models nor
white noise. For a stationary series of many rows the eigenvalues are values of the symbol sum_k r_k exp(i k theta)
(Szegő 1915; Grenander and Szegő 1958).
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.parts import ScaleMixture
from rfm.problem import Problem, check_problem

SIZES = 128  # of rows that stand for a symbol
FINE = 32  # values of the symbol averaged for each
ROUNDING = 1e-12  # of the largest eigenvalue


def correlated_rows(
    problem: Problem, *, autocorrelation: ArrayLike | None = None, covariance: ArrayLike | None = None
) -> Problem:
    """State the problem of training on rows that are correlated in time, with the same spectrum, target and noise.

    Features at two times covary by the correlation of these times, E psi_k(t) psi_k(t') = lambda_k r(t - t'); label
    noise is white, and the risk is that on rows independent of those trained on. `simulate`, `exact` and
    `theory.predict` take the result; to them its rows are of unequal size, drawn with replacement from eig(C).

    Args:
        problem: with equal rows.
        autocorrelation: r at the lags 0, 1, ..., with r[0] = 1 and zero beyond the last; or one number phi, > -1 and
            < 1, for r = phi^lag, AR(1). Or else
        covariance: (P, P) correlation C of P rows, positive definite, of mean diagonal one.

    Returns:
        `Problem` with a mixture of row sizes.

    Raises:
        ValueError: for both or neither, an autocorrelation that no series has (its symbol is somewhere not positive), a
            covariance that is not symmetric, positive definite and of mean diagonal one, or a problem whose rows are
            real or of unequal size already.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 100.0])
        >>> series = rfm.correlated_rows(problem, autocorrelation=0.9)
        >>> theory.predict(problem, **args).risk.round(3), theory.predict(series, **args).risk.round(3)
        (array([0.873, 0.481]), array([1.078, 0.565]))
    """
    check_problem(problem)
    if not problem.equal_rows or problem.population is not None:
        checks.fail("problem", "one of Gaussian rows of one size and domain (without mixture or population)", problem)
    if (autocorrelation is None) == (covariance is None):
        given = "but not both" if covariance is not None else "or `covariance` is"
        checks.fail("autocorrelation", f"given, {given}", autocorrelation)
    sizes = _symbol(autocorrelation) if covariance is None else _eigenvalues(covariance)
    ones = np.ones_like(sizes)
    return dataclasses.replace(problem, mixture=ScaleMixture(sizes / sizes.mean(), ones, ones / len(sizes)))


def _symbol(autocorrelation: ArrayLike | None) -> np.ndarray:
    """Return mean values of the symbol over equal parts of (0, pi), positive."""
    r = checks.numeric("autocorrelation", autocorrelation)
    theta = (np.arange(SIZES * FINE) + 0.5) * np.pi / (SIZES * FINE)
    if r.ndim == 0:
        if not abs(r) < 1:
            checks.fail("autocorrelation", "a number > -1 and < 1 (AR(1)), or those at the lags 0, 1, ...", r)
        values = (1.0 - r**2) / (1.0 - 2.0 * r * np.cos(theta) + r**2)
    else:
        if r.ndim != 1 or not r.size or not np.all(np.isfinite(r)) or abs(r[0] - 1.0) > 1e-9:
            checks.fail("autocorrelation", "finite numbers at the lags 0, 1, ..., the first of them one", r)
        values = 1.0 + 2.0 * np.cos(theta[:, None] * np.arange(1, len(r))[None]) @ r[1:]
    if values.min() <= 0:
        checks.fail("autocorrelation", "that of a series, whose symbol 1 + 2 sum r_k cos(k theta) is positive", r)
    return np.sort(values).reshape(SIZES, FINE).mean(1)


def _eigenvalues(covariance: ArrayLike) -> np.ndarray:
    """Return eigenvalues (P,), positive and of mean one."""
    c = checks.numeric("covariance", covariance)
    if c.ndim != 2 or c.shape[0] != c.shape[1] or not c.size or not np.all(np.isfinite(c)):
        checks.fail("covariance", "a finite matrix (P, P)", c.shape)
    if not np.allclose(c, c.T, rtol=0.0, atol=1e-9 * np.abs(c).max()):
        checks.fail("covariance", "symmetric", c)
    if abs(np.trace(c) / len(c) - 1.0) > 1e-6:
        checks.fail(
            "covariance", "of mean diagonal one (sizes of features are those of the problem)", np.trace(c) / len(c)
        )
    values = np.linalg.eigvalsh(c)
    if values[0] <= ROUNDING * values[-1]:
        checks.fail("covariance", "positive definite (its least eigenvalue is not)", float(values[0]))
    return values
