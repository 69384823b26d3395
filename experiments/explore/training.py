"""Training runs at one point, some seeds at a time, refused beforehand where they would take too much."""

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np

import rfm
from experiments.explore.settings import Settings
from rfm.curve import Curve
from rfm.devices import SHARE, available_memory
from rfm.engine.preview import cost

SEEDS = (4, 8, 16, 32, 64)
SEEDS_AT_ONCE = 4  # seeds between two looks at whether they are still wanted
LONGEST = 180.0  # seconds that all seeds may take


def train(settings: Settings, seeds: int, seed: int = 0) -> Iterator[Curve]:
    """Train with `seeds` keys of jax.random.key(seed), SEEDS_AT_ONCE at a time, and yield the runs so far each time.

    Raises:
        ValueError: The simulator refuses the settings, or runs would take too much memory or time.
    """
    check_cost(settings, seeds)
    keys = jax.random.split(jax.random.key(seed), seeds)
    curves: list[Curve] = []
    for start in range(0, seeds, SEEDS_AT_ONCE):
        curves.append(rfm.simulate(settings.problem, **settings.arguments, keys=keys[start : start + SEEDS_AT_ONCE]))
        shortest = min(curves, key=lambda curve: len(curve.times))  # where a run diverged
        risk, train_loss = (
            np.concatenate([getattr(curve, loss)[:, : len(shortest.times)] for curve in curves])
            for loss in ("risk", "train_loss")
        )
        yield dataclasses.replace(shortest, risk=risk, train_loss=train_loss)


def check_cost(settings: Settings, seeds: int) -> None:
    """Refuse runs that would not fit in memory, or take more than LONGEST seconds."""
    size, seconds = cost(settings.problem, **settings.arguments)
    seconds *= seeds
    allowed = SHARE * available_memory()
    if size > allowed:
        raise ValueError(
            f"One run needs {size / 1e9:.2g} GB, but only {allowed / 1e9:.2g} GB are allowed: reduce N, P or K "
            f"(N is {settings.N:g})."
        )
    if seconds > LONGEST:
        what = "N, P, K, M, the number of seeds" + (" or the last time" if settings.discrete else "")
        raise ValueError(
            f"Training {seeds} seeds here would take about {_duration(seconds)}, allowed are {_duration(LONGEST)}: "
            f"lower {what}."
        )


def _duration(seconds: float) -> str:
    for unit, length in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
