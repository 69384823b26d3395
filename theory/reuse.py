"""Samples that are used again: what that is worth in fresh ones, and how often a compute budget should use them."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.precision import is_traced
from rfm.problem import Problem
from rfm.sgd import SGD
from theory._predict import predict
from theory.equal_compute import budgets_of
from theory.minima import least

MOST_FRESH = 1.5  # times the steps of all epochs
LOOK, FINER = 16, 7  # lengths of training that find the basins of minima, and of a look into one
LONGEST = 20_000  # steps of a budget that are looked at


class EpochsWorth(NamedTuple):
    """Worth of samples that are used again.

    Attributes:
        epochs: (E,) how often all samples are used.
        risk: (E,) the risk then.
        fresh: (E,) fresh samples after which one pass has the same risk, in units of num_samples; infinite where it
            comes down to it at no time looked at.

    Example:
        >>> EpochsWorth(np.array([1, 4]), np.array([0.3, 0.2]), np.array([1.0, 3.4])).fresh.tolist()
        [1.0, 3.4]
    """

    epochs: np.ndarray
    risk: np.ndarray
    fresh: np.ndarray


def epochs_worth(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: SGD,
    epochs: ArrayLike,
    parametrization: str = "ntk",
) -> EpochsWorth:
    """Find how many fresh samples are worth as much as using the same ones again.

    risk(E P/B steps on P samples) = risk(one pass over fresh(E) P samples), at the same batches and learning rate.
    Question and first answers: Muennighoff et al. 2023 (arXiv 2305.16264); one pass against epochs in linear models:
    arXiv 2511.13421.

    Args:
        problem: Spectrum, target and noise.
        num_features: Model size N.
        num_samples: Samples P that are used again.
        optimizer: `rfm.SGD` with constant numbers; its `order` says how epochs go.
        epochs: (E,) whole numbers >= 1, rising.
        parametrization: "ntk" or "standard".

    Returns:
        An `EpochsWorth`.

    Raises:
        ValueError: For numbers that change, infinite samples, and as `predict` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.6, b=1.3, num_modes=200)
        >>> args = dict(num_features=100, num_samples=64, optimizer=rfm.SGD(0.1, 4))
        >>> theory.epochs_worth(problem, **args, epochs=[1, 2, 4]).fresh.round(1)
        array([0.9, 1.7, 3. ])
    """
    _check(optimizer, num_samples)
    often = checks.numeric("epochs", epochs)
    rising = often.ndim == 1 and often.size and np.all(np.diff(often) > 0) and np.all(np.isfinite(often))
    if not rising or often[0] < 1.0 or np.any(often != np.round(often)):
        checks.fail("epochs", "whole numbers >= 1 in rising order", epochs)
    args: dict[str, Any] = dict(num_features=num_features, parametrization=parametrization)
    an_epoch = float(num_samples) / float(optimizer.batch_size)
    steps = np.maximum(np.round(often * an_epoch), 1.0)
    again = predict(problem, **args, num_samples=num_samples, optimizer=optimizer, times=steps)
    passed = np.arange(0.0, math.ceil(MOST_FRESH * steps[-1]) + 1.0)
    once = SGD(optimizer.lr, optimizer.batch_size, optimizer.momentum)
    fresh = predict(problem, **args, num_samples=np.inf, optimizer=once, times=passed).risk
    reached = [first_below(passed, fresh, risk) for risk in np.asarray(again.risk)]
    return EpochsWorth(often, again.risk, np.array(reached) / an_epoch)


def _check(optimizer: SGD, num_samples: float) -> None:
    """Refuse anything but known constant numbers and a training set."""
    if not isinstance(optimizer, SGD) or is_traced(optimizer) or not optimizer.constant:
        checks.fail("optimizer", "rfm.SGD with constant numbers and no average", optimizer)
    checks.number("num_samples", num_samples, 1.0, "a finite number >= 1", inclusive=True)


def first_below(times: np.ndarray, risk: np.ndarray, value: float) -> float:
    """Return when a curve (T,) first comes down to a value, between two of its times; infinity where it does not."""
    below = np.flatnonzero(risk <= value)
    if not below.size or below[0] == 0:
        return 0.0 if below.size else math.inf
    i = below[0]
    share = math.log(risk[i - 1] / value) / math.log(risk[i - 1] / risk[i])
    return float(times[i - 1] + share * (times[i] - times[i - 1]))


class BestEpochs(NamedTuple):
    """The best use of every budget where no more samples are there.

    Attributes:
        compute: (C,) budgets N steps B; all that follow are (C,) too.
        num_features: The best model size, a real number.
        steps: Of training, whole numbers.
        epochs: How often all samples are used then, steps B/P.
        risk: The risk then.
        at_edge: Whether the best is the smallest model, a single step or the longest training looked at.

    Example:
        >>> one = np.ones(1)
        >>> BestEpochs(1e4 * one, 50 * one, 50 * one, 3.1 * one, 0.4 * one, one < 0).epochs
        array([3.1])
    """

    compute: np.ndarray
    num_features: np.ndarray
    steps: np.ndarray
    epochs: np.ndarray
    risk: np.ndarray
    at_edge: np.ndarray


def best_epochs(
    problem: Problem,
    compute: ArrayLike,
    *,
    num_samples: float,
    optimizer: SGD,
    parametrization: str = "ntk",
) -> BestEpochs:
    """Find how often a compute budget should use P samples: a small model many times, or a large one a few times.

        steps*(C) = argmin over whole steps of risk(N = C/(steps B), P, steps)

    A coarse look at all lengths of training finds the basins, finer ones their bottom. Beside `frontier`, which has
    fresh samples at every step: Muennighoff et al. 2023 (arXiv 2305.16264) ask the same of language models.

    Args:
        problem: Spectrum, target and noise.
        compute: (C,) budgets C = N steps B.
        num_samples: Samples P that are used again.
        optimizer: `rfm.SGD` with constant numbers; its `order` says how epochs go.
        parametrization: "ntk" or "standard".

    Returns:
        A `BestEpochs`.

    Raises:
        ValueError: For numbers that change, infinite samples, budgets below that of two steps of the smallest model,
            a learning rate beyond stability at all sizes, and as `predict` does.

    Example:
        >>> import rfm, theory
        >>> problem = rfm.power_law(a=1.6, b=1.3, num_modes=200, noise_var=0.1)
        >>> best = theory.best_epochs(problem, [1e3, 1e4], num_samples=64, optimizer=rfm.SGD(0.1, 4))
        >>> best.steps, (best.num_features * best.steps * 4).round(6), bool(best.epochs[1] > best.epochs[0])
        (array([19., 61.]), array([ 1000., 10000.]), True)
    """
    _check(optimizer, num_samples)
    size = float(optimizer.batch_size)
    budgets = budgets_of(compute, size)
    args: dict[str, Any] = dict(num_samples=num_samples, optimizer=optimizer, parametrization=parametrization)
    predict(problem, **args, num_features=budgets.max() / size, times=[1.0])  # refuses what it must
    bests = [_best(problem, budget / size, args) for budget in budgets]
    steps, risk, at_edge = (np.array(x) for x in zip(*bests, strict=True))
    return BestEpochs(budgets, budgets / size / steps, steps, steps * size / float(num_samples), risk, at_edge)


def _best(problem: Problem, budget: float, args: dict[str, Any]) -> tuple[float, float, bool]:
    """Return steps, risk, and whether they are at an end of what is looked at, of a budget N steps."""
    known: dict[float, float] = {}

    def risk(steps: float) -> float:
        if steps not in known:
            try:
                curve = predict(problem, **args, num_features=budget / steps, times=[steps])
                known[steps] = float(curve.risk[0])
            except checks.ArgumentError as error:
                if error.name != "lr":
                    raise
                known[steps] = math.inf  # too fast for a model of this size
        return known[steps]

    def risks(logs: np.ndarray) -> np.ndarray:
        return np.array([risk(float(steps)) for steps in np.round(np.exp(logs))])

    last = math.log(min(budget, LONGEST))
    lowest = least(risks, np.linspace(0.0, last, LOOK), lambda low, high: np.linspace(low, high, FINER))
    steps = min(known, key=lambda steps: known[steps])
    if math.isinf(known[steps]):
        checks.fail("lr", "smaller: training diverges at every size", args["optimizer"].lr)
    return steps, known[steps], not lowest.inside
