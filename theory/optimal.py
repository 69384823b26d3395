"""The compute-optimal frontier: the model size that makes the best of C = N t (N t B for SGD), by the theory itself."""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import checks
from rfm.optimizers import SGD, Optimizer, Ridge
from rfm.precision import float64, is_traced
from rfm.problem import Problem
from theory.predict import predict

LOOK = 16  # sizes that find the basin of the minimum; within it the slope is solved for
HALVINGS, NEWTON_STEPS = 6, 4  # within the basin: to a few percent, then quadratically
SHORTEST = 1e-2  # training time of gradient flow at the largest model considered


class Frontier(NamedTuple):
    """Each (C,): what `compute` buys. size_exponent, risk_exponent: d log N*/d log C and -d log risk*/d log C there.

    residual: |d log risk/d log N| at the optimum, which vanishes inside; converged: it is below 1e-6 and the optimum is
    a minimum.
    """

    compute: Any
    num_features: Any
    times: Any
    risk: Any
    size_exponent: Any
    risk_exponent: Any
    residual: Any
    converged: Any


def frontier(
    problem: Problem,
    compute: Array,
    *,
    num_samples: float = np.inf,
    optimizer: Optimizer,
    parametrization: str = "ntk",
) -> Frontier:
    """N*(C) = argmin_N risk(N, t = C/N) for every C, N a real number; C = N t, or N t B for SGD with batch B.

    A coarse look at all sizes finds the basin, then d log risk/d log N = 0 is solved by Newton steps on derivatives of
    the theory; the exponents are derivatives at the optimum, not fits.

    Raises ValueError for compute that is not positive or below what one step of the smallest model
    costs, for Ridge, which has no time, and as `predict` does.
    """
    if isinstance(optimizer, Ridge):
        checks.fail("optimizer", "an algorithm that runs in time", optimizer)
    if is_traced(problem, compute, num_samples, optimizer):
        checks.fail("compute", "concrete numbers (the frontier runs its own jit and vmap)", compute)
    compute = np.asarray(compute, np.float64)
    if compute.ndim != 1 or compute.size == 0 or not np.all(np.isfinite(compute) & (compute > 0)):
        checks.fail("compute", "a non-empty one-dimensional array of positive numbers", compute)
    step = SHORTEST if not optimizer.discrete else 1.0
    cost = float(optimizer.batch_size) if isinstance(optimizer, SGD) else 1.0
    least = 2.0 * step * cost
    if compute.min() < least:
        checks.fail("compute", f">= {least:g}, two of the shortest runs of the smallest model", compute.min())
    args = dict(num_samples=num_samples, optimizer=optimizer, parametrization=parametrization)
    # refuses what it must; sizes too small for this lr are left out below
    largest = compute.max() / cost / step
    predict(problem, num_features=largest, times=np.ones(1), **args)
    with float64():
        momentum = float(optimizer.momentum) if hasattr(optimizer, "momentum") else None
        levels = jnp.log(compute / cost)
        found = _solve(problem, levels, np.log(step), optimizer, float(num_samples), parametrization, momentum)
    x, risk, size, slope, residual, bend = (np.asarray(value) for value in found)
    n = np.exp(x)
    converged = (residual < 1e-6) & (bend > 0)
    return Frontier(compute, n, compute / cost / n, np.exp(risk), size, -slope, residual, converged)


@partial(jax.jit, static_argnums=(4, 5, 6))
def _solve(problem, log_compute, log_step, optimizer, num_samples, parametrization, momentum):
    """For every log(N t): log N*, log risk, d log N*/d log C, d log risk/d log C, |slope| and curvature in log N."""

    if momentum is not None:  # a number, not traced: theory takes only as many nodes as it asks for
        optimizer = dataclasses.replace(optimizer, momentum=momentum)

    def log_risk(x, y):
        return jnp.log(curve(x, y).risk[0])

    def look(x, y):
        found = curve(x, y)
        return jnp.where(jnp.isfinite(found.residual), jnp.log(found.risk[0]), jnp.inf)

    def curve(x, y):
        return predict(
            problem, num_features=jnp.exp(x), num_samples=num_samples, optimizer=optimizer, times=jnp.exp(y - x)[None],
            parametrization=parametrization,
        )  # fmt: skip

    slope = jax.grad(log_risk)

    def one(y):
        sizes = jnp.linspace(0.0, y - log_step, LOOK)
        best = jnp.argmin(lax.map(lambda x: look(x, y), sizes))
        low, high = sizes[jnp.maximum(best - 1, 0)], sizes[jnp.minimum(best + 1, LOOK - 1)]

        def halve(_, bracket):
            low, high = bracket
            middle = 0.5 * (low + high)
            falling = slope(middle, y) < 0
            return jnp.where(falling, middle, low), jnp.where(falling, high, middle)

        low, high = lax.fori_loop(0, HALVINGS, halve, (low, high))

        def newton(_, x):
            f, bend = jax.jvp(lambda x: slope(x, y), (x,), (jnp.ones_like(x),))
            return jnp.clip(x - f / bend, low, high)

        x = lax.fori_loop(0, NEWTON_STEPS, newton, 0.5 * (low + high))
        value, (f, g) = jax.value_and_grad(log_risk, (0, 1))(x, y)
        bend, mixed = jax.grad(slope, (0, 1))(x, y)
        return x, value, -mixed / bend, g, jnp.abs(f), bend

    return lax.map(one, log_compute)
