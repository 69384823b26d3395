"""The risk of the theory at all points of a table, and its derivatives, as compiled functions of the fitted numbers."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

import rfm
from rfm.optimizers import Optimizer
from theory.cases import Case
from theory.evaluation import evaluate

CLOSED = 1e-2  # an estimated relative error above it is no result: the lr is beyond stability
BLOCK = 8  # curves that are evaluated at a time
FIRST_UNIT = 3  # place of the first unit among the knobs: a, b, noise and the logarithms of the units of N, P and t


class Points(NamedTuple):
    """G learning curves of T times: N (G,), P (G,) and times (G, T), None where training has ended."""

    optimizer: Optimizer
    features: Any
    samples: Any
    times: Any


def risk(knobs: np.ndarray, points: Points, num_modes: int | None, nodes: int) -> np.ndarray:
    """Return the risk (G T,) at knobs a, b, noise and logarithms of the units of N, P and t, (6,)."""
    return _by_blocks(lambda part: (_risk(knobs, part, num_modes, nodes),), points)[0]


def risk_slopes(
    knobs: np.ndarray, points: Points, num_modes: int | None, nodes: int, active: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return `risk` and its derivatives (G T, K) in the K knobs at places `active`."""
    if not active:  # all knobs are held
        values = risk(knobs, points, num_modes, nodes)
        return values, np.zeros((len(values), 0))
    values, slopes = _by_blocks(lambda part: _slopes(knobs, part, num_modes, nodes, active), points)
    return values, slopes


def _by_blocks(function: Callable[[Points], tuple[Array, ...]], points: Points) -> list[np.ndarray]:
    """Evaluate a function of curves, so many at a time that one compilation serves any table."""
    optimizer, *rows = points
    count, parts = len(points.features), []
    for start in range(0, count, BLOCK):
        block = np.minimum(np.arange(start, start + BLOCK), count - 1)
        parts.append(function(Points(optimizer, *(None if x is None else x[block] for x in rows))))
    per_curve = 1 if points.times is None else points.times.shape[1]
    return [np.concatenate(part)[: count * per_curve] for part in zip(*parts, strict=True)]


@partial(jax.jit, static_argnums=(2, 3))
def _risk(knobs: Array, points: Points, num_modes: int | None, nodes: int) -> Array:
    optimizer, *rows = points
    return lax.map(lambda row: _curve(knobs, Points(optimizer, *row), num_modes, nodes), tuple(rows)).reshape(-1)


@partial(jax.jit, static_argnums=(2, 3, 4))
def _slopes(
    knobs: Array, points: Points, num_modes: int | None, nodes: int, active: tuple[int, ...]
) -> tuple[Array, Array]:
    optimizer, *rows = points
    places = jnp.array(active)

    def with_slopes(row: tuple) -> tuple[Array, Array]:
        def curve(chosen: Array) -> tuple[Array, Array]:
            values = _curve(knobs.at[places].set(chosen), Points(optimizer, *row), num_modes, nodes)
            return values, values

        slopes, values = jax.jacfwd(curve, has_aux=True)(knobs[places])
        return values, slopes

    values, slopes = lax.map(with_slopes, tuple(rows))
    return values.reshape(-1), slopes.reshape(values.size, len(active))


def _curve(knobs: Array, row: Points, num_modes: int | None, nodes: int) -> Array:
    """Risk (T,) of one curve, NaN where the theory has none."""
    a, b, noise, *units = knobs
    problem = rfm.power_law(a, b, num_modes, noise)
    n, p = _in_units(row.features, units[0]), _in_units(row.samples, units[1])
    times = None if row.times is None else row.times * jnp.exp(units[2])
    curve = evaluate(Case(problem, n, p, row.optimizer, times), nodes=nodes)
    return jnp.where(curve.residual < CLOSED, curve.risk, jnp.nan)


def _in_units(size: Array, log_unit: Array) -> Array:
    # an infinite size has no derivative
    finite = jnp.isfinite(size)
    return jnp.where(finite, jnp.where(finite, size, 1.0) * jnp.exp(log_unit), jnp.inf)
