"""Keys of draws that are independent of each other, from the keys of the seeds."""

import jax


def fold_keys(keys: jax.Array, number: int) -> jax.Array:
    """Return keys (S,) of draws at one size, task or set, independent of those at any other `number`."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)
