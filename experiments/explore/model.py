"""Settings in, everything that the page shows out: nothing here knows of a page.

`curves` is what a slider waits for; `corrected`, `details` and the frontier of `laws` are what comes after it; all
raise ValueError for settings that the theory refuses. Theory of known numbers is numpy's: no move compiles anything,
but where steps are followed one by one.
"""

import contextlib
import dataclasses
import math
from typing import NamedTuple

import numpy as np

import theory
from experiments.compare import spread
from experiments.compare.algorithms import FULL_BATCH, OWN
from experiments.compare.comparison import Comparison
from experiments.compare.equivalence import agreements
from experiments.compare.exponent import Exponent
from experiments.compare.limits import RISK_PARTS, in_words, limiting_terms
from experiments.compare.spread import Spread
from experiments.explore.laws import known_exponents, slope
from experiments.explore.settings import Settings
from rfm.arguments import Sizes
from rfm.curve import Curve
from theory import exponents

LOSSES = {"risk": "risk", "train_loss": "training loss", "average_risk": "risk, averaged weights"}  # of a curve
VISIBLE = 0.004  # of a loss: what two lines differ by that the eye tells apart
SCATTERED = 7  # times at which the scatter of one model is worked out, others lie between


class Point(NamedTuple):
    """Settings, and what theory has there.

    Attributes:
        settings: All numbers and choices.
        leading: Curves of the leading order.
        losses: Those of LOSSES that there are: the leading order and the mean, the same where no more is known.
        label: Whose theory it is, see `algorithms.theory_of`.
    """

    settings: Settings
    leading: Curve
    losses: dict[str, Spread]
    label: str = OWN

    @property
    def times(self) -> np.ndarray:
        """Times of all curves, (T,)."""
        return self.leading.times

    @property
    def risk(self) -> np.ndarray:
        """The best that is known of the risk, (T,): the leading order where the next one is not small."""
        return best(self.losses["risk"])

    @property
    def slope(self) -> np.ndarray:
        """Local exponent of the risk, (T,); where lines meet, that of the leading order."""
        mean, leading = (slope(self.times, y) for y in (self.losses["risk"].line, self.leading.risk))
        return np.where(np.isfinite(mean), mean, leading)


class Details(NamedTuple):
    """Everything that the risk of a point is made of.

    Attributes:
        limits: What limits it, as `experiments.compare.limits` says, (T,) each; none where they are not known.
        parts: Bias, variances and noise of one model, (T,) each; none for SGD.
        exponents: Closed forms, and what the theory has at this point.
        spans: Which limit is largest, and the last time at which it is, in order of time.
        shares: Each limit at the last time, in parts of the risk.
        task: The regime in words.
        growth: By which the kernel has grown in the end, 1 where features are not trained.
    """

    limits: dict[str, np.ndarray]
    parts: dict[str, np.ndarray]
    exponents: list[Exponent]
    spans: list[tuple[str, float]]
    shares: dict[str, float]
    task: str
    growth: float


def curves(settings: Settings) -> Point:
    """Return the leading order of theory, (T,) each."""
    drawn = settings.drawn
    curve = theory.predict(settings.problem, **settings.arguments | {"optimizer": drawn.optimizer})
    losses = {loss: known(curve.times, getattr(curve, loss)) for loss in LOSSES if getattr(curve, loss) is not None}
    return Point(settings, curve, losses, drawn.label)


def corrected(point: Point) -> Point:
    """Return the point with the next order in 1/N and 1/P where that is known."""
    if not point.settings.corrected:
        return point
    arguments = call(point.settings)
    try:
        added = theory.correction(point.settings.problem, **arguments)
    except ValueError:  # its contour takes more memory than that of the leading order
        return point
    losses = dict(point.losses)
    for loss in ("risk", "train_loss"):
        leading = losses[loss].leading
        losses[loss] = known(point.times, leading, np.maximum(leading + getattr(added, loss), 0.0))
    return point._replace(losses=losses)


def call(settings: Settings) -> spread.Call:
    """Return the arguments of one model."""
    return spread.Call(
        num_features=settings.N, num_samples=settings.P, optimizer=settings.optimizer, times=settings.times
    )


def known(times: np.ndarray, leading: np.ndarray, mean: np.ndarray | None = None) -> Spread:
    """Return a loss whose scatter is not known."""
    return Spread(times, leading, leading if mean is None else mean, np.full(len(times), np.nan))


def best(loss: Spread) -> np.ndarray:
    """Return the mean where its expansion holds, else the leading order."""
    return np.where(loss.small, loss.mean, loss.leading)


def dotted(loss: Spread) -> np.ndarray:
    """Return the leading order where it differs visibly from the line, or there is none; NaN elsewhere."""
    same = loss.small & (np.abs(loss.mean - loss.leading) < VISIBLE * loss.leading)
    return np.full(len(same), np.nan) if same.all() else loss.leading


def scatter(point: Point) -> Spread | None:
    """Return the risk with the standard deviation of one model; None where that is not known, or takes minutes."""
    settings, risk = point.settings, point.losses["risk"]
    if not settings.corrected or settings.momentum is not None or settings.N == settings.P == math.inf:
        return None
    some = np.unique(np.linspace(0, len(risk.x) - 1, SCATTERED).round().astype(int))
    arguments = call(settings)
    arguments["times"] = risk.x[some]
    there = spread.spread_of(settings.problem, risk.leading[some], **arguments)
    return dataclasses.replace(spread.between(risk.x, risk.leading, there), mean=risk.mean)


def details(point: Point) -> Details:
    """Return what limits the risk and what it is made of; exponents; the regime in words."""
    settings, times = point.settings, point.times
    problem, optimizer = settings.problem, settings.drawn.optimizer
    sizes = Sizes(num_features=settings.N, num_samples=settings.P)
    rich, limits, parts = settings.richness, dict[str, np.ndarray](), dict[str, np.ndarray]()
    with contextlib.suppress(ValueError):  # the mean over batches may have no closed form where the risk has one
        limits = limiting_terms(problem, optimizer=optimizer, times=times, ensemble=settings.K, richness=rich, **sizes)
    if settings.algorithm in FULL_BATCH:
        split = theory.decompose(problem, optimizer=optimizer, times=times, richness=rich, **sizes)
        parts = {name: np.asarray(getattr(split, name)) for name in RISK_PARTS}
    return describe(point, limits, parts)._replace(exponents=known_exponents(settings, times, point.risk, limits))


def describe(point: Point, limits: dict[str, np.ndarray], parts: dict[str, np.ndarray] | None = None) -> Details:
    """Return what limits and parts of the risk, (T,) each, say in words and numbers, without exponents."""
    last = max(float(point.risk[-1]), np.finfo(float).tiny)
    shares = {name: float(y[-1]) / last for name, y in limits.items()}
    growth = 1.0 if point.leading.kernel_growth is None else float(point.leading.kernel_growth[-1])
    return Details(limits, parts or {}, [], spans(point.times, limits), shares, task(point.settings), growth)


def beside(point: Point, runs: Curve, loss: str = "risk", band: Spread | None = None) -> Comparison:
    """Return training runs beside the theory, for one of LOSSES; band: the risk with its scatter, if known."""
    risks, line = getattr(runs, loss), point.losses[loss]
    fixed = {"N": point.settings.N, "P": point.settings.P}
    pair = Comparison("time", runs.times, risks, line.leading[: len(runs.times)], fixed, LOSSES[loss])
    pair = spread.beside(pair, line if band is None else band)
    return pair if point.settings.corrected else dataclasses.replace(pair, order=1)


def verdict(point: Point, runs: Curve, band: Spread | None = None) -> str:
    """Return in a few words how far simulation is from the theory."""
    if point.label != OWN:
        return f"not judged, as the line is the {point.label}"
    if runs.num_seeds < 2:
        return "one seed has no error bar"
    small = (point.losses["risk"] if band is None else band).at(runs.times).small
    if not small.any():
        return "not judged, as the next order of theory is large at every time"
    (judged,) = agreements([beside(point, runs, "risk", band).at(small)], [None])
    return f"level {judged.level}" + ("" if judged.slope is None else f", slope {judged.slope}") + f": {judged.words}"


def frame(point: Point, runs: Curve | None = None) -> tuple[float, float]:
    """Return the lowest and highest value to draw: all of the risk, and of losses what does not vanish beside it."""
    drawn = [best(loss) for loss in point.losses.values()]
    drawn += [] if runs is None else [runs.mean(loss) for loss in point.losses]
    values, risk = np.concatenate(drawn), point.risk
    top = 2.0 * float(np.max(values))
    risk = risk[risk > 1e-12 * top]
    least = float(risk.min()) if len(risk) else 1e-12 * top
    lowest = float(np.min(values[values > 0], initial=top))
    return max(0.5 * lowest, 1e-2 * least), top


def spans(times: np.ndarray, terms: dict[str, np.ndarray]) -> list[tuple[str, float]]:
    """Return which of `terms`, (T,) each, is the largest, in order of time, and the last time at which it is."""
    if not terms:
        return []
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
    if settings.algorithm != "sgd" or math.isfinite(settings.P):
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
