"""The forecast of one part of the rows against training on the others: of either half, or of an eighth.

Held-out loss: of a model trained on P distinct rows, over the rows of its half that it was not trained on. The model
is either N random projections of the features, which is the theory's, or a random subset of N of their columns.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.keys import fold_keys
from experiments.forecast.choices import forecast_of
from experiments.forecast.correction import QUANTILE
from experiments.forecast.forecasts import Forecast
from experiments.forecast.runs import OwnRows, own_rows
from experiments.forecast.source import Source, split_evenly
from experiments.forecast.trained import How, draw_errors
from rfm import checks
from rfm.arguments import Arguments
from rfm.data import from_data
from rfm.data.spectra import Estimate
from rfm.optimizers import Optimizer

MODELS = ("project", "columns")
CHECKS = {"halves": 1 / 2, "extrapolate": 1 / 8}  # the part of the rows that is known
MOST_ROWS = 1_200  # that the sizes of a check are parts of, at most: a minute or so on two cores
STABLE = 0.5  # learning rate of a check that takes steps, of 1/z_max; it is stable up to 2
LEFT = 0.8  # of these, at most, are trained on


@dataclasses.dataclass(frozen=True)
class Half:
    """The estimate from known rows, and others to train on, in its units.

    Attributes:
        estimate: From one part of the rows.
        known: These rows.
        rows: The others, or their kernel.
        problem: The same to train on.
        index: Which rows are trained on, 0 or 1.
    """

    estimate: Estimate
    known: Source
    rows: Source
    problem: rfm.Problem
    index: int


@dataclasses.dataclass(frozen=True)
class Check:
    """Settings of the trainings of a check: the same at every (N, P).

    Attributes:
        optimizer, times: The algorithm and its times (T,).
        keys: One a draw of rows and of the model.
        model: One of MODELS.
    """

    optimizer: Optimizer
    times: np.ndarray
    keys: jax.Array
    model: str = "project"


@dataclasses.dataclass(frozen=True)
class Trial:
    """Training on one half at one (N, P), beside the forecast from the other.

    Attributes:
        pair: Held-out losses of training (S, T) beside the forecast (T,).
        spread: (T,) standard error of the forecast, over replicas, and of the rows trained and tested on, which are a
            sample of the same scatter, but for their number.
        half: Which rows were trained on, 0 or 1.
        extrapolated: (T,) see `Forecast.extrapolates`.
        own: Loss of a few runs estimated from their own rows, of the first half; None where it is not told.
    """

    pair: Comparison
    spread: np.ndarray
    half: int
    extrapolated: np.ndarray
    own: OwnRows | None = None

    @property
    def sizes(self) -> tuple[float, float]:
        """N and P."""
        return self.pair.fixed["N"], self.pair.fixed["P"]

    @property
    def times(self) -> np.ndarray:
        """Times, (T,)."""
        return self.pair.x

    @property
    def error(self) -> np.ndarray:
        """Relative error of the forecast, forecast/mean - 1, (T,)."""
        return self.pair.theory / self.pair.mean - 1.0

    @property
    def z(self) -> np.ndarray:
        """(mean - forecast) in standard errors, (T,): of the seeds, and `spread`."""
        return (self.pair.mean - self.pair.theory) / np.hypot(self.pair.stderr, self.spread)


def parts_of(rows: int, share: float) -> tuple[int, int]:
    """Return how many of all rows are known, and how many are trained and tested on."""
    known = int(rows * share)
    return known, rows - known if share < 1 / 2 else known


def halves(source: Source, seed: int, *, share: float = 1 / 2) -> list[Half]:
    """Split the rows at random, twice: whole groups, and classes in equal shares.

    Either half is known once; a smaller share is drawn twice, and all other rows are trained and tested on.
    """
    first, second = split_evenly(source, int(len(source) * share), seed)
    pairs = [(first, second), (second, first)]
    if share < 1 / 2:
        pairs = [(first, second), split_evenly(source, int(len(source) * share), seed + 1)]
    parts = []
    for index, (some, others) in enumerate(pairs):
        known = source.part(some)
        estimate = known.estimate(replicas=0, seed=seed)
        rows = source.part(others, estimate.scale)
        parts.append(Half(estimate, known, rows, rows.problem(), index))
    return parts


def sizes(known: int, rows: int, columns: float) -> tuple[list[float], list[int]]:
    """Return four model sizes and three training sets where some rows are known, and others trained and tested on.

    The training sets are up to half of as many rows as the estimate knows, or multiples of these where most rows are
    left to train on. No model is larger than there are columns; N infinite is all of them.
    """
    if rows > known:
        samples = np.unique(np.minimum(known * np.array([1, 2, 4]), int(LEFT * rows)))
        largest = 4 * known
    else:
        largest = min(known, MOST_ROWS)
        samples = np.unique(np.round(largest * np.array([1 / 8, 1 / 4, 1 / 2])).astype(int))
    features = np.unique(np.round(largest * np.array([1 / 30, 1 / 9, 1 / 3])).astype(int))
    return [*(float(n) for n in features if 4 <= n < columns), math.inf], [int(p) for p in samples if p >= 4]


def trial(half: Half, forecast: Forecast, num_features: float, num_samples: int, check: Check) -> Trial:
    """Train on rows of the half at (N, P), one draw of rows and of the model a key.

    Raises:
        ValueError: P leaves too few rows to test on, or N is more than there are columns to choose from.
    """
    if num_samples > LEFT * len(half.rows):
        checks.fail("samples", f"at most {LEFT:.0%} of the {len(half.rows)} rows of a half", num_samples)
    # each point has draws of its own
    keys = fold_keys(fold_keys(check.keys, half.index), num_samples)
    keys = fold_keys(keys, 0 if np.isinf(num_features) else int(num_features))
    seeds = np.asarray(jax.random.key_data(keys)).reshape(len(keys), -1)
    arguments = Arguments(num_samples=num_samples, optimizer=check.optimizer, times=check.times)
    if check.model == "columns":
        risks = np.concatenate([_columns(half, num_features, key, arguments) for key in keys])
    elif half.rows.groups is not None:
        risks = grouped_losses(half.rows, (num_features, num_samples), seeds, check)
    else:
        curve = rfm.exact(half.problem, keys=keys, **(arguments | Arguments(num_features=num_features)))
        risks = curve.risk + half.problem.noise_var
    point = forecast.point(num_features, num_samples)
    predicted = forecast.losses(num_features, num_samples)
    width = forecast.half_width(num_features, num_samples, forecast.times)[:-1] / QUANTILE
    own = None
    if half.index == 0:
        how, columns = (check.optimizer, np.asarray(check.times, float)), check.model == "columns"
        own = own_rows(half.rows, (num_features, num_samples), how, seeds, columns=columns)
    return Trial(
        Comparison("time", forecast.times, risks, predicted, {"N": num_features, "P": num_samples}),
        spread=predicted * width * np.sqrt(1.0 + len(half.known) / len(half.rows)),
        half=half.index,
        extrapolated=point.extrapolated,
        own=own,
    )


def _columns(half: Half, num_features: float, key: jax.Array, arguments: Arguments) -> np.ndarray:
    """Return the held-out loss (1, T) of a linear model on N columns of the features; all of them for N infinite."""
    rows = half.rows
    d = rows.data.shape[1]
    if rows.kernel or (np.isfinite(num_features) and num_features > d):
        checks.fail("features", f"at most the {d} columns of features, with --model columns", num_features)
    n = d if np.isinf(num_features) else int(num_features)
    chosen = np.asarray(jax.random.permutation(key, d)[:n])
    # so that the kernel is that of all columns on average
    problem = from_data.rows_alone(rows.data[:, chosen] * np.sqrt(d / n), rows.labels)
    return rfm.exact(problem, keys=key[None], **(arguments | Arguments(num_features=np.inf))).risk


def grouped_losses(rows: Source, sizes: tuple[float, int], seeds: np.ndarray, check: Check) -> np.ndarray:
    """Return losses (S, T) by training on whole groups of about P rows in all, tested on the other groups."""
    how, known = How(check.optimizer, np.asarray(check.times, float), 1.0), rows.known(1.0, 0)
    errors = (draw_errors(known, sizes, how, np.random.default_rng(seed))[1] for seed in seeds)
    return np.stack([each.mean(0)[: len(how.times)] for each in errors])


def trials(
    parts: Sequence[Half], points: Sequence[tuple[float, int]], check: Check, on_point: Callable[[], object]
) -> list[Trial]:
    """Run `trial` at every (N, P) of points on every half."""
    tested = []
    for half in parts:
        forecast = forecast_of(
            half.known, half.estimate, check.optimizer, np.asarray(check.times, float), sorted({n for n, _ in points})
        )
        for n, p in points:
            tested.append(trial(half, forecast, n, p, check))
            on_point()
    return tested


def steps_taken(half: Half, sizes: tuple[int, int], steps: int, keys: jax.Array) -> float:
    """Return how far all steps of gradient descent at (N, P) are from its exact solution at most, relative to it."""
    problem, (n, p) = half.problem, sizes
    lr = STABLE / float(theory.largest_curvature(half.estimate.problem, num_features=n, num_samples=p))
    times = rfm.log_times(1, steps, 20, integer=True)
    arguments = Arguments(num_features=n, num_samples=p, optimizer=rfm.GradientDescent(lr), times=times)
    trained, solved = (
        room(problem, **arguments, keys=keys).risk + problem.noise_var for room in (rfm.simulate, rfm.exact)
    )
    return float(np.max(np.abs(trained / solved - 1.0)))
