"""The one-point equation s = kappa (1 - df1/N)(1 - df1/P), on the real axis and along a contour.

Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), response functions R1 and R3 at s = i omega. N and P
come as 1/N and 1/P, so that both may be infinite; s, kappa and eigenvalues have the unit of a curvature.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from theory.spectrum import Modes

BISECTIONS = 60  # an edge to 1e-15 in a bracket of up to 100
HALVINGS = 11  # log kappa to 1/6 in a bracket of up to 700, where Newton's steps cannot fail
NEWTON_STEPS = 4  # from a start that is right to 1/6 on the real axis, 1e-2 on a path: each squares the error
ROUNDING = 1e-12  # sizes count as equal within it: compressed modes add up to M with rounding error
POLISH_STEPS = 2  # two differentiated steps give exact first and second derivatives


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


def one_point(kappa: Array, modes: Modes, inv_n: Array, inv_p: Array) -> tuple[Array, Array]:
    """s(kappa) and ds/dkappa; inv_n = 1/N and inv_p = 1/P, zero for infinite N or P."""
    df1, slope = degrees_of_freedom(kappa, modes)
    data, features = 1.0 - df1 * inv_p, 1.0 - df1 * inv_n  # R1, R3
    ds = data * features - kappa * slope * (inv_p * features + inv_n * data)
    return kappa * data * features, ds


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
        value, slope = one_point(kappa, modes, inv_n, inv_p)
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

    # kappa <= s + trace (1/N + 1/P), since df1 <= trace/kappa; 1e-290 stands for zero
    trace, least = modes.multiplicity @ modes.eigenvalues, 1e-290 * jnp.max(modes.eigenvalues)
    bracket = jnp.log(jnp.maximum(s, least)), jnp.log(s + trace * (inv_n + inv_p) + least)
    low, high = lax.fori_loop(0, HALVINGS, halve, bracket)

    def newton(_, x):
        value, slope = gap(x)
        return jnp.clip(x - value / slope, low, high)

    return jnp.exp(lax.fori_loop(0, NEWTON_STEPS, newton, 0.5 * (low + high)))


def kappa_path(s: Array, modes: Modes, inv_n: Array, inv_p: Array) -> tuple[Array, Array]:
    """kappa along a path s (n,) that starts on the positive real axis; residual is the largest |step|/|kappa|.

    Analytic continuation node by node: Euler predictor, then a fixed number of Newton steps.
    """
    frozen = lax.stop_gradient((s, modes, inv_n, inv_p))
    s_path, still, inv_n0, inv_p0 = frozen
    start, _ = kappa_real(s_path[0].real, still, inv_n0, inv_p0)

    def continue_to(carry, s_next):
        kappa, s_last, slope = carry
        kappa = kappa + (s_next - s_last) / slope
        for _ in range(NEWTON_STEPS):
            value, slope = one_point(kappa, still, inv_n0, inv_p0)
            kappa = kappa - (value - s_next) / slope
        return (kappa, s_next, slope), kappa

    start = lax.complex(start, jnp.zeros_like(start))
    _, slope = one_point(start, still, inv_n0, inv_p0)
    _, kappa = lax.scan(continue_to, (start, s_path[0], slope), s_path)
    kappa = lax.stop_gradient(kappa)
    for _ in range(POLISH_STEPS):  # all nodes at once, differentiated: the implicit function theorem
        value, slope = one_point(kappa, modes, inv_n, inv_p)
        step = (value - s) / slope
        kappa = kappa - step
    return kappa, jnp.max(jnp.abs(lax.stop_gradient(step)) / jnp.abs(lax.stop_gradient(kappa)))


def spectral_edge(modes: Modes, inv_n: Array, inv_p: Array) -> Array:
    """Largest z in the limiting spectrum of A = F^T F Psi^T Psi / P.

    Seen from far left, s(kappa) rises along the negative axis until ds/dkappa = 0 at the edge s = -z_max
    (Silverstein and Choi 1995); the sign of the slope is bisected in log(-kappa/lambda_1 - 1).
    """
    modes, inv_n, inv_p = jax.tree.map(lax.stop_gradient, (modes, inv_n, inv_p))
    top = jnp.max(modes.eigenvalues)
    effective = modes.multiplicity @ modes.eigenvalues / top
    low = jnp.full_like(top, -36.0)
    high = jnp.log(10.0 * (1.0 + effective * (inv_n + inv_p)))

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        _, slope = one_point(-top * (1.0 + jnp.exp(middle)), modes, inv_n, inv_p)
        return jnp.where(slope > 0, low, middle), jnp.where(slope > 0, middle, high)

    _, high = lax.fori_loop(0, BISECTIONS, halve, (low, high))
    edge, _ = one_point(-top * (1.0 + jnp.exp(high)), modes, inv_n, inv_p)
    return -edge
