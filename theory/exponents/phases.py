"""The seven phases of compute-optimal one-pass SGD (S4, Paquette et al. 2024, arXiv 2405.15074)."""

from math import sqrt
from typing import NamedTuple

from theory.exponents.checks import fail


class Phase(NamedTuple):
    """Compute-optimal one-pass SGD in the plane of S4: d* ~ f^size, risk* ~ f^-risk, f = d r; balance: of two terms."""

    name: str
    balance: str
    size: float
    risk: float


def phase(alpha: float, beta: float) -> Phase:
    """Return the phase of (alpha, beta), each exponent from the balance of two terms of the risk.

    At d features and r steps these terms are

    F_pp = (lr r)^-(q/2alpha), q = 2 alpha + 2 beta - 1: modes not yet learned;
    F_ac = d^-1 r^-(1 - 1/2alpha): the early correction; F_0 = d^-(2 alpha - max(0, 1 - 2 beta)): the floor;
    K_pp = lr (lr r)^-(2 - 1/2alpha): the noise of batches; lr = 1, or d^(2 alpha - 1) for alpha < 1/2.

    Raises ValueError unless alpha > 0 and 2 (alpha + beta) > 1, and on a boundary between phases. Source: S4.

    Example:
        >>> phase(alpha=0.75, beta=0.25)
        Phase(name='Ia', balance='F_pp = F_0', size=0.4, risk=0.4)
    """
    q = 2.0 * alpha + 2.0 * beta - 1.0
    if not (alpha > 0 and q > 0):
        fail("alpha, beta", "alpha > 0 with 2 (alpha + beta) > 1", (alpha, beta))
    for edge in (alpha - 0.5, beta - 0.5, alpha - beta if min(alpha, beta) >= 0.5 else 1.0):
        if edge == 0.0:
            fail("alpha, beta", "inside a phase, not on a boundary", (alpha, beta))
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
    return Phase("IVa", "K_pp = F_0", 0.5, alpha)  # eq. 31
