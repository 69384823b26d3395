"""Settings of a command: a frozen record, made and checked once from the arguments."""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

import rfm
from experiments.compare.algorithms import options_of

Settings = TypeVar("Settings")


@dataclasses.dataclass(frozen=True)
class Shared:
    """Settings that all commands on a power law share: the law, the draws, and where results go."""

    command: str
    a: float
    b: float
    modes: int
    noise: float
    seeds: int
    seed: int
    out: str
    quick: bool

    def __post_init__(self) -> None:
        _ = self.problem  # refuses anything but a power law, even if the command needs it late or never

    @property
    def keys(self) -> jax.Array:
        """One key a seed, (S,)."""
        return jax.random.split(jax.random.key(self.seed), self.seeds)

    @property
    def problem(self) -> rfm.Problem:
        """The power law."""
        return rfm.power_law(self.a, self.b, self.modes, self.noise)


def settings_of(kind: Callable[..., Settings], args: argparse.Namespace, **worked_out: Any) -> Settings:
    """Return a record of settings: each field is the argument of its name, or what is worked out from others."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given = {name: value for name, value in vars(args).items() if name in names}
    if "shared" in names:
        given["shared"] = settings_of(Shared, args)
    if "options" in names:
        given["options"] = options_of(args)
    return kind(**(given | worked_out))


def record_of(settings: Any) -> dict[str, Any]:
    """Return all settings by name, those that commands share among them, for the file that says what made a result."""
    record: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name == "shared":
            value = record_of(value)
        record |= value if field.name in ("shared", "options") else {field.name: value}
    return record


def times_of(span: Sequence[Any], *, steps: bool) -> np.ndarray:
    """Return log-spaced times from START STOP NUM as typed; whole numbers where steps are taken."""
    start, stop, num = span
    return rfm.log_times(start, stop, num, integer=steps)
