"""The curvature of the training loss of one draw."""

import jax.numpy as jnp
from jax import Array, lax

from rfm.engine.features import Draw, Setting


def eigensystems(setting: Setting, draws: Draw) -> tuple[Array, Array]:
    """Eigenvalues z (S, m) >= 0 and eigenvectors (S, m, m) of each draw's curvature, m = min(N, P).

    One decomposition at a time: batched LAPACK calls gain nothing on CPU and can deadlock with a second device.
    """

    def one(draw):
        gram = draw.gram
        if draw.design is not None:
            phi = draw.design if setting.dual else draw.design.T  # (m, the other)
            gram = phi @ phi.T / draw.design.shape[0]
        z, basis = jnp.linalg.eigh(gram)
        return jnp.maximum(z, 0.0), basis

    return lax.map(one, draws)
