"""Tables: as text for the terminal, and as records for a file."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import ArrayLike

WIDTH, GAP = 100, 2  # characters of a table, and between its columns
NUMBER = re.compile(r"(?<!\S)[+-]?\d[\d.]* (?:± [\d.]+ )?(?=[^\W\d]|%)")
TIE = "\xa0"  # between a number and what it counts, which stay on one line where the column is as wide as both


def align(rows: Sequence[Sequence[str]], width: int = WIDTH) -> str:
    """Return rows of cells as columns, the first row above a rule; long cells go over several lines.

    A number stays on the line of what it counts, and of its error.

    Example:
        >>> print(align([("row", "claim"), ("S1", "a large model is a fast clock")], width=20))
        row  claim
        ----------
        S1   a large model
             is a fast clock
        >>> print(align([("verdict",), ("cannot tell 3 %: it needs 250 seeds",)], width=30))
        verdict
        -------
        cannot tell 3 %: it needs
        250 seeds
    """
    whole = [[NUMBER.sub(lambda found: found[0].replace(" ", TIE), cell) for cell in row] for row in rows]
    widths = _widths(whole, width)
    head, *rest = (_lines(row, widths) for row in whole)
    return "\n".join([*head, "-" * max(map(len, head)), *chain.from_iterable(rest)]).replace(TIE, " ")


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return the lines of a row."""
    cells = [
        textwrap.wrap(cell, most, break_on_hyphens=False, break_long_words=False) or [""]
        if len(cell) > most
        else [cell]
        for cell, most in zip(row, widths, strict=True)
    ]
    lines = zip_longest(*cells, fillvalue="")
    return [(" " * GAP).join(map(str.ljust, parts, widths)).rstrip() for parts in lines]


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return widths of columns, the widest narrowed down to their longest words until all fit."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    least = [max(len(word) for cell in column for word in (*cell.split(" "), "")) for column in columns]
    while sum(widths) + GAP * (len(widths) - 1) > width:
        wide = [i for i in range(len(widths)) if widths[i] > least[i]]
        if not wide:
            break
        widths[max(wide, key=lambda i: widths[i])] -= 1
    return widths


def records(columns: Mapping[str, ArrayLike]) -> list[dict]:
    """Return one record a point of columns that broadcast to one shape, in the order of its axes.

    Example:
        >>> records({"axis": "N", "N": [8, 16], "risk": [0.5, 0.25]})
        [{'axis': 'N', 'N': 8, 'risk': 0.5}, {'axis': 'N', 'N': 16, 'risk': 0.25}]
    """
    points = zip(*(column.ravel().tolist() for column in np.broadcast_arrays(*columns.values())), strict=True)
    return [dict(zip(columns, point, strict=True)) for point in points]
