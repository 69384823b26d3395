"""Simulation and exact solution in batches of seeds that fit in memory."""

import contextlib
import hashlib
import math
import threading
import warnings
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rfm.curve import Curve
from rfm.devices import free_memory
from rfm.engine.batches import compile_solution, draw_batch, of_draws, solve_batch
from rfm.engine.costs import run_floats
from rfm.engine.curvature import eigenvalues
from rfm.engine.padding import batch_length, pad
from rfm.engine.plans import Batch, Losses, Plan, Task
from rfm.engine.requests import Request, check_keys, num_weights, refuse_tracers, start_of
from rfm.engine.trained_layers import steps_worth_keeping
from rfm.optimizers import SGD, check_stability, resolve, stability_edge
from rfm.precision import arithmetic, flags
from rfm.problem import Problem
from rfm.protocols import Bounded
from rfm.steps import LARGEST

FIELDS = ("risk", "train_loss", "average_risk", "kernel_growth")  # of a curve, where a run has them


def run(request: Request, plan: Plan, *, progress: bool = False) -> Curve:
    """Draw, solve and evaluate every seed, in batches that fit in memory."""
    keys, times = check_keys(request.keys), request.stops
    with arithmetic(request.dtype):
        optimizer = resolve(request.optimizer, times)
        plan = plan._replace(bounded=isinstance(optimizer, Bounded))
        asked = Task(request.problem, optimizer, times, None, request.trained, request.noisy)
        plan = plan._replace(setting=plan.setting._replace(kept_steps=steps_worth_keeping(asked, plan.setting)))
        longer, task = pad(plan, asked, len(keys))
        usual = batch_length(longer, task, len(keys))
        start = _longer_start(request, longer)
        batches = _batches(request.problem, longer, len(task.times), Seeds(keys, start), usual)
        losses: list[Losses] = []
        for batch in _bar(batches, plan) if progress else batches:
            losses.append(_run_batch(longer, task, *batch, first=not losses))
    names = [name for name in FIELDS if getattr(losses[0], name) is not None]
    curves = {x: np.concatenate([getattr(b, x)[:, : len(times)] for b in losses]).astype(np.float64) for x in names}
    weights = None
    if plan.weights:
        kept = slice(None) if request.problem.num_outputs > 1 else 0
        length = num_weights(request)
        weights = np.concatenate([np.asarray(b.weights)[:, kept, ..., : len(times), :length] for b in losses])
    steps = min((math.inf if batch.steps is None else int(np.min(batch.steps))) for batch in losses)
    message = ""
    if steps < times[-1]:
        message = (
            f"training diverged: the squared norm of the weights passed {LARGEST:.0e} after {steps + 1} of "
            f"{times[-1]:.0f} steps; the curve ends at the last time before"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=3)
        before = times <= steps
        times, curves = times[before], {name: x[..., before] for name, x in curves.items()}
        weights = None if weights is None else weights[..., before, :]
    finite = all(np.isfinite(x).all() for x in curves.values())
    converged = finite and not message
    residual, noise_var = 0.0 if converged else math.inf, request.problem.noise_var
    state = converged, residual, plan.kind, message, noise_var, weights
    more = curves.get("average_risk"), curves.get("kernel_growth")
    return Curve(times, curves["risk"], curves["train_loss"], *state, *more)


class Seeds(NamedTuple):
    """Keys (S,), and the weights (S, K, n) that their runs start from, if any."""

    keys: Array
    start: np.ndarray | None

    def part(self, index: np.ndarray) -> "Seeds":
        """Return some of them, chosen on the host, where nothing has to be compiled for their number."""
        words, kind = np.asarray(jax.random.key_data(self.keys)), jax.random.key_impl(self.keys)
        keys = jax.random.wrap_key_data(jnp.asarray(words[index]), impl=kind)
        return Seeds(keys, None if self.start is None else self.start[index])

    def begin(self, batch: Batch) -> Batch:
        """Return their draws with the weights to start from, and with batches that follow from these."""
        if self.start is None:
            return batch
        words = [int.from_bytes(hashlib.sha256(row.tobytes()).digest()[:4], "little") for row in self.start]
        steps = jax.vmap(jax.random.fold_in)(batch.keys.steps, np.array(words, np.uint32))
        return batch._replace(start=jnp.asarray(self.start), keys=batch.keys._replace(steps=steps))


def _longer_start(request: Request, plan: Plan) -> np.ndarray | None:
    """Return the weights to start from, with zeros where arrays are longer."""
    start = start_of(request, request.problem.num_outputs)
    if start is None:
        return None
    sizes = plan.setting
    length = sizes.num_samples if math.isinf(sizes.num_features) else sizes.num_features
    return np.pad(start, ((0, 0), (0, 0), (0, int(length) - start.shape[-1])))


def _run_batch(plan: Plan, task: Task, runs: Seeds, seeds: int, *, first: bool) -> Losses:
    """Losses of the first `seeds` of some runs; ValueError for a learning rate beyond the stability of a draw.

    first: of all batches, so that programs may have to be compiled.
    """
    keys = runs.keys
    numbers = {"noise_var": np.full(len(keys), task.problem.noise_var)}
    if task.feature_noise is not None:
        numbers["feature_noise"] = np.full(len(keys), task.feature_noise)
    ahead = _compile_ahead(plan, task, runs, numbers) if first else None
    batch = runs.begin(draw_batch(plan, task.problem, task.counts, keys, numbers))
    refuse_tracers(batch)  # arguments closed over by a transformation
    if plan.bounded:
        _check_stability(plan, task, batch)
    if ahead is not None:
        ahead.join()
    losses = jax.device_get(solve_batch(plan, task, batch))
    return jax.tree.map(lambda x: x[:seeds], losses._replace(steps=None))._replace(steps=losses.steps)


def _check_stability(plan: Plan, task: Task, batch: Batch) -> None:
    """ValueError for a learning rate beyond the stability of a draw, shown by a bound where that is enough."""
    sizes = plan.setting._replace(counts=task.counts).true
    one_pass = isinstance(task.optimizer, SGD) and math.isinf(sizes.samples)  # which all curvatures limit
    if batch.bounds is not None and not one_pass:
        with contextlib.suppress(ValueError):
            return check_stability(task.optimizer, np.asarray(batch.bounds), *sizes, mean_square=False)
    spectra = batch.spectra
    values = of_draws(eigenvalues, plan, task.counts, batch.draws) if spectra is None else spectra.values
    edge = stability_edge(task.optimizer, np.asarray(values), sizes.samples)
    return check_stability(task.optimizer, edge, *sizes, mean_square=False)


def _batches(
    problem: Problem, plan: Plan, num_times: int, runs: Seeds, usual: float = math.inf
) -> Iterator[tuple[Seeds, int]]:
    """Equal batches of runs (the last one padded, so that it compiles once) and how many of each count.

    usual: length where there is memory for it, as other calls have it too.
    """
    total, ways = len(runs.keys), plan.layout.runs
    fitting = int(free_memory(plan.layout) // (8 * run_floats(problem, plan, num_times))) * ways
    if usual <= fitting:
        length = int(usual)
    else:
        count = math.ceil(total / max(ways, min(total, fitting)))
        length = math.ceil(total / count / ways) * ways
    for start in range(0, total, length):
        index = np.minimum(np.arange(start, start + length), total - 1)
        yield runs if length == total else runs.part(index), min(length, total - start)


def _bar(batches: Iterable[tuple[Seeds, int]], plan: Plan) -> Iterable[tuple[Seeds, int]]:
    from tqdm.auto import tqdm

    return tqdm(list(batches), desc=f"N={plan.setting.num_features} P={plan.setting.num_samples}", leave=False)


def _compile_ahead(plan: Plan, task: Task, runs: Seeds, numbers: dict[str, np.ndarray]) -> threading.Thread:
    """Compile the solution beside the draws: a fresh process waits longest for compilation."""
    draw = lambda keys: draw_batch(plan, task.problem, task.counts, keys, numbers)  # noqa: E731
    batch = jax.eval_shape(draw, runs.keys)._replace(start=runs.start)
    device, dtype = flags.jax_default_device, "float64" if flags.jax_enable_x64 else "float32"

    def work() -> None:
        # whatever is wrong is raised by the call itself
        with arithmetic(dtype), jax.default_device(device), contextlib.suppress(Exception):
            compile_solution(plan, task, batch)

    thread = threading.Thread(target=work)
    thread.start()
    return thread
