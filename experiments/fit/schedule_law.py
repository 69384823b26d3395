"""The law of losses under any learning-rate schedule: one-pass SGD of small steps, and a published law beside it.

With S_t = u sum_{s <= t} lr_s and six numbers (L0, A, C, u, a, b),

    loss(T) = L0 + A sum_k k^-a e^(-2 k^-b S_T) + C sum_t (u lr_t)^2 (B_0/B_t) sum_k k^-2b e^(-2 k^-b (S_T - S_t))

(eq. 55): modes k are learned at the rate of k^-b, and every step adds noise that later steps forget. B_0 is the mean of
the batches B_t where these are known. The sums over k are trapezoids on a logarithmic grid; rates between rows are
linear, and before the first row they rise from 0 (a warm-up).

Of several sizes: one (a, b) and one L0 and A for all, with the modes that N does not reach in the floor,
A sum_{k > c N} k^-a (eq. 56); u and C are those of each size.
"""

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.optimize import least_squares

from experiments.fit.chinchilla import positive_fit
from experiments.fit.table import Design

POINTS, LAST = 120, 1e8  # of the grid of modes k, and its end
MODES = np.geomspace(1.0, LAST, POINTS)
WEIGHTS = MODES * np.log(MODES[1] / MODES[0]) * np.where((MODES[0] == MODES) | (MODES[-1] == MODES), 0.5, 1.0)
LOG = np.log(MODES)
FIRST = [(u, a, b) for u in (1.0, 10.0, 100.0, 1e3, 1e4) for a in (1.1, 1.3, 1.6, 2.0) for b in (0.7, 1.2, 2.0)]
SEARCHED, SEARCH = 2, 40  # starts of a search over (u, a, b), and its steps
TINY = 1e-12
MOST = 30.0  # logarithm of an amplitude


class Schedule(NamedTuple):
    """The learning rate of one training run.

    Attributes:
        steps: (T,) steps at which the loss is known, rising.
        rates: (T,) learning rate there.
        batches: (T,) batch there over the mean batch, ones where it is not known.
    """

    steps: np.ndarray
    rates: np.ndarray
    batches: np.ndarray

    @property
    def pieces(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums of lr and of lr^2 over the batch since the row before, (T,) each."""
        before = np.concatenate([[0.0], self.rates[:-1]])
        length = np.diff(self.steps, prepend=0.0)
        square = length * (before**2 + before * self.rates + self.rates**2) / 3.0 / self.batches
        return length * (before + self.rates) / 2.0, square


class Modes(NamedTuple):
    """Signal e^(-p x) and noise (T, K) of each mode at the rows, at p = 2 u k^-b, and p times their derivatives in p.

    The noise is that of u = 1, sum_t lr_t^2 e^(-p (x_T - x_t)) with x the sum of lr.
    """

    signal: np.ndarray
    signal_slope: np.ndarray
    noise: np.ndarray
    noise_slope: np.ndarray


def modes_of(schedule: Schedule, p: np.ndarray) -> Modes:
    """Return what a schedule makes of modes that decay at the rates p (K,) per unit of the sum of lr."""
    first, second = schedule.pieces
    total = np.cumsum(first)
    signal = np.exp(-np.outer(total, p))
    decay = np.outer(first, p)
    kept = np.exp(-decay)
    safe = np.where(decay < 1e-6, 1.0, decay)
    # the mean of e^(-p x) over a piece, and p times its derivative
    mean = np.where(decay < 1e-6, 1.0 - decay / 2.0, -np.expm1(-safe) / safe)
    slope = np.where(decay < 1e-6, -decay / 2.0, kept - mean)
    noise, noise_slope = np.zeros((2, len(first), len(p)))
    now, now_slope = np.zeros((2, len(p)))
    for i in range(len(first)):
        now_slope = (now_slope - decay[i] * now) * kept[i] + second[i] * slope[i]
        now = now * kept[i] + second[i] * mean[i]
        noise[i], noise_slope[i] = now, now_slope
    return Modes(signal, -np.outer(total, p) * signal, noise, noise_slope)


@dataclasses.dataclass(frozen=True)
class ScheduleLaw:
    """The law of eq. 55 at the rows of training runs of one size.

    Parameters as they are searched: the logarithms of L0, A, C and u, then a and b.

    Attributes:
        schedules: Of each run; the rows are those of one run after the other.

    Example:
        >>> run = Schedule(np.arange(1.0, 101.0), np.full(100, 0.1), np.ones(100))
        >>> law = ScheduleLaw((run,))
        >>> loss = law.loss(np.array([0.0, 0.0, np.log(1e-3), 0.0, 1.5, 1.2]))
        >>> bool(np.all(np.diff(loss) < 0)), loss[[0, -1]].round(2).tolist()
        (True, [2.94, 1.51])
    """

    schedules: tuple[Schedule, ...]

    name = "schedule law"
    names = ("L0", "A", "C", "u", "a", "b")
    logarithmic = (True, True, True, True, False, False)
    fixed = ()
    held: ClassVar[dict[str, float]] = {}
    free = np.arange(6)
    bounds = (
        np.array([-MOST, -MOST, -MOST, np.log(1e-4), 0.5, 0.2]),
        np.array([MOST, MOST, MOST, np.log(1e9), 6.0, 6.0]),
    )

    @cached_property
    def design(self) -> Design:
        """Steps of all rows."""
        steps = np.concatenate([schedule.steps for schedule in self.schedules])
        return Design(np.full(len(steps), np.inf), np.full(len(steps), np.inf), steps)

    def loss(self, theta: np.ndarray) -> np.ndarray:
        """Return the loss (R,) at searched parameters (6,)."""
        loss, _ = self.derivatives(theta)
        return loss

    def derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss (R,) and its derivatives in the searched parameters, (R, 6)."""
        floor, scale, noise = np.exp(theta[:3])
        columns, slopes = self._columns(theta[3:])
        by_outer = scale * slopes[:, 0] + noise * slopes[:, 1]
        linear = columns * [floor, scale, noise]
        return linear.sum(1), np.concatenate([linear, by_outer], 1)

    def _columns(self, outer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what L0, A and C multiply, (R, 3), and the slopes of the last two in log u, a and b, (R, 2, 3)."""
        u, (a, b) = np.exp(outer[0]), outer[1:]
        p = 2.0 * u * MODES**-b
        parts = [modes_of(schedule, p) for schedule in self.schedules]
        signal, signal_slope, noise, noise_slope = (np.concatenate(part) for part in zip(*parts, strict=True))
        heavy, light = WEIGHTS * MODES**-a, u**2 * WEIGHTS * MODES ** (-2.0 * b)
        columns = np.stack([np.ones(len(signal)), signal @ heavy, noise @ light], 1)  # eq. 55
        of_signal = [signal_slope @ heavy, -signal @ (heavy * LOG), -signal_slope @ (heavy * LOG)]
        of_noise = [
            (2.0 * noise + noise_slope) @ light,
            np.zeros(len(noise)),
            -(2.0 * noise + noise_slope) @ (light * LOG),
        ]
        return columns, np.stack([np.stack(of_signal, 1), np.stack(of_noise, 1)], 1)

    def starts(
        self, loss: np.ndarray, weight: np.ndarray, on_step: Callable[[float], object] = lambda _: None
    ) -> list[np.ndarray]:
        """Return searched parameters (6,) to start from: the best of searches over (u, a, b), the rest linear."""

        def projected(outer: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
            columns, _ = self._columns(outer)
            columns = columns * (weight / loss)[:, None]
            value, error = positive_fit(columns, weight)
            on_step(error / np.sqrt(len(loss)))
            return value, columns @ value - weight, error

        low, high = (bound[3:] for bound in self.bounds)
        tried = [np.array([np.log(u), a, b]) for u, a, b in FIRST]
        best = sorted(tried, key=lambda outer: projected(outer)[2])[:SEARCHED]
        ends = []
        for outer in best:
            end = least_squares(
                lambda x: projected(x)[1], outer, bounds=(low, high), x_scale=[1.0, 0.3, 0.3], diff_step=1e-4,
                max_nfev=SEARCH, ftol=1e-6,
            )  # fmt: skip
            value, _, error = projected(end.x)
            ends.append((error, np.concatenate([np.log(np.maximum(value, TINY)), end.x])))
        return [theta for _, theta in sorted(ends, key=lambda pair: pair[0])]


class Changes(NamedTuple):
    """Sums of lr (T,) at the rows of a run, and those (T, C) since each change; lr after it and its fall, (C,) each."""

    total: np.ndarray
    since: np.ndarray
    rates: np.ndarray
    fall: np.ndarray


def changes_of(schedule: Schedule) -> Changes:
    """Find where the learning rate of a schedule changes."""
    first, _ = schedule.pieces
    total = np.cumsum(first)
    fall = -np.diff(schedule.rates, prepend=schedule.rates[0])
    changed = np.flatnonzero(fall)
    since = np.maximum(total[:, None] - (total - first / 2.0)[changed], 0.0)
    return Changes(total, since, np.maximum(schedule.rates[changed], TINY), fall[changed])


@dataclasses.dataclass(frozen=True)
class EmpiricalLaw:
    """The multi-power law of arXiv 2503.11812, seven numbers, at the rows of training runs of one size.

    loss(T) = L0 + A x_T^-alpha - B sum_t (lr_{t-1} - lr_t) [1 - (1 + C lr_t^-gamma (x_T - x_t))^-beta]; x is the sum of
    lr. Parameters as they are searched: logarithms of all but alpha, beta, gamma.

    Attributes:
        schedules: Of each run; the rows are those of one run after the other.
    """

    schedules: tuple[Schedule, ...]

    name = "multi-power law"
    names = ("L0", "A", "alpha", "B", "C", "beta", "gamma")
    logarithmic = (True, True, False, True, True, False, False)
    fixed = ()
    held: ClassVar[dict[str, float]] = {}
    free = np.arange(7)
    bounds = (
        np.array([-MOST, -MOST, 0.01, -MOST, -MOST, 0.01, 0.0]),
        np.array([MOST, MOST, 5.0, MOST, MOST, 5.0, 3.0]),
    )

    @cached_property
    def design(self) -> Design:
        """Steps of all rows."""
        return ScheduleLaw(self.schedules).design

    def loss(self, theta: np.ndarray) -> np.ndarray:
        """Return the loss (R,) at searched parameters (7,)."""
        floor, scale, drop, speed = np.exp(theta[[0, 1, 3, 4]])
        alpha, beta, gamma = theta[[2, 5, 6]]
        losses = []
        for run in self._changes:
            gone = 1.0 - (1.0 + speed * run.rates**-gamma * run.since) ** -beta
            losses.append(floor + scale * run.total**-alpha - drop * gone @ run.fall)
        return np.maximum(np.concatenate(losses), TINY)

    @cached_property
    def _changes(self) -> list[Changes]:
        """Changes of the rate of every run: all that the loss takes of it beside the parameters."""
        return [changes_of(schedule) for schedule in self.schedules]

    def derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss (R,) and its derivatives in the searched parameters by central differences, (R, 7)."""
        step = 1e-5
        moves = step * np.eye(len(theta))
        slopes = [(self.loss(theta + move) - self.loss(theta - move)) / (2.0 * step) for move in moves]
        return self.loss(theta), np.stack(slopes, 1)

    def starts(
        self, loss: np.ndarray, weight: np.ndarray, on_step: Callable[[float], object] = lambda _: None
    ) -> list[np.ndarray]:
        """Return searched parameters (7,) to start from: two shapes, L0, A and B by least squares."""
        tried = []
        for alpha in (0.3, 0.5):
            theta = np.array([0.0, 0.0, alpha, 0.0, 0.0, 0.6, 0.6])
            parts = []
            for place in (0, 1, 3):  # what each amplitude adds, the others being nothing
                alone = theta.copy()
                alone[[0, 1, 3]] = -60.0
                alone[0] = alone[place] = 0.0
                parts.append(self.loss(alone) - (1.0 if place else 0.0))
            columns = np.stack(parts, 1) * (weight / loss)[:, None]
            value, error = positive_fit(columns, weight)
            theta[[0, 1, 3]] = np.log(np.maximum(value, 1e-6))
            on_step(error / np.sqrt(len(loss)))
            tried.append((error, theta))
        return [theta for _, theta in sorted(tried, key=lambda pair: pair[0])]
