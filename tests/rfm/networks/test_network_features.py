"""Features of trained networks: against explicit Jacobians, and that no row that trained one is counted as left."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draws import apply

from rfm.data import datasets
from rfm.networks import features as network_features
from rfm.networks import networks

RNG = np.random.default_rng(2)
INPUTS = 3.0 + RNG.standard_normal((40, 4))
LABELS = np.stack([INPUTS[:, 0], 5.0 - INPUTS[:, 1] * INPUTS[:, 2]], axis=1)
KEY = jax.random.key(1)
SMALL = dict(num_train=15, key=KEY, width=6, steps=30, batch_size=5)


@pytest.fixture(scope="module", params=[(1, "standard"), (2, "ntk")], ids=str)
def trained(request):
    depth, parametrization = request.param
    return network_features.fit(INPUTS, LABELS, depth=depth, parametrization=parametrization, **SMALL)


def gradients(trained):
    """df_k/d(all weights) (n, K, weights), by JAX and not by layers."""
    found = jax.jit(jax.jacrev(apply, 1))(trained.network, trained.params, trained.inputs(INPUTS))
    return np.concatenate([g.reshape(*g.shape[:2], -1) for g in found], axis=2)


def test_last_layer_times_last_weights_is_the_output(trained):
    features = network_features.last_layer(trained, INPUTS)
    assert features.shape == (40, 6)
    output = networks.apply(trained.network, trained.params, trained.inputs(INPUTS))
    np.testing.assert_allclose(trained.network.multiplier[-1] * features @ trained.params[-1], output, rtol=1e-12)


def test_tangent_kernel_is_that_of_explicit_gradients(trained):
    slopes = gradients(trained)
    expected = np.einsum("ikw,jkw->ij", slopes, slopes) / 2
    np.testing.assert_allclose(network_features.tangent_kernel(trained, INPUTS), expected, rtol=1e-11)


def test_gradients_are_those_of_finite_differences(trained):
    """The oracle's oracle: a step of 1e-6 along a random direction in all weights."""
    step = [1e-6 * RNG.standard_normal(w.shape) for w in trained.params]
    x = trained.inputs(INPUTS)
    up, down = (networks.apply(trained.network, [w + s * d for w, d in zip(trained.params, step, strict=True)], x)
                for s in (1, -1))  # fmt: skip
    flat = np.concatenate([d.ravel() for d in step])
    np.testing.assert_allclose(gradients(trained) @ flat, (up - down) / 2, rtol=1e-4, atol=1e-9)


def test_blocks_do_not_show(trained, monkeypatch):
    """Rows that fill blocks in part, and more than one of them."""
    made = [f(trained, INPUTS) for f in (network_features.last_layer, network_features.tangent_kernel)]
    made.append(network_features.tangent_features(trained, INPUTS, 9, KEY))
    monkeypatch.setattr(network_features, "ROW_BLOCK", 16)
    again = [f(trained, INPUTS) for f in (network_features.last_layer, network_features.tangent_kernel)]
    again.append(network_features.tangent_features(trained, INPUTS, 9, KEY))
    for one, other in zip(made, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_tangent_features_average_to_the_kernel(trained):
    """Within five standard errors of every entry; not of a kernel that is a tenth larger."""
    features = network_features.tangent_features(trained, INPUTS[:12], 40_000, KEY)
    kernel = network_features.tangent_kernel(trained, INPUTS[:12])
    products = features[:, None] * features[None]  # (12, 12, 40,000)
    error = products.std(2) * np.sqrt(features.shape[1])
    gap = np.abs(features @ features.T - kernel) / error
    assert gap.max() < 5.0
    assert np.max(np.abs(features @ features.T - 1.1 * kernel) / error) > 5.0


def test_rows_that_trained_are_told_apart(trained):
    assert len(trained.rows) == 15
    np.testing.assert_array_equal(np.sort(np.concatenate([trained.rows, trained.rest])), np.arange(40))


def test_other_rows_change_nothing():
    """Inputs and labels that did not train have no influence, not even by their means."""
    one = network_features.fit(INPUTS, LABELS, **SMALL)
    x, y = INPUTS.copy(), LABELS.copy()
    x[one.rest], y[one.rest] = 100.0, -100.0
    other = network_features.fit(x, y, **SMALL)
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_array_equal(one.mean, other.mean)
    for a, b in zip(one.params, other.params, strict=True):
        np.testing.assert_array_equal(a, b)


def test_precision_of_the_session_changes_no_draw():
    one = network_features.fit(INPUTS, LABELS, **SMALL)
    with jax.enable_x64(False):
        other = network_features.fit(INPUTS, LABELS, **SMALL)
        assert network_features.tangent_kernel(other, INPUTS).dtype == np.float64
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_allclose(one.params[0], other.params[0], rtol=1e-4, atol=1e-5)


def test_training_on_digits():
    """At the start a loss of one by the labels and another by the random outputs; all kinds of rows are learned."""
    inputs, labels = datasets.load("digits")
    trained = network_features.fit(inputs, labels, 500, KEY)
    assert 1.0 < trained.loss[0] < 4.0
    assert trained.loss[1] < 0.05
    output = networks.apply(trained.network, trained.params, trained.inputs(inputs[trained.rest]))
    wrong = np.mean(jnp.argmax(output, 1) != labels[trained.rest].argmax(1))
    assert wrong < 0.15  # of ten classes


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (dict(inputs=INPUTS[0]), "inputs"),
        (dict(inputs=INPUTS * np.nan), "inputs"),
        (dict(inputs=np.ones_like(INPUTS)), "inputs"),
        (dict(labels=LABELS[:-1]), "labels"),
        (dict(labels=np.ones(40)), "labels"),
        (dict(num_train=40), "num_train"),
        (dict(num_train=1), "num_train"),
        (dict(width=0), "width"),
        (dict(lr=1e30), "lr"),
        (dict(parametrization="xavier"), "parametrization"),
    ],
)
def test_wrong_input(change, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        network_features.fit(**(dict(inputs=INPUTS, labels=LABELS) | SMALL | change))


def test_wrong_inputs_of_a_trained_network(trained, monkeypatch):
    for make in (network_features.last_layer, network_features.tangent_kernel):
        with pytest.raises(ValueError, match=r"`inputs` must be of shape \(n, 4\)"):
            make(trained, INPUTS[:, :3])
    monkeypatch.setattr(network_features, "available_memory", lambda: 1_000)
    with pytest.raises(ValueError, match="`inputs` must be fewer rows"):
        network_features.tangent_kernel(trained, INPUTS)
