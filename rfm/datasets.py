"""Real data that installs with a package and loads offline, or a file; random ReLU features of inputs."""

import os

import jax
import numpy as np

from rfm import checks

NAMES = ("digits",)


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """inputs (n, d) and labels (n,) in {-1, 1} of a named data set: the parity of its class.

    Raises ValueError for an unknown name and ImportError where the extra `data` is not installed.
    """
    checks.one_of("data", name, NAMES)
    inputs, classes = _digits()
    return inputs.reshape(len(inputs), -1), np.where(classes % 2 == 0, 1.0, -1.0)


def load_classes(data: str) -> tuple[np.ndarray, np.ndarray]:
    """inputs (n, ...), images as (n, height, width), and classes (n,) of 0 .. K - 1: of a named data set or a file.

    "digits": 1,797 handwritten digits of 8 x 8 pixels from scikit-learn (BSD / CC BY 4.0). FILE.npz: arrays x (n, ...)
    of numbers and y (n,) of whole numbers. Raises ValueError for any other name or content, FileNotFoundError where
    there is no such file, and ImportError where the extra `data` is not installed.
    """
    if data in NAMES:
        return _digits()
    if not data.endswith(".npz"):
        checks.fail("data", f"one of {', '.join(map(repr, NAMES))}, or a file FILE.npz of x and y", data)
    if not os.path.exists(data):
        raise FileNotFoundError(f"Argument `data` must be a file that exists, but is {data!r}.")
    try:
        with np.load(data) as file:
            inputs, classes = np.asarray(file["x"], float), np.asarray(file["y"])
    except Exception as error:  # numpy raises what zip, pickle or its own parser do
        raise ValueError(f"Argument `data` must be a file of arrays x and y, but is {data!r} ({error}).") from None
    if inputs.ndim < 2 or len(inputs) < 2 or not np.all(np.isfinite(inputs)):
        checks.fail("data", "a file with finite x (n, ...) of at least two rows", inputs.shape)
    whole = classes.dtype.kind in "iufb" and np.all(classes == np.round(classes))
    if classes.shape != (len(inputs),) or not whole:
        checks.fail("data", f"a file with classes y ({len(inputs)},), whole numbers", classes)
    names, classes = np.unique(classes, return_inverse=True)
    if len(names) < 2:
        checks.fail("data", "a file of at least two classes", classes)
    return inputs, classes


def _digits() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError(
            "Data set 'digits' comes with scikit-learn, which is not installed: "
            "pip install 'random-feature-theory[data]'."
        ) from None
    digits = load_digits()
    return digits.images / 16.0, digits.target


def random_relu(inputs: np.ndarray, num_features: int, key: jax.Array) -> np.ndarray:
    """max(0, X G^T) (n, num_features), G_ij ~ N(0, 1): one random hidden layer, float64."""
    seed = np.asarray(jax.random.key_data(key)).ravel()
    weights = np.random.default_rng(seed).standard_normal((num_features, inputs.shape[1]))
    return np.maximum(inputs @ weights.T, 0.0)
