"""Test loss of a training run from its own rows: what each row's error would be, had the run not seen it.

With K = Z Z^T/P of the rows Z trained on, ridge regression at s leaves the residual s (s + K)^-1 y. Divided by what the
row answers to itself, R_mu = [s (s + K)^-1]_mu,mu, it is that of the model trained without the row: exactly, and at
every complex s. Training for a time t is a sum of ridges with a filter r_t, so the division comes first and the sum
after it,

    residual_mu(t) = (1/2 pi i) oint r_t(-s) [s (s + K)^-1 y]_mu/R_mu ds/s,     test loss = mean of its square,

while the residual at t over the response at t is wrong by large factors. The integral is a sum of residues, at s = 0
and where R_mu vanishes: at one point x between each two eigenvalues z of K. R_mu is averaged over rows that answer
alike, at least `KINDS` kinds of them, so that rows of unequal size have responses of their own. At given s
`left_out_errors` divides row by row, or group by group.

Source: the leave-one-out identity of ridge regression, Allen 1974, Golub, Heath and Wahba 1979 (generalized
cross-validation), at complex s; that the ratio at time t fails: Patil, Wu and Tibshirani 2024 (arXiv 2402.16793).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfm import checks
from rfm.optimizers import SGD, Optax, Optimizer, Ridge, check_stability, check_times, resolve
from rfm.precision import float64, is_traced
from rfm.protocols import Solvable

KINDS = 16  # of rows, by how much they answer to themselves, at least
WORK = 16_000_000  # kinds x eigenvalues^2 that more kinds may take: up to 250 rows each is a kind
STEPS = 40  # of the root search at most: some eight are enough
CLOSE = 1e-13  # relative to the distance of two eigenvalues, below which a root is found
LEAST = 1e-12  # a response smaller than it is rounding
INSIDE = 1e-18, 1.0 - 1e-15  # a root is at neither end, where an eigenvalue is


class EstimatedStopping(NamedTuple):
    """When to stop, estimated from the training rows alone.

    Attributes:
        time: The one of `times` at which the estimated test loss is least.
        test_loss: The estimate there, label noise in it.
        at_end: Whether it is the last of `times`: then longer training may be better.
    """

    time: float
    test_loss: float
    at_end: bool


def estimated_test_loss(
    features: ArrayLike, labels: ArrayLike, *, optimizer: Optimizer, times: ArrayLike | None = None
) -> np.ndarray:
    """Estimate the test loss of a full-batch run at every time, from the rows that it is trained on.

    No row is held out. The estimate is the mean squared error that the run would make on each of its rows had it
    not seen that row: right on average but for one row less, for rows of any law that are drawn independently, and
    scattered as a test set of P rows is, or more.

    Args:
        features: (P, N), one row a sample, as trained on: predictions are features @ v, v = 0 at the start.
        labels: (P,), or (P, K) whose losses are summed over outputs, noise in them.
        optimizer: GradientFlow, GradientDescent, HeavyBall, Nesterov, Preconditioned or Ridge.
        times: (T,), lr x steps for gradient flow, numbers of steps for other algorithms; None for Ridge.

    Returns:
        (T,) estimates of E (f - y)^2 on fresh rows, label noise in it; (1,) for Ridge.

    Raises:
        ValueError: For features that are not a finite matrix of two rows or more, labels of another length, an
            algorithm that does not see all rows at each step, and a learning rate beyond stability.

    Example:
        >>> import numpy as np, rfm
        >>> rng = np.random.default_rng(0)
        >>> rows = rng.standard_normal((60, 20))
        >>> labels = rows[:, 0] + 0.5 * rng.standard_normal(60)
        >>> rfm.estimated_test_loss(rows, labels, optimizer=rfm.GradientFlow(), times=[0.1, 1.0, 100.0]).round(2)
        array([1.23, 0.6 , 0.34])
    """
    z, y = _checked(features, labels)
    check_times(optimizer, times)
    if isinstance(optimizer, SGD | Optax) or not isinstance(optimizer, Solvable):
        names = "GradientFlow, GradientDescent, HeavyBall, Nesterov, Preconditioned or Ridge"
        checks.fail("optimizer", f"one that sees all rows at each step, {names}", optimizer)
    if is_traced(optimizer, times):
        checks.fail("times", "known numbers, not traced ones", times)
    rows = _decompose(z)
    check_stability(optimizer, rows.values.max(initial=0.0), z.shape[1], z.shape[0])
    stops = np.array([np.inf]) if times is None else np.asarray(times, np.float64)
    count = min(max(KINDS, WORK // max(len(rows.values), 1) ** 2), len(z))
    kinds = [_left_out(rows, y, kind) for kind in np.array_split(_order(rows), count)]
    roots = np.concatenate([kind.roots for kind in kinds])
    with float64():
        solved = resolve(optimizer, times)
        assert isinstance(solved, Solvable)
        left = 1.0 - roots[None] * np.asarray(solved.response(roots, stops[:, None]))  # (T, all roots): r_t
    ends = np.cumsum([len(kind.roots) for kind in kinds])[:-1]
    total = np.zeros(len(stops))
    for kind, r in zip(kinds, np.split(left, ends, axis=1), strict=True):
        residual = kind.end[None] + np.tensordot(r, kind.residues, 1)  # (T, rows, K)
        total += np.sum(residual**2, axis=(1, 2))
    return total / len(z)


def estimated_stopping(
    features: ArrayLike, labels: ArrayLike, *, optimizer: Optimizer, times: ArrayLike
) -> EstimatedStopping:
    """Say when to stop a full-batch run, from the rows that it is trained on.

    Args:
        features: (P, N), as in `estimated_test_loss`, like all arguments below.
        labels: (P,) or (P, K).
        optimizer: An algorithm with times.
        times: (T,), among which the best one is chosen.

    Returns:
        An `EstimatedStopping`.

    Raises:
        ValueError: For Ridge, which has no times, and as `estimated_test_loss` does.

    Example:
        >>> import numpy as np, rfm
        >>> rng = np.random.default_rng(0)
        >>> rows = rng.standard_normal((60, 20))
        >>> labels = rows[:, 0] + 2.0 * rng.standard_normal(60)
        >>> best = rfm.estimated_stopping(rows, labels, optimizer=rfm.GradientFlow(), times=[0.1, 1.0, 100.0])
        >>> best.time, best.at_end
        (1.0, False)
    """
    if isinstance(optimizer, Ridge):
        checks.fail("optimizer", "one that is trained over time: Ridge has no time to stop at", optimizer)
    loss = estimated_test_loss(features, labels, optimizer=optimizer, times=times)
    best, grid = int(loss.argmin()), np.asarray(times, np.float64)
    return EstimatedStopping(float(grid[best]), float(loss[best]), best == len(grid) - 1)


class Decomposed(NamedTuple):
    """Rows of a sample in the eigenbasis of X X^T/n.

    values: Eigenvalues (m,); basis: eigenvectors at these rows (n', m); moment: U^T y over the whole sample (m, K).
    size: n.
    """

    values: np.ndarray
    basis: np.ndarray
    moment: np.ndarray
    size: int


class LeftOut(NamedTuple):
    """Errors (n', K, S): of rows, or of groups, that were left out; and by the mean response of all rows."""

    errors: np.ndarray
    generalized: np.ndarray


def left_out_errors(
    rows: Decomposed, labels: np.ndarray, ridges: np.ndarray, *, groups: np.ndarray | None = None, centered: bool
) -> LeftOut:
    """Return errors by ridge regression that has not seen the row: (1 - h - 1/n)^-1 times the residual.

    Args:
        rows: Rows of a sample, less their means where `centered`.
        labels: (n', K) of these rows, less their means likewise.
        ridges: s (S,), real or complex; without g of n rows the ridge of the others is s n/(n - g).
        groups: (n',) numbers of groups that are left out as a whole, of all rows; None: row by row.
        centered: Are means learned too, anew without the row? Then 1/n belongs to what a row answers to itself.
    """
    u, values, n = rows.basis, rows.values, rows.size
    learned = values / (values + ridges[:, None])  # (S, m)
    residual = labels[:, :, None] - np.einsum("nm,mk,sm->nks", u, rows.moment, learned, optimize=True)
    mean = centered / n
    generalized = residual / (1.0 - learned.sum(1) / n - mean)
    if groups is None:
        return LeftOut(residual / (1.0 - (u**2) @ learned.T - mean)[:, None], generalized)  # eq. 57
    error = np.empty_like(residual)
    for group in range(int(groups.max()) + 1):
        some = np.flatnonzero(groups == group)
        hat = np.einsum("im,sm,jm->sij", u[some], learned, u[some], optimize=True) + mean
        solved = np.linalg.solve(np.eye(len(some)) - hat, residual[some].transpose(2, 0, 1))  # (S, g, K)
        error[some] = solved.transpose(1, 2, 0)
    return LeftOut(error, generalized)


def _checked(features: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return features (P, N) and labels (P, K)."""
    z = checks.numeric("features", features)
    if z.ndim != 2 or len(z) < 2 or not z.shape[1] or not np.all(np.isfinite(z)):
        checks.fail("features", "a finite matrix (P, N) of at least two rows", z if z.ndim != 2 else z.shape)
    y = checks.numeric("labels", labels)
    if y.ndim not in (1, 2) or len(y) != len(z) or not y.size:
        checks.fail("labels", f"of shape ({len(z)},) or ({len(z)}, K), one for each row of features", y.shape)
    if not np.all(np.isfinite(y)):
        checks.fail("labels", "finite", y)
    return z, y.reshape(len(y), -1)


class _Rows(NamedTuple):
    """Distinct positive eigenvalues of K, rising (m,), and which eigenvectors (P, r) belong to each: their starts."""

    values: np.ndarray
    basis: np.ndarray
    starts: np.ndarray

    def gather(self, x: np.ndarray) -> np.ndarray:
        """Sum over the eigenvectors of each eigenvalue, (..., r) -> (..., m)."""
        return np.add.reduceat(x, self.starts, axis=-1) if self.values.size else x[..., :0]


def _decompose(features: np.ndarray) -> _Rows:
    basis, singular, _ = np.linalg.svd(features / np.sqrt(len(features)), full_matrices=False)
    rounding = len(singular) * np.finfo(float).eps
    kept = singular > rounding * singular.max(initial=0.0)
    z, basis = singular[kept][::-1] ** 2, basis[:, kept][:, ::-1]
    apart = np.diff(z, prepend=-np.inf) > rounding * z
    return _Rows(z[apart], basis, np.flatnonzero(apart))


def _order(rows: _Rows) -> np.ndarray:
    """Return rows in the order of their answers to themselves, at the ridge of half of the eigenvalues."""
    if not rows.values.size:
        return np.arange(len(rows.basis))
    middle = np.median(rows.values)
    return np.argsort(rows.gather(rows.basis**2) @ (rows.values / (rows.values + middle)), kind="stable")


class _Kind(NamedTuple):
    """Residuals of rows left out: end (rows, K) + sum over roots of r_t(root) residues (roots, rows, K)."""

    roots: np.ndarray
    end: np.ndarray
    residues: np.ndarray


def _left_out(rows: _Rows, labels: np.ndarray, kind: np.ndarray) -> _Kind:
    """Solve for some rows with their average response R = s (w_0/s + sum_j w_j/(s + z_j))."""
    u, z = rows.basis[kind], rows.values
    moment = rows.basis.T @ labels  # (r, K)
    parts = rows.gather(np.moveaxis(u[:, :, None] * moment[None], 1, -1))  # (rows, K, m)
    weights = rows.gather(u**2).mean(0)
    left = labels[kind] - u @ moment if u.shape[1] < len(labels) else np.zeros((len(kind), labels.shape[1]))
    null = 1.0 - weights.sum() if u.shape[1] < len(labels) else 0.0
    weights = np.maximum(weights, LEAST**2)
    if null > LEAST:
        z, weights = np.append(0.0, z), np.append(null, weights)
        parts = np.concatenate([left[..., None], parts], axis=-1)
        end = left / null
    else:
        end = (parts @ (1.0 / z)) / (weights @ (1.0 / z))
    if len(z) < 2:
        return _Kind(np.zeros(0), end, np.zeros((0, *end.shape)))
    share = _roots(z, weights)
    width = np.diff(z)
    inverse = 1.0 / ((z[None] - z[:-1, None]) - (share * width)[:, None])  # (roots, m): 1/(z_j - x)
    x = z[:-1] + share * width
    residues = np.moveaxis(parts @ inverse.T, -1, 0) / (x * (inverse**2 @ weights))[:, None, None]
    return _Kind(x, end, residues)


def _roots(z: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return where sum_j weights_j/(z_j - x) = 0 between each two z, as a share (m - 1,) of the way.

    Multiplied by the distances from both ends the sum is smooth and has a known sign there: a secant that halves the
    value of an end that stays (Illinois).
    """
    width = np.diff(z)
    low, high = np.zeros_like(width), np.ones_like(width)
    at_low, at_high = -weights[:-1], weights[1:]
    share, before = at_low / (at_low - at_high), None
    apart = z[None] - z[:-1, None]
    for _ in range(STEPS):
        share = np.clip(share, *INSIDE)
        value = width * share * (1.0 - share) * ((1.0 / (apart - (share * width)[:, None])) @ weights)
        below = value < 0
        again = np.zeros_like(below) if before is None else below == before
        at_low = np.where(below, value, np.where(again, 0.5 * at_low, at_low))
        at_high = np.where(below, np.where(again, 0.5 * at_high, at_high), value)
        low, high, before = np.where(below, share, low), np.where(below, high, share), below
        last, share = share, (low * at_high - high * at_low) / (at_high - at_low)
        if np.all(np.abs(share - last) < CLOSE):
            break
    return np.clip(share, *INSIDE)
