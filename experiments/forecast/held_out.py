"""The forecast of one half of the rows against training on rows of the other half.

Held-out loss: of a model trained on P distinct rows, over the rows of its half that it was not trained on. The model
is either N random projections of the features, which is the theory's, or a random subset of N of their columns.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.keys import fold_keys
from experiments.forecast.curves import Forecast
from experiments.forecast.source import Source
from rfm import checks
from rfm.arguments import Arguments
from rfm.data import from_data
from rfm.data.spectra import Estimate
from rfm.optimizers import Optimizer

MODELS = ("project", "columns")
MOST_ROWS = 1_200  # of a half that are trained and tested on, at most: a minute or so on two cores
REPLICAS = 4
STABLE = 0.5  # learning rate of a check that takes steps, of 1/z_max; it is stable up to 2
LEFT = 0.8  # of these, at most, are trained on


@dataclasses.dataclass(frozen=True)
class Half:
    """The estimate from `known` rows, and others to train on, in its units.

    Attributes:
        estimate: From one half of the rows.
        known: How many these are.
        rows: Rows of the other half, or their kernel.
        problem: The same to train on.
        index: Which rows are trained on, 0 or 1.
    """

    estimate: Estimate
    known: int
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
    """

    pair: Comparison
    spread: np.ndarray
    half: int
    extrapolated: np.ndarray

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


def rows_of_half(rows: int) -> int:
    """Return how many rows of a half are trained and tested on, given the number of all rows."""
    return min(rows // 2, MOST_ROWS)


def halves(source: Source, seed: int) -> list[Half]:
    """Split the rows into random halves, both ways; the estimate knows all rows of its half."""
    order, size = np.random.default_rng(seed).permutation(len(source)), len(source) // 2
    first, second = order[:size], order[size : 2 * size]
    parts = []
    for index, (known, others) in enumerate(((first, second), (second, first))):
        estimate = source.part(np.sort(known)).estimate(replicas=REPLICAS, seed=seed)
        rows = source.part(np.sort(others[: rows_of_half(len(source))]), estimate.scale)
        parts.append(Half(estimate, size, rows, rows.problem(), index))
    return parts


def sizes(rows: int) -> tuple[list[int], list[int]]:
    """Return four model sizes and three training sets for halves of `rows` rows.

    The training sets are up to half of as many rows as the estimate knows.
    """
    features = np.unique(np.round(rows * np.array([1 / 30, 1 / 9, 1 / 3, 1.0])).astype(int))
    samples = np.unique(np.round(rows * np.array([1 / 8, 1 / 4, 1 / 2])).astype(int))
    return [int(n) for n in features if n >= 4], [int(p) for p in samples if p >= 4]


def trial(half: Half, num_features: float, num_samples: int, check: Check) -> Trial:
    """Train on rows of the half at (N, P), one draw of rows and of the model a key.

    Raises:
        ValueError: P leaves too few rows to test on, or N is more than there are columns to choose from.
    """
    if num_samples > LEFT * len(half.rows):
        checks.fail("samples", f"at most {LEFT:.0%} of the {len(half.rows)} rows of a half", num_samples)
    # each point has draws of its own
    keys = fold_keys(fold_keys(check.keys, half.index), num_samples)
    keys = fold_keys(keys, 0 if np.isinf(num_features) else int(num_features))
    arguments = Arguments(num_samples=num_samples, optimizer=check.optimizer, times=check.times)
    if check.model == "columns":
        risks = np.concatenate([_columns(half, num_features, key, arguments) for key in keys])
    else:
        curve = rfm.exact(half.problem, keys=keys, **(arguments | Arguments(num_features=num_features)))
        risks = curve.risk + half.problem.noise_var
    forecast = Forecast(half.estimate, check.optimizer, np.asarray(check.times, float))
    predicted = forecast.losses(num_features, num_samples)
    replicas = forecast.replicas(num_features, num_samples)
    share = forecast.unresolved_share(num_features, num_samples, predicted)
    return Trial(
        Comparison("time", forecast.times, risks, predicted, {"N": num_features, "P": num_samples}),
        spread=np.std(replicas, axis=0, ddof=1) * np.sqrt(1.0 + half.known / len(half.rows)),
        half=half.index,
        extrapolated=forecast.extrapolates(num_samples, share),
    )


def _columns(half: Half, num_features: float, key: jax.Array, arguments: Arguments) -> np.ndarray:
    """Held-out loss (1, T) of a linear model on N columns of the features; all of them for N infinite."""
    rows = half.rows
    d = rows.data.shape[1]
    if rows.kernel or (np.isfinite(num_features) and num_features > d):
        checks.fail("features", f"at most the {d} columns of features, with --model columns", num_features)
    n = d if np.isinf(num_features) else int(num_features)
    chosen = np.asarray(jax.random.permutation(key, d)[:n])
    # so that the kernel is that of all columns on average
    problem = from_data.rows_alone(rows.data[:, chosen] * np.sqrt(d / n), rows.labels)
    return rfm.exact(problem, keys=key[None], **(arguments | Arguments(num_features=np.inf))).risk


def trials(
    parts: Sequence[Half], points: Sequence[tuple[float, int]], check: Check, on_point: Callable[[], object]
) -> list[Trial]:
    """Run `trial` at every (N, P) of points on every half."""
    tested = []
    for half in parts:
        for n, p in points:
            tested.append(trial(half, n, p, check))
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
