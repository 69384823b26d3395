"""Least values and derivatives of smooth functions that numpy evaluates: grids, ever finer, and differences."""

from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

import numpy as np

LOOKS = 3  # at a grid, and at finer ones about its least values
RIVAL = 1.05  # times the least value: a dip of a grid up to there may go deepest between its points
MOST_DIPS = 3
MORE_LOOKS = 2  # at ever finer grids where some values of the last are infinite
REACH = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])  # points of a difference along a line, in steps
FIRST = np.array([-1.0, 9.0, -45.0, 45.0, -9.0, 1.0]) / 60.0  # to the sixth power of a step
SECOND, MIDDLE = np.array([2.0, -27.0, 270.0, 270.0, -27.0, 2.0]) / 180.0, -490.0 / 180.0
STEP = 0.01  # of differences: 1e-10 of rounding is left in second derivatives, and nothing of what varies over 0.1


class Least(NamedTuple):
    """The least value of all that were looked at.

    inside: it lies between two that are larger and finite, low < x < high; else it is at an end of the range. grid,
    values: of the look that found it.
    """

    x: float
    value: float
    low: float
    high: float
    inside: bool
    grid: np.ndarray
    values: np.ndarray


Search = Generator[np.ndarray, np.ndarray, Least]  # asks for values at a grid, ever finer, and returns the least


def least(
    function: Callable[[np.ndarray], np.ndarray],
    grid: np.ndarray,
    finer: Callable[[float, float], np.ndarray],
    *,
    looks: int = LOOKS,
) -> Least:
    """Find the least value of a function >= 0 over a grid, and over finer(low, high) about every dip that may be it."""
    return run(_search(grid, finer, looks), function)


def run(search: Search, function: Callable[[np.ndarray], np.ndarray]) -> Least:
    """Run one search of a function."""
    return each_least(lambda _, grids: [function(x) for x in grids], [search])[0]


def smooth_search(grid: np.ndarray, finer: Callable[[float, float], np.ndarray]) -> Search:
    """Search as `least` does, two looks and more until all values are finite, then a polynomial through the last.

    The logarithm of the function is smooth where it is finite.
    """
    lowest = yield from _search(grid, finer, 2)
    for _ in range(MORE_LOOKS):
        if np.all(np.isfinite(lowest.values)) or not lowest.inside:
            break
        lowest = yield from _look(finer(lowest.low, lowest.high))
    if not (lowest.inside and np.all(np.isfinite(lowest.values)) and np.all(lowest.values > 0)):
        return lowest
    x, value, _ = bottom(lowest.grid, np.log(lowest.values), len(lowest.grid) - 1)
    return lowest._replace(x=x, value=float(np.exp(value))) if lowest.low < x < lowest.high else lowest


def each_least(
    function: Callable[[list[int], list[np.ndarray]], Sequence[np.ndarray]], searches: Sequence[Search]
) -> list[Least]:
    """Run searches side by side: the function gets those that go on and the next grid of each, and returns values."""
    asked = {i: next(search) for i, search in enumerate(searches)}
    results: dict[int, Least] = {}
    while asked:
        answers = zip(asked, function(list(asked), list(asked.values())), strict=True)
        asked = {}
        for i, values in answers:
            try:
                asked[i] = searches[i].send(values)
            except StopIteration as end:
                results[i] = end.value
    return [results[i] for i in range(len(searches))]


def _search(grid: np.ndarray, finer: Callable[[float, float], np.ndarray], looks: int) -> Search:
    best = yield from _look(grid)  # eq. 20
    first = best.values
    for dip in _dips(first):
        here = _at(grid, first, dip)
        for _ in range(looks - 1):
            here = yield from _look(finer(here.low, here.high))
            if here.value <= best.value:
                best = here
    return best


def _look(x: np.ndarray) -> Search:
    asked = yield x
    values = np.where(np.isnan(asked), np.inf, asked)
    return _at(x, values, int(np.argmin(values)))


def _at(x: np.ndarray, values: np.ndarray, i: int) -> Least:
    low, high = max(i - 1, 0), min(i + 1, len(x) - 1)
    inside = low < i < high and bool(np.all(np.isfinite(values[[low, high]])))
    return Least(float(x[i]), float(values[i]), float(x[low]), float(x[high]), inside, x, values)


def _dips(values: np.ndarray) -> list[int]:
    """Return the places of local minima that may be the least, the lowest first."""
    walled = np.concatenate([[np.inf], values, [np.inf]])
    dips = np.flatnonzero((walled[1:-1] < walled[:-2]) & (walled[1:-1] <= walled[2:]))
    near = dips[values[dips] <= RIVAL * np.min(values)]
    return near[np.argsort(values[near], kind="stable")][:MOST_DIPS].tolist()


def bottom(x: np.ndarray, y: np.ndarray, degree: int) -> tuple[float, float, float]:
    """Return where a polynomial through points is least between their ends, its value, and the most that it leaves."""
    middle = x.mean()
    fit = np.polynomial.Polynomial.fit(x - middle, y, min(degree, len(x) - 1), domain=[])
    roots = fit.deriv().roots()
    real = roots[np.abs(roots.imag) < 1e-9].real + middle
    inside = np.append(real[(real > x[0]) & (real < x[-1])], x[[0, -1]])
    best = inside[np.argmin(fit(inside - middle))]
    return float(best), float(fit(best - middle)), float(np.max(np.abs(fit(x - middle) - y)))


class Expansion(NamedTuple):
    """A function at a point: value, gradient (d,) and matrix of second derivatives (d, d)."""

    value: float
    gradient: np.ndarray
    hessian: np.ndarray


def expand(function: Callable[[np.ndarray], np.ndarray], point: np.ndarray) -> Expansion:
    """Return the derivatives of a function of d numbers of order one, along the axes and the diagonals between them.

    function: from points (k, d) to values (k,).
    """
    d = len(point)
    axes, (i, j) = np.eye(d), np.tril_indices(d, -1)
    directions = np.concatenate([axes, axes[i] + axes[j]])
    moved = point + STEP * REACH[:, None] * directions[:, None]  # (directions, 6, d)
    value, *values = function(np.concatenate([point[None], moved.reshape(-1, d)]))
    values = np.reshape(values, moved.shape[:2])
    bends = (values @ SECOND + value * MIDDLE) / STEP**2
    hessian = np.diag(bends[:d])
    hessian[i, j] = hessian[j, i] = 0.5 * (bends[d:] - bends[i] - bends[j])
    return Expansion(float(value), values[:d] @ FIRST / STEP, hessian)
