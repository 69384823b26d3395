"""`predict`: the simulator's arguments in, the closed form out."""

import dataclasses
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import checks
from rfm.curve import THEORY, Curve
from rfm.optimizers import SGD, Optax, Optimizer, Ridge, check_stability, check_times, resolve
from rfm.precision import complex128, is_traced, settle
from rfm.problem import Problem
from rfm.pytrees import pytree
from theory.contour import NODES, STEP
from theory.dynamics import MOST_NODES, LearningCurve, learning_curve, nodes_needed, smallest_curvature
from theory.equivalent import TwoPoint
from theory.filters import FILTERS, LEAST_FLATNESS
from theory.fixed_point import spectral_edge
from theory.mixture import Mixture
from theory.one_pass import one_pass_curve, one_pass_nodes
from theory.spectrum import Modes, exact_modes, join, power_law_tail
from theory.static import static_risk

MARGIN = 20.0  # modes below exp(-20) of the smallest kappa are lumped: an error of exp(-40)
TRACED_NODES = 1280  # where the momentum is not known in advance


def predict(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    times: Array | None = None,
    parametrization: str = "ntk",
    ensemble: float = 1,
    bags: float = 1,
) -> Curve:
    """Average risk and training loss at finite N, P and t, in closed form: a `Curve` with risk (T,).

    Arguments as in `rfm.simulate`, without keys. Sizes, `ensemble` and `bags` may be any number >= 1 or jnp.inf; the
    number of modes may be infinite. With x64 enabled the call goes through jax.jit, jax.vmap and jax.grad in
    num_features, num_samples, times, noise_var, lr, momentum, ridge, a and b; without it results are numpy float64 all
    the same, and a call inside a transformation is refused.

    The average of K x B models, K feature draws on each of B data sets, has the risk
    risk/(KB) + (1/B)(1 - 1/K) same data + (1/K)(1 - 1/B) same features + (1 - 1/K)(1 - 1/B) independent,
    with the two-point functions of `theory.equivalent`. train_loss is that of one model, as in `simulate`.

    `residual` estimates the error of the worst value, relative to it or to 1e-12 of the loss at t = 0 where a value is
    smaller; `converged` says whether it is below 1e-8.

    Raises ValueError for wrong sizes or times, an algorithm without a theory (naming those that have one), or a
    learning rate beyond stability (named with the largest stable one).
    Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), appendices on the Fourier-space and discrete-time
    response functions, with their misprints corrected; one-pass SGD: Paquette et al. 2024 (arXiv 2405.15074).
    """
    members = check_members(optimizer, ensemble, bags)
    curves = _solve(averaged, problem, num_features, num_samples, optimizer, times, parametrization, members)
    return Curve(as_times(times), curves.risk, curves.train_loss, curves.converged, curves.residual, THEORY)


@pytree
class Decomposition:
    """Where the risk comes from, each (T,): bias + features + data + interaction + noise = risk.

    bias: squared bias, what an average over infinitely many feature draws and data sets keeps. features, data:
    variance over the one, averaged over the other. interaction: variance beyond the sum of these two. noise: everything
    proportional to the label noise; the others are those of clean labels.
    """

    times: Any
    risk: Any
    bias: Any
    features: Any
    data: Any
    interaction: Any
    noise: Any
    converged: Any
    residual: Any


def decompose(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    times: Array | None = None,
    parametrization: str = "ntk",
) -> Decomposition:
    """Bias and variances of the risk at every time: arguments, transformations and errors as in `predict`.

    Full-batch algorithms only. Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), ensembling and bagging.
    """
    if isinstance(optimizer, SGD):
        checks.fail("optimizer", "a full-batch algorithm: no theory splits the noise of SGD's batches", optimizer)
    curves = _solve(evaluate, problem, num_features, num_samples, optimizer, times, parametrization, True)
    p = curves.pieces
    features = p.same_features - p.independent
    data = p.same_data - p.noise_same_data - p.independent
    interaction = p.risk - p.noise - p.independent - features - data
    parts = (p.risk, p.independent, features, data, interaction, p.noise)
    return Decomposition(as_times(times), *parts, curves.converged, curves.residual)


def largest_curvature(
    problem: Problem, *, num_features: float, num_samples: float, parametrization: str = "ntk"
) -> Array:
    """z_max, the upper edge of the limiting spectrum of F^T F Psi^T Psi/P: gradient descent is stable below 2/z_max.

    Arguments and errors as in `predict`.
    """
    _check(problem, num_features, num_samples, parametrization)
    with complex128(problem, num_features, num_samples):
        problem = jax.tree.map(lambda x: jnp.asarray(x, float), dataclasses.replace(problem, population=None))
        return settle(_edge(problem, num_features, num_samples, parametrization == "standard"))


@partial(jax.jit, static_argnums=3)
def _edge(problem: Problem, num_features: Array, num_samples: Array, standard: bool) -> Array:
    modes = problem_modes(problem, MARGIN, num_features if standard else 1.0)
    return spectral_edge(modes, 1.0 / num_features, 1.0 / num_samples)


def _check(problem, num_features, num_samples, parametrization) -> None:
    checks.size("num_features", num_features, integer=False)
    checks.size("num_samples", num_samples, integer=False)
    checks.one_of("parametrization", parametrization, checks.PARAMETRIZATIONS)
    if parametrization == "standard" and not is_traced(num_features) and np.isinf(num_features):
        checks.fail("num_features", "finite in the standard parametrization, whose clock is N t", num_features)


def as_times(times: Array | None) -> Array:
    """Times of a curve: infinity where training has ended."""
    if is_traced(times):
        return times
    return np.array([np.inf]) if times is None else np.asarray(times, np.float64)


def check_members(optimizer: Optimizer, ensemble: float, bags: float) -> tuple | None:
    """What `averaged` wants of an ensemble: None for one model, else the sizes and whose dynamics two members share."""
    for name, value in (("ensemble", ensemble), ("bags", bags)):
        checks.size(name, value, integer=False)
    if not is_traced(ensemble, bags) and ensemble == bags == 1:
        return None
    return ensemble, bags, optimizer.full_batch() if isinstance(optimizer, SGD) else None


def check_arguments(problem, num_features, num_samples, optimizer, times, parametrization) -> None:
    """Refuse what `predict` cannot do."""
    _check(problem, num_features, num_samples, parametrization)
    check_times(optimizer, times)
    if isinstance(optimizer, Optax):
        checks.fail("optimizer", f"one with a theory: {', '.join([*FILTERS, 'SGD', 'Ridge'])}", optimizer)
    if isinstance(optimizer, SGD) and (is_traced(num_samples) or not np.isinf(num_samples)):
        checks.fail("num_samples", "jnp.inf for SGD: theory knows one pass (full batches: HeavyBall)", num_samples)
    if isinstance(optimizer, SGD) and problem.mixture is not None:
        checks.fail("optimizer", "a full-batch algorithm for rows of unequal size", optimizer)


def _solve(function, problem, num_features, num_samples, optimizer, times, parametrization, more) -> LearningCurve:
    """function(problem, N, P, optimizer, times, more, standard, nodes) on checked arguments in float64."""
    check_arguments(problem, num_features, num_samples, optimizer, times, parametrization)
    standard = parametrization == "standard"
    if not (times is None or is_traced(times)):
        times = np.asarray(times, np.float64)
    with complex128(problem, num_features, num_samples, times):
        optimizer = resolve(optimizer, times)
        sizes = dataclasses.replace(problem, population=None), num_features, num_samples
        sizes, algorithm, times = jax.tree.map(lambda x: jnp.asarray(x, float), (sizes, optimizer, times))
        shared = more[2] if isinstance(more, tuple) else None
        nodes = max(_nodes(*sizes, o, times, standard) for o in (algorithm, shared) if o is not None)
        curves = function(*sizes, algorithm, times, more, standard, nodes)
    if not is_traced(curves):
        check_stability(optimizer, np.asarray(curves.spectral_edge), num_features, num_samples)
    return settle(curves)


def _nodes(problem, num_features, num_samples, optimizer, times, standard) -> int:
    """Nodes of the contour: more where momentum leaves a narrow stable region, in steps so that few shapes compile."""
    if not hasattr(optimizer, "momentum"):
        return NODES
    if is_traced(optimizer.momentum):
        return TRACED_NODES
    if is_traced(problem, num_features, num_samples, optimizer, times):
        return most_nodes(optimizer)
    needed = float(_count_nodes(problem, num_features, num_samples, optimizer, times, standard))
    nodes = _in_steps(needed) if math.isfinite(needed) else needed
    if nodes > MOST_NODES:
        checks.fail("momentum", "smaller: at this lr its contour takes too much memory", float(optimizer.momentum))
    return nodes


def most_nodes(optimizer: Optimizer) -> int:
    """Nodes for ten decades of times at any lr, and all that the momentum asks for as far as memory allows."""
    if not hasattr(optimizer, "momentum"):
        return NODES
    turns = math.pi**2 / -math.log(max(float(optimizer.momentum), LEAST_FLATNESS))
    nodes = _in_steps((math.log(1e10) + 6.0 + turns) / STEP)
    return nodes if nodes <= MOST_NODES else _in_steps(MOST_NODES / 2)


def _in_steps(needed: float) -> int:
    return NODES * 2 ** max(0, math.ceil(math.log2(needed / NODES)))


@partial(jax.jit, static_argnums=5)
def _count_nodes(problem, num_features, num_samples, optimizer, times, standard) -> Array:
    if isinstance(optimizer, SGD):
        return one_pass_nodes(times, optimizer.momentum)
    modes, inv_n, inv_p, algorithm = _symbols(problem, num_features, num_samples, optimizer, times, standard)
    return nodes_needed(modes, inv_n, inv_p, times, *algorithm)


def _symbols(problem, num_features, num_samples, optimizer, times, standard):
    """Modes, 1/N, 1/P and the filter with its parameters."""
    # features of variance 1 in place of 1/N multiply every curvature by N
    clock = num_features if standard else 1.0
    inv_n, inv_p = 1.0 / num_features, 1.0 / num_samples
    if isinstance(optimizer, Ridge):
        # kappa lies above the ridge, and above the scale min(N, P)^-b of a power law
        smaller = jnp.minimum(num_features, num_samples)
        b = 0.0 if problem.tail is None else problem.tail.b
        depth = MARGIN + jnp.minimum(b * jnp.log(smaller), -jnp.log(optimizer.ridge / clock))
        return problem_modes(problem, depth, clock), inv_n, inv_p, None
    mean = optimizer.full_batch() if isinstance(optimizer, SGD) else optimizer
    algorithm = type(mean).__name__, vars(mean)
    depth = MARGIN - jnp.log(smallest_curvature(times, *algorithm) / clock)
    return problem_modes(problem, depth, clock), inv_n, inv_p, algorithm


@partial(jax.jit, static_argnums=(6, 7))
def averaged(
    problem: Problem,
    num_features: Array,
    num_samples: Array,
    optimizer: Optimizer,
    times: Array | None,
    members: tuple | None,
    standard: bool,
    nodes: int,
) -> LearningCurve:
    """Curves of the average of some models, unchecked; see `predict`, and `check_members` for the last word."""
    sizes = problem, num_features, num_samples
    curves = evaluate(*sizes, optimizer, times, members is not None, standard, nodes)
    if members is None:
        return curves
    ensemble, bags, full_batch = members
    pieces = curves.pieces
    if full_batch is not None:
        # members see batches of their own, so what two of them share follows full batches of fresh data
        shared = evaluate(*sizes, full_batch, times, True, standard, nodes).pieces
        pieces = shared._replace(risk=curves.risk, same_data=shared.independent)
    inv_k, inv_b = 1.0 / ensemble, 1.0 / bags
    share = inv_k * inv_b
    risk = (
        share * jnp.where(share > 0, pieces.risk, 0.0)  # infinite at the interpolation peak
        + inv_b * (1.0 - inv_k) * pieces.same_data
        + inv_k * (1.0 - inv_b) * pieces.same_features
        + (1.0 - inv_k) * (1.0 - inv_b) * pieces.independent
    )
    return curves._replace(risk=risk, pieces=None)


@partial(jax.jit, static_argnums=(5, 6, 7))
def evaluate(
    problem: Problem,
    num_features: Array,
    num_samples: Array,
    optimizer: Optimizer,
    times: Array | None,
    split: bool,
    standard: bool,
    nodes: int,
) -> LearningCurve:
    """Curves of jax arrays, unchecked, with so many nodes; see `predict`."""
    modes, inv_n, inv_p, algorithm = _symbols(problem, num_features, num_samples, optimizer, times, standard)
    if isinstance(optimizer, SGD):
        return one_pass_curve(modes, problem.noise_var, inv_n, times, **vars(optimizer), nodes=nodes)
    if algorithm is not None:
        return learning_curve(modes, problem.noise_var, inv_n, inv_p, times, *algorithm, nodes, split)
    end = static_risk(modes, problem.noise_var, inv_n, inv_p, optimizer.ridge)
    pieces = TwoPoint(*(value[None] for value in end.pieces))
    return LearningCurve(pieces.risk, end.train_loss[None], pieces, end.residual, end.converged, jnp.zeros(()))


def problem_modes(problem: Problem, depth: Array, clock: Array = 1.0) -> Modes:
    """The weighted nodes that stand for a problem's modes in every sum, eigenvalues times `clock`.

    depth: -log of the smallest kappa, before `clock`, with a margin; see `spectrum.power_law_tail`.
    """
    modes = exact_modes(problem.eigenvalues, problem.target)
    t = problem.tail
    if t is not None:
        first = problem.eigenvalues.shape[0]
        depth = lax.stop_gradient(depth + jnp.log(t.eigenvalue_scale))
        tail = power_law_tail(t.a, t.b, t.eigenvalue_scale, t.power_scale, first, t.num_modes, depth)
        modes = join(modes, tail)
    m = problem.mixture
    mixture = None if m is None else Mixture(m.sizes, m.noise, m.weights)
    return modes._replace(eigenvalues=modes.eigenvalues * clock, mixture=mixture)
