"""The data side of the equations: what P samples respond to, where rows are of unequal size.

Rows x = sqrt(tau) z with z Gaussian and E tau = 1 answer a change of the predictor by 1/(1 + tau delta) in place of one
factor for all. With x = df1/P and the response R1 = E tau/(1 + tau delta), x = R1 delta,

    1 = E tau/(R1 + tau x),   sample mu responds by r_mu = R1 q_mu,  q_mu = 1/(R1 + tau_mu x),

which is R1 = 1 - x, q = 1 for rows of equal size. Of two points s, s' the averages over rows that enter are those of
`RowSums`. Source: El Karoui 2009 (Ann. Appl. Probab. 19) for the resolvent of such rows; the two-point function:
Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092) with a response for every row.
"""

from collections.abc import Callable
from typing import NamedTuple

from theory.arrays import Array, namespace, repeat, stop_gradient

SEARCH_STEPS = 24  # of Newton on the real axis, monotone from below
SETTLED = 1e-14  # of it, a step that is the last one
POLISH_STEPS = 2  # two differentiated steps give exact first and second derivatives


class Mixture(NamedTuple):
    """Sizes tau, shares v of the label noise and weights of the rows, (J,) each, both averages one."""

    sizes: Array
    noise: Array
    weights: Array

    @property
    def second(self) -> Array:
        """E tau^2."""
        return (self.weights * self.sizes) @ self.sizes


class RowSums(NamedTuple):
    """Averages over rows at two points, all one for equal rows, with v a row's share of the label noise.

    signal: E tau^2 q q'. noise: E tau v q q'. train_signal, train_noise: the same without a factor tau, for the
    training loss.
    """

    signal: Array | float = 1.0
    noise: Array | float = 1.0
    train_signal: Array | float = 1.0
    train_noise: Array | float = 1.0


def data_response(x: Array, mixture: Mixture | None, start: Array | None = None) -> tuple[Array, Array]:
    """Return R1 and dR1/dx at x = df1/P, elementwise; x is real and below 1, or a root nearby is given as `start`."""
    if mixture is None:
        return 1.0 - x, -namespace(x).ones_like(x)
    tau, nu = mixture.sizes, mixture.weights * mixture.sizes

    # the harmonic mean of R1 + tau x under nu is concave in R1: Newton's steps from below stay below
    def step(response: Array) -> Array:
        q = row_factors(x, response, mixture)
        mean = q @ nu
        return response - (1.0 / mean - 1.0) * mean**2 / ((q * q) @ nu)  # eq. 9

    if start is None:
        xp = namespace(x, tau)
        least = xp.maximum(xp.maximum(1.0 - x * (nu @ tau), 0.0), -(1.0 + 1e-9) * tau.max() * x)
        response = repeat(SEARCH_STEPS, step, stop_gradient(least), settled=SETTLED)
    else:
        response = start
    response = stop_gradient(response)
    for _ in range(POLISH_STEPS):
        response = step(response)
    squares = row_factors(x, response, mixture) ** 2
    return response, -(squares @ (nu * tau)) / (squares @ nu)


def row_factors(x: Array, data: Array, mixture: Mixture | None) -> Array:
    """Return q (..., J) of every size, (..., 1) for equal rows, at x = df1/P with the response R1 there."""
    if mixture is None:
        return namespace(x).ones_like(x)[..., None]
    sizes = mixture.sizes.reshape((1,) * x.ndim + (-1,))  # (1, ..., J)
    return 1.0 / (data[..., None] + sizes * x[..., None])


def row_sums(q: Array, other: Array, mixture: Mixture | None) -> RowSums:
    """Average over rows at all pairs of points: factors q (..., n, J) and q' give (..., n, n) each."""
    return _averages(lambda weight: (q * weight[None]) @ other.swapaxes(-1, -2), mixture)  # eq. 10


def row_squares(q: Array, mixture: Mixture | None) -> RowSums:
    """Average over rows at every point paired with itself: factors (..., J) give (...)."""
    return _averages(lambda weight: (q * q) @ weight, mixture)


def _averages(average: Callable[[Array], Array], mixture: Mixture | None) -> RowSums:
    if mixture is None:
        return RowSums()
    tau, v, w = mixture.sizes, mixture.noise, mixture.weights
    return RowSums(average(w * tau**2), average(w * (tau * v)), average(w * tau), average(w * v))
