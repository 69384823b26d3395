"""Features that are trained, solved in the eigenbasis of the curvature: gradient flow, and steps without a random part.

Gradient flow has a solution in the eigenbasis of the curvature, along which the moment is c: beta = c sqrt(m) psi with

    dpsi/dtau = 1/sqrt(m) - z psi,  m = 1 + richness sum c^2 psi^2,  t = int dtau/m,

followed along a geometric grid of tau, with 1/sqrt(m) a polynomial in each step and exponentials exact.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from rfm.engine.features import Draw, Setting
from rfm.engine.plans import Batch, Solution, Task, each
from rfm.engine.trained_layers import PAIR, begin, effective, richness_of, step_pair, untrained
from rfm.protocols import Stepper
from rfm.steps import take_steps

DEGREE = 5  # of 1/sqrt(m) in a step of tau
STEPS = 112  # of tau: 14 decades at a ratio of 1.33
ROUNDS = 20  # for 1/sqrt(m) at the points of a step: each takes a digit off the error, and more
LOOKS = 64  # doublings of time that are tried for the last tau
SAFE = 16.0  # by which |beta|^2 may exceed what it is without training of features at the same tau
BEYOND = 20  # powers above DEGREE from which integrals are followed down
LARGE = 3.0  # x from which they are followed up


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
        kept, added = _step(z, length)
        values = _values(kept * psi[None], added, squares * richness, state[1])
        return (kept[-1] * psi + values @ added[-1], values[-1]), (psi, values, length * _until(values**2, 1.0))

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
        moments, decay = _moments(z * u * length)
        psi_here = decay * psi[at] + u * length * (within @ jnp.asarray(_turned()) @ moments)
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


def _turned() -> np.ndarray:
    """Powers of 1 - u of the polynomial that is one at each point, (p, k); the points are their own mirror image."""
    return _collocation()[1][::-1]


def _moments(x: Array) -> tuple[Array, Array]:
    """int_0^1 exp(-x s) s^k ds, (k, ...), and exp(-x): down from a far one, or up where x is large."""
    decay, small, large = jnp.exp(-x), jnp.minimum(x, LARGE), jnp.maximum(x, LARGE)
    late, early = jnp.minimum(decay, math.exp(-LARGE)), jnp.maximum(decay, math.exp(-LARGE))

    def down(moment: Array, k: Array) -> tuple[Array, Array]:  # from that of k to that of k - 1
        lower = (small * moment + early) / k
        return lower, lower

    def up(moment: Array, k: Array) -> tuple[Array, Array]:  # from that of k - 1 to that of k
        higher = (k * moment - late) / large
        return higher, higher

    # one loop for all powers: as one expression, XLA would follow each from the start
    powers, far = jnp.arange(1.0, DEGREE + 1), DEGREE + 1.0 + jnp.arange(BEYOND)
    last = lax.scan(lambda moment, k: (down(moment, k)[0], ()), early / (far[-1] + 1.0), far[::-1])[0]
    first = (1.0 - late) / large
    low = jnp.concatenate([lax.scan(down, last, powers[::-1])[1][::-1], last[None]])
    high = jnp.concatenate([first[None], lax.scan(up, first, powers)[1]])
    return jnp.where(x[None] > LARGE, high, low), decay


def _step(z: Array, length: Array) -> tuple[Array, Array]:
    """Return what is kept of psi at each point of a step (j, m), and what each value up to there adds (j, i, m)."""
    points, powers = _collocation()
    # the polynomial up to a point, at the points of that part: (j, p, i)
    parts = np.stack([np.vander(points * u, DEGREE + 1, increasing=True) @ powers.T for u in points])
    table = np.einsum("j,jpi,pk->jik", points, parts, _turned())
    moments, kept = _moments(z[None] * length * points[:, None])  # (k, j, m)
    return kept, length * jnp.einsum("jik,kjm->jim", table, moments)


def _values(kept: Array, added: Array, squares: Array, first: Array) -> Array:
    """Return 1/sqrt(m) at the points of a step, by rounds from its value at the start.

    kept: psi there (j, m) but for what is added (j, i, m); squares: richness c^2.
    """
    constant = kept**2 @ squares
    linear = 2.0 * jnp.einsum("jim,jm->ji", added, kept * squares[None])
    quadratic = jnp.einsum("jim,jkm->jik", added * squares[None, None], added)

    def again(_: Array, values: Array) -> Array:
        return (1.0 + constant + (linear + quadratic @ values) @ values) ** -0.5

    return lax.fori_loop(0, ROUNDS, again, first * jnp.ones(DEGREE + 1))
