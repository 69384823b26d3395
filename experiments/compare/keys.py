"""Keys of draws that are independent of each other, from the keys of the seeds."""

import jax

from rfm import threefry


def fold_keys(keys: jax.Array, number: int) -> jax.Array:
    """Return keys (S,) of draws at one size, task or set, independent of those at any other `number`."""
    return threefry.fold_in(keys, number)


def split_keys(keys: jax.Array, count: int) -> jax.Array:
    """Return keys (S * count,), the keys of a seed beside each other; the keys (S,) themselves where count is 1."""
    return keys if count == 1 else threefry.split(keys, count).ravel()
