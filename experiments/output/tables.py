"""Tables as text, for the terminal."""

from collections.abc import Sequence


def align(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as columns, the first row above a rule."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
