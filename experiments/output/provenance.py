"""Provenance of a result: command line, date, duration and device, from which it is made again."""

import json
import shlex
import time
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple


class Run(NamedTuple):
    """A command that is under way: its words after `rfm`, and when it began."""

    arguments: tuple[str, ...]
    date: str
    start: float


_RUN: ContextVar[Run | None] = ContextVar("run", default=None)


def begin(arguments: Sequence[str]) -> None:
    """Remember the command line of what follows."""
    _RUN.set(Run(tuple(arguments), time.strftime("%Y-%m-%dT%H:%M:%S%z"), time.perf_counter()))


def record() -> dict[str, Any]:
    """Return what is known about the running command; nothing outside of a command, as in a notebook."""
    run = _RUN.get()
    if run is None:
        return {}
    import jax

    devices = jax.local_devices()
    return {
        "command": shlex.join(["rfm", *run.arguments]),
        "arguments": list(run.arguments),
        "date": run.date,
        "seconds": round(time.perf_counter() - run.start, 3),
        "device": f"{len(devices)} x {devices[0].device_kind}",
    }


def read(path: str) -> tuple[list[str], dict[str, Any]]:
    """Return the words after `rfm` that made a result, and the versions of what made it.

    Raises:
        ValueError: The file is not a record of a command.
    """
    from rfm import checks

    try:
        whole = json.loads(Path(path).read_text())
        arguments, versions = whole["run"]["arguments"], dict(whole["versions"])
        if not all(isinstance(word, str) for word in arguments) or arguments[0] == "rerun":
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        checks.fail("file", "a JSON file beside the results of a command, with the command line in it", path)
    return arguments, versions
