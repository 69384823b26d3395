"""The forecast of one half of the rows against training on rows of the other half.

Held-out loss: of a model trained on P distinct rows, over the rows of its half that it was not trained on. The model
is either N random projections of the features, which is the theory's, or a random subset of N of their columns.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax
import numpy as np

import rfm
import theory
from experiments.compare.keys import fold_keys
from experiments.compare.statistics import standard_error
from experiments.forecast.curves import losses
from rfm import checks
from rfm.data import from_data
from rfm.optimizers import Optimizer

MODELS = ("project", "columns")
ROWS = 1_200  # of a half that are trained and tested on, at most: a minute or so on two cores
REPLICAS = 4
STABLE = 0.5  # learning rate of a check that takes steps, of 1/z_max; it is stable up to 2
LEFT = 0.8  # of these, at most, are trained on


@dataclasses.dataclass(frozen=True)
class Trial:
    """One (N, P): samples (S, T) of the held-out loss of training, predicted (T,) from the other half.

    spread: (T,) standard error of the prediction, over replicas, and of the rows trained and tested on, which are a
    sample of the same scatter, but for their number. half: which rows were trained on, 0 or 1.
    """

    num_features: float
    num_samples: int
    times: np.ndarray
    samples: np.ndarray
    predicted: np.ndarray
    spread: np.ndarray
    half: int

    @property
    def mean(self) -> np.ndarray:
        """Mean over seeds, (T,)."""
        return self.samples.mean(0)

    @property
    def stderr(self) -> np.ndarray:
        """Of the mean, over seeds, (T,)."""
        return standard_error(self.samples)

    @property
    def error(self) -> np.ndarray:
        """Relative error of the prediction, predicted/mean - 1, (T,)."""
        return self.predicted / self.mean - 1.0

    @property
    def z(self) -> np.ndarray:
        """(mean - predicted) in standard errors, (T,): of the seeds, and `spread`."""
        return (self.mean - self.predicted) / np.hypot(self.stderr, self.spread)


@dataclasses.dataclass(frozen=True)
class Half:
    """Rows, or their kernel, and the problem to train on, in the units of the estimate from `known` others."""

    estimate: object
    known: int
    rows: np.ndarray
    labels: np.ndarray
    kernel: bool
    problem: rfm.Problem
    index: int


def rows_of_half(rows: int) -> int:
    """How many rows of a half are trained and tested on, of so many rows in all."""
    return min(rows // 2, ROWS)


def halves(data: np.ndarray, labels: np.ndarray, kernel: bool, seed: int, num_modes: int | None = None) -> list[Half]:
    """Both ways to split the rows into random halves; data (n, d), or (n, n) where it is a kernel. The estimate knows
    all rows of its half."""
    order, size = np.random.default_rng(seed).permutation(len(data)), len(data) // 2
    one, other = order[:size], order[size : 2 * size]
    found = []
    for index, (known, rest) in enumerate(((one, other), (other, one))):
        known, rest = np.sort(known), np.sort(rest[: rows_of_half(len(data))])
        if kernel:
            own = np.asarray(data[np.ix_(known, known)], float)
            estimate = from_data.estimate_kernel(own, labels[known], num_modes=num_modes, replicas=REPLICAS, seed=seed)
            rows = np.asarray(data[np.ix_(rest, rest)], float) / estimate.scale
        else:
            own = np.asarray(data[known], float)
            estimate = from_data.estimate_features(own, labels[known], replicas=REPLICAS, seed=seed)
            rows = np.asarray(data[rest], float) / np.sqrt(estimate.scale)
        build = partial(from_data.from_kernel, normalize=False, num_modes=num_modes) if kernel else from_data.rows_alone
        found.append(Half(estimate, size, rows, labels[rest], kernel, build(rows, labels[rest]), index))
    return found


def sizes(rows: int) -> tuple[list[int], list[int]]:
    """Twelve pairs (N, P) for halves of so many rows: four model sizes; three training sets, up to half of as many rows
    as the estimate knows."""
    features = np.unique(np.round(rows * np.array([1 / 30, 1 / 9, 1 / 3, 1.0])).astype(int))
    samples = np.unique(np.round(rows * np.array([1 / 8, 1 / 4, 1 / 2])).astype(int))
    return [int(n) for n in features if n >= 4], [int(p) for p in samples if p >= 4]


def trial(half: Half, num_features: float, num_samples: int, optimizer: Optimizer, times, keys, model: str) -> Trial:
    """Train on rows of the half at (N, P), one draw of rows and of the model a key.

    Raises ValueError where P leaves too few rows to test on, or N is more than there are columns to choose from.
    """
    if num_samples > LEFT * len(half.labels):
        checks.fail("samples", f"at most {LEFT:.0%} of the {len(half.labels)} rows of a half", num_samples)
    # each point has draws of its own
    keys = fold_keys(fold_keys(fold_keys(keys, half.index), num_samples), 0 if np.isinf(num_features) else num_features)
    how = dict(num_samples=num_samples, optimizer=optimizer, times=times)
    if model == "columns":
        samples = np.concatenate([_columns(half, num_features, key, how) for key in keys])
    else:
        curve = rfm.exact(half.problem, num_features=num_features, keys=keys, **how)
        samples = curve.risk + half.problem.noise_var
    predicted = losses(half.estimate.problem, num_features, num_samples, optimizer, times)
    replicas = [
        losses(replica.problem, num_features, num_samples, optimizer, times) for replica in half.estimate.replicas
    ]
    spread = np.std(replicas, axis=0, ddof=1) * np.sqrt(1.0 + half.known / len(half.labels))
    return Trial(num_features, num_samples, np.asarray(times, float), samples, predicted, spread, half.index)


def _columns(half: Half, num_features: float, key: jax.Array, how: dict) -> np.ndarray:
    """(1, T) held-out loss of a linear model on N columns of the features; all of them for N infinite."""
    d = half.rows.shape[1]
    if half.kernel or (np.isfinite(num_features) and num_features > d):
        checks.fail("features", f"at most the {d} columns of features, with --model columns", num_features)
    n = d if np.isinf(num_features) else int(num_features)
    chosen = np.asarray(jax.random.permutation(key, d)[:n])
    # so that the kernel is that of all columns on average
    problem = from_data.rows_alone(half.rows[:, chosen] * np.sqrt(d / n), half.labels)
    return rfm.exact(problem, num_features=np.inf, keys=key[None], **how).risk


def trials(found: list[Half], points, optimizer, times, keys, model: str, on_point: Callable) -> list[Trial]:
    """`trial` at every (N, P) of points on every half."""
    rows = []
    for half in found:
        for n, p in points:
            rows.append(trial(half, n, p, optimizer, times, keys, model))
            on_point()
    return rows


def steps_taken(half: Half, num_features: int, num_samples: int, steps: int, keys) -> float:
    """The largest relative difference between the loss of gradient descent, all steps taken, and its exact solution."""
    problem = half.problem
    sizes = dict(num_features=num_features, num_samples=num_samples)
    lr = STABLE / float(theory.largest_curvature(half.estimate.problem, **sizes))
    args = dict(optimizer=rfm.GradientDescent(lr), times=rfm.log_times(1, steps, 20, integer=True), keys=keys)
    args |= sizes
    trained, solved = (room(problem, **args).risk + problem.noise_var for room in (rfm.simulate, rfm.exact))
    return float(np.max(np.abs(trained / solved - 1.0)))
