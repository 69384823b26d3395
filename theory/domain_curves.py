"""Risk in every domain and training loss against time, for full-batch training on rows of several domains.

With the sums over modes at two points s and s', nu nu' short for nu_e(s) nu_e(s'), and C_d the transform of the risk in
domain d,

    C_d = B_d + [G_d/(N - Q)] L + sum_e (p_e nu nu'/P) [K_de + G_d G_e/(N - Q)] (C_e + sigma_e^2),
    B_d = sum lambda_d w^2 g g',  G_d = sum lambda_d g g',  K_de = sum lambda_d lambda_e g g',
    Q = sum (1 - g)(1 - g'),  L = sum (1 - g)(1 - g') w^2,

D linear equations at every pair of points, which are eq. 4 where there is one domain. The risk at time t is the double
contour integral of eq. 7, and the training loss that of sum_e p_e R_e R_e' (C_e + sigma_e^2).
"""

import math
from typing import Any, NamedTuple

import numpy as np

from theory.arrays import Array, evaluated
from theory.contour import hyperbola, length
from theory.domain_points import NOTHING, DomainModel, DomainPoints, domain_edge, points_along, real_point, resolvents
from theory.dynamics import KNOWN_STEP, LARGEST_MAPPED, MOST_NODES, integrate
from theory.equivalent import products
from theory.filters import FILTERS
from theory.fixed_point import ROUNDING


class DomainLosses(NamedTuple):
    """Risk in every domain (D, T), training loss (T,), estimated relative error, and largest curvature.

    nodes: how many the contour asks for; beyond MOST_NODES nothing is computed.
    """

    risk: Array
    train_loss: Array
    residual: float
    edge: float = 0.0
    nodes: int = 1


def transforms(points: DomainPoints, model: DomainModel) -> tuple[Array, Array]:
    """Return C (D, n, n) at all pairs of points, and at all pairs of them and their conjugates."""
    lam, g = model.spectra, resolvents(points.nu, model)
    count = len(lam)
    first, second = np.triu_indices(count)
    weights = np.concatenate([lam, lam * model.squared, lam[first] * lam[second]])  # (2 D + D (D + 1)/2, K)
    sums = products(np.concatenate([g.real, g.imag]), weights)
    place = np.zeros((count, count), int)
    place[first, second] = place[second, first] = np.arange(len(first))
    pairs = (sums.here, points.nu.T), (sums.across, points.nu.T.conj())
    shown = sums.single[count : 2 * count]  # sum lambda_e w^2 g
    return tuple(_pair(pair, (points.nu.T, other), shown, place, model) for pair, other in pairs)  # type: ignore


def _pair(sums: Array, nus: tuple[Array, Array], shown: Array, place: Array, model: DomainModel) -> Array:
    # notation: G, B, K, Q, L of the module docstring; vv = nu nu', c = 1/(N - Q)
    count, p = len(model.shares), model.shares
    nu, other = nus
    G, B, K = sums[:count], sums[count : 2 * count], sums[2 * count :][place]
    weighed, weighed_other = (p[:, None] * x for x in (nu, other))
    Q = np.einsum("ei,fj,efij->ij", weighed, weighed_other, K)
    # g g' (1 - g)/g in place of a further sum: what it cancels is small in C
    L = np.einsum("ei,eij->ij", weighed, shown[:, :, None] - B)
    c = model.inv_n / (1.0 - Q * model.inv_n)
    vv = nu[:, :, None] * other[:, None, :]
    seen = (model.inv_p * p)[:, None, None] * vv * (K + G[:, None] * (G * c)[None])  # (D, D, n, n)
    side = B + G * c * L + np.einsum("deij,e->dij", seen, model.noise)
    matrix = np.moveaxis(np.eye(count)[:, :, None, None] - seen, (0, 1), (-2, -1))
    return np.moveaxis(np.linalg.solve(matrix, np.moveaxis(side, 0, -1)[..., None])[..., 0], -1, 0)  # eq. 62


@evaluated()
def losses_at_ridge(model: DomainModel, ridge: float) -> DomainLosses:
    """Return the losses of ridge regression at a ridge >= 0, T = 1; zero is the limit of gradient flow."""
    count, modes = len(model.shares), np.count_nonzero(model.shares @ model.spectra)
    of_features, of_samples = model.inv_n * modes, model.inv_p * modes  # M/N, M/P
    if ridge == 0 and max(of_features, of_samples) <= 1 + ROUNDING:  # all modes are determined: as with N = infinity
        model = model._replace(inv_n=0.0)
        if of_samples >= 1 - ROUNDING:
            limit = np.inf if model.noise.any() else 0.0 if of_features < 1 - ROUNDING else np.nan
            return DomainLosses(np.full((count, 1), limit), np.zeros(1), np.inf if np.isnan(limit) else 0.0)
    elif ridge == 0 and abs(of_features - of_samples) <= ROUNDING * of_samples:  # the interpolation peak
        return DomainLosses(np.full((count, 1), np.inf), np.zeros(1), 0.0)
    points = real_point(ridge, model)
    risk = transforms(points, model)[0].real[:, 0]  # (D, 1)
    responses = points.responses[0].real
    loss = model.shares * np.where(responses > NOTHING**0.5, responses, 0.0) ** 2 @ (risk[:, 0] + model.noise)
    return DomainLosses(risk, np.atleast_1d(loss), points.residual)


@evaluated("algorithm")
def losses_in_time(model: DomainModel, algorithm: str, parameters: dict[str, Any], times: Array) -> DomainLosses:
    """Return the losses at `times` (T,) for a filter named in `filters.FILTERS`."""
    flt = FILTERS[algorithm](**parameters)
    edge = domain_edge(model)
    w_max, horizon = flt.stability(np.asarray(edge)), flt.elapsed(times.max())
    stable = bool((w_max > 0) & (w_max < LARGEST_MAPPED))
    w_max = w_max if stable else np.asarray(1.0)
    nodes = 2 * math.ceil(0.5 * float(length(horizon, w_max)) / KNOWN_STEP)
    if nodes > MOST_NODES:
        unknown = np.full((len(model.shares), len(times)), np.nan)
        return DomainLosses(unknown, unknown[0], math.inf, edge, nodes)
    path = hyperbola(horizon, w_max, nodes)
    z, weights = flt.curvature(path.nodes), path.weights * flt.log_slope(path.nodes)
    points = points_along(-z, model)
    r = np.concatenate([flt.response(z[None], times[:, None]) * weights[None], weights[None]])  # (T + 1, n)
    pairs = transforms(points, model)
    responses = points.responses.T  # (D, n)

    def losses(skip: int) -> tuple[Array, Array]:
        rows, (here, across) = skip * r[:, ::skip], (x[:, ::skip, ::skip] for x in pairs)
        risk = np.stack([integrate(rows, *pair) for pair in zip(here, across, strict=True)])
        seen = [rows * response[None, ::skip] for response in responses]
        signal = np.stack([integrate(x, *pair) for x, *pair in zip(seen, here, across, strict=True)])
        noise = np.stack([(2.0 * x.real.sum(1)) ** 2 for x in seen])
        return risk, model.shares @ (signal + model.noise[:, None] * noise)

    (risk, train_loss), (coarse, coarse_loss) = losses(1), losses(2)
    start = model.spectra @ model.squared + np.finfo(float).tiny
    scale = start + model.noise
    gap = np.abs(coarse - risk) / np.maximum(risk, 1e-12 * scale[:, None])
    train_gap = np.abs(coarse_loss - train_loss)[:-1] / (model.shares @ scale)
    # nothing is learned at t = 0: a contour that cuts through the spectrum would miss a part
    missed = np.abs(risk[:, -1] - start) / scale
    residual = max(points.residual, float(gap.max()) ** 2, float(train_gap.max(initial=0.0)) ** 2, float(missed.max()))
    risk, train_loss = np.maximum(risk[:, :-1], 0.0), np.maximum(train_loss[:-1], 0.0)
    return DomainLosses(risk, train_loss, residual if stable else math.inf, edge, nodes)
