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

The sums over modes that two or more nodes of one replica share are divided differences, e.g. with e = lambda/(kappa +
lambda), e_a e_b = (kappa_b e_b - kappa_a e_a)/(kappa_b - kappa_a). So all that modes are summed for are products of
e and e^2 at one node of either replica; the rest are products of matrices between nodes, for all times at once.

Everything is in units of R1 at each node, so that rho = 1/kappa. Derived in docs/second-order.md.
"""

from typing import Any, NamedTuple

import numpy as np

from theory.fixed_point import Model, resolvent
from theory.next_order import kept_at, turned_by_loss


class Form(NamedTuple):
    """A function of modes at pairs of nodes: first e_a + second e_b (T, n, n), and linear e + square e^2 at a = b."""

    first: np.ndarray
    second: np.ndarray
    linear: np.ndarray
    square: np.ndarray

    def half(self, share: np.ndarray) -> "Form":
        """Return the part at a, and at b in place of a for the second, of the upper half plane, (T, half, n)."""
        end, column = len(share), share[:, None]
        second = np.swapaxes(self.second, 1, 2)[:, :end]
        return Form(self.first[:, :end] * column, second * column, self.linear[:, :end] * share,
                    self.square[:, :end] * share)  # fmt: skip


class Replica(NamedTuple):
    """Nodes (n,) of one replica: weights (T, n), kappa, and e and e^2 (2, n, K); and what J turns (n, n).

    Real nodes come first, then those of the upper half plane, then their conjugates. share: 1 and 2 of real nodes and
    upper ones: the real part of a sum over them with these shares is the sum over all.
    data, features: R_ab + J and rho_ab by J; own_data, own_features: P and N times R_ab and kappa kappa' rho_ab by J.
    gap: 1/(kappa_b - kappa_a), zero where a = b. omega, pi: lambda times off-diagonal elements of Om and Pi, turn those
    of G over lambda h h and turn_e over e e, times the weights of their nodes.
    """

    weights: np.ndarray
    kappa: np.ndarray
    share: np.ndarray
    powers: np.ndarray
    data: np.ndarray
    features: np.ndarray
    own_data: np.ndarray
    own_features: np.ndarray
    gap: np.ndarray
    omega: Form
    pi: Form
    turn: Form
    turn_e: Form


class Sums(NamedTuple):
    """Sums over modes of e^p at a times e^q at i, (2, 2, n, n'), that count modes and that weigh them by w^2."""

    counts: np.ndarray
    targets: np.ndarray


class Ends(NamedTuple):
    """H^-1 at pairs of nodes of two replicas, and psi = H^-1 M along x and y, all (n, n')."""

    xx: Any
    xy: Any
    yy: Any
    along_x: Any
    along_y: Any


def replica(weights: np.ndarray, kappa: np.ndarray, model: Model) -> Replica:
    """Return what one replica contributes at its nodes (n,), which all differ, with weights (T, n); see `Replica`."""
    modes, inv_n, inv_p, _ = model
    lam, count = modes.eigenvalues, modes.multiplicity
    g = kappa[:, None] * resolvent(kappa, modes)
    e, kk = 1.0 - g, kappa[:, None] * kappa
    df2, mix = (e * count) @ e.T, (g * (count * lam)) @ g.T
    own_data, own_features = turned_by_loss(df2, mix, kk, model)
    data, features = 1.0 + inv_p * own_data, inv_n * own_features / kk
    apart = kappa - kappa[:, None]
    np.fill_diagonal(apart, np.inf)
    gap, pairs = 1.0 / apart, weights[:, :, None] * weights[:, None]

    def form(low: Any, high: Any) -> Form:
        """low lambda h_a h_b + high e_a e_b, with h = 1/(kappa + lambda)."""
        at_one = np.diagonal(low) / kappa
        squares = weights**2
        return Form(
            pairs * ((low - kappa[:, None] * high) * gap), pairs * ((kappa * high - low) * gap),
            squares * at_one, squares * (np.diagonal(high) - at_one),
        )  # fmt: skip

    turned, nothing = -kappa * (data + kappa[:, None] * features), np.zeros_like(kk)
    real = np.count_nonzero(np.imag(kappa) == 0)
    share = np.repeat([1.0, 2.0], [real, (len(kappa) - real) // 2])
    forms = (form(low, high) for low, high in (
        (kk * features, -data), (kk * data, -kk * features), (turned, nothing), (nothing, turned),
    ))  # fmt: skip
    powers = np.stack([e, e * e])
    return Replica(weights, kappa, share, powers, data, features, own_data, own_features, gap, *forms)


def covariance(first: Replica, second: Replica, model: Model, *, by_rows: bool = False) -> np.ndarray:
    """Return the covariance (T, T') of the risks of two replicas; by_rows: over rows, of the averages over features."""
    m_x, _, kept_p, ends = _ends(first.kappa, second.kappa, model)
    if by_rows and model.inv_n != 0:
        nothing = np.zeros_like(m_x)
        ends = Ends(model.inv_p / kept_p, nothing, nothing, model.inv_p / kept_p * m_x, nothing)
    columns = model.modes.multiplicity, model.modes.power / model.modes.eigenvalues
    sums = Sums(*((first.powers[:, None] * w) @ np.swapaxes(second.powers, 1, 2) for w in columns))
    return _closed(first, second, sums, ends, model)


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


def _closed(first: Replica, second: Replica, sums: Sums, ends: Ends, model: Model) -> np.ndarray:
    """Sum over all nodes of c_a c_b c_i c_j d_J d_J' 2 <m_ai m_bj>, (T, T')."""
    half = slice(len(first.share))
    here_x, here_y = _forces(first, second, sums, ends, (half, slice(None)))
    swapped = Sums(*(np.transpose(x, (1, 0, 3, 2)) for x in sums))
    there = _forces(second, first, swapped, Ends(*(x.T for x in ends)), (slice(None), half))
    there_x, there_y = (np.swapaxes(x, 1, 2) for x in there)
    left, right = (first.share * first.weights[:, half])[:, :, None], second.weights[:, None]
    xx, xy, yy = (x[half] for x in ends[:3])
    once = _dot(left * here_x, right * (xx * there_x + xy * there_y))
    once = once + _dot(left * here_y, right * (xy * there_x + yy * there_y))
    return 2.0 * (2.0 * once + _turning_both(first, second, sums, ends, model)).real  # eq. 34


def _dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Contract all but the first axis, (T, ...) and (T', ...) -> (T, T')."""
    return left.reshape(len(left), -1) @ right.reshape(len(right), -1).T


def _forces(
    first: Replica, second: Replica, sums: Sums, ends: Ends, cut: tuple[slice, slice]
) -> tuple[np.ndarray, np.ndarray]:
    """Sum over a of c_a (M_J - H_J psi), at the pairs (b, i) of a cut, (T, n, n')."""
    rows, columns = cut
    kappa, data, features = first.kappa[:, None], first.data, first.features
    kk = kappa * first.kappa
    low = kk * first.gap
    high = -kappa * low
    psi_x, psi_y, ones = ends.along_x[:, columns], ends.along_y[:, columns], np.ones((len(kappa), 1))

    def summed(matrix: np.ndarray, psi: np.ndarray) -> np.ndarray:
        return (first.weights[:, None] * matrix.T[rows]) @ psi

    def force(two: np.ndarray, three: Any, psi: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """Sum over a of c_a psi_ai (two lambda^2 + three lambda^3) g_a g_b g_i/kappa_i, summed over modes."""
        s, squares = sums[:, 0, :, columns]
        at_a, at_b = two * low + three * high, two * low.T + three * high.T
        both = np.diagonal(two)[:, None] * kappa * (s - squares) + np.diagonal(three * kk)[:, None] * squares
        own = first.weights[:, rows, None] * (both * psi)[rows]
        return summed(at_a, s * psi) + s[rows] * summed(at_b, psi) + own

    from_a, from_b, nothing = data / kappa + features, data / first.kappa + features, 0.0 * kk
    turned, at = -data / kk, second.kappa[columns]
    along_x = summed(first.own_data, psi_x) + force(features, turned, psi_x, sums.counts)
    along_x = along_x - at * force(from_b, nothing, ones, sums.targets)
    if not psi_y.any():
        return along_x, np.zeros_like(along_x)
    along_x = along_x + at * force(from_b, nothing, psi_y, sums.counts)
    along_y = summed(first.own_features, psi_y) + force(data, -features, psi_y, sums.counts)
    along_y = along_y + force(from_a, nothing, psi_x, sums.counts) - force(data, -features, ones, sums.targets)
    return along_x, at * along_y


def _turning_both(first: Replica, second: Replica, sums: Sums, ends: Ends, model: Model) -> np.ndarray:
    """Sum of what turns both replicas at once, (T, T'): 2 M_JJ' psi - psi H_JJ' psi."""
    x, y, ones = ends.along_x, ends.along_y, np.ones_like(ends.along_x)
    omega, pi, turn = (form.half(first.share) for form in (first.omega, first.pi, first.turn_e))
    half, weights, other = slice(len(first.share)), first.weights, second.weights

    def free(ours: np.ndarray, theirs: np.ndarray, psi: np.ndarray) -> np.ndarray:
        left = (first.share * weights[:, half])[:, :, None] * ours[half] * weights[:, None]
        return _dot(psi[half].T @ left @ psi, other[:, :, None] * theirs * other[:, None])

    both = _ring(sums.counts, omega, second.omega, x, x) + 2.0 * _ring(sums.targets, turn, second.turn, x, ones)
    both = both - model.inv_p * free(first.own_data, second.own_data, x)
    if y.any():
        both = both + _ring(sums.counts, pi, second.pi, y, y) - 2.0 * _ring(sums.targets, pi, second.pi, ones, y)
        both = both - 2.0 * _ring(sums.counts, turn, second.turn, x, y)
        both = both - model.inv_n * free(first.own_features, second.own_features, y)
    return both


def _ring(sums: np.ndarray, left: Form, right: Form, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sum over modes and nodes of left_ab right_ij x_ai y_bj, (T, T'); left: the half of a form; x is y: symmetric."""
    half = left.linear.shape[1]
    (s, s_square), (square_s, squares) = sums[:, :, :half]
    from_y = left.first @ y  # at (a, j)
    from_x = from_y if x is y else left.second @ x  # at (b, i)
    x, y = x[:half], y[:half]
    to_x = x @ right.second  # at (a, j)
    to_y = to_x if from_x is from_y else y @ np.swapaxes(right.first, 1, 2)  # at (b, i)
    own = left.linear[:, :, None] * s + left.square[:, :, None] * square_s
    own_square = left.linear[:, :, None] * s_square + left.square[:, :, None] * squares
    crossed = x * from_y + y * from_x
    parts = [
        ((s * x).T @ from_y, right.first),
        (s * from_y + own * y, to_x),
        ((s * crossed + own * x * y).sum(1), right.linear),
        ((s_square * crossed + own_square * x * y).sum(1), right.square),
    ]
    if from_x is from_y:
        parts += parts[:2]
    else:
        parts += [(np.swapaxes(from_x, 1, 2) @ (s * y), right.second), (s * from_x + own * x, to_y)]
    return np.sum([_dot(*part) for part in parts], axis=0)
