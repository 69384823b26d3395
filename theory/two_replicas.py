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

from theory.fixed_point import Model
from theory.mode_sums import resolvent
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
    """Nodes (n,) of one replica: weights (T, n), kappa and what modes are summed by; and what J turns (n, n).

    Real nodes come first, then those of the upper half plane, then their conjugates. share: 1 and 2 of real nodes and
    upper ones: the real part of a sum over them with these shares is the sum over all.
    data, features: R_ab + J and rho_ab by J; own_data, own_features: P and N times R_ab and kappa kappa' rho_ab by J.
    gap: 1/(kappa_b - kappa_a), zero where a = b. omega, pi: lambda times off-diagonal elements of Om and Pi, turn those
    of G over lambda h h and turn_e over e e, times the weights of their nodes; half_...: their halves.
    """

    weights: np.ndarray
    kappa: np.ndarray
    share: np.ndarray
    modes: "Functions"
    data: np.ndarray
    features: np.ndarray
    own_data: np.ndarray
    own_features: np.ndarray
    gap: np.ndarray
    omega: Form
    pi: Form
    turn: Form
    turn_e: Form
    half_omega: Form
    half_pi: Form
    half_turn_e: Form


class Functions(NamedTuple):
    """Functions of modes at nodes, e and e^2 (2, n, K), g (n, K), and those of real and upper nodes with weights.

    weighed: e and e^2, which count modes or weigh them by w^2, (4 half, K); weighed_g: by lambda, by lambda w^2.
    """

    powers: np.ndarray
    g: np.ndarray
    weighed: np.ndarray
    weighed_g: np.ndarray


class Sums(NamedTuple):
    """Sums over modes of e^p at a times e^q at i, (2, 2, n, n'), that count modes and that weigh them by w^2."""

    counts: np.ndarray
    targets: np.ndarray


class AtPairs(NamedTuple):
    """Sums at pairs of nodes of two replicas: those of `Sums`, sum of lambda g g', and M along x and y, (n, n')."""

    sums: Sums
    mix: np.ndarray
    along_x: np.ndarray
    along_y: np.ndarray


class Ends(NamedTuple):
    """H^-1 at pairs of nodes of two replicas, and psi = H^-1 M along x and y, all (n, n')."""

    xx: Any
    xy: Any
    yy: Any
    along_x: Any
    along_y: Any


def replica(weights: np.ndarray, kappa: np.ndarray, model: Model) -> Replica:
    """Return what one replica contributes at its nodes (n,), which all differ, with weights (T, n); see `Replica`."""
    inv_n, inv_p = model.inv_n, model.inv_p
    functions, kk = _functions(kappa, model), kappa[:, None] * kappa
    pairs = _at_pairs((kappa, functions), (kappa, functions), model)
    own_data, own_features = turned_by_loss(pairs.sums.counts[0, 0], pairs.mix, kk, model)
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
    share = np.repeat([1.0, 2.0], _real_and_upper(kappa))
    omega, pi, turn, turn_e = (form(low, high) for low, high in (
        (kk * features, -data), (kk * data, -kk * features), (turned, nothing), (nothing, turned),
    ))  # fmt: skip
    halves = (x.half(share) for x in (omega, pi, turn_e))
    return Replica(weights, kappa, share, functions, data, features, own_data, own_features, gap,
                   omega, pi, turn, turn_e, *halves)  # fmt: skip


def _real_and_upper(kappa: np.ndarray) -> tuple[int, int]:
    """Count real nodes, and those of the upper half plane."""
    real = int(np.count_nonzero(np.imag(kappa) == 0))
    return real, (len(kappa) - real) // 2


def _functions(kappa: np.ndarray, model: Model) -> Functions:
    modes, half = model.modes, sum(_real_and_upper(kappa))
    g = kappa[:, None] * resolvent(kappa, modes.eigenvalues)
    powers = np.stack([1.0 - g, (1.0 - g) ** 2])
    columns = np.stack([modes.multiplicity, modes.power / modes.eigenvalues])
    weighed = (powers[None, :, :half] * columns[:, None, None]).reshape(4 * half, -1)
    weighed_g = (g[None, :half] * (columns * modes.eigenvalues)[:, None]).reshape(2 * half, -1)
    return Functions(powers, g, weighed, weighed_g)


def _at_pairs(first: tuple[np.ndarray, Functions], second: tuple[np.ndarray, Functions], model: Model) -> AtPairs:
    """Sum over modes at pairs of the nodes of two replicas, given as kappa and its functions."""
    (kappa, left), (other, right) = first, second
    real, _ = _real_and_upper(kappa)
    real_there, there = _real_and_upper(other)
    turned = np.r_[:real_there, real_there + there : len(other), real_there : real_there + there]

    def whole(half: np.ndarray) -> np.ndarray:
        """Append the rows of conjugate nodes, where columns change places with theirs."""
        return np.concatenate([half, half[..., real:, turned].conj()], axis=-2)

    n = len(other)
    sums = (left.weighed @ right.powers.reshape(2 * n, -1).T).reshape(2, 2, -1, 2, n)
    counts, targets = whole(np.swapaxes(sums, 2, 3))
    mix, m_x = whole((left.weighed_g @ right.g.T).reshape(2, -1, n))
    return AtPairs(Sums(counts, targets), mix, m_x + model.noise_var, -targets[0, 0] * (kappa[:, None] * other))


def covariance(first: Replica, second: Replica, model: Model, *, by_rows: bool = False) -> np.ndarray:
    """Return the covariance (T, T') of the risks of two replicas; by_rows: over rows, of the averages over features."""
    pairs = _at_pairs((first.kappa, first.modes), (second.kappa, second.modes), model)
    kept_p, ends = _ends(pairs, first.kappa[:, None] * second.kappa, model)
    if by_rows and model.inv_n != 0:
        xx, nothing = model.inv_p / kept_p, np.zeros_like(pairs.mix)
        ends = Ends(xx, nothing, nothing, xx * pairs.along_x, nothing)
    return _closed(first, second, pairs.sums, ends, model)


def training_covariance(kappa: np.ndarray, model: Model) -> np.ndarray:
    """Return the covariance (n, n) of phi = s y'(s + K)^-1 y/P, in units of R1, at nodes as those of a `Replica`."""
    nodes = kappa, _functions(kappa, model)
    pairs = _at_pairs(nodes, nodes, model)
    _, ends = _ends(pairs, kappa[:, None] * kappa, model)
    return 2.0 * (pairs.along_x * ends.along_x + pairs.along_y * ends.along_y)


def _ends(pairs: AtPairs, kk: np.ndarray, model: Model) -> tuple[Any, Ends]:
    """Return 1 - df2/P, and what rests on sums at pairs of nodes of two replicas."""
    inv_n, inv_p, m_x, m_y = model.inv_n, model.inv_p, pairs.along_x, pairs.along_y
    kept_p, kept_n, det = kept_at(pairs.sums.counts[0, 0], pairs.mix, kk, model)
    xx, xy, yy = inv_p * kept_n / det, -inv_p * inv_n * pairs.mix / (kk * det), inv_n * kept_p / (kk * det)
    return kept_p, Ends(xx, xy, yy, xx * m_x + xy * m_y, xy * m_x + yy * m_y)


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
    omega, pi, turn = first.half_omega, first.half_pi, first.half_turn_e
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
