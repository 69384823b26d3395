"""Full-batch algorithms, one frozen spec each: its numbers and its update; and ridge regression, where they end."""

from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array
from numpy.typing import ArrayLike

from rfm import checks, responses
from rfm.precision import is_traced
from rfm.protocols import Gradient
from rfm.pytrees import pytree
from rfm.responses import Values
from rfm.steps import Schedule


@pytree
class GradientFlow:
    """dv/dt = -(1/2) grad of the training loss; time is lr x steps in the limit of small lr.

    Example:
        >>> GradientFlow().discrete
        False
    """

    discrete: ClassVar[bool] = False

    def response(self, z: Values, t: Values) -> Values:
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

    def response(self, z: Values, t: Values) -> Values:
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

    def response(self, z: Values, t: Values) -> Values:
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

    def response(self, z: Values, t: Values) -> Values:
        """Powers of the linear map that a step is along one direction."""
        return responses.powers(self.step, z, t)

    def largest_stable_lr(self, z_max: ArrayLike) -> Any:
        """2 (1 + momentum)/((1 + 2 momentum) z_max)."""
        return 2.0 * (1.0 + self.momentum) / ((1.0 + 2.0 * self.momentum) * z_max)


@pytree
class Preconditioned:
    """v <- v - lr (H + damping)^-power g, g half the gradient and H = Phi^T Phi/P the curvature of the training loss.

    power = 1 is a damped natural gradient (Newton's method), 1/2 the whitening that Shampoo and RMSProp aim at, 0 plain
    descent. Without a learning rate it is the flow dv/dt = -(H + damping)^-power g, and time is lr x steps.

    Args:
        power: a number >= 0 and <= 1.
        damping: a number > 0, in the unit of a curvature.
        lr: a number > 0, below 2 (z_max + damping)^power/z_max; None for the flow.

    Raises:
        ValueError: for other values.

    Example:
        >>> Preconditioned(1.0, damping=0.5, lr=0.1).largest_stable_lr(1.0), Preconditioned(0.5, 0.1).discrete
        (3.0, False)
    """

    power: Any
    damping: Any
    lr: Any = None
    stability: ClassVar[str] = "2 (z_max + damping)^power/z_max"

    def __post_init__(self) -> None:
        checks.number("power", self.power, 0.0, "a number >= 0 and <= 1", inclusive=True)
        if not is_traced(self.power) and self.power > 1:
            checks.fail("power", "a number >= 0 and <= 1", self.power)
        checks.number("damping", self.damping, 0.0, "a finite number > 0")
        if self.lr is not None:
            checks.number("lr", self.lr, 0.0, "a finite number > 0, or None for the flow")

    @property
    def discrete(self) -> bool:
        """Tell whether steps are taken."""
        return self.lr is not None

    def response(self, z: Values, t: Values) -> Values:
        """(1 - exp(-t z'))/z, or [1 - (1 - lr z')^t]/z, with z' = z/(z + damping)^power."""
        scale = (responses.namespace(z, t, self.damping).maximum(z, 0.0) + self.damping) ** -self.power
        if self.lr is None:
            return scale[None] * responses.exponential(scale * z, t)
        return scale[None] * responses.geometric(self.lr, scale * z, t)

    def largest_stable_lr(self, z_max: ArrayLike) -> Any:
        """2 (z_max + damping)^power/z_max."""
        return 2.0 * (z_max + self.damping) ** self.power / z_max


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

    def response(self, z: Values, t: Values) -> Values:
        """1/(z + ridge)."""
        return responses.ridge_limit(self.ridge, z, t)


def _check_momentum(lr: object, momentum: object) -> None:
    checks.number("lr", lr, 0.0, "a finite number > 0")
    checks.fraction("momentum", momentum)
