"""Taking steps: one loop for every algorithm, and learning-rate schedules as tables."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import checks
from rfm.precision import float64, is_traced

MOST_STEPS = 2**26  # of a schedule, tabulated: half a gigabyte
MOST_CALLS = 2**20  # of a schedule of plain Python, one a step
FEW_CALLS = 2**10  # of a schedule that takes arrays, and twice that, ...: lengths for which its operations compile
LARGEST = 1e140  # squared norm of the weights at which a run counts as diverged: squares of losses are still numbers


class Schedule(NamedTuple):
    """A learning rate of constant pieces: values (R,), and the step count at which each ends (R,)."""

    values: Array | np.ndarray
    ends: Array | np.ndarray

    def at(self, count: Array) -> Array:
        """The value for the step after `done` steps."""
        return jnp.asarray(self.values)[jnp.searchsorted(jnp.asarray(self.ends), count, side="right")]


def tabulate(schedule: Callable[[Array], Any], num_steps: int) -> Schedule:
    """An optax schedule over the steps 0 .. num_steps - 1, equal neighbours joined; ValueError unless all >= 0."""
    values = each_step("lr", schedule, num_steps)
    if not is_traced(values) and (np.any(values < 0) or not np.any(values > 0)):
        checks.fail("lr", "a schedule of finite numbers >= 0, not all zero", values)
    if is_traced(values):
        return Schedule(values, jnp.arange(1.0, len(values) + 1.0))
    last = np.flatnonzero(np.append(np.diff(values) != 0, True))
    return Schedule(values[last], last + 1.0)


def each_step(name: str, value: Any, num_steps: int) -> Any:
    """Values (num_steps,) of a number, an array of one value a step, or a function of the step count 0, 1, ...

    The function may be one of optax, or of plain Python. ValueError for values that are not finite, naming the step.
    """
    if num_steps > MOST_STEPS:
        checks.fail("times", f"at most {MOST_STEPS} steps of a schedule or an average", num_steps)
    counts = np.arange(max(num_steps, 1))
    values = _evaluate(name, value, counts) if callable(value) else value
    if np.ndim(values) == 1:
        if len(values) < num_steps:
            checks.fail(name, f"one value for each of {num_steps} steps, the last of `times`", values)
        values = values[: len(counts)]
    if is_traced(values):
        return jnp.broadcast_to(values, counts.shape)
    values = np.broadcast_to(checks.numeric(name, values), counts.shape)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        checks.fail(name, f"finite at every step (at step {wrong[0]} it is {values[wrong[0]]})", values)
    return values


def _evaluate(name: str, schedule: Callable[[Any], Any], counts: np.ndarray) -> Any:
    """Values of a function at all counts at once, or one by one where it branches on its argument."""
    with float64():
        try:
            try:
                values = jax.vmap(schedule)(jnp.arange(max(FEW_CALLS, 1 << (len(counts) - 1).bit_length())))
                values = (values if is_traced(values) else np.asarray(values))[: len(counts)]
            except jax.errors.ConcretizationTypeError:
                if len(counts) > MOST_CALLS:
                    raise
                values = np.array([float(schedule(int(count))) for count in counts])
        except (TypeError, ValueError, IndexError, jax.errors.JAXTypeError) as error:
            checks.fail(name, f"a number, or an optax schedule of the step count ({error})", schedule)
    if values.shape != counts.shape:
        checks.fail(name, "one number at every step", values)
    return values if is_traced(values) else np.asarray(values, np.float64)


class Carry(NamedTuple):
    """State of `take_steps`: weights and memory after `done` steps, and how many each run took before it diverged."""

    v: Array
    memory: Any
    done: Array
    taken: Array


def take_steps(
    update: Callable[[Array, Any], tuple[Array, Any]], v: Array, memory: Any, times: Array | np.ndarray,
    *, largest: float = LARGEST, record: Callable[[Array, Any], Any] = lambda v, memory: v,
) -> tuple[Any, Array]:  # fmt: skip
    """Repeat (v, memory) <- update(v, memory) for runs v (S, ...), and record at `times` (T,), rising step counts.

    Returns record(v, memory), v itself unless said otherwise, at all times (T, S, ...), and how many steps each run
    took (S,): fewer than the last time where its |v|^2 passes `largest` or is not a number any more; what is recorded
    of it from there on means nothing.
    """
    runs, axes = v.shape[:1], tuple(range(1, v.ndim))

    def step(carry: Carry) -> Carry:
        v, memory = update(carry.v, carry.memory)
        # a run that diverged counts no further; its numbers may overflow beside those of the others
        going = (carry.taken == carry.done) & (jnp.sum(v * v, axis=axes) < largest)
        return Carry(v, memory, carry.done + 1, jnp.where(going, carry.done + 1, carry.taken))

    # one scan over recorded times; the steps between are a loop of traced length
    def segment(carry: Carry, stop: Array) -> tuple[Carry, Any]:
        going = lambda carry: (carry.done < stop) & jnp.any(carry.taken == carry.done)  # noqa: E731
        carry = lax.while_loop(going, step, carry)
        return carry, record(carry.v, carry.memory)

    start = Carry(v, memory, jnp.zeros((), int), jnp.zeros(runs, int))
    end, recorded = lax.scan(segment, start, jnp.asarray(times).astype(int))
    return recorded, end.taken
