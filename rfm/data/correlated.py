"""Rows that are correlated with each other, as those of a time series, stated as rows of unequal size.

Rows X = C^(1/2) Z Lambda^(1/2), with labels X w + noise that is white, are after a rotation of the rows by the
eigenvectors of C independent, with the sizes eig(C): a rotation changes neither the training loss of linear models nor
white noise. For a stationary series of many rows the eigenvalues are values of the symbol sum_k r_k exp(i k theta)
(Szegő 1915; Grenander and Szegő 1958). Few sizes stand for all of them: averages over sizes are those of functions that
are analytic in their logarithm, for which Gauss's rule is exact to rounding.
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.parts import ScaleMixture
from rfm.problem import Problem, check_problem

SIZES = 32  # of rows at most
FINE = 8192  # values of a symbol
ROUNDING = 1e-12  # of the largest eigenvalue


def correlated_rows(
    problem: Problem, *, autocorrelation: ArrayLike | None = None, covariance: ArrayLike | None = None
) -> Problem:
    """State the problem of training on rows that are correlated in time, with the same spectrum, target and noise.

    Features at two times covary by the correlation of these times, E psi_k(t) psi_k(t') = lambda_k r(t - t'); label
    noise is white, and the risk is that on rows independent of those trained on. `simulate`, `exact` and
    `theory.predict` take the result; to them its rows are of unequal size, drawn from Gauss's rule of SIZES = 32 values
    for eig(C), or from eig(C) itself where there are no more.

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
    sizes, weights = _rule(sizes)
    return dataclasses.replace(problem, mixture=ScaleMixture(sizes / (weights @ sizes), np.ones_like(sizes), weights))


def _symbol(autocorrelation: ArrayLike | None) -> np.ndarray:
    """Return values of the symbol at equal distances in (0, pi), positive."""
    r = checks.numeric("autocorrelation", autocorrelation)
    theta = (np.arange(FINE) + 0.5) * np.pi / FINE
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
    return values


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


def _rule(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sizes and weights (J,) of Gauss's rule in the logarithm, for means over values: Golub and Welsch 1969."""
    x = np.log(values)
    basis, diagonal, beside = np.full((1, len(x)), len(x) ** -0.5), [], []
    while True:  # Lanczos's tridiagonal matrix of x
        moved = x * basis[-1]
        diagonal.append(moved @ basis[-1])
        for _ in range(2):  # once leaves rounding of what it takes away
            moved = moved - (basis @ moved) @ basis
        size = np.linalg.norm(moved)
        if len(basis) == min(SIZES, len(x)) or size < ROUNDING:
            break
        beside.append(size)
        basis = np.concatenate([basis, moved[None] / size])
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return np.exp(nodes), vectors[0] ** 2
