"""Compiled programs: draws of a batch of runs, their solution, risk and training loss.

A run is one seed of one problem and optimizer; ensembles make some models of each. The K outputs of a problem share
features, rows and curvature: only labels, target and weights have an axis K, and risks are summed over it. The numbers
of problem and optimizer (`grid`) come one set a run, so that a sweep over them compiles once; devices share runs or
modes (`devices`).
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rfm.devices import Layout, over_runs, spread
from rfm.engine.curvature import Eigensystems, curvature_bounds, eigensystems, eigenvalues
from rfm.engine.features import Counts, Draw, Keys, Setting, draw, member_keys
from rfm.engine.noisy_features import noise_risk, with_noise
from rfm.engine.risk import population_risk
from rfm.grid import fold_point, place_optimizer, place_problem
from rfm.optimizers import Optimizer
from rfm.problem import Problem


class Task(NamedTuple):
    """Traced values that all runs of a call share: a problem, and an algorithm at times (T,).

    counts: sizes, where those of the plan are longer. richness: how fast features learn, None where they do not.
    feature_noise: variance of the noise of features, None where they have none.
    """

    problem: Problem
    optimizer: Optimizer
    times: Array | np.ndarray
    counts: Counts | None = None
    richness: Any = None
    feature_noise: Any = None


class Batch(NamedTuple):
    """Draws of all models of some runs: each field with a leading axis S, and labels with a second one, K.

    numbers: of problem and optimizer, (S,) each, always with "noise_var", and with "feature_noise" where features have
    noise. spectra: eigensystems of the curvature of the
    training loss, where the plan says that they are needed. bounds: numbers (S,) that no curvature is above, where it
    asks for them. start: weights (S, K, n) at t = 0, None for zero.
    """

    keys: Keys
    draws: Draw
    numbers: dict[str, Array]
    spectra: Eigensystems | None
    bounds: Array | None = None
    start: Array | None = None

    @property
    def eigensystems(self) -> Eigensystems:
        """Eigenvalues (S, m) and eigenvectors (S, m, m); TypeError where the plan left them out."""
        if self.spectra is None:
            raise TypeError("This batch was drawn without eigensystems: its plan says `spectrum=False`.")
        return self.spectra


class Solution(NamedTuple):
    """Result of a method on a batch of draws.

    weights: (S, K, T, n), or None where only the risk is known; risk: (S, T) where it is known without them. steps:
    (S,) how many were taken before a run was over or diverged, None for methods that cannot diverge. average: weights
    and risk of an average over steps, as these; None where none was asked for. growth: (S, T) of the kernel, None where
    features are not trained.
    """

    weights: Array | None
    steps: Array | None = None
    risk: Array | None = None
    average: "tuple[Array | None, Array | None] | None" = None
    growth: Array | None = None


Method = Callable[[Task, Setting, Batch], Solution]


class Plan(NamedTuple):
    """Everything that is fixed at compile time: hashable.

    method: solves a batch; kind: of the curve that it gives; spectrum: does it need eigensystems? bounded: is the
    largest curvature limited, so that it is checked? weights: are they asked for?
    """

    setting: Setting
    layout: Layout
    method: Method
    kind: str = ""
    ensemble: int = 1
    bags: int = 1
    spectrum: bool = True
    weights: bool = False
    bounded: bool = False

    @property
    def models(self) -> int:
        """Models of one run."""
        return self.ensemble * self.bags


class Drawing(NamedTuple):
    """Some runs of a sweep: which of its keys, words (S, 2) of their point to fold in, and numbers (S,) each."""

    seeds: Array | np.ndarray
    words: Array | np.ndarray
    numbers: Mapping[str, Array | np.ndarray]


class Losses(NamedTuple):
    """Risk and training loss (S, T) of runs, the steps (S,) that they took and weights (S, K, T, n); None for none.

    average_risk: that of an average of the weights over steps. kernel_growth: (S, T), the average over models.
    """

    risk: Array
    train_loss: Array
    steps: Array | None
    weights: Array | None = None
    average_risk: Array | None = None
    kernel_growth: Array | None = None


@partial(jax.jit, static_argnums=0)
def draw_batch(
    plan: Plan, problem: Problem, counts: Counts | None, keys: Array, numbers: Mapping[str, Array | np.ndarray]
) -> Batch:
    """Draw runs with keys (S,) and numbers (S,) each; counts as in `Task`."""
    return spread(partial(_draw, plan), plan.layout, (problem, counts), (keys, numbers))


@partial(jax.jit, static_argnums=0)
def curvatures(plan: Plan, counts: Counts | None, draws: Draw) -> Array:
    """Return the eigenvalues (S, m) of the curvature of every draw; counts as in `Task`."""
    find = lambda counts, draws: eigenvalues(plan.setting._replace(counts=counts), draws)  # noqa: E731
    return spread(find, plan.layout, counts, draws)


@partial(jax.jit, static_argnums=0)
def solve_batch(plan: Plan, task: Task, batch: Batch) -> Losses:
    """Train, or solve, every run of a batch and evaluate it."""
    return spread(partial(_solve, plan), plan.layout, task, batch)


@partial(jax.jit, static_argnums=0)
def run_batch(plan: Plan, task: Task, keys: Array, runs: Drawing) -> Losses:
    """`draw_batch` and `solve_batch` as one program, each run's key made of one of `keys` (seeds,) and of its point."""

    def draw_and_solve(shared: tuple[Task, Array], runs: Drawing) -> Losses:
        task, keys = shared
        point_keys = jax.vmap(fold_point)(keys[runs.seeds], runs.words)
        return _solve(plan, task, _draw(plan, (task.problem, task.counts), (point_keys, runs.numbers)))

    return spread(draw_and_solve, plan.layout, (task, keys), runs)


def _draw(
    plan: Plan, shared: tuple[Problem, Counts | None], runs: tuple[Array, Mapping[str, Array | np.ndarray]]
) -> Batch:
    (problem, counts), (keys, run_numbers) = shared, runs
    setting = plan.setting._replace(counts=counts)
    members = member_keys(keys, plan.ensemble, plan.bags)
    numbers = {name: jnp.repeat(x, plan.models) for name, x in run_numbers.items()}

    def draw_model(keys: Keys, numbers: dict[str, Array]) -> Draw:
        placed = place_problem(problem, numbers)

        def draw_output(index: Array) -> tuple[tuple[Array | None, Array | None], Array]:
            drawn = draw(placed.output(index), setting, keys)
            return (drawn.design, drawn.gram), drawn.labels

        # what an output does not change is drawn once
        (design, gram), labels = jax.vmap(draw_output, out_axes=(None, 0))(jnp.arange(problem.num_outputs))
        drawn = Draw(design, gram, labels)
        return with_noise(drawn, setting, keys, numbers["feature_noise"]) if "feature_noise" in numbers else drawn

    draws = over_runs(draw_model, members, numbers)
    spectra = eigensystems(setting, draws) if plan.spectrum else None
    # to look at them all takes twenty times as long as a bound that is nearly always enough
    bounds = curvature_bounds(setting, draws) if plan.bounded and not plan.spectrum else None
    return Batch(members, draws, numbers, spectra, bounds)


def _solve(plan: Plan, task: Task, batch: Batch) -> Losses:
    setting, models = plan.setting._replace(counts=task.counts), plan.models
    solution = plan.method(task, setting, batch)
    weights = solution.weights

    def grouped(x: Array) -> Array:
        return x.reshape(-1, models, *x.shape[1:])

    def risk_of_average(numbers: dict[str, Array], keys: Keys, weights: Array) -> Array:  # of some models of one run
        placed = place_problem(task.problem, {name: x[0] for name, x in numbers.items()})
        output = lambda index, v: population_risk(placed.output(index), setting, keys, v)  # noqa: E731
        risk = jax.vmap(output, (0, 1))(jnp.arange(task.problem.num_outputs), weights).sum(0)
        if "feature_noise" in numbers:
            noise = lambda weights: noise_risk(weights, plan.bags, numbers["feature_noise"][0])  # noqa: E731
            risk = risk + jax.vmap(noise, 1)(weights).sum(0)
        return risk

    def risk_of(weights: Array | None, risk: Array | None) -> Array:
        if risk is not None and models == 1:
            return risk
        return over_runs(risk_of_average, *jax.tree.map(grouped, (batch.numbers, batch.keys, weights)))

    steps = None if solution.steps is None else grouped(solution.steps).min(1)
    risk = risk_of(weights, solution.risk)
    average_risk = None if solution.average is None else risk_of(*solution.average)
    growth = None if solution.growth is None else grouped(solution.growth).mean(1)
    if math.isinf(setting.num_samples):
        # the loss on fresh data of each model, not of their average
        each_risk = solution.risk
        if each_risk is None and models > 1:
            alone = lambda *model: risk_of_average(*jax.tree.map(lambda x: x[None], model))  # noqa: E731
            each_risk = over_runs(alone, batch.numbers, batch.keys, weights)
        noise_var = grouped(batch.numbers["noise_var"])[:, :1]
        train_loss = grouped(risk if each_risk is None else each_risk).mean(1) + noise_var
        return Losses(risk, train_loss, steps, weights if plan.weights else None, average_risk, growth)

    assert weights is not None  # left out only where data are infinite

    def loss(draw: Draw, v: Array) -> Array:
        samples = setting.true.samples
        outputs = v @ draw.matrix * samples if draw.design is None else v @ draw.design.T  # (K, T, P)
        return jnp.sum((outputs - draw.labels[:, None]) ** 2, axis=(0, 2)) / samples

    train_loss = grouped(over_runs(loss, batch.draws, weights)).mean(1)
    return Losses(risk, train_loss, steps, weights if plan.weights else None, average_risk, growth)


def each(optimizer: Optimizer, batch: Batch, function: Callable, *args: Any) -> Any:
    """Map function(optimizer of the run, *args of the run) over all runs at once."""
    placed = lambda numbers, *args: function(place_optimizer(optimizer, numbers), *args)  # noqa: E731
    return jax.vmap(placed)(batch.numbers, *args)
