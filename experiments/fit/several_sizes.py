"""One law of schedules for training runs of several sizes: the test that a law without N cannot pose."""

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar

import numpy as np

from experiments.fit.schedule_law import MOST, ScheduleLaw
from experiments.fit.table import Design

SHARED = 5  # parameters that all sizes share


@dataclasses.dataclass(frozen=True)
class SeveralSizes:
    """The law of eq. 55 with one L0, A, a and b for all sizes, and what N modes leave in the floor (eq. 56).

    loss(T; N) = L0 + F (N/N_0)^-(a-1) + A sum_k ... + C_N sum_t ..., with u_N; N_0 the geometric mean of the sizes. In
    the theory F = A c^-(a-1)/(a - 1), modes beyond c N being out of reach. Parameters as they are searched: logarithms
    of L0, F and A, then a and b, then the logarithms of C and u of each size.

    Attributes:
        laws: Of each size; the rows are those of one size after the other.
        sizes: N of each.
        begin: Parameters of the law fitted to each size alone, to start from.
    """

    laws: tuple[ScheduleLaw, ...]
    sizes: tuple[float, ...]
    begin: tuple[np.ndarray, ...]

    name = "schedule law, one (a, b)"
    fixed = ()
    held: ClassVar[dict[str, float]] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Shared parameters, then C and u of each size."""
        return ("L0", "F", "A", "a", "b", *(f"{name} at N = {size:g}" for size in self.sizes for name in "Cu"))

    @property
    def logarithmic(self) -> tuple[bool, ...]:
        """All but the exponents are searched as logarithms."""
        return tuple(name not in "ab" for name in self.names)

    @property
    def free(self) -> np.ndarray:
        """Places of the fitted parameters: all."""
        return np.arange(len(self.names))

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of all parameters as they are searched."""
        low, high = (bound[[2, 3]] for bound in ScheduleLaw.bounds)
        shared = np.array([[-MOST, -MOST, -MOST, 1.01, 0.2], [MOST, MOST, MOST, 6.0, 6.0]])
        return tuple(np.concatenate([shared[i], np.tile(end, len(self.sizes))]) for i, end in enumerate((low, high)))  # pyright: ignore

    @cached_property
    def design(self) -> Design:
        """Sizes and steps of all rows."""
        times = [law.design.times for law in self.laws]
        size = np.concatenate([np.full(len(t), n) for t, n in zip(times, self.sizes, strict=True)])
        return Design(size, np.full(len(size), np.inf), np.concatenate(times))

    def of_size(self, size: float, schedules: tuple) -> ScheduleLaw:
        """Return the law of one size under other schedules."""
        return dataclasses.replace(self.laws[self.sizes.index(size)], schedules=schedules)

    def theta_of(self, size: float, theta: np.ndarray) -> np.ndarray:
        """Return the parameters (6,) of `ScheduleLaw` at one size."""
        i = SHARED + 2 * self.sizes.index(size)
        floor = np.exp(theta[0]) + np.exp(theta[1]) * self._ratio(size) ** (1.0 - theta[3])  # eq. 56
        return np.array([np.log(floor), theta[2], theta[i], theta[i + 1], theta[3], theta[4]])

    def loss(self, theta: np.ndarray) -> np.ndarray:
        """Return the loss (R,) at searched parameters."""
        loss, _ = self.derivatives(theta)
        return loss

    def derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss (R,) and its derivatives in the searched parameters."""
        losses, slopes = [], []
        for i, (law, size) in enumerate(zip(self.laws, self.sizes, strict=True)):
            loss, of_law = law.derivatives(self.theta_of(size, theta))
            part = np.exp(theta[1]) * self._ratio(size) ** (1.0 - theta[3])
            columns = np.zeros((len(loss), len(theta)))
            columns[:, 0], columns[:, 1] = np.exp(theta[0]), part
            columns[:, 2], columns[:, 3], columns[:, 4] = (
                of_law[:, 1],
                of_law[:, 4] - part * np.log(self._ratio(size)),
                of_law[:, 5],
            )
            columns[:, SHARED + 2 * i : SHARED + 2 * i + 2] = of_law[:, 2:4]
            losses.append(loss)
            slopes.append(columns)
        return np.concatenate(losses), np.concatenate(slopes)

    def starts(
        self, loss: np.ndarray, weight: np.ndarray, on_step: Callable[[float], object] = lambda _: None
    ) -> list[np.ndarray]:
        """Return parameters to start from: those of each size alone."""
        starts = []
        for theta in self.begin:
            shared = [theta[0] - np.log(2.0), theta[0] - np.log(2.0), theta[1], max(theta[4], 1.1), theta[5]]
            starts.append(np.concatenate([shared, np.tile(theta[[2, 3]], len(self.sizes))]))
        return starts

    def _ratio(self, size: float) -> float:
        return float(size / np.exp(np.mean(np.log(self.sizes))))
