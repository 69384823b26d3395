"""Taking steps: one loop for every algorithm, and learning-rate schedules as tables."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import checks

LARGEST = 1e100  # squared norm of the weights at which a run counts as diverged


class Schedule(NamedTuple):
    """A learning rate of constant pieces: values (R,), and the step count at which each ends (R,)."""

    values: Array
    ends: Array

    def at(self, count: Array) -> Array:
        """The value for the step after `count` steps."""
        return jnp.asarray(self.values)[jnp.searchsorted(jnp.asarray(self.ends), count, side="right")]


def tabulate(schedule: Callable[[Array], Array], num_steps: int) -> Schedule:
    """An optax schedule over the steps 0 .. num_steps - 1, equal neighbours joined; ValueError unless all >= 0."""
    counts = jnp.arange(max(num_steps, 1))
    try:
        values = np.asarray(jax.vmap(schedule)(counts), np.float64)
    except (TypeError, ValueError, jax.errors.JAXTypeError) as error:
        checks.fail("lr", f"a number, or an optax schedule of the step count ({error})", schedule)
    if values.shape != counts.shape or not np.all(np.isfinite(values)) or np.any(values < 0) or not np.any(values > 0):
        checks.fail("lr", "a schedule of finite numbers >= 0, not all zero", values)
    last = np.flatnonzero(np.append(np.diff(values) != 0, True))
    return Schedule(values[last], last + 1.0)


def take_steps(
    update: Callable[[Array, Any], tuple[Array, Any]], v: Array, memory: Any, times: Array
) -> tuple[Array, Array]:
    """Repeat (v, memory) <- update(v, memory) and record v at `times` (T,), increasing step counts.

    Returns v at all times (T, ...) and how many steps were taken: fewer than the last time where |v|^2 passes LARGEST
    or is no number any more; what is recorded from there on is the last v.
    """

    def going(carry, stop):
        v, _, count = carry
        return (count < stop) & (jnp.sum(v * v) < LARGEST)

    def one(carry):
        v, memory, count = carry
        return *update(v, memory), count + 1

    def segment(carry, stop):  # one scan over recorded times; the steps between are a loop of traced length
        carry = lax.while_loop(lambda carry: going(carry, stop), one, carry)
        return carry, carry[0]

    (_, _, count), recorded = lax.scan(segment, (v, memory, jnp.zeros((), int)), times.astype(int))
    return recorded, count
