"""Theory of the models of a scan before they are trained: their mean, one model around it, and how many to draw."""

import dataclasses
from typing import NamedTuple, TypedDict

import numpy as np

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.differences import TOLD
from experiments.compare.equivalence import seeds_to_tell
from experiments.compare.spread import QUICK, Call, Spread
from experiments.compare.statistics import local_slopes
from rfm.optimizers import Optimizer

SOME = 16  # times that say how many seeds a curve takes


class Members(TypedDict):
    """Numbers of models that are averaged, and how fast their features learn."""

    ensemble: int
    bags: int
    richness: float


class Predicted(NamedTuple):
    """The curve of theory, to the next order where that is known, and then one model around it.

    covariance: (T, T) of the risk of one model between times; None where it takes long, or was not asked for.
    """

    curve: rfm.Curve
    spread: Spread | None = None
    covariance: np.ndarray | None = None


def order_of(problem: rfm.Problem, algorithm: Optimizer, features: str, models: Members) -> int:
    """Return the power of 1/N and 1/P at which the gap of theory begins: 2 where the next order is known.

    It is known for one model of Gaussian features and rows, trained by full batches, features as drawn.
    """
    gaussian = features == "gaussian" and problem.population is None and problem.equal_rows
    one_model = models["ensemble"] == models["bags"] == 1 and models["richness"] == 0.0
    return 2 if gaussian and one_model and not isinstance(algorithm, rfm.SGD) else 1


def predicted(problem: rfm.Problem, models: Members, order: int, call: Call, *, pairs: bool = False) -> Predicted:
    """Predict models at times; order: as `order_of` has it; pairs: the covariance between times too."""
    leading = theory.predict(problem, **call, **models)
    if order == 1:
        return Predicted(leading)
    momentum = getattr(call["optimizer"], "momentum", 0.0)
    if not momentum <= QUICK or (pairs and hasattr(call["optimizer"], "momentum")):
        curve = theory.predict(problem, correction=True, **call)
        return Predicted(curve, Spread(curve.times, leading.risk, curve.risk, np.full(len(curve.risk), np.nan)))
    found = theory.scatter(problem, pairs=pairs, **call)
    curve = dataclasses.replace(leading, risk=found.mean, train_loss=found.train_mean)
    return Predicted(curve, Spread(found.times, leading.risk, found.mean, found.std), found.covariance)


def seeds_of_curve(
    problem: rfm.Problem, models: Members, features: str, call: Call, between: tuple[int, int]
) -> int | None:
    """Count the draws of a learning curve with which its verdict tells what it should, between two numbers.

    None where theory has no scatter, or takes long for it.
    """
    order = order_of(problem, call["optimizer"], features, models)
    if order == 1 or hasattr(call["optimizer"], "momentum"):
        return None
    times = np.asarray(call["times"], float)
    times = times[np.unique(np.linspace(0, len(times) - 1, SOME).round().astype(int))]
    some = call.copy()
    some["times"] = times
    found = theory.scatter(problem, **some)
    fixed = {"N": call["num_features"], "P": call["num_samples"]}
    pair = Comparison(
        "time", times, np.ones((0, len(times))), found.mean, fixed, scatter=found.std, covariance=found.covariance,
        order=order,
    )  # fmt: skip
    steepest = float(np.nanmax(-local_slopes(times, found.mean)))  # about where an exponent would be fitted
    return int(np.clip(seeds_to_tell(pair, TOLD[order], exponent=steepest), *between))
