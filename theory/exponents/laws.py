"""Closed-form exponents and amplitudes of the power-law problem lambda_k = k^-b, lambda_k w_k^2 = k^-a.

Each function derives one law, risk ~ amplitude x^-exponent, by the balance its docstring writes. Throughout
s = (a - 1)/b and c = (pi/b)/sin(pi/b), with df1 = sum_k lambda/(kappa + lambda) = c kappa^(-1/b) for b > 1 and small
kappa, so that df1(kappa) = N gives kappa = (c/N)^b.

Arguments are the task exponent a and the spectral exponent b. All raise ValueError unless a > 1 and b > 0, b > 1 where
c enters, and on a boundary where a law carries a logarithm.

Sources: S1 Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), S3 Bahri et al. 2021 (arXiv 2102.06701),
S4 Paquette et al. 2024 (arXiv 2405.15074).
"""

from math import gamma, pi, sin

from theory.exponents.checks import away_from, check_exponents, fail


def time_exponent(a: float, b: float) -> float:
    """Return (a - 1)/b, in time, for N = P = infinity, flow and gradient descent; S1.

    risk = sum k^-a exp(-2 t k^-b): modes with 2 t k^-b > 1 are learned, those past k = (2t)^(1/b) carry k^-(a-1).

    Example:
        >>> round(time_exponent(a=1.8, b=1.5), 4)
        0.5333
    """
    check_exponents(a, b)
    return (a - 1.0) / b  # eq. 21


def time_amplitude(a: float, b: float) -> float:
    """Return Gamma(s)/b 2^-s: the sum of `time_exponent` as an integral over u = 2 t k^-b.

    Example:
        >>> round(time_amplitude(a=1.8, b=1.5), 4)
        0.7668
    """
    check_exponents(a, b)
    s = (a - 1.0) / b
    return gamma(s) / b * 2.0**-s  # eq. 21


def model_exponent(a: float, b: float) -> float:
    """Return min(a - 1, b), in model size, for one model, t = P = infinity.

    Projection on N random features leaves kappa sum lambda w^2/(kappa + lambda) with kappa = (c/N)^b: the modes
    past N give N^-(a-1), and for a - 1 > b the sum converges and leaves kappa itself. S1 eq. 14 states min(a - 1, 2b):
    that is the exponent of the squared bias alone, `ensemble_exponent`.

    Example:
        >>> round(model_exponent(a=1.8, b=1.5), 4)
        0.8
    """
    check_exponents(a, b)
    return min(a - 1.0, b)  # eq. 22


def model_amplitude(a: float, b: float) -> float:
    """Return (pi/b)/sin(pi s) c^(a-1) for a - 1 < b; c^b sum w^2 = c^b zeta(a - b) beyond.

    kappa sum k^-a/(kappa + k^-b) as an integral is kappa^s (1/b) Gamma(s) Gamma(1 - s), or kappa sum k^(b-a).

    Example:
        >>> round(model_amplitude(a=1.8, b=1.5), 4)
        4.2684
    """
    check_exponents(a, b, trace=True)
    s = (a - 1.0) / b
    away_from("a - 1", s, 1.0, "b")
    if s < 1.0:
        return pi / b / sin(pi * s) * _c(b) ** (a - 1.0)
    return _c(b) ** b * _zeta(a - b)  # eq. 22


def ensemble_exponent(a: float, b: float) -> float:
    """Return min(a - 1, 2b), for infinitely many models, t = P = infinity: kappa^2 sum lambda w^2/(kappa + lambda)^2.

    Example:
        >>> ensemble_exponent(a=6.0, b=1.5)
        3.0
    """
    check_exponents(a, b)
    return min(a - 1.0, 2.0 * b)  # eq. 23


def ensemble_amplitude(a: float, b: float) -> float:
    """Return (1/b) (1 - s) pi/sin(pi s) c^(a-1) for a - 1 < 2b; c^(2b) zeta(a - 2b) beyond: `data_amplitude`/b.

    Example:
        >>> round(ensemble_amplitude(a=1.8, b=1.5), 4)
        1.9919
    """
    return data_amplitude(a, b) / b  # eq. 23


def data_exponent(a: float, b: float) -> float:
    """Return min(a - 1, 2b), in data, for t = N = infinity, no label noise; S1.

    kappa^2 sum lambda w^2/(kappa + lambda)^2 / (1 - df2/P) with kappa = (c/P)^b; for a - 1 > 2b the sum converges.

    Example:
        >>> data_exponent(a=6.0, b=1.5)
        3.0
    """
    check_exponents(a, b)
    return min(a - 1.0, 2.0 * b)  # eq. 24


def data_amplitude(a: float, b: float) -> float:
    """Return (1 - s) pi/sin(pi s) c^(a-1) for a - 1 < 2b; b c^(2b) zeta(a - 2b) beyond; 1 - df2/P = 1/b in both.

    Example:
        >>> round(data_amplitude(a=1.8, b=1.5), 4)
        2.9879
    """
    check_exponents(a, b, trace=True)
    s = (a - 1.0) / b
    away_from("a - 1", s, 2.0, "2b")
    if abs(s - 1.0) < 1e-9:
        return _c(b) ** b  # (1 - s) pi/sin(pi s) tends to 1
    if s < 2.0:
        return (1.0 - s) * pi / sin(pi * s) * _c(b) ** (a - 1.0)
    return b * _c(b) ** (2.0 * b) * _zeta(a - 2.0 * b)  # eq. 24


def duality_ratio(a: float, b: float) -> float:
    """Return risk(P)/risk(N) at P = N for a - 1 < b: b - (a - 1), one only for the flat teacher a = b.

    S3 states equality.

    Example:
        >>> round(duality_ratio(a=1.8, b=1.5), 4)
        0.7
    """
    return data_amplitude(a, b) / model_amplitude(a, b)  # eq. 25


def early_model_exponents(a: float, b: float) -> tuple[float, float]:
    """Return (1, (1 - m)/b), m = min(a - 1, b), the early correction of a finite model.

    risk(N, t) - risk(infinity, t) ~ N^-1 t^((1-m)/b) while t < N^b.

    To first order in 1/N, kappa = s (1 + df1(s)/N) with df1 ~ t^(1/b) at s = 1/t, times d risk/d log kappa ~ t^-(m/b).

    Example:
        >>> early_model_exponents(a=1.5, b=2.0)
        (1.0, 0.25)
    """
    check_exponents(a, b)
    return 1.0, (1.0 - min(a - 1.0, b)) / b  # eq. 26


def early_data_exponents(a: float, b: float) -> tuple[float, float]:
    """Return (1, (1 - m)/b), m = min(a - 1, 2b), the early correction of finite data.

    risk(P, t) - risk(infinity, t) ~ P^-1 t^((1-m)/b) while t < P^b.

    Example:
        >>> early_data_exponents(a=1.5, b=2.0)
        (1.0, 0.25)
    """
    check_exponents(a, b)
    return 1.0, (1.0 - min(a - 1.0, 2.0 * b)) / b  # eq. 26


def noise_exponents(a: float, b: float) -> tuple[float, float]:
    """Return (1, 1/b): label noise adds (sigma^2/P) t^(1/b), one part in P for each of the t^(1/b) modes learned.

    Example:
        >>> noise_exponents(a=1.5, b=2.0)
        (1.0, 0.5)
    """
    check_exponents(a, b)
    return 1.0, 1.0 / b  # eq. 27


def noisy_data_exponents(a: float, b: float) -> tuple[float, float]:
    """Return ((a - 1)/a, b/a): risk ~ P^-((a-1)/a) at the best stopping time t ~ P^(b/a): t^-((a-1)/b) = t^(1/b)/P.

    Example:
        >>> noisy_data_exponents(a=2.0, b=1.5)
        (0.5, 0.75)
    """
    check_exponents(a, b)
    return (a - 1.0) / a, b / a  # eq. 28


def sgd_noise_exponent(a: float, b: float) -> float:
    """Return 2 - 1/b: the noise of batches adds (lr/B) t^-(2 - 1/b), the tail of sum lambda^2 exp(-2 lr lambda n); S4.

    Example:
        >>> sgd_noise_exponent(a=1.5, b=2.0)
        1.5
    """
    check_exponents(a, b, trace=True)
    return 2.0 - 1.0 / b  # eq. 29


def frontier_exponents(a: float, b: float) -> tuple[float, float]:
    """Return (exponent of N*, exponent of risk*) in compute C = N t, flow, P = infinity: N* ~ C^n, risk* ~ C^-r.

    For a - 1 < b the two limits balance, t^-((a-1)/b) = N^-(a-1): N = t^(1/b). For a - 1 > b the early correction
    N^-1 t^-(1 - 1/b) passes t^-((a-1)/b) first: N = t^((a-b)/b). S1 eq. 17 balances the pure limits in both.

    Example:
        >>> frontier_exponents(a=2.0, b=1.5)
        (0.4, 0.4)
    """
    check_exponents(a, b)
    if a - 1.0 < b:
        return 1.0 / (1.0 + b), (a - 1.0) / (1.0 + b)
    return (a - b) / a, (a - 1.0) / a  # eq. 30


def frontier_balance(a: float, b: float) -> str:
    """Name the two terms of the risk that `frontier_exponents` balances.

    Example:
        >>> frontier_balance(a=2.0, b=1.5)
        'time = model'
    """
    check_exponents(a, b)
    return "time = model" if a - 1.0 < b else "time = early correction"


def preconditioned_time_exponent(a: float, b: float, power: float) -> float:
    """Return (a - 1)/(b (1 - power)), in time, where H^-power stands before the gradient, N = P = infinity.

    A mode is learned at the rate lambda^(1 - power), as that of an exponent b (1 - power) without it. A damping stops
    this where lambda is below it: there the exponent is `time_exponent`, at a time damping^power as long.

    Example:
        >>> preconditioned_time_exponent(a=2.0, b=2.0, power=0.5)
        1.0
    """
    return time_exponent(a, _preconditioned(b, power))  # eq. 64


def preconditioned_time_amplitude(a: float, b: float, power: float) -> float:
    """Return the factor of t^-exponent of `preconditioned_time_exponent`, that of an exponent b (1 - power).

    Example:
        >>> round(preconditioned_time_amplitude(a=1.8, b=3.0, power=0.5), 4)
        0.7668
    """
    return time_amplitude(a, _preconditioned(b, power))


def preconditioned_frontier_exponents(a: float, b: float, power: float) -> tuple[float, float]:
    """Return (exponent of N*, exponent of risk*) in compute, as `frontier_exponents` does, with H^-power.

    The same two terms balance, at a time t^(1/(1 - power)) in place of t: N = t^(1/(b (1 - power))) for a - 1 < b, and
    N = t^((a-b)/(b (1 - power))) beyond.

    Example:
        >>> preconditioned_frontier_exponents(a=2.0, b=2.0, power=0.5)
        (0.5, 0.5)
    """
    slower = _preconditioned(b, power)
    check_exponents(a, slower)
    if a - 1.0 < b:
        return 1.0 / (1.0 + slower), (a - 1.0) / (1.0 + slower)
    return (a - b) / (a - b + slower), (a - 1.0) / (a - b + slower)  # eq. 65


def _preconditioned(b: float, power: float) -> float:
    if not 0.0 <= power < 1.0:
        fail("power", "a number >= 0 and < 1 (at 1 all modes are learned at once: no power law)", power)
    return b * (1.0 - power)


def _c(b: float) -> float:
    return pi / b / sin(pi / b)


def _zeta(x: float) -> float:
    """Sum k^-x for x > 1 by 64 terms and Euler-Maclaurin, whose next term is x (x + 1)(x + 2)/720 64^-(x + 3)."""
    n = 64
    head = sum(k**-x for k in range(1, n))
    return head + n ** (1.0 - x) / (x - 1.0) + 0.5 * n**-x + x / 12.0 * n ** (-x - 1.0)
