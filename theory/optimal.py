"""The compute-optimal frontier: the model size that makes the best of C = N t (N t B for SGD), by the theory itself."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.optimizers import SGD, GradientDescent, GradientFlow
from rfm.precision import is_traced
from rfm.problem import HEAD, Problem
from theory._predict import largest_curvature, predict
from theory.cases import Case, check_case, check_constant
from theory.dynamics import MOST_NODES
from theory.equal_compute import Family, finer
from theory.evaluation import most_nodes
from theory.minima import Expansion, expand, run, smooth_search
from theory.scheduled import Frontier, Schedule, Search, scheduled_frontier

LOOK = 32  # sizes that find the basins of minima
COARSE_NODES = 64  # contour nodes until the minimum is found to a few percent; good to 1e-5
NEWTON_STEPS = 4  # from there with all nodes, each squares the error
CLOSE = 1e-4  # a step that leaves 1e-8
ROUNDING = 1e-9  # of log risk
FEWEST_NODES = 16
SHORTEST = 1e-3  # training of gradient flow at the largest model, in units of 1/largest curvature: it gains no more
FLAT = 1e-6  # slope of log risk in log N at a minimum that is solved for


class _Optimum(NamedTuple):
    """The best member of a family: theta, risk, d theta/dy, d log risk/dy, and its numerical state; or arrays of all.

    residual: the largest slope in theta; bend: the least curvature.
    """

    theta: Any
    risk: Any
    moves: Any
    slope: Any
    residual: Any
    bend: Any
    at_edge: Any


def frontier(
    problem: Problem,
    compute: ArrayLike,
    *,
    num_samples: float = np.inf,
    optimizer: GradientFlow | GradientDescent | SGD,
    parametrization: str = "ntk",
    tune_lr: bool = False,
    schedule: Schedule | None = None,
    lr_exponent: float = 0.0,
    modes_per_feature: float | None = None,
    nodes: int | None = None,
) -> Frontier:
    """Find the model size that makes the best of every budget C = N t, or N t B for SGD with batch B.

        N*(C) = argmin_N risk(N, t = C/N)

    A coarse look at all sizes, from N = 1 to where training is one step or a thousandth of 1/`largest_curvature`, finds
    the basins, then d log risk/d log N = 0 is solved by Newton steps on derivatives of the theory; the exponents are
    derivatives at the optimum, not fits. Stopping early needs nothing more: at equal compute a wider model is a shorter
    run, and where risk_exponent >= 0, training longer at that size still helps.

    Args:
        problem: Spectrum, target and noise.
        compute: (C,) positive budgets.
        num_samples: Data P; jnp.inf for SGD.
        optimizer: Gradient flow, gradient descent or SGD.
        parametrization: "ntk" or "standard".
        tune_lr: For SGD, minimise over the learning rate too, up to the largest stable one.
        schedule: For SGD, a function of a peak, which optimizer.lr is, and of the number of steps: its learning rate as
            a function of the step, or an array of one value a step. Every length of training has one of its own; steps
            are whole, and exponents good to 1e-3, or 1e-2 where the peak is tuned. Without `lr_exponent` and
            `modes_per_feature`.
        lr_exponent: The learning rate is optimizer.lr N^lr_exponent.
        modes_per_feature: The problem has that many modes for every feature; with b < 1 the trace diverges with the
            modes, and Paquette et al. 2024 let M and 1/lr grow with N.
        nodes: Nodes of the contour, fewer are faster: 64 leave errors below 1e-5 of the risk and 1e-4 in exponents.

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
    if schedule is not None:
        if lr_exponent != 0.0 or modes_per_feature is not None:
            checks.fail("schedule", "None where lr or modes change with the size", schedule)
        search = Search(optimizer, schedule, tune_lr, num_samples, parametrization)
        return scheduled_frontier(problem, compute, search)
    case = Case(problem, None, num_samples, optimizer, None, parametrization)
    family = Family(case, lr_exponent, modes_per_feature, tune_lr)
    budgets = _check(family, compute)
    if modes_per_feature is not None:
        modes_per_feature = float(modes_per_feature)
    family = dataclasses.replace(family, lr_exponent=float(lr_exponent), modes_per_feature=modes_per_feature)
    nodes = most_nodes(optimizer) if nodes is None else checks.count("nodes", nodes, f"an integer >= {FEWEST_NODES}")
    if not FEWEST_NODES <= nodes <= MOST_NODES:
        checks.fail("nodes", f"an integer from {FEWEST_NODES} to {MOST_NODES}", nodes)
    fewest = 1.0 if modes_per_feature is None else max(1.0, HEAD / modes_per_feature)
    step = 1.0 if optimizer.discrete else SHORTEST / _curvature(family.case)
    cost = float(optimizer.batch_size) if isinstance(optimizer, SGD) else 1.0
    least_compute = 2.0 * fewest * step * cost
    if budgets.min() < least_compute:
        checks.fail("compute", f">= {least_compute:g}, two of the shortest runs of the smallest model", budgets.min())
    if optimizer.discrete and not tune_lr and family.lr_exponent == 0.0 and modes_per_feature is None:
        # refuses what it must; sizes too small for this lr are left out below
        predict(
            problem,
            num_features=budgets.max() / cost,
            num_samples=num_samples,
            optimizer=optimizer,
            times=np.ones(1),
            parametrization=parametrization,
        )
    family = dataclasses.replace(family, case=family.case.arrays())
    with np.errstate(all="ignore"):  # logarithms and differences of what diverges
        optima = [_best(family, (np.log(fewest), y - np.log(step)), y, nodes) for y in np.log(budgets / cost)]
    best = _Optimum(*(np.array(values) for values in zip(*optima, strict=True)))
    lr = getattr(optimizer, "lr", None)
    if not np.all(np.isfinite(best.risk)):
        checks.fail("lr", "smaller: training diverges at every size", lr)
    n = np.exp(best.theta[:, 0])
    if lr is not None:
        lr = np.exp(best.theta[:, 1]) if tune_lr else float(lr) * n**family.lr_exponent
    return Frontier(
        compute=budgets,
        num_features=n,
        times=budgets / cost / n,
        lr=lr,
        risk=best.risk,
        size_exponent=best.moves[:, 0],
        risk_exponent=-best.slope,
        residual=best.residual,
        converged=(best.residual < FLAT) & (best.bend > 0) & ~best.at_edge,
        at_edge=best.at_edge,
    )


def _check(family: Family, compute: ArrayLike) -> np.ndarray:
    """Refuse what `frontier` cannot do, and return the budgets."""
    optimizer, modes_per_feature = family.case.optimizer, family.modes_per_feature
    if not isinstance(optimizer, GradientFlow | GradientDescent | SGD):
        checks.fail("optimizer", "GradientFlow, GradientDescent or SGD", optimizer)
    if is_traced(family, compute):
        checks.fail("compute", "concrete numbers, as all other arguments (the search is no JAX function)", compute)
    check_constant(optimizer, family.case.num_samples)
    if not isinstance(family.tune_lr, bool | np.bool_):
        checks.fail("tune_lr", "True or False", family.tune_lr)
    checks.number("lr_exponent", family.lr_exponent, -np.inf, "a finite number")
    if family.tune_lr and not (isinstance(optimizer, SGD) and family.lr_exponent == 0.0):
        only = "False but for SGD without lr_exponent (gradient descent does best at the edge of stability)"
        checks.fail("tune_lr", only, family.tune_lr)
    if modes_per_feature is not None:
        checks.number("modes_per_feature", modes_per_feature, 1.0, "a finite number >= 1", inclusive=True)
        if family.case.problem.tail is None:
            checks.fail("modes_per_feature", "None for a spectrum without a power-law tail", modes_per_feature)
    budgets = checks.numeric("compute", compute)
    if budgets.ndim != 1 or budgets.size == 0 or not np.all(np.isfinite(budgets) & (budgets > 0)):
        checks.fail("compute", "a non-empty one-dimensional array of positive numbers", budgets)
    return budgets


def _curvature(case: Case) -> float:
    """Return the largest curvature of the largest models, in the "ntk" parametrization."""
    check_case(dataclasses.replace(case, num_features=1.0, times=[1.0]))
    return float(largest_curvature(case.problem, num_features=np.inf, num_samples=case.num_samples))


def _best(family: Family, sizes: tuple[float, float], y: float, nodes: int) -> _Optimum:
    """Find the best member of compute exp(y) between two logarithms of sizes."""
    few = min(COARSE_NODES, nodes)

    def at_sizes(x: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return theta at every log N = x, and whether the last lr is at an edge."""
        if not family.tune_lr:
            return x[:, None], False
        lrs = family.best_lrs(x, y, few)
        return np.stack([x, [lr.x for lr in lrs]], axis=1), not lrs[-1].inside

    def risks(logs: np.ndarray) -> np.ndarray:
        return family.risks(with_y(at_sizes(logs)[0]), few)

    def logs_of(rows: np.ndarray) -> np.ndarray:
        return np.log(family.risks(rows, nodes))

    def with_y(thetas: np.ndarray) -> np.ndarray:
        return np.insert(thetas, thetas.shape[1], y, axis=1)

    lowest = run(smooth_search(np.linspace(*sizes, LOOK), finer), risks)
    (start,), lr_at_edge = at_sizes(np.array([lowest.x]))
    theta, at_edge = start, lr_at_edge or not lowest.inside
    highest = np.inf  # log risk that steps must not end above
    for _ in range(0 if at_edge else NEWTON_STEPS):
        here = expand(lambda thetas: logs_of(with_y(thetas)), theta)
        highest = min(highest, here.value + ROUNDING)
        moved = _newton_step(here, lowest.high - lowest.low)
        theta = theta - moved
        if np.max(np.abs(moved)) < CLOSE:
            break
    expansion = expand(logs_of, np.append(theta, y))
    if not expansion.value <= highest:  # at a saddle, or beyond stability
        theta = start
        expansion = expand(logs_of, np.append(theta, y))
    inner, gradient = expansion.hessian[:-1, :-1], expansion.gradient
    moves, bend = np.full(len(theta), np.nan), np.nan  # beside an lr that is not stable
    if at_edge:  # the smallest model stays, the shortest training too
        moves = np.full(len(theta), float(2.0 * lowest.x > sum(sizes)))
    elif np.all(np.isfinite(expansion.hessian)):
        moves, bend = -np.linalg.lstsq(inner, expansion.hessian[:-1, -1])[0], np.linalg.eigvalsh(inner)[0]
    steepest = np.max(np.abs(gradient[:-1]))
    slope = gradient[-1] + (gradient[:-1] @ moves if at_edge and moves.any() else 0.0)  # inside, no slope in theta
    return _Optimum(theta, np.exp(expansion.value), moves, slope, steepest, bend, at_edge)


def _newton_step(expansion: Expansion, width: float) -> np.ndarray:
    """Return the step to a vanishing slope, no longer than the bracket is wide; none beside an unstable lr."""
    if not np.all(np.isfinite(expansion.hessian)):
        return np.zeros_like(expansion.gradient)
    return np.clip(np.linalg.lstsq(expansion.hessian, expansion.gradient)[0], -width, width)
