"""Few modes in place of many: rules for sums over a spectrum of what training leaves of its directions."""

import math
from typing import NamedTuple

import numpy as np

from theory.arrays import Array
from theory.fixed_point import Model

POINTS, MORE_POINTS = 20.0, 2.5  # of the compressed modes, and for every e-fold of time


class Measure(NamedTuple):
    """Eigenvalues (k,) and weights of sums of lambda f(lambda); and both for sums of lambda w^2 f(lambda)."""

    eigenvalues: Array
    spectrum: Array
    starts: Array
    power: Array


def few_modes(model: Model, reach: float, end: float = math.inf) -> Measure:
    """Compress sums over modes of what training leaves of a direction of eigenvalue lambda, and of products of two.

    Such functions are bounded where no step grows, in the disc between 0 and `end`, and to the left of 0 by 1/reach:
    in log(lambda/(1 - lambda/end) + 1/reach) they are analytic in a strip, and Gauss's rules are exact to rounding with
    a number of nodes that grows with the logarithm of time (eq. 40). Golub and Welsch 1969.
    """
    lam, weights, power = model.modes.eigenvalues, model.modes.multiplicity, model.modes.power
    points = math.ceil(POINTS + MORE_POINTS * math.log(max(reach * lam.max(), 2.0)))
    if points >= len(lam):
        return Measure(lam, weights * lam, lam, power)
    places = np.log(lam / (1.0 - lam / end) + 1.0 / reach)

    def rule(weights: Array) -> tuple[Array, Array]:
        place, weight = _gauss(places, weights, points)
        there = np.exp(place) - 1.0 / reach
        return there / (1.0 + there / end), weight

    return Measure(*rule(weights * lam), *rule(power))


def _gauss(x: Array, weights: Array, points: int) -> tuple[Array, Array]:
    """Return nodes and weights of Gauss's rule for sums over x, by orthogonal polynomials (Gautschi 1982).

    Some weights may be negative, as those of end corrections are, where sums of squares of polynomials are not.
    """
    basis, diagonal, beside = [np.full(len(x), 1.0 / math.sqrt(weights.sum()))], [], []
    for _ in range(points):
        moved = x * basis[-1]
        diagonal.append(weights @ (moved * basis[-1]))
        known = np.array(basis)
        for _ in range(2):  # once leaves rounding of what it takes away
            moved = moved - (known @ (weights * moved)) @ known
        beside.append(math.sqrt(weights @ moved**2))
        basis.append(moved / beside[-1])
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1))
    return nodes, weights.sum() * vectors[0] ** 2
