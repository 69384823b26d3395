"""Every training algorithm is a filter r_t(z): the part of the residual left in a direction of curvature z.

r_t(0) = 1 and r_t -> 0 where training is done. A `Filter` also says where r_t stays bounded: `curvature` maps
the right half plane, Re(w) >= 0, onto the region of z where |r_t| <= 1, so that one contour in w serves all
algorithms (`contour.py`). Adding an algorithm is adding one function here.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array


class Filter(NamedTuple):
    """One algorithm. All functions act elementwise on arrays."""

    curvature: Callable[[Array], Array]  # w -> z, with curvature(0) = 0 and real for real w
    log_slope: Callable[[Array], Array]  # w -> d log z / d log w
    stability: Callable[[Array], Array]  # real z -> real w, inverse of curvature; beyond stability: not positive
    response: Callable[[Array, Array], Array]  # (z, t) -> r_t(z)
    clock: float  # r_t ~ exp(-clock * w * t) at small w


def gradient_flow() -> Filter:
    """r_t(z) = exp(-z t): stable in the whole right half plane."""
    return Filter(
        curvature=lambda w: w,
        log_slope=jnp.ones_like,
        stability=lambda z: z,
        response=lambda z, t: jnp.exp(-z * t),
        clock=1.0,
    )


def gradient_descent(lr: Array) -> Filter:
    """r_t(z) = (1 - lr z)^t, t a number of steps: stable in the disc |1 - lr z| <= 1.

    The Cayley map z = (2/lr) w/(1 + w) takes the half plane to the disc: 1 - lr z = (1 - w)/(1 + w).
    """
    return Filter(
        curvature=lambda w: 2.0 / lr * w / (1.0 + w),
        log_slope=lambda w: 1.0 / (1.0 + w),
        stability=lambda z: lr * z / (2.0 - lr * z),
        # log1p keeps (1 - lr z)^t right at 10^6 steps, where a plain power loses ten digits
        response=lambda z, t: jnp.exp(t * jnp.log1p(-lr * z)),
        clock=2.0,
    )


FILTERS: dict[str, Callable[..., Filter]] = {
    "GradientFlow": gradient_flow,
    "GradientDescent": gradient_descent,
}
