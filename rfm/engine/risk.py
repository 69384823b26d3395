"""Risk of given weights: exactly, by a sum over modes, or on the rows of a real population that were not trained on."""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax

from rfm.engine.features import (
    Keys,
    Setting,
    chunk_length,
    data_chunk,
    feature_chunk,
    neural,
    neurons,
    row_chunk,
    sampled_rows,
    sum_chunks,
)
from rfm.problem import Population, Problem


def population_risk(problem: Problem, setting: Setting, keys: Keys, weights: Array) -> Array:
    """sum_k lambda_k (w_k - u_k)^2 of the average of some models, (T,); on real rows as `_held_out_risk` says.

    keys (K,), weights (K, T, n) of K models: v over features, u = F^T v; where N is infinite, dual weights over
    samples, u = Psi^T a. F or Psi is drawn again from the keys, chunk by chunk: cheaper than the n x n matrix
    F Lambda F^T.
    """
    if problem.population is not None:
        return _held_out_risk(problem, problem.population, setting, keys, weights)

    def add(i: Array, risk: Array) -> Array:
        lam, w = problem.modes(i * chunk_length(problem), chunk_length(problem))
        total = mode_weights(problem, setting, keys, weights, i)
        return risk + (w[None] - total / len(weights)) ** 2 @ lam

    return sum_chunks(problem, setting, add, jnp.zeros(weights.shape[1]))


def mode_weights(problem: Problem, setting: Setting, keys: Keys, weights: Array, index: Array) -> Array:
    """Sum of u over models in the chunk of modes `index`, (T, c)."""

    def add(total: Array, model: tuple[Keys, Array]) -> tuple[Array, None]:
        keys, v = model
        if math.isinf(setting.num_features):
            return total + v @ data_chunk(problem, setting, keys.data, index)[0], None
        return total + v @ feature_chunk(problem, setting, keys.features, index)[0], None

    total, _ = lax.scan(add, jnp.zeros((weights.shape[1], chunk_length(problem))), (keys, weights))
    return total


def _held_out_risk(problem: Problem, population: Population, setting: Setting, keys: Keys, weights: Array) -> Array:
    """Mean over the rows of the population that no model was trained on of (y - f)^2, less the noise in y, (T,).

    Infinitely many samples are all rows: then it is the mean over those trained on.
    """
    start = jnp.zeros((weights.shape[1], len(population.rows)))
    if neural(setting):

        def output(total: Array, model: tuple[Keys, Array]) -> tuple[Array, None]:
            keys, v = model
            return total + v @ neurons(population, setting, keys.features).T, None

        total, _ = lax.scan(output, start, (keys, weights))
    else:

        def add(i: Array, total: Array) -> Array:
            chunk = row_chunk(problem, population, i)
            return total + mode_weights(problem, setting, keys, weights, i) @ chunk.T

        total = sum_chunks(problem, setting, add, start)
    held_out = jnp.ones(len(population.rows))
    if math.isfinite(setting.num_samples):
        trained = jax.vmap(lambda key: sampled_rows(population, int(setting.num_samples), key))(keys.data)
        held_out = held_out.at[trained.ravel()].set(0.0)
    errors = (total / len(weights) - jnp.asarray(population.labels)[None]) ** 2
    return errors @ held_out / held_out.sum() - population.unexplained
