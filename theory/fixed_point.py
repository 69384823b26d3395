"""The one-point equation s = kappa (1 - df1/N)(1 - df1/P), on the real axis and along a contour.

For rows of unequal size the data factor 1 - df1/P is the response R1 of `theory.mixture`.
Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), response functions R1 and R3 at s = i omega. N and P
come as 1/N and 1/P, so that both may be infinite; s, kappa and eigenvalues have the unit of a curvature. Known models
may stand side by side: 1/N (W,), and modes (K,) of all or (W, K) of each; kappa is then (..., W).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax

from theory.arrays import Array, complex_of, known_below, namespace, repeat, scan, stop_gradient
from theory.mixture import POLISH_STEPS, data_response
from theory.mode_sums import degrees_of_freedom, total
from theory.roots import BISECTIONS, Bracket, bisect, polish
from theory.spectrum import Modes

HALVINGS = 11  # log kappa to 1/6 in a bracket of up to 700, where Newton's steps cannot fail
NEWTON_STEPS = 4  # from a start that is right to 1/6 on the real axis, 1e-2 on a path: each squares the error
BEYOND_STEPS = 24  # each gains a bit at least, and close to the root squares the error
CLOSE = 1e-3  # a relative step of Newton that leaves an error of its square, which polishing squares twice more
ROUNDING = 1e-12  # sizes count as equal within it: compressed modes add up to M with rounding error


class Model(NamedTuple):
    """The problem at finite N and P: modes, inv_n = 1/N and inv_p = 1/P (zero where infinite), and the label noise."""

    modes: Modes
    inv_n: Array | float
    inv_p: Array | float
    noise_var: Array | float = 0.0


class Point(NamedTuple):
    """s(kappa) and ds/dkappa; the response of the data R1 and dR1/dkappa."""

    s: Array
    slope: Array
    data: Array
    data_slope: Array


class Kappa(NamedTuple):
    """kappa and, along a path, the response R1 there; residual of a path: the largest relative Newton step left."""

    kappa: Array
    data: Array
    residual: Array


def one_point(kappa: Array, model: Model, data: Array | None = None) -> Point:
    """Evaluate the one-point equation at kappa; data: R1 nearby, needed off the real axis."""
    df1, slope = degrees_of_freedom(kappa, model.modes)
    data, data_slope = data_response(df1 * model.inv_p, model.modes.mixture, data)
    data_slope = data_slope * slope * model.inv_p
    features = 1.0 - df1 * model.inv_n  # R3
    ds = data * features + kappa * (data_slope * features - slope * model.inv_n * data)
    return Point(kappa * data * features, ds, data, data_slope)  # eq. 1


def kappa_real(s: Array, model: Model) -> tuple[Array, Array]:
    """Return the positive root at real s >= 0 with df1 < min(N, P), and its residual |Newton step|/kappa.

    s = 0 gives the ridgeless root df1 = min(N, P), or kappa = 0 where there are fewer modes than min(N, P).
    """
    modes, inv_n, inv_p, _ = model
    xp = namespace(s, modes.eigenvalues)
    start = _search(*stop_gradient((s, model)))
    # s = 0 and no more modes than features and samples: df1 < min(N, P) down to kappa = 0
    num_modes = modes.multiplicity.sum(-1)
    load = num_modes * xp.maximum(inv_n, inv_p)
    empty = (s == 0) & (load <= 1.0 + ROUNDING)
    kappa = xp.where(empty, modes.eigenvalues.max(-1), start)

    # at N = P s(kappa) has a double root at s = 0: there the vanishing factor alone is solved for
    def newton(kappa: Array) -> Array:
        point = one_point(kappa, model)
        df1, df1_slope = degrees_of_freedom(kappa, modes)
        inv_min = xp.maximum(inv_n, inv_p)
        at_zero = (1.0 - df1 * inv_min) / (-df1_slope * xp.where(inv_min > 0, inv_min, 1.0))
        return xp.where((s == 0) & (inv_n == inv_p), at_zero, (point.s - s) / point.slope)

    for _ in range(POLISH_STEPS):
        kappa = kappa - newton(kappa)
    residual = xp.abs(stop_gradient(newton(kappa))) / kappa
    # kappa = s/[(1 - M/N) R1] near s = 0: zero there, but with a slope
    inside = empty & (load < 1.0 - ROUNDING)
    data, _ = data_response(xp.where(inside, num_modes * inv_p, 0.0), modes.mixture)
    from_zero = xp.where(inside, s / (data * (1.0 - xp.where(inside, num_modes * inv_n, 0.0))), 0.0)
    return xp.where(empty, from_zero, kappa), xp.where(empty, 0.0, residual)


def _search(s: Array, model: Model) -> Array:
    """Find the root of `kappa_real` to rounding, by a few bisections and then Newton steps in x = log kappa.

    Solved for df1, the equation reads df1 = D(s/kappa), D(rho) = (1 - rho)/q, q = [1/N + 1/P + root]/2 and
    root^2 = (1/N - 1/P)^2 + 4 rho/(N P). Both sides are monotone in x, with |f''| <= |f'| for either, so their gap has
    one root, also at N = P and s = 0, and Newton turns an error e into e^2/2 whatever the spectrum.
    """
    modes, inv_n, inv_p, _ = model
    xp = namespace(s, modes.eigenvalues)

    # notation: x = log kappa, rho = s/kappa
    def gap(x: Array) -> tuple[Array, Array]:  # q (df1 - D), and its slope but for that of q
        kappa = xp.exp(x)
        rho = s / kappa
        df1, slope = degrees_of_freedom(kappa, modes)
        root = xp.sqrt((inv_n - inv_p) ** 2 + 4.0 * inv_n * inv_p * rho)
        q = 0.5 * (inv_n + inv_p + root)
        share = xp.where(root > 0, q / xp.where(root > 0, root, 1.0), 1.0)
        return q * df1 - (1.0 - rho), q * kappa * slope - rho * share

    # kappa <= s + trace (1/N + E tau^2/P), since df1 <= trace/kappa; 1e-290 stands for zero
    trace, least = total(modes.multiplicity, modes.eigenvalues), 1e-290 * modes.eigenvalues.max(-1)
    inv_most = inv_p if modes.mixture is None else inv_p * modes.mixture.second
    bracket = Bracket(xp.log(xp.maximum(s, least)), xp.log(s + trace * (inv_n + inv_most) + least))
    if modes.mixture is not None:
        return xp.exp(_search_mixture(s, model, bracket))

    def below(x: Array) -> Array:
        value, _ = gap(x)
        return value > 0

    return xp.exp(polish(gap, bisect(below, bracket, HALVINGS), NEWTON_STEPS))


def _search_mixture(s: Array, model: Model, bracket: Bracket) -> Array:
    """Find log kappa for rows of unequal size: s(kappa) rises wherever df1 < min(N, P)."""

    xp = namespace(s, model.modes.eigenvalues)

    def below(x: Array) -> Array:
        kappa = xp.exp(x)
        df1, _ = degrees_of_freedom(kappa, model.modes)
        inside = df1 * xp.maximum(model.inv_n, model.inv_p) < 1.0
        return ~inside | (one_point(xp.where(inside, kappa, xp.exp(bracket.high)), model).s < s)

    return bisect(below, bracket, BISECTIONS).middle


def kappa_beyond(s: Array, model: Model) -> Array:
    """Return the root at real s < -z_max for equal rows; s(kappa) bends down there, so Newton's steps never pass it."""

    def newton(kappa: Array) -> Array:
        point = one_point(kappa, model)
        return kappa - (point.s - s) / point.slope

    return repeat(BEYOND_STEPS, newton, s, settled=ROUNDING)


def kappa_path(s: Array, model: Model, start: Array | None = None) -> Kappa:
    """Follow kappa and R1 along a path s (n,), or along many (n, ...) at once.

    start: kappa at the first point, where that is not on the positive real axis. Analytic continuation node by node:
    Euler predictor, then a fixed number of Newton steps.
    """
    s_path, frozen = stop_gradient((s, model))
    start = kappa_real(s_path[0].real, frozen)[0] if start is None else start

    def continue_to(carry: tuple[Array, Point], s_next: Array) -> tuple[tuple[Array, Point], tuple[Array, Array]]:
        kappa, point = carry
        step = (s_next - point.s) / point.slope
        for _ in range(NEWTON_STEPS):
            kappa = kappa + step
            point = one_point(kappa, frozen, point.data + point.data_slope * step)
            step = (s_next - point.s) / point.slope
            if known_below(abs(step), CLOSE * abs(kappa)):
                break
        return (kappa, point), (kappa + step, point.data + point.data_slope * step)

    first = start, one_point(start, frozen)
    first = jax.tree.map(lambda x: complex_of(x, 0.0 * x), first)
    _, path = scan(continue_to, first, s_path)
    kappa, data = stop_gradient(path)
    step = 0.0 * kappa
    for _ in range(POLISH_STEPS):  # all nodes at once, differentiated: the implicit function theorem
        point = one_point(kappa, model, data)
        step = (s - point.s) / point.slope
        kappa, data = kappa + step, point.data + point.data_slope * step  # eq. 2
    xp = namespace(kappa)
    residual = (xp.abs(stop_gradient(step)) / xp.abs(stop_gradient(kappa))).max(0)
    return Kappa(kappa, data, residual)


def spectral_edge(model: Model) -> Array:
    """Return the largest z in the limiting spectrum of A = F^T F Psi^T Psi / P.

    Seen from far left, s(kappa) rises along the negative axis until ds/dkappa = 0 at the edge s = -z_max
    (Silverstein and Choi 1995); the sign of the slope is bisected in log(-kappa/lambda_1 - 1).
    """
    mixture = model.modes.mixture
    inv_most = model.inv_p if mixture is None else model.inv_p * mixture.sizes.max()
    return edge_of(model, model.inv_n + inv_most, lambda kappa, point: point.slope > 0)  # eq. 3


def edge_of(model: Model, spread: Array, beyond: Callable[[Array, Point], Array]) -> Array:
    """Return z = -s at the kappa < -lambda_1 from which on to the left beyond(kappa, point) holds, not differentiated.

    It must hold from kappa = -10 (lambda_1 + spread trace) on; spread gives the shape of the result.
    """
    model, spread = stop_gradient((model, spread))
    modes = model.modes
    xp = namespace(modes.eigenvalues)
    top = modes.eigenvalues.max(-1)
    effective = total(modes.multiplicity, modes.eigenvalues) / top
    high = xp.log(10.0 * (1.0 + effective * spread))
    bracket = Bracket(xp.full_like(high, -36.0), high)

    def below(x: Array) -> Array:
        kappa = -top * (1.0 + xp.exp(x))
        return ~beyond(kappa, one_point(kappa, model))

    high = bisect(below, bracket, BISECTIONS).high
    return -one_point(-top * (1.0 + xp.exp(high)), model).s


def lower_edge(model: Model) -> Array:
    """Return the smallest z > 0 in the limiting spectrum of A, or zero where no gap separates it from z = 0.

    The gap ends as `spectral_edge`: seen from kappa at z = 0, where df1 = min(N, P), at the kappa below it where
    ds/dkappa = 0; there is none where N = P. Where fewer modes than that leave kappa = 0, it is not looked for.
    """
    xp = namespace(model.modes.eigenvalues)
    least, most = xp.minimum(model.inv_n, model.inv_p), xp.maximum(model.inv_n, model.inv_p)
    if least == most:
        return xp.zeros(())
    kappa, _ = kappa_real(xp.zeros(()), model)

    def below(x: Array) -> Array:
        df1, _ = degrees_of_freedom(xp.exp(x), model.modes)
        return ~((one_point(xp.exp(x), model).slope > 0) & (df1 * least < 1.0))

    high = xp.log(xp.where(kappa > 0, kappa, 1.0))
    found = xp.exp(bisect(below, Bracket(high - 60.0, high), BISECTIONS).high)
    return xp.where(kappa > 0, -one_point(found, model).s, 0.0)
