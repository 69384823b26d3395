"""Settings of a command: a frozen record, made and checked once from the arguments."""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

import rfm

Settings = TypeVar("Settings")


def settings_of(kind: Callable[..., Settings], args: argparse.Namespace, **worked_out: Any) -> Settings:
    """Return a record of settings: each field is the argument of its name, or what is worked out from others."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**({name: value for name, value in vars(args).items() if name in names} | worked_out))


def times_of(span: Sequence[Any], *, steps: bool) -> np.ndarray:
    """Return log-spaced times from START STOP NUM as typed; whole numbers where steps are taken."""
    start, stop, num = span
    return rfm.log_times(start, stop, num, integer=steps)
