"""Which samples of a training set a step of SGD sees: drawn anew, or in epochs, shuffled or not."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from rfm import threefry
from rfm.sgd import DRAWN_ANEW, changes


class Rows(NamedTuple):
    """Rows (B,) that make a batch, and the share of each in its gradient where that is not 1/B."""

    chosen: Array
    shares: Array | None


def choose_rows(optimizer: Any, sizes: tuple[int, int], drawn: tuple[Array, Array | None], count: Array) -> Rows:
    """Return the rows of the step after `count` steps.

    sizes: how many rows there are, and in the largest batch; drawn: the key of batches, and the order of this epoch.
    """
    (rows, size), (key, order) = sizes, drawn
    if getattr(optimizer, "order", DRAWN_ANEW) == DRAWN_ANEW:
        index = threefry.permutation(threefry.fold_in(key, count), rows)[:size]
        return Rows(index, optimizer.shares(size, count) if changes(optimizer.batch_size) else None)
    place = (count % -(-rows // size)) * size + jnp.arange(size)
    index = jnp.minimum(place, rows - 1)
    index = index if order is None else order[index]
    if rows % size == 0:
        return Rows(index, None)
    inside = place < rows  # the last batch of an epoch is shorter
    return Rows(index, inside / jnp.sum(inside))


def permuted_rows(key: Array, epoch: Array | int, rows: int) -> Array:
    """Return all rows in the order of an epoch."""
    return threefry.permutation(threefry.fold_in(key, epoch), rows)
