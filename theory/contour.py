"""One contour for all times: around the limiting spectrum [0, w_max] and the origin, inside the stable half plane.

A hyperbola far longer than it is wide: its vertex passes the origin at a distance of 1/horizon, its arms leave
at a fixed angle, so that uniform steps along it are logarithmic steps in w and every time up to the horizon
finds its own scale resolved (Lopez-Fernandez, Palencia and Schaedle 2006, one window for all t). The arms are
then wound up at a point beyond w_max by w = W (1 - exp(-zeta/W)): the integrand is analytic there, the weights
decay doubly exponentially, and nothing is cut off, so t = 0 and a single step are as exact as t = 10^8.
"""

import math
from typing import NamedTuple

import numpy as np

from theory.arrays import Array, namespace

NODES = 160  # in the upper half plane, plus the vertex; at t = 10^8 a step of 0.15
CONTOUR_STEP = 0.16  # with more nodes, a step that is short enough: the error is about exp(-4.2/step)
ANGLE = 0.85  # of the hyperbola; its arms lie pi/2 - ANGLE off the spectrum and ANGLE off the unstable side
CLOSURE = 36.0  # the arms end where exp(-zeta/W) = exp(-36)
BEYOND = 2.0  # the arms close at W = BEYOND * w_max


class Contour(NamedTuple):
    """Nodes w (n,), vertex first, and weights (n,) of (1/2 pi i) dlog w; the lower half is the conjugate."""

    nodes: Array
    weights: Array


def length(horizon: Array, w_max: Array, angle: float = ANGLE) -> Array:
    """Return the length of `hyperbola` in its parameter, in which the nodes are equidistant."""
    xp = namespace(horizon, w_max)
    excess = (CLOSURE * BEYOND * xp.maximum(horizon * w_max, 1.0) + 1.0) / math.sin(angle)
    return xp.arccosh(1.0 + excess)


def hyperbola(horizon: Array, w_max: Array, nodes: int = NODES, angle: float = ANGLE) -> Contour:
    """Return the contour for times up to `horizon` (in units of 1/w) around the spectrum [0, w_max].

    Of many, side by side, nodes are the first axis: (n, W).
    """
    # notation: mu = distance of the vertex, W = closing point
    xp = namespace(horizon, w_max)
    mu = 1.0 / xp.maximum(horizon, 1.0 / w_max)
    closing = BEYOND * w_max
    step = length(horizon, w_max, angle) / nodes
    count = xp.arange(nodes + 1).reshape((-1,) + (1,) * xp.ndim(step))  # (n, ...)
    u = step * count
    shift = angle + 1j * u
    zeta = -mu * (1.0 - xp.sin(shift))
    slope = 1j * mu * xp.cos(shift)  # dzeta/du
    w = -closing * xp.expm1(-zeta / closing)
    weights = step / (2j * math.pi) * xp.exp(-zeta / closing) * slope / w  # eq. 7
    shared = xp.where(count == 0, 0.5, 1.0)  # the vertex, with the lower half
    return Contour(w, weights * shared)


def ellipse(edge: Array, width: float, nodes: int) -> Contour:
    """Return a contour in the plane of curvatures z with its foci at both ends of the spectrum [0, edge].

    z = (edge/2) [1 - cosh(width - i u)], u from 0 to pi, and weights of (1/2 pi i) dlog z; first the node left of zero.
    An integrand that is analytic out to a larger ellipse, `wider`, is integrated with an error of exp(-2 nodes width)
    by the spectrum, and by the other side of exp(-2 nodes (wider - width)) times its size there.
    """
    u = width - 1j * math.pi / nodes * np.arange(nodes + 1)  # (n,)
    z = 0.5 * edge * (1.0 - np.cosh(u))  # eq. 69
    weights = 0.25 / nodes * edge * np.sinh(u) / z
    weights[[0, -1]] *= 0.5  # both ends, with the lower half
    return Contour(z, weights)
