"""Schedules and averages of SGD as the command line names them, and schedules in files with a row for every step."""

import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rfm import TailAverage, checks
from rfm.data.tables import csv_lines
from rfm.sgd import POLYAK, RULES
from theory.arrays import namespace
from theory.schedules import FAMILIES

CONSTANT = "constant"
WARM_UP = 0.05  # part of the steps in which a rate that changes rises first
SHAPES = {"wsd": ("PART", 0.2), "power": ("EXPONENT", 2.0)}  # of the steps that decay takes; of (1 - t/steps)
TAIL = 0.5  # part of the steps whose weights a tail average is of
CHANGED = ("lr", "batch_size", "momentum")  # columns of a file; "step" is allowed beside them
MOST_ROWS = 10_000_000


class Numbers(NamedTuple):
    """Numbers of SGD as a file has them, one a step (T,); None for a column that it has not."""

    lr: np.ndarray
    batch_size: np.ndarray | None
    momentum: np.ndarray | None


def is_file(schedule: str | None) -> bool:
    """Is a schedule that of a file?"""
    return schedule is not None and schedule.lower().endswith(".csv")


def rate(schedule: str, lr: Any, steps: int) -> float | Callable[[Any], Any]:
    """Return the learning rate of a schedule known by name: it rises to `lr` first, and decays to zero at `steps`.

    Example:
        >>> decays = rate("linear", 0.1, 20)
        >>> [round(float(decays(step)), 3) for step in (0, 1, 20)]
        [0.05, 0.1, 0.0]
        >>> rate("constant", 0.1, 20)
        0.1
    """
    checks.number("lr", lr, 0.0, "a finite number > 0")
    name, shape = _shape(schedule)
    if name == CONSTANT:
        return lr
    relative, rise = FAMILIES[name][0], math.ceil(WARM_UP * steps)

    def at(step: Any) -> Any:
        xp = namespace(step)
        passed = xp.clip((step - rise) / max(steps - rise, 1), 0.0, 1.0)
        # it starts above zero, so that no step is wasted
        return lr * xp.minimum((step + 1) / (rise + 1), relative(passed, shape))

    return at


def _shape(schedule: str) -> tuple[str, float]:
    """Return name and shape of NAME or NAME:SHAPE."""
    name, colon, text = schedule.partition(":")
    known = ", ".join(f"{name}[:{SHAPES[name][0]}]" if name in SHAPES else name for name in FAMILIES)
    if name not in FAMILIES or (colon and name not in SHAPES):
        checks.fail("schedule", f"one of {known}, or a file FILE.csv with a row for every step", schedule)
    if not colon:
        return name, SHAPES.get(name, ("", math.nan))[1]
    low, high = FAMILIES[name][1] or (math.nan, math.nan)
    try:
        shape = float(text)
    except ValueError:
        shape = math.nan
    if not low <= shape <= high:
        checks.fail("schedule", f"{name}:{SHAPES[name][0]} with a number from {low:g} to {high:g}", schedule)
    return name, shape


def read(schedule: str, steps: int = 1) -> Numbers:
    """Read a file with a column lr, and batch_size and momentum where it has them, a row for every step.

    Raises:
        ValueError: For a file that is none, naming row and column, the first row below the names being row 1; and for
            fewer rows than steps.
    """
    lines = csv_lines("schedule", schedule)
    header = [name.strip() for name in next(lines, (0, []))[1]]
    for name in header:
        if name not in (*CHANGED, "step"):
            allowed = (
                f"a table with the column lr and, if any, batch_size, momentum and step ({name!r} is none of them)"
            )
            checks.fail("schedule", allowed, schedule)
        if header.count(name) > 1:
            checks.fail("schedule", f"a table with one column {name}", schedule)
    if "lr" not in header:
        checks.fail("schedule", "a table with a column lr in its first line", schedule)
    rows: list[list[float]] = []
    for row, (_, cells) in enumerate(lines, 1):
        if len(cells) != len(header):
            allowed = f"a table of {len(header)} columns in every row (row {row} has {len(cells)})"
            checks.fail("schedule", allowed, schedule)
        if row > MOST_ROWS:
            checks.fail("schedule", f"a table of at most {MOST_ROWS:,} rows", schedule)
        rows.append([_number(schedule, row, name, cell) for name, cell in zip(header, cells, strict=True)])
    if not rows:
        checks.fail("schedule", "a table with a row for every step, one at least", schedule)
    table = dict(zip(header, np.array(rows).T, strict=True))
    if not np.any(table["lr"] > 0.0):
        checks.fail("schedule", "a table whose column lr is not zero in every row", schedule)
    jumps = np.flatnonzero(np.diff(table.get("step", np.arange(len(rows)))) != 1.0)
    if jumps.size:
        row = int(jumps[0]) + 2
        allowed = f"a table with a row for every step (row {row} of column step has {table['step'][row - 1]:g})"
        checks.fail("schedule", allowed, schedule)
    if len(rows) < steps:
        checks.fail("schedule", f"a table with a row for each of {steps} steps (it has {len(rows)})", schedule)
    return Numbers(*(table.get(name) for name in CHANGED))  # type: ignore[arg-type]


def _number(schedule: str, row: int, name: str, cell: str) -> float:
    """Return a number of a table, as the column demands."""
    allowed, right = RULES.get(name, ("a number", lambda x: x == x))
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not right(np.float64(value)):
        where = f"row {row} has {cell.strip()!r}"
        checks.fail("schedule", f"a table with {allowed} in every row of column {name} ({where})", os.fspath(schedule))
    return value


def average(text: str | float | None, steps: int) -> float | str | TailAverage | None:
    """Return the average of the weights that a text names: a decay, "polyak", "tail" or "tail:PART" of the steps.

    Example:
        >>> average("0.99", 100), average("polyak", 100), average("tail:0.2", 100)
        (0.99, 'polyak', TailAverage(start=81))
    """
    if text is None or text == POLYAK:
        return text
    name, colon, number = str(text).partition(":")
    is_tail = name == "tail"
    if is_tail and not colon:
        number = str(TAIL)
    try:
        value = float(number if is_tail else text)
    except ValueError:
        value = math.nan
    if is_tail and 0.0 < value <= 1.0:
        return TailAverage(max(1, steps - round(value * steps) + 1))
    if is_tail or not 0.0 <= value < 1.0:
        allowed = f"a decay >= 0 and < 1, {POLYAK}, tail, or tail:PART with a part > 0 and <= 1 of the steps"
        checks.fail("average", allowed, text)
    return value
