"""Simulation and exact solution in batches of seeds that fit in memory."""

import contextlib
import math
import threading
import warnings
from collections.abc import Iterable, Iterator

import jax
import numpy as np
from jax import Array
from jax.sharding import NamedSharding, PartitionSpec

from rfm.curve import Curve
from rfm.devices import AXIS, RUNS, free_memory
from rfm.engine.batches import Losses, Plan, Task, draw_batch, solve_batch
from rfm.engine.costs import run_floats
from rfm.engine.padding import batch_length, pad
from rfm.engine.requests import Request, check_keys, refuse_tracers
from rfm.optimizers import check_stability, resolve, stability_edge
from rfm.precision import float64
from rfm.problem import Problem
from rfm.protocols import Bounded
from rfm.steps import LARGEST


def run(request: Request, plan: Plan, *, progress: bool = False) -> Curve:
    """Draw, solve and evaluate every seed, in batches that fit in memory."""
    keys, times = check_keys(request.keys), request.stops
    with float64():
        optimizer = resolve(request.optimizer, times)
        # steps without a known bound of stability, and least squares, ask nothing of the spectrum
        plan = plan._replace(spectrum=plan.spectrum or isinstance(optimizer, Bounded))
        longer, task = pad(plan, Task(request.problem, optimizer, times), len(keys))
        usual = batch_length(longer, task, len(keys))
        batches = _batches(request.problem, longer, len(task.times), keys, usual)
        losses = [_run_batch(longer, task, *batch) for batch in (_bar(batches, plan) if progress else batches)]
    risk, train_loss = (
        np.concatenate([getattr(b, x)[:, : len(times)] for b in losses]) for x in ("risk", "train_loss")
    )
    steps = min((math.inf if batch.steps is None else int(np.min(batch.steps))) for batch in losses)
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
    return Curve(times, risk, train_loss, converged, 0.0 if converged else math.inf, plan.kind, message)


def _run_batch(plan: Plan, task: Task, keys: Array, seeds: int) -> Losses:
    """Losses of the first `seeds` of keys; ValueError for a learning rate beyond the stability of a draw."""
    numbers = {"noise_var": np.full(len(keys), task.problem.noise_var)}
    ahead = _compile_ahead(plan, task, keys, numbers)
    batch = draw_batch(plan, task.problem, task.counts, keys, numbers)
    refuse_tracers(batch)  # arguments closed over by a transformation
    if plan.spectrum:
        num_features, num_samples = plan.setting._replace(counts=task.counts).true
        edge = stability_edge(task.optimizer, np.asarray(batch.eigensystems.values), num_samples)
        check_stability(task.optimizer, edge, num_features, num_samples)
    ahead.join()
    risk, train_loss, steps = jax.device_get(solve_batch(plan, task, batch))
    return Losses(risk[:seeds], train_loss[:seeds], steps)


def _batches(
    problem: Problem, plan: Plan, num_times: int, keys: Array, usual: float = math.inf
) -> Iterator[tuple[Array, int]]:
    """Equal batches of keys (the last one padded, so that it compiles once) and how many of each count.

    usual: length where there are more keys and memory for it, as other calls have it too.
    """
    total, ways = len(keys), plan.layout.runs
    fitting = int(free_memory(plan.layout) // (8 * run_floats(problem, plan, num_times))) * ways
    if usual < total and usual <= fitting:
        length = int(usual)
    else:
        count = math.ceil(total / max(ways, min(total, fitting)))
        length = math.ceil(total / count / ways) * ways
    for start in range(0, total, length):
        index = np.minimum(np.arange(start, start + length), total - 1)
        yield keys if length == total else keys[index], min(length, total - start)


def _bar(batches: Iterable[tuple[Array, int]], plan: Plan) -> Iterable[tuple[Array, int]]:
    from tqdm import tqdm

    return tqdm(list(batches), desc=f"N={plan.setting.num_features} P={plan.setting.num_samples}", leave=False)


def _compile_ahead(plan: Plan, task: Task, keys: Array, numbers: dict[str, np.ndarray]) -> threading.Thread:
    """Compile `solve_batch` beside `draw_batch`: a fresh process waits longest for compilation."""
    batch = draw_batch.eval_shape(plan, task.problem, task.counts, keys, numbers)
    if plan.layout.mesh is not None:
        spec = NamedSharding(plan.layout.mesh, PartitionSpec(AXIS) if plan.layout.split == RUNS else PartitionSpec())
        batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=spec), batch)

    def work() -> None:
        with float64(), contextlib.suppress(Exception):  # whatever is wrong is raised by the call itself
            solve_batch.lower(plan, task, batch).compile()

    thread = threading.Thread(target=work)
    thread.start()
    return thread
