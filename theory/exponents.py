"""Closed-form exponents of the power-law problem lambda_k = k^-b, lambda_k w_k^2 = k^-a: risk ~ x^-exponent."""


def time_exponent(a: float, b: float) -> float:
    """(a - 1)/b, N = P = infinity. Modes with 2 lambda_k t > 1 are learned, those past k = t^(1/b) carry the risk.

    Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), section 4.
    """
    return (a - 1.0) / b


def model_exponent(a: float, b: float) -> float:
    """min(a - 1, b), one model, t = P = infinity.

    Projection on N random features leaves kappa sum lambda w^2/(kappa + lambda) with kappa ~ N^-b: the modes
    past N give N^-(a-1), and for a - 1 > b the sum converges and leaves kappa itself. Bordelon et al. 2024, eq. 14,
    states min(a - 1, 2b): that is the exponent of the squared bias alone.
    """
    return min(a - 1.0, b)


def data_exponent(a: float, b: float) -> float:
    """min(a - 1, 2b), t = N = infinity, no label noise: kappa^2 sum lambda w^2/(kappa + lambda)^2, kappa ~ P^-b.

    Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), section 4.
    """
    return min(a - 1.0, 2.0 * b)
