"""A target on one mode is the error of that mode, and ends where the response of the features says."""

import jax
import numpy as np
import pytest

import rfm
from experiments.papers.bordelon2024.formulas import one_mode, response

PROBLEM = rfm.power_law(1.5, 1.25, 600)


def test_risk_of_a_target_on_one_mode_is_its_own_error_at_twice_the_time():
    """By hand, with features drawn here: Delta(t) = exp(-F^T F Lambda t) w."""
    k, t, n = 3, 2.0, 20
    alone = one_mode(PROBLEM, k)
    lam, w = (np.asarray(x) for x in alone.modes(0, 600))
    assert np.count_nonzero(w) == 1
    features = np.random.default_rng(0).standard_normal((n, 600)) / np.sqrt(n)
    values, basis = np.linalg.eigh((np.sqrt(lam)[:, None] * features.T) @ (features * np.sqrt(lam)))

    def delta(t):
        return (basis * np.exp(-values * t)) @ (basis.T @ (np.sqrt(lam) * w)) / np.sqrt(lam)

    assert lam @ delta(0.0) ** 2 == pytest.approx(1.0)
    assert lam @ delta(t) ** 2 == pytest.approx(delta(2 * t)[k - 1] / w[k - 1], rel=1e-10)


def test_plateau_is_that_of_trained_models():
    k, n = 2, 64
    lam, _ = PROBLEM.modes(0, 600)
    keys = jax.random.split(jax.random.key(0), 64)
    risk = rfm.simulate(
        one_mode(PROBLEM, k), num_features=n, num_samples=np.inf, optimizer=rfm.Ridge(0.0), keys=keys
    ).risk[:, 0]
    expected = 1.0 / (1.0 + lam[k - 1] * response(np.asarray(lam), n))
    error = risk.std(ddof=1) / 8
    assert error < 0.1 * expected
    assert abs(risk.mean() - expected) < 3.0 * error + 4.0 / n * expected


def test_response_solves_its_equation():
    lam = np.arange(1.0, 600.0) ** -1.25
    r = response(lam, 37.0)
    assert np.sum(lam * r / (1.0 + lam * r)) == pytest.approx(37.0)
