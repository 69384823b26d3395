"""Second moments of SGD along one direction of curvature z, step by step: schedules, momentum, averages.

With d the distance from the best weights, d before the last step, and d of the average, a step is linear,

    v_{t+1} = v_t - lr_t g + m_t (v_t - v_{t-1}),  average_{t+1} = e_t average_t + (1 - e_t) v_{t+1},

so that their second moments S(z, z') follow S <- A(z) S A(z')^T + n n^T (chance_t z z' S_11 + drive), A a matrix of 1 to
3 rows, n how the gradient enters, chance_t the variance of a batch's mean per sample. The map contracts where
|1 - (1 + chance) lr z| < 1, and with momentum in an ellipse that is smaller by (1 - m)/(1 - m + (1 + m) chance).
"""

from typing import Any, NamedTuple

from theory.arrays import Array, namespace, stop_gradient
from theory.filters import SHORTEST, Filter, ellipse, gradient_descent

LEAST_RATE = 1e-12  # of the largest learning rate: one of zero bounds nothing
LEAST_CHANCE = 1e-12  # of a batch: all samples leave nothing to it
TINY = 1e-9  # a w at which the map of the half plane is linear
Matrix = tuple[tuple[Array, ...], ...]


class Steps(NamedTuple):
    """One value a step (T,) of the learning rate, the chance of a batch, momentum and decay of the average.

    Momentum and decay are None where there are none.
    """

    lr: Array
    chance: Array
    momentum: Array | None
    decay: Array | None


def one_step(step: Steps, z: Array) -> tuple[list[list[Any]], list[Any]]:
    """Return rows of A at a step, None for zero, and n; the weights come first, the average last."""
    lr, _, m, e = step
    rows, n = [[1.0 - lr * z]], [-lr]
    if m is not None:
        rows, n = [[1.0 + m - lr * z, -m], [1.0, None]], [-lr, None]
    if e is not None:
        rows = [*([*row, None] for row in rows), [*((1.0 - e) * x for x in rows[0]), e]]
        n = [*n, -(1.0 - e) * lr]
    return rows, n


def size_of(steps: Steps) -> int:
    """Count the rows of A."""
    return 1 + (steps.momentum is not None) + (steps.decay is not None)


def push(moments: Matrix, left: tuple[list, list], right: tuple[list, list], drive: Array) -> Matrix:
    """Return A S A'^T + n n'^T drive, A and n of `one_step` at two points."""
    (rows, n), (others, n_other) = left, right
    half = [[_dot(row, column) for column in zip(*moments, strict=True)] for row in rows]
    pushed = []
    for i, row in enumerate(half):
        pushed.append([])
        for j, other in enumerate(others):
            value = _dot(other, row)
            force = None if n[i] is None or n_other[j] is None else n[i] * n_other[j] * drive
            pushed[i].append(value if force is None else value + force)
    return tuple(map(tuple, pushed))


def _dot(coefficients: Any, values: Any) -> Any:
    """Sum of products, without those that are zero."""
    return sum(c * x for c, x in zip(coefficients, values, strict=True) if c is not None)


def fill(steps: Steps, value: Array) -> Matrix:
    """Return a matrix of moments that are all the same."""
    return tuple(tuple(value for _ in range(size_of(steps))) for _ in range(size_of(steps)))


def region(steps: Steps) -> Filter:
    """Return the region of z in which every step contracts, as a filter; `elapsed` is that of all steps together."""
    xp = namespace(steps.lr, steps.chance)
    lr, chance, m = steps.lr, steps.chance, steps.momentum
    if m is None:
        fastest = xp.max(lr * (1.0 + chance))
        around = gradient_descent(fastest)
        rate = 2.0 / fastest * xp.sum(lr)
    else:
        shrunk = (1.0 - m) / (1.0 - m + (1.0 + m) * chance)
        z_end = xp.min(2.0 * (1.0 + m) * shrunk / xp.maximum(lr, LEAST_RATE * xp.max(lr)))
        curvature, log_slope, stability = ellipse(z_end, xp.min((1.0 - m) / (1.0 + m) * shrunk))
        around = Filter(curvature, log_slope, stability, response=lambda z, t: z, elapsed=lambda t: t)
        rate = stop_gradient(curvature(xp.asarray(TINY)) / TINY).real * xp.sum(lr / (1.0 - m))
    return around._replace(elapsed=lambda t: xp.maximum(rate, SHORTEST))


def levels(steps: Steps, count: int) -> Array:
    """Return (1 - m)/((1 + m) chance) where stability is looked at: `count` values between its ends, or the only one."""
    xp = namespace(steps.lr, steps.chance)
    level = xp.log(_level(steps))
    low, high = level.min(), level.max()
    return xp.exp(low + (high - low) * xp.linspace(0.0, 1.0, count) if count > 1 else low[None])


def is_stable(steps: Steps, edges: Array) -> Array:
    """Return whether every step is below its largest stable learning rate; edges: z* at as many `levels`."""
    xp = namespace(steps.lr, edges)
    m = 0.0 if steps.momentum is None else steps.momentum
    at = xp.log(levels(steps, len(edges)))
    edge = edges[0] if len(edges) == 1 else xp.exp(xp.interp(xp.log(_level(steps)), at, xp.log(edges)))
    return xp.all(steps.lr * (1.0 - m + (1.0 + m) * steps.chance) * edge < 2.0 * (1.0 - m**2))


def _level(steps: Steps) -> Array:
    m = 0.0 if steps.momentum is None else steps.momentum
    return (1.0 - m) / ((1.0 + m) * namespace(steps.chance).maximum(steps.chance, LEAST_CHANCE))
