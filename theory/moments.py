"""Moments of the learned function, mode by mode: how much of each is learned on average, and how that scatters.

With Delta_k what the student misses of w_k, kappa and kappa' at two points s and s', q_k = 1/((kappa + lambda_k)
(kappa' + lambda_k)) and E the two-point function of `theory.equivalent`,

    E Delta_k = w_k kappa/(kappa + lambda_k)
    Cov(Delta_k, Delta'_k) = q_k {kk' (T2 + E t1/P)/(N - df2) + lambda_k E/P}

and two modes do not covary. The covariance depends on a mode by its eigenvalue alone. The sum of lambda_k E Delta_k
Delta'_k is E - sigma^2. What a mode does to itself comes twice, see `own_variances`. Rows of unequal size see a risk
and a label noise of their own in E/P (`theory.mixture`).

Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), correlation functions of single modes, continued to
any filter as the risk is.
"""

from typing import NamedTuple

import numpy as np

from theory.arrays import Array, by_xla, namespace
from theory.dynamics import Around, integrate, of_rows, quadratic_form, real_rows
from theory.equivalent import PairValues, parts_of, products, values_at_pairs
from theory.fixed_point import Model, kappa_real
from theory.mixture import data_response, row_factors
from theory.mode_sums import degrees_of_freedom, resolvent
from theory.static import static_risk

LEAST = 1e-20  # of the largest coefficient: what does not count


class Route(NamedTuple):
    """Points kappa (n,) at which ridges are summed up to T filters with the coefficients (T, n).

    Linear functions are -2 Re sum, quadratic ones as in `dynamics.integrate`; one real ridge has the coefficient -1/2.
    q: row factors (n, J) of `theory.mixture`. ridge: the one ridge, if it is one, of which kappa = 0 is a limit.
    """

    kappa: Array
    coefficients: Array
    q: Array
    residual: Array
    edge: Array
    ridge: Array | None = None

    def at(self, index: int) -> "Route":
        """Return the route to one of the filters, without points that do not count where that is known."""
        row = self.coefficients[index]
        if by_xla(row):
            return self._replace(coefficients=row[None])
        kept = np.abs(row) > LEAST * np.abs(row).max()
        return self._replace(kappa=self.kappa[kept], coefficients=row[None, kept], q=self.q[kept])


def route_along(around: Around, response: Array, model: Model, residual: Array) -> Route:
    """Return the route along the nodes of a contour with responses (T, n) there, and their error."""
    q = row_factors(around.df1 * model.inv_p, around.data, model.modes.mixture)
    residual = namespace(q).where(around.stable, residual, float("inf"))
    return Route(around.kappa, response * around.weights[None], q, residual, around.edge)


def route_to_ridge(model: Model, ridge: Array) -> Route:
    """Return the route to a ridge >= 0, which is one point."""
    kappa, residual = kappa_real(ridge, model)
    kappa = kappa[None]
    x = degrees_of_freedom(kappa, model.modes)[0] * model.inv_p
    q = row_factors(x, data_response(x, model.modes.mixture)[0], model.modes.mixture)
    return Route(kappa, namespace(kappa).full((1, 1), -0.5), q, residual, 0.0 * residual, ridge)


class Forms(NamedTuple):
    """Sources of scatter, at all pairs of points and at all pairs with a conjugate: features, and data per lambda.

    infinite: (..., 1, 1) whether variances are, as they are at the interpolation peak.
    """

    features: tuple[Array, Array]
    data: tuple[Array, Array]
    infinite: Array | bool = False


def pairs_along(route: Route, model: Model) -> tuple[PairValues, PairValues]:
    """Return values at all pairs of points of a route, for a model whose target may be another than the route's."""
    here, across = values_at_pairs(route.kappa, route.q, model)
    if route.ridge is None:
        return here, across
    # as many features or samples as modes, or of each other: limits, of which kk/(N - df2) is zero where kappa is
    sums, xp = here.sums, namespace(route.kappa, model.modes.eigenvalues)
    sums = sums._replace(df2=xp.where(sums.kk == 0, 0.0, sums.df2))
    risk = xp.reshape(static_risk(model, route.ridge).pieces.risk, (1, 1))
    return here._replace(sums=sums, risk=risk), across._replace(sums=sums, risk=risk)


def forms_of(pairs: tuple[PairValues, PairValues], model: Model) -> Forms:
    """Return what scatters the modes of a model."""
    xp = namespace(pairs[0].risk)
    infinite = xp.isinf(pairs[0].risk[..., :1, :1])
    here, across = (sources(each._replace(risk=xp.where(infinite, 0.0, each.risk)), model) for each in pairs)
    return Forms((here[0], across[0]), (here[1], across[1]), infinite)


def forms_along(route: Route, model: Model) -> Forms:
    """Return `forms_of` the points of a route."""
    return forms_of(pairs_along(route, model), model)


def loops_of(route: Route, pairs: tuple[PairValues, PairValues], model: Model) -> tuple[Array, Array]:
    """Return J of `own_variances` at all pairs of points and at all pairs with a conjugate."""
    df1, _ = degrees_of_freedom(route.kappa, model.modes)
    here, across = (
        _loop(df1[..., :, None], other[..., None, :], each.sums.df2, (model.inv_n, model.inv_p * each.rows.signal))
        for each, other in zip(pairs, (df1, df1.conj()), strict=True)
    )
    if route.ridge is None:
        return here, across
    here = namespace(here).nan_to_num(here)  # where variances are infinite, or kappa is zero, it is as good as none
    return here, here


def sources(pairs: PairValues, model: Model) -> tuple[Array, Array]:
    """Return what scatters the modes at pairs of points, elementwise: features, and data per lambda."""
    sums, rows, risk = pairs
    data = model.inv_p * (model.noise_var * rows.noise + risk * rows.signal)
    features = sums.kk * (sums.big_t2 + sums.t1 * data) * model.inv_n / (1.0 - sums.df2 * model.inv_n)
    return features, data


def _loop(df1: Array, other: Array, df2: Array, inverse: tuple[Array, Array]) -> Array:
    n, p = inverse  # notation: n = 1/N, p = E tau^2 q q'/P
    j = (n + p - n * p * (df1 + other)) / (1.0 - n * p * df1 * other)
    return j / (1.0 - j * df2)


def own_variances(route: Route, forms: tuple[Array, Array], eigenvalues: Array) -> Array:
    """Return the part of the variance of the share that a mode's own target adds to `variances`, (T, K).

    Delta = A w, and two modes do not covary; but A is random in its diagonal as well, and there E A_kk A'_kk has beside
    what E A_kl A'_kl becomes at l = k what E A_kl A'_lk becomes,

        E A_kl A'_lk = k k' lambda_k lambda_l q_k q_l J,   J = j/(1 - j df2),
        j = [1/N + 1/P - (df1 + df1')/(N P)]/[1 - df1 df1'/(N P)]

    by the response to a source that moves s in one mode. Rows of unequal size weigh 1/P as in `theory.mixture`. For one
    mode it is of the order of 1/N; for the risk of the next order, which is without it.
    """
    g = resolvent(route.kappa, eigenvalues).swapaxes(-1, -2)  # (..., K, n)
    own = of_rows(_rows(route, route.kappa[..., None, :] * (eigenvalues[:, None] * g**2)), _form(forms))
    return namespace(own).maximum(own, 0.0)  # eq. 53


def learned_share(route: Route, eigenvalues: Array) -> Array:
    """Return the average share of a mode that is learned, 1 - E Delta_k/w_k, (..., T, K)."""
    return -2.0 * (route.coefficients @ (eigenvalues[None] * resolvent(route.kappa, eigenvalues))).real


def variances(route: Route, forms: Forms, eigenvalues: Array) -> Array:
    """Return lambda_k Var Delta_k, (..., T, K), which is its part of the risk beside that of the average."""
    return variances_of_rows(rows_of_modes(route, eigenvalues), forms, eigenvalues)


def rows_of_modes(route: Route, eigenvalues: Array) -> Array:
    """Return coefficients over kappa + lambda, (..., T, K, 2n), real and imaginary parts one after the other."""
    return _rows(route, resolvent(route.kappa, eigenvalues).swapaxes(-1, -2))


def variances_of_rows(rows: Array, forms: Forms, eigenvalues: Array) -> Array:
    """Return `variances` by the `rows_of_modes` of the route."""
    xp = namespace(rows)
    features, data = of_rows(rows, _form(forms.features)), of_rows(rows, _form(forms.data))
    variance = xp.maximum(eigenvalues[None] * (features + eigenvalues[None] * data), 0.0)  # eq. 48
    return xp.where(forms.infinite, xp.inf, variance)


def _rows(route: Route, g: Array) -> Array:
    """Return coefficients times g (..., K, n), for every filter and mode, (..., T, K, 2n)."""
    return real_rows(route.coefficients[..., :, None, :] * g[..., None, :, :])


def _form(pair_and_mirror: tuple[Array, Array]) -> Array:
    """Return the `quadratic_form` of rows of modes, with an axis for the filters."""
    return quadratic_form(*pair_and_mirror)[..., None, :, :]


def weighed_variance(route: Route, forms: Forms, eigenvalues: Array, weights: Array) -> Array:
    """Return the sum of weights_k Var Delta_k, (T,), without that of each mode by itself."""
    parts = parts_of(route.kappa, eigenvalues)
    (_, *of_features), (_, *of_data) = (products(parts, each) for each in (weights, weights * eigenvalues))
    pair, mirror = (
        features * first + data * second
        for features, data, first, second in zip(forms.features, forms.data, of_features, of_data, strict=True)
    )
    xp = namespace(pair)
    variance = xp.maximum(integrate(route.coefficients, pair, mirror), 0.0)
    return xp.where(xp.asarray(forms.infinite)[..., 0], xp.inf, variance)
