"""A file of measured losses: which column is what, gaps, runs side by side, and numbers as people write them.

Columns are found by usual names, without regard to case or to what joins words (`val/loss`, `val_loss`). A table in
which every run has a column of its own, "RUN - METRIC" as trackers export it, is read as a row a run and step, and
its columns of minima and maxima are left out.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.fit.table import DESIGN_AXES, LETTERS, CurveTable, Design, rises, runs
from rfm import checks
from rfm.data.tables import csv_lines

# what a column may be called where the command line names none, the likeliest first
COLUMNS = {
    "features": ("features", "num_features", "N", "params", "parameters", "num_params", "model_size"),
    "samples": ("samples", "num_samples", "P"),
    "times": ("times", "time", "t", "tokens", "D", "steps", "step", "global_step", "iterations", "iteration", "epochs",
              "epoch"),
    "loss": ("loss", "risk", "test_loss", "val_loss", "valid_loss", "validation_loss", "eval_loss", "train_loss",
             "training_loss", "acc", "accuracy", "val_acc", "test_acc"),
    "stderr": ("stderr",),
    "run": ("run", "seed"),
}  # fmt: skip
GAPS = ("", "nan", "na", "n/a", "none", "null", "-")
SUFFIXES = {"k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9, "t": 1e12}
SUFFIXED = re.compile(r"(.*\d\.?)\s*([kmgbt])", re.IGNORECASE)
THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d*)?")
WIDE = re.compile(r"(?P<run>.*\S) - (?P<metric>\S.*)")
EXTREMES = ("__MIN", "__MAX")
RISING, FEWEST_STEPS = 0.75, 3  # part of the steps along an axis, from which losses rise, and how many it takes


class Losses(NamedTuple):
    """Losses of a file, and how they were read.

    Attributes:
        table: R losses.
        columns: Name of the column of each role that has one.
        places: (R,) where each loss stands in the file, in words.
        unused: Names of columns that were not used.
        notes: Sentences about rows and columns that were left out, or taken for something.
    """

    table: CurveTable
    columns: dict[str, str]
    places: list[str]
    unused: list[str]
    notes: list[str]


class _Cells(NamedTuple):
    """Names of columns, rows of cells with their place in words, notes, and names of columns that are left out."""

    header: list[str]
    rows: list[tuple[str, list[str]]]
    notes: list[str]
    unused: list[str]


def read(path: str | Path, named: Mapping[str, str | None]) -> Losses:
    """Read the losses in a CSV file whose first line names its columns.

    Args:
        path: The file, a row for every measured loss, or a column for every run.
        named: For each role in `COLUMNS` the name of its column; None or left out: one of the usual names.

    Returns:
        The losses, and what is to be said of their file; an axis without a column is infinite.

    Raises:
        ValueError: A file that cannot be read or has no rows, a column that is not there, two roles of one column, no
            axis at all, a cell that is no number (with its line), a number that is not positive and finite (sizes may
            be infinite), or losses that rise along an axis where no model does.
    """
    header, rows, notes, unused = _long(_read_cells(path), named.get("loss"))
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
    place = {role: header.index(name) for role, name in columns.items()}
    kept = _measured(rows, columns, place, notes)
    numbers = {
        role: np.array([_number(columns[role], where, row[i], role) for where, row in kept])
        for role, i in place.items() if role != "run"
    }  # fmt: skip
    design = Design(*(numbers.get(axis, np.full(len(kept), np.inf)) for axis in DESIGN_AXES))
    labels = [row[place["run"]] for _, row in kept] if "run" in place else None
    table = CurveTable(design, numbers["loss"], numbers.get("stderr"), runs(design, labels))
    notes += _remarks(table, columns)
    return Losses(table, columns, [where for where, _ in kept], unused + [x for x in header if x not in names], notes)


def _measured(
    rows: Sequence[tuple[str, list[str]]], columns: Mapping[str, str], place: Mapping[str, int], notes: list[str]
) -> list[tuple[str, list[str]]]:
    """Return the rows with a loss and a time above 0, and note how many are left out; ValueError if none is left."""
    loss, time = place["loss"], place.get("times")
    filled = [row for row in rows if row[1][loss].lower() not in GAPS]
    kept = [row for row in filled if time is None or not _is_zero(row[1][time])]
    if gaps := len(rows) - len(filled):
        notes.append(f"{gaps} row{'s' * (gaps > 1)} without `{columns['loss']}` skipped")
    if starts := len(filled) - len(kept):
        notes.append(f"{starts} row{'s' * (starts > 1)} at `{columns['times']}` = 0, before training, left out")
    if not kept:
        where, row = (filled or rows)[0]
        role = "times" if filled else "loss"
        _number(columns[role], where, row[place[role]], role)
    return kept


def _remarks(table: CurveTable, columns: Mapping[str, str]) -> list[str]:
    """Say which axis is one value, and where losses rise along one.

    Raises ValueError for losses that rise on fresh data, where those of no model do.
    """
    loss, design = columns["loss"], table.design
    notes = [
        f"`{columns[axis]}` is {getattr(design, axis)[0]:.4g} in all rows: "
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
        cure = (
            "an accuracy? Give 1 - accuracy" if table.loss.max() <= 1.0 else "leave out runs that were not trained well"
        )
        raise ValueError(
            f"Column `{loss}` {here}, and no model does on fresh data: {cure}, or name another column by --loss."
        )
    if "times" in table.design.axes:
        risen = [count[0] > RISING * count[1] and count[1] >= FEWEST_STEPS for count in rises(table, "times")]
        if len(risen) > 1 and any(risen):
            notes.append(f"{sum(risen)} of {len(risen)} runs rise with t: did they diverge?")
    return notes


def _is_zero(cell: str) -> bool:
    try:
        return float(cell) == 0.0
    except ValueError:
        return False


def _long(cells: _Cells, loss: str | None) -> _Cells:
    """Return a row for every run and step where the runs have a column each."""
    header, rows, notes, _ = cells
    extremes = [name for name in header if name.endswith(EXTREMES)]
    if extremes:
        notes = [*notes, f"{len(extremes)} columns of MIN and MAX left out"]
    wide = {name: match for name in header if name not in extremes and (match := WIDE.fullmatch(name))}
    metrics = list(dict.fromkeys(match["metric"] for match in wide.values()))
    plain = [name for name in header if name not in extremes and name not in wide]
    if loss in header or not wide or (loss is None and any(_plain(name) in _usual("loss") for name in plain)):
        left = [i for i, name in enumerate(header) if name not in extremes]
        return _Cells([header[i] for i in left], [(where, [row[i] for i in left]) for where, row in rows], notes, [])
    metric = _column("loss", loss, metrics)
    if metric is None and len(metrics) > 1:
        checks.fail("loss", f"what one of the columns of each run is called, one of {', '.join(metrics)}", None)
    metric = metric or metrics[0]
    names = {header.index(name): match["run"] for name, match in wide.items() if match["metric"] == metric}
    sizes = "" if _column("features", None, plain) else " (no column tells their sizes: taken for one size)"
    notes = [f"{len(names)} runs side by side: {', '.join(names.values())}{sizes}", *notes]
    kept = [header.index(name) for name in plain]
    long = [
        (f"{where} of {header[i]!r}", [*(row[j] for j in kept), run, row[i]])
        for i, run in names.items() for where, row in rows
    ]  # fmt: skip
    unused = [name for name, match in wide.items() if match["metric"] != metric]
    return _Cells([*plain, "run", metric], long, notes, unused)


def _read_cells(path: str | Path) -> _Cells:
    lines = [(line, [cell.strip() for cell in row]) for line, row in csv_lines("FILE", path)]
    if len(lines) < 2:
        checks.fail("FILE", "a CSV file with a header and rows", f"{path} with {len(lines)} lines")
    (_, header), *rows = lines
    for line, row in rows:
        if len(row) != len(header):
            checks.fail("FILE", f"rows of {len(header)} cells as its header", f"{len(row)} cells in line {line}")
    if len(set(header)) < len(header):
        checks.fail("FILE", "one column of a name", ", ".join(header))
    return _Cells(header, [(f"line {line}", row) for line, row in rows], [], [])


def _plain(name: str) -> str:
    """The name in small letters, its words joined by `_`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _usual(role: str) -> list[str]:
    return [_plain(name) for name in COLUMNS[role]]


def _column(role: str, name: str | None, header: Sequence[str]) -> str | None:
    """The column that is named, or that has one of the usual names: as it is written, or else nearly so."""
    if name is not None and name not in header:
        checks.fail(role, f"a column of the file, one of {', '.join(header)}", name)
    if name is not None:
        return name
    alike = [column for usual in _usual(role) for column in header if _plain(column) == usual]
    return next((usual for usual in COLUMNS[role] if usual in header), next(iter(alike), None))


def _number(column: str, where: str, cell: str, role: str) -> float:
    """A positive number in a cell, finite unless it is a size; of sizes and times 70M, too, and 1,000."""
    here, text, factor = f"{cell!r} in {where}", cell, 1.0
    if THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif role in DESIGN_AXES and (match := SUFFIXED.fullmatch(text)):
        text, factor = match[1], SUFFIXES[match[2].lower()]
    try:
        value = float(text) * factor
    except ValueError:
        raise ValueError(f"Column `{column}` must hold numbers, but has {here}.") from None
    if not (value > 0 and (role in ("features", "samples") or math.isfinite(value))):
        raise ValueError(f"Column `{column}` must hold numbers > 0, but has {here}.")
    return value
