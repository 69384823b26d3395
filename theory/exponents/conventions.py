"""Exponents in the symbols of other papers, and what they claim; S1, S3 and S4 as in `theory.exponents`."""

from collections.abc import Callable
from typing import NamedTuple

from theory.exponents.laws import data_exponent, ensemble_exponent, time_exponent


class PowerLaw(NamedTuple):
    """The papers' parameters translated: lambda_k = k^-b, lambda_k w_k^2 = k^-a."""

    a: float
    b: float


def from_alpha_beta(alpha: float, beta: float) -> PowerLaw:
    """Translate S4: eigenvalues j^(-2 alpha), target coefficients j^-beta.

    Example:
        >>> from_alpha_beta(alpha=0.75, beta=0.25)
        PowerLaw(a=2.0, b=1.5)
    """
    return PowerLaw(2.0 * alpha + 2.0 * beta, 2.0 * alpha)


def to_alpha_beta(a: float, b: float) -> tuple[float, float]:
    """Return (alpha, beta) of S4.

    Example:
        >>> to_alpha_beta(a=2.0, b=1.5)
        (0.75, 0.25)
    """
    return b / 2.0, (a - b) / 2.0


def from_kernel_exponent(alpha_kernel: float) -> PowerLaw:
    """Translate S3, and Maloney, Roberts and Sully 2022: kernel spectrum i^-(1 + alpha_K), a flat teacher.

    Example:
        >>> from_kernel_exponent(0.5)
        PowerLaw(a=1.5, b=1.5)
    """
    return PowerLaw(1.0 + alpha_kernel, 1.0 + alpha_kernel)


def from_source_capacity(source: float, capacity: float) -> PowerLaw:
    """Translate kernel ridge regression: capacity alpha, source r; a = 1 + 2 r alpha, b = alpha.

    Example:
        >>> from_source_capacity(source=0.5, capacity=2.0)
        PowerLaw(a=3.0, b=2.0)
    """
    return PowerLaw(1.0 + 2.0 * source * capacity, capacity)


class Claim(NamedTuple):
    """An exponent as a paper states it, where it differs from the one here."""

    source: str
    exponent: Callable[[float, float], float]


def _s1_frontier(a: float, b: float) -> float:
    m = min(a - 1.0, 2.0 * b)
    return (a - 1.0) * m / (a - 1.0 + b * m)


CLAIMS = {
    "time": Claim("S1 eq. 13", time_exponent),
    "data": Claim("S1 eq. 15", data_exponent),
    "model": Claim("S1 eq. 14", ensemble_exponent),
    "compute": Claim("S1 eq. 17", _s1_frontier),
}
