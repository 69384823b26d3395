"""The result of every run, simulated or predicted, and grids of times."""

from typing import Any

import numpy as np

from rfm import checks
from rfm.pytrees import pytree, static

MONTE_CARLO = "Monte Carlo"  # a training run with its steps taken
EXACT = "exact given the draw"  # random features and data, dynamics solved exactly
MOST_TIMES = 10_000_000
THEORY = "deterministic equivalent"  # the closed-form theory at finite N, P, t


@pytree
class Curve:
    """Risk and training loss against time.

    Attributes:
        times: (T,), lr x steps for gradient flow and a number of steps for discrete algorithms.
        risk: (S, T) from the simulator, one row a seed; (T,) from the theory.
        train_loss: of the shape of risk.
        converged: the computation is sound: for the simulator, every number is finite and no run diverged.
        residual: estimated relative error of the theory; 0 or inf from the simulator.
        kind: "Monte Carlo", "exact given the draw" or "deterministic equivalent", never mixed.
        message: why a run ended early, else empty.

    Example:
        >>> curve = Curve([1.0, 2.0], np.array([[3.0, 1.0], [5.0, 1.0]]), np.zeros((2, 2)), True, 0.0, "Monte Carlo")
        >>> curve.num_seeds, curve.mean().tolist(), curve.stderr().tolist()
        (2, [4.0, 1.0], [1.0, 0.0])
    """

    times: Any
    risk: Any
    train_loss: Any
    converged: Any
    residual: Any
    kind: str = static()
    message: str = static(default="")

    @property
    def num_seeds(self) -> int:
        """Number of independent draws; 1 for theory."""
        return self.risk.shape[0] if self.risk.ndim == 2 else 1

    def mean(self, name: str = "risk") -> np.ndarray:
        """Average "risk" or "train_loss" over seeds, (T,)."""
        values = np.asarray(getattr(self, name))
        return values.mean(0) if values.ndim == 2 else values

    def stderr(self, name: str = "risk") -> np.ndarray:
        """Return the standard error of `mean`, (T,): zero for theory, NaN for a single seed."""
        values = np.asarray(getattr(self, name))
        if values.ndim == 1:
            return np.zeros_like(values)
        if len(values) == 1:
            return np.full(values.shape[1], np.nan)
        return values.std(0, ddof=1) / np.sqrt(len(values))


def log_times(start: float, stop: float, num: int, integer: bool = False) -> np.ndarray:
    """Make a grid of logarithmically spaced times.

    Args:
        start: the first time, > 0.
        stop: the last time, > start.
        num: number of times, >= 2.
        integer: round to distinct whole steps >= 1, maybe fewer.

    Returns:
        (num,) times in increasing order.

    Raises:
        ValueError: for other values.

    Example:
        >>> log_times(1.0, 100.0, 3).tolist(), log_times(1.0, 4.0, 9, integer=True).tolist()
        ([1.0, 10.0, 100.0], [1.0, 2.0, 3.0, 4.0])
    """
    checks.number("start", start, 0.0, "a number > 0")
    checks.number("stop", stop, start, f"a number > start = {start}")
    checks.number("num", num, 2, "an integer >= 2", inclusive=True)
    if num > MOST_TIMES:
        checks.fail("num", f"at most {MOST_TIMES:,}", num)
    times = np.geomspace(start, stop, checks.count("num", num, "an integer >= 2"))
    return np.unique(np.maximum(np.round(times), 1.0)) if integer else times
