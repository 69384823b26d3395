"""Standard output of a command: text for a reader, one JSON document for a program, or nothing."""

import json
import math
import textwrap
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from experiments.output.tables import WIDTH


class Form(NamedTuple):
    """Form of standard output; quiet: no text, and no progress on standard error either."""

    json: bool = False
    quiet: bool = False


TEXT = Form()
_FORM: ContextVar[Form] = ContextVar("form", default=TEXT)


def begin(form: Form) -> None:
    """Remember the form of what follows."""
    _FORM.set(form)


def options() -> list[str]:
    """Return the options that ask for the same once more."""
    return [f"--{name}" for name, wanted in _FORM.get()._asdict().items() if wanted]


def shows_progress() -> bool:
    """Is progress to be shown?"""
    return not _FORM.get().quiet


def tell(text: str = "", record: object = None) -> None:
    """Print the text, or the record as JSON where that is wanted; a command gives one record, at its end."""
    form = _FORM.get()
    if form.json and record is not None:
        print(as_json(record), flush=True)
    elif text and not form.json and not form.quiet:
        print("\n".join(map(wrapped, text.splitlines())), flush=True)


def wrapped(line: str) -> str:
    """Return a line in as many lines as are needed for no more than WIDTH columns; no word is broken, no path."""
    if len(line) <= WIDTH:
        return line
    more = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(line, WIDTH, subsequent_indent=more, break_long_words=False, break_on_hyphens=False)


def as_json(value: object) -> str:
    """Return JSON that every reader takes: infinite numbers are the text "inf", those that are unknown null.

    Example:
        >>> print(as_json({"P": float("inf"), "risk": np.float64("nan"), "N": np.int64(8)}).replace("\\n", ""))
        {  "P": "inf",  "risk": null,  "N": 8}
    """
    return json.dumps(_plain(value), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)
