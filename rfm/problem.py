"""The problem statement shared by simulation and theory: spectrum, target, label noise.

Features psi ~ N(0, diag(eigenvalues)), label y = target . psi + sqrt(noise_var) * eps with eps ~ N(0, 1). The
student is f(x) = v . F psi(x), F (N, M) Gaussian, v(0) = 0.

**Risk, everywhere in this project, is E_psi (f - target . psi)^2: no factor 1/2, label noise not included.**
Training loss is (1/P) sum_mu (f(x_mu) - y_mu)^2, label noise included.
"""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from rfm import checks, display
from rfm.parts import Domains, Population, PowerLawTail, ScaleMixture, as_float64
from rfm.precision import is_traced
from rfm.pytrees import pytree

WHOLE = 512  # power laws up to this many modes are kept as arrays
MOST_MODES = 100_000  # that are looked at one by one
HEAD = 128  # longer ones keep this many and state the rest by formula
Array = Any  # a numpy or jax array; concrete problems hold numpy float64 and so never lose digits


@pytree
class Problem:
    """A linear teacher on features with a given spectrum.

    Attributes:
        eigenvalues: (m,) positive, decreasing: all, or the first m where there is a tail. `spectrum` returns all of
            them, `trace` is their sum and `power` that of eigenvalue x target^2, the risk of no training.
        target: (m,) coefficients w.
        noise_var: () label-noise variance.
        tail: the modes beyond m, if any, by formula.
        population: real rows to train on in place of Gaussians, if any.
        mixture: sizes of the Gaussian rows, where they are not equal.
        domains: of the Gaussian rows, where they come from several; the eigenvalues are then those of all of them.

    Raises:
        ValueError: for eigenvalues that are not positive, decreasing and finite, a target of another shape or not
            finite, or negative noise; for `dataclasses.replace` with other eigenvalues or another target that keeps
            the tail or the population of the old ones.

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
    domains: Domains | None = None

    def __post_init__(self) -> None:
        for name in ("eigenvalues", "target", "noise_var"):
            object.__setattr__(self, name, as_float64(name, getattr(self, name)))
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
        if self.domains is not None:
            _check_domains(self, self.domains)
        for name in ("tail", "population"):
            _bind(self, name)

    @property
    def equal_rows(self) -> bool:
        """Are all Gaussian rows of one size and one domain?"""
        return self.mixture is None and self.domains is None

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
    def trace(self) -> float:
        """Sum of all eigenvalues, with those of the tail."""
        return self._sums()[0]

    @property
    def power(self) -> float:
        """Sum of eigenvalue x target^2 over all modes: the risk of no training."""
        return self._sums()[1]

    def __repr__(self) -> str:
        return display.line("Problem", self._facts())

    def _repr_html_(self) -> str:
        return display.table("Problem", self._facts())

    def _facts(self) -> dict[str, Any]:
        """Summarize the contents, by name."""
        t, p, m = self.tail, self.population, self.mixture
        words: dict[str, Any] = {"modes": self.num_modes, "eigenvalues from": display.span(self.eigenvalues[:1])}
        if t is not None:
            words[f"after {len(self.target)} a power law"] = f"a = {display.span(t.a)}, b = {display.span(t.b)}"
        if not is_traced(self):
            words |= {"trace": f"{self.trace:.4g}", "power": f"{self.power:.4g}"}
        words["noise_var"] = display.span(self.noise_var)
        words |= {} if p is None else {"rows": len(p.rows), "outputs": self.num_outputs}
        words |= {} if self.domains is None else {"domains": f"shares {display.span(self.domains.shares)}"}
        return words | ({} if m is None else {"row sizes": display.span(m.sizes)})

    def _sums(self) -> tuple[float, float]:
        kept = float(self.eigenvalues.sum()), float(self.eigenvalues @ self.target**2)
        beyond = (0.0, 0.0) if self.tail is None else self.tail.sums(len(self.eigenvalues) + 1)
        return kept[0] + beyond[0], kept[1] + beyond[1]

    def spectrum(self, num_modes: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return eigenvalues and target of the first modes, with those of the tail.

        Args:
            num_modes: how many, at most all; None for all.

        Returns:
            (eigenvalues, target), each (num_modes,).

        Raises:
            ValueError: for None where there are infinitely many modes, and for anything but a number of modes.

        Example:
            >>> eigenvalues, target = power_law(a=1.8, b=1.5, num_modes=1000).spectrum()
            >>> len(eigenvalues), bool(eigenvalues[-1] == 1000**-1.5)
            (1000, True)
        """
        if num_modes is None and math.isinf(self.num_modes):
            checks.fail("num_modes", "given where a problem has infinitely many modes", None)
        asked = math.inf if num_modes is None else checks.count("num_modes", num_modes, "an integer >= 1, or None")
        count, kept, t = int(min(asked, self.num_modes)), len(self.eigenvalues), self.tail
        k = np.arange(kept + 1.0, count + 1.0)
        if t is None or not len(k):
            return self.eigenvalues[:count], self.target[:count]
        target = np.sqrt(t.power_scale / t.eigenvalue_scale) * k ** ((t.b - t.a) / 2)
        return np.append(self.eigenvalues, t.eigenvalue_scale * k**-t.b), np.append(self.target, target)

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
        xp = jnp if is_traced(self, start) else np
        index, kept = start + xp.arange(length), self.eigenvalues.shape[0]
        lam, w = (xp.asarray(x)[xp.minimum(index, kept - 1)] for x in (self.eigenvalues, self.target))
        if self.tail is not None:
            t, k = self.tail, index + 1.0
            lam = xp.where(index < kept, lam, t.eigenvalue_scale * k**-t.b)
            w = xp.where(index < kept, w, xp.sqrt(t.power_scale / t.eigenvalue_scale) * k ** ((t.b - t.a) / 2))
        exists = index < self.num_modes
        return xp.where(exists, lam, 0.0), xp.where(exists, w, 0.0)


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


def check_problem(problem: object) -> None:
    """Refuse anything but a problem."""
    if not isinstance(problem, Problem):
        checks.fail("problem", "an rfm.Problem, as rfm.power_law or rfm.from_features make", problem)


def _check_domains(problem: Problem, domains: Domains) -> None:
    """Refuse domains of other modes than those of the problem, or beside another kind of rows."""
    if any(part is not None for part in (problem.tail, problem.population, problem.mixture)):
        checks.fail("domains", "alone: without tail, population and mixture", domains)
    if is_traced(domains):
        return
    given, pooled = problem.eigenvalues, domains.pooled
    if pooled.shape != given.shape or not np.allclose(pooled, given, rtol=1e-9, atol=0.0):
        checks.fail("domains", "those whose weighted mean are the eigenvalues (rfm.from_domains states them)", pooled)


CURES = {
    "tail": "those that the tail continues (without it: rfm.Problem(eigenvalues, target, noise_var), or tail=None)",
    "population": "those of its rows (without them: rfm.Problem(eigenvalues, target, noise_var), or population=None)",
}


def _bind(problem: Problem, name: str) -> None:
    """Keep with a tail or a population what it belongs to, and refuse it beside anything else.

    `dataclasses.replace` hands on what it is not told to change. A tail or a population that was itself replaced, or
    made anew, belongs to nothing yet; what JAX rebuilds is not looked at.
    """
    part = getattr(problem, name)
    if part is None:
        return
    kept = {field: getattr(problem, field).tobytes() for field in ("eigenvalues", "target")}
    for field, before in vars(part).get("_belongs", kept).items():
        if before != kept[field]:
            checks.fail(field, CURES[name], getattr(problem, field))
    copy = dataclasses.replace(part)
    object.__setattr__(copy, "_belongs", kept)
    object.__setattr__(problem, name, copy)
