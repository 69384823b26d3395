"""The curvature of the training loss of one draw."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from rfm.engine.features import Draw, Setting


class Eigensystems(NamedTuple):
    """Eigenvalues z (S, m) >= 0 and eigenvectors (S, m, m) of each draw's curvature, m = min(N, P)."""

    values: Array
    vectors: Array


def eigensystems(setting: Setting, draws: Draw) -> Eigensystems:
    """Decompose the curvature of every draw, one at a time.

    Batched LAPACK calls gain nothing on CPU and can deadlock with a second device.
    """

    def decompose(draw: Draw) -> Eigensystems:
        gram = draw.matrix
        if draw.design is not None:
            phi = draw.design if setting.dual else draw.design.T  # (m, the other)
            gram = phi @ phi.T / draw.rows(setting)
        z, basis = jnp.linalg.eigh(gram)
        return Eigensystems(jnp.maximum(z, 0.0), basis)

    return lax.map(decompose, draws)
