"""Models trained on labels of functions, one a draw, by plain linear algebra."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

import rfm
from experiments.compare.verdicts import Verdict, near_one
from rfm.arguments import Sizes
from rfm.optimizers import Optimizer
from rfm.protocols import Solvable

A, B = 1.5, 1.25  # of the power law of these rows
NOISE, RIDGE = 0.1, 1e-3  # where nothing else is asked for


class Call(Sizes):
    """Arguments of one call of the theory, to be given with `**`."""

    optimizer: Optimizer
    times: ArrayLike | None


class Model(NamedTuple):
    """Features, samples, and the algorithm up to a time, None for Ridge."""

    num_features: float
    num_samples: float
    optimizer: Optimizer
    time: float | None = None

    def arguments(self) -> Call:
        """Return what the theory takes."""
        times = None if self.time is None else [self.time]
        sizes = Sizes(num_features=self.num_features, num_samples=self.num_samples)
        return Call(**sizes, optimizer=self.optimizer, times=times)


def fits(rng: np.random.Generator, problem: rfm.Problem, target: np.ndarray, model: Model, noise: float) -> np.ndarray:
    """Return coefficients (D, M) of models trained on labels of targets (D, M) with noise, all drawn anew."""
    n, p, count = int(model.num_features), int(model.num_samples), len(target)
    lam = problem.spectrum()[0]
    f = rng.standard_normal((count, n, len(lam))) / np.sqrt(n)
    x = rng.standard_normal((count, p, len(lam))) * np.sqrt(lam)
    labels = (x @ target[..., None])[..., 0] + np.sqrt(noise) * rng.standard_normal((count, p))
    phi = x @ f.swapaxes(1, 2)
    z, basis = np.linalg.eigh(phi.swapaxes(1, 2) @ phi / p)  # (D, N), (D, N, N)
    z = np.where(z > 1e-12 * z[:, -1:], z, 1e-12 * z[:, -1:])  # directions of no row, along which no moment lies
    time = np.array([[np.inf if model.time is None else model.time]])
    assert isinstance(model.optimizer, Solvable)
    response = np.array([model.optimizer.response(each, time)[0] for each in z])
    moment = (labels[:, None] @ phi @ basis / p)[:, 0]  # (D, N)
    weights = (response * moment)[:, None] @ basis.swapaxes(1, 2)
    return (weights @ f)[:, 0]


def risks(problem: rfm.Problem, coefficients: np.ndarray) -> np.ndarray:
    """Return the risk (D,) of each model on the true target."""
    lam, w = problem.spectrum()
    return (w - coefficients) ** 2 @ lam


def agrees(quantity: str, drawn: np.ndarray, predicted: np.ndarray, size: int) -> Verdict:
    """Judge draws (D, X) by theory (X,): within three standard errors and a gap of finite size."""
    gap, error = drawn.mean(0) / predicted - 1.0, drawn.std(0, ddof=1) / np.sqrt(len(drawn)) / predicted
    return near_one(quantity, gap, error, size)
