"""Exact solutions along one direction: the weight after t, divided by its moment, at curvature z.

With r_t(z) the factor by which an algorithm shrinks the error along that direction, the response is (1 - r_t(z))/z.
Arrays in, arrays out: z (m,), t (T, 1) -> (T, m). Numpy answers numpy at once, but for schedules; XLA answers JAX.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm.steps import Schedule, take_steps

Values = Any  # an array of numpy or of JAX
BINARY_DIGITS = 50  # of the number of steps
Step = Callable[[Callable[[Array], Array], Array, Any], tuple[Array, Any]]  # (gradient, v, memory) -> (v, memory)


def namespace(*values: Values) -> Any:
    """Return jax.numpy where any of some arrays is one of JAX, else numpy."""
    return jnp if any(isinstance(value, Array) for value in values) else np


def exponential(z: Values, t: Values) -> Values:
    """(1 - exp(-z t))/z, at z -> 0 equal to t."""
    xp, z = namespace(z, t), z[None]  # beside t (T, 1)
    small = z * t < 1e-12
    return xp.where(small, t, -xp.expm1(-z * t) / xp.where(small, 1.0, z))


@np.errstate(divide="ignore", invalid="ignore")  # at lr z = 1, where a step goes all the way
def geometric(lr: Values, z: Values, t: Values) -> Values:
    """[1 - (1 - lr z)^t]/z, at z -> 0 equal to lr t."""
    xp, z = namespace(lr, z, t), z[None]  # beside t (T, 1)
    # log1p keeps small lr z exact at many steps; beyond lr z = 1 the factor alternates in sign
    alternating = lr * z > 1.0
    log_abs = xp.where(
        alternating,
        xp.log(xp.abs(1.0 - lr * z)),
        xp.log1p(-xp.where(alternating, 0.0, lr * z)),
    )
    left = xp.where(alternating & (t % 2 == 1), -1.0, 1.0) * xp.exp(t * log_abs)
    left = xp.where(t == 0, 1.0, left)
    done = xp.where(alternating, 1.0 - left, -xp.expm1(t * log_abs))
    small = lr * z * t < 1e-12
    return xp.where(small, lr * t, done / xp.where(small, 1.0, z))


def scheduled(schedule: Schedule, weight_decay: Array, z: Array, t: Array) -> Array:
    """Steps taken along each direction by themselves: a schedule has no closed form."""

    def update(v: Array, count: Array) -> tuple[Array, Array]:
        return v - schedule.at(count) * ((z * v - 1.0) + weight_decay * v), count + 1

    return take_steps(update, jnp.zeros_like(z), jnp.zeros((), int), t[:, 0])[0]


def powers(step: Step, z: Values, t: Values) -> Values:
    """Powers of the 3 x 3 map of (v, memory, 1) that a step is along one direction."""
    zero, unit = 0.0 * z, 0.0 * z + 1.0
    pull = lambda source: lambda v: z * v - source  # noqa: E731
    columns = [step(pull(0.0), unit, zero), step(pull(0.0), zero, unit), step(pull(1.0), zero, zero)]
    xp = namespace(t, *(x for column in columns for x in column))
    rows = [xp.stack(row, axis=-1) for row in zip(*columns, strict=True)]
    matrix = xp.stack([*rows, xp.stack([zero, zero, unit], axis=-1)], axis=-2)  # (m, 3, 3)
    state = xp.broadcast_to(matrix[:, 2], (t.shape[0], z.shape[0], 3))  # (0, 0, 1)

    def square(carry: tuple[Array, Array, Array], _: Any) -> tuple[Array, Array, Array]:
        matrix, state, left = carry  # all powers commute: the digits of t may come in any order
        moved = xp.einsum("mij,tmj->tmi", matrix, state)
        return matrix @ matrix, xp.where((left % 2 == 1)[..., None], moved, state), left // 2

    start = matrix, state, t
    if xp is np:
        _, state, _ = reduce(square, range(BINARY_DIGITS), start)
    else:
        _, state, _ = lax.fori_loop(0, BINARY_DIGITS, lambda i, carry: square(carry, i), start)
    return state[..., 0]


def ridge_limit(ridge: Values, z: Values, t: Values) -> Values:
    """1/(z + ridge) at every t; without a ridge, directions whose curvature is rounding error stay untouched."""
    xp = namespace(ridge, z, t)
    total = xp.broadcast_to(z + ridge, np.broadcast_shapes(np.shape(z), np.shape(t)))
    cutoff = xp.max(z, initial=0.0) * z.shape[-1] * xp.finfo(z.dtype).eps
    return xp.where(total > cutoff, 1.0 / xp.where(total > cutoff, total, 1.0), 0.0)


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
