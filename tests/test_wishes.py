"""Wishes of a first hour in Python: each works, or is refused in words that say what to do instead."""

import doctest
import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rfm
import theory
from rfm.data.labels import encode

PROBLEM = rfm.power_law(1.8, 1.5, 60, noise_var=0.1)
ARGS = dict(num_features=8, num_samples=16, optimizer=rfm.GradientFlow(), times=[1.0, 10.0])


@pytest.fixture(scope="module")
def drawn():
    return rfm.simulate(PROBLEM, **ARGS, seeds=16)


@pytest.fixture(scope="module")
def predicted():
    return theory.predict(PROBLEM, **ARGS)


def test_own_spectrum_in_any_order_with_zeros():
    with pytest.warns(UserWarning, match="1 of 3 eigenvalues are zero and left out"):
        problem = rfm.from_spectrum([0.0, 0.5, 1.0], target_power=[0.0, 0.2, 0.8])
    assert problem.spectrum()[0].tolist() == [1.0, 0.5]
    assert np.isfinite(theory.predict(problem, **ARGS).risk).all()


def test_all_modes_of_a_problem():
    assert len(rfm.power_law(1.8, 1.5, 5000).spectrum()[0]) == 5000


def test_how_much_of_a_mode_is_learned():
    """On average by theory; of one draw from its weights and a feature law of one's own, so that F is known."""
    share = theory.learned(PROBLEM, **ARGS, modes=[1, 10])
    assert share.shape == (2, 2)
    assert 0 < share[0, 1] < share[0, 0] < share[1, 0] < 1
    f = np.random.default_rng(5).standard_normal((8, 60))
    curve = rfm.simulate(PROBLEM, **ARGS, seeds=2, features=lambda key, shape: f, return_weights=True)
    learned = curve.weights @ f / np.sqrt(8) / PROBLEM.target
    risk = (1.0 - learned) ** 2 @ (PROBLEM.eigenvalues * PROBLEM.target**2)
    np.testing.assert_allclose(risk, curve.risk, rtol=1e-9)


def test_weights_of_a_draw_and_a_run_continued(drawn):
    first = rfm.simulate(PROBLEM, **ARGS, seeds=16, return_weights=True)
    again = rfm.simulate(PROBLEM, **ARGS | {"times": [9.0]}, seeds=16, initial_weights=first.weights[:, 0])
    np.testing.assert_allclose(again.risk[:, 0], drawn.risk[:, 1], rtol=1e-9)


def test_own_feature_law():
    law = lambda key, shape: jax.random.laplace(key, shape) / np.sqrt(2.0)  # noqa: E731
    assert np.isfinite(rfm.simulate(PROBLEM, **ARGS, seeds=2, features=law).risk).all()


def test_minibatch_adam():
    adam = rfm.Optax(optax.adam(0.01), batch_size=4)
    assert np.isfinite(rfm.simulate(PROBLEM, **ARGS | {"optimizer": adam, "times": [1, 10]}, seeds=2).risk).all()


def test_a_device(drawn):
    np.testing.assert_allclose(rfm.simulate(PROBLEM, **ARGS, seeds=16, device="cpu").risk, drawn.risk, rtol=1e-9)


def test_single_precision(drawn):
    single = rfm.simulate(PROBLEM, **ARGS, seeds=16, dtype="float32").risk
    assert 0 < np.abs(single / drawn.risk - 1).max() < 1e-3


def test_test_loss_and_other_losses(drawn):
    np.testing.assert_allclose(drawn.test_loss, drawn.risk + 0.1)
    for name in ("loss", "accuracy", "classification_error"):
        with pytest.raises(ValueError, match="'risk', 'train_loss', 'test_loss'"):
            drawn.mean(name)


@pytest.mark.parametrize("made", ["drawn", "predicted"])
def test_curves_are_data(made, request, tmp_path):
    curve = request.getfixturevalue(made)
    assert len(repr(curve)) < 300
    assert curve._repr_html_().startswith("<table>")
    curve.save(tmp_path / "curve.npz")
    assert rfm.Curve.load(tmp_path / "curve.npz") == curve
    assert len(curve.plot().get_lines()) >= 1
    assert len(curve.to_dataframe()) == curve.risk.size
    assert curve.to_xarray().risk.shape == curve.risk.shape


def test_selection_by_value():
    args = dict(num_samples=16, optimizer=rfm.Ridge(0.1))
    swept = theory.sweep(PROBLEM, {"num_features": [8, 16]}, **args)
    one = theory.predict(PROBLEM, num_features=8, **args)
    np.testing.assert_allclose(swept.sel(num_features=8).risk, one.risk, rtol=1e-9)


def test_quantiles_over_draws(drawn):
    low, high = drawn.interval(share=0.5)
    assert np.all((low < drawn.risk.max(0)) & (high > drawn.risk.min(0)) & (low < high))


def test_the_standard_error_of_one_draw():
    one = rfm.simulate(PROBLEM, **ARGS, keys=jax.random.key(0))
    with pytest.warns(RuntimeWarning, match="One draw has no standard error .nan.: give two keys or more"):
        assert np.isnan(one.stderr()).all()


def test_arithmetic_of_curves(drawn, predicted):
    with pytest.raises(TypeError, match=r"one.mean\(\) - other.mean\(\)"):
        _ = drawn - predicted


def test_times_are_no_loss(drawn):
    with pytest.raises(ValueError, match="`name` must be one of 'risk'"):
        drawn.mean("times")


@pytest.mark.parametrize("sizes", [[8, 16], (8, 16), np.array([8, 16]), range(8, 10), jnp.array([8, 16])], ids=str)
@pytest.mark.parametrize("call", [theory.predict, rfm.simulate, theory.decompose])
def test_several_sizes(call, sizes):
    for name in ("num_features", "num_samples"):
        given = {**ARGS, name: sizes} | ({"seeds": 2} if call is rfm.simulate else {})
        with pytest.raises(ValueError, match=f"`{name}` must be one number .for several: theory.sweep or rfm.sweep"):
            call(PROBLEM, **given)


@pytest.mark.parametrize("call", [theory.predict, rfm.simulate])
def test_ridge_has_no_times_and_optax_is_wrapped(call):
    seeds = {"seeds": 2} if call is rfm.simulate else {}
    for optimizer, message in (
        (rfm.Ridge(0.1), "`times` must be left out for Ridge"),
        (optax.adam(0.1), r"`optimizer` must be wrapped in rfm.Optax\(...\)"),
    ):
        with pytest.raises(ValueError, match=message):
            call(PROBLEM, **ARGS | {"optimizer": optimizer}, **seeds)
    with pytest.raises(ValueError, match="`times` must be given, the times at which training is looked at"):
        call(PROBLEM, **ARGS | {"times": None}, **seeds)


def test_every_public_name_has_an_example_and_types():
    for package in (rfm, theory):
        for name in package.__all__:
            thing = getattr(package, name)
            assert doctest.DocTestParser().get_examples(thing.__doc__), name
            if inspect.isfunction(thing):
                assert all(x.annotation is not x.empty for x in inspect.signature(thing).parameters.values()), name


def test_integer_labels_are_asked_about():
    """As numbers, with a warning that names the cure; as classes, without one."""
    rows = np.random.default_rng(0).standard_normal((60, 5))
    labels = np.arange(60) % 4
    with pytest.warns(
        UserWarning, match=r"taken as numbers; for classes give rfm.data.labels.encode.labels, 'one-hot'"
    ):
        rfm.from_features(rows, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rfm.from_features(rows, encode(labels, "one-hot")).num_outputs == 4
        rfm.from_features(rows, labels.astype(float))
