"""One frozen spec per training algorithm: its numbers and its update.

Adding an algorithm: one spec here, one filter in `theory/filters.py`, one row in the tests' table. The
methods of a spec say what can be done with it (`rfm.protocols`).
"""

import dataclasses
import math
from typing import Any, ClassVar, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from rfm import checks, responses
from rfm.optax_steps import Optax
from rfm.precision import is_traced
from rfm.protocols import Bounded, Gradient
from rfm.pytrees import pytree
from rfm.steps import Schedule, tabulate


@pytree
class GradientFlow:
    """dv/dt = -(1/2) grad of the training loss; time is lr x steps in the limit of small lr.

    Example:
        >>> GradientFlow().discrete
        False
    """

    discrete: ClassVar[bool] = False

    def response(self, z: Array, t: Array) -> Array:
        """(1 - exp(-z t))/z."""
        return responses.exponential(z, t)


@pytree
class GradientDescent:
    """v <- v - lr [(1/2) grad of the training loss + weight_decay v]: a residual shrinks by 1 - lr z a step.

    Args:
        lr: a number > 0, or an optax schedule (a function of the step count).
        weight_decay: a number >= 0; training ends at the weights of Ridge(weight_decay).

    Raises:
        ValueError: for other values; `simulate`, `exact` and `theory.predict` raise where the largest lr reaches
            2/(z_max + weight_decay).

    Example:
        >>> GradientDescent(0.1, weight_decay=0.5).largest_stable_lr(1.5)
        1.0
    """

    lr: Any
    weight_decay: Any = 0.0
    discrete: ClassVar[bool] = True
    stability: ClassVar[str] = "2/(z_max + weight_decay)"

    def __post_init__(self) -> None:
        if not (callable(self.lr) or isinstance(self.lr, Schedule)):
            checks.number("lr", self.lr, 0.0, "a finite number > 0, or a schedule")
        checks.number("weight_decay", self.weight_decay, 0.0, "a finite number >= 0", inclusive=True)

    def init(self, v: Array) -> Array:
        """Count the steps taken."""
        del v
        return jnp.zeros((), int)

    def step(self, gradient: Gradient, v: Array, memory: Array) -> tuple[Array, Array]:
        """Take one step."""
        lr = self.lr.at(memory) if isinstance(self.lr, Schedule) else self.lr
        return v - lr * (gradient(v) + self.weight_decay * v), memory + 1

    def response(self, z: Array, t: Array) -> Array:
        """[1 - (1 - lr z')^t]/z', z' = z + weight_decay; a product for a schedule."""
        if isinstance(self.lr, Schedule):
            return responses.scheduled(self.lr, self.weight_decay, z, t)
        return responses.geometric(self.lr, z + self.weight_decay, t)

    def largest_stable_lr(self, z_max: ArrayLike) -> Any:
        """2/(z_max + weight_decay)."""
        return 2.0 / (z_max + self.weight_decay)


@pytree
class HeavyBall:
    """v_{t+1} = v_t - lr g(v_t) + momentum (v_t - v_{t-1}), g half the gradient (Polyak 1964); v_{-1} = v_0 = 0.

    Args:
        lr: a number > 0, below 2 (1 + momentum)/z_max.
        momentum: a number >= 0 and < 1.

    Raises:
        ValueError: for other values.

    Example:
        >>> HeavyBall(0.2, momentum=0.5).largest_stable_lr(1.0)
        3.0
    """

    lr: Any
    momentum: Any
    discrete: ClassVar[bool] = True
    stability: ClassVar[str] = "2 (1 + momentum)/z_max"

    def __post_init__(self) -> None:
        _check_momentum(self.lr, self.momentum)

    def init(self, v: Array) -> Array:
        """Return the weights before the last step."""
        return v

    def step(self, gradient: Gradient, v: Array, memory: Array) -> tuple[Array, Array]:
        """Take one step."""
        return v - self.lr * gradient(v) + self.momentum * (v - memory), v

    def response(self, z: Array, t: Array) -> Array:
        """Powers of the linear map that a step is along one direction."""
        return responses.powers(self.step, z, t)

    def largest_stable_lr(self, z_max: ArrayLike) -> Any:
        """2 (1 + momentum)/z_max."""
        return 2.0 * (1.0 + self.momentum) / z_max


@pytree
class Nesterov:
    """u_t = v_t + momentum (v_t - v_{t-1}), v_{t+1} = u_t - lr g(u_t), g half the gradient (Nesterov 1983).

    Args:
        lr: a number > 0, below 2 (1 + momentum)/((1 + 2 momentum) z_max).
        momentum: a number >= 0 and < 1.

    Raises:
        ValueError: for other values.

    Example:
        >>> Nesterov(0.2, momentum=0.5).largest_stable_lr(1.0)
        1.5
    """

    lr: Any
    momentum: Any
    discrete: ClassVar[bool] = True
    stability: ClassVar[str] = "2 (1 + momentum)/((1 + 2 momentum) z_max)"

    def __post_init__(self) -> None:
        _check_momentum(self.lr, self.momentum)

    init = HeavyBall.init

    def step(self, gradient: Gradient, v: Array, memory: Array) -> tuple[Array, Array]:
        """Take one step."""
        ahead = v + self.momentum * (v - memory)
        return ahead - self.lr * gradient(ahead), v

    def response(self, z: Array, t: Array) -> Array:
        """Powers of the linear map that a step is along one direction."""
        return responses.powers(self.step, z, t)

    def largest_stable_lr(self, z_max: ArrayLike) -> Any:
        """2 (1 + momentum)/((1 + 2 momentum) z_max)."""
        return 2.0 * (1.0 + self.momentum) / ((1.0 + 2.0 * self.momentum) * z_max)


@pytree
class SGD:
    """Stochastic gradient descent: `HeavyBall` steps along the gradient of a batch of `batch_size` samples.

    num_samples = jnp.inf: one pass, every batch is fresh. A finite number: each step draws its batch of different
    samples from the training set, so that batch_size = num_samples is full-batch descent; theory knows one pass only.

    Args:
        lr: a number > 0, below the bound where one pass would diverge in mean square.
        batch_size: samples a step, >= 1.
        momentum: a number >= 0 and < 1.

    Raises:
        ValueError: for other values.

    Example:
        >>> SGD(0.1, batch_size=8).full_batch()
        GradientDescent(lr=0.1, weight_decay=0.0)
    """

    lr: Any
    batch_size: Any = 1
    momentum: Any = 0.0
    discrete: ClassVar[bool] = True
    stability: ClassVar[str] = "2 (1 - momentum^2)/((1 - momentum + (1 + momentum)/batch_size) z*)"

    def __post_init__(self) -> None:
        checks.size("batch_size", self.batch_size, integer=False)
        _check_momentum(self.lr, self.momentum)

    init = HeavyBall.init
    step = HeavyBall.step

    def full_batch(self) -> GradientDescent | HeavyBall:
        """Return its limit at large batch_size, which is also its average over batches."""
        momentum = self.momentum
        plain = not is_traced(momentum) and float(momentum) == 0.0
        return GradientDescent(self.lr) if plain else HeavyBall(self.lr, momentum)

    def effective_edge(self, z: np.ndarray) -> np.ndarray:
        """z* >= z_max with sum z/(z* - z) <= 1 + batch_size (1 - momentum)/(1 + momentum): a bounded mean square."""
        return responses.mean_square_edge(z, 1.0 + self.batch_size * (1.0 - self.momentum) / (1.0 + self.momentum))

    def largest_stable_lr(self, z_max: ArrayLike) -> Any:
        """The formula `stability`, with z* of `effective_edge`."""
        spread = 1.0 - self.momentum + (1.0 + self.momentum) / self.batch_size
        return 2.0 * (1.0 - self.momentum**2) / (spread * z_max)


@pytree
class Ridge:
    """Ridge regression, trained to convergence: training loss + ridge |v|^2 minimised. No time: pass no `times`.

    Args:
        ridge: a number >= 0; 0 is the ridgeless limit, where gradient flow ends at t = infinity.

    Raises:
        ValueError: for other values.

    Example:
        >>> Ridge(0.1)
        Ridge(ridge=0.1)
    """

    ridge: Any
    discrete: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.number("ridge", self.ridge, 0.0, "a finite number >= 0", inclusive=True)

    def response(self, z: Array, t: Array) -> Array:
        """1/(z + ridge)."""
        return responses.ridge_limit(self.ridge, z, t)


Optimizer = GradientFlow | GradientDescent | HeavyBall | Nesterov | SGD | Ridge | Optax


def _check_momentum(lr: object, momentum: object) -> None:
    checks.number("lr", lr, 0.0, "a finite number > 0")
    checks.fraction("momentum", momentum)


def resolve(optimizer: Optimizer, times: ArrayLike | None) -> Optimizer:
    """Return the optimizer with the schedule of its learning rate, if any, tabulated up to the last of `times`.

    Numbers that JAX does not know, such as fractions, become floats.
    """
    optimizer = jax.tree.map(checks.plain, optimizer)
    lr = getattr(optimizer, "lr", None)
    if times is None or not callable(lr):
        return optimizer
    if not isinstance(optimizer, GradientDescent):
        checks.fail("lr", f"a number for {type(optimizer).__name__} (schedules: GradientDescent or Optax)", lr)
    return dataclasses.replace(optimizer, lr=tabulate(lr, int(np.max(times))))


def check_times(optimizer: Optimizer, times: object) -> None:
    """Raise ValueError for something that is no algorithm, or for times it cannot be run at."""
    if not isinstance(optimizer, Optimizer):
        names = (c.__name__ + "(...)" for c in get_args(Optimizer))
        raw = isinstance(optimizer, tuple) and hasattr(optimizer, "update")
        checks.fail("optimizer", "wrapped in rfm.Optax(...)" if raw else "one of " + ", ".join(names), optimizer)
    if not isinstance(optimizer, Ridge):
        checks.time_grid(times, integer=optimizer.discrete)
    elif times is not None:
        checks.fail("times", "left out for Ridge, trained to the end (over time: GradientDescent, weight_decay)", times)


def stability_edge(optimizer: Optimizer, curvatures: np.ndarray, num_samples: float) -> np.ndarray:
    """Largest curvature (S,) of draws with curvatures (S, m), or z* of one pass: it limits the learning rate."""
    if isinstance(optimizer, SGD) and math.isinf(num_samples):
        return optimizer.effective_edge(curvatures)
    return np.max(curvatures, axis=-1)


def check_stability(optimizer: Optimizer, edge: ArrayLike, num_features: float, num_samples: float) -> None:
    """Raise ValueError where training diverges; edge: of `stability_edge`, or of the theory."""
    rule, largest = optimizer, float(np.max(edge))
    if isinstance(optimizer, SGD) and math.isfinite(num_samples):
        # batches of a finite set: the mean diverges beyond the bound of full batches, the rest shows in the run
        rule = HeavyBall(optimizer.lr, optimizer.momentum)
    if not isinstance(rule, Bounded):
        return
    bound = float(rule.largest_stable_lr(largest))
    lr = float(np.max(rule.lr.values if isinstance(rule.lr, Schedule) else rule.lr))
    if not lr < bound:
        symbol = "z*" if "z*" in rule.stability else "z_max"
        sizes = f"num_features = {num_features}, num_samples = {num_samples}"
        where = f"largest curvature {symbol} = {largest:.6g} at {sizes}"
        checks.fail("lr", f"< {bound:.6g} = {rule.stability} for training to converge ({where})", lr)
