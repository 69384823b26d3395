"""One draw solved exactly, with no random steps: by eigensystem, or by the second moments of one-pass SGD."""

import math
from collections.abc import Callable

from jax import Array

from rfm import checks
from rfm.curve import EXACT, Curve
from rfm.devices import RUNS
from rfm.engine.batches import Batch, Solution, each
from rfm.engine.driver import run
from rfm.engine.features import Setting
from rfm.engine.one_pass import expect_one_pass
from rfm.optimizers import SGD, Optimizer
from rfm.problem import Problem


def exact(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    times: Array | None = None,
    keys: Array,
    parametrization: str = "ntk",
    features: str = "gaussian",
    ensemble: int = 1,
    bags: int = 1,
    split: str = RUNS,
    progress: bool = False,
) -> Curve:
    """Solve the draws that `simulate` would train on: same arguments, same draws, same `Curve`.

    v(t) = g_t(H) Phi^T y / P with H = Phi^T Phi / P and g_t(z) = (1 - r_t(z))/z the response of the optimizer,
    H diagonalised in the smaller of its two dimensions. One-pass SGD (num_samples = jnp.inf, Gaussian data): the
    expected risk given the features, by recursion of the second moments; for one model, ensemble = bags = 1.

    Raises ValueError as `simulate` does, and for an optimizer that has no exact solution.
    """
    setting = Setting(num_features, num_samples, parametrization, features)
    method, kind, _ = method_of(problem, num_samples, optimizer)
    if method is expect_one_pass and (ensemble, bags) != (1, 1):
        checks.fail("ensemble", "1, and bags 1, for an exact solution of SGD", (ensemble, bags))
    return run(problem, setting, optimizer, times, keys, method, kind, ensemble, bags, split, progress)


def method_of(problem: Problem, num_samples: float, optimizer: Optimizer) -> tuple[Callable, str, bool]:
    """What solves a batch of draws, the kind of curve that it gives, and whether it needs eigensystems."""
    if isinstance(optimizer, SGD):
        if not (math.isinf(num_samples) and problem.population is None):
            checks.fail("num_samples", "jnp.inf, with Gaussian data, for an exact solution of SGD", num_samples)
        return expect_one_pass, EXACT, True
    if isinstance(optimizer, Optimizer) and not hasattr(optimizer, "response"):
        checks.fail("optimizer", "linear in the weights to be solved exactly (`simulate` takes any)", optimizer)
    return solve, EXACT, True


def solve(problem: Problem, setting: Setting, optimizer: Optimizer, times: Array, batch: Batch) -> Solution:
    """Weights (S, K, T, n) at all times, from the eigensystems of a batch."""

    def one(optimizer, draw, z, basis):  # z (m,), basis (m, m)
        response = optimizer.response(z, times[:, None])  # (T, m)
        if draw.design is None:
            moment, back = draw.moment(setting), basis.T
        elif setting.dual:
            moment, back = draw.labels / setting.num_samples, basis.T @ draw.design
        else:
            moment, back = draw.labels @ draw.design / setting.num_samples, basis.T
        return (response * (moment @ basis)[:, None]) @ back  # (K, T, n)

    return Solution(each(optimizer, batch, one, batch.draws, *batch.eigensystems))
