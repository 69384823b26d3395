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

from typing import Any, NamedTuple

import numpy as np

from theory.arrays import Array, evaluated, namespace, scan
from theory.dynamics import Around, nodes_around
from theory.equivalent import one_model, two_point
from theory.fixed_point import Model, spectral_edge
from theory.mixture import row_factors, row_sums
from theory.one_pass_steps import Losses
from theory.second_moments import Complex, Matrix, Steps, fill, growth, one_step, push, region


class Pairs(NamedTuple):
    """Nodes and pairs of nodes, and the weights of the moments there in risk and training loss.

    z: (n,). left, right: the two points (m,) of a pair, which stands for all with the same moments. of_pairs: weights
    (2, m) of S_11; of_nodes: (2, n) of C_11. even: whether both points are among every other node.
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
    i, j = np.triu_indices(nodes + 1)
    count = np.where(i == j, 2.0, 4.0)

    def weights(x: Array, pairs: list[Array]) -> Array:
        partners = x[j], x[j].conj()
        return xp.concatenate([count * x[i] * y * pair[i, j] for y, pair in zip(partners, pairs, strict=True)])

    driven = -2.0 * w * z * df1  # clockwise, and twice the upper half
    return Pairs(
        z,
        xp.concatenate([z[i], z[i]]),
        xp.concatenate([z[j], z[j].conj()]),
        xp.stack([weights(w, two_points), weights(data, [x + model.noise_var for x in two_points])]),
        xp.stack([driven * kappa * (1.0 - df1 * model.inv_n), -driven * z]),
        xp.asarray(np.tile((i % 2 == 0) & (j % 2 == 0), 2)),
    ), around


@evaluated()
def epochs_by_steps(pairs: Pairs, steps: Steps) -> Losses:
    """Return losses before every step and after the last but one; the last is one that changes nothing."""
    xp = namespace(pairs.z, steps.lr)
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

    zero = z.scaled(0.0)
    start = fill(steps, left.scaled(0.0).above(1.0)), fill(steps, zero)
    (s, c), (risk, train_loss, average) = scan(advance, start, steps)
    even = 4.0 * pairs.even[None] * pairs.of_pairs, 2.0 * (xp.arange(len(pairs.z)) % 2 == 0)[None] * pairs.of_nodes
    return Losses(risk, train_loss, average, (s[0][0].weighed(even[0]) + c[0][0].weighed(even[1]))[0])
