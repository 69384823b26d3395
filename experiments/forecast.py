"""Learning curves foretold from an estimated spectrum: held-out loss against t, N and P, each with a band.

**Loss** here is the held-out squared error, summed over outputs: risk plus the estimated label noise, which is what
training on real rows measures. The band is what another sample of rows would change: the scatter of the same theory
over `rfm.spectra.Estimate.replicas`, in log loss, at 95 %. It knows nothing of rows that are far from Gaussian.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

import rfm
import theory
from experiments.fits import log_derivative
from rfm.optimizers import Optimizer
from theory import exponents
from theory.stopping import POINTS

TIMES = POINTS  # of a curve, as many as the search for the best one looks at: one compilation serves both
COARSE = 4  # every so many-th point of a line has a band of its own, those between are interpolated
SHIFTS = 2.0 ** np.linspace(-1.0, 1.0, 5)  # of the model size about an optimum, to see where replicas have theirs
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

    beyond: (F, S, T) part of the loss that comes from modes the sample does not resolve. excess: the label noise, which
    no size goes below. stopping, ridge: (F, S) objects, the best time to stop and the best ridge.
    """

    features: np.ndarray
    samples: np.ndarray
    times: np.ndarray
    loss: Band
    beyond: np.ndarray
    noise: float
    stopping: np.ndarray
    ridge: np.ndarray
    resolved: float  # samples that the estimate answers for

    @property
    def stopped(self) -> Band:
        """(F, S): loss at the best of the planned times, with its band."""
        best = self.loss.value.argmin(-1)[..., None]
        return Band(*(np.take_along_axis(values, best, -1)[..., 0] for values in self.loss))

    @property
    def end(self) -> Band:
        """(F, S): loss at the last time."""
        return Band(*(values[..., -1] for values in self.loss))

    @property
    def extrapolated(self) -> np.ndarray:
        """(F, S, T): more samples than half of the rows, or a loss that unresolved modes decide."""
        return (self.samples > self.resolved)[None, :, None] | (self.beyond > 0.5)


@dataclasses.dataclass(frozen=True)
class Line:
    """Loss along one size, the other fixed: at the last time, at the best time and at the best ridge, (X,) each.

    axis: "features" or "samples"; beyond: (X,) of the loss at the last time, as in `Grid`.
    """

    axis: str
    x: np.ndarray
    fixed: float
    time: float
    end: Band
    stopped: Band
    ridge: np.ndarray
    beyond: np.ndarray


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


def unresolved(estimate) -> rfm.Problem:
    """The problem with nothing to learn but what lies beyond the trusted modes; risk is linear in their power."""
    problem = estimate.problem
    target = np.where(np.arange(len(problem.target)) < estimate.trusted, 0.0, problem.target)
    return dataclasses.replace(problem, target=target, noise_var=0.0)


def grid(
    estimate, features: Sequence[float], samples: Sequence[float], optimizer, times, on_point: Callable = lambda: None
) -> Grid:
    """The theory of every pair of sizes, with its band."""
    far = unresolved(estimate)
    loss, scatter, beyond, stopping, ridge = [], [], [], [], []
    for n in features:
        for p in samples:
            sizes = dict(num_features=n, num_samples=p)
            loss.append(losses(estimate.problem, n, p, optimizer, times))
            scatter.append([losses(replica.problem, n, p, optimizer, times) for replica in estimate.replicas])
            beyond.append(losses(far, n, p, optimizer, times) / np.maximum(loss[-1], TINY))
            longest = max(1.0, float(times[-1]))
            stopping.append(theory.best_stopping(estimate.problem, **sizes, optimizer=optimizer, longest=longest))
            ridge.append(theory.best_ridge(estimate.problem, **sizes))
            on_point()
    shape = len(features), len(samples)
    scatter = np.array(scatter).reshape(*shape, -1, len(times))  # (F, S, R, T)
    return Grid(
        np.asarray(features, float),
        np.asarray(samples, float),
        np.asarray(times, float),
        band(np.reshape(loss, (*shape, -1)), np.moveaxis(scatter, 2, 0)),
        np.reshape(beyond, (*shape, -1)),
        float(estimate.problem.noise_var),
        _objects(stopping, shape),
        _objects(ridge, shape),
        estimate.sample.size / 2.0 + 1.0,  # a row went into the means
    )


def _objects(values: Sequence, shape: tuple[int, int]) -> np.ndarray:
    """An array of named tuples, which numpy would take apart."""
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


def line(estimate, axis: str, x: np.ndarray, fixed: float, optimizer, times, on_point: Callable = lambda: None) -> Line:
    """The theory along "features" or "samples" x (X,), increasing, at the other size `fixed`."""

    def at(problem, size):
        return losses(problem, *((size, fixed) if axis == "features" else (fixed, size)), optimizer, times)

    loss = np.array([at(estimate.problem, size) for size in x])  # (X, T)
    far = unresolved(estimate)
    coarse = np.unique([*range(0, len(x), COARSE), len(x) - 1, int(loss[:, -1].argmax())])
    scatter = []
    for i in coarse:
        scatter.append([at(replica.problem, x[i]) for replica in estimate.replicas])
        on_point()
    scatter = np.array(scatter).reshape(len(coarse), -1, len(times))  # (X', R, T)
    bands = []
    for value, replicas in ((loss[:, -1], scatter[..., -1]), (loss.min(-1), scatter.min(-1))):
        width = np.exp(np.interp(np.log(x), np.log(x[coarse]), half_width(replicas.T)))
        bands.append(Band(value, value / width, value * width))
    other = "num_samples" if axis == "features" else "num_features"
    ridge = [theory.best_ridge(estimate.problem, **{f"num_{axis}": size, other: fixed}).risk for size in x]
    beyond = np.array([at(far, size)[-1] for size in x]) / np.maximum(loss[:, -1], TINY)
    noise = float(estimate.problem.noise_var)
    return Line(axis, x, fixed, float(times[-1]), *bands, np.array(ridge) + noise, beyond)


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
    )  # fmt: skip


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
