"""Learning curves predicted from an estimated spectrum: held-out loss against t, N and P, each with a band.

**Loss** here is the held-out squared error, summed over outputs: risk plus the estimated label noise, which is what
training on real rows measures. The band is what another sample of rows would change: the scatter of the same theory
over `rfm.spectra.Estimate.replicas`, in log loss, at 95 %. It knows nothing of rows that are far from Gaussian.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

import rfm
import theory
from experiments.forecast.bands import MOST, TINY, Band, band, banded, half_width
from rfm.arguments import Sizes
from rfm.data.spectra import Estimate
from rfm.optimizers import Optimizer
from rfm.problem import PowerLawTail

NUM_TIMES = 96  # of a curve
BAND_STRIDE = 4  # every so many-th point of a line has a band of its own, those between are interpolated
DECIDED = 0.5  # a loss of which more than this part rests on unresolved modes is extrapolated
STEEPER = 1.5  # times the exponent of a tail
VISIBLE = 0.01  # a maximum that stands out by less than this part is no peak


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


@dataclasses.dataclass(frozen=True)
class Forecast:
    """An estimated population, and how models are trained on it.

    Attributes:
        estimate: The population, with replicas from R halves of the rows.
        optimizer: The training algorithm.
        times: (T,) times or steps.
    """

    estimate: Estimate
    optimizer: Optimizer
    times: np.ndarray

    def losses(self, num_features: float, num_samples: float) -> np.ndarray:
        """Return the held-out loss, (T,)."""
        return losses(self.estimate.problem, num_features, num_samples, self.optimizer, self.times)

    def replicas(self, num_features: float, num_samples: float) -> np.ndarray:
        """Return the held-out loss by each of the replicas, (R, T)."""
        return np.reshape([
            losses(replica.problem, num_features, num_samples, self.optimizer, self.times)
            for replica in self.estimate.replicas
        ], (-1, len(self.times)))  # fmt: skip

    @property
    def most(self) -> float:
        """Where bands end: some times the loss without training."""
        return MOST * self.estimate.sample.total

    def unresolved_share(self, num_features: float, num_samples: float, loss: np.ndarray) -> np.ndarray:
        """Return the part of the loss (T,) that depends on modes beyond the trusted ones.

        That is their own part of it, risk being linear in their power; or what it changes by where their eigenvalues
        fall STEEPER, at the same sum: the sample determines little more of them, and they stand in for a ridge.
        """
        problem, trusted = self.estimate.problem, self.estimate.trusted
        target = np.where(np.arange(len(problem.target)) < trusted, 0.0, problem.target)
        tail = problem.tail and dataclasses.replace(problem.tail)  # it stays, beside another target
        far = rfm.Problem(problem.eigenvalues, target, 0.0, tail, mixture=problem.mixture)
        own = losses(far, num_features, num_samples, self.optimizer, self.times) / np.maximum(loss, TINY)
        if problem.tail is None:
            return own
        other = dataclasses.replace(problem, tail=_steeper(problem.tail, len(problem.eigenvalues)))
        changed = losses(other, num_features, num_samples, self.optimizer, self.times)
        return np.maximum(own, np.abs(np.log(np.maximum(changed, TINY) / np.maximum(loss, TINY))))

    def best_stopping(self, num_features: float, num_samples: float) -> theory.Stopping:
        """Return the best time to stop up to the last one, or to the shortest that counts as training."""
        problem, sizes = self.estimate.problem, Sizes(num_features=num_features, num_samples=num_samples)
        shortest = 1.0 if self.optimizer.discrete else 1.0 / float(theory.largest_curvature(problem, **sizes))
        longest = max(shortest, float(self.times[-1]))
        return theory.best_stopping(problem, **sizes, optimizer=self.optimizer, longest=longest)

    def extrapolates(self, num_samples: ArrayLike, share: ArrayLike) -> np.ndarray:
        """Does so much of a loss depend on unresolved modes that the sample cannot support it?

        So it is where they decide it, and where there are more training samples than half of the rows.
        """
        half = self.estimate.sample.size / 2.0 + 1.0  # a row went into the means
        return (np.asarray(num_samples) > half) | (np.asarray(share) > DECIDED)


def _steeper(tail: PowerLawTail, first: int) -> PowerLawTail:
    """Return a tail, beyond `first` modes, whose eigenvalues have the same sum and fall STEEPER: powers stay."""

    def total(b: float) -> float:
        upper = 0.0 if tail.num_modes is None else (float(tail.num_modes) + 0.5) ** (1.0 - b)
        return ((first + 0.5) ** (1.0 - b) - upper) / (b - 1.0)

    b = float(tail.b)
    scale = float(tail.eigenvalue_scale) * total(b + 1e-9) / total(STEEPER * b + 1e-9)
    # each mode keeps its power, whatever its eigenvalue
    return dataclasses.replace(tail, b=np.float64(STEEPER * b), eigenvalue_scale=np.float64(scale))


@dataclasses.dataclass(frozen=True)
class Grid:
    """Loss at all planned sizes and times.

    Attributes:
        features, samples, times: Model sizes (F,), training sets (S,) and times (T,).
        loss: Band of (F, S, T).
        beyond: (F, S, T) part of the loss that comes from modes the sample does not resolve.
        extrapolated: (F, S, T), see `Forecast.extrapolates`.
        noise: Of the labels, which no size goes below.
        stopping, ridge: The best time to stop and the best ridge, by place (i, j) among the sizes.
    """

    features: np.ndarray
    samples: np.ndarray
    times: np.ndarray
    loss: Band
    beyond: np.ndarray
    extrapolated: np.ndarray
    noise: float
    stopping: dict[tuple[int, int], theory.Stopping]
    ridge: dict[tuple[int, int], theory.BestRidge]

    @property
    def stopped(self) -> Band:
        """Loss at the best of the planned times, (F, S), with its band."""
        best = self.loss.value.argmin(-1)[..., None]
        return Band(*(np.take_along_axis(values, best, -1)[..., 0] for values in self.loss))

    @property
    def end(self) -> Band:
        """Loss at the last time, (F, S)."""
        return self.loss.at((..., -1))


@dataclasses.dataclass(frozen=True)
class Line:
    """Loss along one size, the other fixed.

    Attributes:
        axis: "features" or "samples".
        x: Its values, (X,).
        fixed: The other size.
        time: The last time.
        end, stopped, ridge: (X,) loss at the last time, at the best time and at the best ridge.
        extrapolated: (2, X), at the last and at the best time, see `Forecast.extrapolates`.
    """

    axis: str
    x: np.ndarray
    fixed: float
    time: float
    end: Band
    stopped: Band
    ridge: np.ndarray
    extrapolated: np.ndarray


class Peak(NamedTuple):
    """The interpolation peak of a line.

    Attributes:
        axis, at, fixed: Where it is.
        loss: The loss there.
        height: How many times the least loss below it that is.
        stopped, ridge: What early stopping and ridge leave of it.
        extrapolated: Does the sample not tell it?
    """

    axis: str
    at: float
    fixed: float
    loss: float
    height: float
    stopped: float
    ridge: float
    extrapolated: bool


def grid(
    forecast: Forecast, features: Sequence[float], samples: Sequence[float],
    *, on_point: Callable[[], object] = lambda: None,
) -> Grid:  # fmt: skip
    """Return the theory of every pair of sizes, with its band."""
    problem = forecast.estimate.problem
    loss, replicas, beyond, stopping, ridge = [], [], [], {}, {}
    for i, n in enumerate(features):
        for j, p in enumerate(samples):
            loss.append(forecast.losses(n, p))
            replicas.append(forecast.replicas(n, p))
            beyond.append(forecast.unresolved_share(n, p, loss[-1]))
            stopping[i, j] = forecast.best_stopping(n, p)
            ridge[i, j] = theory.best_ridge(problem, num_features=n, num_samples=p)
            on_point()
    shape = len(features), len(samples)
    replicas = np.reshape(replicas, (*shape, -1, len(forecast.times)))  # (F, S, R, T)
    share = np.reshape(beyond, (*shape, -1))
    return Grid(
        features=np.asarray(features, float),
        samples=np.asarray(samples, float),
        times=np.asarray(forecast.times, float),
        loss=band(np.reshape(loss, (*shape, -1)), np.moveaxis(replicas, 2, 0), forecast.most),
        beyond=share,
        extrapolated=forecast.extrapolates(np.asarray(samples)[:, None], share),
        noise=float(problem.noise_var),
        stopping=stopping,
        ridge=ridge,
    )


def line(
    forecast: Forecast, axis: str, x: np.ndarray, fixed: float, *, on_point: Callable[[], object] = lambda: None
) -> Line:
    """Return the theory along "features" or "samples" x (X,), increasing, at the other size `fixed`."""
    problem, times = forecast.estimate.problem, forecast.times
    pairs = [(size, fixed) if axis == "features" else (fixed, size) for size in x]  # (N, P)
    loss = np.array([forecast.losses(n, p) for n, p in pairs])  # (X, T)
    coarse = np.unique([*range(0, len(x), BAND_STRIDE), len(x) - 1, int(loss[:, -1].argmax())])
    replicas = []
    for i in coarse:
        replicas.append(forecast.replicas(*pairs[i]))
        on_point()
    replicas = np.array(replicas)  # (X', R, T)

    def with_band(value: np.ndarray, scattered: np.ndarray) -> Band:
        return banded(value, np.interp(np.log(x), np.log(x[coarse]), half_width(scattered.T)), forecast.most)

    ridge = [theory.best_ridge(problem, num_features=n, num_samples=p).risk for n, p in pairs]
    share = [forecast.unresolved_share(n, p, values) for (n, p), values in zip(pairs, loss, strict=True)]
    far = forecast.extrapolates([[p] for _, p in pairs], share)  # (X, T)
    return Line(
        axis, x, fixed, float(times[-1]),
        end=with_band(loss[:, -1], replicas[..., -1]), stopped=with_band(loss.min(-1), replicas.min(-1)),
        ridge=np.array(ridge) + float(problem.noise_var),
        extrapolated=np.stack([far[:, -1], far[np.arange(len(x)), loss.argmin(-1)]]),
    )  # fmt: skip


def find_peak(line: Line) -> Peak | None:
    """Return the highest inner maximum of the loss at the last time, or None."""
    loss = line.end.value
    inner = 1 + np.flatnonzero((loss[1:-1] > loss[:-2]) & (loss[1:-1] >= loss[2:]))
    heights = [loss[i] / loss[:i].min() for i in inner]
    if not heights or max(heights) < 1.0 + VISIBLE:
        return None
    i = inner[int(np.argmax(heights))]
    return Peak(
        line.axis, float(line.x[i]), line.fixed, float(loss[i]), max(heights),
        stopped=float(line.stopped.value[i] / loss[i]), ridge=float(line.ridge[i] / loss[i]),
        extrapolated=bool(line.extrapolated[0, i]),
    )  # fmt: skip
