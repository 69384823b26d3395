"""Named problems with exact answers: limits in which risk and training loss are known without any of our code.

Each answer is a formula of a few numpy operations, written next to its source; `test_problems.py` checks the
formulas against each other and against brute force, then the theory against the formulas.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import oracles

import rfm

INF = np.inf


class Known(NamedTuple):
    """A setting and its exact answer: risk and train_loss (T,)."""

    problem: rfm.Problem
    num_features: float
    num_samples: float
    optimizer: Any
    times: np.ndarray | None
    risk: np.ndarray
    train_loss: np.ndarray

    @property
    def arguments(self) -> dict:
        """What `theory.predict` takes."""
        names = ("problem", "num_features", "num_samples", "optimizer", "times")
        return {name: getattr(self, name) for name in names}


def _marchenko_pastur(num_modes, num_samples, noise_var):
    """White spectrum, all features: what is left at t = infinity (Marchenko and Pastur 1967)."""
    signal, noise, loss = oracles.marchenko_pastur_limits(num_modes, num_samples, noise_var, num_modes)
    problem = rfm.white(num_modes, noise_var)
    return Known(problem, INF, num_samples, rfm.Ridge(0.0), None, np.array([signal + noise]), np.array([loss]))


def _white_model_limited(num_modes, num_features, noise_var):
    """White spectrum, infinite data, t = infinity: the part of the target outside N random directions."""
    risk = num_modes - num_features
    problem = rfm.white(num_modes, noise_var)
    arrays = np.array([risk]), np.array([risk + noise_var])
    return Known(problem, num_features, INF, rfm.Ridge(0.0), None, *arrays)


def _white_two_sided(num_modes, num_features, num_samples):
    """White spectrum, no noise, N and P both finite, t = infinity."""
    one, _ = oracles.white_two_sided_limit(num_features / num_modes, num_samples / num_modes)
    # least squares in N < P directions keeps the fraction 1 - N/P of its label variance as training loss
    loss = max(0.0, 1 - num_features / num_samples) ** 2 * one
    arrays = np.array([one * num_modes]), np.array([loss * num_modes])
    return Known(rfm.white(num_modes), num_features, num_samples, rfm.Ridge(0.0), None, *arrays)


def _white_ridge(num_modes, num_samples, noise_var, ridge):
    """White spectrum, all features, ridge s > 0: kappa solves kappa^2 + (1 - s - M/P) kappa - s = 0."""
    load = num_modes / num_samples
    half = (1 - ridge - load) / 2
    kappa = -half + np.sqrt(half**2 + ridge)
    left = kappa / (1 + kappa)
    label_risk = (noise_var + num_modes * left**2) / (1 - load / (1 + kappa) ** 2)
    loss = (1 - load / (1 + kappa)) ** 2 * label_risk
    arrays = np.array([label_risk - noise_var]), np.array([loss])
    return Known(rfm.white(num_modes, noise_var), INF, num_samples, rfm.Ridge(ridge), None, *arrays)


def _population(num_modes, a, b, noise_var, optimizer, times):
    """N = P = infinity: every mode decays by itself."""
    k = np.arange(1.0, num_modes + 1)
    lam, w = k**-b, k ** ((b - a) / 2)
    if isinstance(optimizer, rfm.GradientDescent):
        risk = oracles.population_gd(lam, w, optimizer.lr, times)
    else:
        risk = oracles.population_flow(lam, w, times)
    problem = rfm.power_law(a, b, num_modes, noise_var)
    return Known(problem, INF, INF, optimizer, times, risk, risk + noise_var)


def _one_mode(eigenvalue, target, noise_var, times):
    """A single mode and nothing random: an exponential."""
    risk = eigenvalue * target**2 * np.exp(-2 * eigenvalue * times)
    problem = rfm.Problem([eigenvalue], [target], noise_var)
    return Known(problem, INF, INF, rfm.GradientFlow(), times, risk, risk + noise_var)


def _infinitely_many_modes(ridge):
    """a = b = 2, M = infinity, N = P = infinity: risk = s^2 sum k^2/(1 + s k^2)^2 by the series of coth."""
    x = np.pi / np.sqrt(ridge)
    over_sinh_squared = 4 * x * np.exp(-2 * x) / np.expm1(-2 * x) ** 2
    risk = np.array([ridge * x / 4 * (1 / np.tanh(x) - over_sinh_squared)])
    return Known(rfm.power_law(2.0, 2.0, None), INF, INF, rfm.Ridge(ridge), None, risk, risk)


TIMES = np.array([0.0, 0.3, 2.0, 20.0, 300.0])
STEPS = np.array([0.0, 1.0, 7.0, 60.0, 900.0])

KNOWN: dict[str, Callable[[], Known]] = {
    "white, P < M": lambda: _marchenko_pastur(100, 60, 0.3),
    "white, P > M": lambda: _marchenko_pastur(100, 170, 0.3),
    "white, P < M, no noise": lambda: _marchenko_pastur(100, 40, 0.0),
    "white, P = infinity, N < M": lambda: _white_model_limited(100, 45, 0.2),
    "white, N < P < M": lambda: _white_two_sided(100, 30, 60),
    "white, P < N < M": lambda: _white_two_sided(100, 60, 30),
    "white, N < M < P": lambda: _white_two_sided(100, 80, 150),
    "white, P < M < N": lambda: _white_two_sided(100, 150, 80),
    "white, ridge": lambda: _white_ridge(100, 75, 0.1, 0.2),
    "white, small ridge": lambda: _white_ridge(100, 200, 0.1, 1e-6),
    "one mode, ridge": lambda: _white_ridge(1, 4, 0.5, 0.05),
    "one mode": lambda: _one_mode(0.7, -1.3, 0.2, np.array([0.0, 0.1, 1.0, 5.0])),
    "power law, nothing random, flow": lambda: _population(3000, 1.8, 1.5, 0.1, rfm.GradientFlow(), TIMES),
    "power law, nothing random, descent": lambda: _population(700, 1.5, 1.2, 0.0, rfm.GradientDescent(0.5), STEPS),
    "power law, nothing random, lr 1.7": lambda: _population(700, 1.5, 1.2, 0.0, rfm.GradientDescent(1.7), STEPS),
    "infinitely many modes, ridge": lambda: _infinitely_many_modes(0.1),
    "infinitely many modes, small ridge": lambda: _infinitely_many_modes(1e-6),
}
