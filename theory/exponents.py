"""Closed-form exponents and amplitudes of the power-law problem lambda_k = k^-b, lambda_k w_k^2 = k^-a.

Each function derives one law, risk ~ amplitude x^-exponent, by the balance its docstring writes. What a paper states
differently is in `CLAIMS`. Throughout s = (a - 1)/b and c = (pi/b)/sin(pi/b), with df1 = sum_k lambda/(kappa + lambda)
= c kappa^(-1/b) for b > 1 and small kappa, so that df1(kappa) = N gives kappa = (c/N)^b.

All raise ValueError unless a > 1 and b > 0, b > 1 where c enters, and on a boundary where a law carries a logarithm.

Sources: S1 Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), S3 Bahri et al. 2021 (arXiv 2102.06701),
S4 Paquette et al. 2024 (arXiv 2405.15074).
"""

from collections.abc import Callable
from math import gamma, pi, sin, sqrt
from typing import NamedTuple, NoReturn


class PowerLaw(NamedTuple):
    """The papers' parameters translated: lambda_k = k^-b, lambda_k w_k^2 = k^-a."""

    a: float
    b: float


def from_alpha_beta(alpha: float, beta: float) -> PowerLaw:
    """S4: eigenvalues j^(-2 alpha), target coefficients j^-beta."""
    return PowerLaw(2.0 * alpha + 2.0 * beta, 2.0 * alpha)


def to_alpha_beta(a: float, b: float) -> tuple[float, float]:
    """(alpha, beta) of S4."""
    return b / 2.0, (a - b) / 2.0


def from_kernel_exponent(alpha_kernel: float) -> PowerLaw:
    """S3, and Maloney, Roberts and Sully 2022: kernel spectrum i^-(1 + alpha_K), a flat teacher."""
    return PowerLaw(1.0 + alpha_kernel, 1.0 + alpha_kernel)


def from_source_capacity(source: float, capacity: float) -> PowerLaw:
    """Kernel ridge regression: eigenvalues of capacity alpha, target of source r; a = 1 + 2 r alpha, b = alpha."""
    return PowerLaw(1.0 + 2.0 * source * capacity, capacity)


def time_exponent(a: float, b: float) -> float:
    """(a - 1)/b, N = P = infinity, flow and gradient descent; S1.

    risk = sum k^-a exp(-2 t k^-b): modes with 2 t k^-b > 1 are learned, those past k = (2t)^(1/b) carry k^-(a-1).
    """
    _check(a, b)
    return (a - 1.0) / b


def time_amplitude(a: float, b: float) -> float:
    """Gamma(s)/b 2^-s: the sum of `time_exponent` as an integral over u = 2 t k^-b."""
    _check(a, b)
    s = (a - 1.0) / b
    return gamma(s) / b * 2.0**-s


def model_exponent(a: float, b: float) -> float:
    """min(a - 1, b), one model, t = P = infinity.

    Projection on N random features leaves kappa sum lambda w^2/(kappa + lambda) with kappa = (c/N)^b: the modes
    past N give N^-(a-1), and for a - 1 > b the sum converges and leaves kappa itself. S1 eq. 14 states min(a - 1, 2b):
    that is the exponent of the squared bias alone, `ensemble_exponent`.
    """
    _check(a, b)
    return min(a - 1.0, b)


def model_amplitude(a: float, b: float) -> float:
    """(pi/b)/sin(pi s) c^(a-1) for a - 1 < b; c^b sum w^2 = c^b zeta(a - b) beyond.

    kappa sum k^-a/(kappa + k^-b) as an integral is kappa^s (1/b) Gamma(s) Gamma(1 - s), or kappa sum k^(b-a).
    """
    _check(a, b, trace=True)
    s = (a - 1.0) / b
    _away("a - 1", s, 1.0, "b")
    if s < 1.0:
        return pi / b / sin(pi * s) * _c(b) ** (a - 1.0)
    return _c(b) ** b * _zeta(a - b)


def ensemble_exponent(a: float, b: float) -> float:
    """min(a - 1, 2b), infinitely many models, t = P = infinity: kappa^2 sum lambda w^2/(kappa + lambda)^2."""
    _check(a, b)
    return min(a - 1.0, 2.0 * b)


def ensemble_amplitude(a: float, b: float) -> float:
    """(1/b) (1 - s) pi/sin(pi s) c^(a-1) for a - 1 < 2b; c^(2b) zeta(a - 2b) beyond: `data_amplitude`/b."""
    return data_amplitude(a, b) / b


def data_exponent(a: float, b: float) -> float:
    """min(a - 1, 2b), t = N = infinity, no label noise; S1.

    kappa^2 sum lambda w^2/(kappa + lambda)^2 / (1 - df2/P) with kappa = (c/P)^b; for a - 1 > 2b the sum converges.
    """
    _check(a, b)
    return min(a - 1.0, 2.0 * b)


def data_amplitude(a: float, b: float) -> float:
    """(1 - s) pi/sin(pi s) c^(a-1) for a - 1 < 2b; b c^(2b) zeta(a - 2b) beyond; 1 - df2/P = 1/b in both."""
    _check(a, b, trace=True)
    s = (a - 1.0) / b
    _away("a - 1", s, 2.0, "2b")
    if abs(s - 1.0) < 1e-9:
        return _c(b) ** b  # (1 - s) pi/sin(pi s) tends to 1
    if s < 2.0:
        return (1.0 - s) * pi / sin(pi * s) * _c(b) ** (a - 1.0)
    return b * _c(b) ** (2.0 * b) * _zeta(a - 2.0 * b)


def duality_ratio(a: float, b: float) -> float:
    """risk(P)/risk(N) at P = N for a - 1 < b: b - (a - 1), one only for the flat teacher a = b; S3 states equality."""
    return data_amplitude(a, b) / model_amplitude(a, b)


def early_model_exponents(a: float, b: float) -> tuple[float, float]:
    """(1, (1 - m)/b), m = min(a - 1, b): risk(N, t) - risk(infinity, t) ~ N^-1 t^((1-m)/b) while t < N^b.

    To first order in 1/N, kappa = s (1 + df1(s)/N) with df1 ~ t^(1/b) at s = 1/t, times d risk/d log kappa ~ t^-(m/b).
    """
    _check(a, b)
    return 1.0, (1.0 - min(a - 1.0, b)) / b


def early_data_exponents(a: float, b: float) -> tuple[float, float]:
    """(1, (1 - m)/b), m = min(a - 1, 2b): risk(P, t) - risk(infinity, t) ~ P^-1 t^((1-m)/b) while t < P^b."""
    _check(a, b)
    return 1.0, (1.0 - min(a - 1.0, 2.0 * b)) / b


def noise_exponents(a: float, b: float) -> tuple[float, float]:
    """(1, 1/b): label noise adds (sigma^2/P) t^(1/b), one part in P for each of the t^(1/b) modes learned."""
    _check(a, b)
    return 1.0, 1.0 / b


def noisy_data_exponents(a: float, b: float) -> tuple[float, float]:
    """((a - 1)/a, b/a): risk ~ P^-((a-1)/a) at the best stopping time t ~ P^(b/a): t^-((a-1)/b) = t^(1/b)/P."""
    _check(a, b)
    return (a - 1.0) / a, b / a


def sgd_noise_exponent(a: float, b: float) -> float:
    """2 - 1/b: the noise of batches adds (lr/B) t^-(2 - 1/b), the tail of sum lambda^2 exp(-2 lr lambda n); S4."""
    _check(a, b, trace=True)
    return 2.0 - 1.0 / b


def frontier_exponents(a: float, b: float) -> tuple[float, float]:
    """(exponent of N*, exponent of risk*) in compute C = N t, flow, P = infinity: N* ~ C^n, risk* ~ C^-r.

    For a - 1 < b the two limits balance, t^-((a-1)/b) = N^-(a-1): N = t^(1/b). For a - 1 > b the early correction
    N^-1 t^-(1 - 1/b) passes t^-((a-1)/b) first: N = t^((a-b)/b). S1 eq. 17 balances the pure limits in both.
    """
    _check(a, b)
    if a - 1.0 < b:
        return 1.0 / (1.0 + b), (a - 1.0) / (1.0 + b)
    return (a - b) / a, (a - 1.0) / a


def frontier_balance(a: float, b: float) -> str:
    """Which two terms of the risk `frontier_exponents` balances."""
    _check(a, b)
    return "time = model" if a - 1.0 < b else "time = early correction"


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


class Phase(NamedTuple):
    """Compute-optimal one-pass SGD in the plane of S4: d* ~ f^size, risk* ~ f^-risk, f = d r; balance: of two terms."""

    name: str
    balance: str
    size: float
    risk: float


def phase(alpha: float, beta: float) -> Phase:
    """The phase of (alpha, beta), each exponent from the balance of two terms of the risk at d features and r steps:

    F_pp = (lr r)^-(q/2alpha), q = 2 alpha + 2 beta - 1: modes not yet learned;
    F_ac = d^-1 r^-(1 - 1/2alpha): the early correction; F_0 = d^-(2 alpha - max(0, 1 - 2 beta)): the floor;
    K_pp = lr (lr r)^-(2 - 1/2alpha): the noise of batches; lr = 1, or d^(2 alpha - 1) for alpha < 1/2.

    Raises ValueError unless alpha > 0 and 2 (alpha + beta) > 1, and on a boundary between phases. Source: S4.
    """
    q = 2.0 * alpha + 2.0 * beta - 1.0
    if not (alpha > 0 and q > 0):
        _fail("alpha, beta", "alpha > 0 with 2 (alpha + beta) > 1", (alpha, beta))
    for edge in (alpha - 0.5, beta - 0.5, alpha - beta if min(alpha, beta) >= 0.5 else 1.0):
        if edge == 0.0:
            _fail("alpha, beta", "inside a phase, not on a boundary", (alpha, beta))
    if alpha > 0.5:
        if beta < 0.5:
            return Phase("Ia", "F_pp = F_0", 1.0 / (2.0 * alpha + 1.0), q / (2.0 * alpha + 1.0))
        if beta < alpha:
            return Phase("II", "F_pp = F_ac", beta / (alpha + beta), q / (2.0 * (alpha + beta)))
        return Phase("III", "K_pp = F_ac", 0.5, 1.0 - 1.0 / (4.0 * alpha))
    if beta < 0.5:
        return Phase("Ib", "F_pp = F_0", 0.5, alpha + beta - 0.5)
    if alpha < 0.25:
        bottom = 3.0 * alpha + 2.0 * beta - 1.0 - 2.0 * alpha * beta
        return Phase("Ic", "F_pp = F_0", q / (2.0 * bottom), alpha * q / bottom)
    if alpha < 1.0 - 1.0 / sqrt(2.0):
        bottom = 2.0 * alpha * beta + alpha - 2.0 * beta
        return Phase("IVb", "F_pp = K_pp", (alpha - beta) / bottom, -(1.0 - 2.0 * alpha) * q / (2.0 * bottom))
    return Phase("IVa", "K_pp = F_0", 0.5, alpha)


def _c(b: float) -> float:
    return pi / b / sin(pi / b)


def _zeta(x: float) -> float:
    """sum k^-x for x > 1: 64 terms and Euler-Maclaurin, good to 1e-12."""
    n = 64
    head = sum(k**-x for k in range(1, n))
    return head + n ** (1.0 - x) / (x - 1.0) + 0.5 * n**-x + x / 12.0 * n ** (-x - 1.0)


def _check(a: float, b: float, trace: bool = False) -> None:
    if not a > 1.0:
        _fail("a", "a number > 1", a)
    if not b > (1.0 if trace else 0.0):
        _fail("b", "a number > 1 (a trace that converges)" if trace else "a number > 0", b)


def _away(name: str, s: float, edge: float, bound: str) -> None:
    if abs(s - edge) < 1e-9:
        _fail(name, f"different from {bound}, where the law carries a logarithm", s)


def _fail(name: str, allowed: str, value: object) -> NoReturn:
    raise ValueError(f"Argument `{name}` must be {allowed}, but is {value!r}.")
