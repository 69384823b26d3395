"""The rows that a forecast is made from, and parts of them."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from experiments.forecast.trained import Rows, known_rows
from rfm import checks
from rfm.data import from_data
from rfm.data.kernels import centered, resolved, rounding
from rfm.data.rows import kernel_of
from rfm.data.spectra import Estimate
from rfm.problem import Array, Problem

MOST_NUMBERS = 4_000_000  # in the matrix of rows that are trained on: 2,000 rows where there are as many modes


class Counting(NamedTuple):
    """Number of independent rows among P rows.

    Attributes:
        total: Rows of the file.
        copies: How often each distinct row is there, None for once each.
        independent: Part of a distinct row that counts as one of its own in the formulas; less than one in groups.
    """

    total: int
    copies: np.ndarray | None = None
    independent: float = 1.0

    def distinct(self, num_samples: float) -> float:
        """Return how many distinct rows are among P that are drawn from the file; P rows of its kind beyond it."""
        if self.copies is None:
            return num_samples
        if num_samples >= self.total:
            return num_samples * len(self.copies) / self.total
        left = math.log1p(-num_samples / self.total) * self.copies
        return max(1.0, float(-np.expm1(left).sum()))  # eq. 58

    def drawn(self, distinct: float) -> float:
        """Return how many rows hold so many distinct ones, at most all."""
        if self.copies is None:
            return distinct
        low, high = 1.0, float(self.total)
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.distinct(middle) < distinct else (low, middle)
        return high


@dataclasses.dataclass(frozen=True)
class Source:
    """Features or a kernel, and labels.

    Attributes:
        data: (n, d) rows of features, which may lie on disk, or the kernel (n, n) of n rows.
        labels: (n,), or (n, K) of several outputs.
        kernel: Is it a kernel?
        num_modes: Of the kernel, None for infinitely many.
        remarks: What is odd about them, in words.
        groups: (n,) number of the group of every row, None where rows are independent.
        copies: (n,) how often each row was in the file, None for once each.
    """

    data: Array
    labels: np.ndarray
    kernel: bool = False
    num_modes: int | None = None
    remarks: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    copies: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def columns(self) -> float:
        """Number of features, infinite for a kernel of infinitely many modes."""
        if self.kernel:
            return math.inf if self.num_modes is None else float(self.num_modes)
        return float(self.data[0].size)

    @property
    def units(self) -> np.ndarray:
        """Number of what is independent, a group or a row, of every row (n,)."""
        return np.arange(len(self)) if self.groups is None else self.groups

    @property
    def num_units(self) -> int:
        """Number of groups, or of rows."""
        return len(self) if self.groups is None else int(self.groups.max()) + 1

    def counting(self) -> Counting:
        """Say how rows of the file are counted."""
        total = len(self) if self.copies is None else int(self.copies.sum())
        return Counting(total, self.copies, self.num_units / len(self))

    def estimate(self, *, replicas: int, seed: int) -> Estimate:
        """Estimate the population, with replicas from random halves of the rows."""
        if self.kernel:
            return from_data.estimate_kernel(
                self.data, self.labels, num_modes=self.num_modes, replicas=replicas, seed=seed, groups=self.groups
            )
        try:
            return from_data.estimate_features(
                self.data, self.labels, replicas=replicas, seed=seed, groups=self.groups
            )  # fmt: skip
        except checks.ArgumentError as error:
            if error.name != "features":
                raise
            # --features are the sizes of models
            checks.fail("file", error.allowed, error.value, error.cure or "a feature has to differ between rows")

    def part(self, rows: np.ndarray, scale: float = 1.0) -> "Source":
        """Return some of the rows, with the covariance divided by `scale`."""
        kind = self.data.dtype if np.issubdtype(self.data.dtype, np.floating) else float  # it determines their rounding
        if self.kernel:
            data = np.asarray(self.data[np.ix_(rows, rows)], float) / scale
        else:
            data = np.asarray(self.data[rows], float) / np.sqrt(scale)
        data = data.astype(kind)
        groups = None if self.groups is None else np.unique(self.groups[rows], return_inverse=True)[1]
        copies = None if self.copies is None else self.copies[rows]
        return dataclasses.replace(self, data=data, labels=self.labels[rows], groups=groups, copies=copies)

    def problem(self) -> Problem:
        """Return the rows to train and test on; nothing is estimated."""
        if self.kernel:
            return from_data.kernel_rows_alone(self.data, self.labels, self.num_modes)
        return from_data.rows_alone(self.data, self.labels)

    def known(self, scale: float, seed: int) -> Rows:
        """Return rows to train on, with the covariance divided by `scale`: all, or as many as are quick."""
        n = len(self)
        width = min(n, self.columns)
        if n * width > MOST_NUMBERS:
            most = MOST_NUMBERS / width if width < n else math.sqrt(MOST_NUMBERS)
            order = np.random.default_rng(seed).permutation(self.num_units)
            filled = np.cumsum(np.bincount(self.units)[order])
            some = np.flatnonzero(np.isin(self.units, order[: max(2, int(np.searchsorted(filled, most)))]))
            return self.part(some).known(scale, seed)
        if self.kernel or self.columns > n:
            kernel = self.data if self.kernel else kernel_of(self.data, center=True)
            values, basis = np.linalg.eigh(centered(np.asarray(kernel, float), center=True))
            values, basis = resolved(values, basis, n, rounding(self.data))
            x = basis * np.sqrt(values)
        else:
            x = np.asarray(self.data, float).reshape(n, -1)
        return known_rows(x / math.sqrt(scale), self.labels, self.groups)


def stratified(labels: np.ndarray) -> np.ndarray | None:
    """Return the class of every row (n,) where labels are classes: one-hot outputs, two values, a few whole numbers."""
    y = labels.reshape(len(labels), -1)
    if y.shape[1] > 1:
        one_hot = np.all((y == 0.0) | (y == 1.0)) and np.all(y.sum(1) == 1.0)
        return y.argmax(1) if one_hot else None
    kinds, numbers = np.unique(y[:, 0], return_inverse=True)
    return numbers if len(kinds) <= max(2, min(100, len(y) // 20)) else None


def split_evenly(source: Source, first: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split the rows in two parts at random, the first of so many rows: whole groups, classes in equal shares."""
    rng = np.random.default_rng(seed)
    count, n = source.num_units, len(source)
    order = rng.permutation(count)
    classes = stratified(source.labels)
    if classes is not None and source.groups is None:
        place = np.empty(n)
        for kind in np.unique(classes):  # evenly along the order: every part of it has all classes in equal shares
            members = rng.permutation(np.flatnonzero(classes == kind))
            place[members] = (np.arange(len(members)) + rng.uniform()) / len(members)
        order = np.argsort(place, kind="stable")
    filled = np.cumsum(np.bincount(source.units, minlength=count)[order])
    used = int(np.clip(np.argmin(np.abs(filled - first)) + 1, 1, count - 1))
    chosen = np.isin(source.units, order[:used])
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)
