"""Training runs at one point, some seeds at a time, refused beforehand where they would take too much."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

import rfm
from experiments.explore.settings import Settings
from rfm import checks
from rfm.curve import Curve
from rfm.devices import free_memory, layout
from rfm.engine.batches import Plan, run_floats
from rfm.engine.driver import check, check_members
from rfm.engine.features import Setting
from rfm.engine.simulation import method_of

SEEDS = (4, 8, 16, 32, 64)
AT_ONCE = 4  # seeds between two looks at whether they are still wanted
LONGEST = 180.0  # seconds that all seeds may take
# seconds each: a normal number, a number of a product of matrices, of a step along one, of an eigensystem
NORMAL, PRODUCT, STEP, EIGEN = 1.2e-8, 6e-11, 6e-10, 3e-10


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
    size, seconds = cost(settings, seeds)
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


def cost(settings: Settings, seeds: int) -> tuple[float, float]:
    """Bytes of one run, and roughly the seconds of all seeds; ValueError for what the simulator refuses."""
    s, optimizer = settings, settings.optimizer
    models, _ = check_members(s.K, 1)
    setting = check(
        s.problem, Setting(s.N, s.P, "ntk", "gaussian"), optimizer, s.times, jax.random.split(jax.random.key(0), 1)
    )
    method, _, spectrum = method_of(s.problem, s.P, optimizer)
    size = 8.0 * run_floats(s.problem, Plan(setting, layout(), method, models, 1, spectrum), len(s.times))
    n, p = (x if math.isfinite(x) else 0.0 for x in (s.N, s.P))
    small, large = sorted(x if x else y for x, y in ((n, p), (p, n)))
    # features are drawn twice, for training and for the risk
    one = NORMAL * (2 * n + p) * s.M + PRODUCT * (small * large + len(s.times) * n) * s.M + EIGEN * small**3
    if s.discrete:
        along = s.batch * n * (2.0 + NORMAL / STEP) if s.algorithm == "sgd" else (2.0 * n * p or n * n)
        one += STEP * along * s.stop + 2e-6 * s.stop
    return size, one * models * seeds


def _duration(seconds: float) -> str:
    for unit, length in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
