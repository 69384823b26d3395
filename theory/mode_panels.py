"""Many modes at few points: sums over modes, and values at them, of what training does to a mode.

Functions of the eigenvalue such as the share that is learned are analytic in log lambda, in a strip of half a turn or
so: on short panels polynomials of a low degree are they to rounding. The first modes, where steps may alternate, are
taken one by one.
"""

import math
from typing import NamedTuple

import numpy as np

from theory.arrays import Array, namespace

WHOLE = 16  # modes at least that are taken one by one
FAR = 16.0  # and all within this factor of the first
WIDTH, DEGREE = 1.8, 22  # of a panel in log lambda, and points in it: an error of some 1e-14


class Panels(NamedTuple):
    """Eigenvalues (m,) that stand for many; the first `whole` of both are the same.

    ends: where panels begin and end among the modes, and polynomials (DEGREE, K) at all modes but the whole ones.
    """

    eigenvalues: np.ndarray
    whole: int
    ends: list[int]
    polynomials: np.ndarray

    def sums(self, weights: Array) -> Array:
        """Return weights (R, m) of the points from those (R, K) of the modes."""
        if not self.ends:
            return weights
        moments = (weights[:, i:j] @ self.polynomials[:, i - self.whole : j - self.whole].T for i, j in self._spans())
        return namespace(weights).concatenate([weights[:, : self.whole], *(x @ _transform() for x in moments)], axis=1)

    def values(self, values: Array) -> Array:
        """Return values (T, K) at all modes from those (T, m) at the points; infinite where they are."""
        if not self.ends:
            return values
        xp = namespace(values)
        infinite = xp.isinf(values[:, :1])
        constant = np.where(np.arange(DEGREE) == 0, np.inf, 0.0)[None]
        starts = self.whole + DEGREE * np.arange(len(self.ends) - 1)
        parts = (
            xp.where(infinite, constant, xp.where(infinite, 0.0, values[:, k : k + DEGREE]) @ _transform().T)
            @ self.polynomials[:, i - self.whole : j - self.whole]
            for k, (i, j) in zip(starts, self._spans(), strict=True)
        )
        return xp.concatenate([values[:, : self.whole], *parts], axis=1)

    def _spans(self) -> list[tuple[int, int]]:
        return list(zip(self.ends[:-1], self.ends[1:], strict=True))


def panels_of(eigenvalues: np.ndarray, *, smooth: bool) -> Panels:
    """Return the panels of decreasing eigenvalues (K,); smooth: else every mode is a point."""
    count = len(eigenvalues)
    whole = max(WHOLE, int(np.count_nonzero(eigenvalues * FAR > eigenvalues[0])))
    places = np.log(eigenvalues[whole:])
    number = 0 if whole >= count else max(1, math.ceil((places[0] - places[-1]) / WIDTH))
    if not smooth or whole + number * DEGREE >= count:
        return Panels(eigenvalues, count, [], np.zeros((DEGREE, 0)))
    width = max((places[0] - places[-1]) / number, 1e-12)
    panel = np.minimum((places[0] - places) // width, number - 1).astype(int)
    middle = places[0] - (np.arange(number) + 0.5) * width
    x = (places - middle[panel]) * (2.0 / width)
    used = np.unique(panel)
    points = np.exp(middle[used, None] + 0.5 * width * _points()[None]).reshape(-1)
    ends = [whole + int(i) for i in np.searchsorted(panel, used)] + [count]
    return Panels(np.append(eigenvalues[:whole], points), whole, ends, _chebyshev(x))


def _points() -> np.ndarray:
    return np.cos(np.pi * (np.arange(DEGREE) + 0.5) / DEGREE)


def _chebyshev(x: np.ndarray) -> np.ndarray:
    """Return Chebyshev polynomials (DEGREE, ...) at x."""
    values = np.empty((DEGREE, *x.shape))
    values[0], values[1] = 1.0, x
    for j in range(2, DEGREE):
        values[j] = 2.0 * x * values[j - 1] - values[j - 2]
    return values


def _transform() -> np.ndarray:
    """Return what takes moments of the polynomials to weights of the points, (DEGREE, DEGREE)."""
    matrix = _chebyshev(_points()) * (2.0 / DEGREE)
    matrix[0] *= 0.5
    return matrix
