"""`student` and `generations`: models that are trained on the labels of other models."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.curve import THEORY, Curve
from rfm.optimizers import Optimizer, Ridge
from rfm.precision import is_traced, settle
from rfm.problem import Problem
from rfm.pytrees import pytree
from theory._learned import check_edge
from theory._modes import check_full_batch
from theory.arrays import Array, evaluated, namespace
from theory.cases import Case, arithmetic, curve_times, feature_noise_of
from theory.chains_in_time import generations_in_time
from theory.dynamics import TOLERANCE, LearningCurve
from theory.evaluation import depth_of, full_batch_curve, in_reach, model_of, pair_nodes
from theory.fixed_point import Model, spectral_edge
from theory.moments import Route, forms_along, learned_share, variances
from theory.routes import filter_along, route_of, windows_along

MOST_GENERATIONS = 1000
TEACHER = ("num_features", "num_samples", "optimizer", "times", "parametrization", "feature_noise")


def student(
    problem: Problem,
    *,
    teacher: Mapping[str, Any],
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    noise_var: ArrayLike | None = None,
    parametrization: str = "ntk",
    features: str = "independent",
    feature_noise: ArrayLike = 0.0,
) -> Curve:
    """Predict the risk of a model that is trained on the labels of another: distillation, weak to strong.

        risk = risk of the teacher + risk[w^2 -> E u^2] + 2 sum_k lambda_k E[(w_k - u_k) u_k] (1 - learned_k),
        E u_k^2 = w_k^2 learned'_k^2 + Var'_k,   E (w_k - u_k) u_k = w_k^2 learned'_k (1 - learned'_k) - Var'_k

    with u the teacher's function, learned' and Var' its moments (`theory.modes`), and learned the student's. Both have
    features and data of their own; a student that shares the teacher's features is another problem, and refused. Noise
    of the teacher's features is noise on its labels, of variance feature_noise |v|^2.

    Source: the moments of `theory.modes`. Weak-to-strong generalization in this model: arXiv 2603.05691.

    Args:
        problem: Spectrum, target and noise; the teacher is trained on its labels.
        teacher: num_features, num_samples, optimizer and, unless that is Ridge, times = the one time at which its
            training ends; parametrization if it is not "ntk", feature_noise if its features have noise.
        num_features: Model size N of the student.
        num_samples: Data P of the student, labelled by the teacher.
        optimizer: A full-batch algorithm, of the student.
        times: (T,); None for Ridge.
        noise_var: Variance of the noise on the teacher's labels; None for that of the problem, 0 for the teacher's own
            predictions.
        parametrization: "ntk" or "standard", of the student.
        features: "independent" of those of the teacher.
        feature_noise: As in `predict`, of the student.

    Returns:
        A `Curve` with the student's risk on the true target, and its training loss on the teacher's labels.

    Raises:
        ValueError: For a teacher that is not stated in full, shared features, and as `modes` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> weak = dict(num_features=8, num_samples=32, optimizer=rfm.Ridge(0.01))
        >>> strong = dict(num_features=64, num_samples=64, optimizer=rfm.GradientFlow(), times=[1.0, 10.0, 1000.0])
        >>> theory.predict(problem, **weak).risk.round(4), theory.student(problem, teacher=weak, **strong).risk.round(4)
        (array([0.6735]), array([0.9383, 0.5499, 0.6823]))
    """
    if features != "independent":
        checks.fail("features", "'independent': no theory knows a student that shares its teacher's features", features)
    known = _teacher(problem, teacher)
    noise = problem.noise_var if noise_var is None else noise_var
    checks.number("noise_var", noise, 0.0, "a finite variance >= 0, or None for that of the problem", inclusive=True)
    noisy = feature_noise_of(feature_noise)
    case = Case(problem, num_features, num_samples, optimizer, times, parametrization, feature_noise=noisy)
    check_full_batch(case)
    if (known.feature_noise is None) != (noisy is None):  # both have the modes of a flat tail, or none has
        known, case = (
            x if x.feature_noise is not None else dataclasses.replace(x, feature_noise=0.0) for x in (known, case)
        )
    with arithmetic(known, case, noise):
        first, second = known.arrays(), case.arrays()
        noise = namespace(noise).asarray(noise, float)
        nodes = pair_nodes(first), pair_nodes(second)
        curves, worst, edge = settle(_student(first, second, noise, nodes=nodes))
        check_edge(known, first, edge)
        check_edge(case, second, curves.spectral_edge)
    residual = np.maximum(curves.residual, worst) if not is_traced(curves, worst) else curves.residual
    risk, train_loss = curves.risk, curves.train_loss
    return Curve(curve_times(times), risk, train_loss, residual < TOLERANCE, residual, THEORY, noise_var=noise)


def _teacher(problem: Problem, teacher: object) -> Case:
    """Return the case of a teacher at one time; ValueError for one that is not stated."""
    if not isinstance(teacher, Mapping) or not {*TEACHER[:3]} <= set(teacher) <= {*TEACHER}:
        checks.fail("teacher", "a dict of num_features, num_samples, optimizer and times, as `predict` takes", teacher)
    times = teacher.get("times")
    if times is not None and np.size(times) != 1:
        checks.fail("teacher", "trained up to one time, with times of one number", times)
    times = times if times is None or is_traced(times) else np.reshape(np.asarray(times, float), 1)
    n, p, optimizer = (teacher[name] for name in TEACHER[:3])
    noise = feature_noise_of(teacher.get("feature_noise", 0.0))
    case = Case(problem, n, p, optimizer, times, teacher.get("parametrization", "ntk"), feature_noise=noise)
    check_full_batch(case)
    return case


@evaluated("nodes")
def _student(
    teacher: Case, case: Case, noise_var: Array, *, nodes: tuple[int, int]
) -> tuple[LearningCurve, Array, Array]:
    teacher, case = in_reach(teacher), in_reach(case)
    xp = namespace(teacher.num_features, case.num_features)
    depth = xp.maximum(depth_of(teacher), depth_of(case))
    known, model = model_of(teacher, depth), model_of(case, depth)
    route = route_of(teacher, known, filter_along(teacher, known, nodes[0]))
    share, variance = _moments(route if teacher.times is None else route.at(0), known)
    infinite = xp.isinf(variance).any()
    power, variance = known.modes.power, known.modes.multiplicity * xp.where(infinite, 0.0, variance)
    told = power * share**2 + variance  # lambda E u^2, of a flat tail what no student learns: eq. 71
    missed = power * share * (1.0 - share) - variance  # lambda E (w - u) u
    model = model._replace(modes=model.modes._replace(power=told), noise_var=noise_var)
    trained = filter_along(case, model, nodes[1])
    curves = full_batch_curve(case, model, nodes=nodes[1], trained=trained)
    late = 1.0 - learned_share(route_of(case, model, trained), model.modes.eigenvalues)
    risk = xp.sum(power * (1.0 - share) ** 2 + variance) + curves.risk + 2.0 * (late @ missed)  # eq. 50
    # of a teacher at the interpolation peak anything that is learned is infinite
    risk = xp.where(infinite & (True if case.times is None else case.times > 0), xp.inf, xp.maximum(risk, 0.0))
    train_loss = xp.where(infinite & (curves.train_loss > 0), xp.inf, curves.train_loss)
    return curves._replace(risk=risk, train_loss=train_loss), route.residual, route.edge


def _moments(route: Route, model: Model) -> tuple[Array, Array]:
    """Return the share (K,) that is learned of every mode, and lambda x its variance, on a route to one filter."""
    eigenvalues = model.modes.eigenvalues
    return learned_share(route, eigenvalues)[0], variances(route, forms_along(route, model), eigenvalues)[0]


@pytree
class Generations:
    """Models of which each is trained on the labels of the one before.

    Attributes:
        times: (T,) at which every generation ends its training.
        risk: (n, T) risk of every generation on the true target; the first is trained on true labels.
        converged: Whether residual is below 1e-8.
        residual: Estimated relative error.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_features=64, num_samples=64, optimizer=rfm.Ridge(0.01))
        >>> chain = theory.generations(problem, 4, **args)
        >>> chain.risk.shape, bool(abs(chain.risk[0] / theory.predict(problem, **args).risk - 1.0).max() < 1e-10)
        ((4, 1), True)
    """

    times: Any
    risk: Any
    converged: Any
    residual: Any


def generations(
    problem: Problem,
    n: int,
    *,
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    noise_var: ArrayLike | None = None,
    parametrization: str = "ntk",
    feature_noise: ArrayLike = 0.0,
) -> Generations:
    """Predict the risk of n generations of models, each trained on fresh data with the labels of the one before.

        risk = sum_k lambda_k (w_k^2 - 2 w_k u_k + u_k^2),   u_k^2 <- u_k^2 learned_k^2 + Var_k[u],
        w_k u_k <- w_k u_k learned_k

    on average over draws, from u = w. Every generation has features, data and noise of its own.

    Source: the moments of `theory.modes`. Model collapse in linear models: arXiv 2402.07712; in random features: arXiv
    2410.04840.

    Args:
        problem: Spectrum, target and noise; the first generation is trained on its labels.
        n: Number of generations, a whole number >= 1.
        num_features: Model size N of every generation.
        num_samples: Data P of every generation.
        optimizer: A full-batch algorithm.
        times: (T,) at which every generation ends its training; None for Ridge.
        noise_var: Variance of the noise on the labels of generations after the first; None for that of the problem,
            0 for predictions as they are.
        parametrization: "ntk" or "standard".
        feature_noise: As in `predict`, of every generation; on its labels it is noise too.

    Returns:
        A `Generations` with risk (n, T).

    Raises:
        ValueError: For an n that is not a whole number >= 1, a negative noise_var, and as `modes` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_features=64, num_samples=64, optimizer=rfm.Ridge(0.01))
        >>> theory.generations(problem, 3, **args).risk[:, 0].round(4)
        array([0.1576, 0.2356, 0.2942])
    """
    n = checks.count("n", n, f"a whole number from 1 to {MOST_GENERATIONS}")
    if n > MOST_GENERATIONS:
        checks.fail("n", f"a whole number from 1 to {MOST_GENERATIONS}", n)
    noise = problem.noise_var if noise_var is None else noise_var
    checks.number("noise_var", noise, 0.0, "a finite variance >= 0, or None for that of the problem", inclusive=True)
    noisy = feature_noise_of(feature_noise)
    case = Case(problem, num_features, num_samples, optimizer, times, parametrization, feature_noise=noisy)
    check_full_batch(case)
    with arithmetic(case, noise):
        arrays = case.arrays()
        noise = namespace(noise).asarray(noise, float)
        if is_traced(arrays, noise) or isinstance(optimizer, Ridge):
            risk, residual = settle(_generations(arrays, noise, n=n, nodes=pair_nodes(arrays)))
        else:
            risk, residual = _known_generations(case, arrays, noise, n)
    return Generations(curve_times(times), risk, residual < TOLERANCE, residual)


@evaluated("n", "nodes")
def _generations(case: Case, noise_var: Array, *, n: int, nodes: int) -> tuple[Array, Array]:
    case = in_reach(case)
    first = model_of(case)
    xp = namespace(first.modes.power, case.num_features)
    route = route_of(case, first, filter_along(case, first, nodes))
    weight, start = first.modes.multiplicity, first.modes.power
    risks = []
    for i in range(route.coefficients.shape[0]):
        told, overlap, model, risk, infinite = start, start, first, [], False
        for _ in range(n):
            share, variance = _moments(route.at(i), model)
            infinite = infinite | xp.isinf(variance).any()
            told, overlap = told * share**2 + weight * xp.where(infinite, 0.0, variance), overlap * share  # eq. 51
            risk.append(xp.where(infinite, xp.inf, xp.maximum(xp.sum(start - 2.0 * overlap + told), 0.0)))
            model = first._replace(modes=first.modes._replace(power=told), noise_var=noise_var)
        risks.append(xp.stack(risk))
    return xp.stack(risks, axis=1), route.residual


def _known_generations(case: Case, arrays: Case, noise_var: Array, n: int) -> tuple[Array, Array]:
    """Return `_generations` of known numbers, of which every time has few nodes of its own."""
    with np.errstate(all="ignore"):
        arrays = in_reach(arrays)
        model = model_of(arrays)
        edge = spectral_edge(model)
        check_edge(case, arrays, edge)
        model, windows = windows_along(arrays, model, edge)
        risk = np.zeros((n, len(arrays.times)))
        for times, some in windows.split(len(model.modes.eigenvalues)):
            risk[:, times] = generations_in_time(some, model, noise_var, n)
        return risk, windows.route.residual
