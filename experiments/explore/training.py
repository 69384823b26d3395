"""Training runs at one point, some seeds at a time, refused beforehand where they would take too much."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

import rfm
from experiments.compare.statistics import standard_error
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
    """Training runs so far.

    Attributes:
        times: (T,).
        risk, train_loss: A row a seed, (S, T).
        kind: How the curve was computed, as in `rfm.curve.Curve`.
        wanted: Number of seeds when all are there.
    """

    times: np.ndarray
    risk: np.ndarray
    train_loss: np.ndarray
    kind: str
    wanted: int

    @property
    def seeds(self) -> int:
        """Number of seeds so far."""
        return len(self.risk)

    def mean(self, loss: str = "risk") -> np.ndarray:
        """Return the mean over seeds, (T,), of "risk" or "train_loss"."""
        return getattr(self, loss).mean(0)

    def stderr(self, loss: str = "risk") -> np.ndarray:
        """Return the standard error of that mean, (T,)."""
        return standard_error(getattr(self, loss))


def train(settings: Settings, seeds: int, seed: int = 0) -> Iterator[Runs]:
    """Train with `seeds` keys of jax.random.key(seed), AT_ONCE at a time, and yield the runs so far each time.

    Raises:
        ValueError: The simulator refuses the settings, or runs would take too much memory or time.
    """
    check_cost(settings, seeds)
    keys = jax.random.split(jax.random.key(seed), seeds)
    curves: list[Curve] = []
    for start in range(0, seeds, AT_ONCE):
        curves.append(rfm.simulate(settings.problem, **settings.arguments, keys=keys[start : start + AT_ONCE]))
        last = min(len(curve.times) for curve in curves)  # shorter where a run diverged
        risk, train_loss = (
            np.concatenate([getattr(curve, name)[:, :last] for curve in curves]) for name in ("risk", "train_loss")
        )
        first, *_ = curves
        yield Runs(np.asarray(first.times)[:last], risk, train_loss, first.kind, seeds)


def check_cost(settings: Settings, seeds: int) -> None:
    """Refuse runs that would not fit in memory, or take more than LONGEST seconds."""
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
    """Return the bytes of one run, and roughly the seconds of all seeds.

    Raises:
        ValueError: The simulator refuses the settings.
    """
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
    run = NORMAL * (2 * n + p) * s.M + PRODUCT * (small * large + len(s.times) * n) * s.M + EIGEN * small**3
    if s.discrete:
        along = (s.batch or 1) * n * (2.0 + NORMAL / STEP) if s.algorithm == "sgd" else (2.0 * n * p or n * n)
        run += STEP * along * s.stop + 2e-6 * s.stop
    return size, run * models * seeds


def _duration(seconds: float) -> str:
    for unit, length in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
