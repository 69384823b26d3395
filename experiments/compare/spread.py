"""Theory of one model: the mean of the risk to the next order in 1/N and 1/P, the leading one, and the scatter."""

import dataclasses
from collections.abc import Sequence
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

import rfm
import theory
from experiments.compare.comparison import Comparison, with_size
from experiments.compare.equivalence import FAR, agreements
from rfm.arguments import Sizes
from rfm.optimizers import Optimizer

LARGE = 0.1  # of the leading risk: what follows a next order above it is a percent or more, and unknown
PEAK = (0.25, 0.75, 0.9, 1.0, 1.1, 1.4, 2.2)  # of N = P: where the next order is not interpolated
QUICK = 0.9  # momentum up to which a scatter takes some ten seconds, as its contours have four times the nodes


class Call(TypedDict):
    """Arguments of one call by name, those that the next order takes: of one model trained by full batches."""

    num_features: float
    num_samples: float
    optimizer: Optimizer
    times: ArrayLike | None


@dataclasses.dataclass(frozen=True)
class Spread:
    """Risk as theory has it at points along one axis, each (X,).

    Attributes:
        x: Times, model sizes or data.
        leading: The leading order.
        mean: With its next order.
        std: Standard deviation of the risk of one draw; NaN for a momentum so strong that it takes long.
    """

    x: np.ndarray
    leading: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @property
    def small(self) -> np.ndarray:
        """Are next order and scatter so small that the expansion holds? (X,)."""
        return (np.abs(self.mean - self.leading) <= LARGE * self.leading) & ~(self.std > FAR * self.mean)

    @property
    def line(self) -> np.ndarray:
        """The mean where the expansion holds, NaN elsewhere."""
        return np.where(self.small, self.mean, np.nan)

    @property
    def scatter(self) -> np.ndarray | None:
        """The standard deviation where it is known at all points, None elsewhere."""
        return None if np.isnan(self.std).any() else self.std

    def at(self, x: np.ndarray) -> "Spread":
        """Return what is known at some of the points."""
        return self.cut(np.searchsorted(self.x, x))

    def cut(self, points: slice | np.ndarray) -> "Spread":
        """Return some of the points, by their places."""
        return Spread(self.x[points], self.leading[points], self.mean[points], self.std[points])


def spread_of(problem: rfm.Problem, leading: np.ndarray | None = None, **call: Unpack[Call]) -> Spread:
    """Predict one model at times, or at a ridge; arguments as `theory.predict` takes them.

    leading: The leading order, where it is known already.
    """
    known = theory.predict(problem, **call).risk if leading is None else leading
    if not getattr(call["optimizer"], "momentum", 0.0) <= QUICK:
        corrected = theory.predict(problem, correction=True, **call)
        return Spread(corrected.times, known, corrected.risk, np.full(len(known), np.nan))
    scattered = theory.scatter(problem, pairs=False, **call)
    return Spread(scattered.times, known, scattered.mean, scattered.std)


def spread_in_time(problem: rfm.Problem, leading: np.ndarray, points: int, **call: Unpack[Call]) -> Spread:
    """Predict one model at times (T,): its scatter at about so many of them, and between them by interpolation."""
    times = np.asarray(call["times"], float)
    mean = theory.predict(problem, correction=True, **call).risk
    some = np.unique(np.linspace(0, len(times) - 1, points).round().astype(int))
    call["times"] = times[some]
    return dataclasses.replace(between(times, leading, spread_of(problem, leading[some], **call)), mean=mean)


def joined(points: ArrayLike, line: np.ndarray) -> np.ndarray:
    """Return points and those of a line between them, increasing; what differs by rounding is one point."""
    x = np.asarray(points, float)
    apart = ~np.isclose(line[:, None], x, rtol=1e-6, atol=0.0).any(1)
    return np.union1d(x, line[apart])


def spread_along(
    problem: rfm.Problem, axis: str, x: np.ndarray, leading: np.ndarray, *, around: np.ndarray, held: Call
) -> Spread:
    """Predict models at one time along "features" or "samples", (X,): at some sizes, and between by interpolation.

    x: Sizes whose leading order is known.
    around: Those of them that are not interpolated; more are added around N = P, where risks have their peak.
    """
    sizes = Sizes(num_features=held["num_features"], num_samples=held["num_samples"])
    peak = (held["num_samples"] if axis == "features" else held["num_features"]) * np.array(PEAK)
    near = x[np.unique(np.searchsorted(x[:-1], peak[(peak > x[0]) & (peak < x[-1])]))]
    knots = np.searchsorted(x, np.union1d(around, near))
    parts = []
    for i in knots:
        call = Call(**with_size(axis, float(x[i]), sizes), optimizer=held["optimizer"], times=held["times"])
        parts.append(spread_of(problem, leading[i : i + 1], **call))
    return between(x, leading, spread_at(x[knots], parts))


def spread_at(x: ArrayLike, parts: Sequence[Spread]) -> Spread:
    """Join predictions of models at one time each to one at points x (X,)."""
    names = ("leading", "mean", "std")
    leading, mean, std = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return Spread(np.asarray(x, float), leading, mean, std)


def between(x: np.ndarray, leading: np.ndarray, known: Spread) -> Spread:
    """Interpolate mean over leading order, and std over mean, in log x from points where they are known."""
    if len(known.x) == 1:
        mean, std = known.mean / known.leading, known.std / known.mean
    else:
        ratios = known.mean / known.leading, known.std / known.mean
        mean, std = (_between(np.log(x), np.log(known.x), ratio) for ratio in ratios)
    return Spread(x, leading, leading * mean, leading * mean * std)


def _between(x: np.ndarray, known_x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Interpolate without overshoot; NaN stays NaN."""
    return PchipInterpolator(known_x, known)(x) if np.isfinite(known).all() else np.interp(x, known_x, known)


def beside(pair: Comparison, spread: Spread) -> Comparison:
    """Return simulated risks beside a theory that has their points among its own; a pair without theory of its own."""
    here = spread.at(pair.x)
    return dataclasses.replace(pair, theory=here.mean, line_x=spread.x, line=spread.line, scatter=here.scatter, order=2)


def columns_of(pair: Comparison, spread: Spread) -> dict[str, np.ndarray]:
    """Return what tables say of the theory at the points of a comparison, beside its mean."""
    order = np.where(spread.small, "small", "large")
    return {"leading": spread.leading, "std": spread.std, "z": standard_scores(pair), "next_order": order}


def standard_scores(pair: Comparison) -> np.ndarray:
    """(simulation - theory)/standard error as theory has the scatter, (X,); measured where it is not known."""
    if pair.scatter is None:
        return pair.z
    stderr = np.maximum(pair.scatter / np.sqrt(pair.seeds), 1e-12 * pair.mean + np.finfo(float).tiny)
    return (pair.mean - pair.theory) / stderr


def scatter_ratio(pair: Comparison) -> str:
    """Return the standard deviation of simulated rows over that of theory, over all points, "-" where none is known."""
    if pair.scatter is None:
        return "-"
    kept = pair.scatter > 0.0
    return f"{np.sqrt(np.mean(pair.risks.var(0, ddof=1)[kept] / pair.scatter[kept] ** 2)):.2f}"


# below a table of verdicts
JUDGED = (
    "Theory is the next order in 1/N and 1/P, at points where that and the scatter are small; z is in\n"
    "its standard errors; std is the standard deviation of simulated draws over that of theory."
)
HEAD = ("simulation against theory", "level", "largest z", "std", "points", "verdict")


def judge_all(names: Sequence[str], pairs: Sequence[Comparison], spreads: Sequence[Spread]) -> list[tuple[str, ...]]:
    """Return a table of verdicts, HEAD first: one row a comparison, over the points at which the expansion holds.

    Level: the difference of all points at once with its 95 % interval; std: of simulated draws over that of theory.

    Args:
        names: What each is compared along.
        pairs: Simulation beside the mean of theory, with its scatter.
        spreads: Theory that has the points of each comparison among its own.
    """
    small = [spread.at(pair.x).small for pair, spread in zip(pairs, spreads, strict=True)]
    kept = [pair.at(here) for pair, here in zip(pairs, small, strict=True) if here.any()]
    judged = iter(zip(kept, agreements(kept, [0.0] * len(kept)), strict=True))  # no slope: risks rise and fall
    rows: list[tuple[str, ...]] = [HEAD]
    for name, here in zip(names, small, strict=True):
        points = f"{here.sum()} of {len(here)}"
        if not here.any():
            rows.append((name, "-", "-", "-", points, "the next order is large"))
            continue
        pair, judgement = next(judged)
        ratio = scatter_ratio(pair)
        z = standard_scores(pair)
        worst = int(np.argmax(np.abs(z)))
        place = f"{z[worst]:+.1f} at {pair.x[worst]:.3g}"
        rows.append((name, str(judgement.level), place, ratio, points, judgement.words))
    return rows
