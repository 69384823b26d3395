"""Few modes in place of many: rules for sums over a spectrum of what training leaves of its directions."""

import math
from typing import NamedTuple

import numpy as np

from theory.arrays import Array
from theory.filters import Filter
from theory.fixed_point import Model, kappa_real
from theory.spectrum import Modes, apart, join

POINTS, MORE_POINTS = 20.0, 2.5  # of the compressed modes, and for every e-fold of time
TINY = 1e-300
ENDLESS = 1e200  # what `Filter.curvature` maps to the end of the stable region
NEARER = 2.0  # times as near to zero as the least real kappa
LEAST_END = 1.05  # of the largest eigenvalue
EXHAUSTED = 1e-13  # size of a polynomial that vanishes wherever there are modes


class Measure(NamedTuple):
    """Eigenvalues (k,) and weights of sums of lambda f(lambda); and both for sums of lambda w^2 f(lambda)."""

    eigenvalues: Array
    spectrum: Array
    starts: Array
    power: Array


def few_modes(model: Model, reach: float, end: float = math.inf, *, shared: bool = False) -> Measure:
    """Compress sums over modes of what training leaves of a direction of eigenvalue lambda, and of products of two.

    Such functions are bounded where no step grows, in the disc between 0 and `end`, and to the left of 0 by 1/reach:
    in log(lambda/(1 - lambda/end) + 1/reach) they are analytic in a strip, and Gauss's rules are exact to rounding with
    a number of nodes that grows with the logarithm of time (eq. 40). Golub and Welsch 1969. shared: take the same nodes
    for both sums, twice as many.
    """
    lam, weights, power = model.modes.eigenvalues, model.modes.multiplicity, model.modes.power
    points = (2 if shared else 1) * math.ceil(POINTS + MORE_POINTS * math.log(max(reach * lam.max(), 2.0)))
    if points >= len(lam):
        return Measure(lam, weights * lam, lam, power)
    places = np.log(lam / (1.0 - lam / end) + 1.0 / reach)
    sums = np.stack([weights * lam, power])

    def rule(own: Array, wanted: Array) -> tuple[Array, Array]:
        place, made = _gauss(places, own, wanted, points)
        there = np.exp(place) - 1.0 / reach  # eq. 40
        return there / (1.0 + there / end), made

    if shared:
        there, (spectrum, starts) = rule((sums / np.maximum(sums.sum(1), TINY)[:, None]).sum(0), sums)
        return Measure(there, spectrum, there, starts)
    (there, spectrum), (also, starts) = (rule(x, x[None]) for x in sums)
    return Measure(there, spectrum[0], also, starts[0])


def compressed(model: Model, flt: Filter, latest: Array, edge: Array) -> Model:
    """Return a model of `few_modes` for a filter without oscillations up to a time, in units of `Filter.elapsed`.

    edge: of the spectrum. No kappa is nearer to zero than that of the latest time.
    """
    least, _ = kappa_real(flt.curvature(1.0 / np.maximum(latest, 1.0 / flt.stability(edge))), model)
    end = model.modes.eigenvalues.max() * max(float(flt.curvature(np.float64(ENDLESS)) / edge), LEAST_END)
    modes, tail = apart(model.modes)
    few = few_modes(model._replace(modes=modes), float(NEARER / least), float(end), shared=True)
    compressed = Modes(few.eigenvalues, few.spectrum / few.eigenvalues, few.power)
    return model._replace(modes=join(compressed, tail)._replace(mixture=modes.mixture))


def _gauss(x: Array, weights: Array, wanted: Array, points: int) -> tuple[Array, Array]:
    """Return nodes of Gauss's rule for sums over x with some weights, and its weights for sums with others, (r, n).

    By orthogonal polynomials (Gautschi 1982). Some weights may be negative, as those of end corrections are, where sums
    of squares of polynomials are not. Where x has few different values, they are the nodes.
    """
    if not weights.sum() > 0.0:
        return x[:1], np.zeros((len(wanted), 1))
    basis, diagonal, beside = np.empty((points, len(x))), [], []
    basis[0] = 1.0 / math.sqrt(weights.sum())
    for i in range(points):
        moved = x * basis[i]
        diagonal.append(weights @ (moved * basis[i]))
        known = basis[: i + 1]
        for _ in range(2):  # once leaves rounding of what it takes away
            moved = moved - (known @ (weights * moved)) @ known
        size = math.sqrt(max(weights @ moved**2, 0.0))
        if size < EXHAUSTED or i + 1 == points:
            break
        beside.append(size)
        basis[i + 1] = moved / size
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    moments = wanted @ basis[: len(nodes)].T  # of the orthonormal polynomials
    return nodes, (moments @ vectors) * vectors[0] * math.sqrt(weights.sum())
