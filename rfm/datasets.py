"""Real data that installs with a package and loads offline, as (inputs, labels); random ReLU features of inputs."""

import jax
import numpy as np

from rfm import checks

NAMES = ("digits",)


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """inputs (n, d) and labels (n,) in {-1, 1} of a named data set.

    "digits": 1,797 handwritten digits of 8 x 8 pixels from scikit-learn (BSD / CC BY 4.0); the label is the parity
    of the digit. Raises ValueError for an unknown name and ImportError where the extra `data` is not installed.
    """
    checks.one_of("data", name, NAMES)
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError(
            f"Data set {name!r} comes with scikit-learn, which is not installed: "
            "pip install 'random-feature-theory[data]'."
        ) from None
    digits = load_digits()
    return digits.data / 16.0, np.where(digits.target % 2 == 0, 1.0, -1.0)


def random_relu(inputs: np.ndarray, num_features: int, key: jax.Array) -> np.ndarray:
    """max(0, X G^T) (n, num_features), G_ij ~ N(0, 1): one random hidden layer, float64."""
    seed = np.asarray(jax.random.key_data(key)).ravel()
    weights = np.random.default_rng(seed).standard_normal((num_features, inputs.shape[1]))
    return np.maximum(inputs @ weights.T, 0.0)
