"""Problems that are compared: a power law, or one whose exponents are fitted to real data or to neurons."""

from typing import NamedTuple

import jax
import numpy as np

import rfm
from experiments.compare.power_laws import power_law_exponents
from rfm import datasets
from rfm.engine.features import ACTIVATIONS

POOL = 1_500  # inputs sampled from a power law where neurons need inputs to act on, and their largest dimension
POOL_DIMENSION = 300
KERNEL_ROWS = 2_000  # of real inputs, whose kernel is an eigenproblem of this size
RELU_FEATURES = 2_000  # hidden width of the random layer that makes features of real inputs


class Task(NamedTuple):
    """A problem and its exponents a, b: given, or fitted to its spectrum."""

    problem: rfm.Problem
    a: float
    b: float


def task_of_rows(inputs: np.ndarray, labels: np.ndarray, *, feature_law: str, noise_var: float, seed: int) -> Task:
    """Make the problem of real inputs: neurons where `feature_law` is one of theirs, else random ReLU features."""
    if feature_law in ACTIVATIONS:
        if len(inputs) > KERNEL_ROWS:
            rows = np.random.default_rng(seed).choice(len(inputs), KERNEL_ROWS, replace=False)
            inputs, labels = inputs[rows], labels[rows]
        problem = rfm.from_inputs(inputs, labels, feature_law, noise_var)
    else:
        hidden = datasets.random_relu(inputs, RELU_FEATURES, jax.random.key(seed))
        problem = rfm.from_features(hidden, labels, noise_var=noise_var)
    return Task(problem, *power_law_exponents(problem.eigenvalues, problem.target))


def real_rows(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs of a data set and one label a row: a real one, or the parity of its class."""
    classes = name in datasets.NAMES and datasets.SETS[name].classes is not None
    return datasets.load(name, "parity" if classes else None)


def power_law_rows(law: rfm.Problem, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a pool of Gaussian inputs psi with the spectrum of a power law, and their labels w psi."""
    key = jax.random.key(seed)
    eigenvalues, target = law.spectrum()
    inputs = np.asarray(jax.random.normal(key, (POOL, len(eigenvalues)))) * np.sqrt(eigenvalues)
    return inputs, inputs @ target
