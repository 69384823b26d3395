"""One draw solved exactly: through the eigensystem of its curvature, with no steps taken."""

import jax
from jax import Array

from rfm.batches import run
from rfm.curve import EXACT, Curve
from rfm.features import Draw, Setting
from rfm.optimizers import Optimizer
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
    progress: bool = False,
) -> Curve:
    """Solve the draws that `simulate` would train on: same arguments, same draws, same `Curve`.

    v(t) = g_t(H) Phi^T y / P with H = Phi^T Phi / P and g_t(z) = (1 - r_t(z))/z the response of the optimizer,
    H diagonalised in the smaller of its two dimensions. Raises ValueError as `simulate` does.
    """
    setting = Setting(num_features, num_samples, parametrization)
    return run(problem, setting, optimizer, times, keys, solve, EXACT, progress)


def solve(
    setting: Setting, optimizer: Optimizer, times: Array, draws: Draw, eigensystems: tuple[Array, Array]
) -> Array:
    """Weights (S, T, n) at all times, for a batch of draws and their eigensystems."""

    def one(draw, z, basis):  # z (m,), basis (m, m)
        response = optimizer.response(z, times[:, None])  # (T, m)
        if draw.design is None:
            moment = draw.labels / setting.num_samples if setting.dual else draw.labels
            return (response * (moment @ basis)) @ basis.T
        p = setting.num_samples
        if setting.dual:
            return (response * (draw.labels @ basis / p)) @ (basis.T @ draw.design)
        return (response * (draw.labels @ draw.design / p @ basis)) @ basis.T

    return jax.vmap(one)(draws, *eigensystems)
