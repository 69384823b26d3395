"""Rows in the eigenbasis of their covariance, from which populations are estimated and problems made."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from rfm import checks
from rfm.data.kernels import centered, resolved
from rfm.data.row_sizes import estimate_row_sizes, spread
from rfm.data.rows import Moments
from rfm.data.spectra import Estimate, Sample, estimate
from rfm.problem import Array, Population, Problem


class Directions(NamedTuple):
    """Rows in the eigenbasis of their covariance, and their labels (n, K), both less their means where `center`.

    values: eigenvalues (r,) of x x^T/n, decreasing; basis: its eigenvectors (n, r).
    """

    values: np.ndarray
    basis: np.ndarray
    labels: np.ndarray
    center: bool

    def sample(self, num_modes: float) -> Sample:
        """Return what the labels put on every direction."""
        n, y = len(self.labels), self.labels
        power = np.sum((self.basis.T @ y) ** 2, axis=1) / n
        return Sample(self.values, power, float(np.sum(y**2) / n), n - self.center, num_modes, centered=self.center)

    def estimate(self, num_modes: float, *, normalize: bool, part: float = 1.0) -> Estimate:
        """Return the population with the sizes of all rows; estimates from halves use the same sizes.

        part: of a row that counts as one of its own.
        """
        n, root = len(self.labels), np.sqrt(len(self.labels) * self.values)
        target = (self.basis.T @ self.labels) / root[:, None]
        mixture = estimate_row_sizes(self.basis * root, self.labels, self.values, target, size=n)
        sample = self.sample(num_modes)._replace(mixture=mixture)
        sample = sample._replace(size=sample.size * part)
        return estimate(sample, float(self.values[0]) if normalize else 1.0)


def decompose(x: np.ndarray, y: np.ndarray, *, center: bool, digits: float = float(np.finfo(float).eps)) -> Directions:
    """Decompose rows (n, d), less their means already where `center`, with labels (n, K) as they are.

    digits: `kernels.rounding` of the numbers that the rows came in.
    """
    left, singular, _ = np.linalg.svd(x, full_matrices=False)
    # a singular value below this is rounding of the largest one
    keep = singular > singular[0] * max(x.shape) * digits
    if not keep.any():
        checks.fail("features", "of non-zero variance", "constant")
    return Directions(singular[keep] ** 2 / len(x), left[:, keep], y - y.mean(0) if center else y, center)


def problem_of(directions: Directions, columns: float, noise_var: float, *, normalize: bool, single: bool) -> Problem:
    """Estimate a problem and keep its rows, `single` where labels were (n,)."""
    modes = _modes(len(directions.values), len(directions.labels) - directions.center, columns)
    estimated = directions.estimate(modes, normalize=normalize)
    problem, y = estimated.problem, directions.labels
    population = population_of(directions, estimated.scale, y[:, 0] if single else y, problem.noise_var)
    mixed, mixture = problem.noise_var + noise_var, problem.mixture
    if mixture is not None and noise_var:  # fresh noise is the same for rows of all sizes
        mixture = dataclasses.replace(mixture, noise=(problem.noise_var * mixture.noise + noise_var) / mixed)
    return dataclasses.replace(problem, noise_var=mixed, population=population, mixture=mixture)


def population_of(directions: Directions, scale: float, y: np.ndarray, unexplained: Array) -> Population:
    """Keep the rows, with labels y (n,) or (n, K) and eigenvalues divided by `scale`."""
    n, eigenvalues = len(y), directions.values / scale
    rows = directions.basis * np.sqrt(n * eigenvalues)  # (n, m), mean of rows_k rows_l = eigenvalues_k delta_kl
    return Population(rows, y, eigenvalues, ((rows.T @ y).T / (n * eigenvalues)).T, unexplained)


def _modes(rank: int, size: int, columns: float) -> float:
    """Return how many modes a population has: the rank, unless it is the rows that limit it."""
    return rank if rank < size else max(columns, rank)


class Measured(NamedTuple):
    """A sample, its directions (d, r), mean row (d,) about what moments were taken about, and target (r, K)."""

    sample: Sample
    basis: np.ndarray
    mean: np.ndarray
    target: np.ndarray

    def independent(self, groups: np.ndarray | None) -> "Measured":
        """Return the same of a sample in which groups (n,), or rows, are independent."""
        return self._replace(sample=self.sample._replace(size=self.sample.size * independent_part(groups)))


def independent_part(groups: np.ndarray | None) -> float:
    """Return the part of a row that counts as one of its own where groups (n,) of rows are independent."""
    return 1.0 if groups is None else (int(groups.max()) + 1) / len(groups)


def measure(m: Moments, columns: float, *, center: bool, digits: float = float(np.finfo(float).eps)) -> Measured:
    """Decompose the covariance of moments over features of a given width; digits: relative rounding of its numbers."""
    n, mean = m.number, m.x / m.number
    covariance, cross, total = m.gram / n, m.cross / n, np.sum(m.square) / n
    if center:
        covariance = covariance - np.outer(mean, mean)
        cross, total = cross - np.outer(mean, m.y / n), total - np.sum((m.y / n) ** 2)
    values, basis = resolved(*np.linalg.eigh(covariance), max(n, len(covariance)), digits)
    target = (basis.T @ cross) / values[:, None]
    size = n - center
    power, modes = values * np.sum(target**2, axis=1), _modes(len(values), size, columns)
    sample = Sample(values, power, float(total), size, modes, centered=center)
    return Measured(sample, basis, mean, target)


class Pairs(NamedTuple):
    """A kernel (n, n), centred where `center`, with its relative rounding, labels (n, K) as they are, and groups."""

    kernel: np.ndarray
    labels: np.ndarray
    center: bool
    digits: float = float(np.finfo(float).eps)
    groups: np.ndarray | None = None

    def directions(self, spectrum: tuple[np.ndarray, np.ndarray], rows: slice | np.ndarray = slice(None)) -> Directions:
        """Return some rows with the eigenvalues and eigenvectors of their kernel."""
        values, basis = spectrum
        y = self.labels[rows]
        return Directions(values / len(y), basis, y - y.mean(0) if self.center else y, self.center)

    def halves(self, count: int, seed: int) -> Iterable[Directions]:
        """Decompose random halves of the rows, or of the groups."""
        units = np.arange(len(self.kernel)) if self.groups is None else self.groups
        for half in random_halves(int(units.max()) + 1, count, seed):
            rows = half if self.groups is None else np.flatnonzero(np.isin(units, half))
            kernel = centered(self.kernel[np.ix_(rows, rows)], center=self.center)
            yield self.directions(resolved(*np.linalg.eigh(kernel), len(rows), self.digits), rows)


def estimate_with_halves(
    whole: Directions, num_modes: float, halves: Iterable[Directions], *, normalize: bool, part: float = 1.0
) -> Estimate:
    """Estimate the population from all rows, and from samples of halves; part: see `Directions.estimate`."""
    estimated = whole.estimate(num_modes, normalize=normalize, part=part)
    rows = whole.basis * np.sqrt(len(whole.labels) * whole.values)
    estimated = dataclasses.replace(estimated, spread=spread(rows, whole.values))
    samples = (half.sample(num_modes) for half in halves)
    return with_replicas(estimated, [sample._replace(size=sample.size * part) for sample in samples])


def with_replicas(estimated: Estimate, samples: Sequence[Sample]) -> Estimate:
    """Add estimates from samples of halves of the rows."""
    mixture = estimated.sample.mixture  # halves have that of all rows
    samples = [sample._replace(mixture=mixture) for sample in samples]
    replicas = tuple(estimate(sample, estimated.scale, estimated.window) for sample in samples)
    return dataclasses.replace(estimated, replicas=replicas)


def random_halves(parts: int, count: int, seed: int) -> list[np.ndarray]:
    """Draw halves of the parts, without replacement."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(parts)[: parts // 2] for _ in range(count)]
