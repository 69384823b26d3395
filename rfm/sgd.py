"""Stochastic gradient descent: batches, learning rates and momenta that change, averages of the weights."""

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from rfm import checks, responses
from rfm.full_batch import GradientDescent, HeavyBall
from rfm.precision import is_traced
from rfm.protocols import Gradient
from rfm.pytrees import pytree, static
from rfm.steps import Schedule, each_step

POLYAK = "polyak"
DRAWN_ANEW = "replacement"
ORDERS = (DRAWN_ANEW, "shuffle", "fixed")
LEVELS = 16  # of what stability depends on, where it changes with the step
LEAST_CHANCE = 1e-12  # of a batch: all samples leave nothing to it


@pytree
class TailAverage:
    """Average of the weights after step `start` and all later ones; before it the weights themselves.

    Args:
        start: a whole number of steps >= 1; 1 is the average of all weights but those at the start, as "polyak".

    Raises:
        ValueError: for other values.

    Example:
        >>> TailAverage(3).decays(5).tolist()
        [0.0, 0.0, 0.0, 0.5, 0.6666666666666666]
    """

    start: Any

    def __post_init__(self) -> None:
        checks.count("start", self.start, "a whole number of steps >= 1")

    def decays(self, num_steps: int) -> np.ndarray:
        """Return e_t (num_steps,) of average <- e_t average + (1 - e_t) weights, the weights after step t + 1."""
        before = np.maximum(np.arange(max(num_steps, 1)) + 1.0 - self.start, 0.0)
        return before / (before + 1.0)


class Memory(NamedTuple):
    """Memory of SGD: the weights before the last step, the steps taken, and the average of the weights, if any.

    DANA keeps the sum of past gradients in place of the weights before.
    """

    kept: Array
    done: Array
    average: Array | None


@pytree
class SGD:
    """Stochastic gradient descent: `HeavyBall` steps along the gradient of a batch of samples.

    num_samples = jnp.inf: one pass, every batch is fresh. A finite number: the training set is used again and again, in
    batches drawn anew at every step or in epochs (`order`); batch_size = num_samples is full-batch descent.

    lr, batch_size and momentum are numbers, or change with the step: a function of the step count 0, 1, ... (optax
    schedules are), or an array of one value a step.

    Args:
        lr: > 0, or a schedule >= 0; below the bound at every step where one pass would diverge in mean square.
        batch_size: samples a step, >= 1; the last batch of an epoch is shorter where it does not divide num_samples.
        momentum: >= 0 and < 1.
        average: None, or which average of the weights `Curve.average_risk` is of: a number is the decay e of an
            exponential one, average <- e average + (1 - e) weights after every step; "polyak" is that of the weights
            after all steps, `TailAverage(start)` that from a step on.
        order: in which a training set is seen: "replacement", a batch of different samples drawn anew at every step;
            "shuffle", all samples once an epoch, in a new order every time; "fixed", always in the same order.

    Raises:
        ValueError: for other values.

    Example:
        >>> SGD(0.1, batch_size=8).full_batch()
        GradientDescent(lr=0.1, weight_decay=0.0)
        >>> SGD(lambda step: 0.1 / (1.0 + step), average=0.99).average
        0.99
    """

    lr: Any
    batch_size: Any = 1
    momentum: Any = 0.0
    average: Any = None
    order: str = static(default=DRAWN_ANEW)
    discrete: ClassVar[bool] = True
    stability: ClassVar[str] = "2 (1 - momentum^2)/((1 - momentum + (1 + momentum)/batch_size) z*)"

    def __post_init__(self) -> None:
        check_numbers(self)

    @property
    def constant(self) -> bool:
        """True where no number changes, and no average of the weights is asked for."""
        return self.average is None and not any(map(changes, (self.lr, self.batch_size, self.momentum)))

    def tabulated(self, num_steps: int) -> Any:
        """Return the same with an array of one value a step for whatever changes.

        Raises:
            ValueError: for a value that is none, naming the step.
        """
        table = {name: getattr(self, name) for name in _numbers(self) if changes(getattr(self, name))}
        if self.average is not None:
            table["average"] = self.average
        for name, value in table.items():
            if isinstance(value, str | TailAverage):
                value = (TailAverage(1) if isinstance(value, str) else value).decays(num_steps)
            table[name] = each_step(name, value, num_steps)
            _check_steps(name, table[name], value)
        made = object.__new__(type(self))  # numbers that changed were checked here
        for field in dataclasses.fields(self):
            object.__setattr__(made, field.name, table.get(field.name, getattr(self, field.name)))
        return made

    def init(self, v: Array) -> Memory:
        """Return the weights before the last step, no step taken, and the average."""
        return Memory(v, jnp.zeros((), int), None if self.average is None else v)

    def step(self, gradient: Gradient, v: Array, memory: Memory) -> tuple[Array, Memory]:
        """Take one step."""
        before, count, _ = memory
        new = v - at_step(self.lr, count) * gradient(v) + at_step(self.momentum, count) * (v - before)
        return new, Memory(v, count + 1, averaged(self.average, new, memory))

    def shares(self, largest: int, count: Array) -> Array:
        """Return the share (largest,) of every sample in the gradient of a batch that may be shorter than that."""
        size = at_step(self.batch_size, count)
        return jnp.where(jnp.arange(largest) < size, 1.0 / size, 0.0)

    def full_batch(self) -> GradientDescent | HeavyBall:
        """Return the limit at large batch_size, which is also the average over batches.

        Raises:
            ValueError: for a momentum that changes.
        """
        lr, momentum = self.lr, self.momentum
        if changes(momentum):
            checks.fail("momentum", "a number: the mean over batches has no closed form otherwise", momentum)
        if changes(lr) and not callable(lr):
            lr = Schedule(lr, np.arange(1.0, len(lr) + 1.0))
        plain = not is_traced(momentum) and float(momentum) == 0.0
        if not plain and changes(self.lr):
            checks.fail("momentum", "0 where lr is a schedule: their mean over batches has no closed form", momentum)
        return GradientDescent(lr) if plain else HeavyBall(lr, momentum)

    def chance(self, num_samples: float = math.inf) -> Any:
        """Variance of a batch's mean per sample: 1/batch_size, times (P - batch_size)/(P - 1) where P come again."""
        left = 1.0 if math.isinf(num_samples) else (num_samples - self.batch_size) / max(num_samples - 1.0, 1.0)
        return left / self.batch_size

    def levels(self, num_samples: float = math.inf) -> np.ndarray:
        """Values (Q,) of (1 - momentum)/((1 + momentum) chance), on which z* depends: one, or LEVELS of them."""
        level = np.atleast_1d(self._level(num_samples))
        return level if len(level) == 1 else np.geomspace(level.min(), level.max(), LEVELS)

    def effective_edge(self, z: np.ndarray) -> np.ndarray:
        """z* >= z_max, (..., Q), with sum z/(z* - z) <= 1 + level at every one of `levels`: a bounded mean square."""
        return np.stack([responses.mean_square_edge(z, 1.0 + level) for level in self.levels()], axis=-1)

    def largest_stable_lr(self, z_max: ArrayLike, num_samples: float = math.inf) -> Any:
        """The formula `stability`, with z* at all `levels`; at every step (T,) where they are many."""
        z_star = z_max
        if np.ndim(z_max) == 1 and len(levels := self.levels(num_samples)) > 1:
            z_star = np.exp(np.interp(np.log(self._level(num_samples)), np.log(levels), np.log(z_max)))
        spread = 1.0 - self.momentum + (1.0 + self.momentum) * self.chance(num_samples)
        return 2.0 * (1.0 - self.momentum**2) / (spread * z_star)

    def _level(self, num_samples: float) -> Any:
        return (1.0 - self.momentum) / ((1.0 + self.momentum) * np.maximum(self.chance(num_samples), LEAST_CHANCE))


RULES = {
    "lr": ("a finite number >= 0", lambda x: x >= 0),
    "momentum_lr": ("a finite number >= 0", lambda x: x >= 0),
    "forgetting": ("a number > 0 and <= 1", lambda x: (x > 0) & (x <= 1)),
    "batch_size": ("a whole number >= 1", lambda x: (x >= 1) & (x == np.round(x))),
    "momentum": ("a number >= 0 and < 1", lambda x: (x >= 0) & (x < 1)),
    "average": ("a decay >= 0 and <= 1", lambda x: (x >= 0) & (x <= 1)),
}


def check_numbers(optimizer: Any) -> None:
    """Refuse wrong numbers of an algorithm of batches; those that change are looked at where they are tabulated."""
    for name in _numbers(optimizer):
        value = getattr(optimizer, name)
        if np.ndim(value) and not is_traced(value):
            _check_steps(name, _array_of_steps(name, value), value)
        if changes(value) or name == "average":
            continue
        if name == "lr":
            checks.number(name, value, 0.0, "a finite number > 0, or a schedule")
        elif name == "batch_size":
            checks.size(name, value, integer=False)
        else:
            allowed, right = RULES[name]
            checks.number(name, value, 0.0, allowed, inclusive=name != "forgetting")
            if not is_traced(value) and not right(float(value)):
                checks.fail(name, allowed, value)
    checks.one_of("order", optimizer.order, ORDERS)
    average = optimizer.average
    if (isinstance(average, str) and average != POLYAK) or isinstance(average, bool):
        checks.fail("average", f"None, a decay >= 0 and < 1, {POLYAK!r} or TailAverage(start)", average)
    if not (average is None or isinstance(average, str | TailAverage) or changes(average)):
        checks.fraction("average", average)


def _array_of_steps(name: str, value: Any) -> np.ndarray:
    """Return numbers of steps as an array (T,), refused where they are none."""
    array = checks.numeric(name, value)
    if not isinstance(value, list | tuple | np.ndarray | Array) or array.ndim != 1 or not array.size:
        checks.fail(name, "a number, a function of the step, or an array (T,) of one value a step", value)
    return array


def _check_steps(name: str, values: Any, shown: Any) -> None:
    """Refuse numbers of steps (T,) of which one is none, naming the step."""
    allowed, right = RULES[name]
    if not is_traced(values) and not np.all(right(values)):
        step = np.flatnonzero(~right(values))[0]
        checks.fail(name, f"{allowed} at every step (at step {step} it is {values[step]})", shown)


def check_within(sizes: Any, num_samples: float, shown: Any) -> None:
    """Refuse batches (T,) of which one has more samples than there are, naming the step."""
    if not is_traced(sizes) and np.any(sizes > num_samples):
        step = np.argmax(sizes > num_samples)
        allowed = f"at most num_samples = {num_samples} at every step (at step {step} it is {sizes[step]:g})"
        checks.fail("batch_size", allowed, shown)


def _numbers(optimizer: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(optimizer) if field.name in RULES]


def averaged(decay: Any, new: Array, memory: Memory) -> Array | None:
    """Return the average of the weights after a step that led to `new`, None where none is asked for."""
    if memory.average is None:
        return None
    decay = at_step(decay, memory.done)
    return decay * memory.average + (1.0 - decay) * new


def changes(value: Any) -> bool:
    """Tell whether a number of an algorithm depends on the step: a function, or an array of one value a step."""
    return callable(value) or np.ndim(value) == 1


def at_step(value: Any, count: Array) -> Any:
    """Return a number of an algorithm after so many steps."""
    return jnp.asarray(value)[count] if np.ndim(value) == 1 else value
