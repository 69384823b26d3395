"""One-pass SGD: risk against the number of steps, each step on a fresh batch of B Gaussian samples.

Given the features, the second moments of the distance from the best weights along an eigenvector of curvature z follow
a 3 x 3 map, driven by the label risk L of all: a Volterra equation, without momentum (Paquette et al. 2024, arXiv
2405.15074, section 2)

    L(t) = D(t) + (lr^2/B) sum_{u<t} K(t-1-u) L(u),  L = risk + sigma^2
    D(t) - sigma^2 = (1/2 pi i) oint g(z)^t Q(kappa(-z)) dz/z,  Q(kappa) = kappa sum lambda w^2/(kappa + lambda)
    K(n) = sum_j z_j^2 g(z_j)^n,  g(z) = 1 - 2 lr z + lr^2 (1 + 1/B) z^2

solved here for every t at once. In generating functions, X~(eta) = sum_t X(t) eta^(-t-1), the convolution is a
product: L~ = D~/(1 - (lr^2/B) K~). Both D~ and K~ are contour integrals of 1/det(eta, z), with momentum beta

    det = (eta + beta)(eta^2 - beta^2) - eta (eta - beta)(1 + beta - lr z)^2 - eta (eta + beta)(lr^2/B) z^2,

whose only poles off the spectrum are its two roots z+-(eta): residues there leave kappa(-z+) and kappa(-z-) and nothing
to integrate. L(t) is then one contour integral of eta^t, around 0 <= eta <= 1 and the disc |eta| <= beta where momentum
oscillates.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from theory.annulus import Annulus, slit_annulus
from theory.arrays import Array, by_xla, evaluated, namespace, stop_gradient
from theory.contour import CONTOUR_STEP, NODES, hyperbola, length
from theory.dynamics import TOLERANCE, LearningCurve
from theory.filters import SHORTEST
from theory.fixed_point import Model, Point, edge_of, kappa_beyond, kappa_path, kappa_real
from theory.mode_sums import degrees_of_freedom, sums

BEYOND_DISC = 2.0  # the contour closes past the disc, at twice this times 1/k


def one_pass_nodes(times: Array, momentum: Array) -> Array:
    """Count the nodes that bring the step of the contour down to CONTOUR_STEP."""
    annulus = slit_annulus(momentum)
    return length(_horizon(times, annulus), BEYOND_DISC / annulus.modulus) / CONTOUR_STEP


def _horizon(times: Array, annulus: Annulus) -> Array:
    """Latest time in the units of w."""
    xp = namespace(times, annulus.width)
    rate = (annulus.to_rectangle(xp.asarray(1e-9)).x / 1e-9).real
    return xp.maximum(rate * times.max(0), SHORTEST)


class Transforms(NamedTuple):
    """Generating functions at eta = exp(-x) (n,): forcing D~ and kernel K~, and their weights in contour integrals.

    kappa: at z- and z+, (n, 2). of_bias, of_df1: coefficients there of Q and of df1, whose sums are D~ and K~. Models
    side by side are a last axis, as in `one_pass_curve`.
    """

    x: Array
    weights: Array
    forcing: Array
    kernel: Array
    kappa: Array
    of_bias: Array
    of_df1: Array
    residual: Array


def transforms(model: Model, times: Array, lr: Array, batch_size: Array, momentum: Array, *, nodes: int) -> Transforms:
    """Return the generating functions along the contour for `times` (T,), on fresh data."""
    # notation: beta = momentum, x = -log eta, Z = 1 - eta
    xp = namespace(times, model.modes.eigenvalues)
    beta = momentum
    annulus = slit_annulus(beta)
    path = stop_gradient(hyperbola(_horizon(times, annulus), BEYOND_DISC / annulus.modulus, nodes))
    x, slope = annulus.to_rectangle(path.nodes)  # (n,)
    weights, x = stop_gradient((path.weights * slope, x))
    eta, big_z = xp.exp(-x), -xp.expm1(-x)

    # det = -a z^2 + 2 b z - c
    a = eta * lr**2 * (eta - beta + (eta + beta) / batch_size)
    b = eta * (eta - beta) * (1.0 + beta) * lr
    c = big_z * (eta - beta) * (eta - beta**2)
    root = _continuous(xp.sqrt(b**2 - a * c))
    z = xp.stack([c / (b + root), (b + root) / a], axis=1)  # z- and z+, (n, 2), real at the vertex
    kappa, residual = _follow(-z, model)
    modes = model.modes
    df1, left = sums(kappa, modes.eigenvalues, modes.multiplicity * modes.eigenvalues, modes.power)

    eta, slope = eta[:, None], xp.stack([-2.0 * root, 2.0 * root], axis=1)  # of det in z
    # response to moments that are all one at the start
    started = eta * (eta + beta) - 2.0 * (1.0 + beta - lr * z) * beta * eta + beta**2 * (eta + beta)
    of_bias, of_df1 = started / (slope * z), -eta * (eta + beta) * z / slope
    forcing = (of_bias * kappa * left).sum(1) - model.noise_var / big_z
    return Transforms(x, weights, forcing, (of_df1 * df1).sum(1), kappa, of_bias, of_df1, residual)


def _follow(s: Array, model: Model) -> tuple[Array, Array]:
    """Return kappa along s = -z- and -z+ (n, 2), and its residual.

    Where the contour closes the two are conjugate: XLA, which is slower with two numbers at once, follows one path
    from z- at the vertex to z+ at the vertex.
    """
    n = len(s)
    if by_xla(s, model):
        kappa, _, residual = kappa_path(jnp.concatenate([s[:, 0], s[::-1, 1].conj()]), model)
        return jnp.stack([kappa[:n], kappa[n:].conj()[::-1]], axis=1), residual
    start = np.stack([kappa_real(s[0, 0].real, model)[0], kappa_beyond(s[0, 1].real, model)])
    kappa, _, residual = kappa_path(s, model, start)
    return kappa, residual.max(0)


@evaluated("nodes")
def one_pass_curve(
    model: Model, times: Array, lr: Array, batch_size: Array, momentum: Array, *, nodes: int = NODES
) -> LearningCurve:
    """Return curves at `times` (T,), whole numbers of steps however many, on fresh data whatever the P of `model`.

    `spectral_edge` is the z* of `effective_edge`, by which the largest stable lr is named. Known models side by side
    (W,) may differ in 1/N, modes, lr and times (T, W), and have curves (T, W).
    """
    # notation: beta = momentum, x = -log eta, Z = 1 - eta
    xp = namespace(times, model.modes.eigenvalues)
    model = model._replace(inv_p=xp.zeros_like(model.inv_n))
    modes, beta, noise_var = model.modes, momentum, model.noise_var
    edge = effective_edge(model, batch_size * (1.0 - beta) / (1.0 + beta))
    spread = 1.0 - beta + (1.0 + beta) / batch_size
    stable = lr * spread * edge < 2.0 * (1.0 - beta**2)
    path = transforms(model, times, lr, batch_size, momentum, nodes=nodes)
    transform = path.weights * xp.exp(-path.x) * path.forcing / (1.0 - lr**2 / batch_size * path.kernel)  # eq. 16
    # d eta = -eta dx, the contour runs clockwise, and its lower half is the conjugate
    powers = xp.exp(-times[:, None] * path.x[None])  # (T, n)
    label_risk = 2.0 * xp.einsum("tn...,n...->t...", powers, transform).real
    coarse = 4.0 * xp.einsum("tn...,n...->t...", powers[:, ::2], transform[::2]).real
    start = modes.power.sum(-1) + noise_var
    gap = (coarse - label_risk) / xp.maximum(label_risk, 1e-12 * start)
    # at t = 0 nothing is learned: a contour that cuts through the spectrum would miss it
    missed = 2.0 * transform.sum(0).real / start - 1.0
    residual = xp.maximum(path.residual, xp.maximum((gap**2).max(0), xp.abs(missed)))
    residual = stop_gradient(xp.where(stable, residual, xp.inf))
    risk = xp.maximum(label_risk - noise_var, 0.0)
    return LearningCurve(risk, risk + noise_var, None, residual, residual < TOLERANCE, edge)


def _continuous(root: Array) -> Array:
    """Give square roots along a path the signs that make them continuous from its first point."""
    xp = namespace(root)
    kept = xp.where((root[1:] * root[:-1].conj()).real < 0, -1.0, 1.0)
    return root * xp.concatenate([xp.ones_like(kept[:1]), xp.cumprod(kept, axis=0)])


def effective_edge(model: Model, level: Array) -> Array:
    """Return the least z* >= z_max with a bounded mean square for lr < 2 (1 - beta^2)/[(1 - beta + (1 + beta)/B) z*].

    level: (1 - beta)/((1 + beta) chance), of any shape, chance = 1/B, or less where samples come again.
    (lr^2/B) K~(1) < 1 reads -df1(kappa(-z*)) < 1 + level, with kappa < -lambda_1 real beyond the edge of the spectrum.
    """
    bound = stop_gradient(1.0 + level)

    def bounded(kappa: Array, point: Point) -> Array:
        df1, _ = degrees_of_freedom(kappa, stop_gradient(model.modes))
        return (point.slope > 0) & (-df1 < bound)  # eq. 17

    return edge_of(model, 1.0 + model.inv_n + model.inv_p + namespace(bound).zeros_like(bound), bounded)
