"""The way that all public functions of the theory go: a checked `Case` in, arrays through the equations, curves out."""

import dataclasses
import math
from typing import Any, NoReturn

import numpy as np

from rfm import checks
from rfm.optimizers import DANA, SGD, Optimizer, Ridge, check_stability, resolve
from rfm.precision import is_traced, settle
from rfm.problem import Problem
from rfm.steps import Schedule
from theory.annulus import LEAST_FLATNESS
from theory.arrays import Array, evaluated, namespace, stop_gradient
from theory.by_steps import curves_by_steps, curves_in_order, is_ordered, smallest_scale, step_nodes, steps_of
from theory.cases import Case, Members, arithmetic, check_case, float_arrays, refuse_members
from theory.contour import CONTOUR_STEP, NODES
from theory.dynamics import (
    MOST_NODES,
    LearningCurve,
    Trained,
    learning_curve,
    nodes_needed,
    smallest_curvature,
)
from theory.equivalent import TwoPoint
from theory.fixed_point import Model
from theory.growth import MOST_GROWTH
from theory.mixture import Mixture
from theory.one_pass import one_pass_curve, one_pass_nodes
from theory.rich_curves import trained_features, trained_in_batches
from theory.spectrum import FEW_SINGLE, Modes, TailLaw, exact_modes, flat_tail, follows, join, power_law_tail
from theory.static import static_risk

MARGIN = 20.0  # modes below exp(-20) of the smallest kappa are lumped: an error of exp(-40)
LATE = 2e12  # times of the fastest mode from which on a contour needs more nodes than NODES
LATEST = 1e150  # later than that nothing happens that float64 resolves
LEAST_NODES = 48  # where steps are followed one by one
COUNTED = 16  # there nodes come in multiples of it
PAIR_STEP = 0.18  # of the contour there: an error of some 1e-12
MOST_PAIRED = 1024  # there n^2 pairs of nodes are followed
MOST_SINGLE = 16_384  # where there are no pairs
PAIR_BYTES = 200  # of all matrices of pairs, for each
MOST_HALVINGS = 24  # of a learning rate
TRACED_NODES = 1280  # where the momentum is not known in advance


def solve(case: Case, members: Members | None = None, *, split: bool = False) -> LearningCurve:
    """Check a case and return its curves, settled; split: with the pieces of the risk of one model."""
    check_case(case)
    refuse_members(case, members)
    with arithmetic(case, members):
        if members is not None and members.shared is not None:
            members = members._replace(shared=resolve(members.shared, case.times))
        arrays, members = case.arrays(), float_arrays(members)
        nodes = pair_nodes(arrays)
        if members is not None and members.shared is not None:
            nodes = max(nodes, pair_nodes(_mean_of(arrays, members.shared)))
            if nodes > MOST_NODES:
                refuse_nodes(arrays, nodes, MOST_NODES)
        curves = averaged(arrays, members, nodes=nodes) if not split else evaluate(arrays, nodes=nodes, split=True)
        if not is_traced(curves):
            edge = np.asarray(curves.spectral_edge)
            sizes = case.num_features, case.num_samples
            check_stability(arrays.optimizer, edge, *sizes, mean_square=not is_ordered(case))
            if isinstance(case.optimizer, DANA) and not np.isfinite(curves.residual):
                checks.fail("momentum_lr", "smaller: the noise of batches grows in its memory", case.optimizer)
    return settle(curves)


@evaluated("nodes")
def averaged(case: Case, members: Members | None, *, nodes: int) -> LearningCurve:
    """Return curves of the average of some models, unchecked; see `theory.predict`."""
    curves = evaluate(case, nodes=nodes, split=members is not None)
    if members is None:
        return curves
    pieces = curves.pieces
    if members.shared is not None:
        # members see batches of their own, so what two of them share follows full batches
        pieces = evaluate(_mean_of(case, members.shared), nodes=nodes, split=True).pieces
        assert pieces is not None
        pieces = pieces._replace(risk=curves.risk)
        if not case.reused:  # nor is any sample of fresh data seen by two
            pieces = pieces._replace(same_data=pieces.independent)
    assert pieces is not None  # a full-batch algorithm was split
    inv_k, inv_b = 1.0 / members.ensemble, 1.0 / members.bags
    share = inv_k * inv_b
    risk = (
        share * namespace(share, pieces.risk).where(share > 0, pieces.risk, 0.0)  # infinite at the interpolation peak
        + inv_b * (1.0 - inv_k) * pieces.same_data
        + inv_k * (1.0 - inv_b) * pieces.same_features
        + (1.0 - inv_k) * (1.0 - inv_b) * pieces.independent
    )  # eq. 6
    return curves._replace(risk=risk, pieces=None)


def _mean_of(case: Case, shared: Optimizer) -> Case:
    """Return the case of the mean over batches, which has a formula for all times."""
    return dataclasses.replace(case, optimizer=shared, steps=0, reused=False, inertia=0.0)


@evaluated("nodes", "split")
def evaluate(case: Case, *, nodes: int = NODES, split: bool = False) -> LearningCurve:
    """Return curves of a case of arrays, unchecked, with so many nodes of the contour; see `theory.predict`."""
    case = in_reach(case)
    # a contour of fewer nodes than usual is for searches, good to 1e-5
    optimizer, model = case.optimizer, model_of(case, coarse=nodes < NODES and not case.steps)
    if case.richness is not None and isinstance(optimizer, SGD):
        return trained_in_batches(case, model)
    if is_ordered(case):
        return curves_in_order(case, model)
    if case.steps:
        return curves_by_steps(case, model, nodes=nodes)
    if isinstance(optimizer, SGD):
        numbers = optimizer.lr, optimizer.batch_size, optimizer.momentum
        return one_pass_curve(model, case.times, *numbers, nodes=nodes)
    return full_batch_curve(case, model, nodes=nodes, split=split)


def full_batch_curve(
    case: Case, model: Model, *, nodes: int, split: bool = False, trained: Trained | None = None
) -> LearningCurve:
    """Return curves of a full-batch algorithm for a model that may have another target than that of the case.

    trained: of `filter_along` for the case, if it is there.
    """
    optimizer = case.optimizer
    if not isinstance(optimizer, Ridge):
        if trained is None and case.richness is not None:
            trained = trained_features(case, model)
        return learning_curve(model, case.times, *filter_of(optimizer), nodes=nodes, split=split, trained=trained)
    end = static_risk(model, optimizer.ridge)
    pieces = TwoPoint(*(value[None] for value in end.pieces))
    return LearningCurve(pieces.risk, end.train_loss[None], pieces, end.residual, end.converged, 0.0 * end.kappa)


def filter_of(optimizer: Optimizer) -> tuple[str, dict[str, Any]]:
    """Name in `FILTERS` and parameters of the filter of an algorithm; for SGD of its mean over batches."""
    mean = optimizer.full_batch() if isinstance(optimizer, SGD) else optimizer
    return type(mean).__name__, vars(mean)


def model_of(case: Case, depth: Array | None = None, *, coarse: bool = False) -> Model:
    """Return the modes that resolve what a case asks for, 1/N, 1/P and the noise.

    depth: of the modes, if another; coarse: see `power_law_tail`.
    """
    modes = problem_modes(case.problem, depth_of(case) if depth is None else depth, case.clock, coarse=coarse)
    if case.feature_noise is not None:
        modes = flat_tail(modes, case.feature_noise * case.num_features)
    return Model(modes, 1.0 / case.num_features, 1.0 / case.num_samples, case.problem.noise_var)


def depth_of(case: Case) -> Array:
    """Return -log of the smallest kappa that a case asks for, with a margin: see `spectrum.power_law_tail`."""
    problem, optimizer = case.problem, case.optimizer
    xp = namespace(case.num_features, case.num_samples)
    if isinstance(optimizer, Ridge):
        # kappa lies above the ridge, and above the scale min(N, P)^-b of a power law
        smaller = xp.minimum(case.num_features, case.num_samples)
        b = 0.0 if problem.tail is None else problem.tail.b
        depth = MARGIN + xp.minimum(b * xp.log(smaller), -xp.log(optimizer.ridge / case.clock))
    elif case.steps:
        depth = MARGIN - xp.log(smallest_scale(steps_of(case)) / case.clock)
    else:
        depth = MARGIN - xp.log(smallest_curvature(case.times, *filter_of(optimizer)) / case.clock)
    if case.richness is not None:
        depth = depth + math.log(MOST_GROWTH)  # a kernel that grows sees smaller curvatures
    return depth


def problem_modes(problem: Problem, depth: Array | float, clock: Array | float = 1.0, *, coarse: bool = False) -> Modes:
    """Return the weighted nodes that stand for a problem's modes in every sum, eigenvalues times `clock`.

    depth: -log of the smallest kappa, before `clock`, with a margin; see `spectrum.power_law_tail`.
    """
    tail, mixture, head = problem.tail, problem.mixture, len(problem.eigenvalues)
    modes = exact_modes(problem.eigenvalues, problem.target)
    if tail is not None:
        law = TailLaw(tail.a, tail.b, tail.eigenvalue_scale, tail.power_scale, tail.num_modes)
        if coarse and follows(law, modes, FEW_SINGLE):
            head = FEW_SINGLE
        resolved = stop_gradient(depth + namespace(law.eigenvalue_scale).log(law.eigenvalue_scale))
        modes = join(Modes(*(x[:head] for x in modes[:3])), power_law_tail(law, head, resolved, coarse=coarse))
    rows = None if mixture is None else Mixture(mixture.sizes, mixture.noise, mixture.weights)
    clock = namespace(clock).asarray(clock)[..., None]
    return modes._replace(eigenvalues=modes.eigenvalues * clock, mixture=rows)


def pair_nodes(case: Case) -> int:
    """Count nodes of the contour: more where momentum leaves a narrow stable region, in steps: few shapes compile."""
    momentum = getattr(case.optimizer, "momentum", None)
    if is_ordered(case):
        return NODES  # of no contour
    if case.steps:
        return nodes_of_steps(case, None if is_traced(case) else float(count_nodes(case)))
    if momentum is None and (isinstance(case.optimizer, Ridge) or is_traced(case) or _latest(case) < LATE):
        return NODES
    if is_traced(momentum):
        return TRACED_NODES
    if is_traced(case):
        return most_nodes(case.optimizer)
    needed = float(count_nodes(in_reach(case)))
    most = MOST_SINGLE if isinstance(case.optimizer, SGD) else MOST_NODES
    if not needed <= most:
        refuse_nodes(case, needed, most)
    return min(_in_steps(needed), most)


def refuse_nodes(case: Case, needed: float, most: int) -> NoReturn:
    """Refuse the momentum of a contour that asks for too many nodes; say how much smaller lr makes them few enough."""
    optimizer, cure = case.optimizer, "smaller"
    for slower in (0.5**k for k in range(1, MOST_HALVINGS)):
        smaller = dataclasses.replace(optimizer, lr=optimizer.lr * slower)  # type: ignore[attr-defined]
        if float(count_nodes(in_reach(dataclasses.replace(case, optimizer=smaller)))) <= most:
            cure = f"smaller, or lr {slower:.3g} times as large"
            break
    size = f"{needed:,.0f} nodes" if math.isfinite(needed) else "more nodes than float64 can tell apart"
    if most != MOST_SINGLE and math.isfinite(needed):
        size += f", whose pairs take {PAIR_BYTES * needed**2 / 1e9:.2g} GB"
    reason = f"here a contour around all directions that oscillate asks for {size}; the most are {most:,}"
    checks.fail("momentum", f"{cure} ({reason})", np.max(optimizer.momentum))  # type: ignore[attr-defined]


def _fastest(case: Case) -> Array:
    """Return the rate at which the first mode is learned, per unit of time."""
    lr = getattr(case.optimizer, "lr", 1.0)
    lr = 1.0 if lr is None else lr.values.max() if isinstance(lr, Schedule) else lr
    lr = lr * getattr(case.optimizer, "damping", 1.0) ** -getattr(case.optimizer, "power", 0.0)
    return lr / (1.0 - getattr(case.optimizer, "momentum", 0.0)) * case.problem.eigenvalues[0] * case.clock


def _latest(case: Case) -> float:
    """Return the last time in units of the fastest mode."""
    with np.errstate(over="ignore"):
        return float(case.times.max() * _fastest(case))


def in_reach(case: Case) -> Case:
    """Return the case with times that a contour can reach: later ones have the same curve."""
    if isinstance(case.optimizer, Ridge) or case.steps:
        return case
    times, latest = case.times, LATEST / _fastest(case)
    return dataclasses.replace(case, times=namespace(times, latest).minimum(times, latest))


def most_nodes(optimizer: Optimizer) -> int:
    """Count nodes for ten decades of times at any lr: all that the momentum asks for, as far as memory allows."""
    momentum = getattr(optimizer, "momentum", None)
    if momentum is None:
        return NODES
    nodes = _in_steps(_length(1e10, float(momentum)) / CONTOUR_STEP)
    return nodes if nodes <= MOST_NODES else _in_steps(MOST_NODES / 2)


def _spacing(case: Case) -> float:
    """Return how close nodes are where steps are followed one by one: less so where pairs of them are."""
    return PAIR_STEP if case.reused else CONTOUR_STEP


def _length(steps: float, momentum: float) -> float:
    """Bound the length of the contour for so many steps at any lr."""
    turns = math.pi**2 / -math.log(max(momentum, LEAST_FLATNESS))
    return math.log(steps) + 6.0 + turns


def _in_steps(needed: float) -> int:
    return NODES * 2 ** max(0, math.ceil(math.log2(needed / NODES)))


def nodes_of_steps(case: Case, needed: float | None = None) -> int:
    """Count nodes where steps are followed one by one, rounded up so that few shapes compile; needed: if known."""
    if case.inertia == 1.0 and needed is None:
        return TRACED_NODES
    needed = _length(case.steps, case.inertia) / _spacing(case) if needed is None else needed
    most = MOST_PAIRED if case.reused else MOST_SINGLE
    nodes = COUNTED * math.ceil(needed / COUNTED) if math.isfinite(needed) else NODES if math.isnan(needed) else needed
    if nodes > most and isinstance(case.optimizer, DANA):
        checks.fail("forgetting", "larger, or fewer steps: the contour takes too much memory", case.optimizer)
    if nodes > most:
        refuse_nodes(case, needed, most)
    return max(int(nodes), LEAST_NODES)


@evaluated()
def count_nodes(case: Case) -> Array:
    if case.steps:
        return step_nodes(model_of(case), steps_of(case), _spacing(case))
    if isinstance(case.optimizer, SGD):
        return one_pass_nodes(case.times, case.optimizer.momentum)
    return nodes_needed(model_of(case), case.times, *filter_of(case.optimizer))
