"""Rung 3: the gap between simulation and theory falls as 1/N when N and P grow together, N from 100 to 800.

The scatter of one draw is of order N^-1/2 and would need a million draws at N = 800. Its leading part is linear in
the fluctuations of F^T F and Psi^T Psi, whose mean is known to vanish: subtracted draw by draw, it leaves a
scatter of order 1/N, the size of the gap itself.
"""

from functools import partial

import jax
import numpy as np
import pytest

import rfm
import theory
from rfm.engine.features import Setting, data_chunk, feature_chunk, member_keys

A, B, MODES, LR, STEPS, SEEDS = 2.5, 1.5, 60, 0.25, 4, 1200
SIZES = np.array([100, 200, 400, 800])  # N; P = 2 N


@partial(jax.jit, static_argnums=1)
def curvatures(problem, setting, keys):
    """F^T F and Psi^T Psi / P of the simulator's own draws, each (S, M, M)."""

    def one(model):
        f, _, _ = feature_chunk(problem, setting, model.features, 0)
        psi, _ = data_chunk(problem, setting, model.data, 0)
        return f.T @ f, psi.T @ psi / setting.num_samples

    return jax.lax.map(one, member_keys(keys, 1, 1))


def risks(num_features, seeds):
    """Risk (S,) after STEPS steps taken one by one, without noise, and its linear part, of mean zero."""
    problem = rfm.power_law(A, B, MODES)
    lam, w = problem.eigenvalues, problem.target
    keys = jax.random.split(jax.random.key(num_features), seeds)
    setting = Setting(num_features, 2 * num_features, "ntk")
    gram, covariance = (np.asarray(x) for x in curvatures(problem, setting, keys))
    delta = np.tile(w, (seeds, 1))  # (S, M)
    for _ in range(STEPS):
        delta = delta - LR * (gram @ (covariance @ delta[..., None]))[..., 0]
    # first order in dFF = FF - 1 and dC = C - Lambda:
    # Delta_1 = -lr sum_j (1 - lr Lambda)^(t-1-j) (dFF Lambda + dC) (1 - lr Lambda)^j w
    left = 1 - LR * lam
    path = sum(np.outer(left ** (STEPS - 1 - j), left**j) for j in range(STEPS))  # (M, M)
    weight = -2 * LR * (lam * left**STEPS * w)[:, None] * path * w
    change = (gram - np.eye(MODES)) * lam + covariance - np.diag(lam)
    return (delta**2) @ lam, np.einsum("kl,skl->s", weight, change)


@pytest.fixture(scope="module")
def draws():
    return {n: risks(int(n), SEEDS) for n in SIZES}


def predicted(num_features, a=A):
    sizes = dict(num_features=num_features, num_samples=2 * num_features)
    curve = theory.predict(rfm.power_law(a, B, MODES), **sizes, optimizer=rfm.GradientDescent(LR), times=[STEPS])
    return curve.risk[0]


def slope_of_gap(draws, a=A):
    """Weighted fit of log |gap| against log N, and its standard error."""
    corrected = [risk - linear for risk, linear in draws.values()]
    gaps = np.array([x.mean() - predicted(n, a) for n, x in zip(draws, corrected, strict=True)])
    errors = np.array([x.std(ddof=1) / np.sqrt(len(x)) for x in corrected])
    weight = (gaps / errors) ** 2
    x, y = np.log(SIZES), np.log(np.abs(gaps))
    x = x - np.average(x, weights=weight)
    spread = np.sum(weight * x**2)
    return np.sum(weight * x * y) / spread, 1 / np.sqrt(spread), gaps / errors


def test_gap_falls_as_one_over_n(draws):
    slope, error, significance = slope_of_gap(draws)
    assert np.all(np.abs(significance) > 8)  # the gap is measured, not noise
    assert error < 0.06
    assert abs(slope + 1) < 3 * error


def test_gap_to_a_wrong_exponent_does_not_fall(draws):
    """Negative control: a off by one percent leaves a gap of order one."""
    slope, error, _ = slope_of_gap(draws, a=A + 0.025)
    assert abs(slope + 1) > 10 * error
    assert slope > -0.6


def test_linear_part_has_mean_zero_and_carries_the_scatter(draws):
    """Subtracting it moves no mean and removes most of the variance, more of it at larger N."""
    gain = []
    for risk, linear in draws.values():
        assert abs(linear.mean()) < 4 * linear.std() / np.sqrt(len(linear))
        gain.append(np.std(risk) / np.std(risk - linear))
    assert gain[0] > 4
    assert np.all(np.diff(gain) > 0)


def test_these_steps_are_those_of_the_simulator():
    """The same keys through `simulate`."""
    n, seeds = 100, 5
    keys = jax.random.split(jax.random.key(n), seeds)
    sizes = dict(num_features=n, num_samples=2 * n, optimizer=rfm.GradientDescent(LR))
    curve = rfm.simulate(rfm.power_law(A, B, MODES), **sizes, times=[STEPS], keys=keys)
    np.testing.assert_allclose(curve.risk[:, 0], risks(n, seeds)[0], rtol=1e-11)
