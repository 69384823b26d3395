"""Consequences of an estimated spectrum beside its curves: exponents, and the best use of a budget, with bands."""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

import rfm
import theory
from experiments.compare.statistics import log_derivative
from experiments.forecast.bands import TINY, Band, band, interval, scatter
from experiments.forecast.forecasts import NUM_TIMES, Forecast, losses
from rfm.data.spectra import Estimate, Sample
from rfm.problem import Array
from theory import exponents

CHANCE = 0.01  # at which labels without any signal pass for some that have it
SHIFTS = 2.0 ** np.linspace(-1.0, 1.0, 3)  # of the model size about an optimum, to see where replicas have theirs


class Plan(NamedTuple):
    """The best model size and time for budgets C, (C,) each or a band of it; see `theory.Frontier`.

    columns: The d columns of the features where all of them are best, which cost d t, else NaN.
    """

    compute: Array
    features: Band
    times: Band
    loss: Band
    size_exponent: Array
    loss_exponent: Array
    converged: Array
    columns: Array


class ExponentBands(NamedTuple):
    """One exponent of an estimated population, by two sources with a band each.

    Attributes:
        quantity: What it is the exponent of.
        closed: Closed form of the fitted power laws.
        measured: Of the theory at x = `at`, without label noise and with all else infinite.
        at: A time or size.
    """

    quantity: str
    closed: Band
    measured: Band
    at: float


def has_signal(sample: Sample) -> bool:
    """Do the leading directions explain more of the labels than of labels that are noise alone?

    The share of so many of them is then beta distributed; a few numbers of directions are tried.
    """
    from scipy.special import betainc

    size, share = sample.size, np.cumsum(sample.power) / max(sample.total, TINY)
    most = max(1, min(len(share), int(size // 2)))
    tried = [2**i for i in range(most.bit_length()) if 2**i <= most]
    tails = [1.0 - float(betainc(m / 2, (size - m) / 2, min(share[m - 1], 1.0))) for m in {*tried, most}]
    return min(tails) * len(tails) < CHANCE


def plan(forecast: Forecast, best: theory.Frontier, num_samples: float) -> Plan:
    """Put bands about the optimum of `theory.frontier`, from where the replicas have theirs.

    A replica's is that of a parabola in log N through its losses at the same budget about the optimum; NaN where that
    takes times beyond those of the forecast. No model is larger than the d columns of the features: all of them are
    N infinite at the price d t, and the plan where a projection of them is no better.
    """
    from scipy.interpolate import CubicSpline  # brings all of scipy.optimize, which no other command waits for

    estimate, times = forecast.estimate, forecast.times
    sizes = np.full((len(estimate.replicas), len(best.compute)), np.nan)  # (R, C)
    for c, (compute, n, time) in enumerate(zip(best.compute, best.num_features, best.times, strict=True)):
        if not times[0] <= time / SHIFTS[-1] <= time * SHIFTS[-1] <= times[-1]:
            continue
        curves = []
        for size in n * SHIFTS:  # interpolated, as one compilation then serves all
            replicas = np.log(forecast.replicas(max(1.0, size), num_samples))
            curves.append([CubicSpline(np.log(times), loss)(np.log(compute / size)) for loss in replicas])
        for r, curve in enumerate(np.transpose(curves)):
            sizes[r, c] = n * lowest(np.log(SHIFTS), curve)
    features = band(best.num_features, sizes)
    size, loss, half = np.array(best.num_features, float), np.zeros(len(best.compute)), np.zeros(len(best.compute))
    columns, when = np.full(len(best.compute), np.nan), np.array(best.times, float)
    whole = forecast.point(math.inf, num_samples).stopping
    for c, (compute, n, time) in enumerate(zip(best.compute, best.num_features, best.times, strict=True)):
        ratio, width = (at(n, num_samples, np.array([time]))[0] for at in (forecast.ratio, forecast.half_width))
        loss[c], half[c] = (best.risk[c] + estimate.noise_var) * math.exp(ratio), width
        if math.isfinite(forecast.columns):
            stop = np.array([min(compute / forecast.columns, whole.at)])  # a budget need not be spent
            stop = np.floor(stop) if forecast.optimizer.discrete else stop
            least = forecast.losses(math.inf, num_samples, stop)[0] if stop[0] > 0 else float(whole.loss.value)
            if n >= forecast.columns or least <= loss[c]:
                columns[c], size[c], loss[c], when[c] = forecast.columns, forecast.columns, least, stop[0]
                half[c] = forecast.half_width(math.inf, num_samples, np.maximum(stop, TINY))[0]
    all_columns = np.isfinite(columns)
    features = Band(*(np.where(all_columns, forecast.columns, values) for values in features))
    return Plan(
        compute=best.compute,
        features=features,
        times=Band(when, best.compute / features.high, best.compute / features.low),
        loss=forecast.band(loss, half),
        size_exponent=np.where(all_columns, np.nan, best.size_exponent),
        loss_exponent=np.where(all_columns, np.nan, best.risk_exponent * best.risk / loss),
        converged=best.converged | all_columns,
        columns=columns,
    )


def lowest(x: np.ndarray, y: np.ndarray) -> float:
    """Return exp of where a parabola through (x, y) is least, within x."""
    bend, slope, _ = np.polyfit(x, y, 2)
    return float(np.exp(np.clip(-slope / (2 * bend), x[0], x[-1]) if bend > 0 else x[np.argmin(y)]))


def exponent_table(estimate: Estimate) -> list[ExponentBands]:
    """Return exponents for t, N and P: closed form, and measured where a quarter of the trusted modes is learned."""
    k = max(4.0, estimate.trusted / 4.0)
    eigenvalues = estimate.problem.eigenvalues
    clock = 1.0 / float(eigenvalues[min(int(k), len(eigenvalues)) - 1])
    laws = (
        ("time t", exponents.time_exponent, clock, _along_time),
        ("model size N", exponents.model_exponent, k, partial(_along_size, "features")),
        ("data P", exponents.data_exponent, k, partial(_along_size, "samples")),
    )
    return [
        ExponentBands(quantity, _closed(estimate, formula), _measured(estimate, curve, at), at)
        for quantity, formula, at, curve in laws
    ]


Curve = Callable[[rfm.Problem, np.ndarray], np.ndarray]  # losses at two values of x, all else infinite


def _along_time(problem: rfm.Problem, x: np.ndarray) -> np.ndarray:
    # as many times as any other curve here has, so that one compilation serves
    times = np.geomspace(x[0], x[-1], NUM_TIMES)
    return losses(problem, math.inf, math.inf, rfm.GradientFlow(), times)[[0, -1]]


def _along_size(axis: str, problem: rfm.Problem, x: np.ndarray) -> np.ndarray:
    pairs = [(size, math.inf) if axis == "features" else (math.inf, size) for size in x]  # (N, P)
    return np.array([losses(problem, n, p, rfm.Ridge(0.0), None)[0] for n, p in pairs])


def _measured(estimate: Estimate, curve: Curve, at: float) -> Band:
    """Local exponent of a curve without noise, with the band of its scatter over replicas."""

    def measure(problem: rfm.Problem) -> float:
        clean = dataclasses.replace(problem, noise_var=0.0)
        with np.errstate(all="ignore"):  # a target that is all noise leaves no law
            return -log_derivative(lambda x: curve(clean, x), at)

    return Band.around(measure(estimate.problem), scatter([measure(replica.problem) for replica in estimate.replicas]))


def _closed(estimate: Estimate, formula: Callable[[float, float], float]) -> Band:
    """The formula, monotone in a and in b, at the fitted exponents and at the corners of their intervals."""
    a, b = interval(estimate, "a"), interval(estimate, "b")
    try:
        corners = [formula(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        return Band(formula(a.value, b.value), min(corners), max(corners))
    except ValueError:  # no power law, or one that is not distinct from a flat one: a <= 1, b <= 0
        return Band(np.nan, np.nan, np.nan)
