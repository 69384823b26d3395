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
    """Repeat (v, memory) <- update(v, memory) for runs v (S, ...) and record v at `times` (T,), increasing step counts.

    Returns v at all times (T, S, ...) and how many steps each run took (S,): fewer than the last time where its |v|^2
    passes LARGEST or is no number any more; what is recorded of it from there on means nothing.
    """
    runs, axes = v.shape[:1], tuple(range(1, v.ndim))

    def one(carry):
        v, memory, count, taken = carry
        v, memory = update(v, memory)
        # a run that diverged counts no further; its numbers may overflow beside those of the others
        going = (taken == count) & (jnp.sum(v * v, axis=axes) < LARGEST)
        return v, memory, count + 1, jnp.where(going, count + 1, taken)

    def segment(carry, stop):  # one scan over recorded times; the steps between are a loop of traced length
        going = lambda carry: (carry[2] < stop) & jnp.any(carry[3] == carry[2])  # noqa: E731
        carry = lax.while_loop(going, one, carry)
        return carry, carry[0]

    start = v, memory, jnp.zeros((), int), jnp.zeros(runs, int)
    (_, _, _, taken), recorded = lax.scan(segment, start, times.astype(int))
    return recorded, taken
