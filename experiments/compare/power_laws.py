"""Sums of power laws with a floor, fitted to any curve: y ~ sum_j A_j x^-alpha_j + floor, A_j >= 0, floor >= 0.

Variable projection: for given exponents the amplitudes and the floor are a non-negative linear least-squares problem,
so that only the exponents are searched, within BOUNDS and from many starts. Residuals are relative to the curve.

Window rule. Power laws are what is left at large x, so points are dropped from the small end, one after the other,
until the fit is good to CLEAN_RESIDUAL or to the scatter over draws; what then remains must span MIN_DECADES.
"""

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares, nnls

from experiments.compare.statistics import bootstrap_means, log_slope, quantile
from experiments.compare.windows import MIN_DECADES, SHORTER
from rfm import checks

BOUNDS = (0.02, 8.0)  # of an exponent
EXPONENT_STARTS = (0.1, 0.3, 0.7, 1.3, 2.2, 4.0)
CLEAN_RESIDUAL = 0.005  # relative residual of a curve without scatter
SEPARATE = 0.05  # two exponents closer than this are one


@dataclasses.dataclass(frozen=True)
class PowerLaws:
    """Power laws as fitted: exponents increasing and amplitudes, (K,); floor; window: (first, last) x used.

    intervals: (K, 2), 95 % over draws, equal to the exponents for a curve without draws. window_error: (K,) the most an
    exponent moves where a quarter of the window is left out at either end. residual: root mean square, relative.
    status: "identified", or why not.
    """

    exponents: np.ndarray
    amplitudes: np.ndarray
    floor: float
    intervals: np.ndarray
    window_error: np.ndarray
    window: tuple[float, float]
    residual: float
    status: str

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The fitted curve at x."""
        return _columns(np.asarray(x, float), self.exponents, floor=False) @ self.amplitudes + self.floor


class Projection(NamedTuple):
    """Best amplitudes (K,) and floor for given exponents, and the relative residuals (X,) that they leave."""

    residuals: np.ndarray
    amplitudes: np.ndarray
    floor: float


class Solution(NamedTuple):
    """Exponents (K,) from one start, and the relative residual that they leave."""

    exponents: np.ndarray
    residual: float


def fit_power_laws(x: np.ndarray, samples: np.ndarray, terms: int = 1, floor: bool = True) -> PowerLaws:
    """Fit `terms` power laws, and a floor if asked for, to the mean of samples (S, X), or to one curve (X,).

    Args:
        x: Where the curve is known, (X,), increasing.
        samples: Draws (S, X), or one curve (X,).
        terms: How many power laws are added.
        floor: Is a constant added?

    Raises:
        ValueError: x or a mean is not positive and finite, x does not increase, terms < 1, or there are fewer points
            or decades than such a fit needs.

    Example:
        >>> x = np.geomspace(1.0, 1e4, 41)
        >>> fit_power_laws(x, 2.0 * x**-0.5 + 0.01).exponents.round(3)
        array([0.5])
    """
    x, samples = np.asarray(x, float), np.atleast_2d(np.asarray(samples, float))
    _check(x, samples, terms, floor=floor)
    mean, draws, scatter = samples.mean(0), len(samples), 0.0
    if draws > 1:
        scatter = float(np.sqrt(np.mean((samples.std(0, ddof=1) / mean) ** 2) / draws))
    least, tolerance = 2 * terms + 2, max(CLEAN_RESIDUAL, 1.5 * scatter)  # points, and the residual allowed
    first = 0
    best = _solve(x, mean, terms, floor=floor)
    while best.residual > tolerance and _fits(x[first + 1 :], least):
        first += 1
        best = _solve(x[first:], mean[first:], terms, floor=floor)
    x, samples, mean = x[first:], samples[:, first:], mean[first:]
    level = _project(x, mean, best.exponents, floor=floor)
    order = np.argsort(best.exponents)
    exponents, amplitudes = best.exponents[order], level.amplitudes[order]

    def refined(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.sort(_refine(x, y, exponents, floor=floor).exponents)

    share = (_columns(x, exponents, floor=False) * amplitudes / mean[:, None]).max(0)
    status = _status(exponents, share, best.residual, tolerance)
    half = np.zeros(terms)
    if draws > 1:
        half = quantile(draws) * np.std([refined(x, y) for y in bootstrap_means(samples)], axis=0)
        if status == "identified" and np.any(half > 0.5 * exponents):
            status = "not identified: the draws leave an exponent open by more than half of itself"
    cut = SHORTER * np.log(x[-1] / x[0])
    shorter = [mask for mask in (x >= x[0] * np.exp(cut), x <= x[-1] * np.exp(-cut)) if mask.sum() >= least]
    moved = [np.abs(refined(x[use], mean[use]) - exponents) for use in shorter]
    intervals = np.stack([exponents - half, exponents + half], axis=1)
    window_error = np.max(moved, axis=0) if moved else np.full(terms, np.nan)
    window = float(x[0]), float(x[-1])
    return PowerLaws(exponents, amplitudes, level.floor, intervals, window_error, window, best.residual, status)


def _check(x: np.ndarray, samples: np.ndarray, terms: int, *, floor: bool) -> None:
    least = 2 * checks.count("terms", terms, "an integer >= 1") + 2
    if x.ndim != 1 or samples.shape[1:] != x.shape:
        checks.fail("samples", "of shape (S, X) or (X,) with x (X,)", samples.shape)
    if not (np.all(np.isfinite(x)) and np.all(x > 0) and np.all(np.diff(x) > 0)):
        checks.fail("x", "positive, finite and increasing", x)
    if not (np.all(np.isfinite(samples)) and np.all(samples.mean(0) > 0)):
        checks.fail("samples", "finite with a positive mean (a loss has a logarithm)", samples)
    if not _fits(x, least):
        fitted = f"{terms} power laws{' and a floor' if floor else ''}"
        checks.fail("x", f"of {least} points over {MIN_DECADES} decades or more for {fitted}", x)


def _fits(x: np.ndarray, least: int) -> bool:
    return len(x) >= least and bool(np.log10(x[-1] / x[0]) >= MIN_DECADES - 1e-9)


def _status(exponents: np.ndarray, share: np.ndarray, residual: float, tolerance: float) -> str:
    """share: (K,) of the curve that each term makes up, where it makes up most."""
    if np.any(np.isclose(exponents, BOUNDS[0], rtol=2e-3) | np.isclose(exponents, BOUNDS[1], rtol=2e-3)):
        return f"not identified: an exponent at its bound, {BOUNDS[0]} or {BOUNDS[1]}"
    if residual > tolerance:
        return f"not identified: no window of {MIN_DECADES} decades is fitted to {tolerance:.2%}"
    if np.any(share < tolerance):
        return "not identified: no interior minimum, a term is not needed"
    if np.any(np.diff(exponents) < SEPARATE):
        return "not identified: two exponents coincide"
    return "identified"


def _columns(x: np.ndarray, exponents: np.ndarray, *, floor: bool) -> np.ndarray:
    columns = x[:, None] ** -exponents
    return np.concatenate([columns, np.ones((len(x), 1))], axis=1) if floor else columns


def _project(x: np.ndarray, y: np.ndarray, exponents: np.ndarray, *, floor: bool) -> Projection:
    columns = _columns(x, exponents, floor=floor) / y[:, None]
    size = np.sqrt(np.mean(columns**2, axis=0))
    amplitudes = nnls(columns / size, np.ones(len(x)))[0] / size
    level = float(amplitudes[-1]) if floor else 0.0
    return Projection(columns @ amplitudes - 1.0, amplitudes[: len(exponents)], level)


def _refine(x: np.ndarray, y: np.ndarray, start: np.ndarray, *, floor: bool) -> Solution:
    inside = np.clip(start, *np.multiply(BOUNDS, (1.001, 0.999)))
    residuals = lambda alpha: _project(x, y, alpha, floor=floor).residuals  # noqa: E731
    least = least_squares(residuals, inside, bounds=BOUNDS, xtol=1e-10, ftol=1e-12)
    return Solution(least.x, float(np.sqrt(2 * least.cost / len(x))))


def _solve(x: np.ndarray, y: np.ndarray, terms: int, *, floor: bool) -> Solution:
    """Return the best of all starts: every choice of different exponents among EXPONENT_STARTS."""
    starts = itertools.combinations(EXPONENT_STARTS, terms)
    return min((_refine(x, y, np.array(start), floor=floor) for start in starts), key=lambda refined: refined.residual)


def power_law_exponents(eigenvalues: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Return (a, b) of a measured spectrum: lambda_k ~ k^-b, sum_{j >= k} lambda_j w_j^2 ~ k^-(a-1).

    Least squares in log-log between k = 10 and a quarter of the rank, past the largest modes and before the finite
    sample bends the tail.
    """
    rank = len(eigenvalues)
    k = np.arange(1.0, rank + 1)
    middle = slice(min(9, rank // 8), max(rank // 4, min(rank, 12)))
    power = np.cumsum((eigenvalues * target**2)[::-1])[::-1]
    return 1.0 - log_slope(k[middle], power[middle]), -log_slope(k[middle], eigenvalues[middle])
