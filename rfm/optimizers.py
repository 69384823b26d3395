"""Training algorithms: one frozen spec each, and what can be asked of any of them.

Adding an algorithm: one spec (`rfm.full_batch`, `rfm.sgd`), one filter in `theory/filters.py`, one row in the tests'
table. The methods of a spec say what can be done with it (`rfm.protocols`).
"""

import dataclasses
import math
from typing import get_args

import jax
import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.dana import DANA, Batched
from rfm.full_batch import GradientDescent, GradientFlow, HeavyBall, Nesterov, Preconditioned, Ridge
from rfm.optax_steps import Optax
from rfm.precision import is_traced
from rfm.protocols import Bounded
from rfm.sgd import SGD
from rfm.steps import Schedule, tabulate

Optimizer = GradientFlow | GradientDescent | HeavyBall | Nesterov | Preconditioned | SGD | DANA | Ridge | Optax


def resolve(optimizer: Optimizer, times: ArrayLike | None) -> Optimizer:
    """Return the optimizer with its schedules and its average, if any, tabulated up to the last of `times`.

    Numbers that JAX does not know, such as fractions, become floats.
    """
    optimizer = jax.tree.map(checks.plain, optimizer)
    lr = getattr(optimizer, "lr", None)
    if isinstance(optimizer, Batched) and times is not None and not is_constant(optimizer):
        if is_traced(times):
            checks.fail("times", "known numbers, not traced ones, for a schedule or an average", times)
        return optimizer.tabulated(int(np.max(times)))
    if times is None or not callable(lr):
        return optimizer
    if not isinstance(optimizer, GradientDescent):
        takers = "GradientDescent, SGD, DANA or Optax"
        checks.fail("lr", f"a number for {type(optimizer).__name__} (schedules: {takers})", lr)
    return dataclasses.replace(optimizer, lr=tabulate(lr, int(np.max(times))))


def is_constant(optimizer: Batched) -> bool:
    """Tell whether no number of SGD changes, so that its theory has a formula for all times of one pass."""
    return isinstance(optimizer, SGD) and optimizer.constant


def check_times(optimizer: Optimizer, times: object) -> None:
    """Raise ValueError for something that is not an algorithm, or for times it cannot be run at."""
    if not isinstance(optimizer, Optimizer):
        names = (c.__name__ + "(...)" for c in get_args(Optimizer))
        raw = isinstance(optimizer, tuple) and hasattr(optimizer, "update")
        checks.fail("optimizer", "wrapped in rfm.Optax(...)" if raw else "one of " + ", ".join(names), optimizer)
    if not isinstance(optimizer, Ridge):
        checks.time_grid(times, integer=optimizer.discrete)
    elif times is not None:
        checks.fail("times", "left out for Ridge, trained to the end (over time: GradientDescent, weight_decay)", times)


def stability_edge(optimizer: Optimizer, curvatures: np.ndarray, num_samples: float) -> np.ndarray:
    """Largest curvature of draws with curvatures (S, m), or the z* (Q,) of one pass: it limits the learning rate."""
    if isinstance(optimizer, SGD) and math.isinf(num_samples):
        return np.max(optimizer.effective_edge(curvatures), axis=0)
    return np.max(curvatures)


def check_stability(
    optimizer: Optimizer, edge: ArrayLike, num_features: float, num_samples: float, *, mean_square: bool = True
) -> None:
    """Raise ValueError where training diverges; edge: of `stability_edge`, or of the theory.

    mean_square: whether that of SGD on a finite set is a z*. If not, it is the largest curvature: the mean diverges
    beyond the bound of full batches, and the rest shows in the run.
    """
    if not isinstance(optimizer, Bounded) or optimizer.lr is None:
        return
    formula, symbol = optimizer.stability, "z_max"
    if not isinstance(optimizer, SGD):
        bound = optimizer.largest_stable_lr(float(np.max(edge)))
    elif mean_square or math.isinf(num_samples):
        bound, symbol = optimizer.largest_stable_lr(np.asarray(edge), num_samples), "z*"
    else:
        bound, formula = 2.0 * (1.0 + optimizer.momentum) / np.max(edge), HeavyBall.stability
    lr, bound = np.broadcast_arrays(optimizer.lr.values if isinstance(optimizer.lr, Schedule) else optimizer.lr, bound)
    if np.all(lr < bound):
        return
    worst = int(np.argmax(lr / bound))
    step = f" at step {worst}" if isinstance(optimizer, Batched) and lr.size > 1 else ""
    sizes = f"num_features = {num_features}, num_samples = {num_samples}"
    where = f"largest curvature {symbol} = {float(np.max(edge)):.6g} at {sizes}"
    allowed = f"< {bound.flat[worst]:.6g} = {formula} for training to converge{step} ({where})"
    if isinstance(optimizer, DANA) and bound.flat[worst] <= 0:
        allowed = f"smaller for training to converge{step}, where lr must be {allowed}"
        checks.fail("momentum_lr", allowed, float(np.broadcast_to(optimizer.momentum_lr, lr.shape).flat[worst]))
    checks.fail("lr", allowed, float(lr.flat[worst]))
