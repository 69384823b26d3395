"""Covariances of risk and training loss between draws, at a ridge and between times: sums over nodes."""

import math
from typing import Any

import numpy as np

from theory.contour import length
from theory.dynamics import nodes_around
from theory.filters import FILTERS
from theory.fixed_point import Model, kappa_path, spectral_edge
from theory.mode_sums import degrees_of_freedom
from theory.shared_nodes import STEP, windows
from theory.two_replicas import Replica, covariance, replica, training_covariance

CIRCLE, RADIUS = 24, 0.5  # points on half a circle around a ridge, and its radius, in units of the ridge
SMALLEST_RIDGE = 1e-10  # of the largest eigenvalue: what stands for none

Side = tuple[np.ndarray, Replica]  # indexes of times, and the nodes for them


def sides_in_time(model: Model, times: np.ndarray, algorithm: str, parameters: dict[str, Any]) -> list[Side]:
    """Return the nodes for times (T,) of a filter named in `filters.FILTERS`, window by window."""
    found = windows(model, times, algorithm, parameters)
    return [(window.which, replica(window.weights, window.kappa, model)) for window in found]


def side_at(kappa: np.ndarray, model: Model) -> Side:
    """Return the one node of a ridge."""
    return np.arange(1), replica(np.ones((1, 1)), np.reshape(kappa, 1), model)


def risk_covariance(sides: list[Side], model: Model, *, pairs: bool) -> np.ndarray:
    """Return covariances of the risk (T, T): all, or those of near times alone."""
    count = sum(len(index) for index, _ in sides)
    matrix = np.zeros((count, count))
    for i, (here, first) in enumerate(sides):
        for there, second in sides[i:] if pairs else [(here, first)]:
            block = covariance(first, second, model)
            matrix[here[:, None], there] = block
            matrix[there[:, None], here] = block.T
    return matrix


def risk_variance(sides: list[Side], model: Model, *, by_rows: bool = False) -> np.ndarray:
    """Return variances of the risk (T,), or their part over rows."""
    each = np.concatenate([np.diag(covariance(side, side, model, by_rows=by_rows)) for _, side in sides])
    return np.maximum(each[np.argsort(np.concatenate([index for index, _ in sides]))], 0.0)


def training_covariance_in_time(
    model: Model, times: np.ndarray, algorithm: str, parameters: dict[str, Any]
) -> np.ndarray:
    """Return the covariance (T, T) between times (T,) of a filter named in `filters.FILTERS`."""
    flt = FILTERS[algorithm](**parameters)
    horizon = flt.elapsed(times.max())
    nodes = math.ceil(length(horizon, flt.stability(spectral_edge(model))) / STEP)
    around = nodes_around(model, flt, horizon, nodes)
    r = flt.response(around.z[None], times[:, None])
    return _summed(r**2 * (around.weights * around.exact_data(model))[None], around.kappa, model)


def training_covariance_at(model: Model, ridge: np.ndarray) -> np.ndarray:
    """Return the variance (1, 1) at a ridge s: train = -s^2 d/ds (phi/s), by Cauchy on a circle around it."""
    s = max(float(ridge), SMALLEST_RIDGE * float(model.modes.eigenvalues.max()))
    turn = np.exp(1j * np.pi * (np.arange(CIRCLE) + 0.5) / CIRCLE)
    path = s * (1.0 + RADIUS * np.concatenate([[1.0], turn]))
    found = kappa_path(path, model)
    kappa, data = found.kappa[1:], found.data[1:]
    df1, _ = degrees_of_freedom(kappa, model.modes)
    other = 1.0 / (kappa * (1.0 - df1 * model.inv_n))
    over_s = np.where(model.inv_p > model.inv_n, other, data / path[1:])  # R1/s, the unit of phi/s
    return _summed((-s / (2.0 * CIRCLE * RADIUS) * over_s / turn)[None], kappa, model)


def _summed(weights: np.ndarray, kappa: np.ndarray, model: Model) -> np.ndarray:
    """Sum over nodes kappa (n,) above the real axis, the first may be on it, with weights (T, n), and below it."""
    real = np.count_nonzero(np.imag(kappa[:1]) == 0)
    weights = np.concatenate([2.0 * np.real(weights[:, :real]), weights[:, real:], weights[:, real:].conj()], axis=1)
    kappa = np.concatenate([kappa, kappa[real:].conj()])
    return np.real(weights @ training_covariance(kappa, model) @ weights.T)
