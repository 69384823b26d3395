"""Tables: as text for the terminal, and as records for a file."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike


def align(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as columns, the first row above a rule."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def records(columns: Mapping[str, ArrayLike]) -> list[dict]:
    """Return one record a point of columns that broadcast to one shape, in the order of its axes.

    Example:
        >>> records({"axis": "N", "N": [8, 16], "risk": [0.5, 0.25]})
        [{'axis': 'N', 'N': 8, 'risk': 0.5}, {'axis': 'N', 'N': 16, 'risk': 0.25}]
    """
    points = zip(*(column.ravel().tolist() for column in np.broadcast_arrays(*columns.values())), strict=True)
    return [dict(zip(columns, point, strict=True)) for point in points]
