"""Losses measured on the known rows themselves: of models trained on some and tested on the others, and left-out rows.

Linear students in the eigenbasis of what they are trained on, so that one decomposition gives all times and ridges.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import theory.contour
import theory.filters
from experiments.forecast.bands import TINY
from rfm.data import left_out
from rfm.data.left_out import Decomposed
from rfm.optimizers import Optimizer
from theory.evaluation import filter_of

RIDGES = 10.0 ** np.linspace(-6.0, 1.0, 15)  # of the largest eigenvalue
NODES = 96  # of a contour: 1e-8 of a loss
SHARES, DRAWS = (1 / 8, 1 / 4, 1 / 2), (64, 32, 24)
LARGE, FEWEST_DRAWS = 1_000_000, 8  # numbers in a matrix beyond which there are fewer draws, but so many
SMALL, MORE_DRAWS = 20_000, 4  # numbers in a matrix below which there are so many times as many
LEFT_OUT_DRAWS = 2  # of projections
LARGEST_GROUP = 200  # rows that are left out together
NEGLIGIBLE = 1e-13  # part of the largest eigenvalue: rounding


class Rows(NamedTuple):
    """Known rows (n, m) and labels (n, K), both less their means, and the number of the group of each row (n,).

    level: (K,) what is added to labels before the class is read off: their means, of one output less the middle of it.
    """

    x: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    level: np.ndarray

    @property
    def grouped(self) -> bool:
        """Are there groups of several rows?"""
        return int(self.groups.max()) + 1 < len(self.groups)


class How(NamedTuple):
    """An algorithm that models are trained by and its times (T,), beside ridge regression at RIDGES times `scale`."""

    optimizer: Optimizer
    times: np.ndarray
    scale: float

    @property
    def ridges(self) -> np.ndarray:
        """The ridges, (R,)."""
        return RIDGES * self.scale

    def left(self, z: np.ndarray) -> np.ndarray:
        """Return the part (T + R, m) of a residual that training leaves in directions of curvature z (m,)."""
        name, numbers = filter_of(self.optimizer)
        flt = theory.filters.FILTERS[name](**numbers)
        flow = flt.response(z[None] + 0j, np.asarray(self.times, float)[:, None]).real  # momentum oscillates
        return np.concatenate([flow, self.ridges[:, None] / (z[None] + self.ridges[:, None])])


class Losses(NamedTuple):
    """Losses at P training rows, at all times and ridges, (A,) each.

    Attributes:
        num_samples: P.
        loss: Mean squared error of rows that were not trained on, summed over outputs.
        chance: Variance of the logarithm of the loss by the chance of the known rows.
        draws: Variance of the logarithm of the loss over draws of rows, of a single draw.
        doubt: Variance of the difference to generalized cross-validation, relative; zero where rows were drawn.
        right: Part of the rows whose largest output is that of their class.
        hard: What of `chance` comes from rows that are hard to predict and bad to train on.
    """

    num_samples: float
    loss: np.ndarray
    chance: np.ndarray
    draws: np.ndarray
    doubt: np.ndarray
    right: np.ndarray
    hard: np.ndarray


def measure(rows: Rows, num_features: float, how: How, seed: int, *, on_point: Callable[[], object]) -> list[Losses]:
    """Train on an eighth, a quarter and a half of the rows, the same at every N, and leave out each of them in turn."""
    n, m = rows.x.shape
    often = MORE_DRAWS if n * m < SMALL else min(1.0, LARGE / (n * m))
    often *= 1.0 if np.isinf(num_features) else 0.5
    measured = []
    for share, draws in zip(SHARES, DRAWS, strict=True):
        if share * n >= 2:
            count = max(FEWEST_DRAWS, round(draws * often))
            measured.append(_trained(rows, (num_features, max(2, round(share * n))), how, seed, count))
        on_point()
    largest = int(np.bincount(rows.groups).max())
    if largest <= LARGEST_GROUP:
        measured.append(_left_out(rows, num_features, how, np.random.default_rng(seed), measured[-1]))
    on_point()
    return measured


def projected(rows: np.ndarray, num_features: float, rng: np.random.Generator) -> np.ndarray:
    """Return N random projections of rows (n, m), or the rows for N infinite."""
    if np.isinf(num_features):
        return rows
    count = int(num_features)
    return rows @ (rng.standard_normal((rows.shape[1], count)) / np.sqrt(count))


def _trained(rows: Rows, sizes: tuple[float, int], how: How, seed: int, draws: int) -> Losses:
    """Train on P rows, whole groups of them, and test on the others, some draws."""
    num_features, num_samples = sizes
    n = len(rows.y)
    every = len(how.times) + len(RIDGES)
    total, right = np.zeros((n, every)), np.zeros(every)
    times, each, used = np.zeros(n), [], []
    for draw in range(draws):
        rng = np.random.default_rng([seed, num_samples, draw])
        tested, error, hits = draw_errors(rows, (num_features, num_samples), how, rng)
        each.append(error.mean(0))
        used.append(~tested)
        total[tested] += error
        right += hits
        times += tested
    each, used = np.array(each), np.array(used)  # (D, A), (D, n)
    loss = each.mean(0)
    known = times > 0
    of_rows = total / np.maximum(times, 1.0)[:, None]
    scatter = each.var(0, ddof=1)
    part = num_samples / n
    sampled = _variance_of_mean(of_rows[known], rows.groups[known])
    hard = _of_hard_rows(each, used, np.where(known[:, None], of_rows, loss)) / loss**2
    scatter /= loss**2
    chance = sampled / loss**2 + part * scatter + scatter / draws + hard
    return Losses(num_samples, loss, chance, scatter, np.zeros_like(loss), right / draws, hard)


def _of_hard_rows(each: np.ndarray, used: np.ndarray, of_rows: np.ndarray) -> np.ndarray:
    """Return what the variance (A,) gains since rows that are hard to predict are also bad to train on.

    A U-statistic has the variance Var(test_i + P train_i)/n, test_i the error of row i and train_i what its presence
    among those trained on adds to the loss. Losses each (D, A) of draws that trained on rows used (D, n), less what
    the rows tested on have on average, follow the mean of of_rows (n, A) over used; as far as beyond chance.
    """
    part = used.mean()
    trained, tested = (chosen @ of_rows / chosen.sum(1, keepdims=True) for chosen in (used, ~used))
    excess = each - tested
    excess, trained = excess - excess.mean(0), trained - trained.mean(0)
    product = (excess * trained).mean(0)
    chance = (excess**2).mean(0) * (trained**2).mean(0) / len(each)  # of a product of unrelated draws
    kept = np.maximum(0.0, 1.0 - chance / np.maximum(product**2, TINY))
    return 2.0 * part * np.maximum(product, 0.0) * kept / (1.0 - part)


def draw_errors(
    rows: Rows, sizes: tuple[float, int], how: How, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train once on about P rows, whole groups, at N.

    Returns:
        The rows that are tested on (n,), their squared errors (n', A), and the part of them that is right (A,).
    """
    num_features, num_samples = sizes
    count = int(rows.groups.max()) + 1
    order, used = rng.permutation(count), num_samples
    if rows.grouped:
        filled = np.cumsum(np.bincount(rows.groups, minlength=count)[order])
        used = min(max(1, int(np.argmin(np.abs(filled - num_samples))) + 1), count - 1)
    chosen = np.isin(rows.groups, order[:used])
    x = projected(rows.x, num_features, rng)
    predicted = _predict(x[chosen], rows.y[chosen], x[~chosen], how)
    error = ((predicted - rows.y[~chosen][:, :, None]) ** 2).sum(1)  # (n', A)
    return ~chosen, error, _hits(predicted, rows.y[~chosen], rows.level)


def _variance_of_mean(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the variance (A,) of the mean of values (n, A) of rows in independent groups."""
    _, place = np.unique(groups, return_inverse=True)
    sums = np.zeros((place.max() + 1, values.shape[1]))
    np.add.at(sums, place, values - values.mean(0))
    return (sums**2).sum(0) / len(values) ** 2


def _hits(predicted: np.ndarray, labels: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return the part (A,) of predictions (n, K, A) whose largest output, or side of a single one, is the label's."""
    predicted, labels = predicted + level[:, None], labels + level
    if labels.shape[1] == 1:
        return ((predicted[:, 0] > 0) == (labels > 0)).mean(0)
    return (predicted.argmax(1) == labels.argmax(1)[:, None]).mean(0)


def _predict(x: np.ndarray, y: np.ndarray, test: np.ndarray, how: How) -> np.ndarray:
    """Return predictions (n', K, A) for test rows (n', m) by students trained on rows x (P, m) and labels (P, K).

    No means are learned: as in the theory and in `rfm.exact`, those of all known rows are subtracted before.
    """
    p, m = x.shape
    if p < m:
        z, basis = np.linalg.eigh(x @ x.T / p)
        seen, moment = (test @ x.T) @ basis, basis.T @ y / p
    else:
        z, basis = np.linalg.eigh(x.T @ x / p)
        seen, moment = test @ basis, basis.T @ (x.T @ y) / p
    keep = z > NEGLIGIBLE * z[-1]
    z, seen, moment = z[keep], seen[:, keep], moment[keep]
    response = (1.0 - how.left(z)) / z  # (A, m)
    weights = moment[:, :, None] * response.T[:, None]  # (m, K, A)
    return (seen @ weights.reshape(len(z), -1)).reshape(len(test), y.shape[1], -1)


def _left_out(rows: Rows, num_features: float, how: How, rng: np.random.Generator, half: Losses) -> Losses:
    """Leave out each row, or group, in turn: exact, by ridge regression at complex ridges, see `left_out_errors`.

    What a row trained on adds to the loss falls as 1/P: from half of the rows to all its variance, P times, halves,
    and P times its covariance with the row's own error stays.
    """
    draws = 1 if np.isinf(num_features) else LEFT_OUT_DRAWS
    losses, chance, doubt, right = [], [], [], []
    for _ in range(draws):
        errors, generalized = left_out_errors(rows._replace(x=projected(rows.x, num_features, rng)), how)
        each, other = (errors**2).sum(1), (generalized**2).sum(1)  # (n, A)
        losses.append(each.mean(0))
        chance.append(_variance_of_mean(each, rows.groups))
        doubt.append(_variance_of_mean(each - other, rows.groups))
        right.append(_hits(rows.y[:, :, None] - errors, rows.y, rows.level))
    loss, chance, doubt, right = (np.mean(values, axis=0) for values in (losses, chance, doubt, right))
    chance, draws = chance / loss**2 + half.draws / 2 + half.hard, half.draws / 2
    return Losses(len(rows.y), loss, chance, draws, doubt / loss**2, right, half.hard)


def left_out_errors(rows: Rows, how: How) -> tuple[np.ndarray, np.ndarray]:
    """Return errors (n, K, A) of every row by training without its group, and by generalized cross-validation.

    Training is an integral of ridge regression over complex s = -z: e_i(t) = (1/2 pi i) times that of r_t(z) e_i(-z)
    dz/z, e_i(s) from `rfm.data.left_out`.
    """
    x, y, groups, _ = rows
    n = len(y)
    left, singular, _ = np.linalg.svd(x, full_matrices=False)
    keep = singular**2 > NEGLIGIBLE * singular[0] ** 2
    sample = Decomposed(singular[keep] ** 2 / n, left[:, keep], left[:, keep].T @ y, n)
    size = float(np.bincount(groups).mean())
    name, numbers = filter_of(how.optimizer)
    flt = theory.filters.FILTERS[name](**numbers)
    times = np.asarray(how.times, float)
    edge = flt.stability(np.float64(1.1 * sample.values[0] * n / (n - size)))
    path = theory.contour.hyperbola(flt.elapsed(times.max()), edge, NODES)
    z, weights = flt.curvature(path.nodes), path.weights * flt.log_slope(path.nodes)
    s = np.concatenate([-z, how.ridges]) * ((n - size) / n)  # (S,)
    solved = left_out.left_out_errors(sample, y, s, groups=groups if rows.grouped else None, centered=True)
    along = flt.response(z[None], times[:, None]) * weights  # (T, nodes)

    def trained(values: np.ndarray) -> np.ndarray:
        flow = -2.0 * np.real(values[..., : len(z)] @ along.T)
        return np.concatenate([flow, np.real(values[..., len(z) :])], axis=-1)

    return trained(solved.errors), trained(solved.generalized)


def known_rows(x: np.ndarray, y: np.ndarray, groups: np.ndarray | None) -> Rows:
    """Return rows and labels less their means."""
    y = y.reshape(len(y), -1)
    numbers = np.arange(len(y)) if groups is None else groups
    middle = 0.5 * (y.min(0) + y.max(0)) if y.shape[1] == 1 else 0.0
    return Rows(x - x.mean(0), y - y.mean(0), numbers, y.mean(0) - middle)
