"""Parts of a problem: the power law beyond the modes kept one by one, rows of unequal size or kind, real rows."""

import math
from typing import Any

import jax
import numpy as np

from rfm import checks
from rfm.precision import is_traced
from rfm.pytrees import pytree, static

Array = Any  # a numpy or jax array


@pytree
class PowerLawTail:
    """Modes m + 1 .. num_modes by formula: eigenvalue_scale k^-b, eigenvalue x target^2 = power_scale k^-a.

    Attributes:
        a: task exponent.
        b: spectral exponent.
        eigenvalue_scale: factor of the eigenvalues.
        power_scale: factor of eigenvalue x target^2.
        num_modes: the last mode, None for infinitely many.
    """

    a: Array
    b: Array
    eigenvalue_scale: Array
    power_scale: Array
    num_modes: Array | None  # None: infinite

    def sums(self, first: int) -> tuple[float, float]:
        """Sum eigenvalues and eigenvalue x target^2 over the modes first .. num_modes, first >= 100."""
        last = math.inf if self.num_modes is None else float(self.num_modes)
        trace, power = (power_sum(float(x), first, last) for x in (self.b, self.a))
        return float(self.eigenvalue_scale) * trace, float(self.power_scale) * power


@pytree
class ScaleMixture:
    """Rows of unequal size: x = sqrt(size) z with z Gaussian, and label noise of variance noise_var * noise.

    Attributes:
        sizes: (J,) size of each kind of row, > 0, of weighted mean one.
        noise: (J,) share of the label noise, >= 0, of weighted mean one.
        weights: (J,) probability of each kind, which sum to one.

    Raises:
        ValueError: where these do not hold (to 1e-9).

    Example:
        >>> ScaleMixture([0.5, 1.5], [1.0, 1.0], [0.5, 0.5]).sizes.tolist()
        [0.5, 1.5]
    """

    sizes: Array
    noise: Array
    weights: Array

    def __post_init__(self) -> None:
        for name in ("sizes", "noise", "weights"):
            object.__setattr__(self, name, as_float64(name, getattr(self, name)))
        sizes, noise, weights = self.sizes, self.noise, self.weights
        if is_traced(sizes, noise, weights):
            return
        if sizes.ndim != 1 or not sizes.size or not np.all(np.isfinite(sizes) & (sizes > 0)):
            checks.fail("sizes", "positive numbers in one dimension, not empty", sizes)
        for name, values, average in (("weights", weights, sizes**0), ("sizes", sizes, sizes), ("noise", noise, noise)):
            if values.shape != sizes.shape:
                checks.fail(name, f"of the shape of sizes, {sizes.shape}", values.shape)
            if not np.all(np.isfinite(values) & (values >= 0)) or abs(weights @ average - 1.0) > 1e-9:
                what = "numbers >= 0 that sum to one" if name == "weights" else "numbers >= 0 of weighted mean one"
                checks.fail(name, what, values)


@pytree
class Domains:
    """Rows of several domains: x_k = sqrt(spectra_dk) z_k with z Gaussian, and label noise of a variance of its own.

    Attributes:
        spectra: (D, M) variance of every mode in every domain, >= 0.
        noise: (D,) share of the label noise, >= 0, of weighted mean one.
        shares: (D,) of the domains among the rows that are trained on, >= 0, which sum to one.

    Raises:
        ValueError: where these do not hold (to 1e-9).

    Example:
        >>> Domains([[1.0, 0.5], [0.5, 1.0]], [1.0, 1.0], [0.5, 0.5]).pooled.tolist()
        [0.75, 0.75]
    """

    spectra: Array
    noise: Array
    shares: Array

    def __post_init__(self) -> None:
        for name in ("spectra", "noise", "shares"):
            object.__setattr__(self, name, as_float64(name, getattr(self, name)))
        spectra, noise, shares = self.spectra, self.noise, self.shares
        if is_traced(spectra, noise, shares):
            return
        if spectra.ndim != 2 or not spectra.size or not np.all(np.isfinite(spectra) & (spectra >= 0)):
            checks.fail("spectra", "finite numbers >= 0 of shape (D, M), a row for each domain", spectra)
        check_shares("shares", shares, len(spectra))
        if noise.shape != shares.shape or not np.all(np.isfinite(noise) & (noise >= 0)):
            checks.fail("noise", f"finite numbers >= 0, one for each of {len(spectra)} domains", noise)
        if abs(shares @ noise - 1.0) > 1e-9:
            checks.fail("noise", "of weighted mean one", noise)

    @property
    def pooled(self) -> Array:
        """Variances (M,) of the modes over all rows."""
        return self.shares @ self.spectra


def check_shares(name: str, shares: np.ndarray, count: int) -> None:
    """Refuse anything but the shares of so many domains."""
    if shares.shape != (count,):
        checks.fail(name, f"one number for each of {count} domains", shares)
    if not np.all(np.isfinite(shares) & (shares >= 0)) or abs(shares.sum() - 1.0) > 1e-9:
        checks.fail(name, "numbers >= 0 that sum to one", shares)


@pytree
class Population:
    """Real rows to train and to test on, in the eigenbasis of their covariance.

    Eigenvalues and target say what these rows are, where those of the problem estimate what they come from. A problem's
    noise_var beyond `unexplained` is fresh noise on every sample.

    Attributes:
        rows: (n, m) with mean of rows_k rows_l = eigenvalues_k delta_kl.
        labels: (n,) or (n, K).
        eigenvalues: (m,) of the covariance of the rows.
        target: (m,) or (m, K), the best linear predictor on them.
        unexplained: () label noise in the labels, estimated.
        inputs: (n, d) what neurons of `activation` see, where the rows are those of their kernel.
        scale: () factor that normalizes these neurons.
        activation: name of the neurons, if any.
    """

    rows: Array
    labels: Array
    eigenvalues: Array
    target: Array
    unexplained: Array
    inputs: Array | None = None
    scale: Array = 1.0
    activation: str | None = static(default=None)


def power_sum(exponent: float, first: float, last: float) -> float:
    """Sum k^-exponent over k = first .. last, perhaps infinite, by Euler and Maclaurin: to rounding where first >= 100.

    Example:
        >>> abs(power_sum(2.0, 100, math.inf) - (math.pi**2 / 6 - sum(k**-2.0 for k in range(1, 100)))) < 1e-15
        True
    """
    # notation: p = exponent; the terms at an end are f/2 -+ f'/12 +- f\'\'\'/720 -+ f^(5)/30240
    p, folds = exponent, math.log(last / first) if last > first else 0.0

    def at(x: float, sign: float) -> float:
        if math.isinf(x):
            return 0.0
        odd = [p, -p * (p + 1) * (p + 2), math.prod(p + i for i in range(5))]
        ends = (c * x**-n / d for c, n, d in zip(odd, (1, 3, 5), (12, 720, 30240), strict=True))
        return x**-p * (0.5 + sign * sum(ends))

    if last < first:
        return 0.0
    if math.isinf(last):
        inside = first ** (1.0 - p) / (p - 1.0) if p > 1.0 else math.inf
    else:
        grows = (1.0 - p) * folds
        inside = folds * first ** (1.0 - p) * (math.expm1(grows) / grows if grows else 1.0)
    return inside + at(first, 1.0) + at(last, -1.0)


def as_float64(name: str, value: object) -> Array:
    """Return the value as numpy float64; tracers stay as they are."""
    if is_traced(value):
        return value
    return checks.numeric(name, jax.device_get(value) if isinstance(value, jax.Array) else value)
