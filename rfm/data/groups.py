"""Rows that are not independent: copies of one another, groups of one origin, and rows in order of time."""

import math
from typing import Any

import numpy as np

from rfm import checks
from rfm.problem import Array

DIGITS = 6  # rows that agree to so many digits of the largest number of their column are copies
LOOKED_AT = 20_000_000  # numbers that are compared at most; of a larger file only exact copies are found
DIRECTIONS = 3  # of features whose correlation in time is looked at, beside that of the labels
FEWEST_BLOCKS = 24  # of rows in order of time


def copies(rows: Array, labels: np.ndarray) -> np.ndarray:
    """Number the distinct pairs of row and label.

    Args:
        rows: Features (n, d).
        labels: (n,) or (n, K).

    Returns:
        (n,) whole numbers from 0, equal for rows that are equal to rounding in features and labels.

    Example:
        >>> copies(np.array([[1.0, 2.0], [3.0, 4.0], [1.0 + 1e-12, 2.0]]), np.array([0.0, 1.0, 0.0])).tolist()
        [0, 1, 0]
    """
    n = len(labels)
    y = _rounded(np.asarray(labels, float).reshape(n, -1))
    whole = rows.size <= LOOKED_AT
    x = _rounded(np.asarray(rows, float).reshape(n, -1)) if whole else rows
    seen: dict[bytes, int] = {}
    numbers = np.empty(n, int)
    for i in range(n):
        key = np.ascontiguousarray(x[i]).tobytes() + y[i].tobytes()
        numbers[i] = seen.setdefault(key, len(seen))
    return numbers


def _rounded(values: np.ndarray) -> np.ndarray:
    """Round to DIGITS digits of the largest number of each column, to whole numbers."""
    largest = np.abs(values).max(0)
    return np.round(values * (10.0**DIGITS / np.where(largest > 0, largest, 1.0))).astype(np.int64)


def numbered(groups: Any, rows: int) -> np.ndarray:
    """Number the names of groups.

    Args:
        groups: (n,) numbers or text, equal for rows of one origin, such as a patient, a speaker or a window.
        rows: n.

    Returns:
        (n,) whole numbers from 0.

    Raises:
        ValueError: Another shape, or fewer than two groups.

    Example:
        >>> numbered(["b", "a", "b"], 3).tolist()
        [1, 0, 1]
    """
    names = np.asarray(groups)
    if names.shape != (rows,):
        checks.fail("groups", f"of shape ({rows},), one a row of features", names.shape)
    if names.dtype.kind == "f" and np.isnan(names).any():
        row = int(np.isnan(names).argmax())
        checks.fail("groups", f"a number or name in row {row} (from 0)", names[row], "give the row a group of its own")
    kinds, numbers = np.unique(names, return_inverse=True)
    if len(kinds) < 2:
        checks.fail("groups", "at least two, or no group is left to test on", len(kinds))
    return numbers


def time_blocks(rows: Array, labels: np.ndarray) -> np.ndarray:
    """Cut rows in order of time into blocks that are nearly independent of each other.

    A block is twice as long as the longest correlation time, 1 + 2 sum_j r_j, of labels and leading directions; the
    sum ends where two neighbouring correlations add to less than nothing (Geyer 1992).

    Args:
        rows: Features (n, d) in order of time.
        labels: (n,) or (n, K).

    Returns:
        (n,) number of the block of every row, from 0; at least FEWEST_BLOCKS of them.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> slow = np.repeat(rng.normal(size=(50, 2)), 8, axis=0)
        >>> int(time_blocks(slow, slow[:, 0]).max()) + 1 <= 50
        True
    """
    n = len(labels)
    some = np.asarray(rows[: max(2, LOOKED_AT // max(1, int(np.prod(rows.shape[1:]))))], float).reshape(
        -1, rows[0].size
    )
    left, singular, _ = np.linalg.svd(some - some.mean(0), full_matrices=False)
    series = [*(left * singular).T[:DIRECTIONS], *np.asarray(labels, float).reshape(n, -1).T]
    longest = max(correlation_time(values) for values in series)
    length = min(max(1, math.ceil(2.0 * longest)) if longest > 1.5 else 1, max(1, n // FEWEST_BLOCKS))
    return np.arange(n) // length


def correlation_time(values: np.ndarray) -> float:
    """Return 1 + 2 sum_j r_j of a series (n,), 1 for independent values.

    Example:
        >>> round(correlation_time(np.tile([1.0, -1.0], 50)), 1)
        1.0
    """
    n, x = len(values), values - values.mean()
    power = np.abs(np.fft.rfft(x, 2 * n)) ** 2
    r = np.fft.irfft(power)[:n]
    if not r[0] > 0:
        return 1.0
    pairs = (r / r[0])[: n // 2 * 2].reshape(-1, 2).sum(1)  # r_0 + r_1, r_2 + r_3, ...
    end = int(np.argmax(pairs <= 0)) if np.any(pairs <= 0) else len(pairs)
    return max(1.0, 2.0 * float(pairs[:end].sum()) - 1.0)
