"""Own draws are those of `jax.random`, number by number."""

import jax
import numpy as np
import pytest
from compilations import compilations

from rfm import threefry

KEY = jax.random.key(11)


def words(keys):
    return np.asarray(jax.random.key_data(keys))


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_draws_are_those_of_jax(impl):
    keys = jax.random.split(jax.random.key(11, impl=impl), 3)
    for number in (0, 1, 2**31 + 5, 2**32 - 1):
        expected = jax.vmap(jax.random.fold_in, (0, None))(keys, np.uint32(number))
        np.testing.assert_array_equal(words(threefry.fold_in(keys, number)), words(expected))
        np.testing.assert_array_equal(words(threefry.fold_in(keys[0], number)), words(expected[0]))
        traced = jax.jit(jax.vmap(threefry.fold_in, (0, None)))(keys, np.uint32(number))
        np.testing.assert_array_equal(words(traced), words(expected))
    pairs = jax.vmap(lambda key: jax.random.split(key, 5))(keys)
    np.testing.assert_array_equal(words(threefry.split(keys, 5)), words(pairs))
    for shape in ((), (7,), (33, 129), (3, 1, 5)):
        expected = jax.jit(jax.random.normal, static_argnums=(1, 2))(keys[0], shape, np.float32)
        drawn = jax.jit(threefry.normal, static_argnums=1)(keys[0], shape)
        assert (drawn.dtype, drawn.shape) == (np.float32, shape)
        np.testing.assert_array_equal(drawn, expected)
    for count in (1, 40, 3000):  # one sort, and two
        expected = jax.jit(jax.random.permutation, static_argnums=1)(keys[0], count)
        drawn = jax.jit(threefry.permutation, static_argnums=1)(keys[0], count)
        assert drawn.dtype == expected.dtype
        np.testing.assert_array_equal(drawn, expected)


def test_keys_of_another_counter_are_left_to_jax():
    before = jax.config.jax_threefry_partitionable
    jax.config.update("jax_threefry_partitionable", False)
    try:
        np.testing.assert_array_equal(threefry.normal(KEY, (9,)), jax.random.normal(KEY, (9,), np.float32))
    finally:
        jax.config.update("jax_threefry_partitionable", before)


def test_keys_on_the_host_compile_no_hash():
    keys = threefry.fold_in(jax.random.split(KEY, 16), 1)
    threefry.split(keys, 4)
    with compilations() as compiled:
        for number in (2, 3):
            threefry.split(threefry.fold_in(keys, number), 4 + number)
    assert len(compiled) <= 4  # what wraps words into keys: two a shape, of no hash
