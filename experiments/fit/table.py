"""Measured losses against any of N, P and t: a CSV file read into arrays, and laid out as learning curves.

An axis that a table does not have is infinite: all features, fresh data, training to its end.
"""

import csv
import dataclasses
import itertools
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rfm import checks

AXES = ("features", "samples", "times")
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


@dataclasses.dataclass(frozen=True)
class Design:
    """Where losses are measured: features, samples and times (R,), infinite along an axis that there is not."""

    features: np.ndarray
    samples: np.ndarray
    times: np.ndarray

    def __len__(self) -> int:
        return len(self.features)

    @property
    def axes(self) -> tuple[str, ...]:
        """Those with a finite value."""
        return tuple(axis for axis in AXES if np.isfinite(getattr(self, axis)).any())

    @property
    def varied(self) -> tuple[str, ...]:
        """Axes of two values or more."""
        return tuple(axis for axis in self.axes if len(np.unique(getattr(self, axis))) > 1)

    def curves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
        """One learning curve for each pair of sizes: N (G,), P (G,), times (G, T), and the place of each row in (G T).

        Shorter curves are filled up with their last time; times are None where training has ended.
        """
        sizes, curve = np.unique(np.stack([self.features, self.samples], 1), axis=0, return_inverse=True)
        curve = curve.reshape(-1)
        if "times" not in self.axes:
            return sizes[:, 0], sizes[:, 1], None, curve
        own = [np.unique(self.times[curve == g]) for g in range(len(sizes))]
        length = max(map(len, own))
        times = np.stack([np.pad(t, (0, length - len(t)), mode="edge") for t in own])
        place = [g * length + np.searchsorted(own[g], t) for g, t in zip(curve, self.times, strict=True)]
        return sizes[:, 0], sizes[:, 1], times, np.array(place)


@dataclasses.dataclass(frozen=True)
class CurveTable:
    """Losses (R,) at a design. stderr: (R,) of each, or None; run: (R,) whole numbers, equal for points of one run."""

    design: Design
    loss: np.ndarray
    stderr: np.ndarray | None
    run: np.ndarray

    def __len__(self) -> int:
        return len(self.loss)

    def select(self, rows: np.ndarray) -> "CurveTable":
        """The rows of a mask (R,)."""
        return CurveTable(
            Design(*(getattr(self.design, axis)[rows] for axis in AXES)),
            self.loss[rows],
            None if self.stderr is None else self.stderr[rows],
            self.run[rows],
        )


def read(path: str | Path, named: Mapping[str, str | None]) -> CurveTable:
    """The table of a CSV file with a header; named: for each of COLUMNS what it is called, None for the usual names.

    Raises ValueError for a file that cannot be read or has no rows, a column that is not there, two roles of one
    column, no axis at all, a cell that is no number (with its line), or a number that is not positive and finite (sizes
    may be infinite).
    """
    header, rows = _read_cells(path)
    columns = {role: _column(role, named.get(role), header) for role in COLUMNS}
    used = [name for name in columns.values() if name is not None]
    for name in used:
        if used.count(name) > 1:
            checks.fail("FILE", "read with a column for each of its roles", f"{name} twice")
    if columns["loss"] is None:
        checks.fail("loss", f"the name of a column, one of {_names(header)}", None)
    if not any(columns[axis] for axis in AXES):
        checks.fail("features, samples, times", f"columns, at least one of {_names(header)}", None)
    numbers = {
        role: np.array([_number(row, line, header, columns[role], role) for line, row in rows])
        for role in (*AXES, "loss", "stderr")
        if columns[role] is not None
    }
    nothing = np.full(len(rows), np.inf)
    design = Design(*(numbers.get(axis, nothing) for axis in AXES))
    labels = None if columns["run"] is None else [row[header.index(columns["run"])] for _, row in rows]
    return CurveTable(design, numbers["loss"], numbers.get("stderr"), runs(design, labels))


def runs(design: Design, labels: list | None = None) -> np.ndarray:
    """Which rows belong to one training run, numbered (R,): equal label and sizes.

    Without labels the rows of one pair of sizes are one run, where a time repeats the second time it comes is of a
    second run; without times every row is a run.
    """
    sizes = list(zip(design.features, design.samples, strict=True))
    if labels is not None and "times" in design.axes:
        names = list(zip(labels, sizes, strict=True))
    elif "times" in design.axes:
        names, seen = [], {}
        for size, time in zip(sizes, design.times, strict=True):
            seen[size, time] = seen.get((size, time), 0) + 1
            names.append((size, seen[size, time]))
    else:
        names = list(range(len(sizes)))
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names])


def held_out(design: Design, part: float) -> np.ndarray:
    """(R,) True for about `part` of the rows: the largest values of as many axes as that allows.

    An axis of three values or more can lose its last ones. All sets of axes are tried, each axis losing as equal a
    share of the rows as its values allow; of those that hold out no more than ALLOWED times `part`, the most axes,
    then the nearest share; else the nearest of all.
    """
    axes = [axis for axis in design.axes if len(np.unique(_finite(getattr(design, axis)))) >= 3]
    tried = []
    for count in range(1, len(axes) + 1) if part > 0 else ():
        own = 1.0 - (1.0 - part) ** (1.0 / count)
        for chosen in itertools.combinations(axes, count):
            held = np.any([_last(getattr(design, axis), own) for axis in chosen], axis=0)
            share = held.mean()
            order = (0, -count, abs(share - part)) if share <= ALLOWED * part else (1, abs(share - part), -count)
            tried.append((order, held))
    return min(tried, key=lambda pair: pair[0])[1] if tried else np.zeros(len(design), bool)


def _last(x: np.ndarray, part: float) -> np.ndarray:
    """(R,) True from that value on, from which nearest to `part` of the rows are; the lowest two stay."""
    cuts = np.unique(_finite(x))[2:]
    ordered = np.sort(x)
    share = 1.0 - np.searchsorted(ordered, cuts) / len(x)
    return x >= cuts[np.argmin(np.abs(share - part))]


def _finite(x: np.ndarray) -> np.ndarray:
    return x[np.isfinite(x)]


def _read_cells(path: str | Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header, and rows with their line numbers; empty lines are skipped."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        checks.fail("FILE", f"a CSV file that can be read ({reason})", str(path))
    if len(lines) < 2:
        checks.fail("FILE", "a CSV file with a header and rows", f"{path} with {len(lines)} lines")
    header, rows = lines[0][1], lines[1:]
    for line, row in rows:
        if len(row) != len(header):
            checks.fail("FILE", f"rows of {len(header)} cells as its header", f"{len(row)} cells in line {line}")
    if len(set(header)) < len(header):
        checks.fail("FILE", "one column of a name", _names(header))
    return header, rows


def _column(role: str, name: str | None, header: list[str]) -> str | None:
    if name is None:
        return next((usual for usual in COLUMNS[role] if usual in header), None)
    if name not in header:
        checks.fail(role, f"a column of the file, one of {_names(header)}", name)
    return name


def _names(header: list[str]) -> str:
    return ", ".join(header)


def _number(row: list[str], line: int, header: list[str], column: str, role: str) -> float:
    cell = row[header.index(column)]
    where = f"{cell!r} in line {line}"
    try:
        value = float(cell)
    except ValueError:
        raise ValueError(f"Column `{column}` must hold numbers, but has {where}.") from None
    infinite = math.isinf(value) and role in ("features", "samples")
    if not (value > 0 and (math.isfinite(value) or infinite)):
        raise ValueError(f"Column `{column}` must hold numbers > 0, but has {where}.")
    return value
