"""One-pass SGD on Gaussian data, in the eigenbasis of the features' covariance.

Given F, a sample acts on the weights through its features phi ~ N(0, H), H = F Lambda F^T, and the part of its label
that they do not explain: independent, of variance floor + noise_var. In the eigenbasis of H, with d = v - v* the
distance from the best weights, one sample is N + 1 independent normals and a step is

    d <- d - (lr/B) sum_i x_i (x_i . d - e_i),  x_i ~ N(0, diag z), e_i ~ N(0, floor + noise_var),

the law of training on samples of all M modes. Risk is floor + sum z d^2. Gaussian data has one output.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import threefry
from rfm.engine.features import SGD_BLOCK, Setting, chunk_length, normal, sum_chunks
from rfm.engine.plans import Batch, Solution, Task, each
from rfm.engine.trained_layers import richness_of, way_of
from rfm.grid import place_problem
from rfm.optimizers import Batched
from rfm.problem import Problem
from rfm.sgd import Memory, at_step, changes
from rfm.steps import LARGEST, take_steps


def train_one_pass(task: Task, setting: Setting, batch: Batch) -> Solution:
    """Return weights (S, 1, T, N) at all times, and the risk of each model by itself."""
    z, basis = batch.eigensystems  # (S, N), (S, N, N)
    best, floor = _best_weights(task.problem, setting, batch)
    size, width = setting.batch_size, z.shape[1] + 1
    scale = jnp.sqrt(jnp.concatenate([z, (floor + batch.numbers["noise_var"])[:, None]], axis=1))  # (S, N + 1)
    # samples of some steps at a time: random numbers come cheaper by the ten thousand
    block = max(1, SGD_BLOCK // (size * width))

    def refill(count: Array) -> Array:
        draw = lambda key: normal(threefry.fold_in(key, count // block), (block, size, width))  # noqa: E731
        return jax.vmap(draw)(batch.keys.steps) * scale[:, None, None]

    way, richness = way_of(task, setting), richness_of(task, batch)
    # weights are distances from the best ones, but where features are trained, which start from theirs
    origin = None if task.richness is None else best

    def distance(v: Array, origin: Array | None) -> Array:
        return v if origin is None else way.effective(v) - origin

    def step(
        optimizer: Batched, sample: Array, origin: Array | None, richness: Array, *state: Any
    ) -> tuple[Array, Memory]:
        x, e = sample[:, :-1], sample[:, -1]
        away = lambda v: v if origin is None else v - origin  # noqa: E731
        if not changes(optimizer.batch_size):
            return way.step(optimizer, lambda v: (x @ away(v) - e) @ x / size, richness, *state)
        share = optimizer.shares(size, state[1].done)
        return way.step(optimizer, lambda v: ((x @ away(v) - e) * share) @ x, richness, *state)

    def update(d: Array, memory: tuple[Array, Array, Array]) -> tuple[Array, tuple[Array, Array, Array]]:
        inner, count, samples = memory
        samples = lax.cond(count % block == 0, refill, lambda _: samples, count)
        sample = lax.dynamic_index_in_dim(samples, count % block, 1, keepdims=False)
        d, inner = each(task.optimizer, batch, step, sample, origin, richness, d, inner)
        return d, (inner, count + 1, samples)

    start = -best if batch.start is None else jnp.einsum("sn,snm->sm", batch.start[:, 0], basis) - best
    start = way.start(start, setting, batch.keys.features)
    empty = jnp.zeros((len(start), block, size, width))
    memory = each(task.optimizer, batch, way.begin, start), jnp.zeros((), int), empty

    def record(v: Array, memory: Any) -> tuple[tuple[Array, ...], Array | None]:
        recorded = [v] if memory[0].average is None else [v, memory[0].average]
        return tuple(distance(v, origin) for v in recorded), way.growth(v, richness)

    (recorded, growth), count = take_steps(update, start, memory, task.times, record=record)  # (T, S, N) each

    def solved(distance: Array) -> tuple[Array, Array]:
        risk = floor[:, None] + jnp.einsum("tsn,sn->st", distance**2, z)
        return jnp.einsum("tsm,snm->stn", distance + best[None], basis)[:, None], risk

    (weights, risk), *averaged = (solved(distance) for distance in recorded)
    average = averaged[0] if averaged else None
    return Solution(weights, count, risk, average, None if growth is None else growth.T)


def expect_one_pass(task: Task, setting: Setting, batch: Batch) -> Solution:
    """Return the expected risk (S, T): second moments of what a run remembers, along every direction, step by step.

    A step is linear in the weights' distance d from the best ones, in what is kept beside them, in an average, and in
    the gradient: x <- A x + n xi with A and n read off the algorithm. With moments S = E x x^T, L = floor + noise_var +
    sum z S_dd, and E[x x^T d d^T x x^T] = 2 H C H + H tr(H C) for the noise xi of a gradient,
    S <- A S A^T + n n^T (z^2 S_dd + z L)/B.
    """
    z = batch.eigensystems.values
    best, floor = _best_weights(task.problem, setting, batch)
    label_floor = floor + batch.numbers["noise_var"]

    def advance(run: tuple[Batched, Array, Array, Array], count: Array) -> Array:
        optimizer, z, floor, moments = run
        columns = [_moved(optimizer, unit, z, 0.0, count) for unit in jnp.eye(len(moments))]
        a, n = jnp.stack(columns, axis=1), _moved(optimizer, jnp.zeros(len(moments)), z, 1.0, count)
        label_risk = floor + jnp.sum(z * moments[0, 0])
        noise = (z**2 * moments[0, 0] + z * label_risk) / at_step(optimizer.batch_size, count)
        places = np.ndindex(moments.shape[:2])
        pushed = sum(a[:, i][:, None] * a[:, j][None] * moments[i, j][None, None] for i, j in places)
        return pushed + n[:, None] * n[None] * noise[None, None]

    def update(moments: Array, count: Array) -> tuple[Array, Array]:
        moved = lambda *run: advance(run, count)  # noqa: E731
        return each(task.optimizer, batch, moved, z, label_floor, moments), count + 1

    start = best**2
    if batch.start is not None:
        start = (jnp.einsum("sn,snm->sm", batch.start[:, 0], batch.eigensystems.vectors) - best) ** 2
    assert isinstance(task.optimizer, Batched)  # the only algorithms that this method is chosen for
    kept = task.optimizer.init(jnp.ones(()))
    unit = jnp.stack([jnp.ones(()), *(x for x in (kept.kept, kept.average) if x is not None)])
    start = start[:, None, None] * (unit[:, None] * unit[None])[None, ..., None]  # (S, k, k, N)
    record = lambda moments, _: [moments[:, 0, 0]] + [moments[:, 2, 2]] * (len(unit) > 2)  # noqa: E731
    # moments are squares of weights
    moments, count = take_steps(update, start, jnp.zeros((), int), task.times, largest=LARGEST**2, record=record)
    risk, *averaged = (floor[:, None] + jnp.einsum("tsn,sn->st", x, z) for x in moments)
    return Solution(None, count, risk, (None, averaged[0]) if averaged else None)


def _moved(optimizer: Batched, state: Array, z: Array, noise: float, count: Array) -> Array:
    """Return where a step takes weights, what is kept and the average, (k, n) of a state (k,), all else being zero."""
    v, kept, *average = (jnp.broadcast_to(x, z.shape) for x in state)
    memory = Memory(kept, count, average[0] if average else None)
    v, memory = optimizer.step(lambda v: z * v + noise, v, memory)
    return jnp.stack([v, *(x for x in (memory.kept, memory.average) if x is not None)])


def _best_weights(problem: Problem, setting: Setting, batch: Batch) -> tuple[Array, Array]:
    """v* in the eigenbasis (S, N), and the risk that no weights go below (S,)."""
    z, basis = batch.eigensystems
    moment = jnp.einsum("sn,snm->sm", batch.draws.labels[:, 0], basis)
    cutoff = jnp.max(z, axis=1, keepdims=True) * z.shape[1] * jnp.finfo(z.dtype).eps  # N > M: directions of no weight
    best = jnp.where(z > cutoff, moment / jnp.where(z > cutoff, z, 1.0), 0.0)

    def power(numbers: dict[str, Array]) -> Array:
        placed = place_problem(problem, numbers)
        length = chunk_length(placed)

        def add(i: Array, total: Array) -> Array:
            lam, w = placed.modes(i * length, length)
            return total + lam @ w**2

        return sum_chunks(placed, setting, add, jnp.zeros(()))

    return best, jnp.maximum(jax.vmap(power)(batch.numbers) - jnp.sum(moment * best, axis=1), 0.0)
