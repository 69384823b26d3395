"""Training algorithms as filters r_t(z): the part of the residual left in a direction of curvature z.

r_t(0) = 1 and r_t -> 0 where training is done. A `Filter` also says where r_t stays bounded: `curvature` maps
the right half plane, Re(w) >= 0, onto a region of z where |r_t| <= 1, so that one contour in w serves all
algorithms (`contour.py`). Adding an algorithm is adding one function here.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from theory.annulus import slit_annulus
from theory.arrays import Array, complex_of, log1p, namespace, scan, sinh, stop_gradient
from theory.roots import BISECTIONS, Bracket, bisect

SHORTEST = 8.0  # least tau where steps are taken: near w = -1 the maps have singularities of their own
PIECES = 1024  # of a schedule at a time
Map = Callable[[Array], Array]


class Filter(NamedTuple):
    """One algorithm. All functions act elementwise on arrays, `response` on a row z (1, n) and a column t (T, 1)."""

    curvature: Map  # w -> z, with curvature(0) = 0 and real for real w
    log_slope: Map  # w -> d log z / d log w
    stability: Map  # real z -> real w, inverse of curvature; beyond stability: not positive
    response: Callable[[Array, Array], Array]  # (z, t) -> r_t(z)
    elapsed: Map  # t -> tau, where r_t ~ exp(-w tau) at small w; see SHORTEST
    cut: Array | float = math.inf  # r_t(z) is analytic for Re z > -cut


def gradient_flow() -> Filter:
    """r_t(z) = exp(-z t): stable in the whole right half plane."""
    return Filter(
        curvature=lambda w: w,
        log_slope=lambda w: namespace(w).ones_like(w),
        stability=lambda z: z,
        response=lambda z, t: namespace(z).exp(-z * t),  # eq. 11
        elapsed=lambda t: t,
    )


def gradient_descent(lr: Array | tuple[Array, Array], weight_decay: Array = 0.0) -> Filter:
    """r_t(z) = (d + z prod_{u<t} (1 - lr_u (z + d)))/(z + d), d the weight decay, t a number of steps.

    lr: a number, or (values, ends) of a schedule of constant pieces. Stable in the disc |1 - lr (z + d)| <= 1 of the
    largest lr; the Cayley map z = z_end w/(1 + w) takes the half plane to its part right of z = 0.
    """
    # notation: d = weight_decay, z_end = 2/lr - d
    d = weight_decay
    xp = namespace(*lr) if isinstance(lr, tuple) else namespace(lr)
    values, ends = lr if isinstance(lr, tuple) else (xp.reshape(lr, 1), xp.full(1, xp.inf))  # (R,), (R,)
    z_end = 2.0 / values.max() - d

    def counts(t: Array) -> Array:  # steps taken in each piece: (T, 1) -> (T, R)
        starts = xp.concatenate([xp.zeros(1), ends[:-1]])
        return xp.clip(t - starts[None], 0.0, (ends - starts)[None])

    def response(z: Array, t: Array) -> Array:
        # log1p keeps (1 - lr z)^t right at 10^6 steps, where a plain power loses ten digits
        log_product = _piecewise(lambda value: log1p(-_off_one(value * (z + d))), values, counts(t))
        product = xp.exp(log_product)
        # without decay z + d is z itself; with it z = -d is no singularity, but 0/0 on the way
        near = xp.abs(z + d) < 0.5 * xp.abs(d)
        total = xp.where(z + d == 0, 1.0, z + d)
        return xp.where(near, 1.0 + z * xp.expm1(log_product) / total, (d + z * product) / total)  # eq. 12

    return Filter(
        curvature=lambda w: z_end * w / (1.0 + w),
        log_slope=lambda w: 1.0 / (1.0 + w),
        stability=lambda z: xp.where(z < z_end, z / xp.abs(z_end - z), -1.0),
        response=response,
        elapsed=lambda t: xp.maximum(z_end * (counts(xp.reshape(t, (1, 1)))[0] @ values), SHORTEST),
    )


def preconditioned(power: Array, damping: Array, lr: Array | None = None) -> Filter:
    """r_t(z) = exp(-t z') or (1 - lr z')^t, z' = z/(z + d)^power, d the damping.

    The cut of z' from z = -d on stays far outside, as r_t has no bound near it: the contour passes the origin nearer.
    For power <= 1, z' is in the right half plane where z is, and in the disc |1 - lr z'| <= 1 where z is in that on
    (0, z_end), lr z_end' = 2.
    """
    # notation: p = power, d = damping
    p, d = power, damping
    xp = namespace(p, d) if lr is None else namespace(p, d, lr)

    def moved(z: Array) -> Array:
        return z * (z + d) ** -p

    if lr is None:
        return gradient_flow()._replace(
            response=lambda z, t: namespace(z).exp(-moved(z) * t),  # eq. 52
            elapsed=lambda t: xp.maximum(t * d**-p, SHORTEST / d),
            cut=d,
        )
    bracket = Bracket(xp.log(d) - 60.0, xp.log(d) + 60.0)
    z_end = stop_gradient(xp.exp(bisect(lambda x: lr * moved(xp.exp(x)) < 2.0, bracket, BISECTIONS).low))
    disc = gradient_descent(2.0 / z_end)
    return disc._replace(
        response=lambda z, t: namespace(z).exp(t * log1p(-_off_one(lr * moved(z)))),
        elapsed=lambda t: xp.maximum(xp.maximum(lr * t * d**-p, SHORTEST / d) * z_end, SHORTEST),
        cut=d,
    )


def _off_one(x: Array) -> Array:
    """Keep one step that leaves nothing, x = 1, from being zero times infinity before it is taken."""
    return namespace(x).where(x == 1.0, 1.0 - 1e-16, x)


def heavy_ball(lr: Array, momentum: Array) -> Filter:
    """r_{t+1} = (1 + beta - lr z) r_t - beta r_{t-1}, r_0 = 1, r_1 = 1 - lr z.

    |r_t| is bounded where both roots of y^2 - (1 + beta - lr z) y + beta lie in the unit disc: an ellipse
    0 < z < 2 (1 + beta)/lr of aspect (1 - beta)/(1 + beta).
    """
    return _two_term(
        lr,
        momentum,
        trace=lambda z: 1.0 + momentum - lr * z,  # eq. 13
        determinant=lambda z: namespace(z).full_like(z, momentum),
        z_end=2.0 * (1.0 + momentum) / lr,
        aspect=(1.0 - momentum) / (1.0 + momentum),
    )


def nesterov(lr: Array, momentum: Array) -> Filter:
    """r_{t+1} = (1 - lr z) [(1 + beta) r_t - beta r_{t-1}], r_0 = 1, r_1 = 1 - lr z.

    Both roots of y^2 - (1 - lr z) [(1 + beta) y - beta] lie in the unit disc in a drop 0 < z < z_end; the ellipse taken
    inside it has the curvature of its thin end.
    """
    half_end = (1.0 + momentum) / (1.0 + 2.0 * momentum)
    bend = 0.5 - 0.5 * momentum + momentum**2  # of the drop at z = 0: lr Re z = bend (lr Im z/(1 - beta))^2
    return _two_term(
        lr,
        momentum,
        trace=lambda z: (1.0 + momentum) * (1.0 - lr * z),  # eq. 14
        determinant=lambda z: momentum * (1.0 - lr * z),
        z_end=2.0 * half_end / lr,
        aspect=(1.0 - momentum) / namespace(momentum).sqrt(2.0 * bend * half_end),
    )


def _two_term(
    lr: Array,
    momentum: Array,
    *,
    trace: Map,
    determinant: Map,
    z_end: Array,
    aspect: Array,
) -> Filter:
    """r_{t+1} = trace r_t - determinant r_{t-1}, with 1 - trace + determinant = lr z."""
    curvature, log_slope, stability = ellipse(z_end, aspect)

    def response(z: Array, t: Array) -> Array:
        # r_t = y^t [(1 - rho^(t+1)) - rho y (1 - rho^t)]/(1 - rho), y the larger root, rho y the smaller
        xp = namespace(z)
        half, product = 0.5 * trace(z), determinant(z)
        root = xp.sqrt(half**2 - product)
        root = xp.where((half * root.conj()).real < 0, -root, root)
        larger = half + root
        nothing = larger == 0  # both roots vanish: one step leaves nothing
        larger = xp.where(nothing, 1.0, larger)
        smaller = product / larger
        rest = xp.where(nothing, 0.0, lr * z / (1.0 - smaller))  # 1 - y without cancellation
        log_larger = xp.where(nothing, -700.0, log1p(-rest))
        log_ratio = log1p(-2.0 * xp.where(product == 0, 0.0, root) / larger)
        log_ratio = xp.where(product == 0, -700.0, log_ratio)  # no momentum: rho = 0
        equal = xp.abs(root) < 1e-9 * xp.abs(larger)  # the critical momentum: rho = 1
        log_ratio = xp.where(equal, 1.0, log_ratio)

        def geometric(n: Array) -> Array:  # (1 - rho^n)/(1 - rho)
            return xp.where(equal, n, xp.expm1(n * log_ratio) / xp.expm1(log_ratio))

        return xp.exp(t * log_larger) * (geometric(t + 1.0) - smaller * geometric(t))

    tiny = 1e-9
    xp = namespace(lr, momentum)
    rate = lr / (1.0 - momentum) * stop_gradient(curvature(xp.asarray(tiny)) / tiny)
    return Filter(curvature, log_slope, stability, response, elapsed=lambda t: xp.maximum(rate * t, SHORTEST))


def ellipse(z_end: Array, aspect: Array) -> tuple[Map, Map, Map]:
    """Map the half plane onto the ellipse with axis (0, z_end), height/width = aspect.

    Returns `curvature`, `log_slope` and `stability`.

    z = (z_end/2) [1 - cosh(A - x)/cosh A], aspect = tanh A, takes the rectangle of `slit_annulus` to its upper half.
    """
    # notation: A = half width
    xp = namespace(aspect)
    annulus = slit_annulus(xp.sqrt((1.0 - aspect) / (1.0 + aspect)))

    def curvature(w: Array) -> Array:
        x, _ = annulus.to_rectangle(w)
        return z_end * sinh(annulus.width - 0.5 * x) * sinh(0.5 * x) / xp.cosh(annulus.width)

    def log_slope(w: Array) -> Array:
        x, slope = annulus.to_rectangle(w)
        return 0.5 * slope * sinh(annulus.width - x) / (sinh(annulus.width - 0.5 * x) * sinh(0.5 * x))

    def stability(z: Array) -> Array:  # curvature grows with real w: bisected in log w
        xp = namespace(z, z_end)

        def below(log_w: Array) -> Array:
            return ~(curvature(complex_of(xp.exp(log_w), xp.zeros_like(log_w))).real > z)

        bracket = Bracket(xp.full_like(z, -60.0), xp.full_like(z, 690.0))
        return xp.where(z < z_end, xp.exp(bisect(below, bracket, BISECTIONS).low), -1.0)

    return curvature, log_slope, stability


def lens(z_end: Array, power: Array, reach: Array) -> Filter:
    """Map the half plane onto the lens between a point left of 0 and z_end, which has the angle pi power at both.

    reach: of times; the left end lies some SHORTEST/reach off. There is no response: for steps taken one by one.
    """
    # notation: v = a sector with its corner at -corner
    xp = namespace(z_end, power, reach)
    corner = SHORTEST / (power * reach)

    def sector(w: Array) -> Array:
        return corner * xp.expm1(power * log1p(w))

    def curvature(w: Array) -> Array:
        v = sector(w)
        return z_end * v / (z_end + v)

    def log_slope(w: Array) -> Array:
        v = sector(w)
        return w / (1.0 + w) * power * (v + corner) * z_end / (v * (z_end + v))

    def stability(z: Array) -> Array:
        v = z_end * z / xp.where(z < z_end, z_end - z, 1.0)
        return xp.where(z < z_end, xp.expm1(xp.log1p(v / corner) / power), -1.0)

    return Filter(curvature, log_slope, stability, lambda z, t: z, elapsed=lambda t: 0.0 * reach + SHORTEST)


def _piecewise(function: Map, values: Array, counts: Array) -> Array:
    """Sum counts[t, r] function(values[r]) over r, (T, n), in blocks so that memory does not grow with a schedule."""
    xp = namespace(values, counts)
    if values.shape[0] <= PIECES:
        return counts @ function(values[:, None])
    pad = -values.shape[0] % PIECES
    values = xp.pad(values, (0, pad)).reshape(-1, PIECES)
    counts = xp.pad(counts, ((0, 0), (0, pad))).reshape(counts.shape[0], -1, PIECES).swapaxes(0, 1)

    def add(total: Array, block: tuple[Array, Array]) -> tuple[Array, None]:
        value, count = block
        return total + count @ function(value[:, None]), None

    first = counts[0] @ function(values[0][:, None])
    total, _ = scan(add, first, (values[1:], counts[1:]))
    return total


FILTERS: dict[str, Callable[..., Filter]] = {
    "GradientFlow": gradient_flow,
    "GradientDescent": gradient_descent,
    "HeavyBall": heavy_ball,
    "Nesterov": nesterov,
    "Preconditioned": preconditioned,
}
