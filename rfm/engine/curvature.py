"""The curvature of the training loss of one draw."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from rfm.devices import over_runs
from rfm.engine.features import Draw, Setting


class Eigensystems(NamedTuple):
    """Eigenvalues z (S, m) >= 0 and eigenvectors (S, m, m) of each draw's curvature, m = min(N, P)."""

    values: Array
    vectors: Array


def eigensystems(setting: Setting, draws: Draw) -> Eigensystems:
    """Decompose the curvature of every draw."""

    def decompose(draw: Draw) -> Eigensystems:
        z, basis = jnp.linalg.eigh(_curvature(setting, draw))
        return Eigensystems(jnp.maximum(z, 0.0), basis)

    return over_runs(decompose, draws)


def eigenvalues(setting: Setting, draws: Draw) -> Array:
    """Return the eigenvalues (S, m) of the curvature of every draw."""
    return over_runs(lambda draw: jnp.maximum(jnp.linalg.eigvalsh(_curvature(setting, draw)), 0.0), draws)


def curvature_bounds(setting: Setting, draws: Draw) -> Array:
    """Return bounds (S,) on the largest curvature of every draw: (sum z^2)^(1/2), larger by more than rounding."""

    def bound(draw: Draw) -> Array:
        squares = jnp.sum(_curvature(setting, draw) ** 2)
        return jnp.sqrt(squares) * (1.0 + jnp.sqrt(jnp.finfo(squares.dtype).eps))

    return over_runs(bound, draws)


def _curvature(setting: Setting, draw: Draw) -> Array:
    """Return the smaller one, (m, m), of Phi^T Phi / P and Phi Phi^T / P."""
    if draw.design is None:
        return draw.matrix
    phi = draw.design if setting.dual else draw.design.T  # (m, the other)
    return phi @ phi.T / draw.rows(setting)
