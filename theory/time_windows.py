"""Contours of a few nodes for neighbouring times, where every time has sums over pairs of nodes of its own.

`contour.hyperbola` serves all times up to its horizon with nodes on every scale. A time alone asks for those between
its own scale, where the vertex is, and the curvature at which the filter has vanished: a tenth of the pairs.
"""

import math
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from theory.arrays import Array
from theory.contour import Contour, ellipse, hyperbola, length
from theory.dynamics import LARGEST_MAPPED
from theory.filters import FILTERS, Filter
from theory.fixed_point import Model, kappa_path
from theory.mixture import row_factors
from theory.mode_sums import degrees_of_freedom
from theory.moments import Route

Tree = TypeVar("Tree")
NEARER = 14.0  # a vertex lies at NEARER/t or so, where both sides of the contour are equally far in units of its step
STEP, ANGLE = 0.12, 0.95  # of a hyperbola for one window, an error of 1e-13
RATIO = 2.0  # of times that share their nodes
FEWEST, ROUND = 6, 24  # nodes of an ellipse around the spectrum, for early times
ALIKE = 6.0  # numbers of nodes that share an ellipse differ by less
EXACT, GROWTH = 32.0, 4.0  # its error is exp(-EXACT), and a filter on it at most exp(GROWTH)
WIDER = np.linspace(0.1, 4.0, 40)  # ellipses on which the size of a filter is looked at
LEAST = 1e-18  # of the largest coefficient of a time: what does not count
LARGEST = 40_000  # numbers in an array of times, nodes and modes: more than that leave the cache


class Windows(NamedTuple):
    """The window (T,) of every time, and a route with points (W, n) of every window and coefficients (T, n)."""

    which: np.ndarray
    route: Route

    def along(self) -> Route:
        """Return the routes to all times, each along the points of its window, (T, n), with one filter."""
        kappa, coefficients, q, *rest = self.route
        return Route(kappa[self.which], coefficients[:, None], q[self.which], *rest)

    def at_times(self, tree: Tree) -> Tree:
        """Return values (T, ...) at every time from those (W, ...) of its window."""
        return jax.tree.map(lambda x: x[self.which] if np.ndim(x) else x, tree)

    def split(self, modes: int) -> list[tuple[np.ndarray, "Windows"]]:
        """Return indexes of times with about as many nodes that count, each with their windows.

        modes: at which there are values for all nodes and times; no part of several times has more of them than
        LARGEST.
        """
        counts = np.count_nonzero(self.route.coefficients, axis=1)
        order = np.argsort(counts, kind="stable")
        parts = math.ceil(counts.sum() * modes / LARGEST)
        return [
            (part, self._at(part, int(counts[part].max()))) for part in np.array_split(order, min(parts, len(order)))
        ]

    def _at(self, index: np.ndarray, n: int) -> "Windows":
        labels, which = np.unique(self.which[index], return_inverse=True)
        kappa, coefficients, q, *rest = self.route
        return Windows(which, Route(kappa[labels, :n], coefficients[index, :n], q[labels, :n], *rest))


def windows_of(model: Model, times: np.ndarray, algorithm: str, parameters: dict[str, Any], edge: Array) -> Windows:
    """Return windows for all times (T,) of a filter named in `filters.FILTERS`; edge: of the spectrum."""
    flt = FILTERS[algorithm](**parameters)
    w_max = float(flt.stability(edge))
    stable = 0.0 < w_max < LARGEST_MAPPED
    which, paths = _contours(flt, (float(edge), w_max if stable else 1.0), times)
    filters = [flt.response(z[None], times[which == i, None]) * weights for i, (z, weights) in enumerate(paths)]
    kept = [_last(x) for x in filters]
    n = max(kept)
    coefficients = np.zeros((len(times), n), complex)
    for i, x in enumerate(filters):
        coefficients[which == i, : kept[i]] = x[:, : kept[i]]
    s = -np.stack([np.append(z[:k], np.full(n - k, z[k - 1])) for k, (z, _) in zip(kept, paths, strict=True)], axis=1)
    path = kappa_path(s, model)
    df1, _ = degrees_of_freedom(path.kappa, model.modes)
    q = row_factors(df1 * model.inv_p, path.data, model.modes.mixture)
    residual = path.residual.max() if stable else np.inf
    return Windows(which, Route(path.kappa.T, coefficients, q.swapaxes(0, 1), np.asarray(residual), edge))


def _contours(flt: Filter, ends: tuple[float, float], times: np.ndarray) -> tuple[np.ndarray, list[Contour]]:
    """Return the window (T,) of every time, and the curvatures z and the weights on the contour of every window.

    ends: of the spectrum, in units of z and of w.
    """
    edge, w_max = ends
    elapsed = np.array([float(np.reshape(flt.elapsed(np.reshape(t, 1)), ())) for t in [0.0, *times]])
    # no vertex is farther off than that of time zero, beyond which a filter may have singularities
    horizons = np.maximum(np.maximum(elapsed[1:] / NEARER, elapsed[0]), 1.0 / w_max)
    nodes = _around(flt, edge, times)
    early = nodes <= ROUND
    scales = np.where(
        early, -np.ceil(np.where(early, nodes, 0.0) / ALIKE), np.ceil(np.log(horizons * w_max) / math.log(RATIO) - 1e-9)
    )
    labels, which = np.unique(scales, return_inverse=True)
    paths = []
    for i in range(len(labels)):
        if early[which == i].any():
            n = int(nodes[which == i].max())
            paths.append(ellipse(np.float64(edge), 0.5 * EXACT / n, n))
            continue
        horizon = horizons[which == i].max()
        count = math.ceil(float(length(horizon, w_max, ANGLE)) / STEP)
        w, weights = hyperbola(horizon, np.float64(w_max), count, ANGLE)
        paths.append(Contour(flt.curvature(w), weights * flt.log_slope(w)))
    return which, paths


def _around(flt: Filter, edge: float, times: np.ndarray) -> np.ndarray:
    """Count the nodes (T,) of an ellipse around the spectrum that integrates the filter, infinite for more than ROUND.

    Its integrand grows with the filter, by most where z < 0: little on the ellipse itself, lest digits be lost.
    """
    n = np.arange(FEWEST, ROUND + 1)
    own = 0.5 * EXACT / n
    z = 0.5 * edge * (1.0 - np.cosh(np.append(own, WIDER))) + 0j
    size = np.log(np.abs(flt.response(z[None], times[:, None])))  # (T, N + widths)
    size, wider = np.split(np.where(-z.real < flt.cut, size, np.inf), [len(n)], axis=1)
    exact = (wider[:, None] - 2.0 * n[:, None] * (WIDER - own[:, None]) < -EXACT).any(2)  # (T, N)
    enough = exact & (size < GROWTH)
    return np.where(enough.any(1), FEWEST + enough.argmax(1), np.inf)


def _last(filters: np.ndarray) -> int:
    """Count the first nodes up to the last that counts at any time."""
    most = np.abs(filters).max(1, keepdims=True)
    return int(np.flatnonzero((np.abs(filters) > LEAST * most).any(0))[-1]) + 1
