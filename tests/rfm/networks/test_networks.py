"""Networks: against plain numpy, parametrizations against each other, and wide ones against their tangent kernel."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rfm.networks import networks
from rfm.networks.networks import OPTIMIZERS, PARAMETRIZATIONS

KEY = jax.random.key(3)
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 5)), RNG.standard_normal((6, 2))
WEIGHT = np.array([0.3, 0.2, 0.1, 0.1, 0.1, 0.2])
SHAPES = [(5, 128, 2), (5, 128, 128, 2)]  # one and two hidden layers, twice as wide as `networks.BASE`
every_network = pytest.mark.parametrize("widths", SHAPES, ids=["one hidden", "two hidden"])
every_parametrization = pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)


def same(i):
    return X, Y, WEIGHT


def growing(i):
    return X * (1.0 + i), Y, WEIGHT


@partial(jax.jit, static_argnames=("optimizer", "sample"))  # parametrizations share one program
def trained(network, params, optimizer, lr, times, sample=same):
    steps = networks.rule(network, optimizer, lr)
    return networks.train(network, params, steps, sample, (X, Y, WEIGHT), times=times)


# ---- plain numpy


def numpy_forward(params, multipliers, x):
    """Pre-activations of all layers; the last is the output."""
    found = []
    for layer, (w, m) in enumerate(zip(params, multipliers, strict=True)):
        x = m * ((np.maximum(x, 0.0) if layer else x) @ w)
        found.append(x)
    return found


def numpy_gradient(params, multipliers, x, y, weight):
    """Backpropagation by hand."""
    u = numpy_forward(params, multipliers, x)
    back = 2.0 * weight[:, None] * (u[-1] - y)
    grads = []
    for layer in range(len(params) - 1, -1, -1):
        below = np.maximum(u[layer - 1], 0.0) if layer else x
        grads.insert(0, multipliers[layer] * below.T @ back)
        if layer:
            back = multipliers[layer] * (back @ params[layer].T) * (u[layer - 1] > 0)
    return grads


def numpy_rates(parametrization, widths, adaptive):
    """Of the table: width and fan-in are twice the base."""
    hidden = len(widths) - 3
    if parametrization != "mup":
        return [1.0] * (hidden + 2)
    return [1.0, *[0.5] * hidden, 0.5] if adaptive else [2.0, *[1.0] * hidden, 0.5]


@every_network
@every_parametrization
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_are_those_of_plain_numpy(widths, parametrization, optimizer):
    """Three steps on batches that change, float64, to rounding; records do not disturb them."""
    network = networks.build(widths, parametrization, optimizer)
    start = networks.init(network, KEY, jnp.float64)
    lr = 1e-3
    found, losses = trained(network, start, optimizer, lr, jnp.array([1, 3]), growing)

    params = [np.asarray(w) for w in start]
    fan = np.sqrt([1 / 5, *[2 / 128] * (len(widths) - 2)])
    multipliers = fan if parametrization == "ntk" else np.ones(len(fan))
    rates = numpy_rates(parametrization, widths, optimizer != "gd")
    first, second = ([np.zeros_like(w) for w in params] for _ in range(2))
    for i in range(3):
        grads = numpy_gradient(params, multipliers, X * (1.0 + i), Y, WEIGHT)
        for layer, g in enumerate(grads):
            first[layer] = 0.9 * first[layer] + 0.1 * g
            second[layer] = 0.999 * second[layer] + 0.001 * g**2
            step = {
                "gd": g,
                "sign-sgd": np.sign(g),
                "adam": first[layer] / (1 - 0.9 ** (i + 1)) / (np.sqrt(second[layer] / (1 - 0.999 ** (i + 1))) + 1e-8),
            }[optimizer]
            params[layer] = params[layer] - lr * rates[layer] * step
        if i in (0, 2):
            expected = WEIGHT @ ((numpy_forward(params, multipliers, X)[-1] - Y) ** 2).sum(1)
            np.testing.assert_allclose(losses[0 if i == 0 else 1], expected, rtol=1e-6)
    for a, b, c in zip(found, params, start, strict=True):
        np.testing.assert_allclose(a - c, b - c, rtol=1e-5, atol=1e-9)
        assert np.max(np.abs(b - c)) > 1e-5


# ---- parametrizations


@every_network
def test_standard_and_ntk_are_one_function_at_the_start(widths):
    one, other = (networks.build(widths, p) for p in ("standard", "ntk"))
    f, g = (networks.apply(n, networks.init(n, KEY, jnp.float64), X) for n in (one, other))
    np.testing.assert_allclose(f, g, rtol=1e-12)
    assert np.abs(f).max() > 0.1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_mup_is_standard_at_the_base_width(optimizer):
    one, other = (networks.build((5, networks.BASE, networks.BASE, 2), p, optimizer) for p in ("standard", "mup"))
    for name in ("scale", "multiplier", "rate"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_ntk_trains_as_standard_with_rates_of_the_layers():
    """W = s V: a step lr in V is a step s^2 lr in W."""
    ntk, standard = (networks.build(SHAPES[0], p) for p in ("ntk", "standard"))
    standard = dataclasses.replace(standard, rate=np.square(ntk.multiplier))
    one, other = (
        trained(n, networks.init(n, KEY, jnp.float64), "gd", 0.05, jnp.array([10]))[1] for n in (ntk, standard)
    )
    np.testing.assert_allclose(one, other, rtol=1e-10)


@partial(jax.jit, static_argnames=("optimizer",))
def first_change(network, optimizer):
    """Root mean square change of the output in the first step towards labels Y from the start, mean over 8 draws."""

    def change(key):
        params = networks.init(network, key, jnp.float64)
        start = networks.apply(network, params, X)
        batch = (X, start + Y, WEIGHT)
        steps = networks.rule(network, optimizer, 1e-6)
        after, _ = networks.train(network, params, steps, lambda _: batch, batch, times=jnp.array([1]))
        return jnp.sqrt(jnp.mean((networks.apply(network, after, X) - start) ** 2))

    return jnp.mean(jax.lax.map(change, jax.random.split(KEY, 8)))


@pytest.mark.parametrize(
    ("parametrization", "optimizer", "power"),
    [("standard", "gd", 1.0), ("ntk", "gd", 0.0), ("mup", "gd", 0.0), ("standard", "sign-sgd", 1.0),
     ("ntk", "sign-sgd", 0.5), ("mup", "sign-sgd", 0.0)],
)  # fmt: skip
def test_change_in_one_step_against_width(parametrization, optimizer, power):
    """The power of n by which one step changes the outputs: what makes the clock of each parametrization."""
    small, large = (first_change(networks.build((5, n, 2), parametrization, optimizer), optimizer) for n in (512, 4096))
    assert np.log(large / small) / np.log(8) == pytest.approx(power, abs=0.08)


# ---- infinite width


def test_kernels_are_averages_over_networks():
    """Covariance of outputs and of gradients over 400 draws, five standard errors of every entry."""
    network = networks.build((5, 64, 1), "ntk")

    def both(key):
        params = networks.init(network, key, jnp.float64)
        f = networks.apply(network, params, X)[:, 0]
        slopes = jax.jacobian(lambda p: networks.apply(network, p, X)[:, 0])(params)
        rows = jnp.concatenate([g.reshape(len(X), -1) for g in slopes], axis=1)
        return jnp.outer(f, f), rows @ rows.T

    for samples, expected in zip(jax.jit(jax.vmap(both))(jax.random.split(KEY, 400)), networks.kernels(X), strict=True):
        error = samples.std(0) / 20.0
        assert np.max(np.abs(samples.mean(0) - expected) / error) < 5.0
        assert np.max(np.abs(samples.mean(0) - 1.5 * expected) / error) > 5.0


def test_lazy_is_kernel_gradient_descent():
    """Against its steps one by one; the last two rows are not trained on."""
    kernel, weight = networks.kernels(X)[1], np.array([0.4, 0.3, 0.2, 0.1, 0.0, 0.0])
    f = np.zeros_like(Y)
    for _ in range(40):
        f = f - 0.2 * 2.0 * kernel @ (weight[:, None] * (f - Y))
    np.testing.assert_allclose(networks.lazy(kernel, Y, weight, 0.2, 40), f, rtol=1e-10)


def test_wide_networks_approach_the_kernel_as_one_over_width():
    """Mean square distance of the trained output to that of infinite width: four times the width, a quarter."""
    limit = networks.lazy(networks.kernels(X)[1], Y, WEIGHT, 0.1, 20)

    def distance(n):
        network = networks.build((5, n, 2), "ntk")

        def one(key):
            params = networks.init(network, key, jnp.float64)
            start = networks.apply(network, params, X)
            batch = (X, Y + start, WEIGHT)
            steps = networks.rule(network, "gd", 0.1)
            params, _ = networks.train(network, params, steps, lambda _: batch, batch, times=jnp.array([20]))
            return jnp.mean((networks.apply(network, params, X) - start - limit) ** 2)

        return float(jnp.mean(jax.jit(jax.vmap(one))(jax.random.split(KEY, 64))))

    narrow, wide = distance(128), distance(512)
    assert wide < 0.01 * np.mean(limit**2)
    assert narrow / wide == pytest.approx(4.0, rel=0.3)


# ---- wrong input


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(((5, 2),), "widths"), (((5, 8, 4, 2),), "widths"), (((5, 0, 2),), "widths"),
     (((5, 8, 2), "xavier"), "parametrization"), (((5, 8, 2), "ntk", "lion"), "optimizer")],
)  # fmt: skip
def test_wrong_input(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        networks.build(*arguments)
