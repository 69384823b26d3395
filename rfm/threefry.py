"""The numbers of `jax.random` for its default keys, as plain array operations.

The same bits, compiled in half the time and drawn in half of it on CPU: there `jax.random` hashes in a loop over rounds
that keeps every round in memory. Keys of other kinds are left to `jax.random`.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from rfm.precision import flags, is_traced

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = np.uint32(0x1BD11BDA)
LEAST = np.nextafter(np.float32(-1.0), np.float32(0.0))  # of the uniform numbers that normal ones are made of
MOST_NUMBERS = 2**32  # of a draw whose counters fit one word


def fold_in(key: Array, number: ArrayLike) -> Array:
    """`jax.random.fold_in` of one key, or of keys (S,) at once."""
    if not _is_known(key):
        fold = jax.random.fold_in
        return fold(key, number) if key.ndim == 0 else jax.vmap(fold, (0, None))(key, number)
    # on the host where the number and the keys are known
    number = jnp.asarray(number).astype(np.uint32) if is_traced(number) else np.asarray(number).astype(np.uint32)
    return _wrap(_hash(key, np.uint32(0), number))


def split(keys: Array, count: int) -> Array:
    """`jax.random.split` of each of keys (S,), as keys (S, count)."""
    if not _is_known(keys):
        return jax.vmap(lambda key: jax.random.split(key, count))(keys)
    return _wrap(_hash(keys[:, None], np.uint32(0), np.arange(count, dtype=np.uint32)[None]))


def normal(key: Array, shape: tuple[int, ...]) -> Array:
    """`jax.random.normal` in float32."""
    if not _is_known(key) or math.prod(shape) >= MOST_NUMBERS:
        return jax.random.normal(key, shape, jnp.float32)
    place = lax.iota(np.uint32, math.prod(shape)).reshape(shape)
    first, second = _hash(key, np.uint32(0), place)
    ones = ((first ^ second) >> np.uint32(9)) | np.uint32(0x3F800000)  # 23 bits of a number in [1, 2)
    uniform = (lax.bitcast_convert_type(ones, np.float32) - np.float32(1.0)) * (np.float32(1.0) - LEAST) + LEAST
    return np.float32(math.sqrt(2.0)) * lax.erf_inv(lax.max(LEAST, uniform))


def permutation(key: Array, count: int) -> Array:
    """`jax.random.permutation` of the numbers below `count`."""
    if not _is_known(key):
        return jax.random.permutation(key, count)
    order, place = jnp.arange(count), lax.iota(np.uint32, count)
    # words come twice: with c^3 sorts of 32 bits each no order is more likely by much
    for _ in range(math.ceil(3.0 * math.log(max(1, count)) / math.log(MOST_NUMBERS - 1))):
        key, part = split(key[None], 2)[0]
        first, second = _hash(part, np.uint32(0), place)
        _, order = lax.sort_key_val(first ^ second, order)
    return order


def _is_known(key: Array) -> bool:
    return str(jax.random.key_impl(key)) == "threefry2x32" and flags.jax_threefry_partitionable


def _wrap(words: tuple[Array | np.ndarray, Array | np.ndarray]) -> Array:
    joined = jnp.stack(words, -1) if is_traced(*words) else np.stack(words, -1)
    return jax.random.wrap_key_data(jnp.asarray(joined))


def _hash(key: Array, high: ArrayLike, low: ArrayLike) -> tuple:
    """Threefry 2x32 of 20 rounds: two words for each of the counters (high, low)."""
    words: Any = jax.random.key_data(key)
    if is_traced(words) or isinstance(low, Array):
        return _traced_rounds(words, high, low)
    with np.errstate(over="ignore"):
        return _rounds(np.asarray(words), high, low)


def _rounds(words: Any, high: Any, low: Any) -> tuple:
    keys = words[..., 0], words[..., 1], words[..., 0] ^ words[..., 1] ^ PARITY
    x, y = high + keys[0], low + keys[1]
    for group in range(5):
        for bits in ROTATIONS[group % 2]:
            x = x + y
            y = ((y << np.uint32(bits)) | (y >> np.uint32(32 - bits))) ^ x
        x, y = x + keys[(group + 1) % 3], y + keys[(group + 2) % 3] + np.uint32(group + 1)
    return x, y


_traced_rounds = jax.jit(_rounds)  # 140 operations, which are then traced once a shape and not at every draw
