"""The data side of the equations: what P samples respond to, where rows are of unequal size.

Rows x = sqrt(tau) z with z Gaussian and E tau = 1 answer a change of the predictor by 1/(1 + tau delta) in place of one
factor for all. With x = df1/P and the response R1 = E tau/(1 + tau delta), x = R1 delta,

    1 = E tau/(R1 + tau x),   sample mu responds by r_mu = R1 q_mu,  q_mu = 1/(R1 + tau_mu x),

which is R1 = 1 - x, q = 1 for rows of equal size. Of two points s, s' the averages over rows that enter are those of
`RowSums`. Source: El Karoui 2009 (Ann. Appl. Probab. 19) for the resolvent of such rows; the two-point function:
Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092) with a response for every row.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

SEARCH_STEPS = 24  # of Newton on the real axis, monotone from below
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


def data_response(x: Array, mixture: Mixture | None, start: Array | None = None) -> tuple[Array, Array]:
    """R1 and dR1/dx at x = df1/P, elementwise; x is real and below 1, or a root nearby is given as `start`."""
    if mixture is None:
        return 1.0 - x, -jnp.ones_like(x)
    tau, nu = mixture.sizes, mixture.weights * mixture.sizes

    # the harmonic mean of R1 + tau x under nu is concave in R1: Newton's steps from below stay below
    def moments(rho):
        q = 1.0 / (rho[..., None] + tau * x[..., None])
        return q @ nu, (q * q) @ nu, (q * q) @ (nu * tau)

    def step(rho):
        mean, slope, _ = moments(rho)
        return rho - (1.0 / mean - 1.0) * mean**2 / slope

    if start is None:
        least = jnp.maximum(jnp.maximum(1.0 - x * (nu @ tau), 0.0), -(1.0 + 1e-9) * jnp.max(tau) * x)
        start = lax.fori_loop(0, SEARCH_STEPS, lambda _, rho: step(rho), lax.stop_gradient(least))
    rho = lax.stop_gradient(start)
    for _ in range(POLISH_STEPS):
        rho = step(rho)
    _, by_rho, by_x = moments(rho)
    return rho, -by_x / by_rho


class RowSums(NamedTuple):
    """Averages over rows at two points: signal E tau^2 q q', noise E tau v q q' and the same without a factor tau,
    where v is a row's share of the label noise. The last two are for the training loss. All one for equal rows."""

    signal: Array | float = 1.0
    noise: Array | float = 1.0
    train_signal: Array | float = 1.0
    train_noise: Array | float = 1.0


def row_factors(x: Array, rho: Array, mixture: Mixture | None) -> Array:
    """q (..., J) of every size; (..., 1) for equal rows."""
    return jnp.ones_like(x)[..., None] if mixture is None else 1.0 / (rho[..., None] + mixture.sizes * x[..., None])


def row_sums(q: Array, other: Array, mixture: Mixture | None) -> RowSums:
    """Of factors q (n, J) and q' (n, J): (n, n) each; of (J,) and (J,): scalars."""
    if mixture is None:
        return RowSums()
    tau, v, w = mixture.sizes, mixture.noise, mixture.weights
    return RowSums(*((q * (w * weight)) @ other.T for weight in (tau**2, tau * v, tau, v)))
