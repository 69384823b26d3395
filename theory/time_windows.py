"""Contours of a few nodes for neighbouring times, where every time has sums over pairs of nodes of its own.

`contour.hyperbola` serves all times up to its horizon with nodes on every scale. A time alone asks for those between
its own scale, where the vertex is, and the curvature at which the filter has vanished: a tenth of the pairs.
"""

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from theory.contour import hyperbola, length
from theory.dynamics import KNOWN_STEP
from theory.filters import FILTERS
from theory.fixed_point import Model, degrees_of_freedom, kappa_path, spectral_edge
from theory.mixture import row_factors

NEARER = 6.0  # a vertex lies at NEARER/t, where both sides of the contour are equally far in units of its step
RATIO = 2.0  # of times that share their nodes
LEAST = 1e-18  # of the largest coefficient of a time: what does not count
MANY = 1.3  # times as many nodes as the fewest
FACTOR = 3.0  # of steps along the real axis from vertex to vertex


class Windows(NamedTuple):
    """Points kappa (W, n) of every window and row factors q (W, n, J); the window of every time (T,).

    coefficients: (T, n) of a filter at every time, as those of `moments.Route`. residual: of kappa.
    """

    which: np.ndarray
    coefficients: np.ndarray
    kappa: np.ndarray
    q: np.ndarray
    residual: float

    def split(self) -> list[tuple[np.ndarray, "Windows"]]:
        """Return indexes of times with many nodes that count and of those with few, each with their windows."""
        counts = np.count_nonzero(self.coefficients, axis=1)
        many = counts > MANY * counts.min()
        return [
            (index, self._at(index, counts[index].max())) for index in map(np.flatnonzero, (many, ~many)) if len(index)
        ]

    def _at(self, index: np.ndarray, n: int) -> "Windows":
        labels, which = np.unique(self.which[index], return_inverse=True)
        kappa, q = self.kappa[labels, :n], self.q[labels, :n]
        return Windows(which, self.coefficients[index, :n], kappa, q, self.residual)


def windows_of(model: Model, times: np.ndarray, algorithm: str, parameters: dict[str, Any]) -> Windows:
    """Return windows for all times (T,) of a filter named in `filters.FILTERS` that is stable."""
    flt = FILTERS[algorithm](**parameters)
    w_max = float(flt.stability(spectral_edge(model)))
    elapsed = np.array([float(np.reshape(flt.elapsed(np.reshape(t, 1)), ())) for t in [0.0, *times]])
    # no vertex is farther off than that of time zero, beyond which a filter may have singularities
    horizons = np.maximum(np.maximum(elapsed[1:] / NEARER, elapsed[0]), 1.0 / w_max)
    labels, which = np.unique(np.ceil(np.log(horizons * w_max) / math.log(RATIO) - 1e-9), return_inverse=True)
    paths, filters = [], []
    for i in range(len(labels)):
        horizon = horizons[which == i].max()
        contour = hyperbola(horizon, np.float64(w_max), math.ceil(float(length(horizon, w_max)) / KNOWN_STEP))
        z = flt.curvature(contour.nodes)
        weights = contour.weights * flt.log_slope(contour.nodes)
        filters.append(flt.response(z[None], times[which == i][:, None]) * weights[None])
        paths.append(z)
    kept = [_last(x) for x in filters]
    n = max(kept)
    coefficients = np.zeros((len(times), n), complex)
    for i, x in enumerate(filters):
        coefficients[which == i, : kept[i]] = x[:, : kept[i]]
    s = -np.stack([np.append(z[:k], np.full(n - k, z[k - 1])) for k, z in zip(kept, paths, strict=True)], axis=1)
    path = kappa_path(s, model, _vertices(s[0].real, model))
    df1, _ = degrees_of_freedom(path.kappa, model.modes)
    q = row_factors(df1 * model.inv_p, path.data, model.modes.mixture)
    return Windows(which, coefficients, path.kappa.T, q.swapaxes(0, 1), float(path.residual))


def _last(filters: np.ndarray) -> int:
    """Count the first nodes up to the last that counts at any time."""
    most = np.abs(filters).max(1, keepdims=True)
    return int(np.flatnonzero((np.abs(filters) > LEAST * most).any(0))[-1]) + 1


def _vertices(s: np.ndarray, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Return kappa and R1 at points s (W,) of the positive axis, step by step from the largest."""
    order = np.argsort(-s)
    steps, index = [s[order[0]]], np.zeros(len(s), int)
    for i, j in itertools.pairwise(order):
        between = math.ceil(math.log(max(s[i] / s[j], 1.0)) / math.log(FACTOR))
        steps += list(np.geomspace(s[i], s[j], between + 1)[1:]) if between else []
        index[j] = len(steps) - 1
    path = kappa_path(np.array(steps), model)
    return path.kappa.real[index], path.data.real[index]
