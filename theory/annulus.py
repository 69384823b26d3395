"""The region between a disc with a slit and a circle, where momentum contracts, as a map of the half plane."""

import math
from collections.abc import Callable
from typing import NamedTuple

from theory.arrays import Array, namespace

LANDEN_STEPS = 5  # the modulus is squared and more at every one: k < 0.4 becomes 1e-40
LEAST_FLATNESS = 0.02  # an ellipse rounder than this is replaced by one inside it


class Rectangle(NamedTuple):
    """A point x of the rectangle, and dx/d log w."""

    x: Array
    slope: Array


class Annulus(NamedTuple):
    """See `slit_annulus`: A, the map w -> x onto a rectangle of that width, and k: the circle ends at w = 1/k."""

    width: Array
    to_rectangle: Callable[[Array], Rectangle]
    modulus: Array


def slit_annulus(radius: Array) -> Annulus:
    """Map a half plane onto what lies between a disc with a slit, |y| <= radius and radius <= y <= 1, and |y| = 1.

    y = exp(-x) with x in the rectangle 0 < Re x < A = -log radius, 0 < Im x < pi, which w = sn(K x/A) takes to a
    quadrant: the disc and its slit to the real axis from 0 to 1/k, the circle to the imaginary axis. sn is inverted
    by descending Landen steps. A radius below the least is replaced by it.
    """
    # notation: q = nome, k = modulus
    xp = namespace(radius)
    width = -0.5 * xp.log(xp.maximum(radius**2, LEAST_FLATNESS))
    q = xp.exp(-(math.pi**2) / width)
    k = 4.0 * xp.sqrt(q) * ((1.0 + q**2 + q**6 + q**12) / (1.0 + 2.0 * q + 2.0 * q**4 + 2.0 * q**9)) ** 2

    def to_rectangle(w: Array) -> Rectangle:
        xp = namespace(w, width)
        modulus, v, slope = k, w, 2.0 * width / math.pi
        for _ in range(LANDEN_STEPS):
            complement = xp.sqrt((1.0 - modulus) * (1.0 + modulus))
            lower = (modulus / (1.0 + complement)) ** 2
            delta = xp.sqrt(1.0 - (modulus * v) ** 2)
            v = 2.0 * v / ((1.0 + lower) * (1.0 + delta))
            modulus, slope = lower, slope / delta  # d log v of the next step is d log v/delta
        return Rectangle(
            2.0 * width / math.pi * xp.arcsin(v), slope * v / (xp.sqrt(1.0 - v) * xp.sqrt(1.0 + v))
        )  # v^2 may leave float64

    return Annulus(width, to_rectangle, k)
