"""What follows from an estimated spectrum beside its curves: exponents, and the best use of a budget, with bands."""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

import rfm
import theory
from experiments.compare.statistics import log_derivative
from experiments.forecast.curves import TIMES, Band, band, losses
from theory import exponents

SHIFTS = 2.0 ** np.linspace(-1.0, 1.0, 5)  # of the model size about an optimum, to see where replicas have theirs


class Plan(NamedTuple):
    """The best model size and time for budgets C, (C,) each or a band of it; see `theory.Frontier`."""

    compute: np.ndarray
    features: Band
    times: Band
    loss: Band
    size_exponent: np.ndarray
    loss_exponent: np.ndarray
    converged: np.ndarray


class Exponent(NamedTuple):
    """One law. closed: of the fitted power laws; measured: of the theory, no label noise, all else infinite, at x."""

    quantity: str
    closed: Band
    measured: Band
    at: float


def plan(estimate, found: theory.Frontier, num_samples: float, optimizer, times: np.ndarray) -> Plan:
    """The optimum of `theory.frontier` with a band, from where the replicas have theirs.

    A replica's is that of a parabola in log N through its losses at the same budget about the optimum; NaN where that
    takes times beyond `times` (T,).
    """
    from scipy.interpolate import CubicSpline  # brings all of scipy.optimize, which no other command waits for

    sizes, best = np.full((2, len(estimate.replicas), len(found.compute)), np.nan)  # (R, C)
    for c, (compute, n, time) in enumerate(zip(found.compute, found.num_features, found.times, strict=True)):
        if not times[0] <= time / SHIFTS[-1] <= time * SHIFTS[-1] <= times[-1]:
            continue
        for r, replica in enumerate(estimate.replicas):
            curve = []
            for size in n * SHIFTS:  # interpolated, as one compilation then serves all
                loss = losses(replica.problem, max(1.0, size), num_samples, optimizer, times)
                curve.append(CubicSpline(np.log(times), np.log(loss))(np.log(compute / size)))
            sizes[r, c], best[r, c] = n * _lowest(np.log(SHIFTS), np.array(curve)), np.exp(min(curve))
    loss = found.risk + float(estimate.problem.noise_var)
    features = band(found.num_features, sizes)
    time = Band(found.times, found.compute / features.high, found.compute / features.low)
    return Plan(
        found.compute, features, time, band(loss, best), found.size_exponent, found.risk_exponent * found.risk / loss,
        found.converged,
    )  # fmt: skip


def _lowest(x: np.ndarray, y: np.ndarray) -> float:
    """exp of where a parabola through (x, y) is least, within x."""
    bend, slope, _ = np.polyfit(x, y, 2)
    return float(np.exp(np.clip(-slope / (2 * bend), x[0], x[-1]) if bend > 0 else x[np.argmin(y)]))


def exponent_table(estimate) -> list[Exponent]:
    """Laws for t, N and P: closed form, and measured where a quarter of the trusted modes is learned."""
    k = max(4.0, estimate.trusted / 4.0)
    problem = estimate.problem
    clock = 1.0 / float(problem.eigenvalues[min(int(k), len(problem.eigenvalues)) - 1])
    inf, flow, end = math.inf, rfm.GradientFlow(), rfm.Ridge(0.0)
    laws = (
        ("time t", exponents.time_exponent, clock, lambda p, x: losses(p, inf, inf, flow, _between(x))[[0, -1]]),
        ("model size N", exponents.model_exponent, k, lambda p, x: [losses(p, n, inf, end, None)[0] for n in x]),
        ("data P", exponents.data_exponent, k, lambda p, x: [losses(p, inf, n, end, None)[0] for n in x]),
    )
    rows = []
    for quantity, formula, at, curve in laws:

        def measure(problem, curve=curve, at=at):
            clean = dataclasses.replace(problem, noise_var=0.0)
            with np.errstate(all="ignore"):  # a target that is all noise leaves no law
                return -log_derivative(lambda x: np.asarray(curve(clean, x)), at)

        value = measure(problem)
        replicas = [measure(replica.problem) for replica in estimate.replicas]
        half = stdtrit(len(replicas) - 1, 0.975) * np.std(replicas, ddof=1) if len(replicas) > 1 else np.nan
        rows.append(Exponent(quantity, _closed(estimate, formula), Band(value, value - half, value + half), at))
    return rows


def _between(x: np.ndarray) -> np.ndarray:
    """Two times with others between them: as many as of any other curve here, so that one compilation serves."""
    return np.geomspace(*x, TIMES)


def interval(estimate, name: str) -> Band:
    """An estimated number, "a", "b" or "noise_var", and its 95 %."""
    value, half = getattr(estimate, name), np.nan
    if len(estimate.replicas) > 1:
        half = stdtrit(len(estimate.replicas) - 1, 0.975) * estimate.error(name)
    return Band(value, value - half, value + half)


def _closed(estimate, formula: Callable[[float, float], float]) -> Band:
    """The formula, monotone in a and in b, at the fitted exponents and at the corners of their intervals."""
    a, b = interval(estimate, "a"), interval(estimate, "b")
    try:
        corners = [formula(x, y) for x in a[1:] for y in b[1:]]
        return Band(formula(a.value, b.value), min(corners), max(corners))
    except ValueError:  # no power law, or none that is told from a flat one: a <= 1, b <= 0
        return Band(np.nan, np.nan, np.nan)
