"""`scatter`: how far the risk of one draw lies from the mean; `seeds_needed`: how many draws a mean takes."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.optimizers import SGD, Batched, Optimizer, Ridge
from rfm.precision import is_traced
from rfm.problem import Problem
from rfm.pytrees import pytree
from theory._correction import corrected
from theory.cases import Case, check_case, curve_times, is_finite
from theory.evaluation import filter_of, in_reach, model_of, pair_nodes, solve
from theory.fixed_point import Model, kappa_real
from theory.next_order_curves import resolved
from theory.one_pass_scatter import LARGEST, one_pass_covariance
from theory.scatter_sums import (
    Side,
    risk_covariance,
    risk_variance,
    side_at,
    sides_in_time,
    training_covariance_at,
    training_covariance_in_time,
)

SHORTEST = 1e-30  # stands for a time of zero, where nothing scatters
MOST_PAIRS = 100  # times up to which all covariances are worked out unasked


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
    ensemble: int = 1,
    bags: int = 1,
) -> Scatter:
    """Predict the standard deviation of risk and training loss between draws, in closed form, at finite N, P and t.

        Cov(risk(t), risk(t')) = sum over nodes of c_a c_b c_i c_j d_J d_J' <m_ai m_bj + m_aj m_bi>

    with the Gaussian fluctuations of `theory.two_replicas` that rows and features, shared by two replicas, make.

    It is the leading order, good to O(1/min(N, P)): at N = 64 to 2 or 3 %. Where std is above 0.3 of the mean, draws
    are far from Gaussian and quantiles over simulated draws say more. The training loss of more features than rows
    falls to zero, and its scatter relative to it is then not small.

    For one-pass SGD it is the scatter between feature draws of the risk averaged over the samples seen, as `rfm.exact`
    has it: that of the samples comes on top. The mean is then the leading order. See `theory.one_pass_scatter`.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N, any number >= 1 or jnp.inf.
        num_samples: Data P, likewise; jnp.inf for SGD.
        optimizer: A full-batch algorithm, or SGD of one lr, batch size and momentum.
        times: (T,); None for Ridge.
        parametrization: "ntk" or "standard".
        pairs: Work out covariances between all times; None: of up to 100 times.
        ensemble: 1. The risk of an averaged model is not an average of risks, and its scatter is not std over a root.
        bags: 1, likewise.

    Returns:
        A `Scatter` of numpy arrays.

    Raises:
        ValueError: For arguments inside a JAX transformation, for pairs that is not a boolean, for averages of models,
            for SGD so near the edge of stability that the response to a draw is not linear, and as `correction` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.5, b=1.25, num_modes=300, noise_var=0.1)
        >>> found = theory.scatter(problem, num_features=30, num_samples=60, optimizer=rfm.Ridge(1e-9))
        >>> found.std.round(4), found.std_rows.round(4)
        (array([0.3071]), array([0.0822]))
    """
    if pairs not in (None, True, False):
        checks.fail("pairs", "True, False or None", pairs)
    for name, count in (("ensemble", ensemble), ("bags", bags)):
        if is_traced(count) or count != 1:
            checks.fail(name, "1: the scatter of averaged models is not known, nor a part of that of one", count)
    case = Case(problem, num_features, num_samples, optimizer, times, parametrization)
    if is_traced(case):
        checks.fail("times", "known numbers, as all others: scatter does not go through transformations", times)
    _check_outputs(problem)
    if isinstance(optimizer, Batched):
        return _of_features(case, pairs=pairs)
    curve = corrected(case)
    every = _asked(pairs, len(curve.risk))
    with np.errstate(all="ignore"):
        arrays = in_reach(case.arrays())
        model = model_of(arrays)
        sides = _replicas(arrays, model)
        total, of_rows = risk_covariance(sides, model, pairs=every), risk_variance(sides, model, by_rows=True)
        peak = np.isinf(curve.risk)
        total[peak] = total[:, peak] = np.inf
        variance = np.maximum(np.diag(total), 0.0)
        train = _training_covariance(arrays, model)
    features = np.maximum(variance - of_rows, 0.0)
    train_variance = np.maximum(np.diag(train), 0.0)
    std, std_rows, std_features, train_std = (np.sqrt(x) for x in (variance, of_rows, features, train_variance))
    return Scatter(
        curve_times(times), curve.risk, std, std_rows, std_features, total if every else None,
        curve.train_loss, train_std, train if every else None,
    )  # fmt: skip


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
    _check_outputs(problem)
    risk = corrected(case).risk
    with np.errstate(all="ignore"):
        arrays = in_reach(case.arrays())
        model = model_of(arrays)
        variance = np.where(np.isinf(risk), np.inf, risk_variance(_replicas(arrays, model), model))
    return max(1, math.ceil(float(np.max(variance / (relative_error * risk) ** 2))))


def _replicas(case: Case, model: Model) -> list[Side]:
    """Return indexes of times and the replica of their nodes, window by window, or one for a ridge."""
    if isinstance(case.optimizer, Ridge):
        kappa, _ = kappa_real(case.optimizer.ridge, model)
        return [side_at(resolved(kappa, model), model)]
    return sides_in_time(model, case.times, *filter_of(case.optimizer))


def _training_covariance(case: Case, model: Model) -> np.ndarray:
    """Return the covariance of the training loss between times, (T, T)."""
    if isinstance(case.optimizer, Ridge):
        return training_covariance_at(model, case.optimizer.ridge)
    return training_covariance_in_time(model, case.times, *filter_of(case.optimizer))


def _of_features(case: Case, *, pairs: bool | None) -> Scatter:
    """Return the scatter of one-pass SGD between feature draws, see `scatter`."""
    check_case(case)
    optimizer = case.optimizer
    if not (isinstance(optimizer, SGD) and optimizer.constant):
        allowed = "one of full batches, or SGD of one lr, batch size and momentum: the scatter of others is not known"
        checks.fail("optimizer", allowed, optimizer)
    if is_finite(case.num_samples):
        allowed = "jnp.inf for SGD: the scatter of batches from a training set is not known"
        checks.fail("num_samples", allowed, case.num_samples)
    curve, arrays = solve(case), in_reach(case.arrays())
    assert isinstance(arrays.optimizer, SGD)
    numbers = arrays.optimizer.lr, arrays.optimizer.batch_size, arrays.optimizer.momentum
    found = one_pass_covariance(model_of(arrays), arrays.times, *map(float, numbers), nodes=pair_nodes(arrays))
    if not found.growth <= LARGEST:
        allowed = (
            f"smaller: near the edge of stability the noise of batches grows by other factors from draw to draw, by "
            f"{found.growth:.2g} of its distance to divergence ({LARGEST} is allowed), and the scatter is not known"
        )
        checks.fail("lr", allowed, optimizer.lr)
    std = np.sqrt(np.maximum(np.diag(found.covariance), 0.0))
    matrix = found.covariance if _asked(pairs, len(std)) else None
    of_risk = curve.risk, std, np.zeros_like(std), std, matrix
    return Scatter(curve_times(case.times), *of_risk, curve.train_loss, std, matrix)


def _check_outputs(problem: Problem) -> None:
    """Refuse several outputs, each of which has fluctuations of its own: powers that are summed do not tell them."""
    if isinstance(problem, Problem) and problem.num_outputs > 1:
        checks.fail("problem", "one of a single output (problem.output(0)) where scatter is asked for", problem)


def _asked(pairs: bool | None, count: int) -> bool:
    return count <= MOST_PAIRS if pairs is None else bool(pairs)
