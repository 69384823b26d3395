"""Exponents at one point of the page, and the compute-optimal frontier."""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from scipy.interpolate import CubicHermiteSpline

import rfm
import theory
from experiments.compare.exponent import Exponent
from experiments.compare.limits import FRONTIER_NODES, frontier_law
from experiments.compare.statistics import local_slopes
from experiments.explore.parameters import NO_AVERAGE, USUAL
from experiments.explore.settings import Settings
from theory import exponents

SLOPE_FLOOR = 1e-14  # of the risk at t = 0: below it rounding makes the slope
SIZE_STEP = 0.05  # in log of a size, of central differences
NUM_BUDGETS = 12  # points of the frontier
KEPT = 50 * NUM_BUDGETS  # points that are kept
Times = TypeVar("Times", float, np.ndarray)


def known_exponents(
    settings: Settings, times: np.ndarray, risk: np.ndarray, terms: dict[str, np.ndarray]
) -> list[Exponent]:
    """Return closed forms beside local exponents of the risk (T,) of this point, and of what limits it, (T,) each."""
    a, b = settings.a, settings.b
    at = f"t = {times[-1]:.3g}"

    def late(name: str) -> float:
        """Return the slope of a limit at the last time."""
        return float(slope(times, terms[name])[-1])

    rows = [_law(f"risk of this model at {at}", None, float(slope(times, risk)[-1]))]
    if "time" in terms:
        rows.append(_law(f"time t, N = P = \u221e, at {at}", time_law(settings), late("time")))
    if math.isfinite(settings.N):
        law = {1: exponents.model_exponent, math.inf: exponents.ensemble_exponent}.get(settings.K)
        here = _static_slope(settings, "num_features", settings.N)
        label = f"model size N, t = P = \u221e, at N = {settings.N}"
        rows.append(_law(label, law and law(a, b), here))
    if math.isfinite(settings.P):
        here = _static_slope(settings, "num_samples", settings.P)
        label = f"data P, t = N = \u221e, no noise, at P = {settings.P}"
        rows.append(_law(label, exponents.data_exponent(a, b), here))
    if "noise" in terms:
        _, growth = exponents.noise_exponents(a, b)
        growth = None if settings.richness or time_law(settings) is None else growth
        rows.append(_law(f"label noise, growth in t, at {at}", growth, -late("noise")))
    if "batches" in terms:
        # where the risk of full batches falls slower, so does the noise that it makes
        known = b > 1.0 and a > 2.0 * b and not settings.noise and time_law(settings) is not None
        closed = exponents.sgd_noise_exponent(a, b) if known and not settings.richness else None
        rows.append(_law(f"noise of batches, at {at}", closed, late("batches")))
    return rows


def slope(times: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Return the local exponent -d log risk/d log t, (T,), NaN where only rounding is left."""
    known = risk > SLOPE_FLOOR * np.max(risk, initial=0.0)
    return -local_slopes(times, np.where(known, risk, np.nan))


def time_law(settings: Settings) -> float | None:
    """Return the exponent of the risk in time where nothing else limits it; None for a rate that decays."""
    if settings.schedule not in (None, USUAL["schedule"]):
        return None
    law = exponents.rich_time_exponent if settings.richness else exponents.time_exponent
    return law(settings.a, settings.b)


def _static_slope(settings: Settings, name: str, size: float) -> float:
    """Return -d log risk/d log size at t = infinity, the other size infinite, clean labels."""
    clean = rfm.power_law(settings.a, settings.b, int(settings.M))
    sizes = np.array([max(1.0, size * math.exp(-SIZE_STEP)), size * math.exp(SIZE_STEP)])

    def risk(x: float) -> float:
        n, p = (x, np.inf) if name == "num_features" else (np.inf, x)
        curve = theory.predict(clean, num_features=n, num_samples=p, optimizer=rfm.Ridge(0.0), ensemble=settings.K)
        return float(np.asarray(curve.risk)[0])

    return float(slope(sizes, np.array([risk(x) for x in sizes]))[0])


def _law(quantity: str, closed: float | None, here: float) -> Exponent:
    """Return the closed form of a law, and what the theory has at this point as a logarithmic derivative."""
    return Exponent(quantity, closed=closed, theory=here if math.isfinite(here) else math.nan)


def frontier(settings: Settings) -> Iterator[theory.Frontier]:
    """Yield the compute-optimal line of one model, from a hundred units of compute to that of this point.

    Raises:
        ValueError: There is none: an algorithm without it, or N = infinity.
    """
    if settings.richness:
        raise ValueError("It is known where features are not trained: richness 0.")
    if settings.schedule not in (None, USUAL["schedule"]):
        raise ValueError(
            f"Here it is that of a constant learning rate; `rfm frontier --optimizer sgd --schedule "
            f"{settings.schedule}` has it where the rate decays."
        )
    if settings.average not in (None, NO_AVERAGE):
        raise ValueError("It is that of the weights themselves: average none.")
    if settings.algorithm == "sgd" and math.isfinite(settings.P):
        raise ValueError("For SGD it is that of one pass: P infinite.")
    optimizer = settings.optimizer
    if not isinstance(optimizer, rfm.GradientFlow | rfm.GradientDescent | rfm.SGD):
        raise ValueError("The frontier is known for gradient flow, gradient descent and SGD.")
    if math.isinf(settings.N):
        raise ValueError("A model of infinite size has no compute N t.")
    per_step = compute(settings, 1.0) / settings.N
    last = max(compute(settings, settings.stop), 200.0 * per_step)
    for budget in np.geomspace(100.0 * per_step, last, NUM_BUDGETS):
        yield _optimum(settings, optimizer, float(budget))


@functools.lru_cache(maxsize=KEPT)
def _optimum(
    settings: Settings, optimizer: rfm.GradientFlow | rfm.GradientDescent | rfm.SGD, budget: float
) -> theory.Frontier:
    """Return the best size at one budget, kept for whoever comes back to a point."""
    nodes = None if settings.momentum else FRONTIER_NODES
    budgets = np.array([budget])
    return theory.frontier(settings.problem, budgets, num_samples=settings.P, optimizer=optimizer, nodes=nodes)


def joined(optima: Sequence[theory.Frontier]) -> tuple[np.ndarray, np.ndarray]:
    """Return compute and risk of a line through budgets, (X,) each: a cubic in log-log that has their exponents too.

    Straight lines between them lie above the frontier, and models would beat it.
    """
    compute, risk, exponent = (
        np.concatenate([getattr(optimum, name) for optimum in optima])
        for name in ("compute", "risk", "risk_exponent")
    )  # fmt: skip
    if len(compute) < 2:
        return compute, risk
    line = CubicHermiteSpline(np.log(compute), np.log(risk), -exponent)
    x = np.geomspace(compute[0], compute[-1], 12 * len(compute))
    return x, np.exp(line(np.log(x)))


def compute(settings: Settings, times: Times) -> Times:
    """Return the compute N t, for SGD N t B."""
    return settings.N * times * (settings.batch or 1)


def frontier_exponents(settings: Settings, end: theory.Frontier) -> list[Exponent]:
    """Return the exponents of the best risk and the best size at one budget."""
    s = settings
    size, risk, _ = frontier_law(s.a, s.b, s.noise, s.P, s.optimizer) or (None, None, "")
    at = f"C = {end.compute[0]:.3g}"
    return [
        _law(f"best risk, falls in compute, at {at}", risk, float(end.risk_exponent[0])),
        _law(f"best N, grows in compute, at {at}", size, float(end.size_exponent[0])),
    ]
