"""The one-point equation s = kappa (1 - df1/N)(1 - df1/P), on the real axis and along a contour.

For rows of unequal size the data factor 1 - df1/P is the response R1 of `theory.mixture`.
Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), response functions R1 and R3 at s = i omega. N and P
come as 1/N and 1/P, so that both may be infinite; s, kappa and eigenvalues have the unit of a curvature.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from theory.mixture import POLISH_STEPS, data_response
from theory.spectrum import Modes

BISECTIONS = 60  # an edge to 1e-15 in a bracket of up to 100
HALVINGS = 11  # log kappa to 1/6 in a bracket of up to 700, where Newton's steps cannot fail
NEWTON_STEPS = 4  # from a start that is right to 1/6 on the real axis, 1e-2 on a path: each squares the error
ROUNDING = 1e-12  # sizes count as equal within it: compressed modes add up to M with rounding error


def degrees_of_freedom(kappa: Array, modes: Modes) -> tuple[Array, Array]:
    """df1 = sum lambda/(kappa + lambda) and its derivative in kappa, for kappa of any shape (...,)."""
    r = resolvent(kappa, modes)  # (..., K)
    weight = modes.multiplicity * modes.eigenvalues  # (K,)
    return r @ weight, -((r * r) @ weight)


def resolvent(kappa: Array, modes: Modes) -> Array:
    """1/(kappa + lambda_k), (..., K). By hand for complex kappa: XLA's own complex division is ten times slower."""
    if not jnp.iscomplexobj(kappa):
        return 1.0 / (kappa[..., None] + modes.eigenvalues)
    x = kappa.real[..., None] + modes.eigenvalues
    y = kappa.imag[..., None]
    scale = 1.0 / (x * x + y * y)
    return lax.complex(x * scale, -y * scale)


class Point(NamedTuple):
    """s(kappa) and ds/dkappa; the response of the data R1 and dR1/dkappa."""

    s: Array
    slope: Array
    data: Array
    data_slope: Array


def one_point(kappa: Array, modes: Modes, inv_n: Array, inv_p: Array, data: Array | None = None) -> Point:
    """inv_n = 1/N and inv_p = 1/P, zero for infinite N or P; data: R1 nearby, needed off the real axis."""
    df1, slope = degrees_of_freedom(kappa, modes)
    data, data_slope = data_response(df1 * inv_p, modes.mixture, data)
    data_slope = data_slope * slope * inv_p
    features = 1.0 - df1 * inv_n  # R3
    ds = data * features + kappa * (data_slope * features - slope * inv_n * data)
    return Point(kappa * data * features, ds, data, data_slope)


def kappa_real(s: Array, modes: Modes, inv_n: Array, inv_p: Array) -> tuple[Array, Array]:
    """The positive root at real s >= 0 with df1 < min(N, P), and its residual |Newton step|/kappa.

    s = 0 gives the ridgeless root df1 = min(N, P), or kappa = 0 where there are fewer modes than min(N, P).
    """
    s = jnp.asarray(s, float)
    found = _search(*lax.stop_gradient((s, modes, inv_n, inv_p)))
    # s = 0 and no more modes than features and samples: df1 < min(N, P) down to kappa = 0
    empty = (s == 0) & (modes.multiplicity.sum() * jnp.maximum(inv_n, inv_p) <= 1.0 + ROUNDING)
    safe = jnp.where(empty, jnp.max(modes.eigenvalues), found)

    # at N = P s(kappa) has a double root at s = 0: there the vanishing factor alone is solved for
    def newton(kappa):
        value, slope, *_ = one_point(kappa, modes, inv_n, inv_p)
        df1, df1_slope = degrees_of_freedom(kappa, modes)
        inv_min = jnp.maximum(inv_n, inv_p)
        at_zero = (1.0 - df1 * inv_min) / (-df1_slope * jnp.where(inv_min > 0, inv_min, 1.0))
        return jnp.where((s == 0) & (inv_n == inv_p), at_zero, (value - s) / slope)

    for _ in range(POLISH_STEPS):
        step = newton(safe)
        safe = safe - step
    residual = jnp.abs(lax.stop_gradient(newton(safe))) / safe
    return jnp.where(empty, 0.0, safe), jnp.where(empty, 0.0, residual)


def _search(s: Array, modes: Modes, inv_n: Array, inv_p: Array) -> Array:
    """The root of `kappa_real` to rounding, by a few bisections and then Newton steps in x = log kappa.

    Solved for df1, the equation reads df1 = D(s/kappa), D(rho) = (1 - rho)/q, q = [1/N + 1/P + root]/2 and
    root^2 = (1/N - 1/P)^2 + 4 rho/(N P). Both sides are monotone in x, with |f''| <= |f'| for either, so their gap has
    one root, also at N = P and s = 0, and Newton turns an error e into e^2/2 whatever the spectrum.
    """

    # notation: x = log kappa, rho = s/kappa
    def gap(x):  # q (df1 - D), and its slope but for that of q
        kappa = jnp.exp(x)
        rho = s / kappa
        df1, slope = degrees_of_freedom(kappa, modes)
        root = jnp.sqrt((inv_n - inv_p) ** 2 + 4.0 * inv_n * inv_p * rho)
        q = 0.5 * (inv_n + inv_p + root)
        share = jnp.where(root > 0, q / jnp.where(root > 0, root, 1.0), 1.0)
        return q * df1 - (1.0 - rho), q * kappa * slope - rho * share

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        below = gap(middle)[0] > 0
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    # kappa <= s + trace (1/N + E tau^2/P), since df1 <= trace/kappa; 1e-290 stands for zero
    trace, least = modes.multiplicity @ modes.eigenvalues, 1e-290 * jnp.max(modes.eigenvalues)
    inv_most = inv_p if modes.mixture is None else inv_p * modes.mixture.second
    bracket = jnp.log(jnp.maximum(s, least)), jnp.log(s + trace * (inv_n + inv_most) + least)
    if modes.mixture is not None:
        return jnp.exp(_bisect(s, modes, inv_n, inv_p, bracket))
    low, high = lax.fori_loop(0, HALVINGS, halve, bracket)

    def newton(_, x):
        value, slope = gap(x)
        return jnp.clip(x - value / slope, low, high)

    return jnp.exp(lax.fori_loop(0, NEWTON_STEPS, newton, 0.5 * (low + high)))


def _bisect(s: Array, modes: Modes, inv_n: Array, inv_p: Array, bracket: tuple[Array, Array]) -> Array:
    """log kappa for rows of unequal size: s(kappa) rises wherever df1 < min(N, P)."""

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        kappa = jnp.exp(middle)
        df1, _ = degrees_of_freedom(kappa, modes)
        inside = df1 * jnp.maximum(inv_n, inv_p) < 1.0
        value = one_point(jnp.where(inside, kappa, jnp.exp(bracket[1])), modes, inv_n, inv_p).s
        below = ~inside | (value < s)
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = lax.fori_loop(0, BISECTIONS, halve, bracket)
    return 0.5 * (low + high)


def kappa_path(s: Array, modes: Modes, inv_n: Array, inv_p: Array) -> tuple[Array, Array, Array]:
    """kappa and R1 along a path s (n,) that starts on the positive real axis, and the largest |step|/|kappa|.

    Analytic continuation node by node: Euler predictor, then a fixed number of Newton steps.
    """
    frozen = lax.stop_gradient((s, modes, inv_n, inv_p))
    s_path, still, inv_n0, inv_p0 = frozen
    start, _ = kappa_real(s_path[0].real, still, inv_n0, inv_p0)

    def continue_to(carry, s_next):
        kappa, point = carry
        step = (s_next - point.s) / point.slope
        for _ in range(NEWTON_STEPS):
            kappa = kappa + step
            point = one_point(kappa, still, inv_n0, inv_p0, point.data + point.data_slope * step)
            step = (s_next - point.s) / point.slope
        return (kappa, point), (kappa + step, point.data + point.data_slope * step)

    first = start, one_point(start, still, inv_n0, inv_p0)
    first = jax.tree.map(lambda x: lax.complex(x, jnp.zeros_like(x)), first)
    _, found = lax.scan(continue_to, first, s_path)
    kappa, data = lax.stop_gradient(found)
    for _ in range(POLISH_STEPS):  # all nodes at once, differentiated: the implicit function theorem
        point = one_point(kappa, modes, inv_n, inv_p, data)
        step = (s - point.s) / point.slope
        kappa, data = kappa + step, point.data + point.data_slope * step
    return kappa, data, jnp.max(jnp.abs(lax.stop_gradient(step)) / jnp.abs(lax.stop_gradient(kappa)))


def spectral_edge(modes: Modes, inv_n: Array, inv_p: Array) -> Array:
    """Largest z in the limiting spectrum of A = F^T F Psi^T Psi / P.

    Seen from far left, s(kappa) rises along the negative axis until ds/dkappa = 0 at the edge s = -z_max
    (Silverstein and Choi 1995); the sign of the slope is bisected in log(-kappa/lambda_1 - 1).
    """
    modes, inv_n, inv_p = jax.tree.map(lax.stop_gradient, (modes, inv_n, inv_p))
    top = jnp.max(modes.eigenvalues)
    effective = modes.multiplicity @ modes.eigenvalues / top
    low = jnp.full_like(top, -36.0)
    inv_most = inv_p if modes.mixture is None else inv_p * jnp.max(modes.mixture.sizes)
    high = jnp.log(10.0 * (1.0 + effective * (inv_n + inv_most)))

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        slope = one_point(-top * (1.0 + jnp.exp(middle)), modes, inv_n, inv_p).slope
        return jnp.where(slope > 0, low, middle), jnp.where(slope > 0, middle, high)

    _, high = lax.fori_loop(0, BISECTIONS, halve, (low, high))
    return -one_point(-top * (1.0 + jnp.exp(high)), modes, inv_n, inv_p).s
