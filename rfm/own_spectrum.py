"""Problems of a spectrum that is given mode by mode, in any order."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.precision import is_traced
from rfm.problem import Problem


def from_spectrum(
    eigenvalues: ArrayLike,
    target_power: ArrayLike | None = None,
    *,
    target: ArrayLike | None = None,
    noise_var: Any = 0.0,
) -> Problem:
    """State a problem by its own spectrum, in any order: eigenvalues of a covariance or kernel, and a target on them.

    Modes are sorted by decreasing eigenvalue, each with its target. Modes of eigenvalue zero are left out, since no
    sample has a component there, and a warning says how many; a negative eigenvalue counts as zero where it is no
    larger than the rounding of an eigenvalue solver.

    Args:
        eigenvalues: (m,) variances of the modes, >= 0, in any order.
        target_power: (m,) the variance of the label that each mode explains, lambda_k w_k^2 >= 0; or else
        target: (m,) the coefficients w_k of the label, y = sum_k w_k psi_k. One of the two is given.
        noise_var: label-noise variance, >= 0.

    Returns:
        `Problem` with all modes as arrays.

    Raises:
        ValueError: for eigenvalues that are negative, not finite or all zero, a target of another shape or not finite,
            both of `target_power` and `target` or neither, or power in a mode of eigenvalue zero.

    Example:
        >>> import rfm
        >>> problem = rfm.from_spectrum([0.25, 1.0], target_power=[0.1, 0.9], noise_var=0.01)
        >>> problem.eigenvalues.tolist(), (problem.eigenvalues * problem.target**2).round(12).tolist()
        ([1.0, 0.25], [0.9, 0.1])
    """
    if is_traced(eigenvalues, target_power, target):
        checks.fail("eigenvalues", "known numbers (inside a JAX transformation: rfm.Problem, sorted)", eigenvalues)
    lam = checks.numeric("eigenvalues", eigenvalues)
    if lam.ndim != 1 or not lam.size or not np.all(np.isfinite(lam)) or not lam.max() > 0:
        checks.fail("eigenvalues", "finite numbers in one dimension, not all zero", lam)
    if lam.min() < -_rounding(lam):
        checks.fail("eigenvalues", f">= 0 (mode {int(lam.argmin())} is negative)", float(lam.min()))
    if (target_power is None) == (target is None):
        given = "but not both" if target is not None else "or `target` is"
        checks.fail("target_power", f"given, {given}", target_power)
    name, values = ("target", target) if target_power is None else ("target_power", target_power)
    coefficients = checks.numeric(name, values)
    if coefficients.shape != lam.shape:
        checks.fail(name, f"of the shape of eigenvalues, {lam.shape}", coefficients.shape)
    if not np.all(np.isfinite(coefficients)):
        checks.fail(name, "finite", coefficients)
    if name == "target_power":
        coefficients = _from_power(lam, coefficients)
    there = lam > 0
    if not there.all():
        warnings.warn(f"{np.sum(~there)} of {lam.size} eigenvalues are zero and left out.", UserWarning, stacklevel=2)
    order = np.flatnonzero(there)[np.argsort(-lam[there], kind="stable")]
    return Problem(lam[order], coefficients[order], noise_var)


def _from_power(eigenvalues: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Return the coefficients (m,) of a target with the given power in every mode, 0 where the eigenvalue is 0."""
    there, rounding = eigenvalues > 0, _rounding(power)
    if power.min() < -rounding or np.any(power[there] < 0):
        checks.fail("target_power", ">= 0, the variance of the label that a mode explains", float(power.min()))
    lost = np.where(there, 0.0, power)
    if lost.max() > rounding:
        allowed = f"zero where the eigenvalue is (mode {int(lost.argmax())}): add what no sample shows to noise_var"
        checks.fail("target_power", allowed, float(lost.max()))
    return np.sqrt(np.where(there, power, 0.0)) / np.sqrt(np.where(there, eigenvalues, 1.0))


def _rounding(values: np.ndarray) -> float:
    """Return how far from zero an eigenvalue solver may put an eigenvalue that is zero."""
    return values.size * np.finfo(np.float64).eps * float(np.abs(values).max())
