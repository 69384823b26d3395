"""Times, and what this machine can do at best."""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from experiments.output import children


class Rates(NamedTuple):
    """Measured in the run that they are compared with: seconds a multiply-add of matrices, a normal, a division, and
    of the eigendecomposition of a 1000 x 1000 matrix."""

    multiply_add: float
    normal: float
    division: float
    eigen: float


def best_of(function: Callable, repeats: int, *args: object) -> float:
    """Shortest wall time in seconds of `repeats` calls, after one to compile."""
    jax.block_until_ready(function(*args))
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(*args))
        spent.append(time.perf_counter() - start)
    return min(spent)


def rates() -> Rates:
    """Measure this machine; arrays go in as arguments, since constants would be folded at compile time."""
    n = 1000
    a = jax.random.normal(jax.random.key(0), (n, n))
    gram = a @ a.T + n * np.eye(n)
    product = best_of(jax.jit(lambda x: x @ x), 5, a)
    draw = jax.jit(lambda key: jax.random.normal(key, (n, n), "float32").astype(float))
    normals = best_of(draw, 5, jax.random.key(1))
    division = best_of(jax.jit(lambda x: (1.0 / (x + 3.0)).sum()), 5, gram)
    return Rates(product / n**3, normals / n**2, division / n**2, best_of(jax.jit(jax.numpy.linalg.eigh), 3, gram))


def busy() -> str:
    """Return a warning where something else uses the machine, else nothing."""
    if not hasattr(os, "getloadavg") or os.getloadavg()[0] < 0.5 * (os.cpu_count() or 1):
        return ""
    return f"the load is {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: ratios may be off"


def fresh(script: str) -> str:
    """Return what a script prints in a process of its own."""
    ended = children.run("-c", script)
    ended.check_returncode()
    return ended.stdout
