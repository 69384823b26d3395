"""Closed-form exponents and amplitudes of gradient flow that trains its features, N = P = infinity.

With e = (a - 1)/b the kernel of hard tasks, e < 1, grows for ever, m -> c tau^p with p = (1 - e)/2 in the time tau of
the lazy model, dtau = m dt; that of easy tasks, e > 1, stops. The integrals of the amplitude are over x = lambda tau:

    J(x) = int_0^x exp(y - x) y^(-p/2) dy,  J_e = int x^(e+p-2) J^2 dx,  I_e = int x^(e-1) (1 - x^(p/2) J)^2 dx

Source: the exponents are those of Bordelon, Atanasov and Pehlevan 2024 (arXiv 2409.17858); the amplitudes are ours.
"""

from math import sqrt
from typing import NamedTuple

import numpy as np

from theory.exponents.checks import away_from, check_exponents, fail
from theory.exponents.laws import frontier_exponents, time_amplitude, time_exponent

LEAST, MOST = -32.0, 32.0  # of log x
LARGE = 30.0  # x beyond which J is a series in 1/x
TERMS = 140
COSTS = {"N t": 1, "N^2 t": 2, "N tau": 1}  # of compute, and the power of N in each


class Integrals(NamedTuple):
    """J_e and I_e of the module docstring."""

    growth: float
    risk: float


def rich_time_exponent(a: float, b: float) -> float:
    """Return 2 e/(1 + e) for hard tasks, e = (a - 1)/b < 1, and e, as without training of features, for easy ones.

    risk ~ tau^-e, and tau ~ t^(2/(1+e)) where the kernel grows as tau^((1-e)/2).

    Example:
        >>> round(rich_time_exponent(a=1.5, b=1.25), 4), rich_time_exponent(a=3.0, b=1.0)
        (0.5714, 2.0)
    """
    e = time_exponent(a, b)
    return 2.0 * e / (1.0 + e) if e < 1.0 else e


def rich_time_amplitude(a: float, b: float, richness: float) -> float:
    """Return the factor of t^-exponent: (I_e/b) [c (1 + e)/2]^(-2e/(1+e)) with c = sqrt(richness J_e/b) for hard tasks.

    For easy ones it is the lazy one over m^e, m = (1 + sqrt(1 + 4 richness |w|^2))/2 the growth in the end.

    Example:
        >>> round(rich_time_amplitude(a=1.5, b=1.25, richness=1.0), 4)
        1.3171
    """
    check_exponents(a, b)
    if not 0.0 < richness < np.inf:
        fail("richness", "a finite number > 0", richness)
    e = time_exponent(a, b)
    away_from("a", a, 1.0 + b, f"1 + b = {1.0 + b:g}")
    if e > 1.0:
        return time_amplitude(a, b) * (0.5 + sqrt(0.25 + richness * _zeta(a - b))) ** -e  # |w|^2 = sum k^-(a-b)
    sums = integrals(e)
    c = sqrt(richness * sums.growth / b)
    return sums.risk / b * (0.5 * c * (1.0 + e)) ** (-2.0 * e / (1.0 + e))  # eq. 45


def rich_frontier_exponents(a: float, b: float, *, cost: str = "N t") -> tuple[float, float]:
    """Return the exponents of N and of risk in compute C at the best N: N ~ C^first, risk ~ C^-second.

    The risk that N features leave is met at a time t ~ N^u, u = b (1 + e)/2 for hard tasks; easy ones balance it at the
    u = b/(a - b) of `frontier_exponents`. cost: what C counts,

        "N t", N operations in a unit of time, C ~ N^(1+u);  "N^2 t", those of a layer of N x N, C ~ N^(2+u)
        "N tau", N operations a step, of steps as long as is stable, which pass tau = int m dt: the exponents of no
        training of features

    Example:
        >>> [round(x, 4) for x in rich_frontier_exponents(a=1.5, b=1.25)]
        [0.5333, 0.2667]
        >>> [round(x, 4) for x in rich_frontier_exponents(a=1.5, b=1.25, cost="N^2 t")]
        [0.3478, 0.1739]
    """
    e = time_exponent(a, b)
    away_from("a", a, 1.0 + b, f"1 + b = {1.0 + b:g}")
    if cost not in COSTS:
        fail("cost", f"one of {', '.join(map(repr, COSTS))}", cost)
    if cost == "N tau":
        return frontier_exponents(a, b)
    u = 0.5 * b * (1.0 + e) if e < 1.0 else b / (a - b)
    size = 1.0 / (COSTS[cost] + u)
    return size, size * u * rich_time_exponent(a, b)  # eq. 46


def integrals(e: float) -> Integrals:
    """Return J_e and I_e at 0 < e < 1.

    Example:
        >>> [round(x, 4) for x in integrals(0.4)]
        [2.0857, 1.5543]
    """
    p = 0.5 * (1.0 - e)
    u = np.linspace(LEAST, MOST, 6401)
    x = np.exp(u)
    driven = _driven(x, 0.5 * p)
    step = u[1] - u[0]
    growth = step * np.sum(x ** (e + p - 1.0) * driven**2) + x[-1] ** (e - 1.0) * (1.0 / (1.0 - e) - 0.5 * step)
    risk = step * np.sum(x**e * (1.0 - x ** (0.5 * p) * driven) ** 2) + x[0] ** e * (1.0 / e - 0.5 * step)
    return Integrals(float(growth), float(risk))


def _driven(x: np.ndarray, q: float) -> np.ndarray:
    """int_0^x exp(y - x) y^-q dy."""
    near, far = np.minimum(x, LARGE), np.maximum(x, LARGE)
    term, total = np.exp(-near), 0.0
    for n in range(TERMS):
        total = total + term / (n + 1.0 - q)
        term = term * near / (n + 1.0)
    late, series = np.ones_like(far), 0.0
    for k in range(20):
        series = series + late
        late = late * (q + k) / far
    return np.where(x > LARGE, far**-q * series, near ** (1.0 - q) * total)


def _zeta(s: float) -> float:
    """Sum of k^-s: a hundred terms, and Euler and Maclaurin for the rest."""
    k = np.arange(1.0, 100.0)
    rest = 100.0 ** (1.0 - s) / (s - 1.0) + 0.5 * 100.0**-s + s / 12.0 * 100.0 ** (-s - 1.0)
    return float(np.sum(k**-s) + rest)
