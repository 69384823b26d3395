"""`scatter`: how far the risk of one draw lies from the mean; `seeds_needed`: how many draws a mean takes."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.curve import Curve
from rfm.optimizers import Optimizer, Ridge
from rfm.precision import is_traced
from rfm.problem import Problem
from rfm.pytrees import pytree
from theory._correction import check_next_order, corrected
from theory.cases import Case, curve_times
from theory.contour import length
from theory.dynamics import Around, nodes_around
from theory.evaluation import filter_of, in_reach, model_of
from theory.filters import FILTERS, Filter
from theory.fixed_point import Model, degrees_of_freedom, kappa_path, kappa_real, spectral_edge
from theory.next_order_curves import resolved
from theory.two_replicas import Replica, covariance, replica, training_covariance

STEP = 0.27  # of the contour of one time: an error of exp(-4.2/step), 2e-7
NEARER = 6.0  # its vertex lies at NEARER/t, where r_t = exp(NEARER) and fewer nodes reach around the spectrum
SMALL = 1e-7  # nodes with a smaller share of the largest weight are left out
CIRCLE, RADIUS = 24, 0.5  # points on half a circle around a ridge, and its radius, in units of the ridge
SMALLEST_RIDGE = 1e-10  # of the largest eigenvalue: what stands for none
MOST_PAIRS = 16  # times up to which all covariances are worked out unasked


@pytree
class Scatter:
    """Mean and scatter of the risk over draws of features, rows and label noise.

    Attributes:
        times: (T,).
        mean: Mean risk with its next order, (T,).
        std: Standard deviation of the risk of one draw, (T,); that of a mean over S draws is std/sqrt(S).
        std_rows: Of the part that follows the rows: standard deviation over rows of the average over features.
        std_features: Of the rest: std^2 = std_rows^2 + std_features^2.
        covariance: Of the risk between times, (T, T); None where it was not asked for.
        train_mean: Mean training loss with its next order, (T,).
        train_std: Standard deviation of the training loss, (T,).

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.5, b=1.25, num_modes=300, noise_var=0.1)
        >>> args = dict(num_features=30, num_samples=60, optimizer=rfm.GradientFlow(), times=[0.3, 30.0])
        >>> theory.scatter(problem, **args).std.round(4)
        array([0.1506, 0.1392])
    """

    times: Any
    mean: Any
    std: Any
    std_rows: Any
    std_features: Any
    covariance: Any
    train_mean: Any
    train_std: Any


def scatter(
    problem: Problem,
    *,
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    parametrization: str = "ntk",
    pairs: bool | None = None,
) -> Scatter:
    """Predict the standard deviation of risk and training loss between draws, in closed form, at finite N, P and t.

        Cov(risk(t), risk(t')) = sum over nodes of c_a c_b c_i c_j d_J d_J' <m_ai m_bj + m_aj m_bi>

    with the Gaussian fluctuations of `theory.two_replicas` that rows and features, shared by two replicas, make.

    It is the leading order, good to O(1/min(N, P)): at N = 64 to 2 or 3 %. Where std is above 0.3 of the mean, draws
    are far from Gaussian and quantiles over simulated draws say more. The training loss of more features than rows
    falls to zero, and its scatter relative to it is then not small.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N, any number >= 1 or jnp.inf.
        num_samples: Data P, likewise.
        optimizer: A full-batch algorithm.
        times: (T,); None for Ridge.
        parametrization: "ntk" or "standard".
        pairs: Work out covariances between all times, T^2/2 of them, each as long as one time; None: up to 16 times.

    Returns:
        A `Scatter` of numpy arrays.

    Raises:
        ValueError: For arguments inside a JAX transformation, for pairs that is no boolean, and as `correction` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.5, b=1.25, num_modes=300, noise_var=0.1)
        >>> found = theory.scatter(problem, num_features=30, num_samples=60, optimizer=rfm.Ridge(1e-9))
        >>> found.std.round(4), found.std_rows.round(4)
        (array([0.3071]), array([0.0822]))
    """
    if pairs not in (None, True, False):
        checks.fail("pairs", "True, False or None", pairs)
    case = Case(problem, num_features, num_samples, optimizer, times, parametrization)
    if is_traced(case):
        checks.fail("times", "known numbers, as all others: scatter does not go through transformations", times)
    curve = corrected(case)
    with np.errstate(all="ignore"):
        arrays = in_reach(case.arrays())
        model = model_of(arrays)
        sides = replicas(arrays, model)
        total, rows = _variances(sides, model, curve)
        count = len(sides)
        matrix = None
        if pairs or (pairs is None and count <= MOST_PAIRS):
            matrix = np.diag(total)
            for i, j in zip(*np.triu_indices(count, 1), strict=True):
                matrix[i, j] = matrix[j, i] = covariance(sides[i], sides[j], model).total
        train = np.maximum(training_variances(arrays, model), 0.0)
    features = np.maximum(total - rows, 0.0)
    return Scatter(
        curve_times(times), curve.risk, np.sqrt(total), np.sqrt(rows), np.sqrt(features), matrix, curve.train_loss,
        np.sqrt(train),
    )  # fmt: skip


def _variances(sides: list[Replica], model: Model, curve: Curve) -> np.ndarray:
    """Return variances of the risk, and their part over rows, (2, T)."""
    own = [covariance(side, side, model) for side in sides]
    total, rows = (np.maximum([getattr(x, part) for x in own], 0.0) for part in ("total", "rows"))
    return np.stack([np.where(np.isinf(curve.risk), np.inf, total), rows])  # infinite at the interpolation peak


def seeds_needed(
    problem: Problem,
    *,
    relative_error: float,
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    parametrization: str = "ntk",
) -> int:
    """Count the draws whose mean risk has at most a relative standard error, at every time.

        seeds = (std/(relative_error mean))^2

    Args:
        problem: Spectrum, target and noise.
        relative_error: Standard error of the mean over the mean, > 0.
        num_features: Model size N.
        num_samples: Data P.
        optimizer: A full-batch algorithm.
        times: (T,); None for Ridge.
        parametrization: "ntk" or "standard".

    Returns:
        The number of draws, at least 1.

    Raises:
        ValueError: For a relative error that is not positive, and as `scatter` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.5, b=1.25, num_modes=300, noise_var=0.1)
        >>> args = dict(num_features=30, num_samples=60, optimizer=rfm.GradientFlow(), times=[0.3, 30.0])
        >>> theory.seeds_needed(problem, relative_error=0.01, **args)
        251
    """
    checks.number("relative_error", relative_error, 0.0, "a finite number > 0")
    case = Case(problem, num_features, num_samples, optimizer, times, parametrization)
    if is_traced(case):
        checks.fail("times", "known numbers, as all others: seeds are counted outside of transformations", times)
    curve = corrected(case)
    with np.errstate(all="ignore"):
        arrays = in_reach(case.arrays())
        model = model_of(arrays)
        total, _ = _variances(replicas(arrays, model), model, curve)
    return max(1, math.ceil(float(np.max(total / (relative_error * curve.risk) ** 2))))


def scatter_near(
    problem: Problem,
    *,
    num_features: ArrayLike,
    num_samples: ArrayLike,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    parametrization: str = "ntk",
) -> np.ndarray:
    """Predict about the standard deviation of the risk: a ridge of 1/t in place of training up to t.

    It is right where training has ended and within a fifth or so before, at a fiftieth of the price of `scatter`: good
    for weights, not for tests.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N.
        num_samples: Data P.
        optimizer: A full-batch algorithm.
        times: (T,); None for Ridge.
        parametrization: "ntk" or "standard".

    Returns:
        The standard deviation of one draw, (T,).

    Raises:
        ValueError: As `correction` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.5, b=1.25, num_modes=300, noise_var=0.1)
        >>> args = dict(num_features=30, num_samples=60, optimizer=rfm.GradientFlow(), times=[0.3, 1e6])
        >>> bool(abs(theory.scatter_near(problem, **args) / theory.scatter(problem, **args).std - 1.0).max() < 0.2)
        True
    """
    case = Case(problem, num_features, num_samples, optimizer, times, parametrization)
    check_next_order(case)
    arrays = in_reach(case.arrays())
    model = model_of(arrays)
    if isinstance(arrays.optimizer, Ridge):
        ridges = np.reshape(arrays.optimizer.ridge, 1)
    else:
        algorithm, parameters = filter_of(arrays.optimizer)
        flt = FILTERS[algorithm](**parameters)
        ridges = flt.curvature(
            1.0 / np.array([float(np.reshape(flt.elapsed(np.reshape(t, 1)), ())) for t in arrays.times])
        )
    kappa, _ = kappa_real(ridges, model)
    sides = [replica(np.ones(1), np.reshape(x, 1), model) for x in kappa]
    return np.sqrt([covariance(side, side, model).total for side in sides])


def replicas(case: Case, model: Model) -> list[Replica]:
    """Return one replica a time, or one for a ridge."""
    if isinstance(case.optimizer, Ridge):
        kappa, _ = kappa_real(case.optimizer.ridge, model)
        kappa = resolved(kappa, model)
        return [replica(np.ones(1), np.reshape(kappa, 1), model)]
    algorithm, parameters = filter_of(case.optimizer)
    return [replica(*nodes(model, t, algorithm, parameters), model) for t in case.times]


def nodes(model: Model, time: np.ndarray, algorithm: str, parameters: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and kappa (n,) of a contour for one time, in conjugate halves."""
    flt = FILTERS[algorithm](**parameters)
    around = _nodes_around(model, flt, np.reshape(flt.elapsed(np.reshape(time, 1)), ()) / NEARER)
    weights = (flt.response(around.z[None], np.reshape(time, (1, 1))) * around.weights[None])[0]
    kept = np.abs(weights) > SMALL * np.abs(weights).max()
    return tuple(np.concatenate([x[kept], x[kept].conj()]) for x in (weights, around.kappa))  # type: ignore[return-value]


def _nodes_around(model: Model, flt: Filter, horizon: np.ndarray) -> Around:
    """Return so many nodes of a contour that its step is STEP."""
    return nodes_around(model, flt, horizon, math.ceil(length(horizon, flt.stability(spectral_edge(model))) / STEP))


def training_variances(case: Case, model: Model) -> np.ndarray:
    """Return the variance of the training loss at every time, (T,)."""
    if isinstance(case.optimizer, Ridge):
        weights, kappa = _around_ridge(case.optimizer.ridge, model)
    else:
        algorithm, parameters = filter_of(case.optimizer)
        flt = FILTERS[algorithm](**parameters)
        around = _nodes_around(model, flt, flt.elapsed(case.times.max()))
        r = flt.response(around.z[None], case.times[:, None])
        weights, kappa = r**2 * (around.weights * around.exact_data(model))[None], around.kappa
    weights, kappa = (np.concatenate([x, x.conj()], axis=-1) for x in (weights, kappa))
    return np.einsum("ta,ai,ti->t", weights, training_covariance(kappa, model), weights, optimize=True).real


def _around_ridge(ridge: np.ndarray, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (1, n) and kappa (n,) on half a circle around a ridge s: train = -s^2 d/ds (phi/s), by Cauchy."""
    s = max(float(ridge), SMALLEST_RIDGE * float(model.modes.eigenvalues.max()))
    turn = np.exp(1j * np.pi * (np.arange(CIRCLE) + 0.5) / CIRCLE)
    path = s * (1.0 + RADIUS * np.concatenate([[1.0], turn]))
    found = kappa_path(path, model)
    kappa, data = found.kappa[1:], found.data[1:]
    df1, _ = degrees_of_freedom(kappa, model.modes)
    other = 1.0 / (kappa * (1.0 - df1 * model.inv_n))
    over_s = np.where(model.inv_p > model.inv_n, other, data / path[1:])  # R1/s, the unit of phi/s
    return (-s / (2.0 * CIRCLE * RADIUS) * over_s / turn)[None], kappa
