"""Abilities of a training algorithm: a spec in `rfm.optimizers` has an ability if it has its methods."""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, runtime_checkable

from jax import Array
from jax.typing import ArrayLike

Gradient = Callable[[Array], Array]  # half the gradient of the training loss at weights v, Phi^T (Phi v - y)/P


@runtime_checkable
class Stepper(Protocol):
    """An algorithm that takes steps: `simulate` repeats them."""

    def init(self, v: Array) -> Any:
        """Return the state that is kept beside the weights."""
        ...

    def step(self, gradient: Gradient, v: Array, memory: Any) -> tuple[Array, Any]:
        """Update the weights v of one model, and the memory."""
        ...


@runtime_checkable
class Solvable(Protocol):
    """An algorithm that `exact` can solve: linear in the weights."""

    def response(self, z: Any, t: Any) -> Any:
        """Weight (T, m) after t (T, 1) along a direction of curvature z (m,), divided by its moment: `responses`.

        Arrays of JAX in a run, and of numpy where what is known of a run is solved along its directions.
        """
        ...


@runtime_checkable
class Bounded(Protocol):
    """An algorithm whose learning rate has a known bound of stability, as a formula and as a number."""

    stability: ClassVar[str]

    @property
    def lr(self) -> Any:
        """Learning rate, or a schedule."""
        ...

    def largest_stable_lr(self, z_max: ArrayLike) -> Any:
        """Evaluate the bound at the largest curvature."""
        ...
