"""DANA: stochastic gradient descent with a memory that grows with time or with the size of the model."""

from functools import partial
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from rfm import checks
from rfm.protocols import Gradient
from rfm.pytrees import pytree, static
from rfm.sgd import DRAWN_ANEW, SGD, Memory, at_step, averaged, check_numbers

FORGOTTEN = 8.0  # of the presets: what is forgotten a step is FORGOTTEN/(FORGOTTEN + step)


@pytree
class DANA:
    """y <- (1 - forgetting) y + g,  v <- v - lr g - momentum_lr y, g half the gradient on a batch; y = 0 at first.

    Dimension-adapted Nesterov acceleration (Ferbach et al. 2025, arXiv 2505.16098; there lr is gamma_2, momentum_lr
    gamma_3 and forgetting Delta). `constant` and `decay` make the two of the paper. Every number may change with the
    step, as those of `SGD`.

    Args:
        lr: > 0, or a schedule >= 0.
        momentum_lr: >= 0, or a schedule.
        forgetting: > 0 and <= 1, or a schedule; 1 keeps nothing, which is SGD at lr + momentum_lr.
        batch_size: as of `SGD`, like `average` and `order`.
        average: which average of the weights `Curve.average_risk` is of, or None.
        order: in which a training set is seen.

    Raises:
        ValueError: for other values.

    Example:
        >>> optimizer = DANA.constant(0.2, num_features=100)
        >>> float(optimizer.momentum_lr), optimizer.forgetting(8.0)
        (0.002, 0.5)
    """

    lr: Any
    momentum_lr: Any
    forgetting: Any
    batch_size: Any = 1
    average: Any = None
    order: str = static(default=DRAWN_ANEW)
    discrete: ClassVar[bool] = True
    stability: ClassVar[str] = "2/z_max - momentum_lr/(2 - forgetting)"

    def __post_init__(self) -> None:
        check_numbers(self)

    @classmethod
    def constant(cls, lr: float, num_features: float, batch_size: Any = 1, average: Any = None) -> "DANA":
        """Return DANA-constant: momentum_lr = lr/num_features at every step, with a memory that is as old as training.

        Args:
            lr: learning rate of the last gradient.
            num_features: model size N; the noise of batches stays bounded for momentum_lr < 2 lr batch_size/N or so.
            batch_size: as of `SGD`, like `average`.
            average: which average of the weights is wanted.

        Raises:
            ValueError: for num_features below 1, and other wrong numbers.
        """
        checks.size("num_features", num_features, integer=False)
        return cls(lr, lr / num_features, partial(_share, FORGOTTEN), batch_size, average)

    @classmethod
    def decay(cls, lr: float, b: float, batch_size: Any = 1, average: Any = None) -> "DANA":
        """Return DANA-decaying: momentum_lr = lr (1 + step)^(-1/b), with a memory that is as old as training.

        Args:
            lr: learning rate of the last gradient.
            b: exponent of the spectrum, > 1: after t steps some t^(1/b) directions have been learned.
            batch_size: as of `SGD`, like `average`.
            average: which average of the weights is wanted.

        Raises:
            ValueError: for b <= 1, and other wrong numbers.
        """
        checks.number("b", b, 1.0, "a number > 1, the exponent of the spectrum")
        return cls(lr, partial(_fall, lr, b), partial(_share, FORGOTTEN), batch_size, average)

    tabulated, shares, chance = SGD.tabulated, SGD.shares, SGD.chance

    def init(self, v: Array) -> Memory:
        """Return no gradient yet, no step taken, and the average."""
        return Memory(jnp.zeros_like(v), jnp.zeros((), int), None if self.average is None else v)

    def step(self, gradient: Gradient, v: Array, memory: Memory) -> tuple[Array, Memory]:
        """Take one step."""
        past, count, _ = memory
        lr, momentum_lr, forgetting = (at_step(x, count) for x in (self.lr, self.momentum_lr, self.forgetting))
        now = gradient(v)
        kept = (1.0 - forgetting) * past + now
        new = v - lr * now - momentum_lr * kept  # eq. 39
        return new, Memory(kept, count + 1, averaged(self.average, new, memory))

    def largest_stable_lr(self, z_max: Any) -> Any:
        """2/z_max - momentum_lr/(2 - forgetting), beyond which the mean over batches grows."""
        return 2.0 / z_max - self.momentum_lr / (2.0 - self.forgetting)


Batched = SGD | DANA  # algorithms whose batches make noise


def _share(forgotten: float, step: Any) -> Any:
    return forgotten / (forgotten + step)


def _fall(lr: Any, b: float, step: Any) -> Any:
    return lr * (1.0 + step) ** (-1.0 / b)
