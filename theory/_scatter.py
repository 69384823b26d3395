"""`scatter`: how far the risk of one draw lies from the mean; `seeds_needed`: how many draws a mean takes."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.optimizers import Optimizer, Ridge
from rfm.precision import is_traced
from rfm.problem import Problem
from rfm.pytrees import pytree
from theory._correction import check_next_order, corrected
from theory.cases import Case, curve_times
from theory.contour import length
from theory.dynamics import nodes_around
from theory.evaluation import filter_of, in_reach, model_of
from theory.filters import FILTERS
from theory.fixed_point import Model, degrees_of_freedom, kappa_path, kappa_real, spectral_edge
from theory.next_order_curves import resolved
from theory.shared_nodes import STEP, windows
from theory.two_replicas import Replica, covariance, replica, training_covariance

CIRCLE, RADIUS = 24, 0.5  # points on half a circle around a ridge, and its radius, in units of the ridge
SMALLEST_RIDGE = 1e-10  # of the largest eigenvalue: what stands for none
MOST_PAIRS = 100  # times up to which all covariances are worked out unasked
Side = tuple[np.ndarray, Replica]  # indexes of times, and the nodes for them


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
        train_covariance: Of the training loss between times, (T, T); None where covariance is.

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
    train_covariance: Any


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
        pairs: Work out covariances between all times; None: of up to 100 times.

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
    every = len(curve.risk) <= MOST_PAIRS if pairs is None else pairs
    with np.errstate(all="ignore"):
        arrays = in_reach(case.arrays())
        model = model_of(arrays)
        sides = _replicas(arrays, model)
        total, of_rows = _covariance(sides, model, pairs=bool(every)), _variance(sides, model, by_rows=True)
        peak = np.isinf(curve.risk)
        total[peak] = total[:, peak] = np.inf
        variance = np.maximum(np.diag(total), 0.0)
        train = _training_covariance(arrays, model)
    features = np.maximum(variance - of_rows, 0.0)
    std, std_rows, std_features, train_std = (
        np.sqrt(x) for x in (variance, of_rows, features, np.maximum(np.diag(train), 0.0))
    )
    return Scatter(
        curve_times(times), curve.risk, std, std_rows, std_features, total if every else None,
        curve.train_loss, train_std, train if every else None,
    )  # fmt: skip


def _covariance(sides: list[Side], model: Model, *, pairs: bool) -> np.ndarray:
    """Return covariances of the risk (T, T): all, or those of near times alone."""
    count = sum(len(index) for index, _ in sides)
    matrix = np.zeros((count, count))
    for i, (here, first) in enumerate(sides):
        for there, second in sides[i:] if pairs else [(here, first)]:
            block = covariance(first, second, model)
            matrix[here[:, None], there] = block
            matrix[there[:, None], here] = block.T
    return matrix


def _variance(sides: list[Side], model: Model, *, by_rows: bool = False) -> np.ndarray:
    """Return variances of the risk (T,), or their part over rows."""
    each = np.concatenate([np.diag(covariance(side, side, model, by_rows=by_rows)) for _, side in sides])
    return np.maximum(each[np.argsort(np.concatenate([index for index, _ in sides]))], 0.0)


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
    risk = corrected(case).risk
    with np.errstate(all="ignore"):
        arrays = in_reach(case.arrays())
        model = model_of(arrays)
        variance = np.where(np.isinf(risk), np.inf, _variance(_replicas(arrays, model), model))
    return max(1, math.ceil(float(np.max(variance / (relative_error * risk) ** 2))))


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
    sides = [_at_ridge(x, model) for x in kappa]
    return np.sqrt([covariance(side, side, model)[0, 0] for side in sides])


def _replicas(case: Case, model: Model) -> list[Side]:
    """Return indexes of times and the replica of their nodes, window by window, or one for a ridge."""
    if isinstance(case.optimizer, Ridge):
        kappa, _ = kappa_real(case.optimizer.ridge, model)
        return [(np.arange(1), _at_ridge(resolved(kappa, model), model))]
    found = windows(model, case.times, *filter_of(case.optimizer))
    return [(window.which, replica(window.weights, window.kappa, model)) for window in found]


def _at_ridge(kappa: np.ndarray, model: Model) -> Replica:
    return replica(np.ones((1, 1)), np.reshape(kappa, 1), model)


def _training_covariance(case: Case, model: Model) -> np.ndarray:
    """Return the covariance of the training loss between times, (T, T)."""
    if isinstance(case.optimizer, Ridge):
        weights, kappa = _around_ridge(case.optimizer.ridge, model)
    else:
        algorithm, parameters = filter_of(case.optimizer)
        flt = FILTERS[algorithm](**parameters)
        horizon = flt.elapsed(case.times.max())
        nodes = math.ceil(length(horizon, flt.stability(spectral_edge(model))) / STEP)
        around = nodes_around(model, flt, horizon, nodes)
        r = flt.response(around.z[None], case.times[:, None])
        weights, kappa = r**2 * (around.weights * around.exact_data(model))[None], around.kappa
    weights, kappa = (np.concatenate([x, x.conj()], axis=-1) for x in (weights, kappa))
    return (weights @ training_covariance(kappa, model) @ weights.T).real


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
