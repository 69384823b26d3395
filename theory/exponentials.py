"""Exponential steps: int exp(-z (u - v)) f(v) dv at complex z, exact for a polynomial f given at Lobatto's points."""

import functools
import math
from typing import NamedTuple

import numpy as np

from theory.arrays import Array, barrier, complex_of, namespace, scan
from theory.second_moments import Complex

POINTS = 8  # of a polynomial, both ends included
TERMS = 24  # of a series in x, for |x| up to
LARGE = 3.0
FAR = 20  # powers above those wanted at which a series is begun


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
    """Coefficients of `driven`: of powers of x (k, p), of 1/x^(k+1) (k,) and of exp(-x) x^-(i+1) (k, i)."""
    k, p = np.arange(POINTS), np.arange(TERMS)
    factorials = np.array([math.factorial(n) for n in range(TERMS)], float)
    left = np.maximum(k[:, None] - k[None], 0)
    falling = np.where(k[:, None] >= k[None], factorials[k][:, None] / factorials[left], 0.0)
    return (-1.0) ** p[None] / (factorials[None] * (p[None] + k[:, None] + 1.0)), factorials[k], falling


def _moments(x: Complex) -> tuple[Complex, Complex]:
    """exp(-x), and int_0^1 exp(-x s) s^k ds for k < POINTS, (k, ...): down from a series, or up where x is large."""
    xp = namespace(x.real)
    size, square = xp.exp(-x.real), x.real**2 + x.imag**2
    large = square > LARGE**2
    decay = Complex(*barrier((size * xp.cos(x.imag), -size * xp.sin(x.imag))))
    small = Complex(*(xp.where(large, 0.0, part) for part in x))
    beyond = 1.0 / xp.where(large, square, 1.0)
    inverse = Complex(xp.where(large, x.real * beyond, 1.0), xp.where(large, -x.imag * beyond, 0.0))

    def down(moment: Complex, k: Array) -> tuple[Complex, Complex]:  # from that of k to that of k - 1
        lower = small.times(moment).plus(decay).scaled(1.0 / k)
        return lower, lower

    def up(moment: Complex, k: Array) -> tuple[Complex, Complex]:  # from that of k - 1 to that of k
        higher = moment.scaled(k).plus(decay.scaled(-1.0)).times(inverse)
        return higher, higher

    # one loop for many powers: as one expression, XLA would sum each from the start
    powers, far = np.arange(1.0, POINTS), np.arange(POINTS, POINTS + FAR, dtype=float)
    last, _ = scan(lambda moment, k: (down(moment, k)[0], ()), decay.scaled(1.0 / far[-1]), far[::-1])
    first = decay.scaled(-1.0).above(1.0).times(inverse)
    _, rest = scan(down, last, powers[::-1])
    low = [xp.concatenate([part[::-1], end[None]]) for part, end in zip(rest, last, strict=True)]
    _, rest = scan(up, first, powers)
    high = [xp.concatenate([start[None], part]) for part, start in zip(rest, first, strict=True)]
    return decay, Complex(*(xp.where(large[None], *parts) for parts in zip(high, low, strict=True)))


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


class Kernel(NamedTuple):
    """A step of psi: (j, n), what is kept of it up to point j, and (j, i, n), what point i adds to it there."""

    kept: Array
    added: Array


def kernel_of(z: Array, length: Array) -> Kernel:
    """Return exp(-z u_j length), and int_0^u_j exp(-z (u_j - u) length) l_i(u) length du."""
    xp = namespace(z, length)
    steps = (length * lobatto()[0])[:, None]
    decay, moments = _moments(Complex(steps * z.real[None], steps * z.imag[None]))
    added = [length * xp.matmul(_table(), xp.swapaxes(part, 0, 1)) for part in moments]  # (j, i, n)
    return Kernel(complex_of(*decay), complex_of(*added))
