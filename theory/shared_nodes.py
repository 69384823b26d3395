"""Nodes that neighbouring times share: a contour for each window of times, and one for the end of training.

Where N and P differ and there are more modes than either, the spectrum has a gap between zero, where nothing is
learned, and its lower edge. Once training has reached the edge, the contour passes through the gap, and zero is a node
of its own; nodes around zero would be as near to each other as zero is small.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from theory.contour import hyperbola, length
from theory.filters import FILTERS, Filter
from theory.fixed_point import Model, kappa_path, lower_edge, spectral_edge

STEP = 0.2  # of the contours: an error of exp(-4.2/step), 1e-9
NEARER = 6.0  # a vertex lies at NEARER/t, where r_t = exp(NEARER) and fewer nodes reach around the spectrum
SMALL = 1e-10  # nodes with a smaller share of the largest weight are left out
RATIO = 4.0  # of times that share their nodes
LARGEST = 1_000_000  # numbers in an array of times and pairs of nodes
APPROACH = 4  # steps from zero to the gap


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
    late = horizons * gap > 2.0
    number = np.where(late, -1.0, np.log(horizons / horizons.min()) // math.log(RATIO))
    found = []
    for label in np.unique(number):
        index = np.flatnonzero(number == label)
        horizon, shift = (2.0 / gap, gap) if label < 0 else (horizons[index].max(), 0.0)
        window = _window(model, flt, times, Path(index, horizon, shift, end))
        parts = math.ceil(len(index) * len(window.kappa) ** 2 / LARGEST)
        for some in np.array_split(np.arange(len(index)), parts):
            found.append(window._replace(which=index[some], weights=window.weights[some]))
    return found


class Path(NamedTuple):
    """Indexes of times, and the contour for them: its horizon, and the part of the half plane from shift to end."""

    which: np.ndarray
    horizon: float
    shift: float
    end: float


def _window(model: Model, flt: Filter, times: np.ndarray, path: Path) -> Window:
    """Follow kappa along a contour as far as its weights count."""
    width = path.end - path.shift
    horizon = np.asarray(path.horizon)
    contour = hyperbola(horizon, np.asarray(width), math.ceil(length(horizon, np.asarray(width)) / STEP))
    w = contour.nodes + path.shift
    z = flt.curvature(w)
    shares = contour.weights * (contour.nodes / w) * flt.log_slope(w)
    weights = flt.response(z[None], times[path.which][:, None]) * shares[None]
    most = np.abs(weights).max(1, keepdims=True) if path.shift == 0 else 1.0
    kept = np.flatnonzero((np.abs(weights) > SMALL * most).any(0))
    stop = kept[-1] + 1 if len(kept) else 1
    weights, s = weights[:, :stop], -z[:stop]
    start = [] if path.shift == 0 else s[0].real * np.arange(APPROACH) / APPROACH
    kappa = kappa_path(np.concatenate([start, s]), model).kappa
    # the vertex is real, and its own conjugate
    vertex, upper = 2.0 * weights[:, :1].real, weights[:, 1:]
    parts = [vertex, upper, upper.conj()]
    nodes = kappa[len(start) :]
    points = [nodes[:1].real, nodes[1:], nodes[1:].conj()]
    if path.shift:
        parts, points = [np.ones_like(vertex), *parts], [kappa[:1].real, *points]
    return Window(path.which, np.concatenate(parts, axis=1), np.concatenate(points))
