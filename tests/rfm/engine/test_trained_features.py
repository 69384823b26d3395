"""Features that are trained: the whole network in plain numpy, draw by draw, and what its equations conserve."""

import jax
import numpy as np
import optax
import pytest
from draws import draw, keys_of

import rfm
from rfm.engine.features import Setting
from rfm.engine.trained_features import flow_along
from rfm.engine.trained_layers import effective, untrained

KEYS = jax.random.split(jax.random.key(4), 3)
PROBLEM = rfm.power_law(1.5, 1.25, num_modes=40, noise_var=0.2)
RICHNESS = 2.0
STEPS = np.array([3.0, 40.0])
SIZES = {"more features": (12, 9), "more data": (9, 12), "all data": (9, np.inf)}


def moments(num_features, num_samples, key):
    """H and h of the draw of a seed: the gradient of the readout is H beta - h."""
    drawn = draw(PROBLEM, Setting(num_features, num_samples, "ntk"), keys_of(key))
    if drawn.design is None:
        return np.asarray(drawn.gram), np.asarray(drawn.labels)
    design, labels = np.asarray(drawn.design), np.asarray(drawn.labels)
    return design.T @ design / len(labels), design.T @ labels / len(labels)


class Network:
    """The network in plain numpy: readout and layer, and the gradient of each."""

    def __init__(self, curvature, moment, richness=RICHNESS):
        self.curvature, self.moment, self.richness = curvature, moment, richness
        self.state = np.zeros(len(moment)), np.eye(len(moment))

    def slope(self, state):
        theta, layer = state
        left = self.moment - self.curvature @ (layer.T @ theta)
        return layer @ left, self.richness * np.outer(theta, left)

    def descend(self, steps, lr, momentum=0.0, ahead=False, decay=0.0):
        now = before = self.state
        for _ in range(steps):
            moved = [x + momentum * (x - y) for x, y in zip(now, before, strict=True)]
            at = moved if ahead else now
            slopes = self.slope(at)
            rows = zip(moved, slopes, at, strict=True)
            now, before = tuple(x + lr * (g - decay * y) for x, g, y in rows), now
        return now

    def flow(self, time, steps):
        """Classical Runge-Kutta steps of order four."""
        state, lr = self.state, time / steps
        for _ in range(steps):
            k1 = self.slope(state)
            k2 = self.slope([x + lr / 2 * k for x, k in zip(state, k1, strict=True)])
            k3 = self.slope([x + lr / 2 * k for x, k in zip(state, k2, strict=True)])
            k4 = self.slope([x + lr * k for x, k in zip(state, k3, strict=True)])
            rows = zip(state, k1, k2, k3, k4, strict=True)
            state = tuple(x + lr / 6 * (a + 2 * b + 2 * c + d) for x, a, b, c, d in rows)
        return state


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_gradient_flow_is_the_network_followed_in_small_steps(sizes):
    times = np.array([0.0, 0.5, 20.0])
    curve = rfm.exact(
        PROBLEM, num_features=sizes[0], num_samples=sizes[1], optimizer=rfm.GradientFlow(), times=times,
        richness=RICHNESS, keys=KEYS, return_weights=True,
    )  # fmt: skip
    network = Network(*moments(*sizes, KEYS[1]))
    for i, steps in ((1, 400), (2, 4000)):
        theta, layer = network.flow(times[i], steps)
        np.testing.assert_allclose(curve.weights[1, i], layer.T @ theta, rtol=0, atol=1e-8)
        growth = 1.0 + RICHNESS * theta @ theta
        np.testing.assert_allclose(curve.kernel_growth[1, i], growth, rtol=1e-8)
        # W W^T - gamma theta theta^T = 1 is conserved, and the kernel is 1 + gamma beta beta^T/m
        np.testing.assert_allclose(layer @ layer.T, np.eye(len(theta)) + RICHNESS * np.outer(theta, theta), atol=1e-8)
        beta = layer.T @ theta
        kernel = np.eye(len(theta)) + RICHNESS * np.outer(beta, beta) / growth
        np.testing.assert_allclose(layer.T @ layer, kernel, atol=1e-8)
        wrong = Network(network.curvature, network.moment, 1.2 * RICHNESS).flow(times[i], steps // 10)
        assert np.abs(curve.weights[1, i] - wrong[1].T @ wrong[0]).max() > 1e-3
    np.testing.assert_array_equal(curve.kernel_growth[:, 0], 1.0)


ALGORITHMS = {
    "GradientDescent": (rfm.GradientDescent(0.05), dict(lr=0.05)),
    "GradientDescent with weight decay": (rfm.GradientDescent(0.05, 0.1), dict(lr=0.05, decay=0.1)),
    "HeavyBall": (rfm.HeavyBall(0.05, 0.6), dict(lr=0.05, momentum=0.6)),
    "Nesterov": (rfm.Nesterov(0.05, 0.6), dict(lr=0.05, momentum=0.6, ahead=True)),
}


@pytest.mark.parametrize(
    "name",  # one step a kind: the ball looks where it is, Nesterov ahead
    [pytest.param(name, marks=pytest.mark.slow if name == "HeavyBall" else ()) for name in ALGORITHMS],
)
def test_steps_are_those_of_the_network(name):
    """Taken on the draw, and solved in its eigenbasis, where P < N is the smaller system."""
    optimizer, numbers = ALGORITHMS[name]
    sizes = SIZES["more features"]
    args = dict(num_features=12, num_samples=9, optimizer=optimizer, times=STEPS, richness=RICHNESS, keys=KEYS)
    taken, solved = rfm.simulate(PROBLEM, **args, return_weights=True), rfm.exact(PROBLEM, **args, return_weights=True)
    theta, layer = Network(*moments(*sizes, KEYS[2])).descend(int(STEPS[1]), **numbers)
    for curve in (taken, solved):
        np.testing.assert_allclose(curve.weights[2, 1], layer.T @ theta, rtol=0, atol=1e-12)
        np.testing.assert_allclose(curve.kernel_growth[2, 1], 1.0 + RICHNESS * theta @ theta, rtol=1e-12)
    np.testing.assert_allclose(solved.risk, taken.risk, rtol=1e-11)
    np.testing.assert_allclose(solved.train_loss, taken.train_loss, rtol=1e-11)


@pytest.mark.slow
def test_algorithms_that_are_only_simulated():
    """optax sees readout and layer as two arrays; SGD of all rows is descent; batches come from the training set."""
    args = dict(num_features=12, num_samples=9, times=STEPS, richness=RICHNESS, keys=KEYS)
    descent = rfm.simulate(PROBLEM, **args, optimizer=rfm.GradientDescent(0.05))
    for same in (rfm.Optax(optax.sgd, {"learning_rate": 0.05}), rfm.SGD(0.05, 9)):
        curve = rfm.simulate(PROBLEM, **args, optimizer=same)
        np.testing.assert_allclose(curve.risk, descent.risk, rtol=1e-12)
        np.testing.assert_allclose(curve.kernel_growth, descent.kernel_growth, rtol=1e-12)
    # the norm of each array is its own: clipping by array is not clipping of all numbers together
    clipped = rfm.simulate(
        PROBLEM, **args, optimizer=rfm.Optax(optax.chain(optax.adaptive_grad_clip(0.1), optax.sgd(0.05)))
    )
    assert np.all(np.isfinite(clipped.risk))
    assert np.any(np.abs(clipped.risk / descent.risk - 1.0) > 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("num_samples", [np.inf, 40])
def test_small_steps_of_sgd_are_gradient_flow(num_samples):
    """One pass, with samples in the eigenbasis, and rows drawn anew: batches average out as lr/B goes to zero."""
    args = dict(num_features=8, num_samples=num_samples, richness=RICHNESS, keys=KEYS)
    lr, time = 0.01, 4.0
    flow = rfm.exact(PROBLEM, **args, optimizer=rfm.GradientFlow(), times=[time])
    curve = rfm.simulate(PROBLEM, **args, optimizer=rfm.SGD(lr, 20, average="polyak"), times=[time / lr])
    np.testing.assert_allclose(curve.risk, flow.risk, rtol=0.04)
    np.testing.assert_allclose(curve.kernel_growth, flow.kernel_growth, rtol=0.04)
    lazy = rfm.exact(PROBLEM, **args | {"richness": 0.0}, optimizer=rfm.GradientFlow(), times=[time])
    assert np.any(np.abs(lazy.risk / flow.risk - 1.0) > 0.1)  # it would be seen
    assert lazy.kernel_growth is None
    assert np.all(curve.average_risk != curve.risk)


def test_one_direction_has_a_closed_form():
    """t(rho) along one direction, u = rho w: the root of a quadratic in the conserved m."""
    w, richness, z = 1.3, 7.0, 0.8
    big = 4.0 * richness * w**2  # G
    rho = np.array([0.05, 0.5, 0.9, 0.999])
    root = np.sqrt(1.0 + big * rho**2)
    whole = np.sqrt(1.0 + big)
    times = np.log((1.0 + big * rho + whole * root) / ((1.0 - rho) * (1.0 + whole))) / (whole * z)
    response, growth = jax.jit(flow_along)(np.array([z]), np.array([(z * w) ** 2]), times, richness)
    np.testing.assert_allclose(response[:, 0] * z, rho, rtol=1e-8)
    np.testing.assert_allclose(growth, (1.0 + root) / 2.0, rtol=1e-8)


@pytest.mark.slow
def test_kernel_limit_is_solved_exactly():
    """Infinitely many features: small steps in the eigenbasis of the data, whose layer has no finite array."""
    args = dict(num_features=np.inf, num_samples=9, richness=RICHNESS, keys=KEYS)
    flow = rfm.exact(PROBLEM, **args, optimizer=rfm.GradientFlow(), times=[3.0])
    steps = rfm.exact(PROBLEM, **args, optimizer=rfm.GradientDescent(0.001), times=[3000])
    np.testing.assert_allclose(steps.risk, flow.risk, rtol=1e-3)
    with pytest.raises(ValueError, match=r"`num_features` must be finite for steps where features are trained"):
        rfm.simulate(PROBLEM, **args, optimizer=rfm.GradientDescent(0.1), times=[3])


def test_pairs_start_at_the_random_features():
    pair = untrained((2, 5))
    assert pair.shape == (2, 6, 5)
    assert not effective(pair).any()


def test_an_axis_of_a_sweep():
    """A point of a grid is trained as a call with its richness, and a store knows of it."""
    args = dict(num_features=8, num_samples=9, optimizer=rfm.GradientDescent(0.05), times=STEPS)
    swept = rfm.sweep(PROBLEM, {"richness": [0.0, RICHNESS]}, seeds=2, **args)
    for i, richness in enumerate((0.0, RICHNESS)):
        alone = rfm.simulate(PROBLEM, **args, richness=richness, keys=swept.keys_at(richness=richness))
        np.testing.assert_allclose(swept.risk[i], alone.risk, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "changed", "words"),
    [
        (rfm.simulate, {"optimizer": rfm.Ridge(0.1), "times": None}, "`richness` must be 0 for Ridge"),
        (
            rfm.exact,
            {"optimizer": rfm.SGD(0.1), "num_samples": np.inf},
            "`richness` must be 0 for an exact solution of SGD",
        ),
        (rfm.simulate, {"initial_weights": np.ones(8)}, "`initial_weights` must be left out"),
        (rfm.simulate, {"richness": -1.0}, "`richness` must be a finite number >= 0"),
    ],
)
def test_refusals(call, changed, words):
    args = dict(num_features=8, num_samples=9, optimizer=rfm.GradientDescent(0.1), times=[3], richness=1.0, keys=KEYS)
    with pytest.raises(ValueError, match=words):
        call(PROBLEM, **args | changed)
