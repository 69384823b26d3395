"""The problem statement shared by simulation and theory: spectrum, target, label noise.

Features psi ~ N(0, diag(eigenvalues)), label y = target . psi + sqrt(noise_var) * eps with eps ~ N(0, 1). The
student is f(x) = v . F psi(x), F (N, M) Gaussian, v(0) = 0.

**Risk, everywhere in this project, is E_psi (f - target . psi)^2: no factor 1/2, label noise not included.**
Training loss is (1/P) sum_mu (f(x_mu) - y_mu)^2, label noise included.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from rfm import checks
from rfm.precision import is_traced
from rfm.pytrees import pytree, static

WHOLE = 512  # power laws up to this many modes are kept as arrays
HEAD = 128  # longer ones keep this many and state the rest by formula
Array = Any  # a numpy or jax array; concrete problems hold numpy float64 and so never lose digits


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
            object.__setattr__(self, name, _as_float64(name, getattr(self, name)))
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


@pytree
class Problem:
    """A linear teacher on features with a given spectrum.

    Attributes:
        eigenvalues: (m,) positive, decreasing.
        target: (m,) coefficients w.
        noise_var: () label-noise variance.
        tail: the modes beyond m, if any, by formula.
        population: real rows to train on in place of Gaussians, if any.
        mixture: sizes of the Gaussian rows, where they are not equal.

    Raises:
        ValueError: for eigenvalues that are not positive, decreasing and finite, a target of another shape or not
            finite, or negative noise.

    Example:
        >>> problem = Problem([1.0, 0.5], [1.0, -1.0], noise_var=0.1)
        >>> problem.num_modes, problem.eigenvalues.tolist()
        (2, [1.0, 0.5])
    """

    eigenvalues: Array
    target: Array
    noise_var: Array = 0.0
    tail: PowerLawTail | None = None
    population: Population | None = None
    mixture: ScaleMixture | None = None

    def __post_init__(self) -> None:
        for name in ("eigenvalues", "target", "noise_var"):
            object.__setattr__(self, name, _as_float64(name, getattr(self, name)))
        if is_traced(self.eigenvalues, self.target, self.noise_var):
            return
        lam, w = self.eigenvalues, self.target
        if lam.ndim != 1 or lam.size == 0:
            checks.fail("eigenvalues", "a non-empty one-dimensional array", lam)
        if w.shape != lam.shape:
            checks.fail("target", f"of the shape of eigenvalues, {lam.shape}", w.shape)
        if not np.all(np.isfinite(lam)) or np.any(lam <= 0):
            checks.fail("eigenvalues", "positive and finite", lam)
        if np.any(np.diff(lam) > 0):
            checks.fail("eigenvalues", "in decreasing order", lam)
        if not np.all(np.isfinite(w)):
            checks.fail("target", "finite", w)
        checks.number("noise_var", self.noise_var, 0.0, "a finite variance >= 0", inclusive=True)
        if self.population is not None and self.noise_var < self.population.unexplained:
            least = float(self.population.unexplained)
            checks.fail("noise_var", f">= {least:.6g}, the noise in the labels of the rows", self.noise_var)

    @property
    def num_modes(self) -> float | int:
        """M, or math.inf."""
        if self.tail is None:
            return self.eigenvalues.shape[0]
        num_modes = self.tail.num_modes
        if num_modes is None or is_traced(num_modes):
            return math.inf if num_modes is None else num_modes
        return int(num_modes)

    @property
    def num_outputs(self) -> int:
        """K of labels (n, K) of a population, else 1."""
        return 1 if self.population is None else math.prod(self.population.labels.shape[1:])

    def output(self, index: Array) -> "Problem":
        """Return the problem of one output, its number perhaps traced.

        It is the problem itself, or the rows of its population at their own covariance, with the labels of that output
        and its share of the noise.
        """
        if self.population is None:
            return self
        p, share = self.population, self.num_outputs
        w, y = (jnp.asarray(x) if is_traced(index) else np.asarray(x) for x in (p.target, p.labels))
        w, y = (x.reshape(len(x), -1)[:, index] for x in (w, y))
        population = dataclasses.replace(p, labels=y, target=w, unexplained=p.unexplained / share)
        return Problem(p.eigenvalues, w, self.noise_var / share, None, population)

    def modes(self, start: ArrayLike, length: int) -> tuple[Array, Array]:
        """Return (eigenvalues, target), each (length,), of modes start + 1 .. start + length; zero beyond M.

        `start` may be traced: this is how the simulator streams 10^6 modes through a fixed-size buffer.
        """
        index = start + jnp.arange(length)
        kept = self.eigenvalues.shape[0]
        inside = jnp.minimum(index, kept - 1)
        lam, w = jnp.asarray(self.eigenvalues)[inside], jnp.asarray(self.target)[inside]
        if self.tail is not None:
            t, k = self.tail, index + 1.0
            lam = jnp.where(index < kept, lam, t.eigenvalue_scale * k**-t.b)
            w = jnp.where(index < kept, w, jnp.sqrt(t.power_scale / t.eigenvalue_scale) * k ** ((t.b - t.a) / 2))
        exists = index < self.num_modes
        return jnp.where(exists, lam, 0.0), jnp.where(exists, w, 0.0)


def power_law(a: Array, b: Array, num_modes: int | None, noise_var: Array = 0.0) -> Problem:
    """State a problem by power laws: lambda_k = k^-b, lambda_k w_k^2 = k^-a for k = 1 .. num_modes.

    In the papers' symbols: a, b of Bordelon et al. 2024; b = 2 alpha, a = 2 alpha + 2 beta of Paquette et al. 2024;
    a = b = 1 + alpha_K of Bahri et al. 2021. All arguments may be traced; a traced num_modes may be, in theory, any
    real number from 128 on.

    Args:
        a: task exponent, > 1.
        b: spectral exponent, > 0, and > 1 where num_modes is None so that the trace converges.
        num_modes: M, or None for infinitely many (theory only).
        noise_var: label-noise variance, >= 0.

    Returns:
        `Problem` with up to 512 modes as arrays, longer ones with a `PowerLawTail`.

    Raises:
        ValueError: outside these ranges.

    Example:
        >>> problem = power_law(a=1.8, b=1.5, num_modes=100, noise_var=0.01)
        >>> problem.num_modes, problem.eigenvalues[:2].round(4).tolist()
        (100, [1.0, 0.3536])
    """
    checks.number("a", a, 1.0, "a number > 1")
    checks.number("b", b, 0.0, "a number > 0")
    if num_modes is None:
        checks.number("b", b, 1.0, "a number > 1 for infinitely many modes (a trace that converges)")
    elif not is_traced(num_modes):
        num_modes = checks.count("num_modes", num_modes, "an integer >= 1, or None for infinitely many")
    whole = num_modes is not None and not is_traced(num_modes) and num_modes <= WHOLE
    kept = HEAD if num_modes is None or is_traced(num_modes) else min(num_modes, WHOLE)
    deepest = 600.0 / math.log(max(2, kept))
    if not is_traced(b) and b > deepest:
        checks.fail("b", f"at most {deepest:.4g} for this number of modes (eigenvalues within float64)", b)
    xp = jnp if is_traced(a, b) else np
    k = np.arange(1.0, (kept if whole else HEAD) + 1.0)
    a, b = (x if is_traced(x) else np.float64(x) for x in (a, b))
    tail = None if whole else PowerLawTail(a, b, np.float64(1.0), np.float64(1.0), num_modes)
    return Problem(xp.power(k, -b), xp.power(k, (b - a) / 2), noise_var, tail)


def white(num_modes: int, noise_var: Array = 0.0) -> Problem:
    """State the isotropic problem of the double-descent literature: all eigenvalues one, |target|^2 = num_modes.

    Args:
        num_modes: M.
        noise_var: label-noise variance.

    Returns:
        `Problem` with M equal modes.

    Raises:
        ValueError: unless num_modes is a whole number >= 1 and noise_var >= 0.

    Example:
        >>> white(3).eigenvalues.tolist()
        [1.0, 1.0, 1.0]
    """
    ones = np.ones(checks.count("num_modes", num_modes, "an integer >= 1"))
    return Problem(ones, ones, noise_var)


def _as_float64(name: str, value: object) -> Array:
    """Return the value as numpy float64; tracers stay as they are."""
    return value if is_traced(value) else checks.numeric(name, jax.device_get(value))


def check_problem(problem: object) -> None:
    """Refuse what is no problem."""
    if not isinstance(problem, Problem):
        checks.fail("problem", "an rfm.Problem, as rfm.power_law or rfm.from_features make", problem)
