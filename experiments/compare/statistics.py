"""Means, standard errors, quantiles and slopes over draws: risks have a row a seed, (S, X)."""

from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

from rfm import checks

BOOTSTRAPS = 200
# of a standard deviation: with less, slopes become differences of near points, with weights many times as large, that
# see how log risk bends; errors are 0.6 to 0.8 of those without weights, 0.5 to 0.75 with a tenth
UNKNOWN = 0.3
STEP = 0.1  # in log x, of `log_derivative`: an error of a few 1e-6 in the exponents of power laws


def standard_error(risks: np.ndarray) -> np.ndarray:
    """Standard error of the mean over seeds, (X,), of risks (S, X)."""
    return risks.std(0, ddof=1) / np.sqrt(len(risks))


def student(draws: int, level: float = 0.05) -> float:
    """Half width, in standard errors over `draws`, of the interval that misses with chance `level`."""
    return float(stdtrit(draws - 1, 1.0 - 0.5 * level))


def bootstrap_means(risks: np.ndarray) -> np.ndarray:
    """Means (BOOTSTRAPS, ...) over as many draws again, drawn with replacement from risks (S, ...).

    A draw is taken at all x at once, which keeps the correlation along a training curve.
    """
    count = len(risks)
    picked = np.random.default_rng(0).integers(count, size=(BOOTSTRAPS, count))
    return risks[picked].mean(1)


def widened(draws: int) -> float:
    """Root of S/(S - 1): resampling S draws takes that much from a standard deviation."""
    return float(np.sqrt(draws / (draws - 1)))


def quantile(draws: int) -> float:
    """Half width of a 95 % interval over draws, in standard deviations of `bootstrap_means`."""
    return student(draws) * widened(draws)


def over_draws(risks: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return function(mean of risks (S, ...)) and its standard error over draws, by bootstrap."""
    values = np.array([function(mean) for mean in bootstrap_means(risks)])
    with np.errstate(invalid="ignore"):  # inf - inf where a risk is never reached
        stderr = values.std(0) * widened(len(risks))
    return function(risks.mean(0)), stderr


def bootstrap_slope(x: np.ndarray, risks: np.ndarray, spread: np.ndarray | None = None) -> tuple[float, float]:
    """Log-log slope of the mean of risks (S, X) over seeds and its standard error; spread: as in `slope_weights`.

    Raises:
        ValueError: A mean is not positive.
    """
    means = bootstrap_means(risks)
    if np.any(means <= 0):
        checks.fail("risks", "of positive means, since a loss <= 0 has no logarithm", float(means.min()))
    slopes = np.log(means) @ slope_weights(x, spread)
    return log_slope(x, risks.mean(0), spread), float(np.std(slopes) * widened(len(risks)))


def log_slope(x: np.ndarray, y: np.ndarray, spread: np.ndarray | None = None) -> float:
    """Slope d log y/d log x by least squares; spread: as in `slope_weights`."""
    return float(np.log(y) @ slope_weights(x, spread))


def slope_weights(x: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
    """Weights (X,) of log y whose sum is the slope d log y/d log x, by least squares.

    With the covariance (X, X) of log y up to a factor, `spread`, they are those of generalised least squares,

        V^-1 c/(c V^-1 c),   V = L L' = spread + UNKNOWN^2 (its mean variance) 1,

    c the part of log x that is orthogonal to a constant in V^-1. What is added keeps differences between
    points that are nearly the same draw from being all that counts: a line is not right to so little.

    Example:
        >>> slope_weights(np.array([1.0, np.e]))
        array([-1.,  1.])
    """
    columns = np.stack([np.ones(len(x)), np.log(x) - np.log(x).mean()], axis=1)
    if spread is None:
        return np.linalg.pinv(columns)[1]
    variance = UNKNOWN**2 * np.trace(spread) / len(x)
    root = np.linalg.cholesky(spread + variance * np.eye(len(x)))
    return np.linalg.solve(root.T, np.linalg.pinv(np.linalg.solve(root, columns))[1])  # eq. 68


def slopes_of_draws(x: np.ndarray, risks: np.ndarray) -> np.ndarray:
    """Log-log slope of every draw by itself, (S,), of risks (S, X)."""
    return np.polyfit(np.log(x), np.log(risks).T, 1)[0]


def power_line(x: np.ndarray, y: np.ndarray, slope: float) -> np.ndarray:
    """Power law of a slope at x, (X,), through the centre of all log y (..., X) over log x."""
    return np.exp(np.log(y).mean() + slope * (np.log(x) - np.log(x).mean()))


def local_slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slope d log y/d log x at every point, (X,); NaN at x = 0."""
    slopes = np.full(len(x), np.nan)
    positive = x > 0
    if positive.sum() > 1:
        slopes[positive] = np.gradient(np.log(y[positive]), np.log(x[positive]))
    return slopes


def log_derivative(curve: Callable[[np.ndarray], np.ndarray], at: float) -> float:
    """Slope d log y/d log x of y = curve(x) at one x, by a central difference: no window is chosen."""
    low, high = np.log(curve(at * np.exp([-STEP, STEP])))
    return float((high - low) / (2 * STEP))
