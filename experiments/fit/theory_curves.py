"""The risk of the theory at all points of a table, and its derivatives, as functions of the fitted numbers."""

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
STEP = 1e-4  # of a central difference
NOISE = 2  # place of the noise among the knobs
FIRST_UNIT = 3  # place of the first unit among the knobs: a, b, noise and the logarithms of the units of N, P and t


class Points(NamedTuple):
    """G learning curves of T times: N (G,), P (G,) and times (G, T), None where training has ended."""

    optimizer: Optimizer
    features: Any
    samples: Any
    times: Any


def risk(knobs: np.ndarray, points: Points, num_modes: int | None, nodes: int) -> np.ndarray:
    """Return the risk (G T,) at knobs a, b, noise and logarithms of the units of N, P and t, (6,).

    So many curves are evaluated at a time that one compilation serves any table.
    """
    optimizer, *rows = points
    count, parts = len(points.features), []
    for start in range(0, count, BLOCK):
        block = np.minimum(np.arange(start, start + BLOCK), count - 1)
        part = Points(optimizer, *(None if x is None else x[block] for x in rows))
        parts.append(_risk(knobs, part, num_modes, nodes)[: count - start])
    return np.concatenate(parts).reshape(-1)


def slope(knobs: np.ndarray, place: int, *how: Any) -> np.ndarray:
    """Return the derivative of `risk` (G T,) in one knob; how: its other arguments.

    By central differences, right to 1e-8: derivatives along the evaluation cost three times as much. The risk is linear
    in the noise.
    """
    step = np.eye(len(knobs))[place]
    if place == NOISE:
        return risk(knobs + step, *how) - risk(knobs, *how)
    return (risk(knobs + STEP * step, *how) - risk(knobs - STEP * step, *how)) / (2.0 * STEP)


@partial(jax.jit, static_argnums=(2, 3))
def _risk(knobs: Array, points: Points, num_modes: int | None, nodes: int) -> Array:
    optimizer, *rows = points
    return lax.map(lambda row: _curve(knobs, Points(optimizer, *row), num_modes, nodes), tuple(rows))


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
