"""Features with noise of their own on every row: x = F psi + sqrt(feature_noise) xi, as quantised activations have it.

The noise belongs to a feature and a row: training sees the same again at every step, models of other features or of
another data set see noise of their own, and test rows have noise too, so that the risk counts feature_noise |v|^2.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rfm import checks, threefry
from rfm.engine.features import Draw, Keys, Setting, kept, normal
from rfm.optimizers import Batched, Optax
from rfm.precision import is_traced
from rfm.problem import Problem

_NOISE = 2**32 - 1  # folded into the key of a model's batches, as no step is


def noise_of(value: Any) -> float | None:
    """Return a checked variance, None where features have no noise."""
    if is_traced(value):
        checks.fail("feature_noise", "a known number in the simulator (theory.predict takes traced ones)", value)
    allowed = "a finite variance >= 0 (0: features without noise)"
    checks.number("feature_noise", value, 0.0, allowed, inclusive=True)
    return float(value) if float(value) > 0.0 else None


def check_noisy(problem: Problem, setting: Setting, optimizer: Any) -> None:
    """Refuse noise of the features where it is not a model, or is not served."""
    if jnp.isinf(setting.num_features):
        checks.fail("num_features", "finite where features have noise (feature_noise=0 for the kernel)", jnp.inf)
    if not problem.equal_rows:
        allowed = "one with rows of equal size and one domain where features have noise (or feature_noise=0)"
        checks.fail("problem", allowed, problem)
    if problem.population is not None and jnp.isinf(setting.num_samples) and isinstance(optimizer, Batched | Optax):
        allowed = "finite for batches of real rows where features have noise, which a row keeps (or feature_noise=0)"
        checks.fail("num_samples", allowed, jnp.inf)


def with_noise(draw: Draw, setting: Setting, keys: Keys, variance: Array) -> Draw:
    """Return a draw whose features have noise: of its rows, or in the mean over infinitely many of them."""
    counts = setting.counts
    if draw.design is None:
        assert draw.gram is not None
        return draw._replace(gram=draw.gram + variance * kept(jnp.eye(len(draw.gram)), counts and counts.features))
    rows, columns = draw.design.shape
    # a key for each row: a number depends on its row and column alone, however long the arrays are
    row_keys = threefry.fold_in(threefry.fold_in(keys.steps, _NOISE), jnp.arange(rows))
    noise = jax.vmap(lambda key: normal(key, (columns,)))(row_keys)
    noise = kept(kept(noise, counts and counts.samples).T, counts and counts.features).T
    return draw._replace(design=draw.design + jnp.sqrt(variance) * noise)


def noise_risk(weights: Array, bags: int, variance: Array) -> Array:
    """Return the part of the risk (T,) that the noise of test rows makes in the average of models, weights (M, T, N).

    Models that share their features, `bags` one after the other, see the same noise there, others noise of their own.
    """
    models, times, length = weights.shape
    shared = weights.reshape(-1, min(bags, models), times, length).sum(1)
    return variance * jnp.sum((shared / models) ** 2, axis=(0, 2))
