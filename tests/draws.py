"""Draws of the engine, for tests that take them apart: each function is one program, not one for every operation."""

import jax

from rfm.engine import features
from rfm.networks import networks

draw = jax.jit(features.draw, static_argnums=1)
feature_chunk = jax.jit(features.feature_chunk, static_argnums=1)
data_chunk = jax.jit(features.data_chunk, static_argnums=1)
member_keys = jax.jit(features.member_keys, static_argnums=(1, 2))
apply = jax.jit(networks.apply, static_argnums=3)


def keys_of(key):
    """What the one model of a seed draws from."""
    return jax.tree.map(lambda x: x[0], member_keys(key[None], 1, 1))
