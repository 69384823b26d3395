"""Scatter of one-pass SGD between draws of its features: what the risk, averaged over samples, follows of them.

Given the features, L~ = D~/(1 - (lr^2/B) K~) as in `one_pass`, and D~ and K~ are linear in two functions of the draw:
the risk phi = s y'(s + K)^-1 y of a ridge s on endless samples and df = tr K (s + K)^-1, y the target and K the kernel
of the features. Both are derivatives of log det(s + K), whose fluctuations are Gaussian, so that at pairs of nodes

    Cov(phi, phi') = 2 kappa kappa' T^2/(N - df2),         Cov(df, df') = -2 s s' d_s d_s' log(1 - df2/N)
    Cov(phi, df') = -2 kappa s' d_s' [X/(1 - df2/N)],      X = (1/N) sum lambda^2 h^2 h' (kappa R - lambda w^2)

with h = 1/(kappa + lambda), T = sum lambda^2 w^2 h h', df2 = sum lambda^2 h h', and R = T/(N - df2) at s = s'. The risk
responds by dL~ = [dD~ + (lr^2/B) dK~ L~]/(1 - (lr^2/B) K~), to first order in the fluctuations.
"""

from typing import NamedTuple

import numpy as np

from theory.fixed_point import Model, one_point
from theory.mode_sums import resolvent
from theory.one_pass import transforms

# standard deviation of (lr^2/B) K~ at late times over its distance from one: the response is linear to about as much,
# standard deviations of 2,000 draws were 1.04 times as large at 0.058, 1.09 at 0.08, 1.11 at 0.1, 2 at 0.18
LARGEST = 0.06


class OnePassScatter(NamedTuple):
    """Covariance (T, T) of the risk; growth: standard deviation of the noise's growth over its distance from one."""

    covariance: np.ndarray
    growth: float


class Functions(NamedTuple):
    """Functions at nodes (n,): kappa, s times dkappa/ds, R, and h of modes (n, K)."""

    kappa: np.ndarray
    slope: np.ndarray
    response: np.ndarray
    h: np.ndarray

    def conj(self) -> "Functions":
        """Return them at the conjugate nodes."""
        return Functions(*(x.conj() for x in self))


def one_pass_covariance(
    model: Model, times: np.ndarray, lr: float, batch_size: float, momentum: float, *, nodes: int
) -> OnePassScatter:
    """Return the covariance of the risk at `times` (T,) between feature draws, averaged over fresh samples."""
    model = model._replace(inv_p=0.0)
    path = transforms(model, times, *map(np.asarray, (lr, batch_size, momentum)), nodes=nodes)
    gain = lr**2 / batch_size
    kept = 1.0 - gain * path.kernel
    started = np.exp(-path.x * (times[:, None] + 1.0)) * path.weights / kept  # of dD~, (T, n)
    driven = started * gain * path.forcing / kept  # of dK~

    def along(rows: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Return what rows (T, n) weigh at z- and z+ of every node, (T, 2n)."""
        return (rows[:, :, None] * coefficients).reshape(len(rows), -1)

    rows = np.concatenate([along(started, path.of_bias), along(driven, path.of_df1)], axis=1)  # (T, 4n)
    at = _functions(path.kappa.reshape(-1), model)
    here, across = _pairs(at, at, model), _pairs(at, at.conj(), model)
    covariance = 2.0 * np.real(rows @ here @ rows.T + rows @ across @ rows.conj().T)  # eq. 67
    # at eta = 1, where (lr^2/B) K~ = 1 is the edge of stability in mean square
    nearest = np.zeros((1, len(path.x)), complex)
    nearest[0, 0] = gain / kept[0]
    late = np.concatenate([along(0.0 * nearest, path.of_bias), along(nearest, path.of_df1)], axis=1)
    growth = np.sqrt(np.abs(late @ here @ late.T + late @ across @ late.conj().T)[0, 0] / 2.0)
    return OnePassScatter(covariance, float(growth))


def _functions(kappa: np.ndarray, model: Model) -> Functions:
    modes, (s, slope, _, _) = model.modes, one_point(kappa, model)
    h = resolvent(kappa, modes.eigenvalues)
    e_squared = (modes.eigenvalues * h) ** 2
    target = modes.power / modes.eigenvalues
    response = model.inv_n * (e_squared @ target) / (1.0 - model.inv_n * (e_squared @ modes.multiplicity))
    return Functions(kappa, s / slope, response, h)


def _pairs(at: Functions, other: Functions, model: Model) -> np.ndarray:
    """Return the covariances of phi and df at nodes (n,) with those at others, (2n, 2n)."""
    # notation: y = df2/N, y_1 and y_2 its derivatives by kappa and by kappa', y_12 both; x = X, x_2 likewise
    inv_n, modes = model.inv_n, model.modes
    lam, count, power = modes.eigenvalues, modes.multiplicity, modes.power
    h, g, kappa = at.h, other.h, at.kappa[:, None]
    h2, g2 = h * h, g * g
    y, y_1, y_2, y_12 = (inv_n * sign * ((left * (count * lam**2)) @ right.T)
                         for sign, left, right in ((1, h, g), (-1, h2, g), (-1, h, g2), (1, h2, g2)))  # fmt: skip
    t = (h * (power * lam)) @ g.T
    moved = kappa * at.response[:, None]

    def along(right: np.ndarray) -> np.ndarray:
        return inv_n * (moved * ((h2 * (count * lam**2)) @ right.T) - (h2 * (power * lam**2)) @ right.T)

    kept = 1.0 - y
    x, x_2 = along(g), -along(g2)
    phi = 2.0 * inv_n * kappa * other.kappa * t**2 / kept
    df = 2.0 * at.slope[:, None] * other.slope * (y_12 / kept + y_1 * y_2 / kept**2)
    mixed = -2.0 * kappa * other.slope * (x_2 / kept + x * y_2 / kept**2)
    if other is at:
        return np.block([[phi, mixed], [mixed.T, df]])
    return np.block([[phi, mixed], [mixed.conj().T, df]])
