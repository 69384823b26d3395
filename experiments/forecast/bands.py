"""Values with the band that another sample of rows would change them by."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from experiments.compare.statistics import student
from rfm.data.spectra import Estimate
from rfm.problem import Array

TINY = 1e-300


class Band(NamedTuple):
    """A value and its 95 % interval, three numbers or three arrays of one shape."""

    value: Array
    low: Array
    high: Array

    @classmethod
    def around(cls, value: Array, half: Array) -> "Band":
        """Return the band value +- half width."""
        return cls(value, value - half, value + half)

    def at(self, index: Any) -> "Band":
        """Return the band of some of the values."""
        return Band(*(values[index] for values in self))


def band(value: ArrayLike, replicas: ArrayLike) -> Band:
    """Put a band about a loss, from the scatter of its replicas.

    Args:
        value: Losses, (...).
        replicas: The same losses by estimates from R halves of the rows, (R, ...).

    Returns:
        value times exp(+- half width), Student's 95 % of the scatter of log replicas; NaN for fewer than two.

    Example:
        >>> [float(x.round(2)) for x in band(2.0, [1.9, 2.0, 2.1])]
        [2.0, 1.61, 2.48]
    """
    value = np.asarray(value, float)
    factor = np.exp(half_width(replicas))
    return Band(value, value / factor, value * factor)


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
    return Band.around(getattr(estimate, name), half)
