"""Problems made of real data: from the features of rows, from their kernel, or from inputs of a random layer."""

import dataclasses
import math
from functools import reduce

import numpy as np

from rfm import checks
from rfm.data.directions import (
    Pairs,
    decompose,
    estimate_with_halves,
    independent_part,
    measure,
    population_of,
    problem_of,
    random_halves,
    with_replicas,
)
from rfm.data.groups import numbered
from rfm.data.kernels import KERNELS, centered, check_kernel, kernel_spectrum, resolved, rounding
from rfm.data.row_sizes import estimate_row_sizes, spread
from rfm.data.rows import (
    PARTS,
    Moments,
    Shares,
    blocks,
    check_features,
    check_labels,
    check_variance,
    kernel_of,
    middle_row,
    moments,
    refuse_too_large,
)
from rfm.data.spectra import Estimate, estimate
from rfm.problem import Array, Problem

MEASURED = 1000  # rows that tell sizes, where not all are kept


def from_features(
    features: Array, labels: Array, noise_var: float = 0.0, *, center: bool = True, normalize: bool = True
) -> Problem:
    """Estimate the population that rows of features come from, and keep the rows to train on.

    Eigenvalues, target and noise are estimates of what the rows are a sample of, corrected for its size, with a power
    law for modes beyond those that n rows resolve (`rfm.data.spectra`): they are for `theory.predict`. `rfm.simulate`
    trains on P distinct rows and tests on the others; its risk is the loss there less the estimated noise.

    Args:
        features: (n, d), one row a sample, e.g. random ReLU features of images.
        labels: (n,), or (n, K) whose risk is summed over outputs.
        noise_var: Variance of fresh label noise on top.
        center: Subtract the means of features and labels.
        normalize: Divide features by the root of the largest eigenvalue of their covariance, so that time is in units
            of the fastest mode.

    Returns:
        The problem, its rows in `population`.

    Raises:
        ValueError: Wrong shapes, values that are not finite, features without variance, or more than memory holds: then
            `estimate_features` streams over the rows.

    Example:
        >>> import numpy as np, rfm
        >>> rows = np.random.default_rng(0).standard_normal((40, 6)) / np.arange(1, 7)
        >>> rfm.from_features(rows, rows[:, 0] + rows[:, 1]).population.rows.shape
        (40, 6)
    """
    checks.number("noise_var", noise_var, 0.0, "a finite variance >= 0", inclusive=True)
    n, d = check_features(features)
    refuse_too_large(5 * 8 * n * d, f"{n} rows of {d} columns", "estimate_features keeps no rows")
    y = check_labels(labels, n)
    x = np.concatenate([block for _, block in blocks(features, n, d)])
    directions = decompose(x - x.mean(0) if center else x, y, center=center, digits=rounding(features))
    check_variance(y, center=center)
    return problem_of(directions, d, noise_var, normalize=normalize, single=np.ndim(labels) == 1)


def from_kernel(
    kernel: Array, labels: Array, noise_var: float = 0.0, *, center: bool = True, normalize: bool = True,
    num_modes: int | None = None,
) -> Problem:  # fmt: skip
    """Estimate the population behind a kernel matrix, e.g. a neural tangent kernel, and keep rows to train on.

    The rows are those of a root of the kernel.

    Args:
        kernel: K(x, x') of n inputs, (n, n).
        labels: (n,) or (n, K), as in `from_features`.
        noise_var: Variance of fresh label noise on top.
        center: Subtract the means of features and labels.
        normalize: Divide by the largest eigenvalue of the covariance, as in `from_features`.
        num_modes: Modes of the kernel, None for infinitely many.

    Returns:
        The problem, its rows in `population`.

    Raises:
        ValueError: A kernel that is not square, finite, symmetric and without negative eigenvalues, or whose rank is
            below its rows though infinitely many modes are asked for.

    Example:
        >>> import numpy as np, rfm
        >>> x = np.random.default_rng(0).standard_normal((40, 3))
        >>> kernel = np.exp(-np.sum((x[:, None] - x) ** 2, axis=-1))
        >>> rfm.from_kernel(kernel, x[:, 0]).population.rows.shape
        (40, 39)
    """
    checks.number("noise_var", noise_var, 0.0, "a finite variance >= 0", inclusive=True)
    digits, kernel = rounding(kernel), check_kernel(kernel)
    y = check_labels(labels, len(kernel), "kernel")
    values, basis = kernel_spectrum(kernel, num_modes, center=center, digits=digits)
    directions = decompose(basis * np.sqrt(values), y, center=center)
    check_variance(y, center=center)
    modes = math.inf if num_modes is None else num_modes
    return problem_of(directions, modes, noise_var, normalize=normalize, single=np.ndim(labels) == 1)


def from_inputs(
    inputs: Array, labels: Array, activation: str, noise_var: float = 0.0, *, center: bool = True,
    normalize: bool = True,
) -> Problem:  # fmt: skip
    """Estimate the kernel of a random hidden layer on real inputs: `simulate(features=activation)` draws the layer.

    K(x, x') = E_w s(w x) s(w x'), w ~ N(0, 1): the arc-cosine kernel of degree 1 (Cho and Saul 2009) or the arcsine
    kernel (Williams 1997). Its eigenvectors are the rows of the problem, so that theory, Gaussian features and real
    neurons are compared at one spectrum.

    Args:
        inputs: (n, d).
        labels: (n,) or (n, K), as in `from_features`.
        activation: "relu" or "erf".
        noise_var: Variance of fresh label noise on top.
        center: Subtract the means of features and labels.
        normalize: Divide by the largest eigenvalue of the covariance, as in `from_features`.

    Returns:
        The problem, its rows and inputs in `population`.

    Raises:
        ValueError: Wrong shapes, values that are not finite, or features without variance.

    Example:
        >>> import numpy as np, rfm
        >>> x = np.random.default_rng(0).standard_normal((40, 3))
        >>> rfm.from_inputs(x, x[:, 0], "relu").population.inputs.shape
        (40, 3)
    """
    checks.one_of("activation", activation, tuple(KERNELS))
    checks.number("noise_var", noise_var, 0.0, "a finite variance >= 0", inclusive=True)
    x = checks.numeric("inputs", inputs)
    if x.ndim != 2 or x.shape[0] < 2 or not np.all(np.isfinite(x)):
        checks.fail("inputs", "a finite matrix (n, d) of at least two rows", x.shape)
    y = check_labels(labels, len(x), "inputs")
    check_variance(y, center=center)
    values, basis = np.linalg.eigh(centered(KERNELS[activation](x @ x.T), center=center))
    scale = math.sqrt(len(x) / values[-1]) if normalize else 1.0
    rows = basis[:, ::-1] * np.sqrt(values[::-1].clip(0.0))
    directions = decompose(rows, y, center=center)
    problem = problem_of(directions, math.inf, noise_var, normalize=normalize, single=np.ndim(labels) == 1)
    assert problem.population is not None
    population = dataclasses.replace(problem.population, inputs=x, scale=scale, activation=activation)
    return dataclasses.replace(problem, population=population)


def estimate_features(
    features: Array, labels: Array, *, center: bool = True, normalize: bool = True, replicas: int = 0, seed: int = 0,
    groups: Array | None = None,
) -> Estimate:  # fmt: skip
    """Return what `from_features` estimates, with its diagnostics and without the rows, which may lie on disk.

    Memory is that of 12 matrices (d, d), or of 3 (n, n) where d > n.

    Args:
        features: (n, d), an array or anything with a shape whose slices are arrays (numpy.memmap): read block by block,
            once where n >= d.
        labels: (n,) or (n, K), as in `from_features`.
        center: Subtract the means of features and labels.
        normalize: Divide by the largest eigenvalue of the covariance, as in `from_features`.
        replicas: As many estimates from random halves of the rows, for standard errors.
        seed: Of the halves.
        groups: (n,) numbers or text, equal for rows of one origin, such as a patient; then n of the equations is the
            number of groups, and halves are of groups. None: rows are independent.

    Returns:
        The estimate, with its replicas.

    Raises:
        ValueError: As in `from_features`.

    Example:
        >>> import numpy as np
        >>> from rfm.data.from_data import estimate_features
        >>> rows = np.random.default_rng(0).standard_normal((200, 30)) / np.arange(1, 31)
        >>> estimate_features(rows, rows[:, 0], replicas=2).trusted
        30
    """
    n, d = check_features(features)
    y = check_labels(labels, n)
    check_variance(y, center=center)
    digits = max(rounding(features) ** 2, rounding(y))  # of second moments
    units = None if groups is None else numbered(groups, n)
    if d > n:
        pairs = Pairs(kernel_of(features, center=center), y, center, digits, units)
        whole = pairs.directions(resolved(*np.linalg.eigh(centered(pairs.kernel, center=center)), n, digits))
        part = independent_part(units)
        return estimate_with_halves(whole, d, pairs.halves(replicas, seed), normalize=normalize, part=part)
    parts = moments(features, y, center=center, shares=Shares(PARTS if replicas else 1, seed, units))
    whole = measure(reduce(Moments.plus, parts), d, center=center, digits=digits).independent(units)
    some = np.sort(np.random.default_rng(seed).permutation(n)[:MEASURED])
    x = np.concatenate([np.asarray(features[i : i + 1], np.float64) for i in some])
    x = (x - (middle_row(features) + whole.mean) if center else x) @ whole.basis
    residual = y[some] - y.mean(0) if center else y[some]
    values = whole.sample.eigenvalues
    sample = whole.sample._replace(mixture=estimate_row_sizes(x, residual, values, whole.target, size=n))
    estimated = estimate(sample, float(values[0]) if normalize else 1.0)
    halves = (reduce(Moments.plus, [parts[i] for i in half]) for half in random_halves(PARTS, replicas, seed))
    measured = (measure(half, sample.num_modes, center=center, digits=digits) for half in halves)
    samples = [half.independent(units).sample for half in measured]
    return with_replicas(dataclasses.replace(estimated, spread=spread(x, values)), samples)


def estimate_kernel(
    kernel: Array, labels: Array, *, center: bool = True, normalize: bool = True, num_modes: int | None = None,
    replicas: int = 0, seed: int = 0, groups: Array | None = None,
) -> Estimate:  # fmt: skip
    """Return what `from_kernel` estimates, with its diagnostics and without rows.

    Args:
        kernel: K(x, x') of n inputs, (n, n).
        labels: (n,) or (n, K), as in `from_features`.
        center: Subtract the means of features and labels.
        normalize: Divide by the largest eigenvalue of the covariance, as in `from_features`.
        num_modes: Modes of the kernel, None for infinitely many.
        replicas: As many estimates from random halves of the inputs, for standard errors.
        seed: Of the halves.
        groups: (n,) numbers or text, equal for rows of one origin, such as a patient; then n of the equations is the
            number of groups, and halves are of groups. None: rows are independent.

    Returns:
        The estimate, with its replicas.

    Raises:
        ValueError: As in `from_kernel`.

    Example:
        >>> import numpy as np
        >>> from rfm.data.from_data import estimate_kernel
        >>> x = np.random.default_rng(0).standard_normal((40, 3))
        >>> estimate_kernel(np.exp(-np.sum((x[:, None] - x) ** 2, axis=-1)), x[:, 0]).trusted
        19
    """
    digits, kernel = rounding(kernel), check_kernel(kernel)
    units = None if groups is None else numbered(groups, len(kernel))
    pairs = Pairs(kernel, check_labels(labels, len(kernel), "kernel"), center, digits, units)
    check_variance(pairs.labels, center=center)
    whole = pairs.directions(kernel_spectrum(kernel, num_modes, center=center, digits=digits))
    modes = math.inf if num_modes is None else num_modes
    halves, part = pairs.halves(replicas, seed), independent_part(units)
    return estimate_with_halves(whole, modes, halves, normalize=normalize, part=part)


def rows_alone(features: Array, labels: Array) -> Problem:
    """Return rows (n, d) to train and to test on, less their means, with nothing estimated: risk is squared error."""
    return _unestimated(features - features.mean(0), labels)


def kernel_rows_alone(kernel: Array, labels: Array, num_modes: int | None = None) -> Problem:
    """Return `rows_alone` for those of a root of a kernel (n, n); errors as in `from_kernel`."""
    values, basis = kernel_spectrum(check_kernel(kernel), num_modes, center=True, digits=rounding(kernel))
    return _unestimated(basis * np.sqrt(values), labels)


def _unestimated(x: np.ndarray, labels: np.ndarray) -> Problem:
    directions = decompose(x, labels, center=True)
    values = directions.values
    population = population_of(directions, 1.0, directions.labels, 0.0)
    size = np.sqrt(np.sum(population.target.reshape(len(values), -1) ** 2, axis=1))
    return Problem(values, size, population=population)
