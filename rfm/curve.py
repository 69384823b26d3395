"""The result of every run, simulated or predicted, and grids of times."""

from typing import Any

import numpy as np

from rfm import checks
from rfm.pytrees import pytree, static

MONTE_CARLO = "Monte Carlo"  # a training run with its steps taken
EXACT = "exact given the draw"  # random features and data, dynamics solved exactly
THEORY = "deterministic equivalent"  # the closed-form theory at finite N, P, t
ASYMPTOTE = "asymptote"  # a pure power law


@pytree
class Curve:
    """Risk and training loss against time.

    times: (T,), lr x steps for gradient flow and a number of steps for discrete algorithms. risk, train_loss:
    (seeds, T) from the simulator, (T,) from the theory. kind: "Monte Carlo", "exact given the draw", "deterministic
    equivalent" or "asymptote", never mixed.
    converged, residual: the numerical state of the computation that made it; for theory an estimated relative error,
    for the simulator whether every number is finite. message: why a run ended early, else empty.
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
        """Independent draws; 1 for theory."""
        return self.risk.shape[0] if self.risk.ndim == 2 else 1

    def mean(self, name: str = "risk") -> np.ndarray:
        """Mean over seeds of "risk" or "train_loss", (T,)."""
        values = np.asarray(getattr(self, name))
        return values.mean(0) if values.ndim == 2 else values

    def stderr(self, name: str = "risk") -> np.ndarray:
        """Standard error of that mean over seeds, (T,): zero for theory, NaN for a single seed."""
        values = np.asarray(getattr(self, name))
        if values.ndim == 1:
            return np.zeros_like(values)
        if len(values) == 1:
            return np.full(values.shape[1], np.nan)
        return values.std(0, ddof=1) / np.sqrt(len(values))


def log_times(start: float, stop: float, num: int, integer: bool = False) -> np.ndarray:
    """`num` logarithmically spaced times from start to stop, (num,); integer=True: distinct whole steps, maybe fewer.

    Raises ValueError unless 0 < start < stop and num >= 2.
    """
    checks.number("start", start, 0.0, "a number > 0")
    checks.number("stop", stop, start, f"a number > start = {start}")
    checks.number("num", num, 2, "an integer >= 2", inclusive=True)
    times = np.geomspace(start, stop, checks.count("num", num, "an integer >= 2"))
    return np.unique(np.maximum(np.round(times), 1.0)) if integer else times
