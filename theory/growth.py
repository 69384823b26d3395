"""Gradient flow where the features are trained too: one filter more, driven by the growth m(t) of the kernel.

The model f = theta^T W phi starts at theta = 0, W = 1 on random features phi, and W learns `richness` = gamma times as
fast as theta. W W^T - gamma theta theta^T = 1 is conserved, so that the kernel is W^T W = 1 + gamma beta beta^T/m for
effective weights beta = W^T theta, with m = 1 + gamma |theta|^2. In the time tau of the lazy model, dtau = m dt,
beta = sqrt(m) y obeys dy/dtau = h/sqrt(m) - H y: a linear filter with one unknown function of time,

    r(z) = 1 - z sqrt(m) psi(z),  dpsi/dtau = 1/sqrt(m) - z psi,  psi = 0 at the start,  t = int dtau/m
    m = 1 + gamma (1/2 pi i) oint psi^2 R1(-z) [sigma^2 + Q(kappa(-z))] dz,  Q = kappa sum lambda w^2/(kappa + lambda)

as h^T (s + H)^-1 h = const - R1 [sigma^2 + Q] for h the moment of features and labels. psi goes from step to step of a
geometric grid of tau, with 1/sqrt(m) a polynomial in each and exponentials exact at every node.

Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2409.17858) for the model at N = P = infinity without noise.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from theory.arrays import Array, by_xla, namespace, scan, stop_gradient
from theory.contour import CONTOUR_STEP, NODES, length
from theory.dynamics import Around, nodes_around
from theory.filters import gradient_flow
from theory.fixed_point import Model, resolvent, spectral_edge

POINTS = 8  # of 1/sqrt(m) in a step of tau, both ends included
RATIO = 1.4  # of two points of the grid of tau: an error of some 1e-10
STEPS = 128  # of the grid where its ends are not known in advance
FIRST = 0.2  # first step in units of the earliest scale
NEWTON = 6  # rounds for 1/sqrt(m) at the points of a step
DOUBLINGS = 64  # of the time of the lazy model that are tried for the last tau
SLACK = 16.0  # by which |beta|^2 may exceed that of the lazy model at the same tau
FALLING = 24  # more powers from which moments are followed down
LARGE = 8.0  # |x| from which moments are followed up


class Growth(NamedTuple):
    """Growth m (T,) of the kernel at some times, the filter r (T, n) there, and an estimate of the error."""

    growth: Array
    response: Array
    residual: Array


class Drive(NamedTuple):
    """Nodes z (n,), and weights (n,) whose sum of real parts with psi^2 is |y|^2."""

    z: Array
    weights: Array


class Walk(NamedTuple):
    """Grid of tau: the start of every step (S,), the ratio of neighbours, and the first step."""

    starts: Array
    lengths: Array


def drive_of(around: Around, model: Model) -> Drive:
    """Return |h|^2 spread over the nodes of a contour."""
    modes, _, inv_p, noise_var = model
    bias = around.kappa * (resolvent(around.kappa, modes) @ modes.power)  # Q
    share: Any = 1.0
    if modes.mixture is not None:
        rows = modes.mixture
        q = 1.0 / (around.data[:, None] + rows.sizes[None] * (around.df1 * inv_p)[:, None])
        share = q @ (rows.weights * rows.noise)
    # clockwise, and twice the upper half
    return Drive(around.z, -2.0 * around.weights * around.z * around.exact_data(model) * (noise_var * share + bias))


def horizon_of(model: Model, last: Array, richness: Array) -> Array:
    """Return a tau that is not below that of time `last`, from the weights of the lazy model."""
    xp = namespace(last, richness, model.modes.eigenvalues)
    last, model, richness = stop_gradient((last, model, richness))
    tau = last * 2.0 ** xp.arange(DOUBLINGS)  # (D,)
    drive = drive_of(nodes_around(model, gradient_flow(), tau[-1], NODES), model)
    psi = -xp.expm1(-drive.z[None] * tau[:, None]) / drive.z[None]
    square = xp.maximum((psi**2 @ drive.weights).real, 0.0)
    growth = 0.5 * (1.0 + xp.sqrt(1.0 + 4.0 * SLACK * richness * square))
    enough = tau >= last * growth
    return xp.where(xp.any(enough), tau[xp.argmax(enough)], tau[-1])


def nodes_for(model: Model, horizon: Array) -> int:
    """Count the nodes of a contour up to `horizon`: more than NODES only where that is known."""
    if by_xla(horizon, model):
        return NODES
    return max(NODES, int(np.ceil(length(horizon, spectral_edge(model)) / CONTOUR_STEP)))


def rich_flow(drive: Drive, times: Array, richness: Array, horizon: Array) -> Growth:
    """Return growth and filter of gradient flow at `times` (T,), of which tau stays below `horizon`."""
    xp = namespace(times, richness, drive.z)
    walk = _walk(drive, richness, horizon)
    state = xp.zeros_like(drive.z), xp.ones_like(drive.z.real[0] * richness)
    points, inside = _constants()

    def step(state: tuple[Array, Array], length: Array) -> tuple[tuple[Array, Array], Any]:
        psi, first = state
        kernel = _kernel(drive.z, length)  # (POINTS, POINTS, n)
        values = _solve(_squares(drive, psi, length, kernel), first, richness)
        end = psi * xp.exp(-drive.z * length) + values @ kernel[-1]
        return (end, values[-1]), (psi, values, length * (inside[-1] @ values**2))

    _, (psi, values, spent) = scan(step, state, walk.lengths)
    ends = xp.cumsum(spent)
    # the step in which each time lies, and where in it
    at = xp.clip(xp.searchsorted(stop_gradient(ends), times), 0, len(walk.lengths) - 1)
    values, length = values[at], walk.lengths[at]  # (T, POINTS), (T,)
    left = times - (ends - spent)[at]
    u = _place(left / length, values)
    delta = u * length
    x = drive.z[None] * delta[:, None]
    # the polynomial of 1/sqrt(m) about u, in powers of how far before it
    powers = np.arange(POINTS)
    coefficients = _about(values @ points, u) * u[:, None] ** powers[None]
    moments = xp.stack(_moments(x))  # (POINTS, T, n)
    psi = psi[at] * xp.exp(-x) + delta[:, None] * xp.einsum("tk,ktn->tn", coefficients, moments)
    square = (psi**2 @ drive.weights).real
    coarse = 2.0 * (psi[:, ::2] ** 2 @ drive.weights[::2]).real
    growth = 1.0 + richness * square
    error = stop_gradient(xp.max(xp.abs(richness * (coarse - square)) / growth) ** 2)
    late = stop_gradient(times.max() > ends[-1] * (1.0 + 1e-12))
    response = 1.0 - drive.z[None] * xp.sqrt(growth)[:, None] * psi  # eq. 42
    return Growth(growth, response, xp.where(late, xp.inf, error))


def _walk(drive: Drive, richness: Array, horizon: Array) -> Walk:
    """Return the grid of tau from the earliest scale on, both of H and of the growth."""
    xp = namespace(drive.z, richness, horizon)
    z, weights, richness, horizon = stop_gradient((drive.z, drive.weights, richness, horizon))
    speed = xp.sqrt(xp.maximum(richness * weights.real.sum(), 0.0))
    fastest = -(weights * z).real.sum() / xp.maximum(weights.real.sum(), 1e-290)
    fastest = xp.maximum(xp.abs(fastest), xp.max(z.real) / 2.0)
    first = xp.minimum(FIRST / xp.maximum(speed, fastest), horizon)
    known = not by_xla(first, horizon)
    steps = max(int(np.ceil(np.log(horizon / first) / np.log(RATIO))), 1) if known else STEPS
    grid = first * xp.exp(xp.log(horizon / first) * (xp.arange(steps + 1) / steps))
    starts = xp.concatenate([xp.zeros(1), grid[:-1]])
    return Walk(starts, grid - starts)


@functools.cache
def _constants() -> tuple[np.ndarray, np.ndarray]:
    """Monomials (i, k) of the polynomials through Lobatto's points u_i, and their integrals (j, i) from 0 to u_j."""
    legendre = np.polynomial.legendre.Legendre.basis(POINTS - 1)
    u = np.concatenate([[0.0], 0.5 + 0.5 * np.sort(legendre.deriv().roots().real), [1.0]])
    points = np.linalg.inv(np.vander(u, increasing=True)).T  # (i, k)
    powers = np.arange(1, POINTS + 1)
    return points, (u[:, None] ** powers[None] / powers[None]) @ points.T


@functools.cache
def _shifted() -> tuple[np.ndarray, np.ndarray]:
    """Points u_j, and coefficients (j, i, k) of the polynomial of point i in powers of (u_j - u)/u_j."""
    points, _ = _constants()
    legendre = np.polynomial.legendre.Legendre.basis(POINTS - 1)
    u = np.concatenate([[0.0], 0.5 + 0.5 * np.sort(legendre.deriv().roots().real), [1.0]])
    powers = np.arange(POINTS)
    table = np.stack([_about(points, np.full(POINTS, x)) * x ** powers[None] for x in u])
    return u, table


def _about(coefficients: Array, u: Array) -> Array:
    """Coefficients (T, k) of sum_k c_k v^k in powers of u - v, for u (T,)."""
    xp = namespace(coefficients, u)
    columns = []
    for k in range(POINTS):
        binomials = np.array([_binomial(j, k) for j in range(k, POINTS)])
        powers = u[:, None] ** np.arange(POINTS - k)[None]
        columns.append((-1.0) ** k * xp.sum(coefficients[:, k:] * binomials[None] * powers, axis=1))
    return xp.stack(columns, axis=1)


def _binomial(n: int, k: int) -> float:
    return float(np.prod(np.arange(n - k + 1, n + 1)) / np.prod(np.arange(1, k + 1)))


def _moments(x: Array) -> list[Array]:
    """int_0^1 exp(-x s) s^k ds for k < POINTS, elementwise: down from a high power where |x| is small, else up."""
    xp = namespace(x)
    large = xp.abs(x) > LARGE
    down, up = xp.where(large, 1.0, x), xp.where(large, x, 1.0)
    decay, fall = xp.exp(-down), xp.exp(-up)
    top = POINTS + FALLING
    value = decay / (top + 1.0)
    rows: list[Array] = []
    for k in range(top, 0, -1):
        if k < POINTS:
            rows.append(value)
        value = (down * value + decay) / k
    rows.append(value)
    rows = rows[::-1]
    above = (1.0 - fall) / up
    result = []
    for k in range(POINTS):
        above = above if k == 0 else (k * above - fall) / up
        result.append(xp.where(large, above, rows[k]))
    return result


def _kernel(z: Array, length: Array) -> Array:
    """int_0^u_j exp(-z (u_j - u) length) l_i(u) length du, (j, i, n): what point i adds to psi at point j."""
    xp = namespace(z, length)
    u, table = _shifted()
    moments = xp.stack(_moments(z[None] * (length * u)[:, None]))  # (k, j, n)
    return xp.einsum("jik,kjn->jin", table * u[:, None, None], moments) * length


class Squares(NamedTuple):
    """Constant (j,), linear (j, i) and quadratic (j, i, k) part of |y|^2 at point j in the values at all points."""

    constant: Array
    linear: Array
    quadratic: Array


def _squares(drive: Drive, psi: Array, length: Array, kernel: Array) -> Squares:
    """Sum over the nodes once, so that the values at the points are found without them."""
    xp = namespace(drive.z, psi, length)
    u, _ = _shifted()
    free = psi[None] * xp.exp(-drive.z[None] * (length * u)[:, None])  # (j, n)
    weighed = kernel * drive.weights  # (j, i, n)
    linear = xp.einsum("jin,jn->ji", weighed, free).real
    quadratic = xp.matmul(weighed, xp.swapaxes(kernel, 1, 2)).real
    return Squares((free**2 @ drive.weights).real, 2.0 * linear, quadratic)


def _solve(squares: Squares, first: Array, richness: Array) -> Array:
    """Find v_j = 1/sqrt(m) at the points, v^-2 = 1 + gamma |y|^2, from the value at the start of a step."""
    xp = namespace(squares.linear, first, richness)

    def newton(v: Array) -> Array:
        quadratic = squares.quadratic @ v  # (j, i)
        growth = 1.0 + richness * (squares.constant + (squares.linear + quadratic) @ v)
        slope = richness * (squares.linear + 2.0 * quadratic)
        jacobian = xp.eye(POINTS) + 0.5 * growth[:, None] ** -1.5 * slope
        return v + xp.linalg.solve(jacobian, (growth**-0.5 - v)[:, None])[:, 0]

    v = first * xp.ones(POINTS)
    for _ in range(NEWTON):
        v = newton(v)
    return newton(stop_gradient(v))


def _place(spent: Array, values: Array) -> Array:
    """Find u in a step at which int_0^u v^2 = spent, (T,); v^2 is followed through its points."""
    xp = namespace(spent, values)
    points, _ = _constants()
    coefficients = values**2 @ points  # (T, k)
    powers = np.arange(POINTS)

    def newton(u: Array) -> Array:
        terms = coefficients * u[:, None] ** powers[None]
        total = xp.sum(terms / (powers + 1.0)[None], axis=1) * u
        return u - (total - spent) / xp.sum(terms, axis=1)

    u = spent / values[:, 0] ** 2
    for _ in range(NEWTON):
        u = xp.clip(newton(u), 0.0, 1.0)
    return newton(stop_gradient(u))
