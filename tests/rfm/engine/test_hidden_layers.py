"""A Gaussian layer between features and readout, and a trained layer that is kept as the vectors of its steps."""

import jax
import numpy as np
import pytest
from draws import draw, keys_of

import rfm
from rfm.engine import trained_layers
from rfm.engine.features import Setting
from rfm.engine.trained_layers import join, part, start_pairs

PROBLEM = rfm.power_law(1.5, 1.25, num_modes=40, noise_var=0.2)
KEYS = jax.random.split(jax.random.key(4), 2)
ARGS = dict(num_features=9, num_samples=12, optimizer=rfm.GradientDescent(0.05), times=[3, 40], keys=KEYS)
RICHNESS = 2.0


@pytest.mark.parametrize("width", [4, pytest.param(21, marks=pytest.mark.slow)])
def test_steps_are_those_of_the_network(width):
    """Narrower and wider than the features, in plain numpy from the same layer; another layer is another network."""
    setting = Setting(9, 12, "ntk", hidden=width)
    keys = keys_of(KEYS[1])
    drawn = draw(PROBLEM, setting, keys)
    design, labels = np.asarray(drawn.design), np.asarray(drawn.labels)
    start = jax.jit(lambda keys: part(start_pairs(np.zeros((1, 9)), setting, keys)))
    theta, layer = (np.asarray(x[0]) for x in start(keys.features[None]))
    assert abs(layer.var() * width - 1.0) < 0.3
    curve = rfm.simulate(PROBLEM, **ARGS, richness=RICHNESS, hidden=width, return_weights=True)
    for _ in range(40):
        left = design.T @ (labels - design @ layer.T @ theta) / 12
        theta, layer = theta + 0.05 * layer @ left, layer + 0.05 * RICHNESS * np.outer(theta, left)
    np.testing.assert_allclose(curve.weights[1, 1], layer.T @ theta, rtol=0, atol=1e-12)
    np.testing.assert_allclose(curve.kernel_growth[1, 1], 1.0 + RICHNESS * theta @ theta, rtol=1e-12)
    assert np.abs(curve.weights[0, 1] - layer.T @ theta).max() > 1e-2


def test_a_wide_layer_is_the_identity():
    """The gap to the identity shrinks as one over the width, draw by draw."""
    same = rfm.simulate(PROBLEM, **ARGS, richness=RICHNESS)
    narrow, wide = (rfm.simulate(PROBLEM, **ARGS, richness=RICHNESS, hidden=width).risk for width in (9, 9000))
    assert np.abs(wide / same.risk - 1.0).max() < 0.05
    assert np.abs(narrow / same.risk - 1.0).max() > 0.1


def test_parts_of_a_pair():
    for width in (1, 8, 9, 10, 18, 19):
        readout, layer = np.arange(float(width)), np.ones((width, 9))
        back = jax.jit(lambda *pair: part(join(*pair)))(readout, layer)
        np.testing.assert_array_equal(back[0], readout)
        np.testing.assert_array_equal(back[1], layer)


@pytest.mark.parametrize(
    ("optimizer", "num_samples"),
    [
        (rfm.GradientDescent(lambda step: 0.1 / (1.0 + 0.1 * step)), 12),
        pytest.param(rfm.SGD(lambda step: 0.05 + 0.001 * step, 4), 12, marks=pytest.mark.slow),
        pytest.param(rfm.SGD(0.05, 4), np.inf, marks=pytest.mark.slow),
    ],
    ids=["descent", "rows", "one pass"],
)
def test_few_steps_are_kept_in_place_of_the_layer(monkeypatch, optimizer, num_samples):
    args = dict(ARGS, num_features=64, num_samples=num_samples, optimizer=optimizer, times=[1, 7, 13])
    kept = rfm.simulate(PROBLEM, **args, richness=RICHNESS)
    monkeypatch.setattr(trained_layers, "FEW", np.inf)
    layers = rfm.simulate(PROBLEM, **args, richness=RICHNESS)
    for name in ("risk", "train_loss", "kernel_growth"):
        np.testing.assert_allclose(getattr(kept, name), getattr(layers, name), rtol=1e-11)


@pytest.mark.parametrize(
    ("call", "changed", "words"),
    [
        (rfm.simulate, {"hidden": 0}, "`hidden` must be 'identity', or the width"),
        (rfm.simulate, {"hidden": "wide"}, "`hidden` must be 'identity', or the width"),
        (rfm.simulate, {"hidden": 8, "optimizer": rfm.GradientFlow()}, "`hidden` must be 'identity' for GradientFlow"),
        (rfm.simulate, {"hidden": 8, "initial_weights": np.ones(9)}, "`initial_weights` must be left out"),
        (rfm.exact, {"hidden": 8}, "`hidden` must be 'identity' for an exact solution"),
    ],
)
def test_refusals(call, changed, words):
    with pytest.raises(ValueError, match=words):
        call(PROBLEM, **ARGS | changed)
