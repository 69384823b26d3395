"""One contour for all times: around the limiting spectrum [0, w_max] and the origin, inside the stable half plane.

A hyperbola far longer than it is wide: its vertex passes the origin at a distance of 1/horizon, its arms leave
at a fixed angle, so that uniform steps along it are logarithmic steps in w and every time up to the horizon
finds its own scale resolved (Lopez-Fernandez, Palencia and Schaedle 2006, one window for all t). The arms are
then wound up at a point beyond w_max by w = W (1 - exp(-zeta/W)): the integrand is analytic there, the weights
decay doubly exponentially, and nothing is cut off, so t = 0 and a single step are as exact as t = 10^8.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

NODES = 160  # in the upper half plane, plus the vertex; at t = 10^8 a step of 0.15
CONTOUR_STEP = 0.16  # with more nodes, a step that is short enough: the error is about exp(-4.2/step)
ANGLE = 0.85  # of the hyperbola; its arms lie pi/2 - ANGLE off the spectrum and ANGLE off the unstable side
CLOSURE = 36.0  # the arms end where exp(-zeta/W) = exp(-36)
BEYOND = 2.0  # the arms close at W = BEYOND * w_max


class Contour(NamedTuple):
    """Nodes w (n,), vertex first, and weights (n,) of (1/2 pi i) dlog w; the lower half is the conjugate."""

    nodes: Array
    weights: Array


def length(horizon: ArrayLike, w_max: ArrayLike) -> Array:
    """Return the length of `hyperbola` in its parameter, in which the nodes are equidistant."""
    excess = (CLOSURE * BEYOND * jnp.maximum(jnp.multiply(horizon, w_max), 1.0) + 1.0) / jnp.sin(ANGLE)
    return jnp.arccosh(1.0 + excess)


def hyperbola(horizon: Array, w_max: Array, nodes: int = NODES) -> Contour:
    """Return the contour for times up to `horizon` (in units of 1/w) around the spectrum [0, w_max]."""
    # notation: mu = distance of the vertex, W = closing point
    mu = 1.0 / jnp.maximum(horizon, 1.0 / w_max)
    closing = BEYOND * w_max
    step = length(horizon, w_max) / nodes
    u = step * jnp.arange(nodes + 1)  # (n,)
    shift = ANGLE + 1j * u
    zeta = -mu * (1.0 - jnp.sin(shift))
    slope = 1j * mu * jnp.cos(shift)  # dzeta/du
    w = -closing * jnp.expm1(-zeta / closing)
    weights = step / (2j * jnp.pi) * jnp.exp(-zeta / closing) * slope / w  # eq. 7
    return Contour(w, weights.at[0].multiply(0.5))  # the vertex is shared with the lower half
