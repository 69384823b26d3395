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

Source: Bordelon, Atanasov and Pehlevan 2024 (arXiv 2402.01092), discrete time; the orders are ours.
"""

import math
from typing import NamedTuple

import numpy as np

from theory.arrays import Array
from theory.fixed_point import Model

ROUNDS = 100  # of each fixed point
ROWS = 24  # solved at a time
SMALLEST = 1e-12  # change of a round, relative, that counts as none
DIGITS = 23.0  # -log of the error of the compressed modes


class Order(NamedTuple):
    """When samples are seen: batches an epoch, samples a batch, and whether epochs are shuffled."""

    batches: int
    size: float
    shuffled: bool

    def epoch(self, steps: int) -> np.ndarray:
        """Return the epoch of every step."""
        return np.arange(steps) // self.batches

    def meets(self, steps: int) -> np.ndarray:
        """Return the mask of R1: the same batch in a fixed order, another epoch in a shuffled one."""
        epoch, place = self.epoch(steps), np.arange(steps) % self.batches
        across = epoch[:, None] != epoch[None] if self.shuffled else place[:, None] == place[None]
        return across.astype(float)


class Measure(NamedTuple):
    """Eigenvalues (k,), and weights of sums of lambda f(lambda) and of lambda w^2 f(lambda) over modes."""

    eigenvalues: Array
    spectrum: Array
    power: Array


class Losses(NamedTuple):
    """Risk and training loss (T + 1,), C0 (T + 1, T + 1), the loss of the next batch; the change of the last round."""

    risk: Array
    train_loss: Array
    correlation: Array
    batch_loss: Array
    residual: float


def few_modes(model: Model, reach: float) -> Measure:
    """Compress sums over modes of functions like exp(-lambda reach/lambda_1) to those at Chebyshev's points.

    Weights integrate the polynomial through these points: functions of this kind are polynomials to rounding.
    """
    lam, count, power = model.modes.eigenvalues, model.modes.multiplicity, model.modes.power
    top = lam.max()
    points = math.ceil(math.sqrt(2.0 * DIGITS * max(reach, 1.0))) + 16
    if points >= len(lam):
        return Measure(lam, count * lam, power)
    angle = (np.arange(points) + 0.5) * math.pi / points
    degree = np.arange(points)
    at_points = np.cos(degree[:, None] * angle[None])  # T_n at the points
    at_modes = np.cos(degree[:, None] * np.arccos(np.clip(2.0 * lam / top - 1.0, -1.0, 1.0))[None])
    norm = np.where(degree == 0, 1.0, 2.0)[:, None] / points
    weights = [(norm * at_points).T @ (at_modes @ weight) for weight in (count * lam, power)]
    return Measure(0.5 * top * (1.0 + np.cos(angle)), *weights)


def epochs_in_order(measure: Measure, model: Model, theta: Array, order: Order) -> Losses:
    """Return losses before every step; theta (T + 1, T + 1), strictly lower triangular.

    What happens at a step depends on steps before it: a few rows of all matrices are solved at a time, the rest known.
    """
    responses, left = _responses(measure, model, theta, order)
    losses = _correlations(measure, model, responses, order)
    return losses._replace(residual=max(left, losses.residual))


class _Responses(NamedTuple):
    """R1, K, Theta R3 and the H_k (k, T + 1, T + 1)."""

    data: Array
    kernel: Array
    moved: Array
    modes: Array


def _parts(count: int) -> list[tuple[int, int]]:
    return [(first, min(first + ROWS, count)) for first in range(0, count, ROWS)]


def _inverse_rows(known: Array, rows: Array, first: int) -> Array:
    """Return rows of (1 + A)^-1 from those rows of A, lower triangular, and the rows of the inverse above them."""
    last = first + len(rows)
    unit = np.eye(last)[first:]
    return np.linalg.solve(unit[:, first:] + rows[:, first:], unit - rows[:, :first] @ known[:first, :last])


def _responses(measure: Measure, model: Model, theta: Array, order: Order) -> tuple[_Responses, float]:
    count, lam = len(theta), measure.eigenvalues[:, None, None]
    meets, size = order.meets(count), order.size * (order.batches if order.shuffled else 1.0)
    data, features, total, kernel, moved = (np.zeros((count, count)) for _ in range(5))
    modes, worst = np.zeros((len(lam), count, count)), 0.0
    data[:], features[:] = np.eye(count), np.eye(count)
    for first, last in _parts(count):
        rows, change = slice(first, last), math.inf
        unit = np.eye(last)[first:]
        for _ in range(ROUNDS):
            moved[rows, :last] = theta[rows, :last] @ features[:last, :last]
            driven = lam * (moved[rows, :last] @ data[:last, :last])[None]
            side = unit - driven[:, :, :first] @ modes[:, :first, :last]
            modes[:, rows, :last] = np.linalg.solve(unit[:, first:] + driven[:, :, first:], side)
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
    return _Responses(data, kernel, moved, modes), worst


def _correlations(measure: Measure, model: Model, responses: _Responses, order: Order) -> Losses:
    data, kernel, moved, modes = responses
    lam, weight = measure.eigenvalues, measure.spectrum
    own = modes.sum(2)  # H_k 1
    start = (measure.power[:, None] * own).T @ own
    sloped = ((measure.power * lam)[:, None] * own).T @ own
    pulled = data @ np.tensordot(weight * lam, modes, 1) @ moved  # sum of lambda^2 R1 H_k Theta R3
    target, inner, seen, past, turned, through = (np.zeros_like(data) for _ in range(6))
    worst = 0.0

    def put(matrix: Array, first: int, rows: Array) -> None:
        last = first + len(rows)
        matrix[first:last, :last], matrix[:last, first:last] = rows, rows.T

    for first, last in _parts(len(data)):
        rows, change = slice(first, last), math.inf
        maps = modes[:, :last, :last].transpose(1, 0, 2).reshape(last, -1)
        put(seen, first, np.eye(last)[first:] * model.noise_var)
        for _ in range(ROUNDS):
            old = seen[rows, :last].copy(), past[rows, :last].copy()
            put(through, first, moved[rows, :last] @ seen[:last, :last] @ moved[:last, :last].T / order.size)
            put(turned, first, moved[rows, :last] @ past[:last, :last] @ moved[:last, :last].T * model.inv_n)
            by_features, by_batches = (modes[:, rows, :last] @ x[:last, :last] for x in (turned, through))
            both = weight[:, None, None] * (by_features + lam[:, None, None] * by_batches)
            for matrix, known, factor in ((target, start, 1.0), (inner, sloped, lam[:, None, None])):
                left = (factor * both).transpose(1, 0, 2).reshape(last - first, -1)
                put(matrix, first, known[rows, :last] + left @ maps.T)
            again, _ = _seen(target[:last, :last] + model.noise_var, data[:last, :last], kernel[:last, :last], order)
            put(seen, first, again[rows])  # eq. 37
            now = data[rows, :last] @ inner[:last, :last] @ data[:last, :last].T
            alone = weight.sum() * seen[rows, :last] - pulled[rows, :last] @ seen[:last, :last]
            put(past, first, now + (alone - seen[rows, :last] @ pulled[:last, :last].T) / order.size)
            moves = abs(seen[rows, :last] - old[0]).max(), abs(past[rows, :last] - old[1]).max()
            change = max(moves[0] / abs(seen[:last, :last]).max(), moves[1] / abs(past[:last, :last]).max())
            if change < SMALLEST:
                break
        worst = max(worst, change)
    noisy = target + model.noise_var
    _, unseen = _seen(noisy, data, kernel, order)
    train_loss = _shuffled_loss(unseen, kernel, order) if order.shuffled else _fixed_loss(noisy, data, kernel, order)
    return Losses(np.diag(target), train_loss, target, np.diag(seen), worst)


def _seen(noisy: Array, data: Array, kernel: Array, order: Order) -> tuple[Array, Array]:
    """Return C1 from C0 + sigma^2; shuffled, also the correlations inside an epoch of a sample before it is seen."""
    if not order.shuffled:
        return order.meets(len(data)) * (data @ noisy @ data.T), noisy
    crossed = noisy @ data.T  # X
    pairs, unseen = np.zeros_like(crossed), np.zeros_like(crossed)  # Q
    epoch = order.epoch(len(data))
    for now in range(epoch[-1] + 1):
        here, past = np.flatnonzero(epoch == now), np.flatnonzero(epoch < now)
        chain = kernel[np.ix_(here, past)] / (order.size * order.batches)
        pairs[np.ix_(here, past)] = crossed[np.ix_(here, past)] - chain @ pairs[np.ix_(past, past)]
        pairs[np.ix_(past, here)] = pairs[np.ix_(here, past)].T
        inside = crossed[np.ix_(here, here)] - chain @ pairs[np.ix_(past, here)]
        unseen[np.ix_(here, here)] = inside
        pairs[here, here] = order.batches * np.diag(inside)
    return pairs / order.batches, unseen


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
