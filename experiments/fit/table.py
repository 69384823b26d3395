"""Measured losses against any of N, P and t: arrays, runs, learning curves, and what is held out of a fit.

An axis that a table does not have is infinite: all features, fresh data, training to its end.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

DESIGN_AXES = ("features", "samples", "times")
LETTERS = {"features": "N", "samples": "P", "times": "t"}
BETWEEN = 16  # sizes from which the risk of others is interpolated: to 5e-5 over three decades
ROOM = 32  # times of a curve, in steps of so many
ALLOWED = 1.5  # times the part asked for that may be held out, to try more axes


class Curves(NamedTuple):
    """Rows laid out as G learning curves, one for each pair of sizes, or at fewer sizes between which they lie.

    Attributes:
        features: (G,) model sizes N.
        samples: (G,) training samples P.
        times: (G, T), shorter curves filled up with their last time; None where training has ended.
        place: (R,) where each row stands among the G T points; (R, G) where it lies between them.
        weights: (R, G) of the logarithms at these, None where each row is a point.
    """

    features: np.ndarray
    samples: np.ndarray
    times: np.ndarray | None
    place: np.ndarray
    weights: np.ndarray | None = None

    def rows(self, values: np.ndarray) -> np.ndarray:
        """Return positive values (G T,) at the rows (R,)."""
        if self.weights is None:
            return values[self.place]
        return np.exp((self.weights * np.log(values)[self.place]).sum(1))

    def row_slopes(self, values: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """Return derivatives (G T,) of values on the grid at the rows (R,)."""
        if self.weights is None:
            return slopes[self.place]
        return self.rows(values) * (self.weights * (slopes / values)[self.place]).sum(1)


@dataclasses.dataclass(frozen=True)
class Design:
    """Sizes and times at which losses are measured, infinite along an axis that the table does not have.

    Attributes:
        features: (R,) model sizes N.
        samples: (R,) training samples P.
        times: (R,) training times t: lr x steps for gradient flow, steps for gradient descent.

    Example:
        >>> design = Design(np.array([16.0, 16.0, 32.0]), np.full(3, np.inf), np.array([1.0, 10.0, 1.0]))
        >>> design.axes, len(design)
        (('features', 'times'), 3)
    """

    features: np.ndarray
    samples: np.ndarray
    times: np.ndarray

    @classmethod
    def grid(cls, features: ArrayLike, samples: ArrayLike, times: ArrayLike) -> "Design":
        """Every combination, the times of one pair of sizes next to each other."""
        return cls(*(x.reshape(-1) for x in np.meshgrid(features, samples, times, indexing="ij")))

    def __len__(self) -> int:
        return len(self.features)

    @property
    def axes(self) -> tuple[str, ...]:
        """Axes with a finite value."""
        return tuple(axis for axis in DESIGN_AXES if np.isfinite(getattr(self, axis)).any())

    @property
    def varied(self) -> tuple[str, ...]:
        """Axes of two values or more."""
        return tuple(axis for axis in self.axes if len(np.unique(getattr(self, axis))) > 1)

    def select(self, rows: np.ndarray) -> "Design":
        """The rows of a mask (R,)."""
        return Design(self.features[rows], self.samples[rows], self.times[rows])

    def curves(self, *, smooth: bool = False) -> Curves:
        """One learning curve for each pair of sizes; where the risk is `smooth` in these, at BETWEEN sizes at most.

        So it is in one size where the other, and the number of modes, are infinite: not near a peak at N = P.
        """
        sizes, curve = np.unique(np.stack([self.features, self.samples], 1), axis=0, return_inverse=True)
        curve = curve.reshape(-1)
        for i, other in ((0, 1), (1, 0)):
            if smooth and len(sizes) > BETWEEN and np.isinf(sizes[:, other]).all() and np.isfinite(sizes[:, i]).all():
                return self._between(i, sizes[:, i])
        if "times" not in self.axes:
            return Curves(sizes[:, 0], sizes[:, 1], None, curve)
        grids = [np.unique(self.times[curve == g]) for g in range(len(sizes))]
        length = _room(max(map(len, grids)))
        times = np.stack([np.pad(grid, (0, length - len(grid)), mode="edge") for grid in grids])
        place = [g * length + np.searchsorted(grids[g], t) for g, t in zip(curve, self.times, strict=True)]
        return Curves(sizes[:, 0], sizes[:, 1], times, np.array(place))

    def _between(self, axis: int, sizes: np.ndarray) -> Curves:
        """Learning curves at Chebyshev points of the logarithm of the sizes along an axis."""
        middle, half = np.log(sizes.max() * sizes.min()) / 2, np.log(sizes.max() / sizes.min()) / 2
        angle = (np.arange(BETWEEN) + 0.5) * np.pi / BETWEEN
        x = (np.log((self.features, self.samples)[axis]) - middle) / half  # in [-1, 1]
        # barycentric interpolation
        gap = x[:, None] - np.cos(angle)
        pull = (-1.0) ** np.arange(BETWEEN) * np.sin(angle) / np.where(np.abs(gap) < 1e-14, 1e-14, gap)
        ends = [np.full(BETWEEN, np.inf), np.full(BETWEEN, np.inf)]
        ends[axis] = np.exp(middle + half * np.cos(angle))
        times, when = None, np.zeros(len(self), int)
        if "times" in self.axes:
            grid, when = np.unique(self.times, return_inverse=True)
            grid = np.pad(grid, (0, _room(len(grid)) - len(grid)), mode="edge")
            times = np.tile(grid, (BETWEEN, 1))
        place = np.arange(BETWEEN) * (1 if times is None else times.shape[1]) + when.reshape(-1, 1)
        return Curves(ends[0], ends[1], times, place, pull / pull.sum(1, keepdims=True))


def _room(length: int) -> int:
    """Return a power of two up to ROOM, then a multiple of it: few shapes, few compilations."""
    return min(1 << (length - 1).bit_length(), ROOM * math.ceil(length / ROOM))


@dataclasses.dataclass(frozen=True)
class CurveTable:
    """Measured losses at a design.

    Attributes:
        design: where they are measured.
        loss: (R,) positive.
        stderr: (R,) standard error of each, None if not known.
        run: (R,) number of the training run that a point belongs to; points of one run are correlated.
        weight: (R,) how much the square of each relative residual counts, None for what the standard errors say.

    Example:
        >>> design = Design.grid([16.0, 32.0], [np.inf], [1.0, 10.0])
        >>> table = CurveTable(design, np.array([0.9, 0.5, 0.8, 0.3]), None, runs(design))
        >>> table.run.tolist(), table.select(table.loss < 0.6).design.features.tolist()
        ([0, 0, 1, 1], [16.0, 32.0])
    """

    design: Design
    loss: np.ndarray
    stderr: np.ndarray | None
    run: np.ndarray
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.loss)

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """Factors (R,) of relative residuals, of mean square 1 where they count, 0 beyond a mask (R,)."""
        factor = np.where(rows, 1.0, 0.0)
        if self.stderr is not None:
            factor = factor * self.loss / self.stderr
        if self.weight is not None:
            factor = factor * np.sqrt(self.weight)
        return factor / np.sqrt(np.mean(factor[factor > 0] ** 2))

    def select(self, rows: np.ndarray) -> "CurveTable":
        """The rows of a mask (R,)."""
        stderr = None if self.stderr is None else self.stderr[rows]
        weight = None if self.weight is None else self.weight[rows]
        return CurveTable(self.design.select(rows), self.loss[rows], stderr, self.run[rows], weight)


def runs(design: Design, labels: Sequence[str] | None = None) -> np.ndarray:
    """Number the training runs that rows belong to.

    Args:
        design: sizes and times of R rows.
        labels: (R,) names or seeds of runs: rows of equal label and sizes are one run. Without labels the rows of one
            pair of sizes are one, and where a time repeats, the second time it comes is of a second run; without times
            every row is a run.

    Returns:
        (R,) whole numbers in the order in which runs begin.

    Example:
        >>> runs(Design.grid([16.0, 32.0], [np.inf], [1.0, 10.0])).tolist()
        [0, 0, 1, 1]
    """
    sizes = list(zip(design.features, design.samples, strict=True))
    if labels is None and "times" not in design.axes:
        return np.arange(len(sizes))
    if labels is None:
        seen: dict[tuple, int] = {}
        labels = []
        for point in zip(sizes, design.times, strict=True):
            seen[point] = seen.get(point, 0) + 1
            labels.append(str(seen[point]))
    names = list(zip(labels, sizes, strict=True))
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names])


def rises(table: CurveTable, axis: str) -> np.ndarray:
    """Count steps along an axis, all else equal (along times: of a run): those that rise, and all, (G, 2) by group."""
    rest = [getattr(table.design, other) for other in DESIGN_AXES if other != axis]
    groups = [table.run] if axis == "times" else rest
    _, which = np.unique(np.stack(groups, 1), axis=0, return_inverse=True)
    x, counts = getattr(table.design, axis), []
    for group in range(which.max() + 1):
        here = which.reshape(-1) == group
        steps = np.diff([table.loss[here & (x == value)].mean() for value in np.unique(x[here])])
        counts.append((int((steps > 0).sum()), len(steps)))
    return np.array(counts)


def held_out(design: Design, part: float) -> np.ndarray:
    """Choose about `part` of the rows to be held out: the largest values of as many axes as that allows.

    An axis of three values or more can lose its last ones. All sets of axes are tried, each axis losing as equal a
    share of the rows as its values allow; of those that hold out no more than ALLOWED times `part`, the most axes,
    then the nearest share; else the nearest of all. Returns a mask (R,).
    """
    axes = [axis for axis in design.axes if len(np.unique(finite_values(getattr(design, axis)))) >= 3]
    tried = []
    for count in range(1, len(axes) + 1) if part > 0 else ():
        part_of_axis = 1.0 - (1.0 - part) ** (1.0 / count)
        for chosen in itertools.combinations(axes, count):
            held = np.any([_last(getattr(design, axis), part_of_axis) for axis in chosen], axis=0)
            share = held.mean()
            order = (0, -count, abs(share - part)) if share <= ALLOWED * part else (1, abs(share - part), -count)
            tried.append((order, held))
    if not tried:
        return np.zeros(len(design), bool)
    _, best = min(tried, key=lambda pair: pair[0])
    return best


def finite_values(x: np.ndarray) -> np.ndarray:
    """The finite values of an axis."""
    return x[np.isfinite(x)]


def _last(x: np.ndarray, part: float) -> np.ndarray:
    """(R,) True from that value on, from which nearest to `part` of the rows are; the lowest two stay."""
    cuts = np.unique(finite_values(x))[2:]
    ordered = np.sort(x)
    share = 1.0 - np.searchsorted(ordered, cuts) / len(x)
    return x >= cuts[np.argmin(np.abs(share - part))]
