"""The best model size for a budget of compute, from predictions on a grid of sizes and times.

A step of a layer of N x N takes N^2 operations where that of a readout takes N, and steps that stay stable shrink as
the kernel grows, lr m z_max < 2: as many of them pass the time tau = int m dt of the lazy model, and no more. Hence
three ways of counting compute: N t, N^2 t and N tau.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

import rfm
import theory
from experiments.compare.laws import FLOW, INF
from rfm.arguments import Arguments
from theory.exponents.rich import COSTS

ROUNDING = 1e-6  # of risks at late times
Join = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


class Best(NamedTuple):
    """Budgets C, the size that is best at each, and its risk, (C,)."""

    compute: np.ndarray
    size: np.ndarray
    risk: np.ndarray


class Grid(NamedTuple):
    """Risk and time tau of the lazy model, (N, T), of models of some sizes (N,) at some times (T,), all fresh data."""

    sizes: np.ndarray
    times: np.ndarray
    risk: np.ndarray
    tau: np.ndarray

    def best(
        self, cost: str, compute: np.ndarray, *, join: Join = CubicSpline, looks: tuple[int, ...] = (20, 401)
    ) -> Best:
        """Minimise the risk over size at every budget of a cost, by splines through logarithms.

        join: the spline over sizes; looks: at how many points of it for each size, and closer to the least of them.
        """
        clocks = self.tau if cost == "N tau" else np.broadcast_to(self.times, self.tau.shape)
        spent = np.log(clocks * (self.sizes ** COSTS[cost])[:, None])
        x, at = np.log(self.sizes), np.log(compute)
        risks = np.stack([CubicSpline(s, y)(at) for s, y in zip(spent, np.log(self.risk), strict=True)])  # (N, C)
        known = (spent[:, :1] <= at) & (at <= spent[:, -1:])  # a budget that a size can spend on these times
        curves = [(x[use], join(x[use], y[use])) for use, y in zip(known.T, risks.T, strict=True)]
        return Best(compute, *np.exp([_least(*curve, looks) for curve in curves]).T)


def predicted(a: float, b: float, sizes: np.ndarray, times: np.ndarray, *, richness: float) -> Grid:
    """Predict models of a power law of all sizes at all times."""
    risk, tau = [], []
    for n in sizes:
        args = Arguments(num_features=n, num_samples=INF, optimizer=FLOW, times=times, richness=richness)
        curve = theory.predict(rfm.power_law(a, b, None), **args)
        last = _last_seen(curve.risk)
        risk.append(curve.risk[last])
        tau.append(times if curve.kernel_growth is None else lazy_clock(times, curve.kernel_growth[last]))
    return Grid(sizes, times, np.array(risk), np.array(tau))


def _last_seen(risk: np.ndarray) -> np.ndarray:
    """Return the index (T,) of every time, and past the reach of the contours, where risks rise, of the last before."""
    # models that small are at rest there: gradient flow on fresh data never raises the risk
    rises = np.flatnonzero(risk > (1.0 + ROUNDING) * np.minimum.accumulate(risk))
    return np.minimum(np.arange(len(risk)), rises[0] - 1 if rises.size else len(risk))


def lazy_clock(times: np.ndarray, growth: np.ndarray) -> np.ndarray:
    """Return tau = int_0^t m dt (T,), the time of the lazy model, from the growth m (T,) of the kernel at times.

    Times are dense in their logarithm, and the first is so early that the kernel has hardly grown.

    Example:
        >>> times = np.geomspace(1e-3, 10.0, 80)
        >>> lazy_clock(times, 1.0 + times**2)[-1].round(1).item()  # 10 + 10^3/3
        343.3
    """
    x = np.log(times)
    spent = CubicSpline(x, growth * times).antiderivative()
    return times[0] * 0.5 * (1.0 + growth[0]) + spent(x) - spent(x[0])


def _least(x: np.ndarray, curve: Callable[[np.ndarray], np.ndarray], looks: tuple[int, ...]) -> tuple[float, float]:
    """Return where a curve over points is least, and its value there."""
    at = np.linspace(x[0], x[-1], looks[0] * len(x))
    for closer in looks[1:]:
        at = at[np.argmin(curve(at))] + np.linspace(-1.0, 1.0, closer) * (at[1] - at[0])
    values = curve(at)
    return float(at[np.argmin(values)]), float(values.min())
