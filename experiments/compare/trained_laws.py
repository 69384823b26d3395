"""Laws of features that are trained: risk in time, and in compute counted in three ways.

A step of a layer of N x N takes N^2 operations where that of a readout takes N, and steps that stay stable shrink as
the kernel grows, lr m z_max < 2: as many of them pass the time tau = int m dt of the lazy model, and no more.
"""

from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline, make_interp_spline

import rfm
import theory
from experiments.compare.laws import FLOW, INF, LATE, LEAST_RISK, Law, risk_in_time
from rfm.arguments import Arguments
from theory import exponents

SOURCE = "arXiv 2409.17858"
COUNTS = {"N t": "N t", "N^2 t": "N^2 t", "N tau": "N int m dt"}  # of compute, as `rich_frontier_exponents` names them
FIRST, FAR = 1e2, 1e14  # compute from which laws are drawn, and at which they are measured at most
SIZES, TIMES = (3.0, 1e9, 56), (1e-2, 1e9, 160)  # at which the theory is evaluated


def rich_laws(a: float, b: float, richness: float) -> list[Law]:
    """Return the laws in time and in compute of features that are trained, for a richness > 0 away from a = 1 + b."""
    laws = [rich_time(a, b, richness)]
    for cost, words in COUNTS.items():
        _, closed = exponents.rich_frontier_exponents(a, b, cost=cost)
        claim = {"claim": closed, "source": SOURCE} if cost == "N t" and a - 1.0 < b else {}
        far = min(FAR, (10.0 * LEAST_RISK) ** (-1.0 / closed))
        laws.append(Law(
            f"compute rich {cost}", f"compute C = {words}, richness {richness:g}", "compute $C$", closed,
            partial(_best_risk, a, b, richness=richness, cost=cost), far, (FIRST, far), **claim,
        ))  # fmt: skip
    return laws


def rich_time(a: float, b: float, richness: float) -> Law:
    """Return the law in time of features that are trained, at N = P = infinity."""
    closed = exponents.rich_time_exponent(a, b)
    late = min(LATE, LEAST_RISK ** (-1.0 / closed))
    return Law(
        "time rich", f"time t, richness {richness:g}", "time $t$", closed,
        partial(risk_in_time, rfm.power_law(a, b, None), richness=richness), late, (1.0, late),
        closed, SOURCE, exponents.rich_time_amplitude(a, b, richness),
    )  # fmt: skip


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


class _Grid(NamedTuple):
    """Risk and tau (N, T) of models of some sizes (N,) at some times (T,), all fresh data."""

    sizes: np.ndarray
    times: np.ndarray
    risk: np.ndarray
    tau: np.ndarray


@lru_cache
def _grid(a: float, b: float, richness: float) -> _Grid:
    sizes, times = np.geomspace(*SIZES), np.geomspace(*TIMES)
    risk, tau = [], []
    for n in sizes:
        args = Arguments(num_features=n, num_samples=INF, optimizer=FLOW, times=times, richness=richness)
        curve = theory.predict(rfm.power_law(a, b, None), **args)
        risk.append(curve.risk)
        tau.append(lazy_clock(times, curve.kernel_growth))
    return _Grid(sizes, times, np.array(risk), np.array(tau))


def _best_risk(a: float, b: float, compute: np.ndarray, *, richness: float, cost: str) -> np.ndarray:
    """Return the least risk over model size at every budget, (C,), by splines through logarithms."""
    grid, at = _grid(a, b, richness), np.log(compute)
    clocks = grid.tau if cost == "N tau" else np.broadcast_to(grid.times, grid.tau.shape)
    spent = np.log(clocks * (grid.sizes ** (2 if cost == "N^2 t" else 1))[:, None])
    values = np.stack([CubicSpline(x, y)(at) for x, y in zip(spent, np.log(grid.risk), strict=True)])  # (N, C)
    known = (spent[:, :1] <= at) & (at <= spent[:, -1:])  # a budget that a size can spend on these times
    x = np.log(grid.sizes)
    return np.exp([_least(x[use], y[use]) for use, y in zip(known.T, values.T, strict=True)])


def _least(x: np.ndarray, y: np.ndarray) -> float:
    """Return the least value of a smooth curve through points."""
    spline, fine = make_interp_spline(x, y, k=5), np.linspace(x[0], x[-1], 50 * len(x))
    return float(spline(fine).min())
