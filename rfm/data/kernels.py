"""Kernel matrices of random layers, checks of a given kernel, and its spectrum."""

import math
from typing import Any

import numpy as np

from rfm import checks
from rfm.problem import Array

LEAST_RANK = 0.9  # of a kernel, relative to its rows, to pass for one of infinitely many modes
STEEP, FASTER = 3.0, 1.2  # exponent of the last octave, and times that of the one before: faster than a power
NEGATIVE = 1e-6  # of the largest: a kernel has no eigenvalues further below zero


def check_kernel(kernel: Array) -> np.ndarray:
    """Return a kernel in float64; ValueError unless it is square, finite and symmetric."""
    k = checks.numeric("kernel", kernel)
    if k.ndim != 2 or k.shape[0] != k.shape[1] or len(k) < 2:
        checks.fail("kernel", "a square matrix (n, n) of at least two inputs", k.shape)
    if not np.all(np.isfinite(k)):
        row, column = np.argwhere(~np.isfinite(k))[0]
        checks.fail("kernel", "finite", f"an array with NaN or infinity, first in row {row}, column {column}")
    off = np.abs(k - k.T)
    if off.max() > NEGATIVE * np.abs(k).max():
        row, column = np.unravel_index(off.argmax(), off.shape)
        checks.fail("kernel", "symmetric", f"{k[row, column]:.6g} at ({row}, {column}) and {k[column, row]:.6g} across")
    return 0.5 * (k + k.T)


def kernel_spectrum(
    kernel: np.ndarray, num_modes: int | None, *, center: bool, digits: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues (r,) decreasing and eigenvectors (n, r) of a kernel, centred; ValueError if it is not one.

    digits: `rounding` of the numbers that the kernel came in.
    """
    values, basis = np.linalg.eigh(centered(kernel, center=center))
    if values[0] < -max(NEGATIVE, len(kernel) * digits) * np.abs(values).max():
        checks.fail("kernel", "without negative eigenvalues", f"one with {values[0]:.3g} beside {values[-1]:.3g}")
    if values[-1] <= len(kernel) * digits * np.abs(kernel).max():
        checks.fail("kernel", "of non-zero variance", "constant" if center else "zero")
    values, basis = resolved(values, basis, len(kernel), digits)
    rank = len(values)
    if num_modes is None and rank < LEAST_RANK * (len(kernel) - center):
        why = "features of finitely many modes, or inputs that repeat"
        allowed = f"of full rank, or num_modes={rank} (--num-modes {rank}: {why})"
        checks.fail("kernel", allowed, f"of rank {rank} for {len(kernel)} inputs")
    if num_modes is not None:
        num_modes = checks.count("num_modes", num_modes, "an integer >= 1, or None for infinitely many")
        if num_modes < rank:
            checks.fail("num_modes", f"at least the rank of the kernel, {rank}", num_modes)
    return values, basis


def rounding(numbers: Any) -> float:
    """Return the relative rounding of an array's type, or that of float64 for integers."""
    kind: Any = getattr(numbers, "dtype", float)
    return float(np.finfo(kind if np.issubdtype(kind, np.floating) else float).eps)


def resolved(
    values: np.ndarray, basis: np.ndarray, size: int, digits: float = float(np.finfo(float).eps)
) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenpairs above rounding of the largest one, in decreasing order; they come in increasing order."""
    keep = values > max(values[-1], 0.0) * size * digits
    if not keep.any():
        checks.fail("features", "of non-zero variance", "constant")
    return values[keep][::-1], basis[:, keep][:, ::-1]


def falls_faster(eigenvalues: np.ndarray) -> bool:
    """Do eigenvalues fall faster than a power: steeply, and more so over the last octave than over the one before?

    Example:
        >>> k = np.arange(1.0, 65.0)
        >>> falls_faster(k**-3.5), falls_faster(np.exp(-k / 4))
        (False, True)
    """
    last = len(eigenvalues)
    quarter, half, end = np.log(eigenvalues[[max(last // 4, 1) - 1, max(last // 2, 1) - 1, last - 1]])
    before, after = (quarter - half) / math.log(2.0), (half - end) / math.log(2.0)
    return bool(after > STEEP and after > FASTER * before)


def centered(kernel: np.ndarray, *, center: bool) -> np.ndarray:
    """Return the kernel of features less their means, where `center`."""
    return kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean() if center else kernel


def _arc_cosine(gram: np.ndarray) -> np.ndarray:
    norm = np.sqrt(np.diag(gram))
    size = np.outer(norm, norm)
    cosine = np.clip(gram / np.where(size > 0, size, 1.0), -1.0, 1.0)
    return size / (2 * np.pi) * (np.sqrt(1 - cosine**2) + (np.pi - np.arccos(cosine)) * cosine)


def _arcsine(gram: np.ndarray) -> np.ndarray:
    size = 1 + 2 * np.diag(gram)
    return 2 / np.pi * np.arcsin(2 * gram / np.sqrt(np.outer(size, size)))


KERNELS = {"relu": _arc_cosine, "erf": _arcsine}
