"""Settings in, everything that the page shows out: nothing here knows of a page.

`curves` is what a slider waits for; `details` and `frontier` are what comes after it; all raise ValueError for settings
that the theory refuses. Whatever the settings, arrays have the same shapes, so that no move compiles anything anew.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.interpolate import CubicHermiteSpline

import rfm
import theory
from experiments.compare.algorithms import FULL_BATCH
from experiments.compare.comparison import Comparison
from experiments.compare.equivalence import agreements
from experiments.compare.exponent import Exponent
from experiments.compare.limits import FRONTIER_NODES, RISK_PARTS, frontier_law, in_words, limiting_terms
from experiments.compare.statistics import local_slopes
from experiments.explore.settings import CURVE_POINTS, Settings
from rfm.arguments import Sizes
from rfm.curve import Curve
from theory import exponents

LOSSES = {"risk": "risk", "train_loss": "training loss"}  # of a curve, and in words
SLOPE_FLOOR = 1e-14  # of the risk at t = 0: below it rounding makes the slope
SIZE_STEP = 0.05  # in log of a size, of central differences
NUM_BUDGETS = 12  # points of the frontier
Times = TypeVar("Times", float, np.ndarray)


class Point(NamedTuple):
    """Settings, and the curves that theory has there."""

    settings: Settings
    curves: Curve


class Details(NamedTuple):
    """Everything that the risk of a point is made of.

    Attributes:
        limits: What limits it, as `experiments.compare.limits` says, (T,) each.
        parts: Bias, variances and noise of one model, (T,) each; none for SGD.
        exponents: Closed forms, and what the theory has at this point.
        spans: Which limit is largest, and the last time at which it is, in order of time.
        shares: Each limit at the last time, in parts of the risk.
        task: The regime in words.
    """

    limits: dict[str, np.ndarray]
    parts: dict[str, np.ndarray]
    exponents: list[Exponent]
    spans: list[tuple[str, float]]
    shares: dict[str, float]
    task: str


def curves(settings: Settings) -> Curve:
    """Return risk and training loss of the theory, (T,) each."""
    times = settings.times
    curve = theory.predict(settings.problem, **settings.arguments | {"times": _padded(times)})
    risk, train_loss = (np.asarray(getattr(curve, loss))[: len(times)] for loss in LOSSES)
    return dataclasses.replace(curve, times=times, risk=risk, train_loss=train_loss)


def _padded(times: np.ndarray) -> np.ndarray:
    """Return CURVE_POINTS times: after the last come more steps, which are not shown."""
    return np.concatenate([times, times[-1] + 1.0 + np.arange(CURVE_POINTS - len(times))])


def slope(times: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Return the local exponent -d log risk/d log t, (T,), NaN where only rounding is left."""
    known = risk > SLOPE_FLOOR * np.max(risk, initial=0.0)
    return -local_slopes(times, np.where(known, risk, np.nan))


def details(settings: Settings, shown: Curve) -> Details:
    """Return what limits the risk and what it is made of; exponents; the regime in words."""
    count, times = len(shown.times), _padded(shown.times)
    problem, optimizer = settings.problem, settings.optimizer
    sizes = Sizes(num_features=settings.N, num_samples=settings.P)
    terms = limiting_terms(problem, optimizer=optimizer, times=times, ensemble=settings.K, **sizes)
    limits = {name: y[:count] for name, y in terms.items()}
    parts = {}
    if settings.algorithm in FULL_BATCH:
        split = theory.decompose(problem, optimizer=optimizer, times=times, **sizes)
        parts = {name: np.asarray(getattr(split, name))[:count] for name in RISK_PARTS}
    last = max(float(shown.risk[-1]), np.finfo(float).tiny)
    shares = {name: float(y[-1]) / last for name, y in limits.items()}
    known = _exponents(settings, shown, limits)
    return Details(limits, parts, known, spans(shown.times, limits), shares, task(settings))


def beside(shown: Curve, runs: Curve, loss: str = "risk") -> Comparison:
    """Return training runs beside the theory, for one of LOSSES."""
    risks, line = getattr(runs, loss), getattr(shown, loss)
    there, label = line[: len(runs.times)], LOSSES[loss]
    return Comparison("time", runs.times, risks, there, label=label, line_x=shown.times, line=line)


def verdict(point: Point, runs: Curve) -> str:
    """Return in a few words how far simulation is from the theory."""
    if runs.num_seeds < 2:
        return "one seed has no error bar"
    fixed = {"N": point.settings.N, "P": point.settings.P}
    (judged,) = agreements([dataclasses.replace(beside(point.curves, runs), fixed=fixed)], [None])
    return f"level {judged.level}" + ("" if judged.slope is None else f", slope {judged.slope}") + f": {judged.words}"


def frame(shown: Curve, runs: Curve | None = None) -> tuple[float, float]:
    """Return the lowest and highest value to draw: all of the risk, and of losses what does not vanish beside it."""
    values = np.concatenate([curve.mean(loss) for curve in (shown, runs) if curve is not None for loss in LOSSES])
    top = 2.0 * float(np.max(values))
    risk = shown.risk[shown.risk > 1e-12 * top]
    least = float(risk.min()) if len(risk) else 1e-12 * top
    lowest = float(np.min(values[values > 0], initial=top))
    return max(0.5 * lowest, 1e-2 * least), top


def spans(times: np.ndarray, terms: dict[str, np.ndarray]) -> list[tuple[str, float]]:
    """Return which of `terms`, (T,) each, is the largest, in order of time, and the last time at which it is."""
    names = list(terms)
    largest = np.argmax(np.stack(list(terms.values())), axis=0)
    ends = np.flatnonzero(np.append(np.diff(largest) != 0, True))
    return [(names[largest[i]], float(times[i])) for i in ends]


def task(settings: Settings) -> str:
    """Return in words whether the task is hard or easy, and for SGD the phase."""
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
    return f"{text}; phase {phase.name} of compute-optimal SGD, {in_words(phase.balance)} ({where})"


def _exponents(settings: Settings, shown: Curve, terms: dict[str, np.ndarray]) -> list[Exponent]:
    a, b = settings.a, settings.b
    at = f"t = {shown.times[-1]:.3g}"

    def late(name: str) -> float:
        """Return the slope of a limit at the last time."""
        return float(slope(shown.times, terms[name])[-1])

    rows = [_law(f"risk of this model at {at}", None, float(slope(shown.times, shown.risk)[-1]))]
    rows.append(_law(f"time t, N = P = \u221e, at {at}", exponents.time_exponent(a, b), late("time")))
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
        rows.append(_law(f"label noise, growth in t, at {at}", growth, -late("noise")))
    if "batches" in terms:
        # where the risk of full batches falls slower, so does the noise that it makes
        closed = exponents.sgd_noise_exponent(a, b) if b > 1.0 and a > 2.0 * b and not settings.noise else None
        rows.append(_law(f"noise of batches, at {at}", closed, late("batches")))
    return rows


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
    optimizer = settings.optimizer
    if not isinstance(optimizer, rfm.GradientFlow | rfm.GradientDescent | rfm.SGD):
        raise ValueError("The frontier is known for gradient flow, gradient descent and SGD.")
    if math.isinf(settings.N):
        raise ValueError("A model of infinite size has no compute N t.")
    per_step = compute(settings, 1.0) / settings.N
    last = max(compute(settings, settings.stop), 200.0 * per_step)
    nodes = None if settings.momentum else FRONTIER_NODES
    for budget in np.geomspace(100.0 * per_step, last, NUM_BUDGETS):
        yield theory.frontier(
            settings.problem, np.array([budget]), num_samples=settings.P, optimizer=optimizer, nodes=nodes
        )


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


def warm_up(settings: Settings) -> list[Settings]:
    """Return settings that need between them all that moves at this algorithm may need compiled, this one first."""
    models = [settings, dataclasses.replace(settings, K=2 if settings.K == 1 else 1)]
    if settings.momentum is None:
        return models
    # the nodes of a contour grow with momentum, learning rate and time
    shapes = list(models)
    for momentum, part, model in itertools.product((0.0, 0.5, 0.8, 0.9), (0.05, 0.5, 0.95), models):
        moved = dataclasses.replace(model, momentum=momentum, stop=1e6)
        bound = largest_stable_lr(moved)
        lr = float(np.clip(part * bound, 1e-4, 10.0))
        if lr < bound:
            shapes.append(dataclasses.replace(moved, lr=lr))
    return shapes


def largest_stable_lr(settings: Settings) -> float:
    """Return the largest learning rate at which the full-batch rule is stable."""
    optimizer = settings.optimizer
    if isinstance(optimizer, rfm.GradientFlow | rfm.Ridge | rfm.Optax):  # none that has momentum
        return math.inf
    z_max = theory.largest_curvature(settings.problem, num_features=settings.N, num_samples=settings.P)
    return float(optimizer.largest_stable_lr(z_max))
