"""DANA: second moments in plain numpy, SGD and heavy ball as special cases, draws, training, samples used again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rfm
import theory

PROBLEM = rfm.power_law(1.8, 1.4, 200, 0.05)
STEPS = np.array([0, 1, 2, 7, 40, 200])
KEYS = jax.random.split(jax.random.key(5), 128)
INF = np.inf


def predict(optimizer, num_features=48, num_samples=INF):
    sizes = dict(num_features=num_features, num_samples=num_samples)
    return theory.predict(PROBLEM, **sizes, optimizer=optimizer, times=STEPS)


def followed(numbers, size, average):
    """Risk of the weights and of their average at N = infinity: three second moments a mode, in plain numpy."""
    z, weight = np.arange(1.0, 201) ** -1.4, np.arange(1.0, 201) ** -0.4
    moments = np.zeros((200, 3, 3))  # of weights, sum of gradients and average
    moments[:, ::2, ::2] = weight[:, None, None]
    risks = []
    for step in range(STEPS[-1] + 1):
        risks.append([z @ moments[:, 0, 0], z @ moments[:, 2, 2]])
        lr, push, forgotten = numbers(step)
        a = np.zeros((200, 3, 3))
        a[:, 0, 0], a[:, 0, 1] = 1 - (lr + push) * z, -push * (1 - forgotten)
        a[:, 1, 0], a[:, 1, 1] = z, 1 - forgotten
        a[:, 2] = (1 - average) * a[:, 0] + [0, 0, average]
        n = np.array([-(lr + push), 1.0, -(1 - average) * (lr + push)])
        noise = (z**2 * moments[:, 0, 0] + z * (risks[-1][0] + 0.05)) / size
        moments = a @ moments @ a.swapaxes(1, 2) + np.outer(n, n) * noise[:, None, None]
    return np.array(risks)[STEPS].T


NUMBERS = {
    "constant": (rfm.DANA.constant(0.25, 64, 4, 0.98), lambda t: (0.25, 0.25 / 64, 8 / (8 + t))),
    "decay": (rfm.DANA.decay(0.2, 1.4, 4, 0.9), lambda t: (0.2, 0.2 * (1 + t) ** (-1 / 1.4), 8 / (8 + t))),
    "fixed memory": (rfm.DANA(0.05, lambda t: 0.05, 0.02, 50, 0.5), lambda t: (0.05, 0.05, 0.02)),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_second_moments(name):
    optimizer, numbers = NUMBERS[name]
    curve = predict(optimizer, INF)
    assert curve.converged
    risk, average = followed(numbers, optimizer.batch_size, optimizer.average)
    np.testing.assert_allclose(curve.risk, risk, rtol=1e-11)
    np.testing.assert_allclose(curve.average_risk, average, rtol=1e-11)


@pytest.mark.parametrize("num_samples", [INF, 40])
def test_special_cases(num_samples):
    """Nothing kept: SGD; nothing but what is kept: heavy ball, whose learning rate is that of the memory."""
    for left, right in (
        (rfm.DANA(0.1, 0.1, 1.0, 4, 0.9), rfm.SGD(0.2, 4, average=0.9)),
        (rfm.DANA(lambda t: 0.0, 0.05, 0.2, 4), rfm.SGD(0.05, 4, 0.8)),
    ):
        one, other = predict(left, 48, num_samples), predict(right, 48, num_samples)
        np.testing.assert_allclose(one.risk, other.risk, rtol=1e-9)
        np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=1e-9)
    fixed = [predict(type(x)(*n, 10, order="fixed"), 48, 40).risk for x, n in (
        (left, (lambda t: 0.0, 0.05, 0.2)), (right, (0.05,)))] if num_samples < INF else []  # fmt: skip
    assert not fixed or not np.allclose(*fixed, rtol=1e-3)  # momentum is seen


def test_trained_by_hand():
    """Full batches of the simulator against a loop over polynomials of the curvature, taken from gradient descent."""
    args = dict(num_features=10, num_samples=12, keys=KEYS[:2], return_weights=True, times=[1, 2, 3, 4])
    descent = rfm.simulate(PROBLEM, **args, optimizer=rfm.SGD(0.2, 12)).weights
    optimizer = rfm.DANA(0.2, lambda t: 0.1 / (1.0 + t), lambda t: 4.0 / (4.0 + t), 12)
    curve = rfm.simulate(PROBLEM, **args, optimizer=optimizer)
    x = np.polynomial.Polynomial([0.0, 1.0])  # weights are polynomials of the curvature times the gradient at zero
    powers = np.array([[0.2 * sum((1 - 0.2 * x) ** u for u in range(t))] for t in range(1, 5)]).ravel()
    powers = np.array([np.pad(p.coef, (0, 4 - len(p.coef))) for p in powers])
    v = y = 0.0 * x
    for step in range(4):
        g = x * v - 1.0
        y = (1 - 4.0 / (4.0 + step)) * y + g
        v = v - 0.2 * g - 0.1 / (1.0 + step) * y
        shares = np.linalg.solve(powers.T, np.pad(v.coef, (0, 4 - len(v.coef))))
        np.testing.assert_allclose(curve.weights[:, step], np.einsum("t,stn->sn", shares, descent), rtol=1e-9)


@pytest.mark.parametrize(("optimizer", "samples"), [
    # the same numbers change, so that one program trains both
    (rfm.DANA(0.2, lambda t: 0.05, lambda t: 8 / (8 + t), 16, 0.9), INF), (rfm.DANA.decay(0.15, 1.4, 16, 0.9), INF),
    (rfm.DANA(0.2, 0.05, 0.05, 8), 48),
], ids=["memory", "decay", "samples used again"])  # fmt: skip
def test_training_is_as_predicted(optimizer, samples):
    """Within four standard errors and 3/N; SGD at the same learning rate is refused."""
    args = dict(num_features=48, num_samples=samples, optimizer=optimizer, times=STEPS)
    expected, drawn = theory.predict(PROBLEM, **args), rfm.simulate(PROBLEM, **args, keys=KEYS)
    for name in ["risk", "train_loss"] + ["average_risk"] * (optimizer.average is not None):
        gap = abs(drawn.mean(name) / getattr(expected, name) - 1.0)
        assert np.all(gap < 4.0 * drawn.stderr(name) / getattr(expected, name) + 3.0 / 48), name
    wrong = theory.predict(PROBLEM, **args | dict(optimizer=rfm.SGD(optimizer.lr, optimizer.batch_size)))
    assert np.any(abs(drawn.mean() - wrong.risk) > 4.0 * drawn.stderr() + 3.0 / 48 * wrong.risk)


@pytest.mark.slow
def test_traced():
    """Under jit, vmap and grad, in every number."""

    def last(lr, push):
        return theory.predict(
            PROBLEM, num_features=48, num_samples=INF, optimizer=rfm.DANA(lr, push, 0.1, 4), times=[20]
        ).risk[-1]

    both = jax.jit(jax.vmap(last, (0, None)))(jnp.array([0.1, 0.2]), 0.01)
    np.testing.assert_allclose(both, [float(last(x, 0.01)) for x in (0.1, 0.2)], rtol=1e-9)
    slope = jax.jit(jax.grad(last, 1))(0.1, 0.01)
    np.testing.assert_allclose(slope, (last(0.1, 0.0101) - last(0.1, 0.0099)) / 2e-4, rtol=1e-4)


def test_noise_that_grows_is_refused():
    """Batches of one and a memory far beyond 2 lr/N; and what has no theory."""
    with pytest.raises(ValueError, match="`momentum_lr` must be smaller: the noise"):
        predict(rfm.DANA(0.25, 0.25, 0.01, 1))
    args = dict(num_features=8, num_samples=INF, optimizer=rfm.DANA.constant(0.1, 8), times=[1])
    for call, more, name in ((theory.predict, {"ensemble": 2}, "ensemble"), (theory.decompose, {}, "optimizer")):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            call(PROBLEM, **args, **more)
