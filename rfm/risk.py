"""Exact population risk of given weights: a sum over modes, no test set."""

import math

import jax.numpy as jnp
from jax import Array, lax

from rfm.features import Keys, Setting, chunk_length, data_chunk, feature_chunk, neural, neurons, sum_chunks
from rfm.problem import Problem


def population_risk(problem: Problem, setting: Setting, keys: Keys, weights: Array) -> Array:
    """sum_k lambda_k (w_k - u_k)^2 of the average of some models, (T,).

    keys (K,), weights (K, T, n) of K models: v over features, u = F^T v; where N is infinite, dual weights over
    samples, u = Psi^T a. F or Psi is drawn again from the keys, chunk by chunk: cheaper than the n x n matrix
    F Lambda F^T. For neurons the mean is over the rows of the population.
    """
    if neural(setting):

        def output(total, model):
            keys, v = model
            return total + v @ neurons(problem, setting, keys.features).T, None

        rows = problem.population.rows.shape[0]
        total, _ = lax.scan(output, jnp.zeros((weights.shape[1], rows)), (keys, weights))
        return jnp.mean((total / len(weights) - jnp.asarray(problem.population.labels)) ** 2, axis=1)

    def add(i, risk):
        def mode_weights(total, model):
            keys, v = model
            if math.isinf(setting.num_features):
                return total + v @ data_chunk(problem, setting, keys.data, i)[0], None
            return total + v @ feature_chunk(problem, setting, keys.features, i)[0], None

        lam, w = problem.modes(i * chunk_length(problem), chunk_length(problem))
        total, _ = lax.scan(mode_weights, jnp.zeros((weights.shape[1], len(lam))), (keys, weights))
        return risk + (w - total / len(weights)) ** 2 @ lam

    return sum_chunks(problem, setting, add, jnp.zeros(weights.shape[1]))
