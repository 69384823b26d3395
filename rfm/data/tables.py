"""Tables with named columns, CSV and Parquet, read block by block into a matrix of numbers and labels.

Errors give the place of a row as a line of the file in CSV, the header being line 1, and counted from 0 in Parquet.
`csv_lines` is the one reader of CSV files here: `rfm fit` reads its table of losses with it too. Cells may be
separated by commas, semicolons, tabs, bars or blanks, as the first line shows; where the separator is not a comma,
`1,5` is one and a half.
"""

import csv
import itertools
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rfm import checks
from rfm.devices import available_memory

BLOCK = 2**20  # numbers converted at a time
SEPARATORS = ",;\t|"
LARGEST = 1e100  # of numbers: the square of a square is still finite
MISSING = ("", "na", "n/a", "none", "null", "-")  # cells, in small letters, that stand for no number
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)


def csv_lines(argument: str, file: str | os.PathLike, *, decimal_comma: bool = True) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of every line of a CSV file that is not blank; the first names the columns.

    A comma in a cell is made a point where commas separate nothing, unless `decimal_comma` leaves it to the caller.
    Raises ValueError about `argument`, the argument that named the file, for a file that is not such text.
    """
    try:
        with open(file, newline="", encoding="utf-8-sig") as text:
            separator = _separator(next((line for line in text if line.strip()), ""))
            text.seek(0)
            pointed = decimal_comma and separator != ","
            reader = csv.reader(text, strict=True, delimiter=separator, skipinitialspace=separator == " ")
            for row in reader:
                if any(map(str.strip, row)):
                    yield reader.line_num, [_with_point(cell) for cell in row] if pointed else row
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        checks.fail(argument, f"a table of comma-separated text that can be read ({reason})", os.fspath(file))


def _separator(line: str) -> str:
    """Return what separates the names of the columns in the first line of a table."""
    bare = re.sub('"[^"]*"', "", line.strip())
    separator = max(SEPARATORS, key=bare.count)
    return separator if separator in bare or " " not in bare else " "


def _with_point(cell: str) -> str:
    return cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell.strip()) else cell


def read_csv(file: str, columns: Sequence[str] | None, left_out: Sequence[str] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) float64 and labels (n,) or (n, k), numbers or text, of a file of cells, see `csv_lines`.

    columns: names of the labels; None is "y", or the last column. left_out: columns that are not features. Raises
    ValueError for whatever is not such a table, telling line and column, and for one that does not fit into memory.
    """
    lines = csv_lines("file", file)
    _, first = next(lines, (0, []))
    header = [name.strip() for name in first]
    if not header:
        checks.fail("file", "a table whose first line names its columns, not an empty one", file)
    if all(_is_number(name) for name in header):
        checks.fail("file", "a table whose first line names its columns", header[:8])
    chosen = _label_columns(header, columns, left_out)
    others = _feature_columns(header, chosen, left_out)
    size = _rows_of_block(len(header))
    features, labels, places = [], [], []
    while block := list(itertools.islice(lines, size)):
        for line, row in block:
            if len(row) != len(header):
                cure = f"mend or delete that line of {file}"
                checks.fail("file", f"of {len(header)} columns in line {line}, as in its first", len(row), cure)
        if not features and len(block) == size:  # the rest will be as long as the first block
            read = sum(len(cell) + 1 for _, row in block for cell in row)
            blocks = math.ceil(os.path.getsize(file) / read)
            check_fits(file, 2 * 8 * blocks * size * len(header))  # the blocks, and all of them joined
        features.append(_numbers(file, block, others, header))
        labels += [[row[i].strip() for i in chosen] for _, row in block]
        places += [f"line {line}" for line, _ in block]
    matrix = np.concatenate([np.empty((0, len(others))), *features])
    return matrix, _label_array(file, labels, places, [header[i] for i in chosen])


def read_parquet(
    file: str, columns: Sequence[str] | None, left_out: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """As `read_csv`, of a Parquet file. Raises ImportError where pyarrow is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ImportError("Parquet files are read by pyarrow, which is not installed: pip install pyarrow.") from None
    try:
        with pq.ParquetFile(file) as table:
            schema, n = table.schema_arrow, table.metadata.num_rows
            chosen = _label_columns(schema.names, columns, left_out)
            names = [schema.names[i] for i in _feature_columns(schema.names, chosen, left_out)]
            for name in names:
                kind = schema.field(name).type
                if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
                    checks.fail("file", f"of numbers in column {name!r}", str(kind))
            check_fits(file, 8 * n * len(schema.names))
            features = np.empty((n, len(names)))
            group = max(1, BLOCK // max(1, n))  # columns at a time: groups of rows may be as large as the file
            for start in range(0, len(names), group):
                part = table.read(names[start : start + group])
                for j, name in enumerate(names[start : start + group], start):
                    column = part.column(name)  # by name: "x" reads "x.1" too
                    if column.null_count:
                        row = column.is_null().to_pylist().index(True)
                        checks.fail("file", f"a number in row {row} (from 0) of column {name!r}", None, mended(file))
                    features[:, j] = column.to_numpy()
            chosen = [schema.names[i] for i in chosen]
            part = table.read(chosen)
            labels = list(zip(*(part.column(name).to_pylist() for name in chosen), strict=True))
    except (pa.ArrowException, OSError) as error:
        checks.fail("file", f"a Parquet file ({str(error).splitlines()[0]})", file)
    check_finite(file, features, lambda i, j: f"row {i} (from 0) of column {names[j]!r}")
    return features, _label_array(file, labels, [f"row {i} (from 0)" for i in range(n)], chosen)


def mended(file: str) -> str:
    """Say what to do about a cell of a file that holds no number."""
    return f"fill it in or delete the row, in {file}"


def check_finite(file: str, matrix: np.ndarray, place: Callable[..., str], argument: str = "file") -> None:
    """Raise ValueError for NaN, infinity, or beyond LARGEST in (n, ...), by blocks; place(i, j, ...) says where."""
    if matrix.dtype.kind != "f":
        return
    size = _rows_of_block(matrix[:1].size)
    for start in range(0, len(matrix), size):
        block = np.asarray(matrix[start : start + size])
        if not np.all(allowed := np.abs(block) <= min(LARGEST, float(np.finfo(block.dtype).max))):
            i, *rest = map(int, np.argwhere(~allowed)[0])
            value = float(block[i, *rest])
            kind = f"less than {LARGEST:g} in size" if np.isfinite(value) else "finite"
            cure = f"give it in another unit, in {file}" if np.isfinite(value) else mended(file)
            checks.fail(argument, f"{kind} in {place(start + i, *rest)}", value, cure)


def _rows_of_block(width: int) -> int:
    return max(1, BLOCK // max(1, width))


def check_fits(file: str, needed: int) -> None:
    """Raise ValueError if these bytes are not free."""
    available = available_memory()
    if available is not None and needed > available:
        sizes = f"{needed / 1e9:.3g} GB, and {available / 1e9:.3g} GB of memory are free"
        checks.fail("file", f"smaller (it takes {sizes}), or features in a .npy file, which stay on disk", file)


def read_column(file: str, argument: str, name: str) -> np.ndarray:
    """Return one column of a table, CSV or Parquet, as text (n,); ValueError about `argument` for another name."""
    if file.lower().endswith(".parquet"):
        import pyarrow.parquet as pq

        header = pq.read_schema(file).names
        if name in header:
            cells = pq.read_table(file, columns=[name]).column(name).to_pylist()
            cells = [("" if cell is None else str(cell), f"row {i} (from 0)") for i, cell in enumerate(cells)]
            return _named(file, argument, cells)
    else:
        lines = csv_lines("file", file)
        header = [cell.strip() for cell in next(lines, (0, []))[1]]
        if name in header:
            place = header.index(name)
            cells = [(row[place].strip() if place < len(row) else "", f"line {line}") for line, row in lines]
            return _named(file, argument, cells)
    known = ", ".join(map(repr, header[:8])) + (", ..." if len(header) > 8 else "")
    checks.fail(argument, f"a column of the table ({known}), or FILE.npy", name)


def _named(file: str, argument: str, cells: list[tuple[str, str]]) -> np.ndarray:
    """Return the text of cells beside their places; ValueError about `argument` where one is empty."""
    for cell, place in cells:
        if cell.lower() in (*MISSING, "nan"):
            checks.fail(argument, f"a name in {place}", cell, mended(file))
    return np.array([cell for cell, _ in cells])


def _feature_columns(header: list[str], chosen: list[int], left_out: Sequence[str]) -> list[int]:
    """Return which columns are features; ValueError where none is."""
    features = [i for i, name in enumerate(header) if i not in chosen and name not in left_out]
    if not features:
        checks.fail("file", "a table with a column of features beside labels and groups", header)
    return features


def _label_columns(header: list[str], columns: Sequence[str] | None, left_out: Sequence[str] = ()) -> list[int]:
    """Which columns are the labels; the others are features."""
    unnamed = [name for name in header if not name or name.startswith("__index_level_")]
    if unnamed:
        checks.fail("file", "a table whose columns all have a name (was an index saved with it?)", unnamed)
    if len(set(header)) < len(header):
        twice = sorted({name for i, name in enumerate(header) if name in header[:i]})
        checks.fail("file", "a table whose columns have different names", twice * 2)
    if len(header) < 2:
        checks.fail("file", "a table of at least two columns (in .csv separated by commas)", header)
    if columns is None:
        columns = ["y" if "y" in header else [name for name in header if name not in left_out][-1]]
    for name in columns:
        if name not in header:
            known = ", ".join(map(repr, header[:8])) + (", ..." if len(header) > 8 else "")
            checks.fail("labels", f"columns of the table ({known})", name)
    if not 0 < len(set(columns)) < len(header):
        checks.fail("labels", f"at least one of the {len(header)} columns, and not all", list(columns))
    return [header.index(name) for name in dict.fromkeys(columns)]


def _numbers(
    file: str, block: list[tuple[int, list[str]]], columns: list[int], header: list[str]
) -> np.ndarray:  # fmt: skip
    """Finite numbers (n, d) in some columns of numbered lines."""
    lines, names = [line for line, _ in block], [header[i] for i in columns]
    rows = [[row[i] for i in columns] for _, row in block]
    try:
        x = np.array(rows, dtype=float).reshape(len(rows), len(names))
    except ValueError:
        i, j = next((i, j) for i, row in enumerate(rows) for j, cell in enumerate(row) if not _is_number(cell))
        missing = rows[i][j].strip().lower() in MISSING
        cure = mended(file) if missing else f"mend it, or leave a column of text out of {file}"
        checks.fail("file", f"a number in line {lines[i]} of column {names[j]!r}", rows[i][j], cure)
    check_finite(file, x, lambda i, j: f"line {lines[i]} of column {names[j]!r}")
    return x


def _label_array(file: str, rows: list, places: list[str], names: list[str]) -> np.ndarray:
    """Labels (n, k) read as text or objects: numbers where all are numbers, else text; (n,) of one column."""
    for j, name in enumerate(names):
        row = _without_label([row[j] for row in rows])
        if row is not None:
            checks.fail("file", f"a label in {places[row]} of column {name!r}", rows[row][j], mended(file))
    try:
        labels = np.array(rows, dtype=float)
    except (TypeError, ValueError):
        labels = np.array(rows, dtype=str)
    else:
        check_finite(file, labels, lambda i, j: f"{places[i]} of column {names[j]!r}")
    return labels[:, 0] if labels.ndim == 2 and len(names) == 1 else labels


def _without_label(cells: list) -> int | None:
    """Return the first row whose cell is empty, stands for no number, or is text among numbers that are no classes."""
    for row, cell in enumerate(cells):
        if cell is None or cell == "":
            return row
    if not all(isinstance(cell, str) for cell in cells):
        return None
    numbers = [float(cell) if _is_number(cell) else None for cell in cells]
    others = [row for row, value in enumerate(numbers) if value is None]
    missing = [row for row in others if cells[row].lower() in MISSING] if len(others) < len(cells) else []
    real = sum(value is not None and value % 1.0 != 0.0 for value in numbers)
    return next(iter(missing or (others if 2 * real > len(cells) else [])), None)


def _is_number(text: str) -> bool:
    try:
        np.array([text], dtype=float)  # as whole blocks are read: Python's float takes more
    except ValueError:
        return False
    return True
