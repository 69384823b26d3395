"""`predict`: the simulator's arguments in, the closed form out. The only file of theory that knows rfm."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import checks
from rfm.curve import THEORY, Curve
from rfm.optimizers import Optimizer, Ridge, check_stability, check_times
from rfm.precision import float64, is_traced, settle
from rfm.problem import Problem
from theory.dynamics import LearningCurve, learning_curve, smallest_curvature
from theory.spectrum import Modes, exact_modes, join, power_law_tail
from theory.static import static_risk

MARGIN = 20.0  # modes below exp(-20) of the smallest kappa are lumped: an error of exp(-40)


def predict(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    times: Array | None = None,
    parametrization: str = "ntk",
) -> Curve:
    """Average risk and training loss at finite N, P and t, in closed form: a `Curve` with risk (T,).

    Arguments as in `rfm.simulate`, without keys. Sizes may be any number >= 1 or jnp.inf; the number of modes may
    be infinite. With x64 enabled the call goes through jax.jit, jax.vmap and jax.grad in num_features, num_samples,
    times, noise_var, lr, ridge, a and b; without it results are numpy float64 all the same, and a call
    inside a transformation is refused.

    `residual` estimates the error of the worst value, relative to it or to 1e-12 of the loss at t = 0 where a value is
    smaller; `converged` says whether it is below 1e-8.

    Raises ValueError for wrong sizes or times, or a learning rate beyond stability (named with the largest stable one).
    Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), appendices on the Fourier-space and discrete-time
    response functions, with their misprints corrected.
    """
    curves = decompose(
        problem,
        num_features=num_features,
        num_samples=num_samples,
        optimizer=optimizer,
        times=times,
        parametrization=parametrization,
    )
    if not is_traced(times):
        times = np.array([np.inf]) if times is None else np.asarray(times, np.float64)
    return Curve(times, curves.risk, curves.train_loss, curves.converged, curves.residual, THEORY)


def decompose(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    times: Array | None = None,
    parametrization: str = "ntk",
) -> LearningCurve:
    """As `predict`, with the pieces that make up bias and variance, each (T,).

    same_data: risk of an infinite ensemble over features, one data set. same_features: of an infinite bag over
    data sets, one feature draw. independent: of both, the squared bias.
    """
    checks.size("num_features", num_features, integer=False)
    checks.size("num_samples", num_samples, integer=False)
    checks.one_of("parametrization", parametrization, checks.PARAMETRIZATIONS)
    check_times(optimizer, times)
    standard = parametrization == "standard"
    if standard and not is_traced(num_features) and np.isinf(num_features):
        checks.fail("num_features", "finite in the standard parametrization, whose clock is N t", num_features)
    if not (times is None or is_traced(times)):
        times = np.asarray(times, np.float64)
    arguments = (dataclasses.replace(problem, population=None), num_features, num_samples, optimizer, times)
    with float64(*arguments):
        curves = _evaluate(*jax.tree.map(lambda x: jnp.asarray(x, float), arguments), standard)
    if not is_traced(curves):
        check_stability(optimizer, curves.spectral_edge, num_features, num_samples)
    return settle(curves)


@partial(jax.jit, static_argnums=5)
def _evaluate(
    problem: Problem,
    num_features: Array,
    num_samples: Array,
    optimizer: Optimizer,
    times: Array | None,
    standard: bool,
) -> LearningCurve:
    # features of variance 1 in place of 1/N multiply every curvature by N
    clock = num_features if standard else 1.0
    inv_n, inv_p = 1.0 / num_features, 1.0 / num_samples
    if not isinstance(optimizer, Ridge):
        algorithm = type(optimizer).__name__, vars(optimizer)
        depth = MARGIN - jnp.log(smallest_curvature(times, *algorithm) / clock)
        modes = problem_modes(problem, depth, clock)
        return learning_curve(modes, problem.noise_var, inv_n, inv_p, times, *algorithm)
    # kappa lies above the ridge, and above the scale min(N, P)^-b of a power law
    smaller = jnp.minimum(num_features, num_samples)
    b = 0.0 if problem.tail is None else problem.tail.b
    depth = MARGIN + jnp.minimum(b * jnp.log(smaller), -jnp.log(optimizer.ridge / clock))
    modes = problem_modes(problem, depth, clock)
    end = static_risk(modes, problem.noise_var, inv_n, inv_p, optimizer.ridge)
    pieces = {name: value[None] for name, value in end.pieces._asdict().items()}
    return LearningCurve(
        **pieces,
        train_loss=end.train_loss[None],
        residual=end.residual,
        converged=end.converged,
        spectral_edge=jnp.zeros(()),
    )


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
    return modes._replace(eigenvalues=modes.eigenvalues * clock)
