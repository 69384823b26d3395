"""Settings in, everything that the page shows out: nothing here knows of a page.

`curves` is what a slider waits for; `details` and `frontier` are what comes after it; all raise ValueError for settings
that the theory refuses. Whatever the settings, arrays have the same shapes, so that no move compiles anything anew.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

import rfm
import theory
from experiments.compare.algorithms import FULL_BATCH
from experiments.compare.limits import frontier_law, limiting_terms
from experiments.explore.settings import POINTS, Settings
from experiments.explore.training import Runs
from theory import exponents

LEAST = 1e-14  # of the risk at t = 0: below it rounding makes the slope
STEP = 0.05  # in log of a size, of central differences
BUDGETS = 6  # points of the frontier
NODES = 64  # of its contours: 1e-5 of the risk, exponents to 1e-4
PARTS = ("bias", "features", "data", "interaction", "noise")


class Curves(NamedTuple):
    """Theory of one point, (T,) each. slope: -d log risk/d log t, central differences; NaN where rounding is left."""

    times: np.ndarray
    risk: np.ndarray
    train_loss: np.ndarray
    slope: np.ndarray
    converged: bool
    residual: float


class Exponent(NamedTuple):
    """A law: its closed form, the same as a logarithmic derivative of the theory at this point; None where unknown."""

    quantity: str
    closed: float | None
    here: float | None


class Details(NamedTuple):
    """limits: see `experiments.limits`; parts: bias, variances and noise of one model, none for SGD; each (T,).

    spans: which limit is largest, and until when; shares: each at the last time, in parts of the risk.
    """

    limits: dict[str, np.ndarray]
    parts: dict[str, np.ndarray]
    exponents: list[Exponent]
    spans: list[tuple[str, float]]
    shares: dict[str, float]
    task: str


def curves(settings: Settings) -> Curves:
    """The curve of risk and training loss, and its local slope."""
    found = theory.predict(settings.problem, **_padded(settings))
    times = settings.times
    risk, train_loss = found.risk[: len(times)], found.train_loss[: len(times)]
    return Curves(
        times, risk, train_loss, slope(times, risk), bool(found.converged), float(found.residual)
    )  # fmt: skip


def _padded(settings: Settings) -> dict:
    """Arguments with POINTS times whatever they are: after the last come more steps, which are not shown."""
    times = settings.times
    more = times[-1] + 1.0 + np.arange(POINTS - len(times))
    return settings.arguments | {"times": np.concatenate([times, more])}


def slope(times: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """-d log risk/d log t, (T,)."""
    known = risk > LEAST * np.max(risk, initial=0.0)
    log_risk = np.log(np.where(known, risk, np.nan))
    return -np.gradient(log_risk, np.log(times))


def details(settings: Settings, shown: Curves) -> Details:
    """What limits the risk and what it is made of; exponents; the regime in words."""
    arguments = _padded(settings)
    count = len(shown.times)
    found = {name: y[:count] for name, y in limiting_terms(settings.problem, **arguments).items()}
    parts = {}
    if settings.algorithm in FULL_BATCH:
        del arguments["ensemble"]
        split = theory.decompose(settings.problem, **arguments)
        parts = {name: getattr(split, name)[:count] for name in PARTS}
    last = max(float(shown.risk[-1]), np.finfo(float).tiny)
    shares = {name: float(y[-1]) / last for name, y in found.items()}
    rows = _exponents(settings, shown, found)
    return Details(found, parts, rows, spans(shown.times, found), shares, task(settings))


def largest_gap(shown: Curves, runs: Runs) -> tuple[float, float]:
    """Of simulated from predicted risk: relative, and in standard errors there."""
    mean, error, risk = runs.mean(), runs.stderr(), shown.risk[: len(runs.times)]
    gap = np.abs(mean / np.maximum(risk, np.finfo(float).tiny) - 1.0)
    i = int(np.argmax(gap))
    return float(gap[i]), float(abs(mean[i] - risk[i]) / max(error[i], 1e-12 * mean[i] + np.finfo(float).tiny))


def frame(shown: Curves, means: list[np.ndarray]) -> tuple[float, float]:
    """Lowest and highest value to draw: all of the risk, and of losses what does not vanish beside it."""
    values = np.concatenate([shown.risk, shown.train_loss, *means])
    top = 2.0 * float(np.max(values))
    risk = shown.risk[shown.risk > 1e-12 * top]
    least = float(risk.min()) if len(risk) else 1e-12 * top
    lowest = float(np.min(values[values > 0], initial=top))
    return max(0.5 * lowest, 1e-2 * least), top


def spans(times: np.ndarray, terms: dict[str, np.ndarray]) -> list[tuple[str, float]]:
    """Which of `terms`, (T,) each, is the largest, in order of time, and the last time at which it is."""
    names = list(terms)
    largest = np.argmax(np.stack(list(terms.values())), axis=0)
    ends = np.flatnonzero(np.append(np.diff(largest) != 0, True))
    return [(names[largest[i]], float(times[i])) for i in ends]


def task(settings: Settings) -> str:
    """Hard or easy, and for SGD the phase, in words."""
    a, b = settings.a, settings.b
    gap = a - 1.0 - b
    kind = "boundary of hard and easy tasks" if abs(gap) < 1e-9 else f"{'hard' if gap < 0 else 'easy'} task"
    text = f"{kind}, a \u2212 1 = {a - 1.0:.3g} {'<' if gap < -1e-9 else '>' if gap > 1e-9 else '='} b = {b:.3g}"
    if settings.algorithm != "sgd":
        return text
    alpha, beta = (round(x, 9) for x in exponents.to_alpha_beta(a, b))  # sliders stand on boundaries
    where = f"\u03b1 = {alpha:.3g}, \u03b2 = {beta:.3g}"
    if beta <= 0.0:
        return f"{text}; no phase of compute-optimal SGD is known for a \u2264 b ({where})"
    try:
        phase = exponents.phase(alpha, beta)
    except ValueError:
        return f"{text}; on a boundary between phases of compute-optimal SGD ({where})"
    return f"{text}; phase {phase.name} of compute-optimal SGD, {phase.balance} ({where})"


def _exponents(settings: Settings, shown: Curves, terms: dict[str, np.ndarray]) -> list[Exponent]:
    a, b = settings.a, settings.b
    end = float(shown.times[-1])
    at = f"t = {end:.3g}"

    def late(name):  # slope of a limit at the last time
        return _number(slope(shown.times, terms[name])[-1])

    rows = [Exponent(f"risk of this model at {at}", None, _number(shown.slope[-1]))]
    rows.append(Exponent(f"time t, N = P = \u221e, at {at}", exponents.time_exponent(a, b), late("time")))
    if math.isfinite(settings.N):
        closed = {1: exponents.model_exponent, math.inf: exponents.ensemble_exponent}.get(settings.K)
        here = _static_slope(settings, "num_features", settings.N)
        label = f"model size N, t = P = \u221e, at N = {settings.N}"
        rows.append(Exponent(label, closed and closed(a, b), here))
    if math.isfinite(settings.P):
        here = _static_slope(settings, "num_samples", settings.P)
        label = f"data P, t = N = \u221e, no noise, at P = {settings.P}"
        rows.append(Exponent(label, exponents.data_exponent(a, b), here))
    if "noise" in terms:
        rising = late("noise")
        label = f"label noise, growth in t, at {at}"
        rows.append(Exponent(label, exponents.noise_exponents(a, b)[1], None if rising is None else -rising))
    if "batches" in terms:
        # where the risk of full batches falls slower, so does the noise that it makes
        closed = exponents.sgd_noise_exponent(a, b) if b > 1.0 and a > 2.0 * b and not settings.noise else None
        rows.append(Exponent(f"noise of batches, at {at}", closed, late("batches")))
    return rows


def _static_slope(settings: Settings, name: str, size: float) -> float | None:
    """-d log risk/d log size at t = infinity, the other size infinite, clean labels."""
    clean = rfm.power_law(settings.a, settings.b, settings.M)
    sizes = np.array([max(1.0, size * math.exp(-STEP)), size * math.exp(STEP)])
    other = {"num_features": np.inf, "num_samples": np.inf}
    risk = [
        theory.predict(clean, **(other | {name: x}), optimizer=rfm.Ridge(0.0), ensemble=settings.K).risk[0]
        for x in sizes
    ]
    return _number(slope(sizes, np.array(risk))[0])


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def frontier(settings: Settings) -> Iterator[theory.Frontier]:
    """The compute-optimal line of one model from a hundred units of compute to that of this point, point by point.

    Raises ValueError where there is none: an algorithm without it, or N = infinity.
    """
    if settings.algorithm not in ("flow", "gd", "sgd"):
        raise ValueError("The frontier is known for gradient flow, gradient descent and SGD.")
    if math.isinf(settings.N):
        raise ValueError("A model of infinite size has no compute N t.")
    per_step = compute(settings, 1.0) / settings.N
    last = max(compute(settings, settings.stop), 200.0 * per_step)
    nodes = None if settings.momentum else NODES
    for budget in np.geomspace(100.0 * per_step, last, BUDGETS):
        yield theory.frontier(
            settings.problem, np.array([budget]), num_samples=settings.P, optimizer=settings.optimizer, nodes=nodes
        )


def compute(settings: Settings, times: np.ndarray | float) -> np.ndarray | float:
    """N t, for SGD N t B."""
    return settings.N * times * (settings.batch or 1)


def frontier_exponents(settings: Settings, end: theory.Frontier) -> list[Exponent]:
    """Of the best risk and the best size at one budget."""
    s = settings
    law = frontier_law(s.a, s.b, s.noise, s.P, s.optimizer)
    size, risk = (None, None) if law is None else law[:2]
    at = f"C = {end.compute[0]:.3g}"
    return [
        Exponent(f"best risk, falls in compute, at {at}", risk, _number(end.risk_exponent[0])),
        Exponent(f"best N, grows in compute, at {at}", size, _number(end.size_exponent[0])),
    ]


def warm_up(settings: Settings) -> list[Settings]:
    """Settings that between them need everything that moves at this algorithm may need compiled, this one first."""
    models = [settings, dataclasses.replace(settings, K=2 if settings.K == 1 else 1)]
    if settings.momentum is None:
        return models
    # the nodes of a contour grow with momentum, learning rate and time
    found = []
    for momentum in (0.0, 0.5, 0.8, 0.9):
        for part in (0.05, 0.5, 0.95):
            for s in models:
                moved = dataclasses.replace(s, momentum=momentum, stop=1e6)
                bound = largest_stable_lr(moved)
                found.append(dataclasses.replace(moved, lr=float(np.clip(part * bound, 1e-4, 10.0))))
    return models + [s for s in found if s.lr < largest_stable_lr(s)]


def largest_stable_lr(settings: Settings) -> float:
    """Of the full-batch rule, at these settings."""
    z_max = theory.largest_curvature(settings.problem, num_features=settings.N, num_samples=settings.P)
    return float(settings.optimizer.largest_stable_lr(z_max))
