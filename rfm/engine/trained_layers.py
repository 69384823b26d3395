"""Features that are trained too: a layer W between random features phi and readout theta, f = theta^T W phi.

It starts at W = 1, theta = 0, and its gradient counts `richness` times as much as that of the readout:

    theta <- theta + lr W g,  W <- W + lr richness theta g^T,  g = Phi^T (y - Phi beta)/P,  beta = W^T theta

so that `richness` is the ratio of two learning rates and 0 is the model whose features stay. The pair is one array
(N + 1, N), the readout its first row, so that an algorithm takes its steps on it as on any weights. Risk and loss are
those of the effective weights beta, and the kernel W^T W has grown by m = 1 + richness |theta|^2. A layer W of normals
of variance 1/width, (width, N), in place of 1 has a readout of as many numbers, in the first rows as far as they fill.

Where steps are few, W is 1 and a sum over the steps taken, W = 1 - richness sum_s lr_s theta_s slope_s^T: what is kept
then are the readout and the two vectors of every step, (2 S + 1, N) numbers in place of (N + 1, N).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rfm import threefry
from rfm.engine.features import Setting, normal
from rfm.engine.plans import Batch, Task
from rfm.optimizers import SGD, GradientDescent, Optax
from rfm.protocols import Gradient, Stepper
from rfm.sgd import at_step, changes
from rfm.steps import Schedule

HIDDEN = 5  # what is folded into the key of features for a Gaussian layer
FEW = 4  # a layer is kept as the vectors of its steps where they are fewer than N by this factor


def join(readout: Array, layer: Array) -> Array:
    """Return the pair as one array: (..., N) and (..., N, N) give (..., N + 1, N)."""
    width, n = layer.shape[-2:]
    count = -(-width // n)
    rows = jnp.pad(readout, [(0, 0)] * (readout.ndim - 1) + [(0, count * n - width)])
    return jnp.concatenate([rows.reshape(*readout.shape[:-1], count, n), layer], axis=-2)


def part(pair: Array) -> tuple[Array, Array]:
    """Return readout and layer of what `join` made."""
    rows, n = pair.shape[-2:]
    count = -(-rows // (n + 1))
    return pair[..., :count, :].reshape(*pair.shape[:-2], count * n)[..., : rows - count], pair[..., count:, :]


def start_pairs(v: Array, setting: Setting, keys: Array) -> Array:
    """Return the pairs at the start for readouts shaped as v (S, ..., N), from keys (S,) of features."""
    width, n = setting.hidden, v.shape[-1]
    if width is None:
        return untrained(v.shape)
    # a number depends on its own place, however long the arrays are
    layers = jax.vmap(lambda key: normal(threefry.fold_in(key, HIDDEN), (n, width)).T / width**0.5)(keys)
    layers = layers.reshape(len(v), *[1] * (v.ndim - 2), width, n)
    return join(jnp.zeros((*v.shape[:-1], width)), jnp.broadcast_to(layers, (*v.shape[:-1], width, n)))


def untrained(shape: tuple[int, ...]) -> Array:
    """Return the pair at the start, (..., N + 1, N), of a readout of shape (..., N)."""
    return join(jnp.zeros(shape), jnp.broadcast_to(jnp.eye(shape[-1]), (*shape, shape[-1])))


def effective(pair: Array) -> Array:
    """Return beta = W^T theta, (..., N)."""
    return jnp.einsum("...n,...nm->...m", *part(pair))


def growth_of(pair: Array, richness: Array) -> Array:
    """Return m of pairs (..., N + 1, N): (...)."""
    return 1.0 + richness * jnp.sum(part(pair)[0] ** 2, axis=-1)


class Way(NamedTuple):
    """Training of the readout alone, or of a pair: how it starts and steps, and what is recorded of it.

    start: weights (S, K, N) to what is trained, with keys of features; growth: None without training of features.
    """

    start: Callable[[Array, Setting, Array], Array]
    begin: Callable[..., Any]
    step: Callable[..., tuple[Array, Any]]
    effective: Callable[[Array], Array]
    growth: Callable[[Array, Array], Array | None]


def way_of(task: Task, setting: Setting) -> Way:
    """Return how a task is trained."""
    if task.richness is None:
        return READOUT
    return STEPS if setting.kept_steps else PAIR


def steps_worth_keeping(task: Task, setting: Setting) -> int:
    """Return for how many steps of a task their vectors are kept in place of the layer, 0 where the layer is."""
    optimizer: Any = task.optimizer
    plain = isinstance(optimizer, GradientDescent) and not np.any(optimizer.weight_decay)
    if isinstance(optimizer, SGD):
        plain = optimizer.average is None and not changes(optimizer.momentum) and not np.any(optimizer.momentum)
    if task.richness is None or setting.hidden is not None or not plain:
        return 0
    steps = 2 ** math.ceil(math.log2(max(float(task.times[-1]), 1.0)))  # few different ones, as each compiles
    return steps if FEW * steps <= setting.num_features else 0


def richness_of(task: Task, batch: Batch) -> Array:
    """Return the richness (S,) of every run, zero where features are not trained."""
    shared = 0.0 if task.richness is None else task.richness
    return jnp.broadcast_to(jnp.asarray(batch.numbers.get("richness", shared), float), batch.draws.labels.shape[:1])


def begin(optimizer: Stepper, pair: Array) -> Any:
    """Return the memory of an algorithm that trains a pair; one of optax sees two arrays."""
    return optimizer.init(part(pair) if isinstance(optimizer, Optax) else pair)  # pyright: ignore


def step_pair(optimizer: Stepper, gradient: Gradient, richness: Array, *state: Any) -> tuple[Array, Any]:
    """Take one step of a pair; gradient: that of effective weights. state: the pair and the memory."""
    pair, memory = state

    def both(pair: Array) -> tuple[Array, Array]:
        readout, layer = part(pair)
        count = len(pair) - len(layer)
        # products with the whole pair, of which the layer would be copied
        slope = gradient(jnp.pad(readout, (count, 0)) @ pair)
        return (pair @ slope)[count:], richness * readout[:, None] * slope[None]

    if isinstance(optimizer, Optax):
        moved, memory = optimizer.step(lambda two: both(join(*two)), part(pair), memory)  # pyright: ignore
        return join(*moved), memory
    return optimizer.step(lambda pair: join(*both(pair)), pair, memory)


def start_steps(v: Array, setting: Setting, keys: Array) -> Array:
    """Return readouts shaped as v (..., N), and no steps."""
    del keys
    return jnp.zeros((*v.shape[:-1], 2 * setting.kept_steps + 1, v.shape[-1]))


def steps_effective(kept: Array) -> Array:
    """Return beta = W^T theta, (..., N)."""
    count = kept.shape[-2] // 2
    readout, left, right = kept[..., 0, :], kept[..., 1 : count + 1, :], kept[..., count + 1 :, :]
    return readout + jnp.einsum("...sn,...s->...n", right, jnp.einsum("...sn,...n->...s", left, readout))


def keep_step(optimizer: Stepper, gradient: Gradient, richness: Array, *state: Any) -> tuple[Array, Any]:
    """Take one step of gradient descent, or of SGD, as `step_pair` does, and keep its two vectors."""
    kept, memory = state
    count, taken = len(kept) // 2, getattr(memory, "done", memory)
    readout, left, right = kept[0], kept[1 : count + 1], kept[count + 1 :]
    slope = gradient(steps_effective(kept))
    through = slope + (right @ slope) @ left
    moved, memory = optimizer.step(lambda _: through, readout, memory)
    rate: Any = optimizer.lr  # pyright: ignore
    rate = rate.at(taken) if isinstance(rate, Schedule) else at_step(rate, taken)
    kept = kept.at[0].set(moved).at[1 + taken].set(-rate * richness * readout).at[1 + count + taken].set(slope)
    return kept, memory


READOUT = Way(
    start=lambda v, setting, keys: v,
    begin=lambda optimizer, v: optimizer.init(v),
    step=lambda optimizer, gradient, richness, v, memory: optimizer.step(gradient, v, memory),
    effective=lambda v: v,
    growth=lambda v, richness: None,
)
PAIR = Way(
    start=start_pairs,
    begin=begin,
    step=step_pair,
    effective=effective,
    growth=lambda pair, richness: growth_of(pair, richness.reshape(-1, *[1] * (pair.ndim - 3))),  # (S, N + 1, N)
)
STEPS = Way(
    start=start_steps,
    begin=lambda optimizer, kept: optimizer.init(kept[0]),
    step=keep_step,
    effective=steps_effective,
    growth=lambda kept, richness: 1.0 + richness.reshape(-1, *[1] * (kept.ndim - 3)) * (kept[..., 0, :] ** 2).sum(-1),
)
