"""The sum of power laws that `rfm fit` sets beside the solvable model, see `models`."""

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.optimize import nnls

from experiments.fit.table import Design

LARGEST = 600.0  # logarithm of a term
FEATURES, SECOND, THIRD = ("A", "alpha"), ("B", "beta"), ("C", "gamma")


def powers(axes: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Return amplitude and exponent of each axis; tokens, the only data of a table without P, have B and beta."""
    names = {"features": FEATURES, "samples": SECOND, "times": THIRD if "samples" in axes else SECOND}
    return {axis: names[axis] for axis in axes}


@dataclasses.dataclass(frozen=True)
class Chinchilla:
    """The sum of power laws E + A N^-alpha + B P^-beta + C t^-gamma at the points of a design; all of it is fitted.

    Without P the term of t is B t^-beta, as published.

    Parameters as they are searched: E, then the logarithm of the amplitude and the exponent of each axis.

    Attributes:
        design: R points.
        axes: Axes that have a term.

    Example:
        >>> model = Chinchilla(Design.grid([16.0, 64.0], [np.inf], [np.inf]), ("features",))
        >>> model.names, model.loss(np.array([1.0, np.log(8.0), 0.5])).round(9).tolist()
        (('E', 'A', 'alpha'), [3.0, 2.0])
    """

    design: Design
    axes: tuple[str, ...]

    name = "chinchilla"
    fixed = ()
    held: ClassVar[dict[str, float]] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """E, and an amplitude and an exponent for each axis."""
        return ("E", *(name for pair in powers(self.axes).values() for name in pair))

    @property
    def logarithmic(self) -> tuple[bool, ...]:
        """Amplitudes are searched as logarithms."""
        return tuple(name in "ABC" for name in self.names)

    @property
    def free(self) -> np.ndarray:
        """Places of the fitted parameters: all."""
        return np.arange(len(self.names))

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of all parameters as they are searched."""
        terms = len(self.axes)
        return np.array([0.0] + [-np.inf, 0.01] * terms), np.array([np.inf] + [np.inf, 8.0] * terms)

    def at(self, design: Design) -> "Chinchilla":
        """Return the same model at other points."""
        return dataclasses.replace(self, design=design)

    def loss(self, theta: np.ndarray) -> np.ndarray:
        """Return the loss (R,) at searched parameters."""
        loss, _ = self.derivatives(theta)
        return loss

    def derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss (R,) and its derivatives in the searched parameters, (R, 1 + 2 axes)."""
        loss, columns = np.full(len(self.design), theta[0]), [np.ones(len(self.design))]
        for axis, log_amplitude, exponent in zip(self.axes, theta[1::2], theta[2::2], strict=True):
            x = getattr(self.design, axis)
            term = np.exp(np.minimum(log_amplitude - exponent * np.log(x), LARGEST))
            columns += [term, np.where(term > 0, -term * np.log(np.where(term > 0, x, 1.0)), 0.0)]
            loss = loss + term
        return loss, np.stack(columns, 1)

    def starts(
        self, loss: np.ndarray, weight: np.ndarray, on_step: Callable[[float], object] = lambda _: None
    ) -> list[np.ndarray]:
        """As `Solvable.starts`: exponents on a grid, amplitudes and E by least squares."""
        tried, count = [], len(self.axes)
        for exponents in np.stack(np.meshgrid(*[[0.15, 0.4, 0.8, 1.6]] * count), -1).reshape(-1, count):
            terms = [getattr(self.design, axis) ** -power for axis, power in zip(self.axes, exponents, strict=True)]
            columns = np.stack([np.ones(len(loss)), *terms], 1) * (weight / loss)[:, None]
            value, error = positive_fit(columns, weight)
            theta = np.zeros(len(self.names))
            theta[0], theta[2::2] = value[0], exponents
            theta[1::2] = np.log(np.maximum(value[1:], 1e-3 * loss.min() / np.array([term.max() for term in terms])))
            tried.append((error, theta))
        return [theta for _, theta in sorted(tried, key=lambda pair: pair[0])]


def positive_fit(columns: np.ndarray, aim: np.ndarray) -> tuple[np.ndarray, float]:
    """Non-negative least squares of columns (R, K), scaled to equal size, to aim (R,): coefficients and the error."""
    norm = np.sqrt((columns**2).sum(0)) + 1e-300
    value, error = nnls(columns / norm, aim)
    return value / norm, error
