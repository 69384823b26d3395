"""Short words for records of large arrays: one line for `repr`, a small table for a notebook."""

import dataclasses
import html
from collections.abc import Mapping
from typing import Any

import numpy as np

from rfm.precision import is_traced

MOST_SHOWN = 4  # numbers of an array that are shown one by one
LONGEST = 200  # characters of anything else


def span(values: Any) -> str:
    """Return the first and the last of some numbers.

    Example:
        >>> span([0.1, 1.0, 10.0]), span([2.0])
        ('0.1 .. 10', '2')
    """
    if is_traced(values):
        return f"traced, {np.shape(values)}"
    flat = np.ravel(np.asarray(values))
    return f"{flat[0]:.4g} .. {flat[-1]:.4g}" if flat.size > 1 else "".join(f"{x:.4g}" for x in flat)


def line(name: str, facts: Mapping[str, object]) -> str:
    """Return a record in one line; a fact of an empty name is a word by itself.

    Example:
        >>> line("Curve", {"": "theory", "times": "1 .. 10"})
        '<Curve: theory; times 1 .. 10>'
    """
    return f"<{name}: {'; '.join(f'{key} {value}'.strip() for key, value in facts.items())}>"


def table(name: str, facts: Mapping[str, object]) -> str:
    """Return a record as a small HTML table, for a notebook."""
    rows = (
        f"<tr><th style='text-align:left'>{html.escape(key or 'kind')}</th>"
        f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>"
        for key, value in facts.items()
    )
    return f"<table><caption>{html.escape(name)}</caption>{''.join(rows)}</table>"


def fields_of(record: Any) -> str:
    """Return a dataclass as a call, its long arrays by shape, first and last number."""
    shown = (f"{field.name}={_short(getattr(record, field.name))}" for field in dataclasses.fields(record))
    return f"{type(record).__name__}({', '.join(shown)})"


def _short(value: Any) -> str:
    if not hasattr(value, "shape") or is_traced(value) or np.asarray(value).dtype.kind not in "biuf":
        text = repr(value)
        return text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."
    values = np.asarray(value)
    if values.size <= MOST_SHOWN:
        return repr(values.tolist())
    return f"<{' x '.join(map(str, values.shape))}: {span(values)}>"
