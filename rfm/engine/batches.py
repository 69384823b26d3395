"""What is compiled: draws of a batch of runs, their solution, risk and training loss.

A run is one seed of one problem and optimizer; ensembles make some models of each. The K outputs of a problem share
features, rows and curvature: only labels, target and weights have an axis K, and risks are summed over it. The numbers
of problem and optimizer (`grid`) come one set a run, so that a sweep over them compiles once; devices share runs or
modes (`devices`).
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from rfm.devices import Layout, spread
from rfm.engine.curvature import eigensystems
from rfm.engine.features import BLOCK, Draw, Keys, Setting, chunk_length, draw, member_keys, neural
from rfm.engine.risk import population_risk
from rfm.grid import place_optimizer, place_problem
from rfm.optimizers import Optimizer
from rfm.problem import Problem


class Batch(NamedTuple):
    """Draws of all models of some runs: each field with a leading axis S, and labels with a second one, K.

    numbers: of problem and optimizer, (S,) each, always with "noise_var". eigensystems: curvatures (S, m) and
    directions (S, m, m) of the training loss, where they are needed.
    """

    keys: Keys
    draws: Draw
    numbers: dict[str, Array]
    eigensystems: tuple[Array, Array] | None


class Solution(NamedTuple):
    """What a method makes of a batch of draws.

    weights: (S, K, T, n), or None where only the risk is known; risk: (S, T) where it is known without them. steps:
    (S,) how many were taken before a run was over or diverged, None for methods that cannot diverge.
    """

    weights: Array | None
    steps: Array | None = None
    risk: Array | None = None


class Plan(NamedTuple):
    """What is fixed at compile time: hashable.

    method: what solves a batch, (problem, setting, optimizer, times, batch) -> Solution; spectrum: does it, or the
    check of stability, need eigensystems?
    """

    setting: Setting
    layout: Layout
    method: Callable
    ensemble: int = 1
    bags: int = 1
    spectrum: bool = True

    @property
    def models(self) -> int:
        """Models of one run."""
        return self.ensemble * self.bags


@partial(jax.jit, static_argnums=0)
def draw_batch(plan: Plan, problem: Problem, keys: Array, numbers: dict[str, Array]) -> Batch:
    """Draws of runs with keys (S,) and numbers (S,) each."""
    return spread(partial(_draw, plan), plan.layout, problem, (keys, numbers))


@partial(jax.jit, static_argnums=0)
def solve_batch(
    plan: Plan, problem: Problem, optimizer: Optimizer, times: Array, batch: Batch
) -> tuple[Array, Array, Array | None]:
    """Risk and training loss (S, T) of runs, and the steps (S,) that they took."""
    return spread(partial(_solve, plan), plan.layout, (problem, optimizer, times), batch)


@partial(jax.jit, static_argnums=0)
def run_batch(
    plan: Plan, problem: Problem, optimizer: Optimizer, times: Array, keys: Array, runs: tuple
) -> tuple[Array, Array, Array | None]:
    """`draw_batch` and `solve_batch` as one program, each run's key made of its seed and of its point.

    runs: which of keys (seeds,), and the words of the point to fold in, (S,) and (S, 2); numbers (S,) each.
    """

    def function(shared, runs):
        problem, optimizer, times, keys = shared
        seeds, words, numbers = runs
        fold = jax.vmap(jax.random.fold_in)
        own = fold(fold(keys[seeds], words[:, 0]), words[:, 1])
        return _solve(plan, (problem, optimizer, times), _draw(plan, problem, (own, numbers)))

    return spread(function, plan.layout, (problem, optimizer, times, keys), runs)


def _draw(plan: Plan, problem: Problem, runs: tuple[Array, dict[str, Array]]) -> Batch:
    keys, numbers = runs
    members = member_keys(keys, plan.ensemble, plan.bags)
    numbers = {name: jnp.repeat(x, plan.models) for name, x in numbers.items()}

    def one(keys, numbers):
        # what an output does not change is drawn once
        own = place_problem(problem, numbers)
        output = lambda index: draw(own.output(index), plan.setting, keys)  # noqa: E731
        return jax.vmap(output, out_axes=Draw(None, None, 0))(jnp.arange(problem.num_outputs))

    draws = over_runs(one, members, numbers)
    return Batch(members, draws, numbers, eigensystems(plan.setting, draws) if plan.spectrum else None)


def _solve(plan: Plan, shared: tuple, batch: Batch) -> tuple[Array, Array, Array | None]:
    problem, optimizer, times = shared
    setting, models = plan.setting, plan.models
    found = plan.method(problem, setting, optimizer, times, batch)
    grouped = lambda x: x.reshape(-1, models, *x.shape[1:])  # noqa: E731
    risk, weights, steps = found.risk, found.weights, found.steps
    steps = None if steps is None else grouped(steps).min(1)

    def averaged(numbers, keys, weights):  # of some models of one run
        own = place_problem(problem, {name: x[0] for name, x in numbers.items()})
        output = lambda index, v: population_risk(own.output(index), setting, keys, v)  # noqa: E731
        return jax.vmap(output, (0, 1))(jnp.arange(problem.num_outputs), weights).sum(0)

    if risk is None or models > 1:
        risk = over_runs(averaged, *jax.tree.map(grouped, (batch.numbers, batch.keys, weights)))
    if math.isinf(setting.num_samples):
        # the loss on fresh data of each model, not of their average
        own = found.risk
        if own is None:
            alone = lambda *one: averaged(*jax.tree.map(lambda x: x[None], one))  # noqa: E731
            own = risk if models == 1 else over_runs(alone, batch.numbers, batch.keys, weights)
        noise_var = grouped(batch.numbers["noise_var"])[:, :1]
        return risk, grouped(own).mean(1) + noise_var, steps

    def loss(draw, v):
        outputs = v @ draw.gram * setting.num_samples if draw.design is None else v @ draw.design.T  # (K, T, P)
        return jnp.mean((outputs - draw.labels[:, None]) ** 2, axis=2).sum(0)

    return risk, grouped(jax.vmap(loss)(batch.draws, weights)).mean(1), steps


def over_runs(function: Callable, *args: Any) -> Any:
    """Map over the leading axis: at once on an accelerator, one run after another on CPU, where a single run
    fills the cores already and the chunks of all of them fall out of the cache (1.5 times slower)."""
    if jax.default_backend() == "cpu":
        return lax.map(lambda xs: function(*xs), args)
    return jax.vmap(function)(*args)


def each(optimizer: Optimizer, batch: Batch, function: Callable, *args: Any) -> Any:
    """function(optimizer of the run, *args of the run) for every run at once."""
    one = lambda numbers, *args: function(place_optimizer(optimizer, numbers), *args)  # noqa: E731
    return jax.vmap(one)(batch.numbers, *args)


def run_floats(problem: Problem, plan: Plan, num_times: int) -> int:
    """Numbers of 8 bytes that one run keeps in memory, roughly."""
    setting, num_times, problem = plan.setting, num_times * problem.num_outputs, problem.output(0)
    n, p = (x if math.isfinite(x) else 0 for x in setting[:2])
    smaller = min(x for x in (n, p) if x)
    floats = n * p + 3 * smaller**2 + (n + p) * chunk_length(problem) + num_times * (max(n, p) + 2 * smaller)
    if setting.batch_size is not None:
        floats += max(BLOCK, setting.batch_size * (n + 1))
    if problem.population is not None:
        floats += num_times * len(problem.population.rows)
    if neural(setting):
        floats += (len(problem.population.rows) + problem.population.inputs.shape[1]) * n
    return floats * plan.models
