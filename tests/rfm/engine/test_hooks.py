"""Weights of a draw, runs that are continued, feature laws as functions, minibatches of optax, devices, seeds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tolerances import ROUNDING

import rfm

PROBLEM = rfm.power_law(1.8, 1.5, 60, noise_var=0.1)
KEYS = jax.random.split(jax.random.key(1), 2)
STEPS = [1, 4, 9]
SIZES = [(7, 12), (12, 7), (7, jnp.inf), (jnp.inf, 7)]
RUN = dict(num_features=7, num_samples=12, times=STEPS, optimizer=rfm.GradientDescent(0.3))


def continued(call, args):
    """A run in one go, and in two parts."""
    times = args["times"]
    whole = call(PROBLEM, **args, return_weights=True)
    first = call(PROBLEM, **args | {"times": times[:2]}, return_weights=True)
    rest = [times[2] - times[1]]
    second = call(PROBLEM, **args | {"times": rest}, initial_weights=first.weights[:, -1], return_weights=True)
    return whole, first, second


CALLS = {
    "flow": (rfm.simulate, rfm.GradientFlow()),
    "exact": (rfm.exact, rfm.GradientDescent(0.3)),
    "decay": (rfm.simulate, rfm.GradientDescent(0.3, weight_decay=0.02)),
    "optax": (rfm.simulate, rfm.Optax(optax.sgd(0.3))),  # whose steps are those of features: they are finitely many
}
CONTINUED = [(name, sizes) for name in CALLS for sizes in SIZES if name != "optax" or np.isfinite(sizes[0])]


@pytest.mark.parametrize(
    ("name", "sizes"),
    [  # every size by the flow, and every call at one size
        pytest.param(*case, marks=() if case[0] == "flow" or case[1] == SIZES[0] else pytest.mark.slow)
        for case in CONTINUED
    ],
    ids=str,
)
def test_a_run_is_continued(name, sizes):
    """From the weights at a time, the same draw goes on as if it had not stopped: to rounding."""
    call, optimizer = CALLS[name]
    n, p = sizes
    args = dict(num_features=n, num_samples=p, optimizer=optimizer, times=STEPS, keys=KEYS)
    whole, first, second = continued(call, args)
    assert whole.weights.shape == (2, 3, int(min(n, 12) if n != jnp.inf else p))
    np.testing.assert_allclose(first.weights, whole.weights[:, :2], rtol=1e-12, atol=ROUNDING)
    for field in ("risk", "train_loss", "weights"):
        np.testing.assert_allclose(
            getattr(second, field)[:, -1], getattr(whole, field)[:, -1], rtol=1e-12, atol=ROUNDING
        )


def test_weights_are_those_of_the_risk():
    """Risk of returned weights from the features themselves, drawn as rows of a fixed matrix."""
    law = lambda key, shape: jnp.cos(jnp.arange(shape[0])[:, None] + 2.0 * jnp.arange(shape[1])[None])  # noqa: E731
    curve = rfm.simulate(PROBLEM, **RUN | {"features": law}, keys=KEYS, return_weights=True)
    f = np.cos(np.arange(7)[:, None] + 2.0 * np.arange(60)) / np.sqrt(7)
    risk = (PROBLEM.target - curve.weights @ f) ** 2 @ PROBLEM.eigenvalues
    np.testing.assert_allclose(risk, curve.risk, rtol=1e-12)


@pytest.mark.parametrize("call", [rfm.simulate, rfm.exact])
def test_one_pass_from_given_weights(call):
    """Before the first step risk is that of the given weights, for one pass of SGD too; more steps go on from there."""
    args = dict(num_features=7, num_samples=jnp.inf, optimizer=rfm.SGD(0.1, 4), keys=KEYS)
    start = rfm.simulate(PROBLEM, **args, times=[0, 50], return_weights=True).weights
    again = call(PROBLEM, **args, times=[0, 1], initial_weights=start[:, 1])
    known = rfm.simulate(PROBLEM, **args | {"optimizer": rfm.GradientFlow()}, times=[0.0], initial_weights=start[:, 1])
    np.testing.assert_allclose(again.risk[:, 0], known.risk[:, 0], rtol=1e-9)


def test_batches_are_drawn_anew():
    """A run that goes on does not see the samples of its beginning once more."""
    args = dict(num_features=7, num_samples=jnp.inf, optimizer=rfm.SGD(0.1, 4), keys=KEYS, times=[1])
    moves = []
    for start in (np.zeros(7), np.full(7, 1e-12)):
        weights = rfm.simulate(PROBLEM, **args, initial_weights=start, return_weights=True).weights
        moves.append(weights[:, 0] - start)
    assert np.all(np.abs(moves[0] - moves[1]).max(1) > 1e-3)


def test_shapes_of_given_weights():
    """One for all seeds, one a seed, one a seed and output are the same where they are equal."""
    start = np.linspace(-1.0, 1.0, 7)
    curves = [
        rfm.simulate(PROBLEM, **RUN, keys=KEYS, initial_weights=np.broadcast_to(start, shape))
        for shape in ((7,), (2, 7), (2, 1, 7))
    ]
    for curve in curves[1:]:
        np.testing.assert_array_equal(curve.risk, curves[0].risk)
    rows = np.random.default_rng(0).standard_normal((40, 6))
    real = rfm.from_features(rows, rows[:, :3])
    args = dict(num_features=4, num_samples=20, optimizer=rfm.GradientFlow(), keys=KEYS)
    whole = rfm.simulate(real, **args, times=[1.0, 3.0], return_weights=True)
    assert whole.weights.shape == (2, 3, 2, 4)
    rest = rfm.simulate(real, **args, times=[2.0], initial_weights=whole.weights[:, :, 0])
    np.testing.assert_allclose(rest.risk[:, 0], whole.risk[:, 1], rtol=1e-12)


def test_a_law_of_features_as_a_function():
    """The same numbers as by name; both calls of gradient flow are one program."""
    law = functools.partial(jax.random.rademacher, dtype=float)
    flow = RUN | {"optimizer": rfm.GradientFlow()}
    for call in (rfm.simulate, rfm.exact):
        mine, known = (call(PROBLEM, **flow | {"features": x}, keys=KEYS) for x in (law, "rademacher"))
        np.testing.assert_allclose(mine.risk, known.risk, rtol=1e-12)
    args = {x: RUN[x] for x in RUN if x != "num_features"}
    swept = rfm.sweep(PROBLEM, {"num_features": [7]}, KEYS, features=law, **args)
    assert np.isfinite(swept.risk).all()


def test_a_nameless_law_is_not_stored(tmp_path):
    args = {x: RUN[x] for x in RUN if x != "num_features"}
    with pytest.raises(ValueError, match="Argument `features` must be a name in a stored sweep, or a function with a"):
        rfm.sweep(
            PROBLEM, {"num_features": [7]}, KEYS, features=lambda key, shape: jnp.ones(shape), out=tmp_path, **args
        )


@pytest.mark.slow
def test_minibatches_of_optax():
    """With a plain step they are those of SGD; another size is another run; a sweep over sizes knows them."""
    sgd = rfm.simulate(PROBLEM, **RUN | {"optimizer": rfm.SGD(0.3, 4)}, keys=KEYS)
    mine = rfm.simulate(PROBLEM, **RUN | {"optimizer": rfm.Optax(optax.sgd(0.3), batch_size=4)}, keys=KEYS)
    whole = rfm.simulate(PROBLEM, **RUN | {"optimizer": rfm.Optax(optax.sgd(0.3))}, keys=KEYS)
    np.testing.assert_allclose(mine.risk, sgd.risk, rtol=1e-12)
    assert np.all(np.abs(whole.risk / mine.risk - 1.0).max(1) > 1e-3)
    adam = rfm.Optax(optax.adam, {"learning_rate": 0.01}, batch_size=4)
    swept = rfm.sweep(
        PROBLEM, {"batch_size": [4, 8]}, KEYS, num_features=7, num_samples=12, optimizer=adam, times=STEPS
    )
    alone = rfm.simulate(PROBLEM, **RUN | {"optimizer": adam}, keys=swept.keys_at(batch_size=4))
    np.testing.assert_allclose(swept.risk[0], alone.risk, rtol=1e-9)


def test_seeds_in_place_of_keys():
    """Seeds are keys that are split from key 0, everywhere; a single key is one draw."""
    keys = jax.random.split(jax.random.key(0), 2)
    flow = RUN | {"optimizer": rfm.GradientFlow()}  # of which both calls are one program
    for call in (rfm.simulate, rfm.exact):
        np.testing.assert_array_equal(call(PROBLEM, **flow, seeds=2).risk, call(PROBLEM, **flow, keys=keys).risk)
        assert call(PROBLEM, **flow, keys=keys[1]).risk.shape == (1, 3)
    np.testing.assert_allclose(rfm.simulate(PROBLEM, **flow, keys=keys[1]).risk[0],
                               rfm.simulate(PROBLEM, **flow, keys=keys).risk[1], rtol=1e-12)  # fmt: skip
    args = {x: RUN[x] for x in RUN if x != "num_features"}
    mine, known = (
        rfm.sweep(PROBLEM, {"num_features": [7]}, **given, **args) for given in (dict(seeds=2), dict(keys=keys))
    )
    np.testing.assert_array_equal(mine.risk, known.risk)


def test_a_device_is_chosen():
    """By platform or as JAX gives it; the default stays what it was."""
    default = jax.config.jax_default_device
    known = rfm.simulate(PROBLEM, **RUN, keys=KEYS)
    for device in ("cpu", jax.devices("cpu")[0]):
        np.testing.assert_allclose(rfm.simulate(PROBLEM, **RUN, keys=KEYS, device=device).risk, known.risk, rtol=1e-9)
    args = {x: RUN[x] for x in RUN if x != "num_features"}
    swept = [rfm.sweep(PROBLEM, {"num_features": [7]}, KEYS, device=device, **args) for device in (None, "cpu")]
    np.testing.assert_allclose(swept[1].risk, swept[0].risk, rtol=1e-9)
    with pytest.raises(ValueError, match="`device` must be one that JAX has here"):
        rfm.sweep(PROBLEM, {"num_features": [7]}, KEYS, device="abacus", **args)
    assert jax.config.jax_default_device is default


@pytest.mark.parametrize(
    "optimizer",
    [  # the flow is solved as the ridge is, from an eigensystem
        rfm.GradientFlow(), rfm.GradientDescent(0.3),
        *(pytest.param(x, marks=pytest.mark.slow) for x in (rfm.SGD(0.1, 4), rfm.Ridge(0.1))),
    ],
)  # fmt: skip
def test_single_precision(optimizer):
    """The same draws to some digits, and not to more: arithmetic truly is float32; results are float64."""
    args = RUN | {"optimizer": optimizer, "times": None if isinstance(optimizer, rfm.Ridge) else STEPS}
    known, mine = (rfm.simulate(PROBLEM, **args, keys=KEYS, dtype=dtype) for dtype in ("float64", "float32"))
    assert mine.risk.dtype == np.float64
    error = np.abs(mine.risk / known.risk - 1.0).max()
    assert 1e-9 < error < 1e-4
    assert jax.config.jax_enable_x64


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(initial_weights=np.ones(5)), r"`initial_weights` .* of shape \(7,\) or \(2, 7\) or \(2, 1, 7\)"),
        (dict(initial_weights=np.full(7, np.nan)), "`initial_weights` must be finite"),
        (dict(initial_weights="zero"), "`initial_weights` must be numeric"),
        (dict(initial_weights=np.ones(7), optimizer=rfm.Ridge(1.0), times=None), "`initial_weights` must be left out"),
        (dict(initial_weights=np.ones(7), ensemble=2), "`ensemble` must be 1, and bags 1"),
        (dict(return_weights=True, bags=2), "`ensemble` must be 1, and bags 1"),
        (dict(return_weights="yes"), "`return_weights` must be True or False"),
        (dict(features=lambda key: key), "`features` must be a function .key, shape. -> array .*TypeError"),
        (dict(features=lambda key, shape: jnp.ones(3)), r"`features` must be .* \(it returns \(3,\) for \(7, 60\)\)"),
        (dict(optimizer=rfm.Optax(optax.sgd(0.1), batch_size=13)), "`batch_size` must be a finite integer, at most"),
        (dict(optimizer=rfm.Optax(optax.sgd(0.1), batch_size=2), num_samples=jnp.inf), "`num_samples` must be fin"),
        (dict(dtype="float16"), "`dtype` must be one of 'float64', 'float32', but is 'float16'"),
        (dict(device="abacus"), "`device` must be one that JAX has here, 'cpu'"),
        (dict(device=0), "`device` must be one that JAX has here"),
        (dict(seeds=0), "`seeds` must be an integer >= 1"),
        (dict(seeds=10**7), "`seeds` must be at most 1,000,000"),
        (dict(seeds=2, keys=KEYS), "`keys` must be left out where `seeds` is given"),
        (dict(), "`keys` must be given, as jax.random.split.jax.random.key.0., 16., or seeds=16 in its place"),
    ],
)  # fmt: skip
def test_refused(given, message):
    given = given if given in ({}, dict(seeds=2, keys=KEYS)) or "seeds" in given else {"keys": KEYS, **given}
    with pytest.raises(ValueError, match=f"Argument {message}"):
        rfm.simulate(PROBLEM, **{**RUN, **given})


def test_what_the_exact_solution_refuses():
    with pytest.raises(ValueError, match="`weight_decay` must be 0 for an exact solution from initial_weights"):
        rfm.exact(PROBLEM, **RUN | {"optimizer": rfm.GradientDescent(0.1, 0.1)}, keys=KEYS, initial_weights=np.ones(7))
    args = RUN | {"optimizer": rfm.SGD(0.1, 2), "num_samples": jnp.inf}
    with pytest.raises(ValueError, match="`return_weights` must be False for SGD"):
        rfm.exact(PROBLEM, **args, keys=KEYS, return_weights=True)
    with pytest.raises(ValueError, match="Argument `batch_size` must be a number >= 1"):
        rfm.Optax(optax.sgd(0.1), batch_size=0)
