"""What simulation and exact solution share: checks, draws, batches of seeds, risk and training loss."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import checks
from rfm.curvature import eigensystems
from rfm.curve import Curve
from rfm.features import Draw, Setting, chunk_length, draw
from rfm.optimizers import Optimizer, check_stability, check_times
from rfm.precision import float64, is_traced
from rfm.problem import Problem
from rfm.risk import population_risk

MEMORY = 2**30  # bytes that one batch of seeds may take


def run(
    problem: Problem,
    setting: Setting,
    optimizer: Optimizer,
    times: Array | None,
    keys: Array,
    method: Callable,
    kind: str,
    progress: bool,
) -> Curve:
    """Draw, solve with `method` and evaluate every seed, in batches that fit in memory."""
    setting = check(problem, setting, optimizer, times, keys)
    times = np.array([np.inf]) if times is None else np.asarray(times, np.float64)
    risk, train_loss = [], []
    with float64():
        for batch, seeds in _batches(problem, setting, len(times), keys, progress):
            draws, eigen = _draw(problem, setting, batch)
            _refuse_tracers(draws)  # arguments closed over by a transformation
            check_stability(optimizer, eigen[0], *setting[:2])
            result = _evaluate(problem, setting, optimizer, times, batch, draws, eigen, method)
            risk.append(np.asarray(result[0])[:seeds])
            train_loss.append(np.asarray(result[1])[:seeds])
    risk, train_loss = np.concatenate(risk), np.concatenate(train_loss)
    finite = bool(np.isfinite(risk).all() and np.isfinite(train_loss).all())
    return Curve(times, risk, train_loss, finite, 0.0 if finite else math.inf, kind)


def check(problem: Problem, setting: Setting, optimizer: Optimizer, times: Array | None, keys: Array) -> Setting:
    """Refuse what cannot be run; return the setting with whole sizes as int."""
    _refuse_tracers(problem, optimizer, times, keys)
    if math.isinf(problem.num_modes):
        checks.fail("num_modes", "finite in the simulator (theory.predict takes None)", None)
    n, p = setting.num_features, setting.num_samples
    checks.size("num_features", n, integer=True)
    checks.size("num_samples", p, integer=True)
    checks.one_of("parametrization", setting.parametrization, checks.PARAMETRIZATIONS)
    if math.isinf(n) and math.isinf(p):
        checks.fail("num_samples", "finite where num_features is infinite (nothing random is left)", p)
    if math.isinf(n) and setting.parametrization == "standard":
        checks.fail("num_features", "finite in the standard parametrization, whose clock is N t", n)
    if problem.population is not None and math.isfinite(p) and p > len(problem.population.rows):
        checks.fail("num_samples", f"at most the {len(problem.population.rows)} rows of the population", p)
    check_times(optimizer, times)
    if not jnp.issubdtype(getattr(keys, "dtype", None), jax.dtypes.prng_key) or keys.ndim != 1 or not len(keys):
        checks.fail("keys", "typed keys of shape (seeds,), as jax.random.split(jax.random.key(0), seeds)", keys)
    return Setting(*(x if math.isinf(x) else int(x) for x in (n, p)), setting.parametrization)


def _refuse_tracers(*values: object) -> None:
    if is_traced(*values):
        raise ValueError(
            "The simulator runs its own jit and vmap over keys and cannot be called inside a JAX transformation; "
            "theory.predict can."
        )


def _batches(
    problem: Problem, setting: Setting, num_times: int, keys: Array, progress: bool
) -> Iterator[tuple[Array, int]]:
    """Equal batches of keys (the last one padded, so that it compiles once) and how many of each count."""
    n, p = (x if math.isfinite(x) else 0 for x in setting[:2])
    smaller = min(x for x in (n, p) if x)
    floats = n * p + 3 * smaller**2 + (n + p) * chunk_length(problem) + num_times * (max(n, p) + 2 * smaller)
    total = len(keys)
    most = max(1, min(total, MEMORY // (8 * floats)))
    count = math.ceil(total / most)
    length = math.ceil(total / count)
    starts = range(0, total, length)
    if progress:
        from tqdm import tqdm

        starts = tqdm(starts, desc=f"N={setting.num_features} P={setting.num_samples}", leave=False)
    for start in starts:
        index = np.minimum(np.arange(start, start + length), total - 1)
        yield keys[index], min(length, total - start)


def over_seeds(function: Callable, *args: Array) -> Array:
    """Map over the leading axis: at once on an accelerator, one seed after another on CPU, where a single seed
    fills the cores already and the chunks of all of them fall out of the cache (1.5 times slower)."""
    if jax.default_backend() == "cpu":
        return lax.map(lambda xs: function(*xs), args)
    return jax.vmap(function)(*args)


@partial(jax.jit, static_argnums=1)
def _draw(problem: Problem, setting: Setting, keys: Array) -> tuple[Draw, tuple[Array, Array]]:
    draws = over_seeds(partial(draw, problem, setting), keys)
    return draws, eigensystems(setting, draws)


@partial(jax.jit, static_argnums=(1, 7))
def _evaluate(
    problem: Problem,
    setting: Setting,
    optimizer: Optimizer,
    times: Array,
    keys: Array,
    draws: Draw,
    eigen: tuple[Array, Array],
    method: Callable,
) -> tuple[Array, Array]:
    """Risk and training loss (S, T)."""
    weights = method(setting, optimizer, times, draws, eigen)  # (S, T, n)
    risk = over_seeds(partial(population_risk, problem, setting), keys, weights)
    if math.isinf(setting.num_samples):
        return risk, risk + problem.noise_var

    def loss(draw, v):
        outputs = v @ draw.gram * setting.num_samples if draw.design is None else v @ draw.design.T  # (T, P)
        return jnp.mean((outputs - draw.labels) ** 2, axis=1)

    return risk, jax.vmap(loss)(draws, weights)
