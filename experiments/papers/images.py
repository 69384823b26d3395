"""Real images as networks and kernels see them: normalized, pooled, with noise, their classes as outputs or merged."""

import numpy as np

from rfm import checks
from rfm.data import datasets, files


def load(data: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (n, ...) and classes (n,) of a named data set, or of a file, in an order that `seed` draws.

    Raises:
        ValueError: The name is neither that of a set nor of a file; and errors of `rfm.datasets.load` and
            `rfm.files.read`.
    """
    check_source("data", data)
    read = datasets.load if data in datasets.NAMES else files.read
    inputs, classes = read(data, target="class", flat=False)
    order = np.random.default_rng(seed).permutation(len(inputs))
    return inputs[order], classes[order]


def check_source(argument: str, data: str) -> None:
    """Raise ValueError for a name that is neither that of a data set nor, by its ending, of a file."""
    if data not in datasets.NAMES and not data.lower().endswith(files.ENDINGS):
        checks.fail(argument, f"one of {', '.join(datasets.NAMES)}, or a file ({', '.join(files.ENDINGS)})", data)


def flatten(inputs: np.ndarray) -> np.ndarray:
    """Return rows (n, d) of mean zero, scaled so that the mean of |x|^2/d is one."""
    x = inputs.reshape(len(inputs), -1)
    x = x - x.mean(0)
    return x / np.sqrt(np.mean(x**2))


def pool(images: np.ndarray, size: int) -> np.ndarray:
    """Return means over squares of size x size pixels, (n, h // size, w // size), of images (n, h, w)."""
    if images.ndim != 3 or min(images.shape[1:]) < size:
        checks.fail("images", f"of shape (n, h, w) with h and w at least {size}", images.shape)
    n, h, w = images.shape[0], images.shape[1] // size, images.shape[2] // size
    return images[:, : h * size, : w * size].reshape(n, h, size, w, size).mean((2, 4))


def outputs(classes: np.ndarray, groups: int | None = None) -> np.ndarray:
    """Return one-hot labels (n, K) less their means; `groups` merges classes into so many by class mod groups."""
    merged = classes if groups is None else classes % groups
    y = np.eye(merged.max() + 1)[merged]
    return y - y.mean(0)
