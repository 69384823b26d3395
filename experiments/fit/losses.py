"""Files of measured losses: which column is what, gaps, runs side by side, and losses that rise.

Columns are found by usual names, without regard to case, to what joins words (`val/loss`, `val_loss`) or to a unit
behind them (`Params (M)`). A table in which every run has a column of its own, "RUN - METRIC" as trackers export it,
is read as a row a run and step, and its columns of minima and maxima are left out.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.fit.axes import TIME_WORDS, choose_time, derive, is_count
from experiments.fit.cells import Source, joined, read_cells, to_long
from experiments.fit.columns import ACCURACIES, COLUMNS, candidates, column, is_gap, number, plain
from experiments.fit.table import DESIGN_AXES, LETTERS, CurveTable, Design, rises, runs
from rfm import checks

RISING, FEWEST_STEPS = 0.75, 3  # part of the steps along an axis, from which losses rise, and how many it takes
PERCENT = 1.5  # an accuracy above it is one of 100
LOGGED = 20  # rows of one size: more of them are a training curve, fewer are models trained to so many tokens
WRITTEN = LETTERS | {"lr": "lr", "batch": "batch", "flops": "C", "weight": "weight", "stderr": "stderr", "run": "run"}


class Losses(NamedTuple):
    """Losses of files, and how they were read.

    Attributes:
        table: R losses.
        columns: Name of the column of each role that has one.
        places: (R,) where each loss stands in the file, in words.
        unused: Names of columns that were not used.
        notes: Sentences about rows and columns that were left out, or taken for something.
        labels: Name of each run of the table, by its number.
        lr: (R,) learning rate, None without such a column.
        batch: (R,) batch, None without such a column.
        title: What is said of them first, where it is not about all of them.
    """

    table: CurveTable
    columns: dict[str, str]
    places: list[str]
    unused: list[str]
    notes: list[str]
    labels: list[str]
    lr: np.ndarray | None = None
    batch: np.ndarray | None = None
    title: str = ""

    @property
    def words(self) -> str:
        """The first line that is printed: how the files were understood."""
        if self.title:
            return self.title
        left = [note for note in self.notes if " left out" in note or " skipped" in note]
        how = [f"{name} → {WRITTEN.get(role, role)}" for role, name in self.columns.items()
               if WRITTEN.get(role, role) != name]  # fmt: skip
        count, run_count = len(self.table), len(np.unique(self.table.run))
        against = ", ".join(LETTERS[axis] for axis in self.table.design.axes)
        said = f"{count} losses against {against}, {run_count} run{'s' * (run_count > 1)}"
        parts = [", ".join(how), ", ".join([said, *left]), f"not used: {', '.join(self.unused)}" if self.unused else ""]
        return "; ".join(part for part in parts if part)

    @property
    def other_notes(self) -> list[str]:
        """Notes that are not in the first line."""
        return [note for note in self.notes if " left out" not in note and " skipped" not in note]


@dataclasses.dataclass(frozen=True)
class Reading:
    """Choices in reading files.

    Attributes:
        named: For each role in `COLUMNS` the name of its column; None or left out: one of the usual names.
        accuracy: The column of losses holds an accuracy: the loss is what is missing to 1, or to 100 %.
        flops_per_token: C = flops_per_token N t, for tables that have C in place of N or t.
    """

    named: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    accuracy: bool = False
    flops_per_token: float = 6.0

    def __post_init__(self) -> None:
        checks.number("flops-per-token", self.flops_per_token, 0.0, "a number > 0")


def read(paths: Source | Sequence[Source], how: Reading | Mapping[str, str | None] | None = None) -> Losses:
    """Read the losses in files of one kind, whose first line (or keys) name their columns.

    Args:
        paths: One file or several: separated text, JSON lines, Parquet; a row for every measured loss, or a column
            for every run; or columns by their name. Of several files without a column of runs each is a run.
        how: Names of columns and what the numbers are; a mapping is that of `Reading.named`.

    Returns:
        The losses, and what is to be said of their files; an axis without a column is infinite.

    Raises:
        ValueError: A file that cannot be read or has no rows, a column that is not there, two roles of one column, two
            columns that could both be the time, no axis at all, a cell that is not a number (with its line), a number
            that is not positive and finite (sizes may be infinite), or losses that rise where no model does.
    """
    how = how if isinstance(how, Reading) else Reading(how or {})
    several: list[Any] = list(paths) if isinstance(paths, Sequence) and not isinstance(paths, str) else [paths]
    tables = [
        (Path(path).name if isinstance(path, str | Path) else str(i), to_long(read_cells(path), how.named.get("loss")))
        for i, path in enumerate(several)
    ]
    header, rows, notes, unused = joined(tables)
    notes = list(notes)
    columns = _columns(header, how)
    place = {role: header.index(name) for role, name in columns.items()}
    kept = _measured(rows, columns, place, notes)
    file = f" of {tables[0][0]}" if len(tables) == 1 and isinstance(several[0], str | Path) else ""
    numbers = {
        role: np.array([number(columns[role], where + file, row[i], role) for where, row in kept])
        for role, i in place.items() if role not in ("run", "time_too")
    }  # fmt: skip
    if "time_too" in place:
        numbers["time_too"] = np.array([_perhaps(row[place["time_too"]]) for _, row in kept])
    labels = [row[place["run"]] for _, row in kept] if "run" in place else None
    columns = choose_time(columns, numbers, labels, notes)
    columns = derive(columns, numbers, how.flops_per_token, notes)
    if "weight" in numbers and not numbers["weight"].any():
        raise ValueError(f"Column `{columns['weight']}` must hold a number > 0 in some row, but every weight is 0.")
    if not any(axis in numbers for axis in DESIGN_AXES):
        raise ValueError(
            f"No column is a model size, a number of samples or a time: name one of {', '.join(header)} by --features, "
            "--samples or --times."
        )
    if how.accuracy:
        most = 100.0 if numbers["loss"].max() > PERCENT else 1.0
        notes.append(f"loss = {most:g} - {columns['loss']}")
        numbers["loss"] = most - numbers["loss"]
        if np.any(numbers["loss"] <= 0.0):
            raise ValueError(f"Column `{columns['loss']}` must hold accuracies below {most:g} for --accuracy.")
    design = Design(*(numbers.get(axis, np.full(len(kept), np.inf)) for axis in DESIGN_AXES))
    separate = labels is None and "time_too" not in place and _separate(design, columns)
    run = np.arange(len(kept)) if separate else runs(design, labels)
    table = CurveTable(design, numbers["loss"], numbers.get("stderr"), run, numbers.get("weight"))
    notes += _remarks(table, columns)
    names = [labels[i] if labels else str(number) for number, i in enumerate(np.unique(run, return_index=True)[1])]
    if len(names) == 1 and labels is None:
        names = [tables[0][0]]
    used = set(columns.values())
    return Losses(
        table, {role: name for role, name in columns.items() if role != "flops" or "flops" in numbers},
        [where for where, _ in kept], unused + [x for x in header if x not in used], notes, names,
        numbers.get("lr"), numbers.get("batch"),
    )  # fmt: skip


def _columns(header: Sequence[str], how: Reading) -> dict[str, str]:
    """Return the column of each role; a second column that could be the time is that of `time_too`."""
    for role, name in how.named.items():
        column(role, name, header)
    taken = {name for name in how.named.values() if name is not None}
    columns: dict[str, str] = {}
    for role in COLUMNS:
        names = candidates(role, [name for name in header if name not in taken])
        if name := how.named.get(role) or next(iter(names), None):
            columns[role] = name
        if role == "times" and how.named.get("times") is None:
            others = [name for name in names[1:] if plain(name) in TIME_WORDS]
            columns |= {"time_too": others[0]} if others else {}
        taken |= set(columns.values())
    given = [name for name in how.named.values() if name is not None]
    for name in given:
        if given.count(name) > 1:
            checks.fail("FILE", "read with a column for each of its roles", f"{name} twice")
    if "loss" not in columns:
        raise ValueError(f"No column is the loss: name one of {', '.join(header)} by --loss.")
    return columns


def _measured(
    rows: Sequence[tuple[str, list[str]]], columns: Mapping[str, str], place: Mapping[str, int], notes: list[str]
) -> list[tuple[str, list[str]]]:
    """Return the rows with a loss and a time above 0, and note how many are left out; ValueError if none is left."""
    loss, time = place["loss"], place.get("times")
    filled = [row for row in rows if not is_gap(row[1][loss])]
    kept = [row for row in filled if time is None or not _is_zero(row[1][time])]
    if gaps := len(rows) - len(filled):
        notes.append(f"{gaps} row{'s' * (gaps > 1)} without `{columns['loss']}` left out")
    if starts := len(filled) - len(kept):
        notes.append(f"{starts} row{'s' * (starts > 1)} at `{columns['times']}` = 0, before training, left out")
    if not kept:
        if filled:
            raise ValueError(f"Column `{columns['times']}` is 0 in every row: losses before training are not data.")
        raise ValueError(f"Column `{columns['loss']}` holds no number in any row: name another by --loss.")
    return kept


def _separate(design: Design, columns: Mapping[str, str]) -> bool:
    """Is each row a training run of its own: tokens or compute of a whole training, few of them at each size?"""
    counted = is_count(columns.get("times")) or ("times" not in columns and "flops" in columns)
    _, counts = np.unique(design.features, return_counts=True)
    return counted and {"features", "times"} <= set(design.axes) and counts.max() <= LOGGED


def _remarks(table: CurveTable, columns: Mapping[str, str]) -> list[str]:
    """Say which axis is one value, and where losses rise along one.

    Raises ValueError for losses that rise on fresh data, where those of no model do.
    """
    loss, design = columns["loss"], table.design
    notes = [
        f"`{columns.get(axis, LETTERS[axis])}` is {getattr(design, axis)[0]:.4g} in all rows: "
        "its effect cannot be separated from the floor"
        for axis in design.axes
        if axis not in design.varied
    ]
    for axis in table.design.varied:
        up, steps = rises(table, axis).sum(0)
        if steps < FEWEST_STEPS or up <= RISING * steps:
            continue
        here = f"rises with {LETTERS[axis]} in {up} of {steps} steps"
        if "samples" in table.design.axes:
            notes.append(f"`{loss}` {here}: can that be a loss?")
            continue
        cure = "leave out runs that were not trained well"
        if plain(loss) in map(plain, ACCURACIES) or table.loss.max() <= 1.0:
            cure = "an accuracy? Give 1 - accuracy, which --accuracy takes"
        raise ValueError(
            f"Column `{loss}` {here}, and no model does on fresh data: {cure}, or name another column by --loss."
        )
    if "times" in table.design.axes:
        risen = [count[0] > RISING * count[1] and count[1] >= FEWEST_STEPS for count in rises(table, "times")]
        if len(risen) > 1 and any(risen):
            notes.append(f"{sum(risen)} of {len(risen)} runs rise with t: did they diverge?")
    return notes


def _perhaps(cell: str) -> float:
    """The number in a cell, NaN where there is none."""
    try:
        return number("", "", cell, "times")
    except ValueError:
        return np.nan


def _is_zero(cell: str) -> bool:
    try:
        return float(cell) == 0.0
    except ValueError:
        return False
