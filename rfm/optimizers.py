"""One frozen spec per training algorithm: its numbers, its update, and its exact response where it is linear.

Adding an algorithm: one spec here, one filter in `theory/filters.py`, one row in the tests' table.
"""

from typing import Any, get_args

import jax.numpy as jnp
import numpy as np
from jax import Array

from rfm import checks
from rfm.pytree import pytree


@pytree
class GradientFlow:
    """dv/dt = -(1/2) grad of the training loss; time is lr x steps in the limit of small lr."""

    discrete = False

    def response(self, z: Array, t: Array) -> Array:
        """(1 - exp(-z t))/z: what multiplies Phi^T y / P along curvature z, at z -> 0 equal to t."""
        small = z * t < 1e-12
        return jnp.where(small, t, -jnp.expm1(-z * t) / jnp.where(small, 1.0, z))


@pytree
class GradientDescent:
    """v <- v - lr (1/2) grad of the training loss, so that a residual shrinks by 1 - lr z a step.

    Raises ValueError unless lr > 0; `simulate` and `exact` raise where lr >= 2/z_max of a draw.
    """

    lr: Any
    discrete = True

    def __post_init__(self):
        checks.number("lr", self.lr, 0.0, "a finite number > 0")

    def step(self, v: Array, gradient: Array) -> Array:
        """One update; gradient is half the gradient of the training loss."""
        return v - self.lr * gradient

    def response(self, z: Array, t: Array) -> Array:
        """(1 - (1 - lr z)^t)/z, at z -> 0 equal to lr t."""
        # log1p keeps small lr z exact at many steps; beyond lr z = 1 the factor alternates in sign
        alternating = self.lr * z > 1.0
        log_abs = jnp.where(
            alternating,
            jnp.log(jnp.abs(1.0 - self.lr * z)),
            jnp.log1p(-jnp.where(alternating, 0.0, self.lr * z)),
        )
        left = jnp.where(alternating & (t % 2 == 1), -1.0, 1.0) * jnp.exp(t * log_abs)
        left = jnp.where(t == 0, 1.0, left)
        done = jnp.where(alternating, 1.0 - left, -jnp.expm1(t * log_abs))
        small = self.lr * z * t < 1e-12
        return jnp.where(small, self.lr * t, done / jnp.where(small, 1.0, z))

    def largest_stable_lr(self, z_max: Array) -> Array:
        """2/z_max."""
        return 2.0 / z_max


@pytree
class Ridge:
    """Ridge regression, trained to convergence: training loss + ridge |v|^2 minimised. No time: pass no `times`.

    ridge = 0 is the ridgeless limit, where gradient flow ends at t = infinity.
    """

    ridge: Any
    discrete = False

    def __post_init__(self):
        checks.number("ridge", self.ridge, 0.0, "a finite number >= 0", inclusive=True)

    def response(self, z: Array, t: Array) -> Array:
        """1/(z + ridge); without a ridge, directions whose curvature is rounding error stay untouched."""
        total = jnp.broadcast_to(z + self.ridge, jnp.broadcast_shapes(jnp.shape(z), jnp.shape(t)))
        cutoff = jnp.max(z, initial=0.0) * z.shape[-1] * jnp.finfo(z.dtype).eps
        return jnp.where(total > cutoff, 1.0 / jnp.where(total > cutoff, total, 1.0), 0.0)


Optimizer = GradientFlow | GradientDescent | Ridge


def check_times(optimizer: Optimizer, times: object) -> None:
    """Raise ValueError for something that is no algorithm, or for times it cannot be run at."""
    if not isinstance(optimizer, Optimizer):
        checks.fail("optimizer", "one of " + ", ".join(c.__name__ + "(...)" for c in get_args(Optimizer)), optimizer)
    if isinstance(optimizer, Ridge) != (times is None):
        checks.fail("times", "given, except to Ridge(), which is trained to convergence", times)
    if times is not None:
        checks.time_grid(times, integer=optimizer.discrete)


def check_stability(optimizer: Optimizer, z_max: Array, num_features: float, num_samples: float) -> None:
    """Raise ValueError where training diverges; z_max: largest curvature, of each draw or of the theory."""
    if not hasattr(optimizer, "largest_stable_lr"):
        return
    z_max = float(np.max(np.asarray(z_max)))
    bound = float(optimizer.largest_stable_lr(z_max))
    if not float(optimizer.lr) < bound:
        raise ValueError(
            f"Argument `lr` must be < {bound:.6g} = 2/z_max for training to converge "
            f"(largest curvature z_max = {z_max:.6g} "
            f"at num_features = {num_features}, num_samples = {num_samples}), but is {float(optimizer.lr)!r}."
        )
