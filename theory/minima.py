"""Least values and derivatives of smooth functions that numpy evaluates: grids, ever finer, and differences."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

LOOKS = 3  # at a grid, and at finer ones about its least values
RIVAL = 1.05  # times the least value: a dip of a grid up to there may go deepest between its points
MOST_DIPS = 3
REACH = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])  # points of a difference along a line, in steps
FIRST = np.array([-1.0, 9.0, -45.0, 45.0, -9.0, 1.0]) / 60.0  # to the sixth power of a step
SECOND, MIDDLE = np.array([2.0, -27.0, 270.0, 270.0, -27.0, 2.0]) / 180.0, -490.0 / 180.0
STEP = 0.01  # of differences: 1e-10 of rounding is left in second derivatives, and nothing of what varies over 0.1


class Least(NamedTuple):
    """The least value of all that were looked at.

    inside: it lies between two that are larger and finite, low < x < high; else it is at an end of the range.
    """

    x: float
    value: float
    low: float
    high: float
    inside: bool


def least(
    function: Callable[[np.ndarray], np.ndarray],
    grid: np.ndarray,
    finer: Callable[[float, float], np.ndarray],
    *,
    looks: int = LOOKS,
) -> Least:
    """Find the least value of a function >= 0 over a grid, and over finer(low, high) about every dip that may be it."""
    first = _values(function, grid)
    best = _at(grid, first, int(np.argmin(first)))  # eq. 20
    for dip in _dips(first):
        here = _at(grid, first, dip)
        for _ in range(looks - 1):
            x = finer(here.low, here.high)
            values = _values(function, x)
            here = _at(x, values, int(np.argmin(values)))
            if here.value <= best.value:
                best = here
    return best


def _values(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    values = function(x)
    return np.where(np.isnan(values), np.inf, values)


def _at(x: np.ndarray, values: np.ndarray, i: int) -> Least:
    low, high = max(i - 1, 0), min(i + 1, len(x) - 1)
    inside = low < i < high and bool(np.all(np.isfinite(values[[low, high]])))
    return Least(float(x[i]), float(values[i]), float(x[low]), float(x[high]), inside)


def _dips(values: np.ndarray) -> list[int]:
    """Return the places of local minima that may be the least, the lowest first."""
    walled = np.concatenate([[np.inf], values, [np.inf]])
    dips = np.flatnonzero((walled[1:-1] < walled[:-2]) & (walled[1:-1] <= walled[2:]))
    near = dips[values[dips] <= RIVAL * np.min(values)]
    return near[np.argsort(values[near], kind="stable")][:MOST_DIPS].tolist()


class Expansion(NamedTuple):
    """A function at a point: value, gradient (d,) and matrix of second derivatives (d, d)."""

    value: float
    gradient: np.ndarray
    hessian: np.ndarray


def expand(function: Callable[[np.ndarray], np.ndarray], point: np.ndarray) -> Expansion:
    """Return the derivatives of a function of d numbers of order one, along the axes and the diagonals between them.

    function: from points (k, d) to values (k,).
    """
    d = len(point)
    axes, (i, j) = np.eye(d), np.tril_indices(d, -1)
    directions = np.concatenate([axes, axes[i] + axes[j]])
    moved = point + STEP * REACH[:, None] * directions[:, None]  # (directions, 6, d)
    value, *values = function(np.concatenate([point[None], moved.reshape(-1, d)]))
    values = np.reshape(values, moved.shape[:2])
    bends = (values @ SECOND + value * MIDDLE) / STEP**2
    hessian = np.diag(bends[:d])
    hessian[i, j] = hessian[j, i] = 0.5 * (bends[d:] - bends[i] - bends[j])
    return Expansion(float(value), values[:d] @ FIRST / STEP, hessian)
