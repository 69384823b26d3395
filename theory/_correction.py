"""`correction`: the next order of the mean, for the arguments of `predict`."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.curve import THEORY, Curve
from rfm.optimizers import Batched, Optimizer, Ridge, check_stability
from rfm.precision import is_traced, settle
from rfm.problem import Problem
from theory.arrays import Array, evaluated, namespace
from theory.cases import Case, arithmetic, check_case, curve_times
from theory.contour import CONTOUR_STEP
from theory.evaluation import count_nodes, filter_of, in_reach, model_of, most_nodes, solve
from theory.fixed_point import spectral_edge
from theory.next_order_curves import STEP, NextOrder, next_order_at_ridge, next_order_curve

FEWEST_NODES = 32
MOST_NODES = 1000  # 700 n^2 bytes of pairs of nodes
TOLERANCE = 1e-6  # a correction whose estimated relative error is above it is not converged


def correction(
    problem: Problem,
    *,
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    parametrization: str = "ntk",
) -> Curve:
    """Predict what finite N and P add to the leading theory of `predict`: the whole order 1/N, 1/P of the mean.

        mean over draws = leading theory + correction + O(1/min(N, P)^2)

    At N, P around 100 the leading theory is 1 to 5 % off the mean of simulations, the sum a tenth of a percent. It is
    an expansion: where the correction is not small beside the risk, as near N = P late in training, nor is the rest.

    `predict(..., correction=True)` returns the sum. Transformations as in `predict`.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N, any number >= 1 or jnp.inf.
        num_samples: Data P, likewise.
        optimizer: A full-batch algorithm: Ridge, GradientFlow, GradientDescent (also with a schedule), HeavyBall,
            Nesterov.
        times: (T,); None for Ridge.
        parametrization: "ntk" or "standard".

    Returns:
        A `Curve` whose risk and train_loss (T,) are to be added to those of `predict`; either sign. `residual`
        estimates the error of the worst value, relative to the largest.

    Raises:
        ValueError: For SGD, rows of unequal size, and as `predict` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.5, b=1.25, num_modes=300, noise_var=0.1)
        >>> args = dict(num_features=30, num_samples=60, optimizer=rfm.GradientFlow(), times=[3.0, 300.0])
        >>> theory.predict(problem, **args).risk.round(4), theory.correction(problem, **args).risk.round(4)
        (array([1.0079, 1.2169]), array([0.0127, 0.0188]))
    """
    added = next_order(Case(problem, num_features, num_samples, optimizer, times, parametrization))
    converged = added.residual < TOLERANCE
    return Curve(curve_times(times), added.risk, added.train_loss, converged, added.residual, THEORY)


def next_order(case: Case) -> NextOrder:
    """Check a case and return its next order, settled."""
    check_next_order(case)
    with arithmetic(case):
        arrays = case.arrays()
        if not is_traced(arrays):
            edge = np.asarray(largest(arrays))
            check_stability(arrays.optimizer, edge, case.num_features, case.num_samples)
        return settle(_evaluate(arrays, nodes=_nodes(arrays, case.optimizer)))


def check_next_order(case: Case) -> None:
    """Refuse what the next order is not known for."""
    check_case(case)
    if isinstance(case.optimizer, Batched):
        checks.fail("optimizer", "a full-batch algorithm: the next order of SGD is not known", case.optimizer)
    if case.problem.mixture is not None:
        checks.fail("problem", "one with rows of equal size: the next order is not known for others", case.problem)


@evaluated("nodes")
def _evaluate(case: Case, *, nodes: int) -> NextOrder:
    case = in_reach(case)
    model = model_of(case)
    if isinstance(case.optimizer, Ridge):
        return next_order_at_ridge(model, case.optimizer.ridge)
    return next_order_curve(model, case.times, *filter_of(case.optimizer), nodes=nodes)


@evaluated()
def largest(case: Case) -> Array:
    """Return the largest curvature z_max of a case."""
    return spectral_edge(model_of(in_reach(case)))


def corrected(case: Case) -> Curve:
    """Return the curve of `predict` with its next order, which may not turn a loss negative."""
    added, leading = next_order(case), solve(case)
    xp = namespace(added.risk)
    # the error of the correction, relative to the risk it is added to, where it is finite
    share = xp.where(xp.isinf(leading.risk), 0.0, added.risk) / xp.where(leading.risk > 0, leading.risk, xp.inf)
    residual = xp.maximum(leading.residual, added.residual * xp.max(xp.abs(share)))
    risk = xp.maximum(leading.risk + added.risk, 0.0)
    train_loss = xp.maximum(leading.train_loss + added.train_loss, 0.0)
    converged, noise_var = leading.converged & (added.residual < TOLERANCE), case.problem.noise_var
    return Curve(curve_times(case.times), risk, train_loss, converged, residual, THEORY, noise_var=noise_var)


def _nodes(case: Case, optimizer: Optimizer) -> int:
    """Count nodes: a step of STEP where the case is known, else one that does for ten decades of times."""
    if isinstance(optimizer, Ridge):
        return 0
    momentum: Any = getattr(optimizer, "momentum", None)
    if not is_traced(case):
        nodes = max(FEWEST_NODES, math.ceil(float(count_nodes(case)) * CONTOUR_STEP / STEP))
    else:
        nodes = MOST_NODES if is_traced(momentum) else math.ceil(most_nodes(optimizer) * CONTOUR_STEP / STEP)
    nodes += nodes % 2
    if momentum is None:
        return min(nodes, MOST_NODES)  # enough for a hundred decades of times, if with fewer digits
    if nodes > MOST_NODES:
        checks.fail("momentum", "smaller: at this lr the contour of its correction takes too much memory", momentum)
    return nodes
