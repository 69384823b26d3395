"""Rows of unequal size: theory against mean-field matrices, drawn rows and the simulator; sizes from leverages."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.linalg import inv

import rfm
import theory
from rfm.data.from_data import estimate_features
from rfm.data.row_sizes import estimate_row_sizes
from rfm.problem import ScaleMixture

WEIGHTS = np.array([0.3, 0.3, 0.2, 0.2])
SIZES = np.array([0.1, 0.5, 1.0, 2.5]) / (WEIGHTS @ [0.1, 0.5, 1.0, 2.5])
NOISE = SIZES**-0.7 / (WEIGHTS @ SIZES**-0.7)
MIXTURE = ScaleMixture(SIZES, NOISE, WEIGHTS)
EQUAL = rfm.power_law(1.8, 1.3, 200, 0.1)
PROBLEM = dataclasses.replace(EQUAL, mixture=MIXTURE)
FLOW = rfm.GradientFlow()


def mean_field(num_features, num_samples, lr, steps, rounds=60):
    """Risk and training loss of gradient descent, (steps + 1,), by time-domain matrices of which every kind of row has
    its own response: R_j = (1 + tau_j S Theta R3/P)^-1, C_j = R_j (tau_j C0 + sigma_j^2) R_j^T."""
    # notation:
    lam, w2, var = PROBLEM.eigenvalues, PROBLEM.target**2, float(PROBLEM.noise_var) * NOISE
    n, one = np.eye(steps + 1), np.ones((steps + 1, steps + 1))
    theta = lr * np.tril(one, -1)
    r1, r3 = n, n
    for _ in range(rounds):
        s = np.tensordot(lam, inv(n + lam[:, None, None] * (theta @ r3 @ r1)), 1)
        kinds = inv(n + SIZES[:, None, None] * (s @ theta @ r3) / num_samples)  # (J, T, T)
        r1 = np.tensordot(WEIGHTS * SIZES, kinds, 1)
        r3 = inv(n + r1 @ s @ theta / num_features)
    h = inv(n + lam[:, None, None] * (theta @ r3 @ r1))
    v = n - lam[:, None, None] * (r1 @ h @ theta @ r3)
    c0 = c3 = 0 * one
    for _ in range(rounds):
        x = w2[:, None, None] * one + theta @ c3 @ theta.T / num_features
        seen = kinds @ (SIZES[:, None, None] * c0 + var[:, None, None] * one) @ kinds.swapaxes(1, 2)
        c1 = np.tensordot(WEIGHTS * SIZES, seen, 1)
        push = theta @ r3 @ c1 @ r3.T @ theta.T / num_samples
        c0 = np.tensordot(lam, h @ (x + lam[:, None, None] * push) @ h.swapaxes(1, 2), 1)
        spread = np.tensordot(lam / num_samples, v @ c1 @ v.swapaxes(1, 2), 1)
        learned = np.tensordot(lam**2, r1 @ h @ x @ h.swapaxes(1, 2) @ r1.T, 1)
        c3 = r3 @ (spread + learned) @ r3.T
    return np.diag(c0), WEIGHTS @ np.diagonal(seen, axis1=1, axis2=2)


@pytest.mark.parametrize(("num_features", "num_samples"), [(30, 60), (60, 30), (25, 25)])
def test_theory_is_the_mean_field_of_every_kind_of_row(num_features, num_samples):
    risk, train_loss = mean_field(num_features, num_samples, 0.4, 24)
    sizes = dict(num_features=num_features, num_samples=num_samples)
    found = theory.predict(PROBLEM, optimizer=rfm.GradientDescent(0.4), times=np.arange(25), **sizes)
    assert found.converged
    np.testing.assert_allclose(found.risk, risk, rtol=1e-9)
    np.testing.assert_allclose(found.train_loss, train_loss, rtol=1e-9)
    assert np.max(np.abs(theory.predict(EQUAL, optimizer=rfm.GradientDescent(0.4), times=[24], **sizes).risk
                         / risk[24] - 1)) > 0.03  # fmt: skip


@pytest.mark.parametrize("ridge", [1e-3, 0.0])
@pytest.mark.parametrize("num_samples", [40, 160])
def test_ridge_regression_on_drawn_rows(num_samples, ridge):
    """N infinite, in plain numpy; the deterministic equivalent is off by 1/P, so P and 4 P give its rate."""
    rng = np.random.default_rng(0)
    lam, w = PROBLEM.eigenvalues, PROBLEM.target
    risk, train = [], []
    for _ in range(400 if num_samples == 40 else 120):
        kind = rng.choice(4, num_samples, p=WEIGHTS)
        x = rng.standard_normal((num_samples, 200)) * np.sqrt(lam * SIZES[kind, None])
        y = x @ w + np.sqrt(0.1 * NOISE[kind]) * rng.standard_normal(num_samples)
        u = x.T @ np.linalg.solve(x @ x.T / num_samples + ridge * np.eye(num_samples), y) / num_samples
        risk.append(lam @ (u - w) ** 2)
        train.append(np.mean((y - x @ u) ** 2))
    found = theory.predict(PROBLEM, num_features=np.inf, num_samples=num_samples, optimizer=rfm.Ridge(ridge))
    for samples, value in ((risk, found.risk[0]), (train, found.train_loss[0])):
        stderr = np.std(samples, ddof=1) / np.sqrt(len(samples))
        assert abs(np.mean(samples) - value) < 4 * stderr + 1.5 / num_samples * value + 1e-20


@pytest.mark.parametrize(("num_features", "num_samples"), [(60, 120), (np.inf, 100)])
def test_simulator_draws_such_rows(num_features, num_samples):
    sizes = dict(num_features=num_features, num_samples=num_samples, times=rfm.log_times(1, 1e4, 8))
    found = theory.predict(PROBLEM, optimizer=FLOW, **sizes)
    drawn = rfm.exact(PROBLEM, optimizer=FLOW, keys=jax.random.split(jax.random.key(1), 80), **sizes)
    stderr = drawn.risk.std(0, ddof=1) / np.sqrt(80)
    smaller = min(num_features, num_samples)
    assert np.all(np.abs(drawn.risk.mean(0) - found.risk) < 4 * stderr + 1.5 / smaller * found.risk)


def test_equal_sizes_are_the_problem_without():
    same = ScaleMixture(np.ones(3), np.ones(3), np.full(3, 1 / 3))
    for optimizer, times in ((FLOW, rfm.log_times(0.1, 1e6, 20)), (rfm.Ridge(1e-4), None), (rfm.Ridge(0.0), None)):
        for n, p in ((30, 60), (80, 40), (np.inf, 50), (50, np.inf), (400, 300), (300, 400)):
            sizes = dict(num_features=n, num_samples=p, optimizer=optimizer, times=times)
            one, other = (
                theory.predict(problem, **sizes) for problem in (EQUAL, dataclasses.replace(EQUAL, mixture=same))
            )
            np.testing.assert_allclose(one.risk, other.risk, rtol=1e-8, atol=1e-13)
            np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=1e-8, atol=1e-13)
            assert other.converged


def test_more_rows_than_modes_and_the_edge():
    """Ridgeless with P > M is unbiased: risk is noise alone, weighted least squares by hand on average."""
    rng, problem = np.random.default_rng(1), dataclasses.replace(rfm.white(30, 0.5), mixture=MIXTURE)
    found = theory.predict(problem, num_features=np.inf, num_samples=120, optimizer=rfm.Ridge(0.0))
    risk, top = [], []
    for _ in range(300):
        kind = rng.choice(4, 120, p=WEIGHTS)
        x = rng.standard_normal((120, 30)) * np.sqrt(SIZES[kind, None])
        risk.append(np.sum((np.linalg.pinv(x) @ (np.sqrt(0.5 * NOISE[kind]) * rng.standard_normal(120))) ** 2))
        top.append(np.linalg.norm(x, 2) ** 2 / 120)
    stderr = np.std(risk, ddof=1) / np.sqrt(300)
    assert abs(np.mean(risk) - found.risk[0]) < 4 * stderr + 1.5 / 120 * found.risk[0]
    edge = theory.largest_curvature(problem, num_features=np.inf, num_samples=120)
    assert 0.9 * edge < np.mean(top) < edge
    assert edge > 1.1 * theory.largest_curvature(rfm.white(30), num_features=np.inf, num_samples=120)


STATIC, LATE = dict(optimizer=rfm.Ridge(1e-3)), dict(optimizer=FLOW, times=np.array([30.0]))


@pytest.mark.parametrize("how", [STATIC, pytest.param(LATE, marks=pytest.mark.slow)])
def test_gradients_and_vmap_go_through(how):
    def risk(num_samples):
        return theory.predict(PROBLEM, num_features=50, num_samples=num_samples, **how).risk[0]

    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(risk)))(jnp.array([20.0, 40.0, 80.0]))
    np.testing.assert_allclose(slopes[1], (risk(40.004) - risk(39.996)) / 0.008, rtol=1e-6)
    np.testing.assert_allclose(values[1], risk(40.0), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ScaleMixture([1.0, -1.0], [1.0, 1.0], [0.5, 0.5]), "`sizes` must be positive"),
        (lambda: ScaleMixture([1.0, 2.0], [1.0, 1.0], [0.5, 0.5]), "`sizes` must be numbers >= 0 of weighted mean one"),
        (lambda: ScaleMixture([1.0, 1.0], [1.0, 3.0], [0.5, 0.5]), "`noise` must be"),
        (lambda: ScaleMixture([1.0, 1.0], [1.0, 1.0], [0.5, 0.6]), "`weights` must be numbers >= 0 that sum to one"),
        (lambda: ScaleMixture([1.0, 1.0], [1.0], [0.5, 0.5]), "`noise` must be of the shape of sizes"),
        (
            lambda: theory.predict(
                PROBLEM, num_features=9, num_samples=np.inf, optimizer=rfm.SGD(0.1, 2), times=np.arange(3)
            ),
            "`optimizer` must be a full-batch algorithm for rows of unequal size",
        ),
        (
            lambda: rfm.simulate(
                PROBLEM, num_features=9, num_samples=np.inf, optimizer=rfm.SGD(0.1, 2), times=np.arange(3),
                keys=jax.random.split(jax.random.key(0), 2),
            ),
            "`num_samples` must be finite for SGD on rows of unequal size",
        ),
    ],
)  # fmt: skip
def test_bad_input(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def drawn(n, d, power, seed=0, scatter=0.6):
    """Rows of log-normal size, labels of which the noise goes with size^power, and sizes."""
    rng = np.random.default_rng(seed)
    tau = np.exp(scatter * rng.standard_normal(n) - scatter**2 / 2)
    lam = np.arange(1.0, d + 1) ** -1.2
    x = rng.standard_normal((n, d)) * np.sqrt(lam * tau[:, None])
    noise = tau**power / np.exp(0.18 * power * (power - 1))
    return x, x[:, 0] + np.sqrt(0.3 * noise) * rng.standard_normal(n), tau


def found_sizes(x, y):
    values, basis = np.linalg.eigh(x.T @ x / len(x))
    values, rows = values[::-1], x @ basis[:, ::-1]
    return estimate_row_sizes(rows, y[:, None], values, rows.T @ y[:, None] / len(x) / values[:, None], size=len(x))


@pytest.mark.parametrize("power", [-0.8, 0.0, 1.0])
def test_sizes_and_their_noise_are_told_from_leverages(power):
    x, y, tau = drawn(2000, 300, power)
    found = found_sizes(x, y)
    order = np.array([part.mean() for part in np.array_split(np.sort(tau), 16)])
    np.testing.assert_allclose(found.sizes, order / order.mean(), rtol=0.12)
    slope = np.polyfit(np.log(found.sizes), np.log(found.noise), 1)[0]
    assert abs(slope - power) < 0.2


@pytest.mark.parametrize("d", [100, 900])
def test_means_and_streams_change_nothing(d):
    """Rows in memory, moments of rows and kernels, of features and labels with means."""
    x, y, _ = drawn(600, d, -0.8)
    told = [rfm.from_features(x, y).mixture, estimate_features(x + 3.0, y + 100.0).problem.mixture]
    told += [estimate_features(x, y).problem.mixture]
    for mixture in told[1:]:
        np.testing.assert_allclose(mixture.sizes, told[0].sizes, rtol=1e-6)
        np.testing.assert_allclose(mixture.noise, told[0].noise, rtol=1e-6)
    assert told[0].noise[0] > 1.5 * told[0].noise[-1]
    fresh = rfm.from_features(x, y, noise_var=1e3)  # the same for all rows, beside what was found
    np.testing.assert_allclose(fresh.mixture.noise, 1.0, rtol=1e-2)
    np.testing.assert_allclose(fresh.mixture.sizes, told[0].sizes)


def test_equal_rows_have_no_sizes():
    assert [found_sizes(*drawn(n, 300, 0.0, seed, 0.0)[:2]) for n in (400, 2000) for seed in range(4)] == [None] * 8


def test_noise_of_unequal_rows_is_estimated():
    """Their sample spectrum misleads the estimate for equal rows; that of their sizes tells noise and risk."""
    told = []
    for seed in range(4):
        x, y, _ = drawn(600, 900, 0.0, seed)
        told.append(rfm.from_features(x, y))
    assert all(problem.mixture is not None for problem in told)
    noise = np.array([float(problem.noise_var) for problem in told])
    assert abs(noise.mean() - 0.3) < 4 * noise.std(ddof=1) / 2 + 0.01
