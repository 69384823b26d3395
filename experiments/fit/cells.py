"""Cells of a table of losses as people export it: separated text, JSON lines, Parquet, a column for every run.

Every format becomes a header and rows of text, so that numbers are read, and refused, in one way.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from experiments.fit.columns import column, plain, usual
from rfm import checks
from rfm.data.tables import csv_lines

JSON_LINES = (".jsonl", ".ndjson", ".json")
WIDE = re.compile(r"(?P<run>.*\S) - (?P<metric>\S.*)")
NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?", re.IGNORECASE)
EXTREMES = ("__MIN", "__MAX")


class Columns(Protocol):
    """Columns by name: a mapping, or a data frame."""

    def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, name: Any, /) -> Any: ...


Source = str | Path | Columns


class Cells(NamedTuple):
    """Names of columns, rows of cells with their place in words, notes, and names of columns that are left out."""

    header: list[str]
    rows: list[tuple[str, list[str]]]
    notes: list[str]
    unused: list[str]


def read_cells(source: Source) -> Cells:
    """Return the cells of columns by name, or of a file, by its ending; any but JSON lines and Parquet is text.

    Raises:
        ValueError: A file that cannot be read, has no rows, rows of unequal length, or two columns of one name.
        ImportError: A Parquet file, without pyarrow.
    """
    readers: dict[str, Callable[[str | Path], tuple[list[str], list]]] = dict.fromkeys(JSON_LINES, _json_lines)
    if isinstance(source, str | Path):
        header, rows = (readers | {".parquet": _parquet}).get(Path(source).suffix.lower(), _text)(source)
    else:
        header, rows = _columns(source)
    if len(set(header)) < len(header):
        checks.fail("FILE", "one column of a name", ", ".join(header))
    kept = list({tuple(row): (where, row) for where, row in reversed(rows)}.values())[::-1]
    copies = len(rows) - len(kept)
    notes = [f"{copies} row{'s' * (copies > 1)} that repeat another in every cell left out"] if copies else []
    return Cells(header, kept, notes, [])


def _text(path: str | Path) -> tuple[list[str], list[tuple[str, list[str]]]]:
    lines = [(line, [cell.strip() for cell in row]) for line, row in csv_lines("FILE", path, decimal_comma=False)]
    if len(lines) < 2:
        checks.fail("FILE", f"a CSV file with a header and rows below it ({len(lines)} of 2 lines or more)", str(path))
    (_, header), *rows = lines
    if all(NUMBER.fullmatch(name) for name in header):
        checks.fail("FILE", "a table whose first line names its columns", ", ".join(header), "add such a line")
    for line, row in rows:
        if len(row) != len(header):
            checks.fail("FILE", f"rows of {len(header)} cells as its header", f"{len(row)} cells in line {line}")
    return header, [(f"line {line}", row) for line, row in rows]


def _columns(source: Columns) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the rows of columns by name, which are of one length."""
    header = [str(name) for name in source]
    columns = [np.asarray(source[name]).reshape(-1).tolist() for name in source]
    lengths = {name: len(column) for name, column in zip(header, columns, strict=True)}
    if len(set(lengths.values())) != 1 or not columns[0]:
        checks.fail("losses", "columns of one length, with rows", lengths)
    rows = [[_cell(value) for value in row] for row in zip(*columns, strict=True)]
    return header, [(f"row {i} (from 0)", row) for i, row in enumerate(rows)]


def _json_lines(path: str | Path) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the objects of a file, one a line, or all in one array; an object may lack some of the names."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        checks.fail("FILE", f"JSON lines that can be read ({reason})", str(path))
    records: list[tuple[str, Any]] = []
    try:
        whole = json.loads(text) if text.lstrip().startswith("[") else None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} must hold one JSON object per line, but line {error.lineno} is not one.") from None
    if whole is not None:
        records = [(f"entry {i}", record) for i, record in enumerate(whole)]
    else:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                try:
                    records.append((f"line {number}", json.loads(line)))
                except json.JSONDecodeError:
                    raise ValueError(
                        f"{path} must hold one JSON object per line, but line {number} is not one."
                    ) from None
    for where, record in records:
        if not isinstance(record, dict):
            raise ValueError(f"{path} must hold one JSON object per line, but {where} is not one.")
    if not records:
        checks.fail("FILE", "a table with rows", f"{path} with 0 lines")
    flat = [(where, _flat(record)) for where, record in records]
    header = list(dict.fromkeys(name for _, record in flat for name in record))
    return header, [(where, [record.get(name, "") for name in header]) for where, record in flat]


def _flat(record: dict[str, Any], before: str = "") -> dict[str, str]:
    """Return the values of nested objects under names joined by "/"."""
    cells: dict[str, str] = {}
    for name, value in record.items():
        cells |= _flat(value, f"{before}{name}/") if isinstance(value, dict) else {f"{before}{name}": _cell(value)}
    return cells


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(value).strip()


def _parquet(path: str | Path) -> tuple[list[str], list[tuple[str, list[str]]]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ImportError("Parquet files are read by pyarrow, which is not installed: pip install pyarrow.") from None
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        checks.fail("FILE", f"a Parquet file ({str(error).splitlines()[0]})", str(path))
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    columns = [table.column(name).to_pylist() for name in names]
    rows = [(f"row {i} (from 0)", [_cell(value) for value in row]) for i, row in enumerate(zip(*columns, strict=True))]
    if not rows:
        checks.fail("FILE", "a table with rows", f"{path} with none")
    return names, rows


def to_long(cells: Cells, loss: str | None) -> Cells:
    """Return a row for every run and step where the runs have a column each, "RUN - METRIC"."""
    header, rows, notes, _ = cells
    extremes = [name for name in header if name.endswith(EXTREMES)]
    if extremes:
        notes = [*notes, f"{len(extremes)} columns of MIN and MAX left out"]
    wide = {name: match for name in header if name not in extremes and (match := WIDE.fullmatch(name))}
    metrics = list(dict.fromkeys(match["metric"] for match in wide.values()))
    single = [name for name in header if name not in extremes and name not in wide]
    if loss in header or not wide or (loss is None and any(plain(name) in usual("loss") for name in single)):
        left = [i for i, name in enumerate(header) if name not in extremes]
        return Cells([header[i] for i in left], [(where, [row[i] for i in left]) for where, row in rows], notes, [])
    metric = column("loss", loss, metrics)
    if metric is None and len(metrics) > 1:
        shown = ", ".join(metrics)
        raise ValueError(f"Each run has several columns, {shown}: say by --loss which of them is the loss.")
    metric = metric or metrics[0]
    names = {header.index(name): match["run"] for name, match in wide.items() if match["metric"] == metric}
    sizes = "" if column("features", None, single) else " (no column gives their sizes: they are taken to be equal)"
    notes = [f"{len(names)} runs side by side: {', '.join(names.values())}{sizes}", *notes]
    kept = [header.index(name) for name in single]
    long = [
        (f"{where} of {header[i]!r}", [*(row[j] for j in kept), run, row[i]])
        for i, run in names.items() for where, row in rows
    ]  # fmt: skip
    unused = [name for name, match in wide.items() if match["metric"] != metric]
    return Cells([*single, "run", metric], long, notes, unused)


def joined(tables: Sequence[tuple[str, Cells]]) -> Cells:
    """Return the rows of several files in one table, with the name of the file as the run of rows that have none."""
    if len(tables) == 1:
        return tables[0][1]
    header = list(dict.fromkeys(name for _, cells in tables for name in cells.header))
    named = column("run", None, header)
    rows = []
    for name, cells in tables:
        place = {head: i for i, head in enumerate(cells.header)}
        for where, row in cells.rows:
            filled = [row[place[head]] if head in place else "" for head in header]
            rows.append((f"{where} of {name}", filled if named else [*filled, name]))
    notes = [f"{name}: {note}" for name, cells in tables for note in cells.notes]
    unused = list(dict.fromkeys(name for _, cells in tables for name in cells.unused))
    return Cells(header if named else [*header, "run"], rows, notes, unused)
