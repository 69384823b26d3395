"""Nodes that neighbouring times share: a contour for each window of times, and one for the end of training.

Until training has reached the largest curvatures, an ellipse around the spectrum does: its nodes are as good as the
ratio of its axes to those of the spectrum to the power of their number.

Where N and P differ and there are more modes than either, the spectrum has a gap between zero, where nothing is
learned, and its lower edge. Once training has reached the edge, the contour passes through the gap, and zero is a node
of its own; nodes around zero would be as near to each other as zero is small.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from theory.contour import Contour, hyperbola, length
from theory.filters import FILTERS, Filter
from theory.fixed_point import Model, kappa_path, lower_edge, spectral_edge

STEP = 0.2  # of the contours: an error of exp(-4.2/step), 1e-9
NEARER = 6.0  # a vertex lies at NEARER/t, where r_t = exp(NEARER) and fewer nodes reach around the spectrum
SMALL = 1e-10  # nodes with a smaller share of the largest weight are left out
RATIO = 7.0  # of times that share their nodes
LARGEST = 1_000_000  # numbers in an array of times and pairs of nodes
EARLY, LATE = -2.0, -1.0  # windows before the largest curvatures are learned, and after the smallest ones
APPROACH = 4  # steps from zero to the gap
AROUND, APART = 14, 2.6  # upper nodes of an ellipse, and how far off the spectrum: an error of APART^-28, 2e-12


class Window(NamedTuple):
    """Indexes of times, and nodes (n,) for them with weights (times, n); real ones, upper ones and their conjugates."""

    which: np.ndarray
    weights: np.ndarray
    kappa: np.ndarray


def windows(model: Model, times: np.ndarray, algorithm: str, parameters: dict[str, Any]) -> list[Window]:
    """Return windows that together hold all times (T,) of a filter named in `filters.FILTERS`."""
    flt = FILTERS[algorithm](**parameters)
    end, gap = float(flt.stability(spectral_edge(model))), float(flt.stability(lower_edge(model)))
    least = float(np.reshape(flt.elapsed(np.zeros(1)), ()))
    elapsed = np.array([float(np.reshape(flt.elapsed(np.reshape(t, 1)), ())) for t in times])
    horizons = np.maximum(np.maximum(elapsed / NEARER, least), 1.0 / end)
    early, late = horizons <= 1.0 / end, horizons * gap > 2.0
    number = np.where(early, EARLY, np.where(late, LATE, np.log(horizons * end) // math.log(RATIO)))
    found = []
    for label in np.unique(number):
        index = np.flatnonzero(number == label)
        horizon, shift = (2.0 / gap, gap) if label == LATE else (float(horizons[index].max()), 0.0)
        window = _window(model, flt, times, Path(index, 0.0 if label == EARLY else horizon, shift, end))
        parts = math.ceil(len(index) * len(window.kappa) ** 2 / LARGEST)
        for some in np.array_split(np.arange(len(index)), parts):
            found.append(window._replace(which=index[some], weights=window.weights[some]))
    return found


class Path(NamedTuple):
    """Indexes of times, and the contour for them: its horizon, and the part of the half plane from shift to end.

    A horizon of zero is an ellipse.
    """

    which: np.ndarray
    horizon: float
    shift: float
    end: float

    @property
    def contour(self) -> Contour:
        """Nodes, of which the first is real where there is a horizon, and all others are above the real axis."""
        if self.horizon == 0.0:
            return _ellipse(self.end)
        horizon, width = np.asarray(self.horizon), np.asarray(self.end - self.shift)
        return hyperbola(horizon, width, math.ceil(length(horizon, width) / STEP))


def _ellipse(end: float) -> Contour:
    """Return the upper half of an ellipse with its foci at 0 and end, seen from the left."""
    turn = np.exp(-1j * math.pi * (np.arange(AROUND) + 0.5) / AROUND)
    w = 0.5 * end * (1.0 - 0.5 * (APART * turn + 1.0 / (APART * turn)))
    slope = 0.25j * end * (APART * turn - 1.0 / (APART * turn))
    return Contour(w, slope / (2j * AROUND * w))


def _window(model: Model, flt: Filter, times: np.ndarray, path: Path) -> Window:
    """Follow kappa along a contour as far as its weights count."""
    contour, real = path.contour, 1 if path.horizon else 0
    w = contour.nodes + path.shift
    z = flt.curvature(w)
    shares = contour.weights * (contour.nodes / w) * flt.log_slope(w)
    weights = flt.response(z[None], times[path.which][:, None]) * shares[None]
    most = np.abs(weights).max(1, keepdims=True) if path.shift == 0 else 1.0
    kept = np.flatnonzero((np.abs(weights) > SMALL * most).any(0))
    stop = kept[-1] + 1 if len(kept) else 1
    weights, s = weights[:, :stop], -z[:stop]
    start = np.abs(s[: 1 - real])  # a path begins on the positive axis
    if path.shift:
        start = s[0].real * np.arange(APPROACH) / APPROACH
    kappa = kappa_path(np.concatenate([start, s]), model).kappa
    nodes = kappa[len(start) :]
    # the vertex is real, and its own conjugate
    vertex, upper = 2.0 * weights[:, :real].real, weights[:, real:]
    parts = [vertex, upper, upper.conj()]
    points = [nodes[:real].real, nodes[real:], nodes[real:].conj()]
    if path.shift:
        parts, points = [np.ones_like(vertex), *parts], [kappa[:1].real, *points]
    return Window(path.which, np.concatenate(parts, axis=1), np.concatenate(points))
