"""Exponential steps: int exp(-z (u - v)) f(v) dv at complex z, exact for a polynomial f given at Lobatto's points."""

import functools
import math

import numpy as np

from theory.arrays import Array, complex_of, namespace

POINTS = 8  # of a polynomial, both ends included
TERMS = 24  # of a series in x, for |x| up to
LARGE = 3.0


@functools.cache
def lobatto() -> tuple[np.ndarray, np.ndarray]:
    """Lobatto's points u_i of [0, 1], and monomials (i, k) of the polynomials that are one at each."""
    legendre = np.polynomial.legendre.Legendre.basis(POINTS - 1)
    u = np.concatenate([[0.0], 0.5 + 0.5 * np.sort(legendre.deriv().roots().real), [1.0]])
    return u, np.linalg.inv(np.vander(u, increasing=True)).T


@functools.cache
def _table() -> np.ndarray:
    """Coefficients (j, i, k) of u_j times the polynomial of point i in powers of (u_j - u)/u_j."""
    u, points = lobatto()
    rows = [about(points, np.full(POINTS, x)) * x ** np.arange(1.0, POINTS + 1)[None] for x in u]
    return np.stack(rows)


def about(coefficients: Array, u: Array) -> Array:
    """Coefficients (T, k) of sum_k c_k v^k in powers of u - v, for u (T,)."""
    xp = namespace(coefficients, u)
    columns = []
    for k in range(POINTS):
        binomials = np.array([float(math.comb(j, k)) for j in range(k, POINTS)])
        powers = u[:, None] ** np.arange(POINTS - k)[None]
        columns.append((-1.0) ** k * xp.sum(coefficients[:, k:] * binomials[None] * powers, axis=1))
    return xp.stack(columns, axis=1)


@functools.cache
def _series() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of `_moments`: of powers of x (k, p), of 1/x^(k+1) (k,) and of exp(-x) x^-(i+1) (k, i)."""
    k, p = np.arange(POINTS), np.arange(TERMS)
    factorials = np.array([math.factorial(n) for n in range(TERMS)], float)
    left = np.maximum(k[:, None] - k[None], 0)
    falling = np.where(k[:, None] >= k[None], factorials[k][:, None] / factorials[left], 0.0)
    return (-1.0) ** p[None] / (factorials[None] * (p[None] + k[:, None] + 1.0)), factorials[k], falling


def _moments(x: Array) -> Array:
    """int_0^1 exp(-x s) s^k ds for k < POINTS, (k, ...): by powers of x, or of 1/x where it is large."""
    xp = namespace(x)
    taylor, first, falling = _series()
    small, inverse, large = _split(x)
    low = _product(taylor, _powers(small, TERMS))
    high = _powers(inverse, POINTS) * inverse[None]
    column = xp.reshape(first, (-1, *[1] * x.ndim))
    above = column * high - xp.exp(-xp.where(large, x, 1.0))[None] * _product(falling, high)
    return xp.where(large[None], above, low)


def driven(coefficients: Array, x: Array) -> Array:
    """sum_k c_k int_0^1 exp(-x s) s^k ds, (T, n), for coefficients (T, k) and x (T, n)."""
    xp = namespace(coefficients, x)
    taylor, first, falling = _series()
    small, inverse, large = _split(x)
    low = _horner(coefficients @ taylor, small)
    high = _horner(coefficients * first[None], inverse)
    high = high - xp.exp(-xp.where(large, x, 1.0)) * _horner(coefficients @ falling, inverse)
    return xp.where(large, high * inverse, low)


def _horner(coefficients: Array, x: Array) -> Array:
    """sum_p c_p x^p, (T, n), for coefficients (T, p) and x (T, n)."""
    total = coefficients[:, -1:] + 0.0 * x
    for p in range(coefficients.shape[1] - 2, -1, -1):
        total = total * x + coefficients[:, p : p + 1]
    return total


def _split(x: Array) -> tuple[Array, Array, Array]:
    """Return x where it is small, else 0; 1/x where it is large, else 1; and where that is."""
    xp = namespace(x)
    large = xp.abs(x) > LARGE
    beyond = xp.where(large, x, 1.0)
    # XLA divides complex numbers slowly
    return xp.where(large, 0.0, x), beyond.conj() / (beyond.real**2 + beyond.imag**2), large


def _powers(x: Array, count: int) -> Array:
    """Powers x^0 .. x^(count - 1), (count, ...), as products of two: count is a multiple of 4."""
    xp = namespace(x)
    square = x * x
    low = xp.stack([xp.ones_like(x), x, square, square * x])
    high, blocks = square * square, [xp.ones_like(x)]
    for _ in range(count // 4 - 1):
        blocks.append(blocks[-1] * high)
    return xp.reshape(xp.stack(blocks)[:, None] * low[None], (count, *x.shape))


def _product(matrix: Array, x: Array) -> Array:
    """Multiply the first axis of complex x by a real matrix: as complex ones, XLA takes ten times as long."""
    xp = namespace(x)
    flat = xp.reshape(x, (x.shape[0], -1))
    return xp.reshape(complex_of(matrix @ flat.real, matrix @ flat.imag), (matrix.shape[0], *x.shape[1:]))


def kernel_of(z: Array, length: Array) -> Array:
    """int_0^u_j exp(-z (u_j - u) length) l_i(u) length du, (j, i, n): what point i adds to psi at point j."""
    xp = namespace(z, length)
    moments = xp.swapaxes(_moments(z[None] * (length * lobatto()[0])[:, None]), 0, 1)  # (j, k, n)
    return complex_of(xp.matmul(_table(), moments.real), xp.matmul(_table(), moments.imag)) * length
