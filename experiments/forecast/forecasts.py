"""A forecast of held-out losses: the theory of an estimated population, corrected by losses of the known rows.

**Loss** here is the held-out squared error, summed over outputs: risk plus the estimated label noise, which is what
training on real rows measures. The band is what another sample of rows would change, in log loss, at 95 %: from the
scatter of measured losses over rows and draws; for an estimate alone from `rfm.spectra.Estimate.replicas`.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

import rfm
import theory
from experiments.forecast.bands import MOST, TINY, Band, banded, half_width
from experiments.forecast.correction import Correction
from experiments.forecast.source import Counting
from rfm.arguments import Sizes
from rfm.data.spectra import Estimate
from rfm.optimizers import Optimizer
from rfm.problem import PowerLawTail

NUM_TIMES = 96  # of a curve
DECIDED = 0.5  # a loss of which more than this part rests on unresolved modes is extrapolated
DOUBTED = 0.25  # a band, or a measured log ratio to the theory, beyond which more rows than are known is extrapolation
UNSURE = math.log(1.5)  # half a band of the logarithm of a loss beyond which even the known rows do not support it
STEEPER = 1.5  # times the exponent of a tail
UNSEEN = 3.0  # of n rows: noise of less than 3/n of the label variance is found in none of them once in 20 times
EARLIEST = 0.1  # of the time of the fastest mode: the first time that a best one is looked for at


def losses(
    problem: rfm.Problem, num_features: float, num_samples: float, optimizer: Optimizer, times: ArrayLike | None
) -> np.ndarray:
    """Predict the held-out loss by the theory.

    Args:
        problem: The population, as estimated.
        num_features: Model size N, may be infinite.
        num_samples: Data P, may be infinite.
        optimizer: The training algorithm.
        times: (T,) times or steps; None for ridge.

    Returns:
        Risk plus label noise, (T,).

    Example:
        >>> problem = rfm.power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> losses(problem, 16, 32, rfm.GradientFlow(), [1.0, 10.0, 100.0]).round(2).tolist()
        [0.88, 0.47, 0.49]
    """
    sizes = Sizes(num_features=num_features, num_samples=num_samples)
    return theory.predict(problem, **sizes, optimizer=optimizer, times=times).risk + problem.noise_var


class Best(NamedTuple):
    """The least loss over times or ridges, with its band, and where it is; gains: is it below that of no training?"""

    at: float
    loss: Band
    gains: bool = True


class Accuracy(NamedTuple):
    """The part of rows whose class is right where the loss is least over times, at N infinite, and its error."""

    num_samples: float
    value: float
    stderr: float


class Point(NamedTuple):
    """The forecast at one (N, P): losses (T,), their part on unresolved modes, extrapolation, the best of times."""

    loss: Band
    share: np.ndarray
    extrapolated: np.ndarray
    stopping: Best


@dataclasses.dataclass(frozen=True)
class Forecast:
    """An estimated population, how models are trained on it, and what training on the known rows says of it.

    Attributes:
        estimate: The population, with replicas from R halves of the rows.
        optimizer: The training algorithm.
        times: (T,) times or steps.
        correction: From losses of the known rows; None: the theory as it is.
        counting: What P rows are worth; None: every row is one of its own.
        grown: How many more independent rows there are than groups, from 1 to the rows of a group.
        columns: Of the features: what N infinite costs; infinite for a kernel.
        accuracy: Measured on the known rows where labels are classes.
    """

    estimate: Estimate
    optimizer: Optimizer
    times: np.ndarray
    correction: Correction | None = None
    counting: Counting | None = None
    grown: float = 1.0
    columns: float = math.inf
    accuracy: tuple[Accuracy, ...] = ()

    def independent(self, num_samples: float) -> float:
        """Return the independent rows among P, which the equations are given."""
        counting = self.counting or Counting(0)
        return max(1.0, counting.distinct(num_samples) * min(1.0, counting.independent * self.grown))

    def theory(self, num_features: float, num_samples: float, times: np.ndarray) -> np.ndarray:
        """Return the loss by the theory alone, (T,)."""
        independent = self.independent(num_samples)
        return losses(self.estimate.problem, num_features, independent, self.optimizer, times)

    def losses(self, num_features: float, num_samples: float, times: np.ndarray | None = None) -> np.ndarray:
        """Return the held-out loss, (T,)."""
        times = self.times if times is None else times
        values = self.theory(num_features, num_samples, times)
        return values if self.correction is None else values * np.exp(self.ratio(num_features, num_samples, times)[:-1])

    def ratio(self, num_features: float, num_samples: float, times: np.ndarray) -> np.ndarray:
        """Return log(measured/theory), (T + 1,), the last at the best ridge; zero where nothing was measured."""
        if self.correction is None:
            return np.zeros(len(times) + 1)
        return self.correction.ratio(num_features, self._distinct(num_samples), times)

    def _distinct(self, num_samples: float) -> float:
        return num_samples if self.counting is None else self.counting.distinct(num_samples)

    def half_width(self, num_features: float, num_samples: float, times: np.ndarray) -> np.ndarray:
        """Return half the width of the band of the logarithm of the loss, (T + 1,), the last at the best ridge."""
        if self.correction is not None:
            return self.correction.half_width(num_features, self._distinct(num_samples), times)
        widths = half_width(self.replicas(num_features, num_samples, times))
        return np.append(widths, widths[-1:])

    def replicas(self, num_features: float, num_samples: float, times: np.ndarray | None = None) -> np.ndarray:
        """Return the held-out loss by each of the replicas, (R, T)."""
        times, independent = self.times if times is None else times, self.independent(num_samples)
        return np.reshape([
            losses(replica.problem, num_features, independent, self.optimizer, times)
            for replica in self.estimate.replicas
        ], (-1, len(times)))  # fmt: skip

    @property
    def most(self) -> float:
        """Where bands end: some times the loss without training."""
        return MOST * self.estimate.sample.total

    @property
    def unseen_noise(self) -> float:
        """Upper limit of a label noise that was estimated as zero, else 0."""
        sample = self.estimate.sample
        return UNSEEN / sample.size * sample.total if self.estimate.noise_var <= 0.0 else 0.0

    def band(self, loss: np.ndarray | np.float64, half: np.ndarray) -> Band:
        """Put a band about losses, which holds a noise that no row shows."""
        loss = np.asarray(loss)
        band = banded(loss, half, self.most)
        return band._replace(high=np.maximum(band.high, np.minimum(loss + self.unseen_noise, self.most)))

    def point(self, num_features: float, num_samples: float) -> Point:
        """Return losses at all times, and the best time, at one (N, P)."""
        times, ours = self._times()
        loss = self.losses(num_features, num_samples, times)
        half = self.half_width(num_features, num_samples, times)[:-1]
        share = self.unresolved_share(num_features, num_samples, loss[ours])
        far = self.extrapolates(num_features, num_samples, share)
        return Point(self.band(loss[ours], half[ours]), share, far, self._best(times, loss, half))

    def _times(self) -> tuple[np.ndarray, np.ndarray]:
        """Return times that a best one is looked for at, and the places of `times` among them."""
        first, last = float(self.times[0]), float(self.times[-1])
        if self.optimizer.discrete:
            more = np.unique(np.round(np.geomspace(1.0, max(1.0, last), NUM_TIMES)))
        else:
            fastest = EARLIEST / float(self.estimate.problem.eigenvalues[0])
            more = np.geomspace(min(fastest, last), last, NUM_TIMES) if last > 0 else self.times
        every = np.unique(np.concatenate([self.times, more[more <= max(first, last)]]))
        return every, np.searchsorted(every, self.times)

    def _best(self, times: np.ndarray, loss: np.ndarray, half: np.ndarray) -> Best:
        """Return the least of losses at times, by a parabola between three of them; or no training at all."""
        i, untrained = int(loss.argmin()), self.estimate.sample.total
        at, value = float(times[i]), float(loss[i])
        if 0 < i < len(times) - 1 and times[i - 1] > 0 and not self.optimizer.discrete:
            x, y = np.log(times[i - 1 : i + 2]), np.log(np.maximum(loss[i - 1 : i + 2], TINY))
            bend, slope, _ = np.polyfit(x - x[1], y - y[1], 2)
            if bend > 0:
                shift = float(np.clip(-slope / (2 * bend), x[0] - x[1], x[2] - x[1]))
                at, value = at * math.exp(shift), value * math.exp(shift * (slope + bend * shift))
        gains = value < untrained
        at, value = (at, min(value, untrained)) if gains else (0.0, untrained)
        return Best(at, self.band(np.float64(value), half[i]), gains)

    def best_ridge(self, num_features: float, num_samples: float) -> Best:
        """Return the best ridge by the theory, and its loss."""
        sizes = Sizes(num_features=num_features, num_samples=self.independent(num_samples))
        best = theory.best_ridge(self.estimate.problem, **sizes)
        ratio = self.ratio(num_features, num_samples, self.times)[-1]
        half = self.half_width(num_features, num_samples, self.times)[-1]
        loss, untrained = (best.risk + self.estimate.noise_var) * math.exp(ratio), self.estimate.sample.total
        if loss >= untrained or math.isinf(best.ridge):
            return Best(math.inf, self.band(np.float64(untrained), half), gains=False)
        return Best(float(best.ridge), self.band(np.float64(loss), half))

    def unresolved_share(self, num_features: float, num_samples: float, loss: np.ndarray) -> np.ndarray:
        """Return the part of the loss (T,) that depends on modes beyond the trusted ones.

        That is their own part of it, risk being linear in their power; or what it changes by where their eigenvalues
        fall STEEPER, at the same sum: the sample determines little more of them, and they stand in for a ridge.
        """
        problem, trusted = self.estimate.problem, self.estimate.trusted
        if problem.tail is None and trusted >= len(problem.target):
            return np.zeros(len(self.times))
        independent = self.independent(num_samples)
        target = np.where(np.arange(len(problem.target)) < trusted, 0.0, problem.target)
        tail = problem.tail and dataclasses.replace(problem.tail)  # it stays, beside another target
        far = rfm.Problem(problem.eigenvalues, target, 0.0, tail, mixture=problem.mixture)
        scale = self.theory(num_features, num_samples, self.times) if self.correction is not None else loss
        own = losses(far, num_features, independent, self.optimizer, self.times) / np.maximum(scale, TINY)
        if problem.tail is None:
            return own
        other = dataclasses.replace(problem, tail=_steeper(problem.tail, len(problem.eigenvalues)))
        changed = losses(other, num_features, independent, self.optimizer, self.times)
        return np.maximum(own, np.abs(np.log(np.maximum(changed, TINY) / np.maximum(scale, TINY))))

    def extrapolates(self, num_features: float, num_samples: float, share: np.ndarray) -> np.ndarray:
        """Is a loss beyond what the known rows support, (T,)?

        Up to the known rows it is where the band is wider than UNSURE. With more rows it is where measured losses are
        far from the theory, or uncertain, or rest on unresolved modes. Where nothing was measured, with more than half
        of the rows, or on unresolved modes.
        """
        size = self.estimate.sample.size
        if self.correction is None:
            return (num_samples > size / 2.0 + 1.0) | (np.asarray(share) > DECIDED)  # a row went into the means
        half = self.half_width(num_features, num_samples, self.times)[:-1]
        if self._distinct(num_samples) <= self.correction.rows + 1.0:
            return half > UNSURE
        ratio = self.correction.at_all_rows(num_features, self.times)[:-1]
        return (half > DOUBTED) | (np.abs(ratio) > DOUBTED) | (np.asarray(share) > DECIDED)


def _steeper(tail: PowerLawTail, first: int) -> PowerLawTail:
    """Return a tail, beyond `first` modes, whose eigenvalues have the same sum and fall STEEPER: powers stay."""

    def total(b: float) -> float:
        upper = 0.0 if tail.num_modes is None else (float(tail.num_modes) + 0.5) ** (1.0 - b)
        return ((first + 0.5) ** (1.0 - b) - upper) / (b - 1.0)

    b = float(tail.b)
    scale = float(tail.eigenvalue_scale) * total(b + 1e-9) / total(STEEPER * b + 1e-9)
    # each mode keeps its power, whatever its eigenvalue
    return dataclasses.replace(tail, b=np.float64(STEEPER * b), eigenvalue_scale=np.float64(scale))
