"""Covariance between draws of the risk: two replicas that share rows and features, in closed form.

The risk of a draw is a double contour integral of E_ab = Delta(s_a)' Lambda Delta(s_b). Two replicas, (a, b) and
(i, j), share the draw; what fluctuates with it are the blocks x = R_ai and y = rho_ai between them (`next_order` has
R and rho). They are Gaussian at this order, with the second derivatives

    z' H z = P tr R^-1 x R'^-1 x' - sum_k lambda^2 tr Om x Om' x' + N tr rho^-1 y rho'^-1 y'
             - sum_k lambda^2 tr Pi y Pi' y' + 2 sum_k lambda tr G y G'' x'
    G = (1 + lambda rho X)^-1,  Om = G rho,  Pi = X G,  X = R + J e,

and move the residuals by m = sum_k lambda w^2 (G' x G' - lambda Pi y Pi') + sigma^2 x, so that

    Cov(E_ab, E_ij) = d_J d_J' <m_ai m_bj + m_aj m_bi>.

J turns a into b. It does so on the way from one end to the other: at an end (M), or between (H). With psi = H^-1 M the
forces D = M_J - H_J psi from either end meet in the middle; what is left turns both replicas at once. One node is
ridge regression. Without y, rows alone are shared: the variance over rows of the average over features.

Everything is in units of R1 at each node, so that rho = 1/kappa. Derived in docs/second-order.md.
"""

from typing import Any, NamedTuple

import numpy as np

from theory.fixed_point import Model, resolvent
from theory.next_order import kept_at, turned_by_loss


class Replica(NamedTuple):
    """Nodes (n,) of one replica: weights c and kappa; g = kappa/(kappa + lambda) (n, K); and what J turns (n, n).

    data, features: R_ab + J and rho_ab by J; own_data, own_features: P and N times R_ab and kappa kappa' rho_ab by J.
    omega, pi, turn: off-diagonal elements (K, n, n) of Om, Pi and G at every mode, times the weights of their nodes.
    """

    weights: np.ndarray
    kappa: np.ndarray
    g: np.ndarray
    data: np.ndarray
    features: np.ndarray
    own_data: np.ndarray
    own_features: np.ndarray
    omega: np.ndarray
    pi: np.ndarray
    turn: np.ndarray


class Covariance(NamedTuple):
    """Covariance of the risk over draws, and its part over rows alone."""

    total: float
    rows: float


class Ends(NamedTuple):
    """H^-1 at pairs of nodes of two replicas, and psi = H^-1 M along x and y, all (n, n')."""

    xx: Any
    xy: Any
    yy: Any
    along_x: Any
    along_y: Any


def replica(weights: np.ndarray, kappa: np.ndarray, model: Model) -> Replica:
    """Return what one replica contributes at its nodes (n,)."""
    modes, inv_n, inv_p, _ = model
    lam, count = modes.eigenvalues, modes.multiplicity
    g = kappa[:, None] * resolvent(kappa, modes)
    e, kk = 1.0 - g, kappa[:, None] * kappa
    df2, mix = (e * count) @ e.T, (g * (count * lam)) @ g.T
    own_data, own_features = turned_by_loss(df2, mix, kk, model)
    data, features = 1.0 + inv_p * own_data, inv_n * own_features / kk
    both = np.einsum("ak,bk->kab", weights[:, None] * g, weights[:, None] * g)
    eigenvalue = lam[:, None, None]
    omega = both * (features - eigenvalue * (data / kk))
    pi = both * (data - eigenvalue * features)
    turn = -eigenvalue * both * (data / kappa[:, None] + features)
    return Replica(weights, kappa, g, data, features, own_data, own_features, omega, pi, turn)


def covariance(first: Replica, second: Replica, model: Model) -> Covariance:
    """Return the covariance of the risks of two replicas whose nodes come in conjugate halves, or are real."""
    inv_n, inv_p = model.inv_n, model.inv_p
    m_x, _, kept_p, shared = _ends(first.kappa, second.kappa, model)
    total = _closed(first, second, model, shared)
    if inv_p == 0 or inv_n == 0:
        return Covariance(total, total if inv_n == 0 else 0.0)
    nothing = np.zeros_like(m_x)
    rows = Ends(inv_p / kept_p, nothing, nothing, inv_p / kept_p * m_x, nothing)
    return Covariance(total, _closed(first, second, model, rows))


def training_covariance(kappa: np.ndarray, model: Model) -> np.ndarray:
    """Return the covariance (n, n) of phi = s y'(s + K)^-1 y/P at nodes (n,), in units of R1 at each."""
    m_x, m_y, _, ends = _ends(kappa, kappa, model)
    return 2.0 * (m_x * ends.along_x + m_y * ends.along_y)


def _ends(kappa: np.ndarray, other: np.ndarray, model: Model) -> tuple[Any, Any, Any, Ends]:
    """Return M along x and y, 1 - df2/P, and what rests on them, at pairs of nodes of two replicas."""
    modes, inv_n, inv_p, noise_var = model
    lam, count, target = modes.eigenvalues, modes.multiplicity, modes.power / modes.eigenvalues
    g, h = (x[:, None] * resolvent(x, modes) for x in (kappa, other))
    kk = kappa[:, None] * other
    df2, mix = ((1.0 - g) * count) @ (1.0 - h).T, (g * (count * lam)) @ h.T
    m_x = (g * modes.power) @ h.T + noise_var
    m_y = -((1.0 - g) * target) @ (1.0 - h).T * kk
    kept_p, kept_n, det = kept_at(df2, mix, kk, model)
    xx, xy, yy = inv_p * kept_n / det, -inv_p * inv_n * mix / (kk * det), inv_n * kept_p / (kk * det)
    return m_x, m_y, kept_p, Ends(xx, xy, yy, xx * m_x + xy * m_y, xy * m_x + yy * m_y)


def _closed(first: Replica, second: Replica, model: Model, ends: Ends) -> float:
    """Sum over all nodes of c_a c_b c_i c_j d_J d_J' 2 <m_ai m_bj>."""
    here_x, here_y = _forces(first, second, model, ends.along_x, ends.along_y)
    if second is first:
        there_x, there_y = here_x.T, here_y.T
    else:
        there_x, there_y = (x.T for x in _forces(second, first, model, ends.along_x.T, ends.along_y.T))
    meeting = here_x * (ends.xx * there_x + ends.xy * there_y) + here_y * (ends.xy * there_x + ends.yy * there_y)
    once = (first.weights @ meeting @ second.weights).real
    return 2.0 * float(2.0 * once + _turning_both(first, second, model, ends.along_x, ends.along_y))  # eq. 34


def _forces(first: Replica, second: Replica, model: Model, along_x: Any, along_y: Any) -> tuple[Any, Any]:
    """Sum over a of c_a (M_J - H_J psi), at all (b, i)."""
    lam, count = model.modes.eigenvalues, model.modes.multiplicity
    target = model.modes.power / lam
    n, weights, rho = len(first.weights), first.weights[:, None, None], 1.0 / first.kappa
    pairs = (first.g[:, None] * first.g[None]).reshape(n * n, -1)
    columns = np.concatenate([second.g * w for w in (count * lam**2, count * lam**3, target * lam**2, target * lam**3)])
    two, three, two_w, three_w = np.moveaxis((pairs @ columns.T).reshape(n, n, 4, -1), 2, 0)
    data, features, qq = first.data[:, :, None], first.features[:, :, None], (rho[:, None] * rho)[:, :, None]
    psi_x, psi_y = along_x[:, None], along_y[:, None]
    h_xx = -first.own_data[:, :, None] - (features * two - qq * data * three) / second.kappa
    h_yy = -first.own_features[:, :, None] * second.kappa - (data * two - features * three)
    from_a, from_b = rho[:, None, None] * data + features, rho[None, :, None] * data + features
    force_x = -from_b * two_w - h_xx * psi_x + from_b * two * psi_y
    force_y = -(data * two_w - features * three_w) - h_yy * psi_y + from_a * two * psi_x
    return (weights * force_x).sum(0), (weights * force_y).sum(0)


def _turning_both(first: Replica, second: Replica, model: Model, x: Any, y: Any) -> float:
    """Sum of what turns both replicas at once: 2 M_JJ' psi - psi H_JJ' psi."""
    (modes, inv_n, inv_p, _), lam, count = model, model.modes.eigenvalues, model.modes.multiplicity
    half = (len(second.weights) + 1) // 2  # the other half is the conjugate
    share = 1.0 if len(second.weights) == 1 else 2.0

    def ring(weight: np.ndarray, turn: Any, left: Any, other: Any, right: Any) -> float:
        """sum_k weight sum turn[k, a, b] right[b, j] other[k, i, j] left[a, i]."""
        modes_n, modes_m = turn.shape[0] * turn.shape[1], other.shape[0] * half
        one = (turn.reshape(modes_n, -1) @ right[:, :half]).reshape(len(turn), -1, half)  # (K, a, j)
        across = np.ascontiguousarray(np.swapaxes(other[:, :, :half], 1, 2)).reshape(modes_m, -1)
        two = (across @ left.T).reshape(len(turn), half, -1)  # (K, j, a)
        return share * np.einsum("k,kaj,kja->", weight, one, two).real

    both = -ring(count * lam**2, first.omega, x, second.omega, x)
    turned = np.einsum("k,kb,kj,bj->", lam * (modes.power / lam), first.turn.sum(2), second.turn.sum(2), x)
    free = inv_p * np.einsum("ab,bj,ij,ai->", _weighted(first, first.own_data), x,
                             _weighted(second, second.own_data), x, optimize=True)  # fmt: skip
    if np.any(y):
        both = both - ring(count * lam**2, first.pi, y, second.pi, y)
        both = both + 2.0 * ring(count * lam, first.turn, x, second.turn, y)
        turned = turned - np.einsum("k,kb,kj,bj->", lam * modes.power, first.pi.sum(1), second.pi.sum(1), y)
        free = free + inv_n * np.einsum("ab,bj,ij,ai->", _weighted(first, first.own_features), y,
                                        _weighted(second, second.own_features), y, optimize=True)  # fmt: skip
    return float(2.0 * turned.real - both - free.real)


def _weighted(side: Replica, pairs: np.ndarray) -> np.ndarray:
    return side.weights[:, None] * side.weights * pairs
