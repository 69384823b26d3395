"""From the features of real rows, their kernel, or inputs of a random layer, to a `Problem`."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from rfm import checks
from rfm.data.kernels import KERNELS, centered, check_kernel, kernel_spectrum, resolved
from rfm.data.row_sizes import estimate_row_sizes, spread
from rfm.data.rows import (
    PARTS,
    Moments,
    blocks,
    check_features,
    check_labels,
    kernel_of,
    middle_row,
    moments,
    refuse_too_large,
)
from rfm.data.spectra import Estimate, Sample, estimate
from rfm.problem import Array, Population, Problem

MEASURED = 1000  # rows that tell sizes, where not all are kept


def from_features(
    features: Array, labels: Array, noise_var: float = 0.0, center: bool = True, normalize: bool = True
) -> Problem:
    """The population that rows of features come from, and the rows themselves to train on.

    features: (n, d) one row a sample, e.g. random ReLU features of images; labels: (n,), or (n, K) whose risk is summed
    over outputs; noise_var: fresh label noise on top. `center` subtracts the means; `normalize` divides features by the
    root of the largest eigenvalue of their covariance, so that time is in units of the fastest mode.

    Eigenvalues, target and noise are estimates of what the rows are a sample of, corrected for its size, with a power
    law for modes beyond those that n rows resolve (`rfm.spectra`): they are for `theory.predict`. `rfm.simulate` trains
    on P distinct rows and tests on the others; its risk is the loss there less the estimated noise.

    Raises ValueError for wrong shapes, values that are not finite, features without variance, or more than memory
    holds: then `estimate_features` streams over the rows.
    """
    checks.number("noise_var", noise_var, 0.0, "a finite variance >= 0", inclusive=True)
    n, d = check_features(features)
    refuse_too_large(5 * 8 * n * d, f"{n} rows of {d} columns", "estimate_features keeps no rows")
    y = check_labels(labels, n)
    x = np.concatenate([block for _, block in blocks(features, n, d)])
    if center:
        x, y = x - x.mean(0), y - y.mean(0)
    return _with_rows(x, y, noise_var, center, normalize, d, np.ndim(labels) == 1)


def from_kernel(
    kernel: Array,
    labels: Array,
    noise_var: float = 0.0,
    center: bool = True,
    normalize: bool = True,
    num_modes: int | None = None,
) -> Problem:
    """The population behind a kernel matrix K(x, x') (n, n) of n inputs, e.g. a neural tangent kernel.

    num_modes: of the kernel, None for infinitely many. Everything else as in `from_features`; rows are those of a root
    of the kernel. Raises ValueError for a kernel that is not square, finite, symmetric and without negative
    eigenvalues, or whose rank is below its rows though infinitely many modes are asked for.
    """
    checks.number("noise_var", noise_var, 0.0, "a finite variance >= 0", inclusive=True)
    kernel = check_kernel(kernel)
    y = check_labels(labels, len(kernel), "kernel")
    values, basis = kernel_spectrum(kernel, center, num_modes)
    y = y - y.mean(0) if center else y
    modes = math.inf if num_modes is None else num_modes
    return _with_rows(basis * np.sqrt(values), y, noise_var, center, normalize, modes, np.ndim(labels) == 1)


def from_inputs(
    inputs: Array, labels: Array, activation: str, noise_var: float = 0.0, center: bool = True, normalize: bool = True
) -> Problem:
    """The kernel of a random hidden layer on real inputs: `simulate(features=activation)` draws the layer.

    inputs: (n, d); labels: (n,) or (n, K); activation: "relu" or "erf". K(x, x') = E_w s(w x) s(w x'), w ~ N(0, 1):
    the arc-cosine kernel of degree 1 (Cho and Saul 2009) or the arcsine kernel (Williams 1997). Its eigenvectors are
    the rows of the problem, so that theory, Gaussian features and real neurons are compared at one spectrum.
    `center`, `normalize` and errors as in `from_kernel`.
    """
    checks.one_of("activation", activation, tuple(KERNELS))
    checks.number("noise_var", noise_var, 0.0, "a finite variance >= 0", inclusive=True)
    try:
        x = np.asarray(inputs, np.float64)
    except (TypeError, ValueError):
        checks.fail("inputs", "numeric", inputs)
    if x.ndim != 2 or x.shape[0] < 2 or not np.all(np.isfinite(x)):
        checks.fail("inputs", "a finite matrix (n, d) of at least two rows", x.shape)
    y = check_labels(labels, len(x), "inputs")
    y = y - y.mean(0) if center else y
    kernel = centered(KERNELS[activation](x @ x.T), center)
    values, basis = np.linalg.eigh(kernel)
    scale = math.sqrt(len(x) / values[-1]) if normalize else 1.0
    rows = basis[:, ::-1] * np.sqrt(values[::-1].clip(0.0))
    problem = _with_rows(rows, y, noise_var, center, normalize, math.inf, np.ndim(labels) == 1)
    population = dataclasses.replace(problem.population, inputs=x, scale=scale, activation=activation)
    return dataclasses.replace(problem, population=population)


def estimate_features(
    features: Array, labels: Array, center: bool = True, normalize: bool = True, replicas: int = 0, seed: int = 0
) -> Estimate:
    """What `from_features` estimates, with its diagnostics and without the rows, which may lie on disk.

    features: (n, d) array, or anything with a shape whose slices are arrays (numpy.memmap): read block by block, once
    where n >= d. replicas: as many estimates from random halves of the rows, drawn with `seed`. Errors as in
    `from_features`; memory is that of 12 matrices (d, d), or of 3 (n, n) where d > n.
    """
    n, d = check_features(features)
    y = check_labels(labels, n)
    if d > n:
        kernel = kernel_of(features, center)
        found = resolved(*np.linalg.eigh(centered(kernel, center)), n)
        return _estimate_kernel(kernel, found, y, center, normalize, d, replicas, seed)
    parts = moments(features, y, center, PARTS if replicas else 1, seed)
    whole = _sum(parts)
    sample, basis, mean, target = _sample_of(whole, center, d)
    some = np.sort(np.random.default_rng(seed).permutation(n)[:MEASURED])
    x = np.concatenate([np.asarray(features[i : i + 1], np.float64) for i in some])
    x = (x - (middle_row(features) + mean) if center else x) @ basis
    own = y[some] - y.mean(0) if center else y[some]
    sample = sample._replace(mixture=estimate_row_sizes(x, own, sample.eigenvalues, target, n))
    estimated = estimate(sample, float(sample.eigenvalues[0]) if normalize else 1.0)
    halves = _halves(PARTS, replicas, seed)
    samples = [_sample_of(_sum([parts[i] for i in half]), center, sample.num_modes)[0] for half in halves]
    estimated = dataclasses.replace(estimated, spread=spread(x, sample.eigenvalues))
    return _with_replicas(estimated, samples)


def estimate_kernel(
    kernel: Array, labels: Array, center: bool = True, normalize: bool = True, num_modes: int | None = None,
    replicas: int = 0, seed: int = 0,
) -> Estimate:  # fmt: skip
    """What `from_kernel` estimates, with its diagnostics and without rows. replicas, seed: see `estimate_features`."""
    kernel = check_kernel(kernel)
    y = check_labels(labels, len(kernel), "kernel")
    found = kernel_spectrum(kernel, center, num_modes)
    modes = math.inf if num_modes is None else num_modes
    return _estimate_kernel(kernel, found, y, center, normalize, modes, replicas, seed)


def rows_alone(features: Array, labels: Array) -> Problem:
    """Rows (n, d) to train and to test on, their means subtracted, and nothing estimated: risk is squared error."""
    return _rows_alone(features - features.mean(0), labels)


def kernel_rows_alone(kernel: Array, labels: Array, num_modes: int | None = None) -> Problem:
    """As `rows_alone`, the rows being those of a root of a kernel (n, n); errors as in `from_kernel`."""
    values, basis = kernel_spectrum(check_kernel(kernel), True, num_modes)
    return _rows_alone(basis * np.sqrt(values), labels)


def _rows_alone(x: np.ndarray, labels: np.ndarray) -> Problem:
    values, basis = _directions(x)
    population = _population(values, basis, labels - labels.mean(0), 0.0)
    size = np.sqrt(np.sum(population.target.reshape(len(values), -1) ** 2, axis=1))
    return Problem(values, size, population=population)


def _with_rows(x, y, noise_var, center, normalize, num_modes, single: bool) -> Problem:
    """Problem of rows x (n, d) and labels y (n, K) less their means, `single` where labels were (n,)."""
    values, basis = _directions(x)
    scale = values[0] if normalize else 1.0
    sample = _sample(values, basis, y, center, _modes(len(values), len(x) - center, num_modes))
    estimated = estimate(_with_sizes(sample, basis, y), scale).problem
    population = _population(values / scale, basis, y[:, 0] if single else y, estimated.noise_var)
    total, mixture = estimated.noise_var + noise_var, estimated.mixture
    if mixture is not None and noise_var:  # fresh noise is the same for rows of all sizes
        noise = (estimated.noise_var * mixture.noise + noise_var) / total
        mixture = dataclasses.replace(mixture, noise=noise)
    return dataclasses.replace(estimated, noise_var=total, population=population, mixture=mixture)


def _directions(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (r,) decreasing and eigenvectors (n, r) of x x^T/n."""
    left, singular, _ = np.linalg.svd(x, full_matrices=False)
    # a singular value below this is rounding of the largest one
    keep = singular > singular[0] * max(x.shape) * np.finfo(float).eps
    if not keep.any():
        checks.fail("features", "of non-zero variance", "constant")
    return singular[keep] ** 2 / len(x), left[:, keep]


def _population(eigenvalues: np.ndarray, basis: np.ndarray, y: np.ndarray, unexplained: float) -> Population:
    rows = basis * np.sqrt(len(y) * eigenvalues)  # (n, m), mean of rows_k rows_l = eigenvalues_k delta_kl
    target = ((rows.T @ y).T / (len(y) * eigenvalues)).T
    return Population(rows, y, eigenvalues, target, unexplained)


def _sample(eigenvalues: np.ndarray, basis: np.ndarray, y: np.ndarray, center: bool, num_modes: float) -> Sample:
    """Of eigenvectors (n, r) of x x^T/n, and labels (n, K) less their means where `center`."""
    n = len(y)
    power = np.sum((basis.T @ y) ** 2, axis=1) / n
    return Sample(eigenvalues, power, float(np.sum(y**2) / n), n - center, num_modes)


def _with_sizes(sample: Sample, basis: np.ndarray, y: np.ndarray) -> Sample:
    """The same with the sizes of all its rows; replicas from halves have those of the whole."""
    root = np.sqrt(len(y) * sample.eigenvalues)
    target = (basis.T @ y) / root[:, None]
    return sample._replace(mixture=estimate_row_sizes(basis * root, y, sample.eigenvalues, target, len(y)))


def _sum(parts: Sequence[Moments]) -> Moments:
    total = parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    return total


def _modes(rank: int, size: int, columns: float) -> float:
    """Of the population: the rank, unless it is the rows that limit it."""
    return rank if rank < size else max(columns, rank)


def _sample_of(m: Moments, center: bool, columns: float) -> tuple[Sample, np.ndarray, np.ndarray, np.ndarray]:
    """Sample, directions (d, r), mean row (d,), about what moments were taken about, and target (r, K)."""
    n, mean = m.count, m.x / m.count
    covariance, cross, total = m.gram / n, m.cross / n, np.sum(m.square) / n
    if center:
        covariance = covariance - np.outer(mean, mean)
        cross, total = cross - np.outer(mean, m.y / n), total - np.sum((m.y / n) ** 2)
    values, basis = resolved(*np.linalg.eigh(covariance), max(n, len(covariance)))
    target = (basis.T @ cross) / values[:, None]
    size = n - center
    sample = Sample(values, values * np.sum(target**2, axis=1), float(total), size, _modes(len(values), size, columns))
    return sample, basis, mean, target


def _estimate_kernel(kernel, spectrum, y, center, normalize, num_modes, replicas, seed) -> Estimate:
    n = len(kernel)

    def sample_of(y, values, basis):
        return _sample(values / len(y), basis, y - y.mean(0) if center else y, center, num_modes)

    def of_half(rows):
        own = centered(kernel[np.ix_(rows, rows)], center)
        return sample_of(y[rows], *resolved(*np.linalg.eigh(own), len(rows)))

    values, basis = spectrum
    sample = _with_sizes(sample_of(y, values, basis), basis, y - y.mean(0) if center else y)
    estimated = estimate(sample, float(sample.eigenvalues[0]) if normalize else 1.0)
    estimated = dataclasses.replace(estimated, spread=spread(basis * np.sqrt(values), sample.eigenvalues))
    rng = np.random.default_rng(seed)
    return _with_replicas(estimated, [of_half(rng.permutation(n)[: n // 2]) for _ in range(replicas)])


def _with_replicas(estimated: Estimate, samples: Sequence[Sample]) -> Estimate:
    window = estimated.window
    mixture = estimated.sample.mixture  # halves have that of all rows
    found = tuple(estimate(sample._replace(mixture=mixture), estimated.scale, window) for sample in samples)
    return dataclasses.replace(estimated, replicas=found)


def _halves(parts: int, count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.permutation(parts)[: parts // 2] for _ in range(count)]
