"""Sums over modes of 1/(kappa + lambda_k), of which the whole theory is made.

kappa is of any shape; known models side by side have modes (W, K) of their own, and kappa (..., W).
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from theory.arrays import Array, by_xla, complex_of
from theory.spectrum import Modes

BLOCK = 2**14  # numbers that a processor keeps at hand, a few times over


def degrees_of_freedom(kappa: Array, modes: Modes) -> tuple[Array, Array]:
    """Return df1 = sum lambda/(kappa + lambda) and its derivative in kappa, for kappa of any shape (...,)."""
    weight = modes.multiplicity * modes.eigenvalues  # (K,)
    if not _in_parts(kappa, weight):
        r = resolvent(kappa, modes.eigenvalues)  # (..., K)
        return total(r, weight), -total(r * r, weight)

    def of_block(kappa: Array) -> tuple[Array, Array]:
        x, scale = _parts(kappa, modes.eigenvalues)
        x *= scale  # Re r
        first, y = total(scale, weight), kappa.imag
        df1 = complex_of(total(x, weight), -y * first)
        x *= scale
        scale *= scale
        return df1, complex_of(2.0 * y * y * total(scale, weight) - first, 2.0 * y * total(x, weight))

    return _in_blocks(of_block, kappa, modes.eigenvalues)


def sums(kappa: Array, eigenvalues: Array, *weights: Array) -> tuple[Array, ...]:
    """Return sum_k weight_k/(kappa + lambda_k) for each of some weights (K,), and for kappa of any shape (...,)."""
    if not _in_parts(kappa, eigenvalues):
        r = resolvent(kappa, eigenvalues)
        return tuple(total(r, weight) for weight in weights)

    def of_block(kappa: Array) -> tuple[Array, ...]:
        x, scale = _parts(kappa, eigenvalues)
        x *= scale
        return tuple(complex_of(total(x, weight), -kappa.imag * total(scale, weight)) for weight in weights)

    return _in_blocks(of_block, kappa, eigenvalues)


def bias_of(kappa: Array, modes: Modes) -> Array:
    """Return Q = kappa sum lambda w^2/(kappa + lambda)."""
    return kappa * sums(kappa, modes.eigenvalues, modes.power)[0]


def total(values: Array, weight: Array) -> Array:
    """Return sum_k weight_k values_k over the last axis; weight (K,), or (W, K) for values (..., W, K)."""
    return values @ weight if np.ndim(weight) == 1 else np.vecdot(weight, values)


def resolvent(kappa: Array, eigenvalues: Array) -> Array:
    """Return 1/(kappa + lambda_k), (..., K): by hand where XLA would divide complex numbers, ten times as slowly."""
    if not by_xla(kappa, eigenvalues):
        return 1.0 / (kappa[..., None] + eigenvalues)
    eigenvalues = jnp.expand_dims(eigenvalues, tuple(range(kappa.ndim)))  # (1, ..., K)
    if not jnp.iscomplexobj(kappa):
        return 1.0 / (kappa[..., None] + eigenvalues)
    x, scale = _parts(kappa, eigenvalues)
    return complex_of(x * scale, -kappa.imag[..., None] * scale)


def _parts(kappa: Array, eigenvalues: Array) -> tuple[Array, Array]:
    """Return Re kappa + lambda_k and 1/|kappa + lambda_k|^2, (..., K)."""
    x, y = kappa.real[..., None] + eigenvalues, kappa.imag[..., None]
    return x, 1.0 / (x * x + y * y)


def _in_blocks(function: Callable[[Array], tuple[Array, ...]], kappa: Array, eigenvalues: Array) -> tuple[Array, ...]:
    """Return a function of all kappa, of as many at a time as a processor keeps at hand beside all eigenvalues."""
    each = math.ceil(BLOCK / (kappa[0].size * eigenvalues.shape[-1]))
    parts = [function(kappa[i : i + each]) for i in range(0, len(kappa), each)]
    return parts[0] if len(parts) == 1 else tuple(np.concatenate(values) for values in zip(*parts, strict=True))


def _in_parts(kappa: Array, weight: Array) -> bool:
    """Are many complex kappa known, of which numpy takes parts in a third of the time?"""
    return np.ndim(kappa) > 0 and np.iscomplexobj(kappa) and not by_xla(kappa, weight)
