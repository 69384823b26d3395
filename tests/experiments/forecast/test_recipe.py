"""The forecast from all known rows on, anew in plain numpy: theory, rows left out, the shrunk ratio of the two."""

import math

import numpy as np
import pytest

import rfm
from experiments.forecast import choices
from experiments.forecast.source import Source

FLOW = rfm.GradientFlow()
NODES = 24  # of Talbot's contour (Weideman 2006): 1e-12
COUNT, COLUMNS = 96, 24


def talbot(t):
    """Ridges s on the upper half of a contour around the negative axis, and weights e^(st) ds/(2 pi i s)."""
    angle = (2 * np.arange(NODES // 2) + 1) * math.pi / NODES
    inner = 0.6407 * angle
    z = NODES * (0.5017 * angle / np.tan(inner) - 0.6122 + 0.2645j * angle)
    slope = NODES * (0.5017 / np.tan(inner) - 0.5017 * inner / np.sin(inner) ** 2 + 0.2645j)
    return z / t, np.exp(z) * slope * (2 * math.pi / NODES) / (2j * math.pi * z)


class Population:
    """Modes, powers, noise and sizes of rows, and the loss of gradient flow on P of them, N infinite."""

    def __init__(self, problem):
        self.modes, self.noise = np.asarray(problem.eigenvalues), float(problem.noise_var)
        self.power = self.modes * np.asarray(problem.target) ** 2
        sizes = problem.mixture
        one = np.ones(1)
        self.tau, self.v, self.w = (one, one, one) if sizes is None else (sizes.sizes, sizes.noise, sizes.weights)

    def response(self, kappa, p, start):
        """Solve 1 = E tau/(R + tau df/P) by Newton's method, at all kappa (S,)."""
        x, r = np.sum(self.modes / (self.modes + kappa[:, None]), 1) / p, start
        for _ in range(8):
            q = r[:, None] + self.tau * x[:, None]
            r = r + (np.sum(self.w * self.tau / q, 1) - 1) / np.sum(self.w * self.tau / q**2, 1)
        return r

    def kappa(self, s, p):
        """Solve kappa R(kappa) = s for complex s (S,), from far on the positive axis, by secants."""
        far, size, turn = 1e4, np.abs(s), np.exp(1j * np.angle(s) * np.linspace(0, 1, 25)[:, None])
        path = [*(far * (size / far) ** share for share in np.linspace(0, 1, 60)), *(size * turn)]
        kappa, r = path[0] + 0j, np.ones(len(s)) + 0j
        for at in path:
            for _ in range(5):
                r = self.response(kappa, p, r)
                off, step = kappa * r - at, 1e-6 * kappa
                kappa = kappa - off * step / ((kappa + step) * self.response(kappa + step, p, r) - at - off)
        return kappa, self.response(kappa, p, r)

    def loss(self, t, p):
        """Sum over pairs of ridges on the contour."""
        s, weights = talbot(t)
        kappa, r = self.kappa(s, p)
        kappa, r, weights = (np.concatenate([x, x.conj()]) for x in (kappa, r, weights))
        part = 1 / (self.modes + kappa[:, None])
        answer = np.sum(self.modes * part, 1) / p / r
        q = 1 / (1 + self.tau * answer[:, None])
        tests = (part * self.modes**2) @ part.T / (p * r[:, None] * r)
        bias = kappa[:, None] * kappa * ((part * self.power) @ part.T)
        noise = self.noise * (q * self.w * self.tau * self.v) @ q.T * tests
        pairs = self.noise + (bias + noise) / (1 - (q * self.w * self.tau**2) @ q.T * tests)
        return (weights @ pairs @ weights).real


def left_out(x, y, t):
    """Squared errors of rows left out in turn, means and all, by training on the others; and by the mean response."""
    n, errors = len(x), []
    for i in range(n):
        keep = np.arange(n) != i
        mean, label = x[keep].mean(0), y[keep].mean()
        z, basis = np.linalg.eigh((x[keep] - mean).T @ (x[keep] - mean) / (n - 1))
        moment = basis.T @ (x[keep] - mean).T @ (y[keep] - label) / (n - 1)
        errors.append(y[i] - label - (x[i] - mean) @ basis @ (moment * -np.expm1(-z * t) / z))
    s, weights = talbot(t)
    x, y = x - x.mean(0), y - y.mean()
    rest = [np.eye(n) - x @ np.linalg.solve(x.T @ x + at * (n - 1) * np.eye(COLUMNS), x.T) for at in s]
    mean = sum(2 * np.real(w * (a @ y) / ((np.trace(a) - 1) / n)) for a, w in zip(rest, weights, strict=True))
    return np.square(errors), np.square(mean)


@pytest.mark.parametrize("unequal", [0.0, 0.8])
def test_from_all_known_rows_on(unequal):
    """At n, 2n and 4n rows: theory x exp(rho), rho = log(left-out/theory at n) max(0, 1 - v/rho^2), to 1e-6."""
    rng = np.random.default_rng(1)
    tau = np.exp(unequal * rng.normal(size=(COUNT, 1)))
    x = np.sqrt(tau) * rng.normal(size=(COUNT, COLUMNS)) * np.arange(1, COLUMNS + 1.0) ** -0.7
    y = x @ np.arange(1, COLUMNS + 1.0) ** -0.2 + 0.5 * rng.normal(size=COUNT) * np.sqrt(tau[:, 0])
    source = Source(x, y)
    whole = source.estimate(replicas=0, seed=0)
    times = np.array([3.0, 300.0])
    made = choices.forecast_of(source, whole, FLOW, times, [])
    assert (whole.problem.mixture is None) == (unequal == 0.0)
    population = Population(made.estimate.problem)
    for place, t in enumerate(times):
        each, mean = left_out(x / math.sqrt(whole.scale), y, t)
        rho = math.log(each.mean() / population.loss(t, COUNT))
        v = (each - mean).var() / COUNT / each.mean() ** 2
        for p in (COUNT, 2 * COUNT, 4 * COUNT):
            expected = population.loss(t, p) * math.exp(rho * max(0.0, 1.0 - v / rho**2))
            assert made.losses(math.inf, p)[place] == pytest.approx(expected, rel=1e-6)
