"""Learning curves foretold from an estimated spectrum: held-out loss against t, N and P, each with a band.

**Loss** here is the held-out squared error, summed over outputs: risk plus the estimated label noise, which is what
training on real rows measures. The band is what another sample of rows would change: the scatter of the same theory
over `rfm.spectra.Estimate.replicas`, in log loss, at 95 %. It knows nothing of rows that are far from Gaussian.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

import rfm
import theory
from rfm.optimizers import Optimizer
from theory.stopping import POINTS

TIMES = POINTS  # of a curve, as many as the search for the best one looks at: one compilation serves both
COARSE = 4  # every so many-th point of a line has a band of its own, those between are interpolated
DECIDED = 0.5  # a loss of which unresolved modes make more than this part is extrapolated
VISIBLE = 0.01  # a maximum that stands out by less than this part is no peak
TINY = 1e-300


class Band(NamedTuple):
    """A value and its 95 % interval, three arrays of one shape."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclasses.dataclass(frozen=True)
class Grid:
    """Loss at all planned sizes and times: band of (F, S, T), at features (F,), samples (S,) and times (T,).

    beyond: (F, S, T) part of the loss that comes from modes the sample does not resolve; extrapolated: (F, S, T), see
    `extrapolates`. noise: of the labels, which no size goes below. stopping, ridge: (F, S) objects, the best time to
    stop and the best ridge.
    """

    features: np.ndarray
    samples: np.ndarray
    times: np.ndarray
    loss: Band
    beyond: np.ndarray
    extrapolated: np.ndarray
    noise: float
    stopping: np.ndarray
    ridge: np.ndarray

    @property
    def stopped(self) -> Band:
        """(F, S): loss at the best of the planned times, with its band."""
        best = self.loss.value.argmin(-1)[..., None]
        return Band(*(np.take_along_axis(values, best, -1)[..., 0] for values in self.loss))

    @property
    def end(self) -> Band:
        """(F, S): loss at the last time."""
        return Band(*(values[..., -1] for values in self.loss))


@dataclasses.dataclass(frozen=True)
class Line:
    """Loss along one size, the other fixed: at the last time, at the best time and at the best ridge, (X,) each.

    axis: "features" or "samples"; extrapolated: (2, X), at the last and at the best time, see `extrapolates`.
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
    """The interpolation peak of a line: where, the loss there, how many times the least loss below it, and what early
    stopping and ridge leave of that."""

    axis: str
    at: float
    fixed: float
    loss: float
    height: float
    stopped: float
    ridge: float
    extrapolated: bool


def band(value: np.ndarray, replicas: np.ndarray) -> Band:
    """value (...) times exp(+- half width), Student's 95 % of the scatter of log replicas (R, ...) over R."""
    value = np.asarray(value, float)
    factor = np.exp(half_width(replicas))
    return Band(value, value / factor, value * factor)


def half_width(replicas: np.ndarray) -> np.ndarray:
    """Of 95 % in the logarithm, (...); NaN for fewer than two replicas (R, ...)."""
    replicas = np.asarray(replicas, float)
    if len(replicas) < 2:
        return np.full(replicas.shape[1:], np.nan)
    return stdtrit(len(replicas) - 1, 0.975) * np.log(np.maximum(replicas, TINY)).std(0, ddof=1)


def losses(problem: rfm.Problem, num_features: float, num_samples: float, optimizer: Optimizer, times) -> np.ndarray:
    """Held-out loss by the theory, (T,); times None for ridge."""
    sizes = dict(num_features=num_features, num_samples=num_samples)
    return theory.predict(problem, **sizes, optimizer=optimizer, times=times).risk + problem.noise_var


def unresolved_share(estimate, num_features: float, num_samples: float, optimizer, times, loss) -> np.ndarray:
    """Part of the loss (T,) that modes beyond the trusted ones make, (T,); risk is linear in the power of modes."""
    problem = estimate.problem
    target = np.where(np.arange(len(problem.target)) < estimate.trusted, 0.0, problem.target)
    far = dataclasses.replace(problem, target=target, noise_var=0.0)
    return losses(far, num_features, num_samples, optimizer, times) / np.maximum(loss, TINY)


def extrapolates(estimate, num_samples, share) -> np.ndarray:
    """Is a loss with that share of unresolved modes more than the sample tells? So it is where these decide it, and
    where there are more training samples than half of the rows."""
    half = estimate.sample.size / 2.0 + 1.0  # a row went into the means
    return (np.asarray(num_samples) > half) | (np.asarray(share) > DECIDED)


def grid(
    estimate, features: Sequence[float], samples: Sequence[float], optimizer, times, on_point: Callable = lambda: None
) -> Grid:
    """The theory of every pair of sizes, with its band."""
    loss, scatter, beyond, stopping, ridge = [], [], [], [], []
    for n in features:
        for p in samples:
            sizes = dict(num_features=n, num_samples=p)
            loss.append(losses(estimate.problem, n, p, optimizer, times))
            scatter.append([losses(replica.problem, n, p, optimizer, times) for replica in estimate.replicas])
            beyond.append(unresolved_share(estimate, n, p, optimizer, times, loss[-1]))
            longest = max(1.0, float(times[-1]))
            stopping.append(theory.best_stopping(estimate.problem, **sizes, optimizer=optimizer, longest=longest))
            ridge.append(theory.best_ridge(estimate.problem, **sizes))
            on_point()
    shape = len(features), len(samples)
    scatter = np.array(scatter).reshape(*shape, -1, len(times))  # (F, S, R, T)
    beyond = np.reshape(beyond, (*shape, -1))
    return Grid(
        np.asarray(features, float),
        np.asarray(samples, float),
        np.asarray(times, float),
        band(np.reshape(loss, (*shape, -1)), np.moveaxis(scatter, 2, 0)),
        beyond,
        extrapolates(estimate, np.asarray(samples)[:, None], beyond),
        float(estimate.problem.noise_var),
        _objects(stopping, shape),
        _objects(ridge, shape),
    )


def _objects(values: Sequence, shape: tuple[int, int]) -> np.ndarray:
    """An array of named tuples, which numpy would take apart."""
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


def line(estimate, axis: str, x: np.ndarray, fixed: float, optimizer, times, on_point: Callable = lambda: None) -> Line:
    """The theory along "features" or "samples" x (X,), increasing, at the other size `fixed`."""
    pairs = [(size, fixed) if axis == "features" else (fixed, size) for size in x]  # (N, P)
    loss = np.array([losses(estimate.problem, *pair, optimizer, times) for pair in pairs])  # (X, T)
    coarse = np.unique([*range(0, len(x), COARSE), len(x) - 1, int(loss[:, -1].argmax())])
    scatter = []
    for i in coarse:
        scatter.append([losses(replica.problem, *pairs[i], optimizer, times) for replica in estimate.replicas])
        on_point()
    scatter = np.array(scatter).reshape(len(coarse), -1, len(times))  # (X', R, T)
    bands = []
    for value, replicas in ((loss[:, -1], scatter[..., -1]), (loss.min(-1), scatter.min(-1))):
        width = np.exp(np.interp(np.log(x), np.log(x[coarse]), half_width(replicas.T)))
        bands.append(Band(value, value / width, value * width))
    ridge = [theory.best_ridge(estimate.problem, num_features=n, num_samples=p).risk for n, p in pairs]
    share = [unresolved_share(estimate, *pair, optimizer, times, own) for pair, own in zip(pairs, loss, strict=True)]
    far = extrapolates(estimate, [[p] for _, p in pairs], share)  # (X, T)
    far = np.stack([far[:, -1], far[np.arange(len(x)), loss.argmin(-1)]])
    noise = float(estimate.problem.noise_var)
    return Line(axis, x, fixed, float(times[-1]), *bands, np.array(ridge) + noise, far)


def find_peak(line: Line) -> Peak | None:
    """The highest inner maximum of the loss at the last time, None where there is none."""
    loss = line.end.value
    inner = 1 + np.flatnonzero((loss[1:-1] > loss[:-2]) & (loss[1:-1] >= loss[2:]))
    heights = [loss[i] / loss[:i].min() for i in inner]
    if not heights or max(heights) < 1.0 + VISIBLE:
        return None
    i = inner[int(np.argmax(heights))]
    return Peak(
        line.axis, float(line.x[i]), line.fixed, float(loss[i]), max(heights),
        float(line.stopped.value[i] / loss[i]), float(line.ridge[i] / loss[i]),
        bool(line.extrapolated[0, i]),
    )  # fmt: skip
