"""Training runs at one point, some seeds at a time, refused beforehand where they would take too much."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

import rfm
from experiments.explore.settings import Settings
from rfm import checks
from rfm.curve import Curve
from rfm.devices import free_memory, layout
from rfm.engine.preview import cost

SEEDS = (4, 8, 16, 32, 64)
AT_ONCE = 4  # seeds between two looks at whether they are still wanted
LONGEST = 180.0  # seconds that all seeds may take


class Runs(NamedTuple):
    """Training runs so far, a row a seed: times (T,), risk and train_loss (S, T); kind: of curve; wanted: all seeds."""

    times: np.ndarray
    risk: np.ndarray
    train_loss: np.ndarray
    kind: str
    wanted: int

    def mean(self, name: str = "risk") -> np.ndarray:
        """Over seeds, (T,)."""
        return getattr(self, name).mean(0)

    def stderr(self, name: str = "risk") -> np.ndarray:
        """Of that mean, (T,)."""
        values = getattr(self, name)
        return values.std(0, ddof=1) / np.sqrt(len(values))


def train(settings: Settings, seeds: int, seed: int = 0) -> Iterator[Runs]:
    """`rfm.simulate` with `seeds` keys of jax.random.key(seed), AT_ONCE at a time: the runs so far, again and again.

    Raises ValueError for what the simulator refuses, and for runs that take too much memory or time (`cost`).
    """
    check_cost(settings, seeds)
    keys = jax.random.split(jax.random.key(seed), seeds)
    found: list[Curve] = []
    for start in range(0, seeds, AT_ONCE):
        found.append(rfm.simulate(settings.problem, **settings.arguments, keys=keys[start : start + AT_ONCE]))
        last = min(len(curve.times) for curve in found)  # shorter where a run diverged
        risk, train_loss = (
            np.concatenate([getattr(curve, name)[:, :last] for curve in found]) for name in ("risk", "train_loss")
        )
        yield Runs(found[0].times[:last], risk, train_loss, found[0].kind, seeds)


def check_cost(settings: Settings, seeds: int) -> None:
    """Refuse runs that would not fit in memory or in LONGEST seconds."""
    size, seconds = cost(settings.problem, **settings.arguments)
    seconds *= seeds
    allowed = free_memory(layout())
    if size > allowed:
        checks.fail("N", f"smaller, or P or K: one run takes {size / 1e9:.2g} GB, allowed are {allowed / 1e9:.2g}",
                    settings.N)  # fmt: skip
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
