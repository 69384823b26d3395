"""SGD on P samples used again and again, every batch drawn anew: the second moments, step by step.

A batch of B different samples leaves chance = (P - B)/((P - 1) B) of the variance of one. At all pairs of nodes z, z' of
a contour the moments S from ones, and at every node C from zero (`theory.second_moments`), driven by the training loss,

    S <- A S A'^T + n n'^T chance z z' S_11,  C <- A C A^T + n n^T chance (z^2 C_11 + L_train)
    L_train(t) = (1/2 pi i)^2 oint oint R1 R1' E S_11 dz dz'/(z z') - (1/2 pi i) oint z df1 C_11 dz
    risk(t) = (1/2 pi i)^2 oint oint (E - sigma^2) S_11 dz dz'/(z z') + (1/2 pi i) oint kappa R3 df1 C_11 dz

with E the two-point function of `theory.equivalent` and R1, R3 = 1 - df1/P, 1 - df1/N: a direction of curvature z adds
its own noise to the training loss, and tr[Sigma H (s + H)^-1] = tr Sigma - kappa R3 df1 to the risk. B = P is full-batch
descent, P = infinity is `theory.one_pass`.
"""

from typing import Any, NamedTuple



from theory.arrays import Array, evaluated, namespace, scan
from theory.dynamics import Around, nodes_around
from theory.equivalent import one_model, two_point
from theory.fixed_point import Model
from theory.mixture import row_factors, row_sums
from theory.one_pass_steps import Losses
from theory.second_moments import Matrix, Steps, fill, one_step, push, region


class Pairs(NamedTuple):
    """Weights in risk and training loss: of S_11 at pairs of nodes (n, n), of C_11 at nodes (n,).

    Pairs come twice, of z with z' and of z with the conjugate of z'.
    """

    z: Array
    risk: tuple[Array, Array]
    train: tuple[Array, Array]
    driven_risk: Array
    driven_train: Array


@evaluated("nodes")
def pairs_of(model: Model, steps: Steps, *, nodes: int) -> tuple[Pairs, Around]:
    """Return what the recursion needs of a model and its training set."""
    flt = region(steps)
    around = nodes_around(model, flt, flt.elapsed(steps.lr), nodes)
    z, kappa, w, df1 = around.z, around.kappa, around.weights, around.df1
    q = row_factors(df1 * model.inv_p, around.data, None)
    seen = row_sums(q, q, None), row_sums(q, q.conj(), None)
    two_points = [one_model(sums, model, rows) for sums, rows in zip(two_point(kappa, model), seen, strict=True)]
    data = around.exact_data(model) * w
    outer = lambda x: (x[:, None] * x[None], x[:, None] * x.conj()[None])  # noqa: E731
    risk = tuple(2.0 * x * pair for x, pair in zip(outer(w), two_points, strict=True))
    train = tuple(2.0 * x * (pair + model.noise_var) for x, pair in zip(outer(data), two_points, strict=True))
    driven = -2.0 * w * z * df1  # clockwise, and twice the upper half
    return Pairs(z, risk, train, driven * kappa * (1.0 - df1 * model.inv_n), -driven * z), around


@evaluated()
def epochs_by_steps(pairs: Pairs, steps: Steps) -> Losses:
    """Return losses before every step, and after all but the last: one more than are taken."""
    z = pairs.z
    xp = namespace(z, steps.lr)
    partners = z, z.conj()

    def sums(weights: tuple[Array, Array], s: tuple[Matrix, Matrix], i: int) -> tuple[Array, Array]:
        values = [(weight * moments[i][i]).real for weight, moments in zip(weights, s, strict=True)]
        return sum(xp.sum(x) for x in values), 4.0 * sum(xp.sum(x[::2, ::2]) for x in values)

    def add(two: tuple[Array, Array], weights: Array, c: Matrix, i: int) -> tuple[Array, Array]:
        values = (weights * c[i][i]).real
        return two[0] + xp.sum(values), two[1] + 2.0 * xp.sum(values[::2])

    def advance(moments: tuple[tuple[Matrix, Matrix], Matrix], step: Steps) -> tuple[Any, Any]:
        s, c = moments
        risk, coarse = add(sums(pairs.risk, s, 0), pairs.driven_risk, c, 0)
        train_loss, _ = add(sums(pairs.train, s, 0), pairs.driven_train, c, 0)
        average = None if step.decay is None else add(sums(pairs.risk, s, -1), pairs.driven_risk, c, -1)[0]
        rows, left = one_step(step, z), one_step(step, z[:, None])
        s_next = tuple(
            push(x, left, one_step(step, other[None]), step.chance * z[:, None] * other[None] * x[0][0])
            for x, other in zip(s, partners, strict=True)
        )
        c_next = push(c, rows, rows, step.chance * (z**2 * c[0][0] + train_loss))
        return (s_next, c_next), Losses(risk, train_loss, average, coarse)

    ones = xp.ones_like(z)
    pair = fill(steps, ones[:, None] * ones[None])
    return scan(advance, ((pair, pair), fill(steps, 0.0 * ones)), steps)[1]
