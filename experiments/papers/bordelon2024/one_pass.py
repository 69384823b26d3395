"""Theory of one-pass SGD as S1 Fig. 3 needs it: its plateau in closed form, and what batches add to the risk."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import rfm
import theory
from experiments.papers.bordelon2024.formulas import plateau_factor

LR = 0.5
INF = np.inf


class OnePass(NamedTuple):
    """Theory of one-pass SGD on `clock`, which ends at LATE: one compiled program for all N and B."""

    problem: rfm.Problem
    clock: np.ndarray

    def risk(self, n: float, b: float) -> np.ndarray:
        """Return the risk on the clock; b = inf: full batches."""
        sgd = rfm.SGD(LR, b)
        return theory.predict(self.problem, num_features=n, num_samples=INF, optimizer=sgd, times=self.clock).risk

    def ends(self, sizes: Sequence[float] | np.ndarray, b: float) -> np.ndarray:
        """Return the risk at the end against N."""
        return np.array([self.risk(n, b)[-1] for n in sizes])

    def excess(self, n: float, batches: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return what batches add to the risk, in parts of that of full batches, (B, T)."""
        full = self.risk(n, INF)
        return np.stack([self.risk(n, b) / full - 1.0 for b in batches])

    def factor(self, b: float) -> float:
        """Return the factor of the plateau in closed form."""
        eigenvalues, _ = self.problem.modes(0, int(self.problem.num_modes))
        return plateau_factor(LR, b, np.asarray(eigenvalues))
