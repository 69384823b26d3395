"""What rows on features that are trained compute by themselves: budgets, unsquared penalty, sharpness, rates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rfm
import theory
from experiments.compare import best_sizes
from experiments.compare.best_sizes import lazy_clock
from experiments.papers.feature_learning import compute, sharpness, tuned_steps, weight_decay
from rfm.arguments import Arguments
from theory import exponents
from theory.evaluation import problem_modes
from theory.exponents.rich import COSTS
from theory.spectrum import COARSE_PANEL


def test_budgets_balance_two_power_laws():
    """Risk N^-(a-1) + t^-p has its minimum where both fall alike: exponents of all four ways of counting."""
    e = exponents.time_exponent(compute.A, compute.B)
    sizes, times = np.geomspace(4.0, 1e9, 97), np.geomspace(1e-3, 1e14, 193)
    for count in compute.COUNTS:
        p = e if count.richness == 0.0 or count.cost == "N tau" else exponents.rich_time_exponent(compute.A, compute.B)
        risk = sizes[:, None] ** (1.0 - compute.A) + times**-p
        # a clock that is not the time is told apart by its factor
        grid = best_sizes.Grid(sizes, times, risk, np.broadcast_to(7.0 * times, risk.shape))
        best = grid.best(count.cost, np.array([1e10, 1e11]))
        size, falls = np.log(best.size[1] / best.size[0]), -np.log(best.risk[1] / best.risk[0])
        np.testing.assert_allclose(np.array([size, falls]) / np.log(10.0), count.closed(), atol=2e-4)
        spent = best.compute / best.size ** COSTS[count.cost] / (7.0 if count.cost == "N tau" else 1.0)
        np.testing.assert_allclose(best.risk, best.size ** (1.0 - compute.A) + spent**-p, rtol=1e-5)  # of splines


def test_published_exponents_of_compute():
    rich = next(count for count in compute.COUNTS if count.richness and count.cost == "N t")
    e = exponents.time_exponent(compute.A, compute.B)
    total = 2.0 + compute.B * (1.0 + e)
    np.testing.assert_allclose(rich.closed(), (2.0 / total, 2.0 * e * compute.B / total))


def test_small_models_are_at_rest_past_the_reach_of_the_theory():
    """At N = 36 the contours end at t = 4e8 or so; clocks went backwards from there on."""
    grid = best_sizes.predicted(1.5, 1.25, np.array([36.0]), np.geomspace(1e-2, 1e9, 111), richness=1.0)
    assert np.all(np.diff(grid.tau) > 0.0)
    assert np.all(grid.risk[0, -20:] == pytest.approx(grid.risk[0, -40], rel=1e-5))


def test_clock_starts_before_its_first_time():
    times = np.geomspace(1e-4, 1e3, 121)
    np.testing.assert_allclose(lazy_clock(times, 1.0 + times**2), times + times**3 / 3.0, rtol=1e-4)


@pytest.fixture(scope="module")
def draw():
    """Curvature H and moment h of one large draw, by plain numpy, and its problem."""
    rng, (n, p) = np.random.default_rng(2), (150, 100)
    problem = rfm.power_law(1.5, 1.25, 200, 0.25)
    psi = rng.standard_normal((p, 200)) * np.sqrt(np.asarray(problem.eigenvalues))
    labels = psi @ np.asarray(problem.target) + 0.5 * rng.standard_normal(p)
    phi = psi @ rng.standard_normal((200, n)) / np.sqrt(n)
    return problem, (n, p), phi.T @ phi / p, phi.T @ labels / p


def test_norm_of_ridge_regression(draw):
    problem, sizes, curvature, moment = draw
    for ridge in (0.03, 0.3):
        weights = np.linalg.solve(curvature + ridge * np.eye(len(moment)), moment)
        assert abs(weight_decay.norm_of(problem, sizes, ridge) / np.linalg.norm(weights) - 1.0) < 0.12
    assert abs(np.sqrt(weight_decay.moment(problem, sizes)) / np.linalg.norm(moment) - 1.0) < 0.12


def test_unsquared_penalty_is_where_both_layers_come_to_rest(draw):
    """Gradient descent on both layers with weight decay, by numpy: at rest on the penalty of the unsquared norm."""
    _, _, curvature, moment = draw
    z, basis = np.linalg.eigh(curvature)
    z, c = z[-30:], (basis.T @ moment)[-30:]
    for decay, richness in ((0.1, 1.0), (0.2, 3.0), (5.0, 1.0)):
        theta, layer = np.zeros(30), np.eye(30)
        for _ in range(4000):
            left = c - z * (layer.T @ theta)
            steps = layer @ left - decay * theta, richness * np.outer(theta, left) - decay * layer
            theta, layer = theta + 0.05 * steps[0], layer + 0.05 * steps[1]
        weights = layer.T @ theta
        if decay > np.sqrt(richness) * np.linalg.norm(c):
            assert np.linalg.norm(weights) < 1e-12
            continue
        ridge = decay / np.sqrt(richness) / np.linalg.norm(weights)
        np.testing.assert_allclose(weights, c / (z + ridge), rtol=1e-5)


def test_penalised_weights_obey_their_equation(draw):
    """The norm is force over ridge; the risk is that of this ridge, and of no weights beyond the last force."""
    problem, sizes, *_ = draw
    risk, norm = weight_decay.penalised(problem, sizes, 0.2, 3.0)
    ridge = 0.2 / np.sqrt(3.0) / norm
    np.testing.assert_allclose(weight_decay.norm_of(problem, sizes, ridge), norm, rtol=1e-6)
    ended = theory.predict(problem, num_features=sizes[0], num_samples=sizes[1], optimizer=rfm.Ridge(ridge))
    np.testing.assert_allclose(risk, ended.risk[0], rtol=1e-9)
    nothing = float(np.sum(problem.eigenvalues * problem.target**2))
    assert weight_decay.penalised(problem, sizes, 10.0, 1.0) == (nothing, 0.0)


@pytest.mark.slow
def test_sharpness_is_that_of_the_hessian_kernel():
    """Largest eigenvalue of the kernel J J^T of the pair, whose rows are gradients of the outputs, by numpy."""
    problem, sizes, richness, lr = rfm.power_law(1.5, 1.25, 60, 0.1), (8, 6), 2.0, 0.1
    with jax.enable_x64(True):
        z, c = sharpness._draws(problem, sizes, jax.random.split(jax.random.key(0), 2))
        growth, sharp, _ = map(np.asarray, sharpness._descend(z, c, (np.float64(lr), np.float64(richness)), 12))
    for seed in range(2):
        theta, layer, root = np.zeros(6), np.eye(6), np.diag(np.sqrt(np.asarray(z[seed])))
        for step in range(12):
            readout = root @ layer.T  # outputs root W^T theta: derivatives by theta, and by W with its own rate
            inner = np.sqrt(richness) * np.einsum("i,kj->kij", theta, root).reshape(6, -1)
            kernel = readout @ readout.T + inner @ inner.T
            np.testing.assert_allclose(sharp[seed, step], np.linalg.eigvalsh(kernel)[-1], rtol=1e-10)
            np.testing.assert_allclose(growth[seed, step], 1.0 + richness * theta @ theta, rtol=1e-12)
            left = np.asarray(c[seed]) - np.asarray(z[seed]) * (layer.T @ theta)
            theta, layer = theta + lr * layer @ left, layer + lr * richness * np.outer(theta, left)


@pytest.mark.slow
def test_best_rates_beat_their_neighbours():
    """Far from the edge of stability the risk is that of `theory.predict`."""
    problem = rfm.power_law(1.5, 1.25, None)
    with jax.enable_x64(True):
        modes = jax.tree.map(jnp.asarray, problem_modes(problem, tuned_steps.DEPTH, panel=COARSE_PANEL))
        rates, risks = tuned_steps.best_rates(modes, (8, 24), 1.0, 5)
        near = np.asarray(tuned_steps._risks(modes, rates[1] * jnp.array([0.8, 1.25, 0.5]), jnp.float64(1.0), 24))
    assert np.all(near > risks[1])
    assert rates[1] < rates[0]  # the kernel grows on the way
    descent = rfm.GradientDescent(0.5 * rates[1])
    args = Arguments(num_features=np.inf, num_samples=np.inf, optimizer=descent, times=[24])
    np.testing.assert_allclose(near[2], theory.predict(problem, **args | {"richness": 1.0}).risk[0], rtol=1e-6)
