"""Sums over rows of features, block by block, so that features may lie on disk: what a spectrum is made of."""

import math
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from rfm import checks
from rfm.data.labels import looks_like_classes
from rfm.devices import available_memory

FEATURE_BLOCK = 2**22  # numbers of features that are held at a time, beside the sums
PARTS = 12  # into which rows are shared out at random; halves of the rows are six of them
USABLE = 0.6  # of the free memory


class Moments(NamedTuple):
    """Sums over rows x (d,), y (K,): their number, x, y, x x^T, x y^T and y^2. Moments of disjoint rows add up."""

    number: int
    x: np.ndarray
    y: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    square: np.ndarray

    def plus(self, other: "Moments") -> "Moments":
        """Return the sums over both."""
        return Moments._make(mine + theirs for mine, theirs in zip(self, other, strict=True))


def check_labels(labels: Any, rows: int, name: str = "features") -> np.ndarray:
    """Return labels (n, K), float64. Raises ValueError for another length, or values that are not finite numbers.

    Warns of integers that look like classes.
    """
    kind = getattr(labels, "dtype", None)
    y = checks.numeric("labels", labels)
    if y.ndim not in (1, 2) or len(y) != rows or y.size == 0:
        checks.fail("labels", f"of shape ({rows},) or ({rows}, outputs), one a row of {name}", y.shape)
    if not np.all(np.isfinite(y)):
        row = int(np.argwhere(~np.isfinite(y))[0][0])
        checks.fail("labels", "finite", f"an array with NaN or infinity, first in row {row}")
    if kind is not None and kind.kind in "iu" and looks_like_classes(y):
        warnings.warn(
            "Labels are integers, taken as numbers; for classes give rfm.data.labels.encode(labels, 'one-hot'), for "
            "numbers labels.astype(float).", stacklevel=3,
        )  # fmt: skip
    return y.reshape(rows, -1)


def check_variance(labels: np.ndarray, *, center: bool) -> None:
    """Refuse constant labels (n, K) where the mean is taken off: nothing is left to learn."""
    if center and not np.any(labels != labels[0]):
        allowed = "of some variance (of constant ones nothing is left without their mean)"
        checks.fail("labels", allowed, labels.ravel()[0])


def check_features(features: Any) -> tuple[int, int]:
    """Return the shape (n, d) of a matrix of at least two rows; ValueError for anything else."""
    shape = features.shape if hasattr(features, "shape") else checks.numeric("features", features).shape
    if len(shape) != 2 or shape[0] < 2 or shape[1] < 1:
        checks.fail("features", "a matrix (n, d) of at least two rows", shape)
    return int(shape[0]), int(shape[1])


def blocks(features: Any, rows: int, columns: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first row, rows (m, d) in float64), each block checked: ValueError names the row and column of a NaN."""
    step = max(1, FEATURE_BLOCK // columns)
    for start in range(0, rows, step):
        yield start, _numbers(features[start : start + step], start, 0)


def _numbers(part: Any, row: int, column: int) -> np.ndarray:
    """Return a part of the features that begins at (row, column), float64; ValueError unless all are finite numbers."""
    x = checks.numeric("features", part, f"something else from row {row}, column {column} on")
    if not np.all(np.isfinite(x)):
        i, j = np.argwhere(~np.isfinite(x))[0]
        checks.fail("features", "finite", f"an array with NaN or infinity, first in row {row + i}, column {column + j}")
    return x


class Shares(NamedTuple):
    """Number of parts that rows are shared out into at random, the seed, and groups (n,) that stay whole, if any."""

    parts: int = 1
    seed: int = 0
    groups: np.ndarray | None = None

    def part_of(self, rows: int) -> np.ndarray:
        """Return the part of every row, (n,)."""
        rng = np.random.default_rng(self.seed)
        if self.groups is None:
            return rng.permutation(rows) % self.parts
        return (rng.permutation(int(self.groups.max()) + 1) % self.parts)[self.groups]


WHOLE = Shares()  # all rows in one part


def moments(features: Any, labels: np.ndarray, *, center: bool, shares: Shares = WHOLE) -> list[Moments]:
    """Sum over random parts of the rows, as equal in size as possible, in one pass.

    Where `center`, about a row and labels that all parts share, so that means do not swamp what varies. Raises
    ValueError for values that are not finite, and where as many matrices (d, d) as parts do not fit in memory.
    """
    rows, columns = check_features(features)
    parts, part = shares.parts, shares.part_of(rows)
    outputs = labels.shape[1]
    refuse_too_large(8 * (parts + 3) * columns**2, f"{columns} columns", "take fewer of them")
    middle = middle_row(features) if center else np.zeros(columns)
    labels = labels - labels.mean(0) if center else labels
    sums = [_moments_of(np.zeros((0, columns)), np.zeros((0, outputs)))] * parts
    for start, x in blocks(features, rows, columns):
        x, here = x - middle, slice(start, start + len(x))
        for i in range(parts):
            chosen = part[here] == i
            sums[i] = sums[i].plus(_moments_of(x[chosen], labels[here][chosen]))
    return sums


def _moments_of(x: np.ndarray, y: np.ndarray) -> Moments:
    """Sum over rows x (n, d) and y (n, K)."""
    return Moments(len(x), x.sum(0), y.sum(0), x.T @ x, x.T @ y, (y**2).sum(0))


def middle_row(features: Any) -> np.ndarray:
    """Return the row (d,) that sums are taken about."""
    row = len(features) // 2
    return _numbers(features[row : row + 1], row, 0)[0]


def kernel_of(features: Any, *, center: bool) -> np.ndarray:
    """Sum x x^T (n, n) over blocks of columns, of features less their means where `center`.

    Raises ValueError for values that are not finite, and where it does not fit in memory.
    """
    rows, columns = check_features(features)
    refuse_too_large(3 * 8 * rows**2, f"{rows} rows of {columns} columns", "take fewer rows or columns")
    kernel = np.zeros((rows, rows))
    step = max(1, FEATURE_BLOCK // rows)
    for start in range(0, columns, step):
        x = _numbers(features[:, start : start + step], 0, start)
        if center:
            x = x - x.mean(0)
        kernel += x @ x.T
    return kernel


def refuse_too_large(needed: float, what: str, instead: str) -> None:
    """Raise ValueError if these bytes are not free."""
    available = available_memory()
    free = math.inf if available is None else USABLE * available
    if needed > free:
        allowed = f"small enough for memory: {what} need {needed / 2**30:.3g} GiB of {free / 2**30:.3g} free"
        checks.fail("features", f"{allowed} ({instead})", what)
