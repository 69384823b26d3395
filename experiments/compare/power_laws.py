"""Sums of power laws with a floor, fitted to any curve: y ~ sum_j A_j x^-alpha_j + floor, A_j >= 0, floor >= 0.

Variable projection: for given exponents the amplitudes and the floor are a non-negative linear least-squares problem,
so that only the exponents are searched, within BOUNDS and from many starts. Residuals are relative to the curve.

Window rule. Power laws are what is left at large x, so points are dropped from the small end, one after the other,
until the fit is good to TOLERANCE or to the scatter over draws; what then remains must span MIN_DECADES.
"""

import dataclasses
import itertools

import numpy as np
from scipy.optimize import least_squares, nnls

from experiments.compare.statistics import bootstrap_means, log_slope, quantile
from experiments.compare.windows import MIN_DECADES, SHORTER

BOUNDS = (0.02, 8.0)  # of an exponent
STARTS = (0.1, 0.3, 0.7, 1.3, 2.2, 4.0)
TOLERANCE = 0.005  # relative residual of a curve without scatter
SEPARATE = 0.05  # two exponents closer than this are one


@dataclasses.dataclass(frozen=True)
class PowerLaws:
    """exponents increasing and amplitudes, (K,); floor; window: (first, last) x used.

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
        return _columns(np.asarray(x, float), self.exponents, False) @ self.amplitudes + self.floor


def fit_power_laws(x: np.ndarray, samples: np.ndarray, terms: int = 1, floor: bool = True) -> PowerLaws:
    """Fit `terms` power laws, and a floor if asked for, to the mean of samples (S, X), or to one curve (X,).

    Raises ValueError for x or a mean that is not positive and finite, x that does not increase, terms < 1, or fewer
    points or decades than such a fit needs.
    """
    x, samples = np.asarray(x, float), np.atleast_2d(np.asarray(samples, float))
    mean = samples.mean(0)
    _check(x, mean, samples, terms, floor)
    scatter = 0.0
    if len(samples) > 1:
        scatter = np.sqrt(np.mean((samples.std(0, ddof=1) / mean) ** 2) / len(samples))
    least = 2 * terms + 2  # points
    first, found = 0, None
    while found is None or (found[1] > max(TOLERANCE, 1.5 * scatter) and _fits(x[first + 1 :], least)):
        first += found is not None
        found = _solve(x[first:], mean[first:], terms, floor)
    exponents, residual = found
    x, samples, mean = x[first:], samples[:, first:], mean[first:]
    amplitudes, level = _project(x, mean, exponents, floor)[1:]
    order = np.argsort(exponents)
    exponents, amplitudes = exponents[order], amplitudes[order]

    share = (_columns(x, exponents, False) * amplitudes / mean[:, None]).max(0)
    status = _status(exponents, share, residual, max(TOLERANCE, 1.5 * scatter))
    half = np.zeros(terms)
    if len(samples) > 1:
        again = [np.sort(_refine(x, y, exponents, floor)[0]) for y in bootstrap_means(samples)]
        half = quantile(len(samples)) * np.std(again, axis=0)
        if status == "identified" and np.any(half > 0.5 * exponents):
            status = "not identified: the draws leave an exponent open by more than half of itself"
    cut = SHORTER * np.log(x[-1] / x[0])
    shorter = [mask for mask in (x >= x[0] * np.exp(cut), x <= x[-1] * np.exp(-cut)) if mask.sum() >= least]
    moved = [np.abs(np.sort(_refine(x[use], mean[use], exponents, floor)[0]) - exponents) for use in shorter]
    return PowerLaws(
        exponents,
        amplitudes,
        level,
        np.stack([exponents - half, exponents + half], axis=1),
        np.max(moved, axis=0) if moved else np.full(terms, np.nan),
        (float(x[0]), float(x[-1])),
        residual,
        status,
    )


def _check(x, mean, samples, terms, floor) -> None:
    if terms < 1 or int(terms) != terms:
        raise ValueError(f"Argument `terms` must be an integer >= 1, but is {terms!r}.")
    if x.ndim != 1 or samples.shape[1:] != x.shape:
        raise ValueError(f"Argument `samples` must be of shape (S, X) or (X,) with x (X,), but is {samples.shape}.")
    if not (np.all(np.isfinite(x)) and np.all(x > 0) and np.all(np.diff(x) > 0)):
        raise ValueError("Argument `x` must be positive, finite and increasing, but is not.")
    if not (np.all(np.isfinite(samples)) and np.all(mean > 0)):
        raise ValueError("Argument `samples` must be finite with a positive mean, but is not: a loss has no logarithm.")
    if not _fits(x, 2 * terms + 2):
        raise ValueError(
            f"Argument `x` must have {2 * terms + 2} points over {MIN_DECADES} decades or more for {terms} power laws"
            f"{' and a floor' if floor else ''}, but has {len(x)} over {np.log10(x[-1] / x[0]) if len(x) else 0:.2g}."
        )


def _fits(x: np.ndarray, least: int) -> bool:
    return len(x) >= least and np.log10(x[-1] / x[0]) >= MIN_DECADES - 1e-9


def _status(exponents, share, residual, tolerance) -> str:
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


def _columns(x: np.ndarray, exponents: np.ndarray, floor: bool) -> np.ndarray:
    columns = x[:, None] ** -exponents
    return np.concatenate([columns, np.ones((len(x), 1))], axis=1) if floor else columns


def _project(x, y, exponents, floor) -> tuple[np.ndarray, np.ndarray, float]:
    """Relative residuals (X,) at the best amplitudes and floor, and these."""
    columns = _columns(x, exponents, floor) / y[:, None]
    size = np.sqrt(np.mean(columns**2, axis=0))
    found, _ = nnls(columns / size, np.ones(len(x)))
    found /= size
    return columns @ found - 1.0, found[: len(exponents)], float(found[-1]) if floor else 0.0


def _refine(x, y, start, floor) -> tuple[np.ndarray, float]:
    """Exponents from one start, and the relative residual they leave."""
    found = least_squares(
        lambda alpha: _project(x, y, alpha, floor)[0], np.clip(start, *np.multiply(BOUNDS, (1.001, 0.999))),
        bounds=BOUNDS, xtol=1e-10, ftol=1e-12,
    )  # fmt: skip
    return found.x, float(np.sqrt(2 * found.cost / len(x)))


def _solve(x, y, terms, floor) -> tuple[np.ndarray, float]:
    """The best of all starts: every choice of different exponents among STARTS."""
    runs = [_refine(x, y, np.array(start), floor) for start in itertools.combinations(STARTS, terms)]
    return min(runs, key=lambda run: run[1])


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
