"""Coefficients of trained models on the modes: what a student has learned, mode by mode."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from rfm import checks
from rfm.engine.features import Keys, Setting, chunk_length, member_keys
from rfm.engine.requests import choose_keys
from rfm.engine.risk import mode_weights
from rfm.engine.simulation import simulate
from rfm.optimizers import Optimizer
from rfm.precision import float64
from rfm.problem import MOST_MODES, Problem


def coefficients(
    problem: Problem,
    *,
    num_features: float,
    num_samples: float,
    optimizer: Optimizer,
    times: ArrayLike | None = None,
    keys: Array | None = None,
    seeds: int | None = None,
    num_modes: int | None = None,
    parametrization: str = "ntk",
    feature_noise: float = 0.0,
) -> np.ndarray:
    """Train models as `simulate` does, and return what each has learned of each mode, F^T v.

    Divided by the target it is the share that is learned, of which `theory.modes` predicts mean and scatter. The risk
    is the sum of eigenvalue x (target - coefficient)^2, and feature_noise |v|^2 where features have noise.

    Args:
        problem: spectrum, target and label noise.
        num_features: as in `simulate`, like all arguments below.
        num_samples: P, or jnp.inf.
        optimizer: the training algorithm.
        times: (T,), None for Ridge.
        keys: (S,) typed keys, one a seed; or else
        seeds: S.
        num_modes: how many of the first modes, at most 100,000; None for all.
        parametrization: "ntk" or "standard".
        feature_noise: as in `simulate`.

    Returns:
        (S, T, num_modes) coefficients.

    Raises:
        ValueError: for more modes than there are, and as `simulate` does.

    Example:
        >>> import numpy as np, rfm
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100)
        >>> args = dict(num_features=16, num_samples=32, optimizer=rfm.GradientFlow(), times=[1.0, 10.0], seeds=3)
        >>> learned = rfm.coefficients(problem, **args)
        >>> risk = (problem.target - learned) ** 2 @ problem.eigenvalues
        >>> bool(abs(risk - rfm.simulate(problem, **args).risk).max() < 1e-12)
        True
    """
    keys = choose_keys(keys, seeds)
    curve = simulate(
        problem, num_features=num_features, num_samples=num_samples, optimizer=optimizer, times=times, keys=keys,
        parametrization=parametrization, feature_noise=feature_noise, return_weights=True,
    )  # fmt: skip
    most = problem.num_modes
    count = int(most) if num_modes is None else checks.count("num_modes", num_modes, f"an integer from 1 to {most}")
    if count > min(most, MOST_MODES):
        checks.fail("num_modes", f"at most {min(most, MOST_MODES)}", num_modes)
    n, p = (x if np.isinf(x) else int(x) for x in (float(num_features), float(num_samples)))
    setting, length = Setting(n, p, parametrization), chunk_length(problem)
    if np.ndim(curve.weights) != 3:
        checks.fail("problem", "one with a single output", problem)
    with float64():
        members, weights = member_keys(keys, 1, 1), jnp.asarray(curve.weights)
        chunks = [_chunk(setting, problem, members, weights, i) for i in range(-(-count // length))]
    return np.concatenate([np.asarray(chunk) for chunk in chunks], axis=-1)[..., :count]


@partial(jax.jit, static_argnums=0)
def _chunk(setting: Setting, problem: Problem, keys: Keys, weights: Array, index: Array) -> Array:
    weigh = lambda keys, v: mode_weights(problem, setting, jax.tree.map(lambda x: x[None], keys), v[None], index)  # noqa: E731
    return jax.vmap(weigh)(keys, weights)
