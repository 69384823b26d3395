"""Learning curves of a forecast: held-out loss against t, N and P, each with a band, and the peaks of them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from experiments.forecast.bands import TINY, Band
from experiments.forecast.forecasts import Best, Forecast

RIDGE_STRIDE = 4  # every so many-th point of a line has a best ridge of its own, those between are interpolated
VISIBLE = 0.01  # a maximum that stands out by less than this part is no peak


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
    stopping: dict[tuple[int, int], Best]
    ridge: dict[tuple[int, int], Best]

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
    """Return the forecast of every pair of sizes, with its band."""
    points, ridge = {}, {}
    for i, n in enumerate(features):
        for j, p in enumerate(samples):
            points[i, j] = forecast.point(n, p)
            ridge[i, j] = forecast.best_ridge(n, p)
            on_point()
    shape = len(features), len(samples), len(forecast.times)

    def stacked(values: Sequence[np.ndarray]) -> np.ndarray:
        return np.reshape(values, shape)

    return Grid(
        features=np.asarray(features, float),
        samples=np.asarray(samples, float),
        times=np.asarray(forecast.times, float),
        loss=Band(*(stacked([point.loss[k] for point in points.values()]) for k in range(3))),
        beyond=stacked([point.share for point in points.values()]),
        extrapolated=stacked([point.extrapolated for point in points.values()]),
        noise=forecast.estimate.noise_var,
        stopping={place: point.stopping for place, point in points.items()},
        ridge=ridge,
    )


def line(
    forecast: Forecast, axis: str, x: np.ndarray, fixed: float, *, on_point: Callable[[], object] = lambda: None
) -> Line:
    """Return the forecast along "features" or "samples" x (X,), increasing, at the other size `fixed`."""
    pairs = [(size, fixed) if axis == "features" else (fixed, size) for size in x]  # (N, P)
    points = []
    for i, (n, p) in enumerate(pairs):
        points.append(forecast.point(n, p))
        if i % RIDGE_STRIDE == 0:
            on_point()
    peak = int(np.argmax([point.loss.value[-1] for point in points]))
    coarse = np.unique([*range(0, len(x), RIDGE_STRIDE), len(x) - 1, peak])
    ridge = [float(forecast.best_ridge(*pairs[i]).loss.value) for i in coarse]
    best = [int(point.loss.value.argmin()) for point in points]
    return Line(
        axis, x, fixed, float(forecast.times[-1]),
        end=Band(*(np.array([point.loss[k][-1] for point in points]) for k in range(3))),
        stopped=Band(*(np.array([float(point.stopping.loss[k]) for point in points]) for k in range(3))),
        ridge=np.exp(np.interp(np.log(x), np.log(x[coarse]), np.log(np.maximum(ridge, TINY)))),
        extrapolated=np.array([[point.extrapolated[i] for point, i in zip(points, places, strict=True)]
                               for places in ([-1] * len(best), best)]),
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
