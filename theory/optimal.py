"""The compute-optimal frontier: the model size that makes the best of C = N t (N t B for SGD), by the theory itself."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import ArrayLike

from rfm import checks
from rfm.optimizers import SGD, GradientDescent, GradientFlow
from rfm.precision import complex128, is_traced
from rfm.problem import HEAD, Problem
from rfm.pytrees import pytree, static
from theory._predict import predict
from theory.cases import Case
from theory.dynamics import LearningCurve
from theory.evaluation import evaluate, most_nodes
from theory.roots import Bracket, bisect

LOOK = 16  # sizes that find the basin of the minimum
COARSE_NODES = 64  # contour nodes until it is found; good to 1e-5
BASIN_HALVINGS, BASIN_NEWTON_STEPS = 6, 5  # within the basin: to a few percent, then quadratically
LR_HALVINGS, LR_DECADES, LR_MOST = 8, 4, 0.99  # where the lr is sought too: below the largest stable one
SHORTEST_TRAINING = 1e-2  # training time of gradient flow at the largest model considered


@pytree
class _Family:
    """Models of equal compute, y = log(N t): theta = (log N, and log lr where it is tuned) picks one.

    The sizes and times of `case` are not set; the learning rate is that of its optimizer times N^lr_exponent.
    """

    case: Case
    lr_exponent: Any
    modes_per_feature: Any
    tune_lr: bool = static()

    def curve(self, theta: Array, y: Array, nodes: int) -> LearningCurve:
        """The risk of one model at its only time."""
        problem, optimizer, n = self.case.problem, self.case.optimizer, jnp.exp(theta[0])
        if self.modes_per_feature is not None and problem.tail is not None:
            tail = dataclasses.replace(problem.tail, num_modes=self.modes_per_feature * n)
            problem = dataclasses.replace(problem, tail=tail)
        if isinstance(optimizer, GradientDescent | SGD):
            lr = jnp.exp(theta[1]) if self.tune_lr else optimizer.lr * n**self.lr_exponent
            optimizer = dataclasses.replace(optimizer, lr=lr)
        times = jnp.exp(y - theta[0])[None]
        case = dataclasses.replace(self.case, problem=problem, num_features=n, optimizer=optimizer, times=times)
        return evaluate(case, nodes=nodes)

    def log_risk(self, theta: Array, y: Array, nodes: int) -> Array:
        """Its logarithm, differentiable."""
        return jnp.log(self.curve(theta, y, nodes).risk[0])

    def largest_lr(self, x: Array, y: Array, nodes: int) -> Array:
        """The largest stable learning rate of SGD at log N = x."""
        edge = self.curve(jnp.stack([x, jnp.full_like(x, -30.0)]), y, nodes).spectral_edge
        assert isinstance(self.case.optimizer, SGD)
        return self.case.optimizer.largest_stable_lr(edge)


class _Optimum(NamedTuple):
    """The best member of a family: theta, log risk, d theta/dy, d log risk/dy, and its numerical state.

    residual: the largest slope in theta; bend: the least curvature.
    """

    theta: Array
    log_risk: Array
    moves: Array
    slope: Array
    residual: Array
    bend: Array


class Frontier(NamedTuple):
    """The best use of every budget.

    Attributes:
        compute: (C,) budgets, N t, or N t B for SGD; all that follow are (C,) too.
        num_features: The best model size N*, a real number.
        times: The training time that is left for it.
        lr: The learning rate there, None for gradient flow.
        risk: The risk there.
        size_exponent: d log N*/d log C.
        risk_exponent: -d log risk*/d log C.
        residual: The largest slope of log risk in log N, and in log lr where it is tuned, which vanish inside.
        converged: Whether residual is below 1e-6 and the optimum is a minimum.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100)
        >>> best = theory.frontier(problem, [100.0, 1000.0], optimizer=rfm.GradientFlow())
        >>> (best.num_features * best.times).round(6)
        array([ 100., 1000.])
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
    compute: ArrayLike,
    *,
    num_samples: float = np.inf,
    optimizer: GradientFlow | GradientDescent | SGD,
    parametrization: str = "ntk",
    tune_lr: bool = False,
    lr_exponent: float = 0.0,
    modes_per_feature: float | None = None,
    nodes: int | None = None,
) -> Frontier:
    """Find the model size that makes the best of every budget C = N t, or N t B for SGD with batch B.

        N*(C) = argmin_N risk(N, t = C/N)

    A coarse look at all sizes finds the basin, then d log risk/d log N = 0 is solved by Newton steps on derivatives of
    the theory; the exponents are derivatives at the optimum, not fits. Stopping early needs nothing more: at equal
    compute a wider model is a shorter run, and where risk_exponent >= 0, training longer at that size still helps.

    Args:
        problem: Spectrum, target and noise.
        compute: (C,) positive budgets.
        num_samples: Data P; jnp.inf for SGD.
        optimizer: Gradient flow, gradient descent or SGD.
        parametrization: "ntk" or "standard".
        tune_lr: For SGD, minimise over the learning rate too, up to the largest stable one.
        lr_exponent: The learning rate is optimizer.lr N^lr_exponent.
        modes_per_feature: The problem has that many modes for every feature; with b < 1 the trace diverges with the
            modes, and Paquette et al. 2024 let M and 1/lr grow with N.
        nodes: Nodes of the contour, fewer are faster: 64 leave 1e-5 of the risk, and exponents to 1e-4.

    Returns:
        A `Frontier`.

    Raises:
        ValueError: For compute that is not positive or below what one step of the smallest model costs, for any
            algorithm but gradient flow, gradient descent and SGD, for a schedule, for a spectrum without a tail where
            modes_per_feature is given, and as `predict` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100)
        >>> best = theory.frontier(problem, [100.0, 1000.0], optimizer=rfm.GradientFlow())
        >>> best.num_features.round(2), best.size_exponent.round(3)
        (array([18.76, 46.66]), array([0.418, 0.372]))
    """
    case = Case(problem, None, num_samples, optimizer, None, parametrization)
    family = _Family(case, lr_exponent, modes_per_feature, tune_lr)
    budgets = _check(family, compute)
    fewest = 1.0 if modes_per_feature is None else max(1.0, HEAD / modes_per_feature)
    step = 1.0 if optimizer.discrete else SHORTEST_TRAINING
    cost = float(optimizer.batch_size) if isinstance(optimizer, SGD) else 1.0
    least = 2.0 * fewest * step * cost
    if budgets.min() < least:
        checks.fail("compute", f">= {least:g}, two of the shortest runs of the smallest model", budgets.min())
    if not tune_lr and lr_exponent == 0.0 and modes_per_feature is None:
        # refuses what it must; sizes too small for this lr are left out below
        largest = budgets.max() / cost / step
        predict(
            problem,
            num_features=largest,
            num_samples=num_samples,
            optimizer=optimizer,
            times=np.ones(1),
            parametrization=parametrization,
        )
    if nodes is None:
        nodes = most_nodes(optimizer)
    with complex128():
        arrays = dataclasses.replace(family, case=case.arrays())
        arguments = (arrays, np.log([fewest, step]), jnp.log(budgets / cost))
        arguments = jax.tree.map(lambda x: jnp.asarray(x, float), arguments)
        family, least, log_compute = arguments
        # one budget at a time: the program is the same however many there are
        each = [jax.tree.map(np.asarray, _solve(family, least, y, nodes=nodes)) for y in log_compute]
        best = jax.tree.map(lambda *values: np.stack(values), *each)
    lr = getattr(optimizer, "lr", None)
    if not np.all(np.isfinite(best.log_risk)):
        checks.fail("lr", "smaller: training diverges at every size", lr)
    n = np.exp(best.theta[:, 0])
    if lr is not None:
        lr = np.exp(best.theta[:, 1]) if tune_lr else float(lr) * n**lr_exponent
    return Frontier(
        compute=budgets,
        num_features=n,
        times=budgets / cost / n,
        lr=lr,
        risk=np.exp(best.log_risk),
        size_exponent=best.moves[:, 0],
        risk_exponent=-best.slope,
        residual=best.residual,
        converged=(best.residual < 1e-6) & (best.bend > 0),
    )


def _check(family: _Family, compute: ArrayLike) -> np.ndarray:
    """Refuse what `frontier` cannot do, and return the budgets."""
    optimizer, modes_per_feature = family.case.optimizer, family.modes_per_feature
    if not isinstance(optimizer, GradientFlow | GradientDescent | SGD):
        checks.fail("optimizer", "GradientFlow, GradientDescent or SGD", optimizer)
    if is_traced(family, compute):
        checks.fail("compute", "concrete numbers (the frontier runs its own jit and vmap)", compute)
    if callable(getattr(optimizer, "lr", None)):
        checks.fail("lr", "a number (every size has a length of training of its own)", getattr(optimizer, "lr", None))
    if family.tune_lr and not (isinstance(optimizer, SGD) and family.lr_exponent == 0.0):
        only = "False but for SGD without lr_exponent (gradient descent does best at the edge of stability)"
        checks.fail("tune_lr", only, family.tune_lr)
    if modes_per_feature is not None:
        checks.number("modes_per_feature", modes_per_feature, 1.0, "a finite number >= 1", inclusive=True)
        if family.case.problem.tail is None:
            checks.fail("modes_per_feature", "None for a spectrum without a power-law tail", modes_per_feature)
    budgets = np.asarray(compute, np.float64)
    if budgets.ndim != 1 or budgets.size == 0 or not np.all(np.isfinite(budgets) & (budgets > 0)):
        checks.fail("compute", "a non-empty one-dimensional array of positive numbers", budgets)
    return budgets


@partial(jax.jit, static_argnames="nodes")
def _solve(family: _Family, least: Array, y: Array, *, nodes: int) -> _Optimum:
    """Find the best member of compute exp(y); least: logarithms of the least size and training time."""
    few = min(COARSE_NODES, nodes)
    log_fewest, log_shortest = least
    slope = jax.grad(family.log_risk)

    def look(theta: Array) -> Array:
        curve = family.curve(theta, y, few)
        return jnp.where(jnp.isfinite(curve.residual), jnp.log(curve.risk[0]), jnp.inf)

    def at_size(x: Array) -> Array:  # theta at log N = x
        if not family.tune_lr:
            return x[None]
        high = jnp.log(LR_MOST * family.largest_lr(x, y, few))
        bracket = Bracket(high - LR_DECADES * np.log(10.0), high)
        return jnp.stack([x, bisect(lambda u: slope(jnp.stack([x, u]), y, few)[1] < 0, bracket, LR_HALVINGS).middle])

    sizes = jnp.linspace(log_fewest, y - log_shortest, LOOK)
    best = jnp.argmin(lax.map(lambda x: look(at_size(x)), sizes))
    basin = Bracket(sizes[jnp.maximum(best - 1, 0)], sizes[jnp.minimum(best + 1, LOOK - 1)])
    basin = bisect(lambda x: slope(at_size(x), y, few)[0] < 0, basin, BASIN_HALVINGS)
    return _newton(lambda both: family.log_risk(both[:-1], both[-1], nodes), at_size(basin.middle), y, basin)


def _newton(log_risk: Callable[[Array], Array], theta: Array, y: Array, basin: Bracket) -> _Optimum:
    """Solve for a vanishing slope of log_risk, a function of theta and y in one array, from a theta nearby."""

    def derivatives(both: Array) -> tuple[Array, tuple[Array, Array]]:
        value, gradient = jax.value_and_grad(log_risk)(both)
        return gradient, (value, gradient)

    def step(index: int, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        theta, *_ = carry
        hessian, (value, gradient) = jax.jacfwd(derivatives, has_aux=True)(jnp.append(theta, y))
        move = jnp.linalg.solve(hessian[:-1, :-1], gradient[:-1])
        # no further than the bracket is wide: the minimum is inside
        move = jnp.clip(move, basin.low - basin.high, basin.high - basin.low)
        return theta - move, theta, value, gradient, hessian

    d = len(theta) + 1
    start = theta, theta, jnp.zeros(()), jnp.zeros(d), jnp.zeros((d, d))
    _, theta, value, gradient, hessian = lax.fori_loop(0, BASIN_NEWTON_STEPS, step, start)
    inner = hessian[:-1, :-1]
    moves = -jnp.linalg.solve(inner, hessian[:-1, -1])
    steepest = jnp.max(jnp.abs(gradient[:-1]))
    return _Optimum(theta, value, moves, gradient[-1], steepest, jnp.linalg.eigvalsh(inner)[0])
