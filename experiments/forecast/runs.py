"""Test loss of trained models estimated from their own rows, beside the loss on rows that they have not seen."""

import dataclasses
from typing import NamedTuple

import numpy as np

import rfm
from experiments.forecast.source import Source
from experiments.forecast.trained import How, projected
from rfm.optimizers import Optimizer

FEW, MORE, SMALL = 2, 4, 256  # runs, and more of them up to so many rows: an estimate costs many trainings
TESTED = 8  # rows at least


class OwnRows(NamedTuple):
    """Runs at one size, at times (T,).

    Attributes:
        times: (T,).
        losses: (S, T) mean squared error on the rows that were not trained on, summed over outputs.
        estimates: (S, T) `rfm.estimated_test_loss` of the same runs, from the rows trained on alone.
    """

    times: np.ndarray
    losses: np.ndarray
    estimates: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """Relative error of the mean estimate, (T,)."""
        return self.estimates.mean(0) / self.losses.mean(0) - 1.0

    @property
    def stops(self) -> np.ndarray:
        """Time at which each run is told to stop, (S,)."""
        return self.times[self.estimates.argmin(1)]

    @property
    def best(self) -> np.ndarray:
        """Time at which each run is best on the other rows, (S,)."""
        return self.times[self.losses.argmin(1)]

    @property
    def excess(self) -> np.ndarray:
        """Loss at the time to stop relative to the least loss of the run, less one, (S,)."""
        runs = np.arange(len(self.losses))
        return self.losses[runs, self.estimates.argmin(1)] / self.losses.min(1) - 1.0


def own_rows(
    source: Source, sizes: tuple[float, int], how: tuple[Optimizer, np.ndarray], seeds: np.ndarray,
    *, columns: bool = False,
) -> OwnRows | None:  # fmt: skip
    """Train on P rows of a source at N, once for each of the first few seeds, and test on its other rows.

    None where rows come in groups, since a row that is left out has others like it among those kept, and where hardly
    any is left to test on.

    Args:
        source: Rows to train and to test on.
        sizes: N and P.
        how: Algorithm and times.
        seeds: (S, ...) integers.
        columns: The model is a random subset of N columns, not N random projections.
    """
    if source.groups is not None:
        return None
    (num_features, num_samples), (optimizer, times) = sizes, how
    response, losses, estimates = How(optimizer, times, 1.0), [], []
    for seed in seeds[: MORE if num_samples <= SMALL else FEW]:
        rng = np.random.default_rng(seed)
        some = _some_columns(source, num_features, rng) if columns else source
        rows = some.known(1.0, 0)
        if len(rows.y) < num_samples + TESTED:
            return None
        x = rows.x if columns else projected(rows.x, num_features, rng)
        order = rng.permutation(len(rows.y))
        trained, tested = order[:num_samples], order[num_samples:]
        weights = _train(x[trained], rows.y[trained], response)  # (T, N, K)
        errors = rows.y[tested][None] - x[tested] @ weights
        losses.append(np.mean(np.sum(errors**2, 2), 1))
        estimates.append(rfm.estimated_test_loss(x[trained], rows.y[trained], optimizer=optimizer, times=times))
    return OwnRows(times, np.array(losses), np.array(estimates))


def _some_columns(source: Source, count: float, rng: np.random.Generator) -> Source:
    """Return a source of so many columns at random; all for an infinite count."""
    data = np.asarray(source.data, float).reshape(len(source), -1)
    width = data.shape[1]
    chosen = rng.permutation(width)[: int(min(count, width))]
    return dataclasses.replace(source, data=data[:, chosen] * np.sqrt(width / len(chosen)))


def _train(x: np.ndarray, y: np.ndarray, how: How) -> np.ndarray:
    """Return weights (T, N, K) from zero on, with x and y as they are."""
    u, singular, back = np.linalg.svd(x, full_matrices=False)
    keep = singular > len(singular) * np.finfo(float).eps * singular[0]
    z, moment = singular[keep] ** 2 / len(x), u[:, keep].T @ y / singular[keep][:, None]
    learned = 1.0 - how.left(z)[: len(how.times)]  # (T, r)
    return np.einsum("rn,tr,rk->tnk", back[keep], learned, moment, optimize=True)
