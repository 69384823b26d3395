"""Real data from a name or a file, pooled and merged; rows that take a file, and those that refuse it."""

import json
import sys

import numpy as np
import pytest

from experiments.cli import main
from experiments.papers import images
from experiments.papers import index as figures
from experiments.papers.row import SCALES
from rfm.data import datasets

RNG = np.random.default_rng(5)


@pytest.fixture
def file(tmp_path):
    """300 images of 4 x 6 pixels, three classes named 3, 5, 9: by which third is brightest."""
    classes = np.arange(300) % 3
    x = RNG.random((300, 4, 6))
    x[np.arange(300), :, 2 * classes] += 1.0
    np.savez(tmp_path / "images.npz", x=x, y=np.array([3, 5, 9])[classes])
    return tmp_path / "images.npz"


def test_file(file):
    shuffled, labels = images.load(str(file), 1)
    assert shuffled.shape == (300, 4, 6)
    assert not np.array_equal(labels, np.arange(300) % 3)
    np.testing.assert_array_equal(np.argmax(shuffled.mean(1)[:, ::2], axis=1), labels)  # rows keep their labels


def test_set():
    shuffled, labels = images.load("digits", 1)
    inputs, classes = datasets.load("digits", "class", flat=False)
    order = np.random.default_rng(1).permutation(1797)
    np.testing.assert_array_equal(shuffled, inputs[order])
    np.testing.assert_array_equal(labels, classes[order])


def test_pool_is_a_mean_over_squares():
    x = RNG.random((2, 5, 6))
    pooled = images.pool(x, 2)
    assert pooled.shape == (2, 2, 3)
    np.testing.assert_allclose(pooled[1, 1, 2], (x[1, 2, 4] + x[1, 2, 5] + x[1, 3, 4] + x[1, 3, 5]) / 4)
    np.testing.assert_array_equal(images.pool(x, 1), x)


def test_flatten_and_outputs():
    x = images.flatten(RNG.random((50, 3, 4)) * 7 + 2)
    np.testing.assert_allclose(x.mean(0), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.mean(x**2), 1.0)
    classes = np.array([0, 1, 2, 3, 3])
    np.testing.assert_allclose(images.outputs(classes), np.eye(4)[classes] - [0.2, 0.2, 0.2, 0.4])
    np.testing.assert_allclose(images.outputs(classes, 2), np.eye(2)[[0, 1, 0, 1, 1]] - [0.4, 0.6])


def test_what_holds_no_classes(tmp_path):
    with pytest.raises(ValueError, match=r"`data` must be one of digits, .* or a file"):
        images.load("imagenet", 0)
    with pytest.raises(FileNotFoundError, match=r"`file` must be a file that exists"):
        images.load(str(tmp_path / "none.npz"), 0)
    with pytest.raises(ValueError, match="`target` must be one of None, 'real' for 'patches'"):
        images.load("patches", 0)


def test_pool_of_what_is_no_image():
    with pytest.raises(ValueError, match="`images` must be of shape"):
        images.pool(np.ones((4, 9)), 2)


def test_figure_of_a_file(file, tmp_path, capsys):
    assert main(["figures", "S3-noise", "--size", "smoke", "--data", str(file), "--out", str(tmp_path)]) == 0
    assert "S3-noise:" in capsys.readouterr().out
    settings = json.loads((tmp_path / "S3-noise-quick.json").read_text())["settings"]
    assert settings["parameters"]["data"] == str(file)


def test_rows_without_data_refuse_a_file(file, tmp_path, capsys):
    assert main(["figures", "S3-noise", "S1-2a-c", "--data", str(file), "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "--data must be left out for S1-2a-c" in error
    assert not list(tmp_path.glob("S*"))


def test_missing_data_is_told_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert main(["figures", "S2-T2", "S3-noise", "--quick", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "pip install --upgrade scikit-learn" in error
    assert not list(tmp_path.iterdir())


def test_rows_name_real_data_only():
    """A row's `data` is what --data replaces and what is loaded before any work."""
    for row in map(figures.load, figures.ROW_MODULES):
        for size in SCALES:
            assert row.parameters(size).get("data", "digits") in datasets.NAMES, row.name
