"""Exponents from scans: a window chosen by rule, a slope, its uncertainty over draws and windows, or a refusal.

Rule. A point counts while theory at the scan's sizes is within FINITE_SIZE of theory with all other sizes and times
infinite: beyond it something else limits the risk. Of all windows of such points that span MIN_DECADES, the
longest in which the local slope of that limit stays within DRIFT of its mean is taken, the later one of equals;
where there is none, the shortest with the least drift, and the fit says that its slope drifts. The rule looks at
theory alone, so the simulation cannot choose its own window.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

from experiments.compare.scans import Scan

FINITE_SIZE = 0.1
DRIFT = 0.05
MIN_DECADES = 0.6
MIN_POINTS = 4
BOOTSTRAPS = 200
SHORTER = 0.25  # part of the window, in log x, that is left out at either end to see what the window decides
STEP = 0.1  # in log x, of `log_derivative`: an error of a few 1e-6 in the exponents of power laws
Z_LIMIT = 3.0  # simulation and theory slopes agree within this many standard errors


@dataclasses.dataclass(frozen=True)
class Fit:
    """Exponent (minus the log-log slope) of a scan: window = (first, last) x, empty where not identified.

    stderr: over draws, by bootstrap; interval: 95 % of it. window_error: the most that the simulated exponent moves
    where a quarter of the window is left out at either end.
    """

    window: tuple[float, float] | None
    theory: float
    simulated: float
    stderr: float
    interval: tuple[float, float]
    window_error: float
    status: str

    @property
    def z(self) -> float:
        """(simulated - theory)/stderr."""
        return (self.simulated - self.theory) / self.stderr

    @property
    def agrees(self) -> bool:
        """Is the simulated exponent within Z_LIMIT standard errors of the theory's over the same window?"""
        return self.window is not None and abs(self.z) <= Z_LIMIT


def fit_exponent(scan: Scan) -> Fit:
    """Exponents of simulation and theory over the window of the rule, by least squares in log-log."""
    window, drift = choose_window(scan)
    if window is None:
        nothing = f"not identified: theory at these sizes is at its limit for less than {MIN_DECADES} decades"
        return Fit(None, np.nan, np.nan, np.nan, (np.nan, np.nan), np.nan, nothing)
    x, samples = scan.x[window], scan.samples[:, window]
    slope, stderr = bootstrap_slope(x, samples)
    theory_slope = log_slope(x, scan.predicted[window])
    half = stdtrit(len(samples) - 1, 0.975) * stderr
    cut = np.exp(SHORTER * np.log(x[-1] / x[0]))
    parts = [use for use in (x >= x[0] * cut, x <= x[-1] / cut) if use.sum() > 1]
    moved = [abs(log_slope(x[use], samples.mean(0)[use]) - slope) for use in parts]
    return Fit(
        (float(x[0]), float(x[-1])),
        -theory_slope,
        -slope,
        stderr,
        (float(-slope - half), float(-slope + half)),
        max(moved),
        "steady" if drift <= DRIFT else f"slope drifts by {drift:.0%}",
    )


def choose_window(scan: Scan) -> tuple[slice | None, float]:
    """The rule of this module: the window, None where there is none, and the relative drift of its slope."""
    # a limit that vanishes (finitely many modes, all learned) is no power law
    use = (scan.x > 0) & (np.abs(scan.predicted - scan.limit) < FINITE_SIZE * scan.limit)
    local = local_slopes(scan.x, np.where(scan.limit > 0, scan.limit, np.nan))
    steady, span = (None, np.inf), MIN_DECADES - 1e-9
    fallback = (None, np.inf)
    for first in range(len(use)):
        for last in range(first + MIN_POINTS - 1, len(use)):
            inside = slice(first, last + 1)
            if not use[inside].all():
                break
            decades = np.log10(scan.x[last] / scan.x[first])
            if decades < MIN_DECADES - 1e-9:
                continue
            drift = np.ptp(local[inside]) / (2 * np.abs(local[inside].mean()))
            if drift <= DRIFT and decades >= span:
                steady, span = (inside, drift), decades
            if drift < fallback[1]:
                fallback = (inside, drift)
    return steady if steady[0] is not None else fallback


def local_slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """d log y / d log x at every point, (X,); NaN at x = 0."""
    slopes = np.full(len(x), np.nan)
    positive = x > 0
    if positive.sum() > 1:
        slopes[positive] = np.gradient(np.log(y[positive]), np.log(x[positive]))
    return slopes


def bootstrap_means(samples: np.ndarray) -> np.ndarray:
    """(BOOTSTRAPS, X) means over as many draws again, drawn with replacement from samples (S, X).

    A draw is taken at all x at once, which keeps the correlation along a training curve.
    """
    count = len(samples)
    picked = np.random.default_rng(0).integers(count, size=(BOOTSTRAPS, count))
    return samples[picked].mean(1)


def quantile(draws: int) -> float:
    """Half width of a 95 % interval over draws, in standard deviations of `bootstrap_means`.

    Student's, for few draws; the root is what resampling takes from the variance.
    """
    return float(stdtrit(draws - 1, 0.975) * np.sqrt(draws / (draws - 1)))


def bootstrap_slope(x: np.ndarray, samples: np.ndarray) -> tuple[float, float]:
    """Log-log slope of the mean over seeds and its standard error; samples (S, X)."""
    count = len(samples)
    means = bootstrap_means(samples)
    if np.any(means <= 0):
        raise ValueError("Argument `samples` must be positive, but is not: a loss <= 0 has no logarithm.")
    slopes = np.polyfit(np.log(x), np.log(means).T, 1)[0]
    return log_slope(x, samples.mean(0)), float(np.std(slopes) * np.sqrt(count / (count - 1)))


def power_law_exponents(eigenvalues: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """(a, b) of a measured spectrum: lambda_k ~ k^-b, sum_{j >= k} lambda_j w_j^2 ~ k^-(a-1), least squares in log-log
    between k = 10 and a quarter of the rank, past the largest modes and before the finite sample bends the tail."""
    rank = len(eigenvalues)
    k = np.arange(1.0, rank + 1)
    middle = slice(min(9, rank // 8), max(rank // 4, min(rank, 12)))
    power = np.cumsum((eigenvalues * target**2)[::-1])[::-1]
    return 1.0 - log_slope(k[middle], power[middle]), -log_slope(k[middle], eigenvalues[middle])


def log_derivative(curve: Callable[[np.ndarray], np.ndarray], at: float) -> float:
    """d log y/d log x of y = curve(x) at one x, by a central difference: no window is chosen."""
    low, high = np.log(curve(at * np.exp([-STEP, STEP])))
    return float((high - low) / (2 * STEP))


def log_slope(x: np.ndarray, y: np.ndarray) -> float:
    """d log y/d log x by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])
