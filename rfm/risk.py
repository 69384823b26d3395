"""Exact population risk of given weights: a sum over modes, no test set."""

import math

import jax.numpy as jnp
from jax import Array, lax

from rfm.features import Setting, data_chunk, feature_chunk, num_chunks
from rfm.problem import Problem


def population_risk(problem: Problem, setting: Setting, key: Array, weights: Array) -> Array:
    """sum_k lambda_k (w_k - u_k)^2 for each row of `weights`, (T,).

    weights (T, n): v over features, u = F^T v; where N is infinite, dual weights over samples, u = Psi^T a. F or
    Psi is drawn again from the key of the seed, chunk by chunk: cheaper than the n x n matrix F Lambda F^T.
    """

    def add(i, total):
        if math.isinf(setting.num_features):
            mixing, w = data_chunk(problem, setting, key, i)  # (P, c)
            lam, _ = problem.modes(i * mixing.shape[1], mixing.shape[1])
        else:
            mixing, lam, w = feature_chunk(problem, setting, key, i)  # (N, c)
        return total + (w - weights @ mixing) ** 2 @ lam

    return lax.fori_loop(0, num_chunks(problem), add, jnp.zeros(weights.shape[0]))
