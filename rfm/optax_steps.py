"""Training algorithms of optax, wrapped: the spec `Optax`."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from rfm import checks
from rfm.protocols import Gradient
from rfm.pytrees import pytree, static


@pytree
class Optax:
    """Any optax transformation, in simulation only: Optax(optax.adam(1e-2)).

    It sees half the gradient of the training loss of one model, so that optax.sgd(lr) is GradientDescent(lr). No closed
    form is known; nothing is checked beforehand, a run that diverges stops and says so.

    With a batch_size every step sees the gradient of so many different samples, drawn anew from the training set.

    Args:
        transformation: an optax.GradientTransformation, or a function that makes one from `numbers`, as in
            Optax(optax.adam, {"learning_rate": 1e-2}): then a sweep over the numbers compiles once.
        numbers: arguments of that function, by name.
        batch_size: samples a step, >= 1, or None for all of a finite training set.

    Raises:
        ValueError: for a transformation that is neither, numbers beside a finished one, and a batch_size below 1.

    Example:
        >>> import optax
        >>> Optax(optax.adam, {"learning_rate": 0.01}).numbers
        {'learning_rate': 0.01}
        >>> Optax(optax.adam, {"learning_rate": 0.01}, batch_size=8).batch_size
        8
    """

    transformation: Any = static()
    numbers: Any = dataclasses.field(default_factory=dict)
    batch_size: Any = None
    discrete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        finished = isinstance(self.transformation, tuple)
        if not finished and not callable(self.transformation):
            checks.fail("transformation", "an optax transformation or a function that makes one", self.transformation)
        if finished and self.numbers:
            checks.fail("numbers", "empty beside a finished transformation", self.numbers)
        if self.batch_size is not None:
            checks.size("batch_size", self.batch_size, integer=False)

    def _build(self) -> Any:
        make = self.transformation
        return make(**self.numbers) if callable(make) else make

    def init(self, v: Array) -> Any:
        """Return the state of the transformation."""
        return self._build().init(v)

    def step(self, gradient: Gradient, v: Array, memory: Any) -> tuple[Array, Any]:
        """Take one step."""
        updates, memory = self._build().update(gradient(v), memory, v)
        return jax.tree.map(jnp.add, v, updates), memory
