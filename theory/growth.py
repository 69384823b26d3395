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

from typing import Any, NamedTuple

import numpy as np

from theory.arrays import Array, by_xla, namespace, scan, stop_gradient
from theory.contour import CONTOUR_STEP, NODES, length
from theory.dynamics import Around, nodes_around
from theory.exponentials import POINTS, Kernel, about, driven, kernel_of, lobatto
from theory.filters import gradient_flow
from theory.fixed_point import Model, spectral_edge
from theory.mode_sums import bias_of

RATIO = 1.4  # of two points of the grid of tau: an error of some 1e-10
STEPS = 80  # of the grid where the richness is not known in advance
FIRST = 0.2  # first step in units of the earliest scale
NEWTON = 4  # rounds for 1/sqrt(m) at the points of a step
DOUBLINGS = 64  # of the time of the lazy model that are tried for the last tau
MOST_GROWTH = 1e5  # and the mean growth and richness |h|^2 that are served there
MOST_SPEED = 1e8
SLACK = 16.0  # by which |beta|^2 may exceed that of the lazy model at the same tau


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
    """Grid of tau: start and length of every step, (S,) each."""

    starts: Array
    lengths: Array


def drive_of(around: Around, model: Model) -> Drive:
    """Return |h|^2 spread over the nodes of a contour."""
    modes, _, inv_p, noise_var = model
    bias = bias_of(around.kappa, modes)
    share: Any = 1.0
    if modes.mixture is not None:
        rows = modes.mixture
        q = 1.0 / (around.data[:, None] + rows.sizes[None] * (around.df1 * inv_p)[:, None])
        share = q @ (rows.weights * rows.noise)
    left = around.exact_data(model) * (noise_var * share + bias)
    # what is never learned adds nothing, but at late times would leave the error of the contour times t
    left = left - left[0]
    # clockwise, and twice the upper half
    return Drive(around.z, -2.0 * around.weights * around.z * left)


def horizon_of(model: Model, last: Array, richness: Array) -> Array:
    """Return a tau that is not below that of time `last`, from the weights of the lazy model.

    Where the richness is not known in advance one tau serves all, so that a map over it shares one contour.
    """
    if by_xla(last, richness, model):
        return stop_gradient(last * MOST_GROWTH)
    xp = namespace(last)
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
    u, points = lobatto()
    inside = points @ (1.0 / np.arange(1.0, POINTS + 1))  # integrals of the polynomials

    def step(state: tuple[Array, Array], length: Array) -> tuple[tuple[Array, Array], Any]:
        psi, first = state
        kernel = kernel_of(drive.z, length)
        values = _solve(_squares(drive, psi, kernel), first, richness)
        end = psi * kernel.kept[-1] + values @ kernel.added[-1]
        return (end, values[-1]), (psi, values, length * (inside @ values**2))

    _, (psi, values, spent) = scan(step, state, walk.lengths)
    ends = xp.cumsum(spent)
    # the step in which each time lies, and where in it
    at = xp.clip(xp.searchsorted(stop_gradient(ends), times), 0, len(walk.lengths) - 1)
    every, values, length = values, values[at], walk.lengths[at]  # (T, POINTS), (T,)
    left = times - (ends - spent)[at]
    u = _place(left / length, values)
    delta = u * length
    x = drive.z[None] * delta[:, None]
    # the polynomial of 1/sqrt(m) about u, in powers of how far before it
    powers = np.arange(POINTS)
    coefficients = about(values @ points, u) * u[:, None] ** powers[None]
    psi = psi[at] * xp.exp(-x) + delta[:, None] * driven(coefficients, x)
    square = (psi**2 @ drive.weights).real
    coarse = 2.0 * (psi[:, ::2] ** 2 @ drive.weights[::2]).real
    growth = 1.0 + richness * square
    error = stop_gradient(xp.max(xp.abs(richness * (coarse - square)) / growth) ** 2)
    # polynomials are off by less than a few per cent of their highest term
    highest = xp.max(xp.abs(every @ points[:, -1]) / every[:, -1]) * 2.0 ** (-1 - 2 * POINTS)
    error = xp.maximum(error, stop_gradient(highest))
    late = stop_gradient(times.max() > ends[-1] * (1.0 + 1e-12))
    response = 1.0 - drive.z[None] * xp.sqrt(growth)[:, None] * psi  # eq. 42
    return Growth(growth, response, xp.where(late, xp.inf, error))


def _walk(drive: Drive, richness: Array, horizon: Array) -> Walk:
    """Return the grid of tau from the earliest scale on, both of H and of the growth."""
    xp = namespace(drive.z, richness, horizon)
    z, weights, richness, horizon = stop_gradient((drive.z, drive.weights, richness, horizon))
    known = not by_xla(z, richness, horizon)
    speed = xp.sqrt(xp.maximum((richness if known else MOST_SPEED) * weights.real.sum(), 0.0))
    fastest = -(weights * z).real.sum() / xp.maximum(weights.real.sum(), 1e-290)
    fastest = xp.maximum(xp.abs(fastest), xp.max(z.real) / 2.0)
    first = xp.minimum(FIRST / xp.maximum(speed, fastest), horizon)
    steps = max(int(np.ceil(np.log(horizon / first) / np.log(RATIO))), 1) if known else STEPS
    grid = first * xp.exp(xp.log(horizon / first) * (xp.arange(steps + 1) / steps))
    starts = xp.concatenate([xp.zeros(1), grid[:-1]])
    return Walk(starts, grid - starts)


class Squares(NamedTuple):
    """Constant (j,), linear (j, i) and quadratic (j, i, k) part of |y|^2 at point j in the values at all points."""

    constant: Array
    linear: Array
    quadratic: Array


def _squares(drive: Drive, psi: Array, kernel: Kernel) -> Squares:
    """Sum over the nodes once, so that the values at the points are found without them."""
    xp = namespace(drive.z, psi, kernel.added)
    free, added = psi[None] * kernel.kept, kernel.added  # (j, n), (j, i, n)
    weighed = added * drive.weights[None, None]
    left = xp.concatenate([weighed.real, -weighed.imag], axis=-1)  # (j, i, 2n)
    quadratic = xp.matmul(left, xp.swapaxes(xp.concatenate([added.real, added.imag], axis=-1), 1, 2))
    linear = xp.matmul(left, xp.concatenate([free.real, free.imag], axis=-1)[:, :, None])[:, :, 0]
    constant = xp.sum((free * free * drive.weights[None]).real, axis=-1)
    return Squares(constant, linear, quadratic)


def _solve(squares: Squares, first: Array, richness: Array) -> Array:
    """Find v_j = 1/sqrt(m) at the points, v^-2 = 1 + gamma |y|^2, from the value at the start of a step."""
    xp = namespace(squares.linear, first, richness)

    def newton(v: Array) -> Array:
        rows = squares.linear + squares.quadratic @ v  # (j, i)
        growth = 1.0 + richness * (squares.constant + (squares.linear + rows) @ v)
        jacobian = xp.eye(POINTS) + growth[:, None] ** -1.5 * richness * rows
        return v + xp.linalg.solve(jacobian, (growth**-0.5 - v)[:, None])[:, 0]

    v = first * xp.ones(POINTS)
    for _ in range(NEWTON):
        v = newton(v)
    return newton(stop_gradient(v))


def _place(spent: Array, values: Array) -> Array:
    """Find u in a step at which int_0^u v^2 = spent, (T,); v^2 is followed through its points."""
    xp = namespace(spent, values)
    _, points = lobatto()
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
