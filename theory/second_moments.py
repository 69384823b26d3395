"""Second moments of SGD along one direction of curvature z, step by step: schedules, momentum, averages.

With d the distance from the best weights, d before the last step, and d of the average, a step is linear,

    v_{t+1} = v_t - lr_t g + m_t (v_t - v_{t-1}),  average_{t+1} = e_t average_t + (1 - e_t) v_{t+1},

so that their second moments S(z, z') follow S <- A(z) S A(z')^T + n n^T (chance_t z z' S_11 + drive), A a matrix of one
to three rows, n how the gradient enters, chance_t the variance of a batch's mean per sample. The map contracts where
|1 - (1 + chance) lr z| < 1, and with momentum in the ellipse of `filters.heavy_ball`, its end nearer by
(1 - m)/(1 - m + (1 + m) chance). DANA keeps a sum y of gradients in place of the weights before,

    y <- m y + g,  v <- v - lr g - push y,

and contracts in a lens whose angle shrinks as its memory grows (`memory_region`).
"""

import math
from typing import Any, NamedTuple

from theory.arrays import Array, namespace, scan, shared, stop_gradient
from theory.filters import SHORTEST, Filter, ellipse, gradient_descent, lens

LEAST_RATE = 1e-12  # of the largest learning rate: one of zero bounds nothing
SLOWEST = 1e-100  # a learning rate that stands for zero, where all are
LEAST_CHANCE = 1e-12  # of a batch: all samples leave nothing to it
TINY = 1e-9  # a w at which the map of the half plane is linear
SLACK = 6.0  # -log of what the angle of a lens lets a direction grow by in all steps
SAFE = 0.9  # of the angle that is stable


class Steps(NamedTuple):
    """One value a step (T,) of the learning rate, the chance of a batch, momentum and decay of the average.

    Momentum and decay are None where there are none. push: learning rate (T,) of the sum of gradients that DANA keeps,
    momentum what it keeps of it; None for SGD.
    """

    lr: Array
    chance: Array
    momentum: Array | None
    decay: Array | None
    push: Array | None = None


class Complex(NamedTuple):
    """Real and imaginary part apart: XLA multiplies and adds them up three times as fast as complex numbers."""

    real: Array
    imag: Array

    def times(self, x: "Complex") -> "Complex":
        """Multiply by another."""
        return Complex(self.real * x.real - self.imag * x.imag, self.real * x.imag + self.imag * x.real)

    def scaled(self, x: Array) -> "Complex":
        """Multiply by a real number."""
        return Complex(x * self.real, x * self.imag)

    def plus(self, x: "Complex") -> "Complex":
        """Add another."""
        return Complex(self.real + x.real, self.imag + x.imag)

    def above(self, x: Array) -> "Complex":
        """Add a real number."""
        return Complex(self.real + x, self.imag)

    def weighed(self, weights: Array) -> Array:
        """Return the real part of sums with complex weights (r, n): (r,)."""
        return weights.real @ self.real - weights.imag @ self.imag


Matrix = tuple[tuple[Complex, ...], ...]
Row = tuple["Complex | Array | None", ...]  # None for zero


class Map(NamedTuple):
    """Rows of A at a step, and n; the weights come first, the average last."""

    rows: tuple[Row, ...]
    n: tuple[Array | None, ...]


def one_step(step: Steps, z: Complex) -> Map:
    """Return the map of a step at curvatures z."""
    lr, _, m, e, push = step
    ahead = z.scaled(-lr)
    rows: tuple[Row, ...] = ((ahead.above(1.0),),)
    n: tuple[Array | None, ...] = (-lr,)
    if push is not None:
        rows, n = ((z.scaled(-lr - push).above(1.0), -push * m), (z, m)), (-lr - push, 1.0)  # eq. 39
    elif m is not None:
        rows, n = ((ahead.above(1.0 + m), -m), (1.0, None)), (-lr, None)
    if e is not None:
        averaged = tuple(x.scaled(1.0 - e) if isinstance(x, Complex) else (1.0 - e) * x for x in rows[0])
        rows, n = (*((*row, None) for row in rows), (*averaged, e)), (*n, (1.0 - e) * n[0])
    return Map(rows, n)


def growth(step: Steps, total: Complex, product: Complex) -> Complex:
    """Return what S_11 grows by in a step without momentum and average, of z + z' and z z': half of the work of `push`.

    (1 - lr z)(1 - lr z') + chance lr^2 z z'
    """
    return product.scaled(step.lr**2 * (1.0 + step.chance)).plus(total.scaled(-step.lr)).above(1.0)


def size_of(steps: Steps) -> int:
    """Count the rows of A."""
    return 1 + (steps.momentum is not None) + (steps.decay is not None)


def push(moments: Matrix, left: Map, right: Map, drive: Complex) -> Matrix:
    """Return A S A'^T + n n'^T drive, with the maps of both points."""
    half = [[_dot(row, column) for column in zip(*moments, strict=True)] for row in left.rows]
    pushed = tuple(tuple(_dot(other, row) for other in right.rows) for row in half)

    def forced(i: int, j: int) -> Complex:
        x, y = left.n[i], right.n[j]
        return pushed[i][j] if x is None or y is None else pushed[i][j].plus(drive.scaled(x * y))

    return tuple(tuple(forced(i, j) for j in range(len(right.n))) for i in range(len(left.n)))


def _dot(row: Row, values: Any) -> Complex:
    """Sum the products, without those that are zero."""
    products = [
        x.times(c) if isinstance(c, Complex) else x.scaled(c) for c, x in zip(row, values, strict=True) if c is not None
    ]
    total = products[0]
    for product in products[1:]:
        total = total.plus(product)
    return total


def fill(steps: Steps, value: Complex) -> Matrix:
    """Return the moments at the start, all the same but for the sum of gradients, which is zero."""
    zero, empty = value.scaled(0.0), 0 if steps.push is None else 1
    index = range(size_of(steps))
    return tuple(tuple(zero if empty and empty in (i, j) else value for j in index) for i in index)


def then_rest(steps: Steps, count: int) -> Steps:
    """Append so many steps that change nothing."""
    xp = namespace(steps.lr, steps.chance)
    rest = Steps(0.0, 1.0, 0.0, 1.0, 0.0)
    longer = lambda x, y: xp.concatenate([x, xp.full(count, y)])  # noqa: E731
    return Steps(*(None if x is None else longer(x, y) for x, y in zip(steps, rest, strict=True)))


def not_at_rest(steps: Steps) -> Steps:
    """Return steps of which none has a rate of zero: where all have, that bounds no curvature."""
    return steps._replace(lr=namespace(steps.lr).maximum(steps.lr, SLOWEST))


def region(steps: Steps, edge: Array | float = 0.0) -> Filter:
    """Return the region of z in which every step contracts, as a filter; `elapsed` is that of all steps together.

    Members of `jax.vmap` have one region, in which the steps of all contract that do so up to the edge.
    """
    xp, steps = namespace(steps.lr, steps.chance), not_at_rest(steps)
    lr, chance, m = steps.lr, steps.chance, steps.momentum
    if steps.push is not None:
        return memory_region(steps, edge)
    if m is None:
        fastest, total = xp.max(lr * (1.0 + chance)), xp.sum(lr)
        stable = fastest * edge < 2.0
        fastest, total = shared(fastest, stable), shared(total, stable)
        around = gradient_descent(fastest)
        rate = 2.0 / fastest * total
    else:
        nearer = (1.0 - m) / (1.0 - m + (1.0 + m) * chance)
        fastest = xp.max(lr / ((1.0 + m) * nearer))
        stable = fastest * edge < 2.0
        fastest, total = shared(fastest, stable), shared(xp.sum(lr / (1.0 - m)), stable)
        narrowest = shared(xp.max((1.0 + m) / (1.0 - m)), stable)
        curvature, log_slope, stability = ellipse(2.0 / fastest, 1.0 / narrowest)
        around = Filter(curvature, log_slope, stability, response=lambda z, t: z, elapsed=lambda t: t)
        rate = stop_gradient(curvature(xp.asarray(TINY)) / TINY).real * total
    return around._replace(elapsed=lambda t: xp.maximum(rate, SHORTEST))


def memory_region(steps: Steps, edge: Array | float = 0.0) -> Filter:
    """Return the lens of z in which DANA does not grow by more than exp(SLACK) in all steps; see `region`.

    Where memory is long the two roots 1 - mu of a step obey mu^2 - (lr z + f) mu + z (lr f + push) = 0, f = 1 - m: on
    the circle at the angle w a direction neither grows nor shrinks for z = (w^2 - i w f)/(lr f + push - i w lr) or so,
    whose argument atan(f/w) + atan(w lr/(lr f + push)) is least where both terms are equal.
    """
    lr, chance, m, _, push = steps
    assert m is not None
    assert push is not None
    xp = namespace(lr, chance, m, push)
    forgotten = 1.0 - m + SLACK / len(lr)
    pull = xp.maximum(lr * (1.0 - m) + push, LEAST_RATE * xp.max(lr + push))
    fastest = xp.minimum(xp.sqrt(forgotten * pull / xp.maximum(lr, LEAST_RATE * pull)), 2.0)
    angle = xp.arctan(forgotten / fastest) + xp.arctan(fastest * lr / pull)
    power = SAFE * xp.min(angle) * 2.0 / math.pi
    z_end = xp.min(2.0 * (1.0 + m) / (lr * (1.0 + chance) * (1.0 + m) + push))
    moved = lambda kept, step: (step[0] * kept + 1.0,) * 2  # noqa: E731
    sums = scan(moved, xp.zeros_like(lr[0]), (m,))[1]
    reach = xp.maximum(xp.sum(lr + push * sums), SHORTEST / z_end)
    stable = edge < z_end
    return lens(1.0 / shared(1.0 / z_end, stable), 1.0 / shared(1.0 / power, stable), shared(reach, stable))


def levels(steps: Steps, count: int) -> Array:
    """Return (1 - m)/((1 + m) chance) where stability is looked at: `count` values between its ends, or the least."""
    xp = namespace(steps.lr, steps.chance)
    level = xp.log(_level(steps))
    low, high = level.min(), level.max()
    return xp.exp(low + (high - low) * xp.linspace(0.0, 1.0, count) if count > 1 else low[None])


def is_stable(steps: Steps, edges: Array) -> Array:
    """Return whether every step is below its largest stable learning rate; edges: z* at as many `levels`."""
    xp = namespace(steps.lr, edges)
    m = 0.0 if steps.momentum is None else steps.momentum
    if steps.push is not None:
        return xp.all((steps.lr + steps.push / (1.0 + m)) * edges < 2.0)
    at = xp.log(levels(steps, len(edges)))
    edge = edges[0] if len(edges) == 1 else xp.exp(xp.interp(xp.log(_level(steps)), at, xp.log(edges)))
    return xp.all(steps.lr * (1.0 - m + (1.0 + m) * steps.chance) * edge < 2.0 * (1.0 - m**2))


def _level(steps: Steps) -> Array:
    m = 0.0 if steps.momentum is None else steps.momentum
    return (1.0 - m) / ((1.0 + m) * namespace(steps.chance).maximum(steps.chance, LEAST_CHANCE))
