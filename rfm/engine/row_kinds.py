"""Kinds of Gaussian rows: of several sizes, or of several domains."""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from rfm import threefry
from rfm.problem import Problem

KINDS = 4  # sub-key of a seed, beside those of `features`


def kinds_of_rows(problem: Problem, num_samples: int, key: Array) -> Array:
    """Draw the kind (P,) of every row of a training set whose rows are not all of one."""
    shares = jnp.asarray(problem.domains.shares if problem.mixture is None else problem.mixture.weights)  # type: ignore[union-attr]
    return jax.random.choice(threefry.fold_in(key, KINDS), len(shares), (num_samples,), p=shares)


def root_variances(problem: Problem, rows: tuple[int, Array], index: ArrayLike, eigenvalues: Array) -> Array:
    """Return standard deviations of the modes of a chunk in all rows, (P, c), or (1, c) where rows are equal.

    rows: their number and the key that they are drawn from. eigenvalues: (c,) of the chunk.
    """
    root = jnp.sqrt(eigenvalues)[None]
    if problem.equal_rows:
        return root
    kinds = kinds_of_rows(problem, *rows)
    if problem.domains is None:
        return root * jnp.sqrt(jnp.asarray(problem.mixture.sizes)[kinds, None])  # type: ignore[union-attr]
    spectra, length = jnp.asarray(problem.domains.spectra), len(eigenvalues)
    # the last chunk runs over the end: slice from a padded matrix
    padded = jnp.pad(spectra, ((0, 0), (0, -spectra.shape[1] % length)))
    return jnp.sqrt(lax.dynamic_slice_in_dim(padded, index * length, length, 1))[kinds]


def noise_shares(problem: Problem, num_samples: int, key: Array) -> Array | float:
    """Return the share of the label noise in every row, (P,), or one where rows are equal."""
    if problem.equal_rows:
        return 1.0
    part = problem.mixture if problem.domains is None else problem.domains
    return jnp.asarray(part.noise)[kinds_of_rows(problem, num_samples, key)]  # type: ignore[union-attr]
