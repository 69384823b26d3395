"""Models trained on fresh data by several algorithms, beside theory, for rows on schedules and on SGD."""

from collections.abc import Mapping

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import Comparison
from rfm.arguments import Arguments
from rfm.optimizers import Optimizer

TAME = 0.5  # of the best rates are trained with: some draws do not bear more


def trained(
    problem: rfm.Problem, size: int, optimizers: Mapping[str, Optimizer], steps: int, keys: jax.Array
) -> list[Comparison]:
    """Train models of a size with each algorithm, from the same draws."""
    times, runs = rfm.log_times(1, steps, 12, integer=True), []
    for name, optimizer in optimizers.items():
        args = Arguments(num_features=size, num_samples=np.inf, optimizer=optimizer, times=times)
        risks = rfm.simulate(problem, **args, keys=keys).risk
        runs.append(Comparison("time", times, risks, theory.predict(problem, **args).risk, {"N": size}, name))
    return runs


def tamed(rates: Mapping[str, np.ndarray]) -> dict[str, rfm.SGD]:
    """Return SGD on single samples with TAME of some rates (steps,)."""
    return {name: rfm.SGD(TAME * lr, 1) for name, lr in rates.items()}
