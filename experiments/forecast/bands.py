"""Values with the band that another sample of rows would change them by."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from experiments.compare.statistics import student
from rfm.data.spectra import Estimate
from rfm.problem import Array

TINY = 1e-300
LARGEST = 300.0  # logarithm of a factor
MOST = 10.0  # times the untrained loss, where a band ends
WIDEST = 4.0  # times the value: a band that goes further says nothing


class Band(NamedTuple):
    """A value and its 95 % interval, three numbers or three arrays of one shape."""

    value: Array
    low: Array
    high: Array

    @classmethod
    def around(cls, value: Array, half: Array) -> "Band":
        """Return the band value +- half width."""
        return cls(value, value - half, value + half)

    @property
    def known(self) -> bool:
        """Is it an interval: finite, of some width, and no wider than WIDEST times the value either way?"""
        low, value, high = float(self.low), float(self.value), float(self.high)
        return low < high and np.isfinite(low) and high <= WIDEST * max(abs(value), TINY)

    def at(self, index: Any) -> "Band":
        """Return the band of some of the values."""
        return Band(*(values[index] for values in self))


def band(value: ArrayLike, replicas: ArrayLike, most: float = np.inf) -> Band:
    """Put a band about a loss, from the scatter of its replicas.

    Args:
        value: Losses, (...).
        replicas: The same losses by estimates from R halves of the rows, (R, ...).
        most: Where it ends, but above the value.

    Returns:
        value times exp(+- half width), Student's 95 % of the scatter of log replicas; NaN for fewer than two.

    Example:
        >>> [float(x.round(2)) for x in band(2.0, [1.9, 2.0, 2.1])]
        [2.0, 1.61, 2.48]
    """
    return banded(np.asarray(value, float), half_width(replicas), most)


def banded(value: np.ndarray, half: np.ndarray, most: float) -> Band:
    """Put a band of a given half width, in the logarithm, about a loss; it ends at `most`."""
    factor = np.exp(np.minimum(half, LARGEST))
    return Band(value, value / factor, np.maximum(np.minimum(value * factor, most), value))


def half_width(replicas: ArrayLike) -> np.ndarray:
    """Return the half width of 95 % in the logarithm, (...), of replicas (R, ...); NaN for fewer than two."""
    return scatter(np.log(np.maximum(np.asarray(replicas, float), TINY)))


def scatter(replicas: ArrayLike) -> np.ndarray:
    """Return Student's 95 % of the scatter of replicas (R, ...), (...); NaN for fewer than two."""
    values = np.asarray(replicas, float)
    return student(len(values)) * values.std(0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)


def interval(estimate: Estimate, name: str) -> Band:
    """Return an estimated number and its 95 % interval.

    Args:
        estimate: What `rfm.from_data.estimate_features` gives; without replicas the interval is NaN.
        name: "a", "b" or "noise_var".

    Example:
        >>> import rfm
        >>> rows = np.random.default_rng(0).normal(size=(60, 4))
        >>> estimate = rfm.from_data.estimate_features(rows, rows[:, 0], replicas=4)
        >>> interval(estimate, "noise_var").value < 1e-6
        True
    """
    half = scatter([getattr(replica, name) for replica in estimate.replicas])
    if name == "noise_var" and half == 0.0:  # halves too small to leave any noise agree on none: that is no scatter
        half = np.float64(np.nan)
    return Band.around(getattr(estimate, name), half)
