"""Features that are trained too: a layer W between random features phi and readout theta, f = theta^T W phi.

It starts at W = 1, theta = 0, and its gradient counts `richness` times as much as that of the readout:

    theta <- theta + lr W g,  W <- W + lr richness theta g^T,  g = Phi^T (y - Phi beta)/P,  beta = W^T theta

so that `richness` is the ratio of two learning rates and 0 is the model whose features stay. The pair is one array
(N + 1, N), the readout its first row, so that an algorithm takes its steps on it as on any weights. Risk and loss are
those of the effective weights beta, and the kernel W^T W has grown by m = 1 + richness |theta|^2.

Gradient flow has a solution in the eigenbasis of the curvature, along which the moment is c: beta = c sqrt(m) psi with

    dpsi/dtau = 1/sqrt(m) - z psi,  m = 1 + richness sum c^2 psi^2,  t = int dtau/m,

followed along a geometric grid of tau, with 1/sqrt(m) a polynomial in each step and exponentials exact.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm.engine.batches import Batch, Solution, Task, each
from rfm.engine.features import Draw, Setting
from rfm.optimizers import Optax
from rfm.protocols import Gradient, Stepper
from rfm.steps import take_steps

DEGREE = 5  # of 1/sqrt(m) in a step of tau
STEPS = 112  # of tau: 14 decades at a ratio of 1.33
ROUNDS = 20  # for 1/sqrt(m) at the points of a step: each takes a digit off the error, and more
LOOKS = 64  # doublings of time that are tried for the last tau
SAFE = 16.0  # by which |beta|^2 may exceed what it is without training of features at the same tau
BEYOND = 26  # powers above DEGREE from which integrals are followed down
LARGE = 8.0  # x from which they are followed up


def join(readout: Array, layer: Array) -> Array:
    """Return the pair as one array: (..., N) and (..., N, N) give (..., N + 1, N)."""
    return jnp.concatenate([readout[..., None, :], layer], axis=-2)


def untrained(shape: tuple[int, ...]) -> Array:
    """Return the pair at the start, (..., N + 1, N), of a readout of shape (..., N)."""
    return join(jnp.zeros(shape), jnp.broadcast_to(jnp.eye(shape[-1]), (*shape, shape[-1])))


def effective(pair: Array) -> Array:
    """Return beta = W^T theta, (..., N)."""
    return jnp.einsum("...n,...nm->...m", pair[..., 0, :], pair[..., 1:, :])


def growth_of(pair: Array, richness: Array) -> Array:
    """Return m of pairs (..., N + 1, N): (...)."""
    return 1.0 + richness * jnp.sum(pair[..., 0, :] ** 2, axis=-1)


class Way(NamedTuple):
    """Training of the readout alone, or of a pair: how it starts and steps, and what is recorded of it.

    start: weights (S, K, N) to what is trained; growth: None without training of features.
    """

    start: Callable[[Array], Array]
    begin: Callable[..., Any]
    step: Callable[..., tuple[Array, Any]]
    effective: Callable[[Array], Array]
    growth: Callable[[Array, Array], Array | None]


def way_of(task: Task) -> Way:
    """Return how a task is trained."""
    return READOUT if task.richness is None else PAIR


def richness_of(task: Task, batch: Batch) -> Array:
    """Return the richness (S,) of every run, zero where features are not trained."""
    shared = 0.0 if task.richness is None else task.richness
    return jnp.broadcast_to(jnp.asarray(batch.numbers.get("richness", shared), float), batch.draws.labels.shape[:1])


def begin(optimizer: Stepper, pair: Array) -> Any:
    """Return the memory of an algorithm that trains a pair; one of optax sees two arrays."""
    return optimizer.init((pair[0], pair[1:]) if isinstance(optimizer, Optax) else pair)  # pyright: ignore


def step_pair(optimizer: Stepper, gradient: Gradient, richness: Array, *state: Any) -> tuple[Array, Any]:
    """Take one step of a pair; gradient: that of effective weights. state: the pair and the memory."""
    pair, memory = state

    def both(readout: Array, layer: Array) -> tuple[Array, Array]:
        slope = gradient(readout @ layer)
        return layer @ slope, richness * readout[:, None] * slope[None]

    if isinstance(optimizer, Optax):
        moved, memory = optimizer.step(lambda two: both(*two), (pair[0], pair[1:]), memory)  # pyright: ignore
        return join(*moved), memory
    return optimizer.step(lambda pair: join(*both(pair[0], pair[1:])), pair, memory)


READOUT = Way(
    start=lambda v: v,
    begin=lambda optimizer, v: optimizer.init(v),
    step=lambda optimizer, gradient, richness, v, memory: optimizer.step(gradient, v, memory),
    effective=lambda v: v,
    growth=lambda v, richness: None,
)
PAIR = Way(
    start=lambda v: untrained(v.shape),
    begin=begin,
    step=step_pair,
    effective=effective,
    growth=lambda pair, richness: growth_of(pair, richness.reshape(-1, *[1] * (pair.ndim - 3))),  # (S, N + 1, N)
)


def solve_trained(task: Task, setting: Setting, batch: Batch) -> Solution:
    """Return effective weights (S, 1, T, n) at all times and the growth of the kernel (S, T), without random steps."""
    z, richness = batch.eigensystems.values, richness_of(task, batch)

    def lengths(draw: Draw, z: Array) -> Array:
        # of the vectors beside which the smaller system has its coordinates
        return jnp.sqrt(z * setting.true.samples) if setting.dual else jnp.ones_like(z)

    def moment_of(draw: Draw, basis: Array) -> Array:  # (m,)
        if draw.design is None:
            return draw.moment(setting)[0] @ basis
        return (draw.labels[0] if setting.dual else draw.labels[0] @ draw.design) / setting.true.samples @ basis

    unit = jax.vmap(lengths)(batch.draws, z)
    c = jax.vmap(moment_of)(batch.draws, batch.eigensystems.vectors) * unit  # (S, m)
    count = None
    if isinstance(task.optimizer, Stepper):

        def update(pair: Array, memory: Any) -> tuple[Array, Any]:
            def step(optimizer: Stepper, z: Array, c: Array, *state: Any) -> tuple[Array, Any]:
                return step_pair(optimizer, lambda beta: z * beta - c, *state)

            return each(task.optimizer, batch, step, z, c, richness, pair, memory)

        start = untrained(c.shape)
        memory = each(task.optimizer, batch, begin, start)
        record = lambda pair, _: (effective(pair), PAIR.growth(pair, richness))  # noqa: E731
        (beta, growth), count = take_steps(update, start, memory, task.times, record=record)
        beta, growth = jnp.moveaxis(beta, 0, 1), growth.T  # (S, T, m), (S, T)
    else:
        flow = lambda z, c, richness: flow_along(z, c**2, jnp.asarray(task.times), richness)  # noqa: E731
        response, growth = jax.vmap(flow)(z, c, richness)
        beta = response * c[:, None]
    beta = beta / jnp.where(unit > 0, unit, 1.0)[:, None]

    def back(draw: Draw, basis: Array, beta: Array) -> Array:
        through = basis.T @ draw.design if draw.design is not None and setting.dual else basis.T
        return (beta @ through)[None]

    return Solution(jax.vmap(back)(batch.draws, batch.eigensystems.vectors, beta), count, growth=growth)


class Flow(NamedTuple):
    """Response (T, m), effective weights over c, and growth (T,) of the kernel."""

    response: Array
    growth: Array


def flow_along(z: Array, squares: Array, times: Array, richness: Array) -> Flow:
    """Solve gradient flow along directions of curvature z (m,) and squared moments c^2 (m,) at `times` (T,)."""
    last = _last_tau(z, squares, times[-1], richness)
    first = 0.2 / jnp.maximum(jnp.sqrt(richness * squares.sum()), jnp.maximum(z.max(), 1.0 / last))
    grid = jnp.concatenate([jnp.zeros(1), first * (last / first) ** (jnp.arange(STEPS + 1) / STEPS)])
    points, _ = _collocation()

    def step(state: tuple[Array, Array], length: Array) -> tuple[tuple[Array, Array], Any]:
        psi, _ = state
        values = _values(z, squares * richness, length, *state)
        end, _ = _advance(z, length, psi, values)
        return (end, values[-1]), (psi, values, length * _until(values**2, 1.0))

    _, (psi, values, spent) = lax.scan(step, (jnp.zeros_like(z), jnp.ones(())), jnp.diff(grid))
    ends = jnp.cumsum(spent)
    at = jnp.clip(jnp.searchsorted(ends, times), 0, STEPS)

    def look(at: Array, time: Array) -> tuple[Array, Array]:
        length, left = grid[at + 1] - grid[at], time - (ends[at] - spent[at])
        u = left / length / values[at, 0] ** 2
        for _ in range(6):  # of Newton
            slope = _at(values[at] ** 2, u)
            u = jnp.clip(u - (length * _until(values[at] ** 2, u) - left) / (length * slope), 0.0, 1.0)
        within = jax.vmap(lambda x: _at(values[at], u * x))(points)
        psi_here, _ = _advance(z, u * length, psi[at], within)
        growth = 1.0 + richness * jnp.sum(squares * psi_here**2)
        # a last tau that came too early would end the curve before its last time
        growth = jnp.where(time <= ends[-1] * (1.0 + 1e-6), growth, jnp.nan)
        return jnp.sqrt(growth) * psi_here, growth

    return Flow(*jax.vmap(look)(at, times))


def _last_tau(z: Array, squares: Array, time: Array, richness: Array) -> Array:
    """Return a tau that a flow passes after `time` only: |beta| is not far above what it is without training of W."""
    tau = time * 2.0 ** jnp.arange(LOOKS)
    x = z[None] * tau[:, None]
    reach = jnp.where(x < 1e-12, tau[:, None], -jnp.expm1(-x) / jnp.where(x < 1e-12, 1.0, z[None]))
    growth = 0.5 + jnp.sqrt(0.25 + SAFE * richness * (reach**2 @ squares))
    enough = tau >= time * growth
    return jnp.maximum(jnp.where(jnp.any(enough), tau[jnp.argmax(enough)], tau[-1]), jnp.finfo(z.dtype).tiny * 1e30)


def _collocation() -> tuple[np.ndarray, np.ndarray]:
    """Chebyshev's points of [0, 1] with both ends, and the powers of the polynomial that is one at each of them."""
    points = 0.5 - 0.5 * np.cos(np.pi * np.arange(DEGREE + 1) / DEGREE)
    return points, np.linalg.inv(np.vander(points, increasing=True)).T


def _at(values: Array, u: Array | float) -> Array:
    """Value at u of the polynomial through `values`."""
    _, powers = _collocation()
    return values @ powers @ (u ** np.arange(DEGREE + 1))


def _until(values: Array, u: Array | float) -> Array:
    """Integral from 0 to u of the polynomial through `values`."""
    _, powers = _collocation()
    count = np.arange(1, DEGREE + 2)
    return values @ powers @ (u**count / count)


def _advance(z: Array, length: Array, psi: Array, values: Array) -> tuple[Array, Array]:
    """Return psi (m,) after a length of tau, with `values` of 1/sqrt(m) on the way, and what each one adds, (p, m)."""
    x = z * length
    added = length * _weights(x)
    return psi * jnp.exp(-x) + values @ added, added


def _weights(x: Array) -> Array:
    """int_0^1 exp(-x (1 - w)) l_i(w) dw for the polynomial of every point, (p, m)."""
    _, powers = _collocation()
    # powers of 1 - w, as the integrals of exp(-x s) s^k are known
    turned = powers[::-1]  # the points are their own mirror image
    small, large = jnp.minimum(x, LARGE), jnp.maximum(x, LARGE)
    down, decay = jnp.exp(-small) / (DEGREE + BEYOND + 1), jnp.exp(-small)
    integrals: list[Array] = []
    for k in range(DEGREE + BEYOND, -1, -1):
        if k <= DEGREE:
            integrals.insert(0, down)
        down = (small * down + decay) / max(k, 1)
    up = -jnp.expm1(-large) / large
    for k in range(DEGREE + 1):
        up = up if k == 0 else (k * up - jnp.exp(-large)) / large
        integrals[k] = jnp.where(x > LARGE, up, integrals[k])
    return jnp.asarray(turned) @ jnp.stack(integrals)


def _values(z: Array, squares: Array, length: Array, psi: Array, first: Array) -> Array:
    """Return 1/sqrt(m) at the points of a step, by rounds from its value at the start; squares: richness c^2."""
    points, powers = _collocation()
    # the polynomial up to a point, at the points of that part: (j, p, p)
    parts = np.stack([np.vander(points * u, DEGREE + 1, increasing=True) @ powers.T for u in points])
    added = jax.vmap(lambda u: _advance(z, length * u, psi, jnp.zeros(DEGREE + 1))[1])(points)  # (j, p, m)
    added = jnp.einsum("jpi,jpm->jim", parts, added)
    kept = psi[None] * jnp.exp(-z[None] * length * points[:, None])  # (j, m)
    constant = kept**2 @ squares
    linear = 2.0 * jnp.einsum("jim,jm->ji", added, kept * squares[None])
    quadratic = jnp.einsum("jim,jkm->jik", added * squares[None, None], added)

    def again(_: Array, values: Array) -> Array:
        return (1.0 + constant + (linear + quadratic @ values) @ values) ** -0.5

    return lax.fori_loop(0, ROUNDS, again, first * jnp.ones(DEGREE + 1))
