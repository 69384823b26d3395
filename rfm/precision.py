"""Float64 without touching the user's settings.

Late times and small risks need 16 digits. JAX drops to float32 by default, so every public entry
point runs inside `float64()`: a scope of its own, results handed back as numpy float64 arrays.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

import jax
import numpy as np
from jax.core import Tracer

Tree = TypeVar("Tree")
flags: Any = jax.config  # whose flags JAX gives no types
_NEEDS_X64 = (
    "Inside jax.jit, jax.vmap or jax.grad float64 must be on from the start, but jax_enable_x64 is False: "
    'call jax.config.update("jax_enable_x64", True) at the top of the program.'
)


@contextmanager
def float64(*values: object) -> Iterator[None]:
    """Run the body in float64; `values` are the caller's inputs.

    Raises ValueError when x64 is off and an input is a tracer (the call is inside jit, vmap or grad): the
    tracer is float32 already and a scope here could not bring its digits back.
    """
    if flags.jax_enable_x64:
        yield
        return
    if is_traced(*values):
        raise ValueError(_NEEDS_X64)
    with jax.enable_x64(True):
        yield


PRECISIONS = ("float64", "float32")


@contextmanager
def arithmetic(dtype: str) -> Iterator[None]:
    """Open the scope of one of PRECISIONS; bounds that float32 does not hold are infinite there."""
    if dtype == "float64":
        with float64():
            yield
    else:
        # an accelerator would multiply matrices with 10 or 7 bits of the 23
        with jax.enable_x64(False), jax.default_matmul_precision("highest"), np.errstate(over="ignore"):
            yield


@contextmanager
def complex128(*values: object) -> Iterator[None]:
    """`float64`, and on the host where the accelerator has no complex128, which the contours of the theory need.

    A call inside a transformation runs where its user runs it.
    """
    with float64(*values):
        backend = jax.default_backend()
        if is_traced(*values) or _has_complex128(backend):
            yield
            return
        warnings.warn(
            f"the {backend} backend has no complex128: the theory runs on the host", RuntimeWarning, stacklevel=4
        )
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            yield


@lru_cache
def _has_complex128(backend: str) -> bool:
    if backend == "cpu":
        return True
    try:
        with jax.enable_x64(True):
            z = np.array([1.0 + 1e-12j, 2.0])  # its digits distinguish it from complex64
            return bool(np.all(np.asarray(jax.jit(lambda z: z * z)(z)) == z * z))
    except Exception:  # each backend has its own words for it
        return False


def is_traced(*values: object) -> bool:
    """Is any leaf of the inputs an abstract value of a JAX transformation?"""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(values))


def settle(tree: Tree) -> Tree:
    """Results as the caller can hold them: numpy float64, but for tracers, which stay as they are.

    A float64 jax array that leaves a scope silently becomes float32 at its next operation; numpy does not.
    """
    if is_traced(tree) and not flags.jax_enable_x64:
        raise ValueError(_NEEDS_X64)
    return jax.tree.map(lambda x: x if is_traced(x) else np.asarray(x), tree)
