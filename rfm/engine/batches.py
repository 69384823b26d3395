"""Compiled programs: draws of a batch of runs, their solution, risk and training loss.

An algorithm has a program of its own for its solution alone; draws, curvatures and losses are programs that all
algorithms of one shape share. Devices share runs or modes (`devices`).
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rfm.devices import Layout, over_runs, spread, spread_shapes
from rfm.engine.curvature import curvature_bounds, eigensystems
from rfm.engine.features import Counts, Draw, Keys, Setting, draw, member_keys
from rfm.engine.noisy_features import noise_risk, with_noise
from rfm.engine.plans import Batch, Drawing, Losses, Plan, Shape, Solution, Task
from rfm.engine.risk import population_risk
from rfm.grid import fold_point, place_problem
from rfm.problem import Problem


def draw_batch(
    plan: Plan, problem: Problem, counts: Counts | None, keys: Array, numbers: Mapping[str, Array | np.ndarray]
) -> Batch:
    """Draw runs with keys (S,) and numbers (S,) each; counts as in `Task`."""
    batch = draw_models(_drawn(plan, problem), (problem, counts), (keys, numbers))
    if plan.spectrum:
        return batch._replace(spectra=of_draws(eigensystems, plan, counts, batch.draws))
    # to look at them all takes twenty times as long as a bound that is nearly always enough
    return batch._replace(bounds=of_draws(curvature_bounds, plan, counts, batch.draws)) if plan.bounded else batch


def solve_batch(plan: Plan, task: Task, batch: Batch) -> Losses:
    """Train, or solve, every run of a batch and evaluate it."""
    solution = train_models(_trained(plan), task, batch)
    losses = evaluate_models(plan.shape, (task.problem, task.counts), _evaluated(batch, solution))
    weights = solution.weights if plan.weights else None
    return losses._replace(steps=solution.steps, weights=weights, kernel_growth=solution.growth)


def compile_solution(plan: Plan, task: Task, batch: Batch) -> None:
    """Compile what `solve_batch` runs, for the shapes of a batch."""
    batch = spread_shapes(plan.layout, batch)
    train_models.lower(_trained(plan), task, batch).compile()
    solution = spread_shapes(plan.layout, train_models.eval_shape(_trained(plan), task, batch))
    shared = task.problem, task.counts
    evaluate_models.lower(plan.shape, shared, _evaluated(batch, solution)).compile()


def _drawn(plan: Plan, problem: Problem) -> Shape:
    """Return what draws depend on: samples are all rows of a population that fresh batches are drawn from."""
    shape, population = plan.shape, problem.population
    if plan.setting.batch_size and population is not None and math.isinf(plan.setting.num_samples):
        shape = shape._replace(setting=shape.setting._replace(num_samples=len(population.rows)))
    return shape


def _trained(plan: Plan) -> Plan:
    """Return a plan without what training does not depend on."""
    return plan._replace(kind="", spectrum=False, weights=False, bounded=False)


def _evaluated(batch: Batch, solution: Solution) -> tuple[Batch, Solution]:
    """Return what losses depend on."""
    return batch._replace(spectra=None, bounds=None, start=None), solution._replace(steps=None, growth=None)


@partial(jax.jit, static_argnums=0)
def run_batch(plan: Plan, task: Task, keys: Array, runs: Drawing) -> Losses:
    """`draw_batch` and `solve_batch` as one program, each run's key made of one of `keys` (seeds,) and of its point."""

    def draw_and_solve(shared: tuple[Task, Array], runs: Drawing) -> Losses:
        task, keys = shared
        point_keys = jax.vmap(fold_point)(keys[runs.seeds], runs.words)
        setting = plan.setting._replace(counts=task.counts)
        batch = _draw(_drawn(plan, task.problem), (task.problem, task.counts), (point_keys, runs.numbers))
        if plan.spectrum:
            batch = batch._replace(spectra=eigensystems(setting, batch.draws))
        solution = _train(plan, task, batch)
        losses = _evaluate(plan.shape, (task.problem, task.counts), _evaluated(batch, solution))
        return losses._replace(steps=solution.steps, kernel_growth=solution.growth)

    return spread(draw_and_solve, plan.layout, (task, keys), runs)


def of_draws(look: Callable[[Setting, Draw], Any], plan: Plan, counts: Counts | None, draws: Draw) -> Any:
    """Return look(setting, draws) of the curvature of every draw, which depends on sizes alone; counts as in `Task`."""
    sizes = Setting(plan.setting.num_features, plan.setting.num_samples, "ntk")
    return look_at_draws((look, sizes, plan.layout), counts, draws)


@partial(jax.jit, static_argnums=0)
def look_at_draws(how: tuple[Callable, Setting, Layout], counts: Counts | None, draws: Draw) -> Any:
    """`of_draws`, compiled."""
    look, setting, layout = how
    return spread(lambda counts, draws: look(setting._replace(counts=counts), draws), layout, counts, draws)


@partial(jax.jit, static_argnums=0)
def draw_models(
    shape: Shape,
    shared: tuple[Problem, Counts | None],
    runs: tuple[Array, Mapping[str, Array | np.ndarray]],
) -> Batch:
    """Draw features, data and labels of every model: of `shared` a problem, of runs their keys and numbers."""
    return spread(partial(_draw, shape), shape.layout, shared, runs)


@partial(jax.jit, static_argnums=0)
def train_models(plan: Plan, task: Task, batch: Batch) -> Solution:
    """Return what the method of a plan finds, steps and growth of runs in place of those of models."""
    return spread(partial(_train, plan), plan.layout, task, batch)


@partial(jax.jit, static_argnums=0)
def evaluate_models(shape: Shape, shared: tuple[Problem, Counts | None], runs: tuple[Batch, Solution]) -> Losses:
    """Return risk and training loss of every run, of the weights of its models."""
    return spread(partial(_evaluate, shape), shape.layout, shared, runs)


def _draw(
    shape: Shape, shared: tuple[Problem, Counts | None], runs: tuple[Array, Mapping[str, Array | np.ndarray]]
) -> Batch:
    (problem, counts), (keys, run_numbers) = shared, runs
    setting = shape.setting._replace(counts=counts)
    members = member_keys(keys, shape.ensemble, shape.bags)
    numbers = {name: jnp.repeat(x, shape.models) for name, x in run_numbers.items()}

    def draw_model(keys: Keys, numbers: dict[str, Array]) -> Draw:
        placed = place_problem(problem, numbers)

        def draw_output(index: Array) -> tuple[tuple[Array | None, Array | None], Array]:
            drawn = draw(placed.output(index), setting, keys)
            return (drawn.design, drawn.gram), drawn.labels

        # what an output does not change is drawn once
        (design, gram), labels = jax.vmap(draw_output, out_axes=(None, 0))(jnp.arange(problem.num_outputs))
        drawn = Draw(design, gram, labels)
        return with_noise(drawn, setting, keys, numbers["feature_noise"]) if "feature_noise" in numbers else drawn

    return Batch(members, over_runs(draw_model, members, numbers), numbers)


def _train(plan: Plan, task: Task, batch: Batch) -> Solution:
    solution = plan.method(task, plan.setting._replace(counts=task.counts), batch)
    steps, growth = solution.steps, solution.growth
    return solution._replace(
        steps=None if steps is None else _of_models(plan.shape, steps).min(1),
        growth=None if growth is None else _of_models(plan.shape, growth).mean(1),
    )


def _of_models(shape: Shape, x: Array) -> Array:
    """Return numbers (runs * models, ...) as (runs, models, ...)."""
    return x.reshape(-1, shape.models, *x.shape[1:])


def _evaluate(shape: Shape, shared: tuple[Problem, Counts | None], runs: tuple[Batch, Solution]) -> Losses:
    (problem, counts), (batch, solution) = shared, runs
    setting, weights = shape.setting._replace(counts=counts), solution.weights
    grouped = partial(_of_models, shape)

    def risk_of_average(numbers: dict[str, Array], keys: Keys, weights: Array) -> Array:  # of some models of one run
        placed = place_problem(problem, {name: x[0] for name, x in numbers.items()})
        output = lambda index, v: population_risk(placed.output(index), setting, keys, v)  # noqa: E731
        risk = jax.vmap(output, (0, 1))(jnp.arange(problem.num_outputs), weights).sum(0)
        if "feature_noise" in numbers:
            noise = lambda weights: noise_risk(weights, shape.bags, numbers["feature_noise"][0])  # noqa: E731
            risk = risk + jax.vmap(noise, 1)(weights).sum(0)
        return risk

    def risk_of(weights: Array | None, risk: Array | None) -> Array:
        if risk is not None and shape.models == 1:
            return risk
        return over_runs(risk_of_average, *jax.tree.map(grouped, (batch.numbers, batch.keys, weights)))

    risk = risk_of(weights, solution.risk)
    average_risk = None if solution.average is None else risk_of(*solution.average)
    if math.isinf(setting.num_samples):
        # the loss on fresh data of each model, not of their average
        each_risk = solution.risk
        if each_risk is None and shape.models > 1:
            alone = lambda *model: risk_of_average(*jax.tree.map(lambda x: x[None], model))  # noqa: E731
            each_risk = over_runs(alone, batch.numbers, batch.keys, weights)
        noise_var = grouped(batch.numbers["noise_var"])[:, :1]
        train_loss = grouped(risk if each_risk is None else each_risk).mean(1) + noise_var
        return Losses(risk, train_loss, average_risk=average_risk)

    assert weights is not None  # left out only where data are infinite

    def loss(draw: Draw, v: Array) -> Array:
        samples = setting.true.samples
        outputs = v @ draw.matrix * samples if draw.design is None else v @ draw.design.T  # (K, T, P)
        return jnp.sum((outputs - draw.labels[:, None]) ** 2, axis=(0, 2)) / samples

    train_loss = grouped(over_runs(loss, batch.draws, weights)).mean(1)
    return Losses(risk, train_loss, average_risk=average_risk)
