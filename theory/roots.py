"""Bracketed root finding in a fixed number of steps, so that one compiled program serves every input."""

from collections.abc import Callable
from typing import NamedTuple

from theory.arrays import Array, namespace, repeat

BISECTIONS = 60  # a root to 1e-15 of its bracket and better


class Bracket(NamedTuple):
    """Two ends with one root between them, elementwise."""

    low: Array
    high: Array

    @property
    def middle(self) -> Array:
        """The half-way point."""
        return 0.5 * (self.low + self.high)


def bisect(below: Callable[[Array], Array], bracket: Bracket, halvings: int) -> Bracket:
    """Halve a bracket; below(x) says whether x lies below the root, so that what may be NaN there counts as above."""

    def halve(bracket: Bracket) -> Bracket:
        middle = bracket.middle
        is_below, xp = below(middle), namespace(middle)
        return Bracket(xp.where(is_below, middle, bracket.low), xp.where(is_below, bracket.high, middle))

    return repeat(halvings, halve, bracket)


def polish(function: Callable[[Array], tuple[Array, Array]], bracket: Bracket, steps: int) -> Array:
    """Take Newton's steps from the middle of a bracket, none beyond its ends; function(x) is a value and its slope."""

    def step(x: Array) -> Array:
        value, slope = function(x)
        return namespace(x).clip(x - value / slope, bracket.low, bracket.high)

    return repeat(steps, step, bracket.middle)
