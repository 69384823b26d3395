"""`modes` and `shifted`: what single modes learn, how it scatters, and the risk on other data than those trained on."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.curve import THEORY, Curve
from rfm.optimizers import SGD, Optimizer, Ridge
from rfm.precision import is_traced, settle
from rfm.problem import Problem
from rfm.pytrees import pytree
from theory._learned import check_edge, eigenvalues_of, target_of
from theory.arrays import Array, by_xla, evaluated, namespace
from theory.cases import Case, arithmetic, check_case, curve_times, feature_noise_of, richness_of
from theory.dynamics import TOLERANCE, LearningCurve
from theory.evaluation import full_batch_curve, in_reach, model_of, pair_nodes
from theory.fixed_point import spectral_edge
from theory.mode_panels import panels_of
from theory.moments import (
    Forms,
    Route,
    forms_of,
    learned_share,
    loops_of,
    own_variances,
    pairs_along,
    variances,
    weighed_variance,
)
from theory.routes import filter_along, is_smooth, route_of, windows_along


@pytree
class ModeCurves:
    """Share of single modes that a model has learned at every time, on average over draws, and how draws scatter.

    Attributes:
        times: (T,).
        modes: (K,) their numbers, 1 for the largest eigenvalue.
        learned: (T, K) share of the mode that is learned: the student's coefficient over that of the target.
        scatter: (T, K) its standard deviation over draws of features, data and noise; infinite without a target.
        risk: (T, K) the mode's part of the risk, lambda_k E (w_k - coefficient)^2 to leading order: over all modes they
            sum to the risk of `predict`, less feature_noise |v|^2 where features have noise.
        converged: Whether residual is below 1e-8.
        residual: Estimated relative error.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 100.0])
        >>> modes = theory.modes(problem, **args)
        >>> bool(abs(modes.risk.sum(1) / theory.predict(problem, **args).risk - 1.0).max() < 1e-9)
        True
    """

    times: Any
    modes: Any
    learned: Any
    scatter: Any
    risk: Any
    converged: Any
    residual: Any


def modes(
    problem: Problem,
    *,
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    modes: ArrayLike | None = None,
    parametrization: str = "ntk",
    feature_noise: ArrayLike = 0.0,
) -> ModeCurves:
    """Predict how much of each mode is learned, how that scatters between draws, and the mode's part of the risk.

        E Delta_k = w_k kappa/(kappa + lambda_k),   Delta = w - F^T v
        Var Delta_k = [kappa^2 (T2 + E t1/P)/(N - df2) + lambda_k E/P]/(kappa + lambda_k)^2

    at a ridge, and at time t the contour integrals of both with the filter of the algorithm. The scatter has beside
    it what a mode does to itself (`moments.own_variances`), which is of the next order in the risk. `theory.learned` is
    the average alone, also for SGD.

    Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), correlation functions of single modes.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N, any number >= 1 or jnp.inf.
        num_samples: Data P, likewise.
        optimizer: A full-batch algorithm.
        times: (T,); None for Ridge.
        modes: (K,) numbers k of modes, 1 for the largest eigenvalue; None for all.
        parametrization: "ntk" or "standard".
        feature_noise: As in `predict`.

    Returns:
        A `ModeCurves`.

    Raises:
        ValueError: For SGD, modes that the problem has not, more than 100,000 of them, and as `predict` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100)
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 100.0])
        >>> few = theory.modes(problem, **args, modes=[1, 10])
        >>> few.learned.round(3), few.scatter.round(3)
        (array([[0.585, 0.028],
               [0.959, 0.403]]), array([[0.185, 0.248],
               [0.122, 0.777]]))
    """
    noise = feature_noise_of(feature_noise)
    case = Case(problem, num_features, num_samples, optimizer, times, parametrization, feature_noise=noise)
    check_full_batch(case)
    eigenvalues, numbers = eigenvalues_of(problem, modes), mode_numbers(problem, modes)
    power = eigenvalues * target_of(problem, numbers) ** 2
    panels = panels_of(eigenvalues, smooth=modes is None and is_smooth(optimizer))
    with arithmetic(case):
        arrays = case.arrays()
        *moments, residual, edge = settle(
            _moments(arrays, panels.eigenvalues * arrays.clock, nodes=pair_nodes(arrays)),
        )
        check_edge(case, arrays, edge)
        share, variance, own = map(panels.values, moments)
    xp = namespace(share, variance)
    # without a target a mode has no share, whose scatter is infinite
    weight, least = xp.where(power > 0, 1.0 / xp.where(power > 0, power, 1.0), 0.0), xp.where(power > 0, 0.0, xp.inf)
    scatter = xp.sqrt(xp.maximum(variance * weight[None] + own, least[None]))
    risk = power[None] * (1.0 - share) ** 2 + variance
    return ModeCurves(curve_times(times), numbers, share, scatter, risk, residual < TOLERANCE, residual)


@evaluated("nodes")
def _moments(case: Case, eigenvalues: Array, *, nodes: int) -> tuple[Array, Array, Array, Array, Array]:
    case = in_reach(case)
    model = model_of(case)
    if isinstance(case.optimizer, Ridge) or by_xla(case):
        route = route_of(case, model, filter_along(case, model, nodes))
        pairs = pairs_along(route, model)
        moments = _along(route, forms_of(pairs, model), loops_of(route, pairs, model), eigenvalues)
        return *moments, route.residual, route.edge
    model, windows = windows_along(case, model, spectral_edge(model))
    moments = np.zeros((3, len(case.times), len(eigenvalues)))
    for times, some in windows.split(len(eigenvalues)):
        pairs = pairs_along(some.route, model)
        forms = some.at_times((forms_of(pairs, model), loops_of(some.route, pairs, model)))
        moments[:, times] = np.stack(_along(some.along(), *forms, eigenvalues))[:, :, 0]
    share, variance, own = moments
    return share, variance, own, windows.route.residual, windows.route.edge


def _along(route: Route, forms: Forms, loops: tuple[Array, Array], eigenvalues: Array) -> tuple[Array, Array, Array]:
    """Return the share, its variance by the forms and what a mode does to itself, along a route."""
    own = own_variances(route, loops, eigenvalues)
    return learned_share(route, eigenvalues), variances(route, forms, eigenvalues), own


def shifted(
    problem: Problem,
    *,
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    test_eigenvalues: ArrayLike | None = None,
    test_target: ArrayLike | None = None,
    parametrization: str = "ntk",
    richness: ArrayLike = 0.0,
    feature_noise: ArrayLike = 0.0,
) -> Curve:
    """Predict the risk on test data of another covariance, or on another target, than those trained on.

        risk(t) = sum_k B_k E (w'_k - coefficient_k)^2 = sum_k B_k {[w'_k - w_k learned_k(t)]^2 + Var_k(t)}

    with B the variances of the modes in the test data and w' the target there; training is that of the problem. Where
    features have noise the rows of the test data have the same, and the risk counts feature_noise |v|^2 beside.

    Source: the moments of `theory.modes`. Covariate shift in random features: Tripuraneni, Adlam and Pennington 2021
    (arXiv 2111.08234); in kernel regression: Canatar, Bordelon and Pehlevan 2021 (arXiv 2106.02261).

    Args:
        problem: Spectrum, target and noise that are trained on, of finitely many modes.
        num_features: Model size N, any number >= 1 or jnp.inf.
        num_samples: Data P, likewise.
        optimizer: A full-batch algorithm.
        times: (T,); None for Ridge.
        test_eigenvalues: (M,) variances >= 0 of the modes in the test data, mode by mode as in `problem.spectrum()` and
            in no order of their own; None for those trained on.
        test_target: (M,) the target of the test data, likewise.
        parametrization: "ntk" or "standard".
        richness: As in `predict`.
        feature_noise: As in `predict`.

    Returns:
        A `Curve` with the shifted risk and the training loss of the run, (T,).

    Raises:
        ValueError: For SGD, a test spectrum or target of another length, and as `predict` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 100.0])
        >>> flat = theory.shifted(problem, **args, test_eigenvalues=problem.eigenvalues[::-1])
        >>> theory.predict(problem, **args).risk.round(3), flat.risk.round(3)
        (array([0.873, 0.481]), array([0.698, 1.944]))
    """
    rich, noise = richness_of(richness), feature_noise_of(feature_noise)
    case = Case(
        problem, num_features, num_samples, optimizer, times, parametrization, richness=rich, feature_noise=noise
    )
    check_full_batch(case)
    eigenvalues = eigenvalues_of(problem, None)
    target = target_of(problem, mode_numbers(problem, None))
    test = {"test_eigenvalues": (test_eigenvalues, eigenvalues), "test_target": (test_target, target)}
    b, aim = (_of_modes(name, value, trained) for name, (value, trained) in test.items())
    if not is_traced(b) and np.any(b < 0):
        checks.fail("test_eigenvalues", ">= 0, the variances of the modes in the test data", float(b.min()))
    with arithmetic(case, b, aim):
        arrays = case.arrays()
        panels = panels_of(eigenvalues, smooth=is_smooth(optimizer))
        apart = aim - target
        test = panels.sums(namespace(b, apart).stack([b * target**2, b * apart * target, b * apart**2, b]))
        risk, curves = settle(_shifted(arrays, panels.eigenvalues * arrays.clock, test, nodes=pair_nodes(arrays)))
        check_edge(case, arrays, curves.spectral_edge)
    more = {"noise_var": problem.noise_var, "kernel_growth": curves.kernel_growth}
    return Curve(curve_times(times), risk, curves.train_loss, curves.converged, curves.residual, THEORY, **more)


@evaluated("nodes")
def _shifted(case: Case, eigenvalues: Array, test: Array, *, nodes: int) -> tuple[Array, LearningCurve]:
    """Return the shifted risk and the curves of a case; test: B times w^2, w (w' - w), (w' - w)^2 and 1, (4, K)."""
    case = in_reach(case)
    model = model_of(case)
    trained = filter_along(case, model, nodes)
    route = route_of(case, model, trained)
    pairs = pairs_along(route, model)
    trained = trained and trained._replace(pairs=pairs)
    curves = full_batch_curve(case, model, nodes=nodes, trained=trained)
    late = 1.0 - learned_share(route, eigenvalues)
    of_average = late**2 @ test[0] + 2.0 * late @ test[1] + test[2].sum()
    weights = test[3] * case.clock  # the variance is that of eigenvalues in units of the clock
    if case.feature_noise is not None:  # |v|^2 is N times the variance of a mode of a flat tail
        xp = namespace(eigenvalues, weights)
        eigenvalues = xp.append(eigenvalues, model.modes.eigenvalues[-1])
        weights = xp.append(weights, case.feature_noise * case.num_features)  # eq. 70
    return of_average + weighed_variance(route, forms_of(pairs, model), eigenvalues, weights), curves  # eq. 49


def _of_modes(name: str, value: ArrayLike | None, trained: np.ndarray) -> Array:
    """Return one number for each mode, (M,), those trained on if none are given."""
    if value is None:
        return trained
    if is_traced(value):
        if np.shape(value) != trained.shape:
            checks.fail(name, f"one number for each mode, of shape {trained.shape}", np.shape(value))
        return value
    numbers = checks.numeric(name, value)
    if numbers.shape != trained.shape:
        checks.fail(name, f"one number for each of the modes trained on, of shape {trained.shape}", numbers.shape)
    if not np.all(np.isfinite(numbers)):
        checks.fail(name, "finite", numbers)
    return numbers


def mode_numbers(problem: Problem, modes: ArrayLike | None) -> np.ndarray:
    """Return the numbers (K,) of checked modes."""
    return np.arange(1.0, problem.num_modes + 1) if modes is None else np.asarray(modes, float)


def check_full_batch(case: Case) -> None:
    """Refuse what `predict` does, and SGD, whose batches scatter the modes in a way of their own."""
    check_case(case)
    if isinstance(case.optimizer, SGD):
        allowed = "a full-batch algorithm (theory.learned gives the average of SGD, and no theory its scatter in modes)"
        checks.fail("optimizer", allowed, case.optimizer)
