"""Training runs at one point, some seeds at a time, refused beforehand where they would take too much."""

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np

import rfm
from experiments.explore.model import LOSSES
from experiments.explore.settings import Settings
from rfm.curve import Curve
from rfm.engine.costs import too_much
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
        yield dataclasses.replace(shortest, **{
            name: np.concatenate([getattr(curve, name)[:, : len(shortest.times)] for curve in curves])
            for name in (*LOSSES, "kernel_growth") if getattr(shortest, name) is not None
        })  # fmt: skip


def check_cost(settings: Settings, seeds: int) -> None:
    """Refuse runs that would not fit in memory, or take more than LONGEST seconds."""
    if reason := too_much([(cost(settings.problem, **settings.arguments), seeds)], LONGEST):
        what = "N, P, K, M, the number of seeds" + (" or the last time" if settings.discrete else "")
        raise ValueError(f"{reason[0].upper()}{reason[1:]}: lower {what}.")
