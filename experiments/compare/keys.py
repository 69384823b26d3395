"""Keys of draws that are independent of each other, from the keys of the seeds."""

from functools import partial

import jax


def fold_keys(keys: jax.Array, number: int) -> jax.Array:
    """Return keys (S,) of draws at one size, task or set, independent of those at any other `number`."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)


def split_keys(keys: jax.Array, count: int) -> jax.Array:
    """Return keys (S * count,), those of a seed beside each other; the keys (S,) themselves where count is 1."""
    return keys if count == 1 else jax.vmap(partial(jax.random.split, num=count))(keys).ravel()
