"""What simulation and exact solution share: checks, draws, batches of seeds, risk and training loss."""

import contextlib
import math
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import checks
from rfm.curvature import eigensystems
from rfm.curve import EXACT, Curve
from rfm.features import BLOCK, FEATURES, MOST_MEMBERS, Draw, Keys, Setting, chunk_length, draw, member_keys, neural
from rfm.optimizers import SGD, Optax, Optimizer, check_stability, check_times, resolve, stability_edge
from rfm.precision import float64, is_traced
from rfm.problem import Problem
from rfm.risk import population_risk
from rfm.steps import LARGEST

MEMORY = 2**30  # bytes that one batch of seeds may take


class Batch(NamedTuple):
    """Draws of all models of some seeds: each field with a leading axis S.

    eigensystems: curvatures (S, m) and directions (S, m, m) of the training loss, where they are needed.
    """

    keys: Keys
    draws: Draw
    eigensystems: tuple[Array, Array] | None


class Solution(NamedTuple):
    """What a method makes of a batch of draws.

    weights: (S, T, n), or None where only the risk is known; risk: (S, T) where it is known without them. steps: how
    many were taken before the run was over or diverged, None for methods that cannot diverge.
    """

    weights: Array | None
    steps: Array | None = None
    risk: Array | None = None


def run(
    problem: Problem,
    setting: Setting,
    optimizer: Optimizer,
    times: Array | None,
    keys: Array,
    method: Callable,
    kind: str,
    ensemble: int,
    bags: int,
    progress: bool,
) -> Curve:
    """Draw, solve with `method` and evaluate every seed, in batches that fit in memory."""
    setting = check(problem, setting, optimizer, times, keys)
    allowed = f"an integer >= 1 and < {MOST_MEMBERS}"
    ensemble, bags = checks.count("ensemble", ensemble, allowed), checks.count("bags", bags, allowed)
    if max(ensemble, bags) >= MOST_MEMBERS:
        checks.fail("ensemble", f"{allowed}, and bags too", (ensemble, bags))
    times = np.array([np.inf]) if times is None else np.asarray(times, np.float64)
    # steps without a known bound of stability, and least squares, ask nothing of the spectrum
    spectrum = hasattr(optimizer, "largest_stable_lr") or kind == EXACT
    risk, train_loss, steps = [], [], math.inf
    with float64():
        optimizer = resolve(optimizer, times)
        for some, seeds in _batches(problem, setting, len(times), keys, ensemble * bags, progress):
            drawing = problem, setting, some, ensemble, bags, spectrum
            ahead = _compile_ahead(drawing, (problem, setting, optimizer, times), (method, ensemble * bags))
            batch = _draw(*drawing)
            _refuse_tracers(batch)  # arguments closed over by a transformation
            if spectrum:
                edge = stability_edge(optimizer, np.asarray(batch.eigensystems[0]), setting.num_samples)
                check_stability(optimizer, edge, *setting[:2])
            ahead.join()
            found = _evaluate(problem, setting, optimizer, times, batch, method, ensemble * bags)
            risk.append(np.asarray(found[0])[:seeds])
            train_loss.append(np.asarray(found[1])[:seeds])
            steps = min(steps, math.inf if found[2] is None else int(found[2]))
    risk, train_loss = np.concatenate(risk), np.concatenate(train_loss)
    message = ""
    if steps < times[-1]:
        message = (
            f"training diverged: the squared norm of the weights passed {LARGEST:.0e} after {steps} of {times[-1]:.0f} "
            "steps; the curve ends at the last time before"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=3)
        risk, train_loss, times = (x[..., times < steps] for x in (risk, train_loss, times))
    finite = bool(np.isfinite(risk).all() and np.isfinite(train_loss).all())
    converged = finite and not message
    return Curve(times, risk, train_loss, converged, 0.0 if converged else math.inf, kind, message)


def check(problem: Problem, setting: Setting, optimizer: Optimizer, times: Array | None, keys: Array) -> Setting:
    """Refuse what cannot be run; return the setting with whole sizes as int."""
    _refuse_tracers(problem, optimizer, times, keys)
    if math.isinf(problem.num_modes):
        checks.fail("num_modes", "finite in the simulator (theory.predict takes None)", None)
    n, p = setting.num_features, setting.num_samples
    checks.size("num_features", n, integer=True)
    checks.size("num_samples", p, integer=True)
    checks.one_of("parametrization", setting.parametrization, checks.PARAMETRIZATIONS)
    checks.one_of("features", setting.features, FEATURES)
    population = problem.population
    if neural(setting) and (population is None or population.activation != setting.features):
        checks.fail(
            "features",
            f"a law that the problem can draw: neurons need from_inputs(inputs, labels, {setting.features!r})",
            setting.features,
        )
    if math.isinf(n) and math.isinf(p):
        checks.fail("num_samples", "finite where num_features is infinite (nothing random is left)", p)
    if math.isinf(n) and setting.parametrization == "standard":
        checks.fail("num_features", "finite in the standard parametrization, whose clock is N t", n)
    if problem.population is not None and math.isfinite(p) and p > len(problem.population.rows):
        checks.fail("num_samples", f"at most the {len(problem.population.rows)} rows of the population", p)
    check_times(optimizer, times)
    if math.isinf(n) and isinstance(optimizer, SGD | Optax):  # its weights are those of samples: another algorithm
        checks.fail("num_features", f"finite for {type(optimizer).__name__}", n)
    if isinstance(optimizer, SGD):
        checks.size("batch_size", optimizer.batch_size, integer=True)
        most = len(population.rows) if math.isinf(p) and population is not None else p
        if math.isinf(optimizer.batch_size) or optimizer.batch_size > most:
            checks.fail("batch_size", f"a finite integer, at most num_samples = {most}", optimizer.batch_size)
        if math.isinf(p) and population is not None and problem.noise_var > population.unexplained:
            checks.fail("noise_var", "what the rows leave unexplained, where SGD draws from a population for ever",
                        problem.noise_var)  # fmt: skip
    if not jnp.issubdtype(getattr(keys, "dtype", None), jax.dtypes.prng_key) or keys.ndim != 1 or not len(keys):
        checks.fail("keys", "typed keys of shape (seeds,), as jax.random.split(jax.random.key(0), seeds)", keys)
    batch_size = int(optimizer.batch_size) if isinstance(optimizer, SGD) else None
    return Setting(*(x if math.isinf(x) else int(x) for x in (n, p)), *setting[2:4], batch_size)


def _refuse_tracers(*values: object) -> None:
    if is_traced(*values):
        raise ValueError(
            "The simulator runs its own jit and vmap over keys and cannot be called inside a JAX transformation; "
            "theory.predict can."
        )


def _batches(
    problem: Problem, setting: Setting, num_times: int, keys: Array, models: int, progress: bool
) -> Iterator[tuple[Array, int]]:
    """Equal batches of keys (the last one padded, so that it compiles once) and how many of each count."""
    n, p = (x if math.isfinite(x) else 0 for x in setting[:2])
    smaller = min(x for x in (n, p) if x)
    floats = n * p + 3 * smaller**2 + (n + p) * chunk_length(problem) + num_times * (max(n, p) + 2 * smaller)
    if setting.batch_size is not None:
        floats += max(BLOCK, setting.batch_size * (n + 1))
    if neural(setting):
        floats += (len(problem.population.rows) + problem.population.inputs.shape[1]) * n
    floats *= models
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
        yield keys if count == 1 else keys[index], min(length, total - start)


def over_seeds(function: Callable, *args: Array) -> Array:
    """Map over the leading axis: at once on an accelerator, one seed after another on CPU, where a single seed
    fills the cores already and the chunks of all of them fall out of the cache (1.5 times slower)."""
    if jax.default_backend() == "cpu":
        return lax.map(lambda xs: function(*xs), args)
    return jax.vmap(function)(*args)


def _compile_ahead(drawing: tuple, known: tuple, static: tuple) -> threading.Thread:
    """Compile `_evaluate` beside `_draw`: a fresh process waits for compilation longer than for anything else."""
    batch = _draw.eval_shape(*drawing)

    def work():
        with float64(), contextlib.suppress(Exception):  # whatever is wrong is raised by the call itself
            _evaluate.lower(*known, batch, *static).compile()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@partial(jax.jit, static_argnums=(1, 3, 4, 5))
def _draw(problem: Problem, setting: Setting, keys: Array, ensemble: int, bags: int, spectrum: bool) -> Batch:
    members = member_keys(keys, ensemble, bags)
    draws = over_seeds(partial(draw, problem, setting), members)
    return Batch(members, draws, eigensystems(setting, draws) if spectrum else None)


@partial(jax.jit, static_argnums=(1, 5, 6))
def _evaluate(
    problem: Problem,
    setting: Setting,
    optimizer: Optimizer,
    times: Array,
    batch: Batch,
    method: Callable,
    models: int,
) -> tuple[Array, Array, Array | None]:
    """Risk and training loss (S, T) of seeds of some models each, and the steps taken."""
    found = method(problem, setting, optimizer, times, batch)
    grouped = lambda x: x.reshape(-1, models, *x.shape[1:])  # noqa: E731
    risk, weights = found.risk, found.weights
    if risk is None or models > 1:
        risk = over_seeds(partial(population_risk, problem, setting), *jax.tree.map(grouped, (batch.keys, weights)))
    if math.isinf(setting.num_samples):
        # the loss on fresh data of each model, not of their average
        own = found.risk
        if own is None:
            alone = lambda keys, v: population_risk(problem, setting, *jax.tree.map(lambda x: x[None], (keys, v)))  # noqa: E731
            own = risk if models == 1 else over_seeds(alone, batch.keys, weights)
        return risk, grouped(own).mean(1) + problem.noise_var, found.steps

    def loss(draw, v):
        outputs = v @ draw.gram * setting.num_samples if draw.design is None else v @ draw.design.T  # (T, P)
        return jnp.mean((outputs - draw.labels) ** 2, axis=1)

    return risk, grouped(jax.vmap(loss)(batch.draws, weights)).mean(1), found.steps
