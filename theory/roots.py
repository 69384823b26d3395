"""Bracketed root finding in a fixed number of steps, so that one compiled program serves every input."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from theory.arrays import Array, by_xla, namespace, repeat

BISECTIONS = 60  # a root to 1e-15 of its bracket and better
AT_ONCE = 6  # halvings of one bracket of known numbers: numpy takes 63 points about as fast as one


class Bracket(NamedTuple):
    """Two ends with one root between them, elementwise."""

    low: Array
    high: Array

    @property
    def middle(self) -> Array:
        """The half-way point."""
        return 0.5 * (self.low + self.high)


def bisect(below: Callable[[Array], Array], bracket: Bracket, halvings: int) -> Bracket:
    """Halve a bracket; below(x) says whether x lies below the root, so that what may be NaN there counts as above.

    It acts elementwise, on x of the shape of the bracket or with one axis before it.
    """
    if np.size(bracket.low) == 1 and not by_xla(bracket):
        return repeat(-(-halvings // AT_ONCE), lambda bracket: _narrow(below, bracket), bracket)

    def halve(bracket: Bracket) -> Bracket:
        middle = bracket.middle
        is_below, xp = below(middle), namespace(middle)
        return Bracket(xp.where(is_below, middle, bracket.low), xp.where(is_below, bracket.high, middle))

    return repeat(halvings, halve, bracket)


def _narrow(below: Callable[[Array], Array], bracket: Bracket) -> Bracket:
    """Halve one bracket AT_ONCE times."""
    low, high = (np.reshape(end, -1) for end in bracket)
    ends = low + (high - low) * np.linspace(0.0, 1.0, 2**AT_ONCE + 1)
    inner = np.reshape(ends[1:-1], (-1, *np.shape(bracket.low)))
    with np.errstate(all="ignore"):  # far from the root a function may overflow
        above = np.append(~np.reshape(below(inner), -1), True)
    first = int(np.argmax(above))
    return Bracket(*(np.reshape(ends[i], np.shape(bracket.low)) for i in (first, first + 1)))


def polish(function: Callable[[Array], tuple[Array, Array]], bracket: Bracket, steps: int) -> Array:
    """Take Newton's steps from the middle of a bracket, none beyond its ends; function(x) is a value and its slope."""

    def step(x: Array) -> Array:
        value, slope = function(x)
        return namespace(x).clip(x - value / slope, bracket.low, bracket.high)

    return repeat(steps, step, bracket.middle)
