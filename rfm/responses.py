"""Exact solutions along one direction: the weight after t, divided by its moment, at curvature z.

With r_t(z) the factor by which an algorithm shrinks the error along that direction, the response is (1 - r_t(z))/z.
Arrays in, arrays out: z (m,), t (T, 1) -> (T, m).
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm.steps import Schedule, take_steps

BINARY_DIGITS = 50  # of the number of steps
Step = Callable[[Callable[[Array], Array], Array, Any], tuple[Array, Any]]  # (gradient, v, memory) -> (v, memory)


def exponential(z: Array, t: Array) -> Array:
    """(1 - exp(-z t))/z, at z -> 0 equal to t."""
    z = z[None]  # beside t (T, 1)
    small = z * t < 1e-12
    return jnp.where(small, t, -jnp.expm1(-z * t) / jnp.where(small, 1.0, z))


def geometric(lr: Array, z: Array, t: Array) -> Array:
    """[1 - (1 - lr z)^t]/z, at z -> 0 equal to lr t."""
    z = z[None]  # beside t (T, 1)
    # log1p keeps small lr z exact at many steps; beyond lr z = 1 the factor alternates in sign
    alternating = lr * z > 1.0
    log_abs = jnp.where(
        alternating,
        jnp.log(jnp.abs(1.0 - lr * z)),
        jnp.log1p(-jnp.where(alternating, 0.0, lr * z)),
    )
    left = jnp.where(alternating & (t % 2 == 1), -1.0, 1.0) * jnp.exp(t * log_abs)
    left = jnp.where(t == 0, 1.0, left)
    done = jnp.where(alternating, 1.0 - left, -jnp.expm1(t * log_abs))
    small = lr * z * t < 1e-12
    return jnp.where(small, lr * t, done / jnp.where(small, 1.0, z))


def scheduled(schedule: Schedule, weight_decay: Array, z: Array, t: Array) -> Array:
    """Steps taken along each direction by themselves: a schedule has no closed form."""

    def update(v: Array, count: Array) -> tuple[Array, Array]:
        return v - schedule.at(count) * ((z * v - 1.0) + weight_decay * v), count + 1

    return take_steps(update, jnp.zeros_like(z), jnp.zeros((), int), t[:, 0])[0]


def powers(step: Step, z: Array, t: Array) -> Array:
    """Powers of the 3 x 3 map of (v, memory, 1) that a step is along one direction."""
    zero, unit = jnp.zeros_like(z), jnp.ones_like(z)
    pull = lambda source: lambda v: z * v - source  # noqa: E731
    columns = [step(pull(0.0), unit, zero), step(pull(0.0), zero, unit), step(pull(1.0), zero, zero)]
    rows = [jnp.stack(row, axis=-1) for row in zip(*columns, strict=True)]
    matrix = jnp.stack([*rows, jnp.stack([zero, zero, unit], axis=-1)], axis=-2)  # (m, 3, 3)
    state = jnp.zeros((t.shape[0], z.shape[0], 3)).at[..., 2].set(1.0)

    def square(_: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        matrix, state, left = carry  # all powers commute: the digits of t may come in any order
        moved = jnp.einsum("mij,tmj->tmi", matrix, state)
        return matrix @ matrix, jnp.where((left % 2 == 1)[..., None], moved, state), left // 2

    _, state, _ = lax.fori_loop(0, BINARY_DIGITS, square, (matrix, state, t))
    return state[..., 0]


def ridge_limit(ridge: Array, z: Array, t: Array) -> Array:
    """1/(z + ridge) at every t; without a ridge, directions whose curvature is rounding error stay untouched."""
    total = jnp.broadcast_to(z + ridge, jnp.broadcast_shapes(jnp.shape(z), jnp.shape(t)))
    cutoff = jnp.max(z, initial=0.0) * z.shape[-1] * jnp.finfo(z.dtype).eps
    return jnp.where(total > cutoff, 1.0 / jnp.where(total > cutoff, total, 1.0), 0.0)


def mean_square_edge(z: np.ndarray, bound: float) -> np.ndarray:
    """z* >= z_max at which sum z/(z* - z) has come down to `bound`, (...) of z (..., n); by bisection of its logarithm.

    Source: Paquette et al. 2024 (arXiv 2405.15074), section 2.
    """
    z_max = np.max(z, axis=-1)
    low, high = np.full_like(z_max, -36.0), np.full_like(z_max, 36.0)  # of log(z*/z_max - 1)
    for _ in range(60):
        middle = 0.5 * (low + high)
        edge = z_max * (1.0 + np.exp(middle))
        bounded = np.sum(z / (edge[..., None] - z), axis=-1) < bound
        low, high = np.where(bounded, low, middle), np.where(bounded, middle, high)
    return z_max * (1.0 + np.exp(high))
