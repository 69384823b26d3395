"""One-pass SGD whose numbers change from step to step, or whose weights are averaged: the second moments, step by step.

At every node of a contour around the spectrum and 0 the moments S from ones and C from zero (`theory.second_moments`)
are driven by the label risk L of all,

    L(t) = sigma^2 + (1/2 pi i) oint [Q(kappa(-z)) S_11 - z^2 df1(kappa(-z)) C_11] dz/z
    S <- A S A^T + n n^T chance z^2 S_11,  C <- A C A^T + n n^T chance (z^2 C_11 + L),  Q = kappa sum lambda w^2/(kappa + lambda)

and the risk of the average is the same integral of its own moments. With constant numbers this is `theory.one_pass`.

Source: Paquette et al. 2024 (arXiv 2405.15074), section 2, at finite N with every number a function of the step.
"""

from typing import Any, NamedTuple

from theory.arrays import Array, evaluated, namespace, scan
from theory.dynamics import Around, nodes_around
from theory.fixed_point import Model, resolvent
from theory.second_moments import Matrix, Steps, fill, one_step, push, region


class Losses(NamedTuple):
    """Losses (T + 1,) before every step and after the last, and what every other node makes of the risk.

    average_risk: None without an average.
    """

    risk: Array
    train_loss: Array
    average_risk: Array | None
    coarse: Array


class Nodes(NamedTuple):
    """Curvature at nodes (n,), the weights of S_11 and C_11 there in the risk, and the label noise."""

    z: Array
    started: Array
    driven: Array
    noise_var: Array


@evaluated("nodes")
def nodes_of(model: Model, steps: Steps, *, nodes: int) -> tuple[Nodes, Around]:
    """Return what the recursion needs of a model whose samples are fresh."""
    flt = region(steps)
    around = nodes_around(model, flt, flt.elapsed(steps.lr), nodes)
    bias = around.kappa * (resolvent(around.kappa, model.modes) @ model.modes.power)  # Q
    weights = -2.0 * around.weights  # clockwise, and twice the upper half
    return Nodes(around.z, weights * bias, -weights * around.z**2 * around.df1, model.noise_var), around


@evaluated()
def one_pass_by_steps(nodes: Nodes, steps: Steps) -> Losses:
    """Return losses before every step, and after all but the last: one more than are taken."""
    z, started, driven, noise_var = nodes
    xp = namespace(z, steps.lr)

    def risk_of(moments: tuple[Matrix, Matrix], i: int) -> tuple[Array, Array]:
        s, c = moments
        values = (started * s[i][i] + driven * c[i][i]).real
        return xp.sum(values), 2.0 * xp.sum(values[::2])

    def advance(moments: tuple[Matrix, Matrix], step: Steps) -> tuple[tuple[Matrix, Matrix], Any]:
        s, c = moments
        risk, coarse = risk_of(moments, 0)
        average = None if step.decay is None else risk_of(moments, -1)[0]
        rows = one_step(step, z)
        s_next = push(s, rows, rows, step.chance * z**2 * s[0][0])
        c_next = push(c, rows, rows, step.chance * (z**2 * c[0][0] + risk + noise_var))
        return (s_next, c_next), Losses(risk, risk + noise_var, average, coarse)

    ones = xp.ones_like(z)
    return scan(advance, (fill(steps, ones), fill(steps, 0.0 * ones)), steps)[1]
