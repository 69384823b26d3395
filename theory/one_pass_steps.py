"""One-pass SGD whose numbers change from step to step, or whose weights are averaged: the second moments, step by step.

At every node of a contour around the spectrum and 0 the moments S from ones and C from zero (`theory.second_moments`)
are driven by the label risk L of all,

    L(t) = sigma^2 + (1/2 pi i) oint [Q S_11 - z^2 df1 C_11] dz/z,  Q = kappa sum lambda w^2/(kappa + lambda)
    S <- A S A^T + n n^T chance z^2 S_11,  C <- A C A^T + n n^T chance (z^2 C_11 + L)

and the risk of the average is the same integral of its own moments. Both recursions are one, as S and C enter the risk
with factors that do not change. With constant numbers this is `theory.one_pass`.

Source: Paquette et al. 2024 (arXiv 2405.15074), section 2, at finite N with every number a function of the step.
"""

from typing import Any, NamedTuple

from theory.arrays import Array, evaluated, scan
from theory.dynamics import Around, nodes_around
from theory.fixed_point import Model, spectral_edge
from theory.mode_sums import bias_of
from theory.second_moments import Complex, Matrix, Steps, fill, growth, one_step, push, region


class Losses(NamedTuple):
    """Losses (T + 1,) before every step and after the last.

    average_risk: None without an average. coarse: what every other node makes of the last risk.
    """

    risk: Array
    train_loss: Array
    average_risk: Array | None
    coarse: Array


class Nodes(NamedTuple):
    """Nodes (n,), the weights of S_11 and C_11 there in the risk, and the label noise."""

    z: Array
    started: Array
    driven: Array
    noise_var: Array


@evaluated("nodes")
def nodes_of(model: Model, steps: Steps, *, nodes: int) -> tuple[Nodes, Around]:
    """Return what the recursion needs of a model whose samples are fresh."""
    flt = region(steps, spectral_edge(model))
    around = nodes_around(model, flt, flt.elapsed(steps.lr), nodes)
    bias = bias_of(around.kappa, model.modes)
    weights = -2.0 * around.weights  # clockwise, and twice the upper half
    return Nodes(around.z, weights * bias, -weights * around.z**2 * around.df1, model.noise_var), around


@evaluated()
def one_pass_by_steps(nodes: Nodes, steps: Steps) -> Losses:
    """Return losses before every step and after the last but one; the last is one that changes nothing."""
    z, started, driven = (Complex(x.real, x.imag) for x in nodes[:3])
    square, twice = z.times(z), z.scaled(2.0)

    def advance(moments: Matrix, step: Steps) -> tuple[Matrix, Any]:
        risk = moments[0][0].real.sum()
        average = None if step.decay is None else moments[-1][-1].real.sum()
        if step.momentum is None and average is None:
            drive = driven.scaled(step.lr**2 * step.chance * (risk + nodes.noise_var))
            return ((growth(step, twice, square).times(moments[0][0]).plus(drive),),), (risk, None)
        at = one_step(step, z)
        drive = square.times(moments[0][0]).plus(driven.scaled(risk + nodes.noise_var))
        return push(moments, at, at, drive.scaled(step.chance)), (risk, average)  # eq. 35

    end, (risk, average) = scan(advance, fill(steps, started), steps)
    return Losses(risk, risk + nodes.noise_var, average, 2.0 * end[0][0].real[::2].sum())
