"""One frozen spec per training algorithm: its numbers and its update.

Adding an algorithm: one spec here, one filter in `theory/filters.py`, one row in the tests' table.

A spec that takes steps has `init(v)`, what it remembers beside the weights, and `step(gradient, v, memory)`, one update
of one model; `gradient(v)` is half the gradient of the training loss, Phi^T (Phi v - y)/P. A spec that `exact` can
solve has `response(z, t)`, z (m,), t (T, 1) -> (T, m): the weight after t along a direction of curvature z, divided by
its moment.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, get_args

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm import checks
from rfm.precision import is_traced
from rfm.pytrees import pytree, static
from rfm.steps import Schedule, tabulate, take_steps

POWERS = 50  # binary digits of the number of steps


@pytree
class GradientFlow:
    """dv/dt = -(1/2) grad of the training loss; time is lr x steps in the limit of small lr."""

    discrete = False

    def response(self, z: Array, t: Array) -> Array:
        """(1 - exp(-z t))/z, at z -> 0 equal to t."""
        small = z * t < 1e-12
        return jnp.where(small, t, -jnp.expm1(-z * t) / jnp.where(small, 1.0, z))


@pytree
class GradientDescent:
    """v <- v - lr [(1/2) grad of the training loss + weight_decay v]: a residual shrinks by 1 - lr z a step.

    lr: a number > 0, or an optax schedule (a function of the step count). weight_decay >= 0 leads to the weights of
    Ridge(weight_decay). Raises ValueError for other values; `simulate`, `exact` and `theory.predict` raise where the
    largest lr reaches 2/(z_max + weight_decay).
    """

    lr: Any
    weight_decay: Any = 0.0
    discrete = True
    stability = "2/(z_max + weight_decay)"

    def __post_init__(self):
        if not (callable(self.lr) or isinstance(self.lr, Schedule)):
            checks.number("lr", self.lr, 0.0, "a finite number > 0, or a schedule")
        checks.number("weight_decay", self.weight_decay, 0.0, "a finite number >= 0", inclusive=True)

    def init(self, v: Array) -> Array:
        """Steps taken."""
        del v
        return jnp.zeros((), int)

    def step(self, gradient: Callable[[Array], Array], v: Array, memory: Array) -> tuple[Array, Array]:
        """One update."""
        lr = self.lr.at(memory) if isinstance(self.lr, Schedule) else self.lr
        return v - lr * (gradient(v) + self.weight_decay * v), memory + 1

    def response(self, z: Array, t: Array) -> Array:
        """[1 - (1 - lr z')^t]/z', z' = z + weight_decay, at z' -> 0 equal to lr t; a product for a schedule."""
        if isinstance(self.lr, Schedule):  # no closed form: along each direction the steps are taken
            start = jnp.zeros_like(z)
            update = lambda v, memory: self.step(lambda v: z * v - 1.0, v, memory)  # noqa: E731
            return take_steps(update, start, self.init(start), t[:, 0])[0]
        z = z + self.weight_decay
        # log1p keeps small lr z exact at many steps; beyond lr z = 1 the factor alternates in sign
        alternating = self.lr * z > 1.0
        log_abs = jnp.where(
            alternating,
            jnp.log(jnp.abs(1.0 - self.lr * z)),
            jnp.log1p(-jnp.where(alternating, 0.0, self.lr * z)),
        )
        left = jnp.where(alternating & (t % 2 == 1), -1.0, 1.0) * jnp.exp(t * log_abs)
        left = jnp.where(t == 0, 1.0, left)
        done = jnp.where(alternating, 1.0 - left, -jnp.expm1(t * log_abs))
        small = self.lr * z * t < 1e-12
        return jnp.where(small, self.lr * t, done / jnp.where(small, 1.0, z))

    def largest_stable_lr(self, z_max: Array) -> Array:
        """2/(z_max + weight_decay)."""
        return 2.0 / (z_max + self.weight_decay)


@pytree
class HeavyBall:
    """v_{t+1} = v_t - lr g(v_t) + momentum (v_t - v_{t-1}), g half the gradient (Polyak 1964); v_{-1} = v_0 = 0.

    Raises ValueError unless lr > 0 and 0 <= momentum < 1, and where lr >= 2 (1 + momentum)/z_max.
    """

    lr: Any
    momentum: Any
    discrete = True
    stability = "2 (1 + momentum)/z_max"

    def __post_init__(self):
        checks.number("lr", self.lr, 0.0, "a finite number > 0")
        checks.fraction("momentum", self.momentum)

    def init(self, v: Array) -> Array:
        """The weights before the last step."""
        return v

    def step(self, gradient: Callable[[Array], Array], v: Array, memory: Array) -> tuple[Array, Array]:
        """One update."""
        return v - self.lr * gradient(v) + self.momentum * (v - memory), v

    def response(self, z: Array, t: Array) -> Array:
        """By powers of the linear map that a step is along one direction."""
        return _power_response(self, z, t)

    def largest_stable_lr(self, z_max: Array) -> Array:
        """2 (1 + momentum)/z_max."""
        return 2.0 * (1.0 + self.momentum) / z_max


@pytree
class Nesterov:
    """u_t = v_t + momentum (v_t - v_{t-1}), v_{t+1} = u_t - lr g(u_t), g half the gradient (Nesterov 1983).

    Raises ValueError unless lr > 0 and 0 <= momentum < 1, and at or beyond the largest stable lr.
    """

    lr: Any
    momentum: Any
    discrete = True
    stability = "2 (1 + momentum)/((1 + 2 momentum) z_max)"

    __post_init__ = HeavyBall.__post_init__
    init = HeavyBall.init
    response = HeavyBall.response

    def step(self, gradient: Callable[[Array], Array], v: Array, memory: Array) -> tuple[Array, Array]:
        """One update."""
        ahead = v + self.momentum * (v - memory)
        return ahead - self.lr * gradient(ahead), v

    def largest_stable_lr(self, z_max: Array) -> Array:
        """2 (1 + momentum)/((1 + 2 momentum) z_max)."""
        return 2.0 * (1.0 + self.momentum) / ((1.0 + 2.0 * self.momentum) * z_max)


@pytree
class SGD:
    """Stochastic gradient descent: `HeavyBall` steps along the gradient of a batch of `batch_size` samples.

    num_samples = jnp.inf: one pass, every batch is fresh. A finite number: each step draws its batch of different
    samples from the training set, so that batch_size = num_samples is full-batch descent; theory knows one pass only.
    Raises ValueError unless lr > 0, batch_size >= 1 and 0 <= momentum < 1, and where one pass would diverge in mean
    square.
    """

    lr: Any
    batch_size: Any = 1
    momentum: Any = 0.0
    discrete = True
    stability = "2 (1 - momentum^2)/((1 - momentum + (1 + momentum)/batch_size) z*)"

    def __post_init__(self):
        checks.size("batch_size", self.batch_size, integer=False)
        HeavyBall.__post_init__(self)

    init = HeavyBall.init
    step = HeavyBall.step

    def full_batch(self) -> GradientDescent | HeavyBall:
        """What it becomes as batch_size grows, and what it is on average over batches."""
        momentum = self.momentum
        plain = not is_traced(momentum) and float(momentum) == 0.0
        return GradientDescent(self.lr) if plain else HeavyBall(self.lr, momentum)

    def effective_edge(self, z: np.ndarray) -> np.ndarray:
        """z* >= z_max with sum z/(z* - z) <= 1 + batch_size (1 - momentum)/(1 + momentum): a bounded mean square.

        Source: Paquette et al. 2024 (arXiv 2405.15074), section 2, with momentum added; z: (..., n).
        """
        bound = 1.0 + self.batch_size * (1.0 - self.momentum) / (1.0 + self.momentum)
        z_max = np.max(z, axis=-1)
        low, high = np.full_like(z_max, -36.0), np.full_like(z_max, 36.0)  # of log(z*/z_max - 1), bisected
        for _ in range(60):
            middle = 0.5 * (low + high)
            edge = z_max * (1.0 + np.exp(middle))
            bounded = np.sum(z / (edge[..., None] - z), axis=-1) < bound
            low, high = np.where(bounded, low, middle), np.where(bounded, middle, high)
        return z_max * (1.0 + np.exp(high))

    def largest_stable_lr(self, z_max: Array) -> Array:
        """As `stability` says, with z* of `effective_edge`."""
        spread = 1.0 - self.momentum + (1.0 + self.momentum) / self.batch_size
        return 2.0 * (1.0 - self.momentum**2) / (spread * z_max)


@pytree
class Optax:
    """Any optax transformation, in simulation only: Optax(optax.adam(1e-2)).

    transformation: an optax.GradientTransformation, or a function that makes one from `numbers`, as in
    Optax(optax.adam, {"learning_rate": 1e-2}): then a sweep over the numbers compiles once. It sees half the gradient
    of the training loss of one model, so that optax.sgd(lr) is GradientDescent(lr). No closed form is known;
    nothing is checked beforehand, a run that diverges stops and says so. Raises ValueError for a transformation that is
    neither, and for numbers beside a finished one.
    """

    transformation: Any = static()
    numbers: Any = dataclasses.field(default_factory=dict)
    discrete = True

    def __post_init__(self):
        made = self.transformation if isinstance(self.transformation, tuple) else None
        if made is None and not callable(self.transformation):
            checks.fail("transformation", "an optax transformation or a function that makes one", self.transformation)
        if made is not None and self.numbers:
            checks.fail("numbers", "empty beside a finished transformation", self.numbers)

    def _build(self):
        return self.transformation if isinstance(self.transformation, tuple) else self.transformation(**self.numbers)

    def init(self, v: Array) -> Any:
        """State of the transformation."""
        return self._build().init(v)

    def step(self, gradient: Callable[[Array], Array], v: Array, memory: Any) -> tuple[Array, Any]:
        """One update."""
        updates, memory = self._build().update(gradient(v), memory, v)
        return v + updates, memory


@pytree
class Ridge:
    """Ridge regression, trained to convergence: training loss + ridge |v|^2 minimised. No time: pass no `times`.

    ridge = 0 is the ridgeless limit, where gradient flow ends at t = infinity. Raises ValueError unless ridge >= 0.
    """

    ridge: Any
    discrete = False

    def __post_init__(self):
        checks.number("ridge", self.ridge, 0.0, "a finite number >= 0", inclusive=True)

    def response(self, z: Array, t: Array) -> Array:
        """1/(z + ridge); without a ridge, directions whose curvature is rounding error stay untouched."""
        total = jnp.broadcast_to(z + self.ridge, jnp.broadcast_shapes(jnp.shape(z), jnp.shape(t)))
        cutoff = jnp.max(z, initial=0.0) * z.shape[-1] * jnp.finfo(z.dtype).eps
        return jnp.where(total > cutoff, 1.0 / jnp.where(total > cutoff, total, 1.0), 0.0)


Optimizer = GradientFlow | GradientDescent | HeavyBall | Nesterov | SGD | Ridge | Optax


def _power_response(optimizer: HeavyBall | Nesterov, z: Array, t: Array) -> Array:
    """(T, m) weights after t (T, 1) steps along curvatures z (m,): powers of the 3 x 3 map of (v, memory, 1)."""
    zero, one = jnp.zeros_like(z), jnp.ones_like(z)
    pull = lambda source: lambda v: z * v - source  # noqa: E731
    columns = [optimizer.step(pull(0.0), one, zero), optimizer.step(pull(0.0), zero, one)]
    columns.append(optimizer.step(pull(1.0), zero, zero))
    rows = [jnp.stack(row, axis=-1) for row in zip(*columns, strict=True)]
    matrix = jnp.stack([*rows, jnp.stack([zero, zero, one], axis=-1)], axis=-2)  # (m, 3, 3)
    state = jnp.zeros((t.shape[0], z.shape[0], 3)).at[..., 2].set(1.0)

    def bit(_, carry):  # all powers commute: the digits of t may come in any order
        matrix, state, left = carry
        moved = jnp.einsum("mij,tmj->tmi", matrix, state)
        return matrix @ matrix, jnp.where((left % 2 == 1)[..., None], moved, state), left // 2

    return lax.fori_loop(0, POWERS, bit, (matrix, state, t))[1][..., 0]


def resolve(optimizer: Optimizer, times: Array | None) -> Optimizer:
    """The optimizer with the schedule of its learning rate, if it has one, tabulated up to the last of `times`."""
    if not callable(getattr(optimizer, "lr", None)):
        return optimizer
    if not isinstance(optimizer, GradientDescent):
        name = type(optimizer).__name__
        checks.fail("lr", f"a number for {name} (schedules: GradientDescent or Optax)", optimizer.lr)
    return dataclasses.replace(optimizer, lr=tabulate(optimizer.lr, int(np.max(times))))


def check_times(optimizer: Optimizer, times: object) -> None:
    """Raise ValueError for something that is no algorithm, or for times it cannot be run at."""
    if not isinstance(optimizer, Optimizer):
        checks.fail("optimizer", "one of " + ", ".join(c.__name__ + "(...)" for c in get_args(Optimizer)), optimizer)
    if isinstance(optimizer, Ridge) != (times is None):
        checks.fail("times", "given, except to Ridge(), which is trained to convergence", times)
    if times is not None:
        checks.time_grid(times, integer=optimizer.discrete)


def stability_edge(optimizer: Optimizer, curvatures: np.ndarray, num_samples: float) -> np.ndarray:
    """What limits the learning rate of draws with curvatures (S, m): the largest one (S,), or z* of one pass."""
    one_pass = isinstance(optimizer, SGD) and math.isinf(num_samples)
    return optimizer.effective_edge(curvatures) if one_pass else np.max(curvatures, axis=-1)


def check_stability(optimizer: Optimizer, edge: np.ndarray, num_features: float, num_samples: float) -> None:
    """Raise ValueError where training diverges; edge: of `stability_edge`, or of the theory."""
    if not hasattr(optimizer, "largest_stable_lr"):
        return
    rule, edge = optimizer, float(np.max(edge))
    if isinstance(optimizer, SGD) and math.isfinite(num_samples):
        # batches of a finite set: the mean diverges beyond the bound of full batches, the rest shows in the run
        rule = HeavyBall(optimizer.lr, optimizer.momentum)
    bound = float(rule.largest_stable_lr(edge))
    lr = float(np.max(optimizer.lr.values if isinstance(optimizer.lr, Schedule) else optimizer.lr))
    if not lr < bound:
        symbol = "z*" if "z*" in rule.stability else "z_max"
        raise ValueError(
            f"Argument `lr` must be < {bound:.6g} = {rule.stability} for training to converge "
            f"(largest curvature {symbol} = {edge:.6g} "
            f"at num_features = {num_features}, num_samples = {num_samples}), but is {lr!r}."
        )
