"""The one-point equations for rows of several domains: an effective ridge 1/nu_e for each.

Rows of domain e have the variances lambda_ek of the modes and the share p_e among those trained on. With the response
R_e of a row of domain e, R3 of the features and u = R3/s, nu_e = u R_e solves

    s nu_e = R3 R_e,   R3 = 1 - sum_e p_e df_e/N,   R_e = 1 - df_e/P,
    df_e = nu_e sum_k lambda_ek g_k,   g_k = 1/(1 + sum_e p_e nu_e lambda_ek),

which is eq. 1 with nu = 1/kappa where there is one domain. Derived as Bordelon, Atanasov and Pehlevan 2024 (arXiv
2402.01092) do for one, with a response for every domain. Known numbers only.
"""

from typing import NamedTuple

import numpy as np

from theory.arrays import Array
from theory.roots import Bracket, bisect

FAR = 100.0  # times the largest curvature, where s is nearly 1/nu
STEPS_DOWN = 64  # of the real axis, from there to the s that is asked for
DEEPEST = 1e-18  # of the start: from there on a last step goes to any smaller s
NEWTON_STEPS = 12
CLOSE = 1e-3  # a step that leaves an error of its square, which polishing squares twice more
POLISH_STEPS = 2
EDGE_STEPS = 40  # of Newton, monotone from below
EDGE_HALVINGS = 36  # of log u, in which s is stationary at the edge
SETTLED = 1e-9
NOTHING = 1e-40  # of the start: an s that stands for zero


class DomainModel(NamedTuple):
    """Spectra (D, K) of the domains, squared target (K,), shares and noise (D,), 1/N and 1/P."""

    spectra: Array
    squared: Array
    shares: Array
    noise: Array
    inv_n: float
    inv_p: float

    @property
    def scale(self) -> float:
        """A curvature that no draw comes near."""
        traces = self.spectra.sum(1).max() * (self.inv_n + self.inv_p)
        return FAR * float(traces + (self.shares @ self.spectra).max())


class DomainPoints(NamedTuple):
    """Points s (n,) with u (n,) and nu (n, D) there; residual: the largest relative Newton step that is left."""

    s: Array
    u: Array
    nu: Array
    residual: float = 0.0

    @property
    def responses(self) -> Array:
        """R_e of the rows of every domain, (n, D), with all digits."""
        return self.nu / self.u[..., None]


class _Linear(NamedTuple):
    """Residuals (..., 1 + D) of the equations of R3 and R_e, and their slopes in log u and log nu."""

    residuals: Array
    slopes: Array

    def step(self) -> Array:
        return np.linalg.solve(self.slopes, -self.residuals[..., None])[..., 0]


def resolvents(nu: Array, model: DomainModel) -> Array:
    """Return g (..., K) at nu (..., D)."""
    return 1.0 / (1.0 + (model.shares * nu) @ model.spectra)


def _linearized(points: DomainPoints, model: DomainModel) -> _Linear:
    s, u, nu, _ = points
    g = resolvents(nu, model)
    each = nu[..., None] * model.spectra * g[..., None, :]  # (..., D, K) bounded by 1/p_e however small s is
    df, crossed = each.sum(-1), each @ each.swapaxes(-1, -2)
    dropped = (each @ g[..., None])[..., 0]
    count = len(model.shares)
    slopes = np.zeros((*u.shape, count + 1, count + 1), nu.dtype)
    slopes[..., 0, 0] = s * u
    slopes[..., 0, 1:] = model.inv_n * model.shares * dropped
    slopes[..., 1:, 1:] = -model.inv_p * model.shares * crossed
    data, i = nu / u[..., None], np.arange(count)
    slopes[..., 1 + i, 1 + i] += data + model.inv_p * df
    slopes[..., 1:, 0] = -data
    of_features = s * u - 1.0 + model.inv_n * (df @ model.shares)
    of_data = data - 1.0 + model.inv_p * df
    return _Linear(np.concatenate([of_features[..., None], of_data], -1), slopes)  # eq. 60


def _moved(points: DomainPoints, step: Array) -> DomainPoints:
    factor = np.exp(step)
    return points._replace(u=points.u * factor[..., 0], nu=points.nu * factor[..., 1:])


def _solved(points: DomainPoints, model: DomainModel) -> tuple[DomainPoints, _Linear]:
    """Take Newton's steps at one point; the slopes are those before the last of them."""
    linear = _linearized(points, model)
    for _ in range(NEWTON_STEPS):
        step = linear.step()
        points = _moved(points, step)
        if np.abs(step).max() < CLOSE:
            break
        linear = _linearized(points, model)
    return points, linear


def _followed(path: Array, start: DomainPoints, model: DomainModel) -> list[DomainPoints]:
    """Continue a solution from point to point of a path (n,), by a step along it and then Newton's."""
    point, linear = _solved(start, model)
    points = []
    for s in path:
        side = np.zeros(len(model.shares) + 1, path.dtype)
        side[0] = -point.s * point.u * np.log(s / point.s)
        point = _moved(point, np.linalg.solve(linear.slopes, side))._replace(s=s)
        point, linear = _solved(point, model)
        points.append(point)
    return points


def real_point(s: float, model: DomainModel) -> DomainPoints:
    """Return the solution at one real s >= 0, zero standing for its limit."""
    far = model.scale
    s = max(float(s), NOTHING * far)
    steps = np.geomspace(far, max(min(s, far), DEEPEST * far), STEPS_DOWN)[1:]
    start = DomainPoints(np.asarray(far), np.asarray(1.0 / far), np.full(len(model.shares), 1.0 / far))
    return _polished(_followed(np.append(steps, s), start, model)[-1:], model)


def points_along(path: Array, model: DomainModel) -> DomainPoints:
    """Return the solutions along a path s (n,) that starts on the positive real axis."""
    start = real_point(path[0].real, model)
    first = DomainPoints(start.s[0] + 0j, start.u[0] + 0j, start.nu[0] + 0j)
    return _polished([first, *_followed(path[1:], first, model)], model)


def _polished(points: list[DomainPoints], model: DomainModel) -> DomainPoints:
    s, u, nu = (np.stack(x) for x in zip(*(point[:3] for point in points), strict=True))
    joined = DomainPoints(s, u, nu)
    residual = np.inf
    for _ in range(POLISH_STEPS + 1):
        step = _linearized(joined, model).step()
        joined, residual = _moved(joined, step), float(np.abs(step).max())
    return joined._replace(residual=residual)


def domain_edge(model: DomainModel) -> float:
    """Return the largest z in the limiting spectrum of the curvature.

    Seen from far left, where u and all nu_e are negative, s(u) falls as -u grows until ds/du = 0 at the edge s = -z.
    At a given u the nu_e are found by Newton's steps, which rise from below; where there are none the edge is passed.
    """
    pooled = (model.shares @ model.spectra).max()
    bracket = Bracket(np.log(1.0 / model.scale), np.log(1.0 / pooled))
    with np.errstate(all="ignore"):
        low = bisect(lambda x: _before_edge(x, model)[0], bracket, EDGE_HALVINGS).low
        return -float(_before_edge(np.asarray(low), model)[1])


def _before_edge(x: Array, model: DomainModel) -> tuple[Array, Array]:
    """Tell at u = -exp(x) whether the edge is still to come, and return s there."""
    u = -np.exp(x)
    nu = np.repeat(u[..., None], len(model.shares), -1)
    for _ in range(EDGE_STEPS):
        residuals, slopes = _linearized(DomainPoints(1.0 / u, u, nu), model)
        step = np.linalg.solve(_finite(slopes[..., 1:, 1:]), -residuals[..., 1:, None])[..., 0]
        there = np.all(resolvents(nu, model) > 0, -1, keepdims=True) & np.all(nu < 0, -1, keepdims=True)
        nu = np.where(there, nu * (1.0 + step), np.nan)
        if not np.any(np.abs(step) > SETTLED, where=there):
            break
    residuals, slopes = _linearized(DomainPoints(1.0 / u, u, nu), model)
    features = 1.0 - residuals[..., 0]  # s u = R3
    along = np.linalg.solve(_finite(slopes[..., 1:, 1:]), -slopes[..., 1:, :1])  # d log nu/d log u
    falls = -1.0 - (slopes[..., 0, 1:] * along[..., 0]).sum(-1) / features < 0.0
    known = (np.abs(residuals[..., 1:]).max(-1) < SETTLED) & np.all(nu < 0, -1) & np.all(resolvents(nu, model) > 0, -1)
    return known & falls, features / u  # eq. 61


def _finite(matrices: Array) -> Array:
    """Replace matrices that are not finite, where Newton's steps have left their branch."""
    there = np.isfinite(matrices).all((-1, -2), keepdims=True)
    return np.where(there, matrices, np.eye(matrices.shape[-1]))
