"""What simulation and exact solution share: checks, and batches of seeds that fit in memory."""

import contextlib
import math
import threading
import warnings
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import NamedSharding, PartitionSpec

from rfm import checks
from rfm.curve import EXACT, Curve
from rfm.devices import AXIS, RUNS, free_memory, layout
from rfm.engine.batches import Plan, draw_batch, run_floats, solve_batch
from rfm.engine.features import FEATURES, MOST_MEMBERS, Setting, neural
from rfm.optimizers import SGD, Optax, Optimizer, check_stability, check_times, resolve, stability_edge
from rfm.precision import float64, is_traced
from rfm.problem import Problem
from rfm.steps import LARGEST


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
    split: str,
    progress: bool,
) -> Curve:
    """Draw, solve with `method` and evaluate every seed, in batches that fit in memory; a sum over outputs."""
    setting = check(problem, setting, optimizer, times, keys)
    ensemble, bags = check_members(ensemble, bags)
    check_rows(problem, setting, bags)
    times = np.array([np.inf]) if times is None else np.asarray(times, np.float64)
    risk, train_loss, steps = [], [], math.inf
    with float64():
        optimizer = resolve(optimizer, times)
        devices = layout(split)
        # steps without a known bound of stability, and least squares, ask nothing of the spectrum
        spectrum = hasattr(optimizer, "largest_stable_lr") or kind == EXACT
        setting = setting._replace(mode_parts=devices.modes)
        plan = Plan(setting, devices, method, ensemble, bags, spectrum)
        for some, seeds in _batches(problem, plan, len(times), keys, progress):
            drawing = plan, problem, some, {"noise_var": np.full(len(some), problem.noise_var)}
            ahead = _compile_ahead(drawing, optimizer, times)
            batch = draw_batch(*drawing)
            _refuse_tracers(batch)  # arguments closed over by a transformation
            if plan.spectrum:
                edge = stability_edge(optimizer, np.asarray(batch.eigensystems[0]), setting.num_samples)
                check_stability(optimizer, edge, *setting[:2])
            ahead.join()
            found = solve_batch(plan, problem, optimizer, times, batch)
            risk.append(np.asarray(found[0])[:seeds])
            train_loss.append(np.asarray(found[1])[:seeds])
            steps = min(steps, math.inf if found[2] is None else int(np.min(found[2])))
    risk, train_loss = np.concatenate(risk), np.concatenate(train_loss)
    message = ""
    if steps < times[-1]:
        message = (
            f"training diverged: the squared norm of the weights passed {LARGEST:.0e} after {steps + 1} of "
            f"{times[-1]:.0f} steps; the curve ends at the last time before"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=3)
        risk, train_loss, times = (x[..., times <= steps] for x in (risk, train_loss, times))
    finite = bool(np.isfinite(risk).all() and np.isfinite(train_loss).all())
    converged = finite and not message
    return Curve(times, risk, train_loss, converged, 0.0 if converged else math.inf, kind, message)


def check(problem: Problem, setting: Setting, optimizer: Optimizer, times: Array | None, keys: Array) -> Setting:
    """Refuse what cannot be run; return the setting with whole sizes as int."""
    _refuse_tracers(problem, optimizer, times, keys)
    if math.isinf(problem.num_modes) and problem.population is None:
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
    check_times(optimizer, times)
    if math.isinf(n) and isinstance(optimizer, SGD | Optax):  # its weights are those of samples: another algorithm
        checks.fail("num_features", f"finite for {type(optimizer).__name__}", n)
    if isinstance(optimizer, SGD):
        checks.size("batch_size", optimizer.batch_size, integer=True)
        most = len(population.rows) if math.isinf(p) and population is not None else p
        if math.isinf(optimizer.batch_size) or optimizer.batch_size > most:
            checks.fail("batch_size", f"a finite integer, at most num_samples = {most}", optimizer.batch_size)
        if math.isinf(p) and population is not None and problem.noise_var > population.unexplained:
            checks.fail("noise_var", "the noise in the labels, where SGD draws from a population for ever",
                        problem.noise_var)  # fmt: skip
    if isinstance(optimizer, SGD) and math.isinf(p) and problem.mixture is not None:
        checks.fail("num_samples", "finite for SGD on rows of unequal size", p)
    if not jnp.issubdtype(getattr(keys, "dtype", None), jax.dtypes.prng_key) or keys.ndim != 1 or not len(keys):
        checks.fail("keys", "typed keys of shape (seeds,), as jax.random.split(jax.random.key(0), seeds)", keys)
    batch_size = int(optimizer.batch_size) if isinstance(optimizer, SGD) else None
    return Setting(*(x if math.isinf(x) else int(x) for x in (n, p)), *setting[2:4], batch_size)


def check_rows(problem: Problem, setting: Setting, bags: int) -> None:
    """Refuse training sets of real rows that leave none to test on."""
    if problem.population is None or math.isinf(setting.num_samples):
        return
    most = (len(problem.population.rows) - 1) // bags
    if setting.num_samples > most:
        sets = "" if bags == 1 else f" for {bags} bags"
        allowed = f"at most {most}{sets}: of the {len(problem.population.rows)} rows some are left to test on"
        checks.fail("num_samples", allowed, setting.num_samples)


def _refuse_tracers(*values: object) -> None:
    if is_traced(*values):
        raise ValueError(
            "The simulator runs its own jit and vmap over keys and cannot be called inside a JAX transformation; "
            "theory.predict can."
        )


def check_members(ensemble: int, bags: int) -> tuple[int, int]:
    """Both as int; ValueError unless 1 or more, and few enough for keys of their own."""
    allowed = f"an integer >= 1 and < {MOST_MEMBERS}"
    ensemble, bags = checks.count("ensemble", ensemble, allowed), checks.count("bags", bags, allowed)
    if max(ensemble, bags) >= MOST_MEMBERS:
        checks.fail("ensemble", f"{allowed}, and bags too", (ensemble, bags))
    return ensemble, bags


def _batches(problem: Problem, plan: Plan, num_times: int, keys: Array, progress: bool) -> Iterator[tuple[Array, int]]:
    """Equal batches of keys (the last one padded, so that it compiles once) and how many of each count."""
    total, ways = len(keys), plan.layout.runs
    fitting = int(free_memory(plan.layout) // (8 * run_floats(problem, plan, num_times))) * ways
    most = max(ways, min(total, fitting))
    count = math.ceil(total / most)
    length = math.ceil(total / count / ways) * ways
    starts = range(0, total, length)
    if progress:
        from tqdm import tqdm

        starts = tqdm(starts, desc=f"N={plan.setting.num_features} P={plan.setting.num_samples}", leave=False)
    for start in starts:
        index = np.minimum(np.arange(start, start + length), total - 1)
        yield keys if length == total else keys[index], min(length, total - start)


def _compile_ahead(drawing: tuple, optimizer: Optimizer, times: np.ndarray) -> threading.Thread:
    """Compile `solve_batch` beside `draw_batch`: a fresh process waits longest for compilation."""
    plan, problem = drawing[:2]
    batch = draw_batch.eval_shape(*drawing)
    if plan.layout.mesh is not None:
        spec = NamedSharding(plan.layout.mesh, PartitionSpec(AXIS) if plan.layout.split == RUNS else PartitionSpec())
        batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=spec), batch)

    def work():
        with float64(), contextlib.suppress(Exception):  # whatever is wrong is raised by the call itself
            solve_batch.lower(plan, problem, optimizer, times, batch).compile()

    thread = threading.Thread(target=work)
    thread.start()
    return thread
