"""Sizes of unequal rows from their leverages, and how the label noise depends on size.

A row x = sqrt(tau) z in the span of m leading modes has the leverage h of z.z tau/(n + z.z tau), so h/(1 - h) is tau
times chi^2_m/n. The scatter of log chi^2 is known, what the logarithm scatters beyond it is that of tau. Label noise:
the squared residual of a row left out of ridge regression follows tau^g, and g is fitted.
"""

import math

import numpy as np

from rfm.data.left_out import Decomposed, left_out_errors
from rfm.data.spectra import NEAREST
from rfm.problem import ScaleMixture

SIZE_MODES = 50  # that tell a row's size: far fewer than rows, so that none of them is what a single row made of it
KINDS = 16  # of rows
SIGNIFICANT = 3.0  # standard errors by which sizes must scatter more than equal ones would
RIDGES = np.geomspace(1e-1, 1e-7, 13)  # of the largest eigenvalue: one of them leaves the least residual
STEEPEST_NOISE = 2.0  # exponent g


def spread(rows: np.ndarray, eigenvalues: np.ndarray) -> float:
    """Return the relative standard deviation of q = sum_k x_k^2/lambda_k beyond the Gaussian one, over the first modes.

    rows: (n, r) in their eigenbasis.
    """
    m = _modes(len(rows), eigenvalues)
    q = np.sum(rows[:, :m] ** 2 / eigenvalues[:m], axis=1)
    return math.sqrt(max(q.var() / q.mean() ** 2 - 2.0 / m, 0.0))


def estimate_row_sizes(
    rows: np.ndarray, labels: np.ndarray, eigenvalues: np.ndarray, target: np.ndarray, *, size: int
) -> ScaleMixture | None:
    """Estimate sizes of rows in KINDS equal parts, or None if they scatter no more than the norms of Gaussian rows.

    rows: (m, r), all or some of `size` rows in the eigenbasis of their covariance, whose eigenvalues are (r,) and best
    linear predictor is target (r, K); labels (m, K).
    """
    from scipy.special import polygamma

    m = _modes(len(rows), eigenvalues)
    if len(rows) < 2 * KINDS or m < 2:
        return None
    leverage = np.sum(rows[:, :m] ** 2 / (size * eigenvalues[:m]), axis=1)
    log_q = np.log(leverage / (1 - leverage))
    equal = float(polygamma(1, m / 2))
    excess = 1 - equal / log_q.var()
    if excess < SIGNIFICANT * math.sqrt(2 / len(rows)):
        return None
    kinds = np.array_split(np.argsort(log_q), KINDS)
    weights = np.array([len(kind) for kind in kinds]) / len(rows)
    q = np.exp(math.sqrt(excess) * (log_q - log_q.mean()))  # as much scatter as tau has
    tau = np.array([q[kind].mean() for kind in kinds])
    residual = _left_out(rows, labels, eigenvalues, target, size=size)
    left = np.array([residual[kind].mean() for kind in kinds])
    g = 0.0
    if np.all(left > 0):
        slope = np.polyfit(np.log(tau), np.log(left), 1, w=np.sqrt(weights))[0]
        g = float(np.clip(slope, -STEEPEST_NOISE, STEEPEST_NOISE))
    noise = tau**g
    return ScaleMixture(tau / (weights @ tau), noise / (weights @ noise), weights)


def _left_out(
    rows: np.ndarray, labels: np.ndarray, eigenvalues: np.ndarray, target: np.ndarray, *, size: int
) -> np.ndarray:
    """Return the squared residual (m,) of each row, summed over outputs, by the best ridge regression on all others."""
    ridges = RIDGES * eigenvalues[0]
    filters = np.sum(eigenvalues / (eigenvalues + ridges[:, None]), axis=1)
    ridges = ridges[filters < max(NEAREST * size, 1.001 * filters[0])]
    root = np.sqrt(size * eigenvalues)
    sample = Decomposed(eigenvalues, rows / root, root[:, None] * target, size)
    squared = np.sum(left_out_errors(sample, labels, ridges, centered=True).errors ** 2, axis=1)  # (m, S)
    return squared[:, squared.mean(0).argmin()]


def _modes(num_rows: int, eigenvalues: np.ndarray) -> int:
    return max(1, min(SIZE_MODES, num_rows // 10, len(eigenvalues)))


def powered(mixture: ScaleMixture, strength: float) -> ScaleMixture:
    """Return sizes tau^strength of mean one, with the same shares of the label noise.

    Example:
        >>> mixture = ScaleMixture(np.array([0.5, 1.5]), np.array([1.0, 1.0]), np.array([0.5, 0.5]))
        >>> powered(mixture, 0.0).sizes.tolist()
        [1.0, 1.0]
    """
    sizes = np.asarray(mixture.sizes, float) ** strength
    return ScaleMixture(sizes / (mixture.weights @ sizes), mixture.noise, mixture.weights)
