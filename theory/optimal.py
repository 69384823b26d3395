"""The compute-optimal frontier: the model size that makes the best of C = N t (N t B for SGD), by the theory itself."""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import checks
from rfm.optimizers import SGD, GradientDescent, GradientFlow
from rfm.precision import complex128, is_traced
from rfm.problem import HEAD, Problem
from theory._predict import evaluate, most_nodes, predict

LOOK = 16  # sizes that find the basin of the minimum
COARSE = 64  # contour nodes until it is found; good to 1e-5
HALVINGS, NEWTON_STEPS = 6, 5  # within the basin: to a few percent, then quadratically
LR_HALVINGS, LR_DECADES, LR_MOST = 8, 4, 0.99  # where the lr is sought too: below the largest stable one
SHORTEST = 1e-2  # training time of gradient flow at the largest model considered


class Frontier(NamedTuple):
    """Each (C,): what `compute` buys. size_exponent, risk_exponent: d log N*/d log C and -d log risk*/d log C there.

    lr: the learning rate there, None for gradient flow. residual: the largest slope of log risk in log N, and in log lr
    where it is tuned, which vanish inside; converged: it is below 1e-6 and the optimum is a minimum.
    """

    compute: Any
    num_features: Any
    times: Any
    lr: Any
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
    optimizer: GradientFlow | GradientDescent | SGD,
    parametrization: str = "ntk",
    tune_lr: bool = False,
    lr_exponent: float = 0.0,
    modes_per_feature: float | None = None,
    nodes: int | None = None,
) -> Frontier:
    """N*(C) = argmin_N risk(N, t = C/N) for every C, N a real number; C = N t, or N t B for SGD with batch B.

    A coarse look at all sizes finds the basin, then d log risk/d log N = 0 is solved by Newton steps on derivatives of
    the theory; the exponents are derivatives at the optimum, not fits. Stopping early needs nothing more: at equal
    compute a wider model is a shorter run, and where risk_exponent >= 0, training longer at that size still helps.

    tune_lr: for SGD, minimise over the learning rate too, up to the largest stable one. lr_exponent: the learning rate
    is optimizer.lr N^lr_exponent. modes_per_feature: the problem has that many modes for every feature; with b < 1 the
    trace diverges with the modes, and Paquette et al. 2024 let M and 1/lr grow with N. nodes: of the contour, fewer are
    faster (64 leave 1e-5 of the risk, and exponents to 1e-4).

    Raises ValueError for compute that is not positive or below what one step of the smallest model costs, for any
    algorithm but gradient flow, gradient descent and SGD, for a schedule, for a spectrum without a tail where
    modes_per_feature is given, and as `predict` does.
    """
    if not isinstance(optimizer, GradientFlow | GradientDescent | SGD):
        checks.fail("optimizer", "GradientFlow, GradientDescent or SGD", optimizer)
    if is_traced(problem, compute, num_samples, optimizer, lr_exponent, modes_per_feature):
        checks.fail("compute", "concrete numbers (the frontier runs its own jit and vmap)", compute)
    has_lr = hasattr(optimizer, "lr")
    if has_lr and callable(optimizer.lr):
        checks.fail("lr", "a number (every size has a length of training of its own)", optimizer.lr)
    if tune_lr and not (isinstance(optimizer, SGD) and lr_exponent == 0.0):
        only = "False but for SGD without lr_exponent (gradient descent does best at the edge of stability)"
        checks.fail("tune_lr", only, tune_lr)
    fewest = 1.0
    if modes_per_feature is not None:
        checks.number("modes_per_feature", modes_per_feature, 1.0, "a finite number >= 1", inclusive=True)
        if problem.tail is None:
            checks.fail("modes_per_feature", "None for a spectrum without a power-law tail", modes_per_feature)
        fewest = max(1.0, HEAD / modes_per_feature)
    compute = np.asarray(compute, np.float64)
    if compute.ndim != 1 or compute.size == 0 or not np.all(np.isfinite(compute) & (compute > 0)):
        checks.fail("compute", "a non-empty one-dimensional array of positive numbers", compute)
    step = SHORTEST if not optimizer.discrete else 1.0
    cost = float(optimizer.batch_size) if isinstance(optimizer, SGD) else 1.0
    least = 2.0 * fewest * step * cost
    if compute.min() < least:
        checks.fail("compute", f">= {least:g}, two of the shortest runs of the smallest model", compute.min())
    if not tune_lr and lr_exponent == 0.0 and modes_per_feature is None:
        # refuses what it must; sizes too small for this lr are left out below
        largest = compute.max() / cost / step
        args = dict(num_samples=num_samples, optimizer=optimizer, parametrization=parametrization)
        predict(problem, num_features=largest, times=np.ones(1), **args)
    if nodes is None:
        nodes = most_nodes(optimizer)
    with complex128():
        problem = dataclasses.replace(problem, population=None)
        scaling = (lr_exponent, modes_per_feature)
        arguments = (problem, jnp.log(compute / cost), np.log([fewest, step]), optimizer, num_samples, scaling)
        arguments = jax.tree.map(lambda x: jnp.asarray(x, float), arguments)
        found = _solve(*arguments, parametrization == "standard", nodes, tune_lr)
        theta, risk, moves, slope, residual, bend = (np.asarray(value) for value in found)
    if not np.all(np.isfinite(risk)):
        checks.fail("lr", "smaller: training diverges at every size", optimizer.lr)
    n, lr = np.exp(theta[:, 0]), None
    if has_lr:
        lr = np.exp(theta[:, 1]) if tune_lr else float(optimizer.lr) * n**lr_exponent
    converged = (residual < 1e-6) & (bend > 0)
    return Frontier(compute, n, compute / cost / n, lr, np.exp(risk), moves[:, 0], -slope, residual, converged)


@partial(jax.jit, static_argnums=(6, 7, 8))
def _solve(problem, log_compute, least, optimizer, num_samples, scaling, standard, nodes, tune_lr):
    """For every y = log(N t): theta = (log N, log lr if tuned), log risk, d theta/dy, d log risk/dy, the largest slope
    in theta and the least curvature."""
    lr_exponent, modes_per_feature = scaling
    few = min(COARSE, nodes)

    def curve(theta, y, nodes):
        x = theta[0]
        n, spectrum, algorithm = jnp.exp(x), problem, optimizer
        if modes_per_feature is not None:
            tail = dataclasses.replace(problem.tail, num_modes=modes_per_feature * n)
            spectrum = dataclasses.replace(problem, tail=tail)
        if hasattr(optimizer, "lr"):
            lr = jnp.exp(theta[1]) if tune_lr else optimizer.lr * n**lr_exponent
            algorithm = dataclasses.replace(optimizer, lr=lr)
        return evaluate(spectrum, n, num_samples, algorithm, jnp.exp(y - x)[None], False, standard, nodes)

    def log_risk(theta, y, nodes=few):
        return jnp.log(curve(theta, y, nodes).risk[0])

    def look(theta, y):
        found = curve(theta, y, few)
        return jnp.where(jnp.isfinite(found.residual), jnp.log(found.risk[0]), jnp.inf)

    slope = jax.grad(log_risk)

    def at(x, y):  # theta at one size
        if not tune_lr:
            return x[None]
        edge = curve(jnp.stack([x, -30.0]), y, few).spectral_edge
        high = jnp.log(LR_MOST * optimizer.largest_stable_lr(edge))
        low = high - LR_DECADES * np.log(10.0)
        low, high = _halve(lambda u: slope(jnp.stack([x, u]), y)[1], low, high, LR_HALVINGS)
        return jnp.stack([x, 0.5 * (low + high)])

    def one(y):
        sizes = jnp.linspace(least[0], y - least[1], LOOK)
        best = jnp.argmin(lax.map(lambda x: look(at(x, y), y), sizes))
        low, high = sizes[jnp.maximum(best - 1, 0)], sizes[jnp.minimum(best + 1, LOOK - 1)]
        low, high = _halve(lambda x: slope(at(x, y), y)[0], low, high, HALVINGS)
        theta = at(0.5 * (low + high), y)

        def derivatives(both):
            function = lambda both: log_risk(both[:-1], both[-1], nodes)  # noqa: E731
            value, gradient = jax.value_and_grad(function)(both)
            return gradient, (value, gradient)

        def newton(_, carry):
            theta, *_ = carry
            both = jnp.append(theta, y)
            hessian, (value, gradient) = jax.jacfwd(derivatives, has_aux=True)(both)
            step = jnp.linalg.solve(hessian[:-1, :-1], gradient[:-1])
            # no further than the bracket is wide: the minimum is inside
            step = jnp.clip(step, low - high, high - low)
            return theta - step, theta, value, gradient, hessian

        d = len(theta) + 1
        start = theta, theta, jnp.zeros(()), jnp.zeros(d), jnp.zeros((d, d))
        _, theta, value, gradient, hessian = lax.fori_loop(0, NEWTON_STEPS, newton, start)
        inner = hessian[:-1, :-1]
        moves = -jnp.linalg.solve(inner, hessian[:-1, -1])
        steepest = jnp.max(jnp.abs(gradient[:-1]))
        return theta, value, moves, gradient[-1], steepest, jnp.linalg.eigvalsh(inner)[0]

    return lax.map(one, log_compute)


def _halve(slope, low, high, times: int) -> tuple[Array, Array]:
    """Halve the bracket of a minimum."""

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        falling = slope(middle) < 0
        return jnp.where(falling, middle, low), jnp.where(falling, high, middle)

    return lax.fori_loop(0, times, halve, (low, high))
