"""Measured losses against any of N, P and t: a CSV file read into arrays, and laid out as learning curves.

An axis that a table does not have is infinite: all features, fresh data, training to its end.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.data.tables import csv_lines

DESIGN_AXES = ("features", "samples", "times")
LETTERS = {"features": "N", "samples": "P", "times": "t"}
# what a column may be called where the command line names none
COLUMNS = {
    "features": ("features", "num_features", "N"),
    "samples": ("samples", "num_samples", "P"),
    "times": ("times", "time", "t"),
    "loss": ("loss", "risk"),
    "stderr": ("stderr",),
    "run": ("run", "seed"),
}
ALLOWED = 1.5  # times the part asked for that may be held out, to try more axes


class Curves(NamedTuple):
    """Rows laid out as G learning curves, one for each pair of sizes.

    Attributes:
        features: (G,) model sizes N.
        samples: (G,) training samples P.
        times: (G, T), shorter curves filled up with their last time; None where training has ended.
        place: (R,) where each row stands among the G T points.
    """

    features: np.ndarray
    samples: np.ndarray
    times: np.ndarray | None
    place: np.ndarray


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

    def curves(self) -> Curves:
        """One learning curve for each pair of sizes."""
        sizes, curve = np.unique(np.stack([self.features, self.samples], 1), axis=0, return_inverse=True)
        curve = curve.reshape(-1)
        if "times" not in self.axes:
            return Curves(sizes[:, 0], sizes[:, 1], None, curve)
        grids = [np.unique(self.times[curve == g]) for g in range(len(sizes))]
        length = max(map(len, grids))
        times = np.stack([np.pad(grid, (0, length - len(grid)), mode="edge") for grid in grids])
        place = [g * length + np.searchsorted(grids[g], t) for g, t in zip(curve, self.times, strict=True)]
        return Curves(sizes[:, 0], sizes[:, 1], times, np.array(place))


@dataclasses.dataclass(frozen=True)
class CurveTable:
    """Measured losses at a design.

    Attributes:
        design: where they are measured.
        loss: (R,) positive.
        stderr: (R,) standard error of each, None if not known.
        run: (R,) number of the training run that a point belongs to; points of one run are correlated.

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

    def __len__(self) -> int:
        return len(self.loss)

    def select(self, rows: np.ndarray) -> "CurveTable":
        """The rows of a mask (R,)."""
        stderr = None if self.stderr is None else self.stderr[rows]
        return CurveTable(self.design.select(rows), self.loss[rows], stderr, self.run[rows])


def read(path: str | Path, named: Mapping[str, str | None]) -> CurveTable:
    """Read the table of losses in a CSV file whose first line names its columns.

    Args:
        path: the file, a row for every measured loss.
        named: for each role in `COLUMNS` the name of its column; None or left out: one of the usual names.

    Returns:
        The table; an axis without a column is infinite.

    Raises:
        ValueError: a file that cannot be read or has no rows, a column that is not there, two roles of one column, no
            axis at all, a cell that is no number (with its line), or a number that is not positive and finite (sizes
            may be infinite).
    """
    header, rows = _read_cells(path)
    chosen = {role: _column(role, named.get(role), header) for role in COLUMNS}
    columns = {role: name for role, name in chosen.items() if name is not None}
    names = list(columns.values())
    for name in names:
        if names.count(name) > 1:
            checks.fail("FILE", "read with a column for each of its roles", f"{name} twice")
    if "loss" not in columns:
        checks.fail("loss", f"the name of a column, one of {', '.join(header)}", None)
    if not any(axis in columns for axis in DESIGN_AXES):
        checks.fail("features, samples, times", f"columns, at least one of {', '.join(header)}", None)
    cells = {role: [(line, row[header.index(name)]) for line, row in rows] for role, name in columns.items()}
    labels = cells.pop("run", None)
    numbers = {
        role: np.array([_number(columns[role], *cell, infinite=role in ("features", "samples")) for cell in column])
        for role, column in cells.items()
    }
    nothing = np.full(len(rows), np.inf)
    design = Design(*(numbers.get(axis, nothing) for axis in DESIGN_AXES))
    number = runs(design, None if labels is None else [name for _, name in labels])
    return CurveTable(design, numbers["loss"], numbers.get("stderr"), number)


def runs(design: Design, labels: Sequence[str] | None = None) -> np.ndarray:
    """Number the training runs that rows belong to.

    Args:
        design: sizes and times of R rows.
        labels: (R,) names or seeds of runs: rows of equal label and sizes are one run. Without labels the rows of one
            pair of sizes are one, and where a time repeats, the second time it comes is of a second run.

    Returns:
        (R,) whole numbers in the order in which runs begin; without times every row is a run.

    Example:
        >>> runs(Design.grid([16.0, 32.0], [np.inf], [1.0, 10.0])).tolist()
        [0, 0, 1, 1]
    """
    sizes = list(zip(design.features, design.samples, strict=True))
    if "times" not in design.axes:
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


def _read_cells(path: str | Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Names of the columns, and rows with their line numbers."""
    lines = [(line, [cell.strip() for cell in row]) for line, row in csv_lines("FILE", path)]
    if len(lines) < 2:
        checks.fail("FILE", "a CSV file with a header and rows", f"{path} with {len(lines)} lines")
    (_, header), *rows = lines
    for line, row in rows:
        if len(row) != len(header):
            checks.fail("FILE", f"rows of {len(header)} cells as its header", f"{len(row)} cells in line {line}")
    if len(set(header)) < len(header):
        checks.fail("FILE", "one column of a name", ", ".join(header))
    return header, rows


def _column(role: str, name: str | None, header: list[str]) -> str | None:
    if name is None:
        return next((usual for usual in COLUMNS[role] if usual in header), None)
    if name not in header:
        checks.fail(role, f"a column of the file, one of {', '.join(header)}", name)
    return name


def _number(column: str, line: int, cell: str, *, infinite: bool) -> float:
    """A positive number in a cell, `infinite` where it may be that."""
    where = f"{cell!r} in line {line}"
    try:
        value = float(cell)
    except ValueError:
        raise ValueError(f"Column `{column}` must hold numbers, but has {where}.") from None
    if not (value > 0 and (infinite or math.isfinite(value))):
        raise ValueError(f"Column `{column}` must hold numbers > 0, but has {where}.")
    return value
