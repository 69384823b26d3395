"""SGD on P samples used again and again, every batch drawn anew: the second moments, step by step.

A batch of B different samples leaves chance = (P - B)/((P - 1) B) of the variance of one. At all pairs of nodes z, z'
of a contour the moments S from ones, and at every node C from zero (`theory.second_moments`), driven by the training
loss, follow

    S <- A S A'^T + n n'^T chance z z' S_11,  C <- A C A^T + n n^T chance (z^2 C_11 + L_train)
    L_train(t) = (1/2 pi i)^2 oint oint R1 R1' E S_11 dz dz'/(z z') - (1/2 pi i) oint z df1 C_11 dz
    risk(t) = (1/2 pi i)^2 oint oint (E - sigma^2) S_11 dz dz'/(z z') + (1/2 pi i) oint kappa R3 df1 C_11 dz

with E the two-point function of `theory.equivalent` and R1, R3 = 1 - df1/P, 1 - df1/N: a direction of curvature z adds
its own noise to the training loss, and tr[Sigma H (s + H)^-1] = tr Sigma - kappa R3 df1 to the risk. B = P is
full-batch descent, P = infinity is `theory.one_pass`.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from theory.arrays import Array, by_xla, choose, evaluated, namespace, scan, shared
from theory.dynamics import Around, nodes_around
from theory.equivalent import one_model, two_point
from theory.fixed_point import Model, spectral_edge
from theory.mixture import row_factors, row_sums
from theory.one_pass_steps import Losses
from theory.second_moments import Complex, Matrix, Steps, fill, growth, one_step, push, region, then_rest

BLOCK = 64  # steps after which nodes that have nothing left to add are given up
LEFT = 1e-20  # of the loss at the start: what the moments of a pair are nothing at
SHARES = (0.4, 0.6, 1.0)  # of the nodes that are followed


class Pairs(NamedTuple):
    """Nodes and pairs of nodes, and the weights of the moments there in risk and training loss.

    z: (n,). left, right: the two points (m,) of a pair, which stands for all with the same moments; q (q + 1) of them
    are of the first q nodes. of_pairs: weights (2, m) of S_11; of_nodes: (2, n) of C_11. even: whether both points are
    among every other node.
    """

    z: Array
    left: Array
    right: Array
    of_pairs: Array
    of_nodes: Array
    even: Array


def two_points_of(around: Around, model: Model) -> list[Array]:
    """Return E - sigma^2 at all pairs of nodes, and of a node with a conjugate, (n, n) each."""
    q = row_factors(around.df1 * model.inv_p, around.data, None)
    seen = row_sums(q, q, None), row_sums(q, q.conj(), None)
    return [one_model(sums, model, rows) for sums, rows in zip(two_point(around.kappa, model), seen, strict=True)]


@evaluated("nodes")
def pairs_of(model: Model, steps: Steps, *, nodes: int) -> tuple[Pairs, Around]:
    """Return what the recursion needs of a model and its training set."""
    flt = region(steps, spectral_edge(model))
    around = nodes_around(model, flt, flt.elapsed(steps.lr), nodes)
    z, kappa, w, df1 = around.z, around.kappa, around.weights, around.df1
    xp = namespace(z)
    two_points = two_points_of(around, model)
    data = around.exact_data(model) * w
    # of z, z', of z', z and of both conjugates the moments are the same, or conjugate
    j, i = np.tril_indices(nodes + 1)
    count = np.where(i == j, 2.0, 4.0)

    def both(first: Array, second: Array) -> Array:
        return xp.stack([first, second], axis=-1).reshape(-1)

    def weights(x: Array, pairs: list[Array]) -> Array:
        partners = x[j], x[j].conj()
        return both(*(count * x[i] * y * pair[i, j] for y, pair in zip(partners, pairs, strict=True)))

    driven = -2.0 * w * z * df1  # clockwise, and twice the upper half
    return Pairs(
        z,
        both(z[i], z[i]),
        both(z[j], z[j].conj()),
        xp.stack([weights(w, two_points), weights(data, [x + model.noise_var for x in two_points])]),
        xp.stack([driven * kappa * (1.0 - df1 * model.inv_n), -driven * z]),
        xp.asarray(np.repeat((i % 2 == 0) & (j % 2 == 0), 2)),
    ), around


@evaluated()
def epochs_by_steps(pairs: Pairs, steps: Steps) -> Losses:
    """Return losses before every step and after the last but one; the last is one that changes nothing.

    Directions of large curvature are learned first: the nodes that have nothing left to add are no longer followed.
    """
    xp, count = namespace(pairs.z, steps.lr), len(steps.lr)
    by_blocks = by_xla(pairs, steps)
    length = min(BLOCK, count) if by_blocks else count
    blocks = jax.tree.map(lambda x: x.reshape(-1, length), then_rest(steps, -count % length))
    followed = [math.ceil(share * len(pairs.z)) for share in (SHARES if by_blocks else SHARES[-1:])]
    sizes = np.array([q * (q + 1) for q in followed])
    most = xp.abs(pairs.of_pairs).sum(0)
    least = LEFT * xp.abs(pairs.of_pairs.real.sum(1)).max()

    def take(size: int, moments: tuple[Matrix, Matrix], block: Steps) -> tuple[tuple[Matrix, Matrix], Any]:
        some = pairs._replace(left=pairs.left[:size], right=pairs.right[:size], of_pairs=pairs.of_pairs[:, :size])
        (s, c), losses = _follow(some, (jax.tree.map(lambda x: x[:size], moments[0]), moments[1]), block)
        rest = xp.zeros(len(pairs.left) - size)
        return (jax.tree.map(lambda x: xp.concatenate([x, rest]), s), c), losses

    def advance(moments: tuple[Matrix, Matrix], block: Steps) -> tuple[tuple[Matrix, Matrix], Any]:
        largest = functools.reduce(xp.maximum, map(xp.abs, jax.tree.leaves(moments[0])))
        last = xp.max(xp.where(largest * most <= least, 0, np.arange(len(most))))  # NaN is followed
        level = shared(xp.sum(last >= sizes[:-1], dtype=float))
        return choose(level, [functools.partial(take, size) for size in sizes.tolist()], moments, block)

    ones = Complex(xp.ones(len(pairs.left)), xp.zeros(len(pairs.left)))
    start = fill(steps, ones), fill(steps, Complex(pairs.z.real, pairs.z.imag).scaled(0.0))
    (s, c), losses = scan(advance, start, blocks)
    even = 4.0 * pairs.even[None] * pairs.of_pairs, 2.0 * (xp.arange(len(pairs.z)) % 2 == 0)[None] * pairs.of_nodes
    coarse = (s[0][0].weighed(even[0]) + c[0][0].weighed(even[1]))[0]
    risk, train_loss, average = (None if x is None else x.reshape(-1)[:count] for x in losses)
    return Losses(risk, train_loss, average, coarse)


def _follow(pairs: Pairs, start: tuple[Matrix, Matrix], steps: Steps) -> tuple[tuple[Matrix, Matrix], Any]:
    """Return the moments after all steps, and losses before each: risk, training loss, risk of the average."""
    z, left, right = (Complex(x.real, x.imag) for x in (pairs.z, pairs.left, pairs.right))
    square, twice = z.times(z), z.scaled(2.0)
    product, total = left.times(right), left.plus(right)

    def losses(moments: tuple[Matrix, Matrix], i: int) -> Array:
        s, c = moments
        return s[i][i].weighed(pairs.of_pairs) + c[i][i].weighed(pairs.of_nodes)

    def advance(moments: tuple[Matrix, Matrix], step: Steps) -> tuple[tuple[Matrix, Matrix], Any]:
        s, c = moments
        risk, train_loss = losses(moments, 0)
        average = None if step.decay is None else losses(moments, -1)[0]
        if step.momentum is None and average is None:
            drive = step.lr**2 * step.chance * train_loss
            s_next = s[0][0].times(growth(step, total, product))
            c_next = c[0][0].times(growth(step, twice, square)).above(drive)
            return (((s_next,),), ((c_next,),)), (risk, train_loss, None)
        at = one_step(step, z)
        drive = product.times(s[0][0]).scaled(step.chance)
        s_next = push(s, one_step(step, left), one_step(step, right), drive)
        c_next = push(c, at, at, square.times(c[0][0]).above(train_loss).scaled(step.chance))  # eq. 36
        return (s_next, c_next), (risk, train_loss, average)

    return scan(advance, start, steps)
