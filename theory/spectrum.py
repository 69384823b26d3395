"""Sums over modes: an exact head, a compressed power-law tail, M finite or infinite.

Everything in the theory is a sum over modes of a smooth function of the eigenvalue. A `Modes` holds weighted
nodes for two such sums, so that a spectrum of 10^9 modes costs as much as one of 10^3:

    sum_k f(lambda_k)               ~  sum_j multiplicity_j f(eigenvalues_j)
    sum_k lambda_k w_k^2 g(lambda_k) ~  sum_j power_j g(eigenvalues_j)
"""

from fractions import Fraction
from functools import lru_cache
from math import ceil, comb, factorial
from typing import NamedTuple

import jax
import numpy as np

from theory.arrays import Array, by_xla, namespace
from theory.mixture import Mixture

SINGLE_MODES = 128  # modes kept one by one; below it the Euler-Maclaurin correction is no longer exact to 1e-13
EXACT = 1e-12  # modes that differ from a law by rounding follow it
STENCIL = 8  # half width of the stencil that carries the Euler-Maclaurin correction
PANEL = 256  # quadrature nodes of the tail: 1e-12 down to exp(-50) along a contour, exp(-200) on the real axis
FEW_SINGLE, COARSE_PANEL = 32, 48  # of searches: less is lost than by their contours of 64 nodes
PER_FOLD, AT_ENDS = 8.0, 24.0  # as many as PANEL has for exp(-29): fewer do for a shorter tail that is known
FLATTEST = 1e-40  # of the largest eigenvalue: one of a flat tail
DEEPEST = 300.0  # no tail is resolved below lambda = exp(-300) of its scale: its square is still a float64


class Modes(NamedTuple):
    """Weighted nodes that stand for a spectrum and its target; see the module docstring.

    eigenvalues: (K,) positive, multiplicity: (K,) weight in sums over modes (need be neither integer nor
    positive), power: (K,) weight in sums of lambda_k w_k^2. mixture: sizes of the rows drawn, None for equal ones.
    """

    eigenvalues: Array
    multiplicity: Array
    power: Array
    mixture: Mixture | None = None


class TailLaw(NamedTuple):
    """Modes up to num_modes (None: infinity) of lambda_k = c k^-b and lambda_k w_k^2 = d k^-a.

    c = eigenvalue_scale, d = power_scale. num_modes may be traced, and any real number above SINGLE_MODES; up to
    that it counts whole modes. Of known numbers (W,), every one has modes of its own.
    """

    a: Array
    b: Array
    eigenvalue_scale: Array
    power_scale: Array
    num_modes: Array | None


def exact_modes(eigenvalues: Array, target: Array) -> Modes:
    """Make every mode its own node: eigenvalues (M,), target (M,) -> K = M."""
    return Modes(eigenvalues, namespace(eigenvalues).ones_like(eigenvalues), eigenvalues * target**2)


def power_law_tail(law: TailLaw, first: int, depth: Array, *, coarse: bool = False) -> Modes:
    """Compress modes first + 1 .. num_modes of a power law; coarse: into few, see FEW_SINGLE.

    Euler-Maclaurin turns the sum into an integral with end corrections; the integral runs over v = b log k,
    where the poles of 1/(kappa + lambda) keep a fixed distance pi - |arg kappa| from the path whatever b is.
    Modes below exp(-depth) of the scale are lumped: they enter every sum through two moments, so every kappa asked
    for later must lie far above them, exp(16) times or so. Nodes are the last axis.
    """
    # notation: c, d as in `TailLaw`
    a, b, c, d, num_modes = law
    xp = namespace(*law, depth)
    single, panel = (FEW_SINGLE, COARSE_PANEL) if coarse else (SINGLE_MODES, PANEL)
    resolved = max(first, single)  # one by one up to here
    offsets, weights = _end_correction()
    one_by_one = np.arange(first + 1.0, resolved + 1.0)
    v_start = b * np.log(resolved)
    v_end = xp.maximum(xp.minimum(depth, DEEPEST), v_start + 12.0)
    # how many modes each k stands for: one, and the end corrections of the integral
    k_parts = [one_by_one, resolved + offsets]
    n_parts = [np.ones_like(one_by_one), np.where(offsets == 0, -0.5, -weights)]
    log_end = None
    if num_modes is not None:
        end = xp.maximum(num_modes, resolved)  # fewer modes: an empty integral, whose corrections cancel
        log_end = xp.log(end)
        v_end = xp.minimum(b * log_end, v_end)
        k_parts.append(end[..., None] + offsets)
        whole = xp.where(one_by_one <= xp.asarray(num_modes)[..., None], 1.0, 0.0)
        n_parts = [whole, n_parts[1], np.where(offsets == 0, 0.5, weights)]
    span = (v_end - v_start)[..., None]
    if not by_xla(span):
        panel = min(panel, ceil(PER_FOLD * max(float(span.max()), 0.0) + AT_ENDS))
    x, dx = _strip_rule(panel)
    k_parts.append(xp.exp((v_start + span * x) / b))  # (..., panel)
    n_parts.append(span * dx * k_parts[-1] / b)  # dk = k dv / b, eq. 18
    k, n = along_nodes(*k_parts), along_nodes(*n_parts)
    return join(Modes(c * k**-b, n, n * d * k**-a), _lumps(law, v_end / b, log_end))


def follows(law: TailLaw, modes: Modes, first: int) -> bool:
    """Do known modes beyond the first few follow the law, so that they may be compressed with the tail?"""
    a, b, c, d, num_modes = law
    if by_xla(law, modes) or (num_modes is not None and np.min(num_modes) < (1.0 - EXACT) * len(modes.eigenvalues)):
        return False
    k = np.arange(first + 1.0, len(modes.eigenvalues) + 1.0)
    pairs = (modes.eigenvalues[first:], c * k**-b), (modes.power[first:], d * k**-a)
    return all(np.allclose(x, y, rtol=EXACT, atol=0.0) for x, y in pairs)


def join(head: Modes, tail: Modes) -> Modes:
    """Concatenate two sets of nodes."""
    return jax.tree.map(along_nodes, head._replace(mixture=None), tail)


def along_nodes(*parts: Array) -> Array:
    """Concatenate along the last axis parts whose other axes broadcast."""
    xp = namespace(*parts)
    shape = np.broadcast_shapes(*(np.shape(part)[:-1] for part in parts))
    return xp.concatenate([xp.broadcast_to(part, shape + np.shape(part)[-1:]) for part in parts], axis=-1)


def flat_tail(modes: Modes, total: Array) -> Modes:
    """Add infinitely many modes without a target whose eigenvalues, all equal, sum up to `total`.

    They are one node: its eigenvalue is so far below every kappa that df1 gains total/kappa and df2 nothing.
    """
    xp = namespace(modes.eigenvalues, total)
    eigenvalue = FLATTEST * xp.max(modes.eigenvalues) * xp.ones(1)
    return join(modes, Modes(eigenvalue, total / eigenvalue, xp.zeros(1)))  # eq. 63


def apart(modes: Modes) -> tuple[Modes, Modes]:
    """Split known modes into those of a spectrum and the node of a `flat_tail`, which may be none."""
    eigenvalues, multiplicity, power, mixture = modes
    flat = eigenvalues < 2.0 * FLATTEST * eigenvalues.max()
    spectrum, tail = (Modes(eigenvalues[some], multiplicity[some], power[some]) for some in (~flat, flat))
    return spectrum._replace(mixture=mixture), tail


def _lumps(law: TailLaw, log_start: Array, log_end: Array | None) -> Modes:
    """Make two nodes for log k in (log_start, log_end or infinity), for sum lambda and for sum lambda w^2.

    Each sits at the mean eigenvalue of what it carries, so it is right to second order in lambda/kappa.
    """
    a, b, c, d, _ = law
    xp = namespace(*law, log_start)

    def span(p: Array) -> Array:  # int k^-p dk over the range / k^(1-p) at its start: positive however short the range
        q = 1.0 - p
        if log_end is None:
            return -1.0 / q
        x = q * width
        small = xp.abs(x) < 1e-12
        return xp.where(small, 1.0, xp.expm1(x) / xp.where(small, 1.0, x))  # a factor `width` left out

    width = 1.0 if log_end is None else xp.maximum(log_end - log_start, 0.0)
    # only ratios of spans are divided: a width that is zero up to rounding may round either way
    first = c * xp.exp(-b * log_start)
    at_trace = first * span(2 * b) / span(b)
    at_power = first * span(a + b) / span(a)
    trace = first * xp.exp(log_start) * width * span(b)
    power = d * xp.exp((1.0 - a) * log_start) * width * span(a)
    at_trace, at_power = (xp.broadcast_to(x, xp.shape(trace)) for x in (at_trace, at_power))
    zero = xp.zeros_like(trace)
    return Modes(
        xp.stack([at_trace, at_power], axis=-1),
        xp.stack([trace / at_trace, zero], axis=-1),
        xp.stack([zero, power], axis=-1),
    )


@lru_cache
def _end_correction() -> tuple[np.ndarray, np.ndarray]:
    """Return offsets -8..8 and weights W with sum_i W_i f(x + i) = sum_j B_2j/(2j)! f^(2j-1)(x), j = 1..8.

    Differences in place of derivatives keep every term a value of f at some k, hence a node of `Modes`.
    Solved in fractions: the system is a Vandermonde matrix of condition 1e20.
    """
    # f = exp(s x): sum_i c_i 2 sinh(s i) = coth(s/2)/2 - 1/s, matched power by power in s
    n = STENCIL
    bernoulli = [Fraction(1)]
    for m in range(1, 2 * n + 1):
        bernoulli.append(-sum((comb(m + 1, j) * bernoulli[j] for j in range(m)), Fraction(0)) / (m + 1))
    rows = [
        [Fraction(2 * i ** (2 * j - 1), factorial(2 * j - 1)) for i in range(1, n + 1)]
        + [bernoulli[2 * j] / factorial(2 * j)]
        for j in range(1, n + 1)
    ]
    for p in range(n):  # Gauss-Jordan; no pivot vanishes
        rows[p] = [x / rows[p][p] for x in rows[p]]
        for r in range(n):
            if r != p:
                rows[r] = [x - rows[r][p] * y for x, y in zip(rows[r], rows[p], strict=True)]
    side = np.array([float(row[-1]) for row in rows])
    return np.arange(-n, n + 1.0), np.concatenate([-side[::-1], [0.0], side])


@lru_cache
def _strip_rule(num_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights on (0, 1): Gauss-Legendre pulled apart by an arcsine (Kosloff and Tal-Ezer 1993).

    Plain Gauss nodes crowd at the ends and leave the middle pi/2 times thinner than it could be.
    """
    s, ds = np.polynomial.legendre.leggauss(num_nodes)
    alpha = 1 / np.cosh(30.0 / num_nodes)  # the arcsine's own singularity costs exp(-2 * 30)
    x = np.arcsin(alpha * s) / np.arcsin(alpha)
    dx = alpha / np.arcsin(alpha) / np.sqrt(1 - (alpha * s) ** 2) * ds
    return (x + 1) / 2, dx / 2
