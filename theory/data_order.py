"""SGD in epochs, with the samples in a fixed order or shuffled anew: correlations in time as matrices.

With t = 0 .. T, Theta(t, s) the weight at t that a unit gradient at s leaves (lr_s for s < t without momentum), n = P/B
batches an epoch and K = S Theta R3, the responses are

    R3 = (1 + R1 S Theta/N)^-1,  H_k = (1 + lambda_k Theta R3 R1)^-1,  S = sum lambda_k H_k,
    R1 = (1 + m o K/B)^-1 in a fixed order, m(t, s) = 1 where t and s see the same samples,
    R1 = (1 + u o K/P)^-1 shuffled,         u(t, s) = 1 where t and s are in different epochs,

and with V_k = 1 - lambda_k R1 H_k Theta R3 the correlations C0 of what is left of the target, C1 of the residual on the
batch, C2 of the gradients before and C3 of those behind the features

    C0 = sum lambda_k H_k [w_k^2 11' + Theta C3 Theta'/N + (lambda_k/B) Theta R3 C1 R3' Theta'] H_k',  C3 = R3 C2 R3',
    C2 = sum (lambda_k/B) V_k C1 V_k' + lambda_k^2 R1 H_k [w_k^2 11' + Theta C3 Theta'/N] H_k' R1',

risk(t) = C0(t, t). In a fixed order C1 = m o [R1 (C0 + sigma^2) R1']. Shuffled, a sample comes once an epoch at a time
uniform in it: with X = (C0 + sigma^2) R1', Q(t, s) = X(t, s) - sum_v K(t, v) Q(v, s)/P over v in earlier epochs than t,
for s in another epoch, n times that for s = t, zero else; C1 = Q/n.

A Gaussian fourth moment adds to the noise of a batch one of variance 1/B along the gradient itself: lambda_k D_k, the
diagonal of what is left of mode k, beside C1 under (lambda_k/B) (eq. 41). It is a share 1/B, left out unless asked for.

Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), discrete time; the orders are ours.
"""

import math
from typing import NamedTuple

import numpy as np

from theory.arrays import Array
from theory.fixed_point import Model
from theory.mode_rules import Measure

ROUNDS = 100  # of each fixed point
ROWS = 16  # solved at a time
SMALLEST = 1e-12  # change of a round, relative, that counts as none
COLUMNS = 192  # multiplied at a time


class Order(NamedTuple):
    """When samples are seen: batches an epoch, samples a batch, and whether epochs are shuffled.

    fourth_moment: whether the noise of a batch along its own mean gradient is counted, which asks for a measure whose
    two sums have the same nodes.
    """

    batches: int
    size: float
    shuffled: bool
    fourth_moment: bool = False

    def epoch(self, steps: int) -> np.ndarray:
        """Return the epoch of every step."""
        return np.arange(steps) // self.batches

    def meets(self, steps: int) -> np.ndarray:
        """Return the mask of R1: the same batch in a fixed order, another epoch in a shuffled one."""
        epoch, place = self.epoch(steps), np.arange(steps) % self.batches
        across = epoch[:, None] != epoch[None] if self.shuffled else place[:, None] == place[None]
        return across.astype(float)


class Losses(NamedTuple):
    """Risk and training loss (T + 1,), C0 (T + 1, T + 1), the loss of the next batch; the change of the last round."""

    risk: Array
    train_loss: Array
    correlation: Array
    batch_loss: Array
    residual: float


def epochs_in_order(measure: Measure, model: Model, theta: Array, order: Order) -> Losses:
    """Return losses before every step; theta (T + 1, T + 1), strictly lower triangular.

    What happens at a step depends on steps before it: a few rows of all matrices are solved at a time, the rest known.
    """
    responses, left = _responses(measure, model, theta, order)
    losses = _correlations(measure, model, responses, order)
    return losses._replace(residual=max(left, losses.residual))


class _Responses(NamedTuple):
    """R1, K, Theta R3, Theta R3 R1 and the H_k (k, T + 1, T + 1)."""

    data: Array
    kernel: Array
    moved: Array
    pulled: Array
    modes: Array


def _parts(count: int) -> list[tuple[int, int]]:
    return [(first, min(first + ROWS, count)) for first in range(0, count, ROWS)]


def _inverse_rows(known: Array, rows: Array, first: int) -> Array:
    """Return rows of (1 + A)^-1 from those rows of A, lower triangular, and the rows of the inverse above them."""
    last = first + len(rows)
    unit = np.eye(last)[first:]
    return np.linalg.solve(unit[:, first:] + rows[:, first:], unit - rows[:, :first] @ known[:first, :last])


def _guess(matrix: Array, first: int, last: int) -> Array:
    """Return rows of a matrix as those before, one block along the diagonal."""
    rows = np.zeros((last - first, last))
    rows[:, ROWS:] = matrix[first - ROWS : last - ROWS, : last - ROWS]
    return rows


def _responses(measure: Measure, model: Model, theta: Array, order: Order) -> tuple[_Responses, float]:
    count, lam = len(theta), measure.eigenvalues[:, None, None]
    meets, size = order.meets(count), order.size * (order.batches if order.shuffled else 1.0)
    data, features, total, kernel, moved, pulled = (np.zeros((count, count)) for _ in range(6))
    modes, worst = np.zeros((len(lam), count, count)), 0.0
    data[:], features[:] = np.eye(count), np.eye(count)
    for first, last in _parts(count):
        rows, change = slice(first, last), math.inf
        unit = np.eye(last)[first:]
        if first:
            data[rows, :last], features[rows, :last] = (_guess(x, first, last) for x in (data, features))
        for _ in range(ROUNDS):
            moved[rows, :last] = theta[rows, :last] @ features[:last, :last]
            pulled[rows, :last] = moved[rows, :last] @ data[:last, :last]
            side = unit - lam * _onto_modes(pulled[rows, :first], modes, last)
            modes[:, rows, :last] = np.linalg.solve(unit[:, first:] + lam * pulled[rows, first:last], side)
            total[rows, :last] = np.tensordot(measure.spectrum, modes[:, rows, :last], 1)  # S
            reused = (data[rows, :last] @ total[:last, :last]) @ theta[:last, :last] * model.inv_n
            new_features = _inverse_rows(features, reused, first)
            change = abs(new_features - features[rows, :last]).max()
            features[rows, :last] = new_features
            moved[rows, :last] = theta[rows, :last] @ features[:last, :last]
            kernel[rows, :last] = total[rows, :last] @ moved[:last, :last]
            new_data = _inverse_rows(data, meets[rows, :last] * kernel[rows, :last] / size, first)
            change = max(change, abs(new_data - data[rows, :last]).max())
            data[rows, :last] = new_data
            if change < SMALLEST:
                break
        worst = max(worst, change)
    return _Responses(data, kernel, moved, pulled, modes), worst


def _of_starts(measure: Measure, pulled: Array) -> tuple[Array, Array, Array]:
    """Return sums of lambda w^2 H_k 11' H_k' over modes, with another lambda, and the diagonals (k, T + 1) of all."""
    left, lam = np.ones((len(measure.starts), len(pulled))), measure.starts
    for first, last in _parts(len(pulled)):
        side = 1.0 - lam[:, None] * (left[:, :first] @ pulled[first:last, :first].T)
        left[:, first:last] = np.linalg.solve(
            np.eye(last - first) + lam[:, None, None] * pulled[first:last, first:last], side[..., None]
        )[..., 0]
    power = measure.power[:, None]
    return (power * left).T @ left, (power * lam[:, None] * left).T @ left, power * left**2


def _correlations(measure: Measure, model: Model, responses: _Responses, order: Order) -> Losses:
    data, kernel, moved, _, modes = responses
    lam, weight = measure.eigenvalues[:, None, None], measure.spectrum[:, None, None]
    starts = _of_starts(measure, responses.pulled)
    pulled = data @ np.tensordot(measure.spectrum * measure.eigenvalues, modes, 1) @ moved  # lambda^2 R1 H_k Theta R3
    target, inner, seen, past, turned, through, along = (np.zeros_like(data) for _ in range(7))
    left = starts[2].copy()  # lambda_k D_k
    pairs = _Pairs(np.zeros_like(data), np.zeros_like(data))
    worst = 0.0

    def put(matrix: Array, first: int, rows: Array) -> None:
        last = first + len(rows)
        matrix[first:last, :last], matrix[:last, first:last] = rows, rows.T

    for first, last in _parts(len(data)):
        rows, change = slice(first, last), math.inf
        here = modes[:, rows, :last]
        known = [here[:, :, :first] @ x[:first, :first] for x in (turned, through)]
        pushed = noise = np.zeros(())
        if order.fourth_moment:
            pushed = lam**2 / order.size * (here @ moved[:last, :last])
            noise = (pushed * left[:, None, :last])[:, :, :first] @ moved[:last, :first].T
        for matrix, guess in ((seen, np.eye(last)[first:] * model.noise_var), (past, np.zeros((last - first, last)))):
            put(matrix, first, _guess(matrix, first, last) if first else guess)
        for _ in range(ROUNDS):
            old = seen[rows, :last].copy(), past[rows, :last].copy()
            put(through, first, moved[rows, :last] @ seen[:last, :last] @ moved[:last, :last].T / order.size)
            put(turned, first, moved[rows, :last] @ past[:last, :last] @ moved[:last, :last].T * model.inv_n)
            by_features, by_batches = (
                np.concatenate([done + here[:, :, first:] @ x[rows, :first], here @ x[:last, rows]], axis=2)
                for done, x in zip(known, (turned, through), strict=True)
            )
            both = weight * (by_features + lam * by_batches)
            if order.fourth_moment:
                shares = pushed * left[:, None, :last]
                along[rows, :last] = shares.sum(0)
                both = both + noise + shares[:, :, first:] @ moved[:last, rows].T
                left[:, rows] = starts[2][:, rows] + (both * here).sum(2)  # eq. 41
            sums = _times_modes(np.concatenate([both, lam * both], axis=1), modes)
            put(target, first, starts[0][rows, :last] + sums[: last - first])
            put(inner, first, starts[1][rows, :last] + sums[last - first :])
            put(seen, first, _see(pairs, target[:last, :last] + model.noise_var, responses, order, first))  # eq. 37
            now = data[rows, :last] @ inner[:last, :last] @ data[:last, :last].T
            alone = measure.spectrum.sum() * seen[rows, :last] - pulled[rows, :last] @ seen[:last, :last]
            new = now + (alone - seen[rows, :last] @ pulled[:last, :last].T) / order.size
            if order.fourth_moment:
                new -= data[rows, :last] @ along[:last, :last]
                new[:, first:] -= (data[rows, :last] @ along[:last, rows]).T
                new[:, first:] += np.diag(measure.eigenvalues @ left[:, rows]) / order.size
            put(past, first, new)
            moves = abs(seen[rows, :last] - old[0]).max(), abs(past[rows, :last] - old[1]).max()
            change = max(moves[0] / abs(seen[:last, :last]).max(), moves[1] / abs(past[:last, :last]).max())
            if change < SMALLEST:
                break
        worst = max(worst, change)
    noisy = target + model.noise_var
    if order.shuffled:
        train_loss = _shuffled_loss(pairs.unseen, kernel, order)
    else:
        train_loss = _fixed_loss(noisy, data, kernel, order)
    return Losses(np.diag(target), train_loss, target, np.diag(seen), worst)


def _onto_modes(rows: Array, modes: Array, last: int) -> Array:
    """Return rows H_k of rows (r, n), for every mode, (k, r, last); H_k are triangular."""
    made = np.zeros((len(modes), len(rows), last))
    for first in range(0, rows.shape[1], COLUMNS):
        columns = slice(first, min(first + COLUMNS, last))
        made[:, :, columns] = rows[:, first:] @ modes[:, first : rows.shape[1], columns]
    return made


def _times_modes(rows: Array, modes: Array) -> Array:
    """Return the sum of rows_k H_k' over modes, (r, n) of rows (k, r, n); H_k are triangular."""
    count, columns = rows.shape[2], []
    for first in range(0, count, COLUMNS):
        last = min(first + COLUMNS, count)
        columns.append((rows[:, :, :last] @ modes[:, first:last, :last].swapaxes(1, 2)).sum(0))
    return np.concatenate(columns, axis=1)


class _Pairs(NamedTuple):
    """Q, and correlations inside an epoch of a sample before it is seen: filled some rows at a time."""

    seen: Array
    unseen: Array


def _see(pairs: _Pairs, noisy: Array, responses: _Responses, order: Order, first: int) -> Array:
    """Return the rows of C1 from `first` on, from C0 + sigma^2 up to there."""
    last, batches, (seen, unseen) = len(noisy), order.batches, pairs
    data, rows = responses.data[:last, :last], slice(first, last)
    crossed = noisy[rows] @ data.T  # X
    if not order.shuffled:
        return order.meets(last)[rows] * (data[rows] @ noisy @ data.T)
    for start in range(first - first % batches, last, batches):  # of an epoch
        low, high = max(first, start), min(last, start + batches)
        chain, known = responses.kernel[low:high, :start] / (order.size * batches), crossed[low - first : high - first]
        seen[low:high, :start] = known[:, :start] - chain @ seen[:start, :start]
        seen[:start, low:high] = seen[low:high, :start].T
        unseen[low:high, start:high] = known[:, start:high] - chain @ seen[:start, start:high]
        index = np.arange(low, high)
        seen[index, index] = batches * unseen[index, index]
    return seen[rows, :last] / batches


def _fixed_loss(noisy: Array, data: Array, kernel: Array, order: Order) -> Array:
    """Training loss: the mean over batches of the residual that each leaves on itself."""
    total = np.zeros(len(data))
    for first in range(order.batches):
        used = np.arange(first, len(data), order.batches)
        map_ = np.eye(len(data))
        map_[:, used] -= kernel[:, used] @ data[np.ix_(used, used)] / order.size
        total += np.einsum("ts,su,tu->t", map_, noisy, map_, optimize=True)
    return total / order.batches


def _shuffled_loss(unseen: Array, kernel: Array, order: Order) -> Array:
    """Training loss: samples that this epoch has not seen yet, and those it has, at a time uniform in what is past."""
    epoch = order.epoch(len(unseen))
    moved = np.tril(kernel * (epoch[:, None] == epoch[None]), -1) / order.size
    seen = moved**2 @ np.diag(unseen) - 2.0 * (moved * unseen).sum(1)
    return np.diag(unseen) + seen / order.batches
