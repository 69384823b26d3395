"""Taking steps: one loop for every algorithm, and learning-rate schedules as tables."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import checks

MOST_STEPS = 2**26  # of a schedule, tabulated: half a gigabyte
LARGEST = 1e100  # squared norm of the weights at which a run counts as diverged


class Schedule(NamedTuple):
    """A learning rate of constant pieces: values (R,), and the step count at which each ends (R,)."""

    values: Array | np.ndarray
    ends: Array | np.ndarray

    def at(self, count: Array) -> Array:
        """The value for the step after `done` steps."""
        return jnp.asarray(self.values)[jnp.searchsorted(jnp.asarray(self.ends), count, side="right")]


def tabulate(schedule: Callable[[Array], Any], num_steps: int) -> Schedule:
    """An optax schedule over the steps 0 .. num_steps - 1, equal neighbours joined; ValueError unless all >= 0."""
    if num_steps > MOST_STEPS:
        checks.fail("times", f"at most {MOST_STEPS} steps of a learning rate with a schedule", num_steps)
    counts = jnp.arange(max(num_steps, 1))
    try:
        values = np.asarray(jax.vmap(schedule)(counts), np.float64)
    except (TypeError, ValueError, jax.errors.JAXTypeError) as error:
        checks.fail("lr", f"a number, or an optax schedule of the step count ({error})", schedule)
    if values.shape != counts.shape or not np.all(np.isfinite(values)) or np.any(values < 0) or not np.any(values > 0):
        checks.fail("lr", "a schedule of finite numbers >= 0, not all zero", values)
    last = np.flatnonzero(np.append(np.diff(values) != 0, True))
    return Schedule(values[last], last + 1.0)


class Carry(NamedTuple):
    """State of `take_steps`: weights and memory after `done` steps, and how many each run took before it diverged."""

    v: Array
    memory: Any
    done: Array
    taken: Array


def take_steps(
    update: Callable[[Array, Any], tuple[Array, Any]], v: Array, memory: Any, times: Array | np.ndarray
) -> tuple[Array, Array]:
    """Repeat (v, memory) <- update(v, memory) for runs v (S, ...) and record v at `times` (T,), increasing step counts.

    Returns v at all times (T, S, ...) and how many steps each run took (S,): fewer than the last time where its |v|^2
    passes LARGEST or is no number any more; what is recorded of it from there on means nothing.
    """
    runs, axes = v.shape[:1], tuple(range(1, v.ndim))

    def step(carry: Carry) -> Carry:
        v, memory = update(carry.v, carry.memory)
        # a run that diverged counts no further; its numbers may overflow beside those of the others
        going = (carry.taken == carry.done) & (jnp.sum(v * v, axis=axes) < LARGEST)
        return Carry(v, memory, carry.done + 1, jnp.where(going, carry.done + 1, carry.taken))

    # one scan over recorded times; the steps between are a loop of traced length
    def segment(carry: Carry, stop: Array) -> tuple[Carry, Array]:
        going = lambda carry: (carry.done < stop) & jnp.any(carry.taken == carry.done)  # noqa: E731
        carry = lax.while_loop(going, step, carry)
        return carry, carry.v

    start = Carry(v, memory, jnp.zeros((), int), jnp.zeros(runs, int))
    end, recorded = lax.scan(segment, start, jnp.asarray(times).astype(int))
    return recorded, end.taken
