"""Early stopping: the best time against a dense search, and where there is nothing to gain."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from tolerances import ROUNDING

import rfm
import theory
from theory.minima import expand, least

FLOW = rfm.GradientFlow()
PROBLEM = rfm.power_law(1.8, 1.5, None, noise_var=0.5)
SIZES = dict(num_features=100, num_samples=200)


@pytest.mark.parametrize(
    "optimizer", [rfm.GradientDescent(0.3), pytest.param(rfm.HeavyBall(0.1, 0.8), marks=pytest.mark.slow)], ids=str
)
def test_best_step_against_all_steps(optimizer):
    found = theory.best_stopping(PROBLEM, **SIZES, optimizer=optimizer)
    every = theory.predict(PROBLEM, **SIZES, optimizer=optimizer, times=np.arange(400))
    assert found.gains
    np.testing.assert_allclose(found.risk, every.risk.min(), rtol=1e-12)
    assert found.time == np.argmin(every.risk)


def test_best_time_of_gradient_flow():
    """The slope vanishes there, and small steps of gradient descent find the same."""
    found = theory.best_stopping(PROBLEM, **SIZES, optimizer=rfm.GradientFlow())
    times = found.time * np.array([0.98, 1.0, 1.02])
    risk = theory.predict(PROBLEM, **SIZES, optimizer=rfm.GradientFlow(), times=times).risk
    assert risk[1] < risk[0]
    assert risk[1] < risk[2]
    steps = theory.best_stopping(PROBLEM, **SIZES, optimizer=rfm.GradientDescent(1e-3))
    np.testing.assert_allclose(1e-3 * steps.time, found.time, rtol=2e-3)
    np.testing.assert_allclose(steps.risk, found.risk, rtol=1e-6)


def test_nothing_to_gain():
    """Without noise and with fresh data longer is better; with nothing but noise not to train is."""
    clean = rfm.power_law(1.8, 1.5, None)
    longer = theory.best_stopping(clean, num_features=100, num_samples=np.inf, optimizer=rfm.GradientFlow())
    assert not longer.gains
    noisy = rfm.power_law(1.8, 1.5, None, noise_var=1e6)
    never = theory.best_stopping(noisy, num_features=100, num_samples=10, optimizer=rfm.GradientFlow())
    assert never.time == 0.0
    assert not never.gains


def test_wrong_input():
    with pytest.raises(ValueError, match="`optimizer` must be an algorithm that runs in time"):
        theory.best_stopping(PROBLEM, **SIZES, optimizer=rfm.Ridge(0.1))
    with pytest.raises(ValueError, match="`longest` must be"):
        theory.best_stopping(PROBLEM, **SIZES, optimizer=rfm.GradientFlow(), longest=0.5)


@pytest.mark.parametrize("sizes", [SIZES, dict(num_features=200, num_samples=200)], ids=str)
def test_best_ridge(sizes):
    """The slope vanishes there; it beats every ridge of a dense grid, and at N = P the infinite end."""
    found = theory.best_ridge(PROBLEM, **sizes)

    def risk(ridge):
        return theory.predict(PROBLEM, **sizes, optimizer=rfm.Ridge(ridge)).risk[0]

    assert found.gains
    np.testing.assert_allclose(found.risk, risk(found.ridge), rtol=1e-12)
    assert found.risk < min(risk(0.97 * found.ridge), risk(1.03 * found.ridge))
    assert found.risk <= min(risk(ridge) for ridge in np.geomspace(1e-8, 1e2, 60))
    assert found.risk < 0.9 * risk(0.0)


def test_best_ridge_of_noise_over_signal():
    """White features, N = infinity: the best ridge is M sigma^2/(P |w|^2), and it scales with the eigenvalues."""
    white = rfm.white(50, noise_var=2.0)
    for factor in (1.0, 9.0):
        problem = rfm.Problem(factor * white.eigenvalues, white.target, white.noise_var)
        found = theory.best_ridge(problem, num_features=np.inf, num_samples=80)
        np.testing.assert_allclose(found.ridge, 50 * 2.0 / 80 / 50, rtol=1e-3)


def test_no_ridge_without_noise():
    """Fewer modes than samples, and nothing to average away; with nothing but noise the largest ridge."""
    found = theory.best_ridge(rfm.white(50), num_features=np.inf, num_samples=80)
    assert found.ridge == 0.0
    assert not found.gains
    noisy = theory.best_ridge(rfm.white(50, noise_var=1e9), num_features=np.inf, num_samples=80)
    assert not noisy.gains
    with pytest.raises(ValueError, match="`num_samples` must be"):
        theory.best_ridge(PROBLEM, num_features=10, num_samples=0)


def test_best_ridge_beside_trace_and_noise():
    """At N = P a slow spectrum has a trace far above its first eigenvalue, and much noise asks for a large ridge."""
    problem, sizes = rfm.power_law(1.2, 0.3, 1000, noise_var=1e3), dict(num_features=100, num_samples=100)
    found = theory.best_ridge(problem, **sizes)
    ridges = np.geomspace(1e-3, 1e10, 100)
    least = min(theory.predict(problem, **sizes, optimizer=rfm.Ridge(ridge)).risk[0] for ridge in ridges)
    assert found.gains
    assert found.risk <= least
    assert found.risk < np.sum(problem.modes(0, 1000)[0] * problem.modes(0, 1000)[1] ** 2)
    np.testing.assert_allclose(found.risk, 4.333962, rtol=1e-6)


def test_nothing_to_learn():
    """No target: the best is not to train, and no ridge does as well."""
    problem, sizes = rfm.Problem([1.0, 0.5], [0.0, 0.0], 0.1), dict(num_features=5, num_samples=6)
    ridge, time = theory.best_ridge(problem, **sizes), theory.best_stopping(problem, **sizes, optimizer=FLOW)
    assert (ridge.ridge, ridge.risk, ridge.gains, ridge.at_edge) == (np.inf, 0.0, False, False)
    assert (time.time, time.gains, time.at_edge) == (0.0, False, False)
    assert time.risk == pytest.approx(0.0, abs=ROUNDING)


def test_the_longest_training_is_an_edge():
    """A curve that still falls, cut short; whole steps never go beyond what was allowed."""
    for optimizer, longest in ((FLOW, 3.5), (rfm.GradientDescent(0.3), 5.7), (rfm.HeavyBall(0.1, 0.5), 120.0)):
        found = theory.best_stopping(rfm.power_law(1.8, 1.5, None), **SIZES, optimizer=optimizer, longest=longest)
        assert found.time == (np.floor(longest) if optimizer.discrete else longest)
        assert found.at_edge
        assert not found.gains


@pytest.mark.parametrize(
    "risk", [lambda x: (x - 1.1) ** 2, lambda x: 1.5 + np.cos(3.1 * x) + 1e-3 * x, lambda x: 20 - x]
)
def test_least_value_of_a_function(risk):
    """Dips of nearly the same depth, and an end of the range, against a fine grid."""
    x = np.linspace(0.0, 10.0, 100_001)
    found = least(risk, np.linspace(0.0, 10.0, 33), lambda low, high: np.linspace(low, high, 33))
    assert found.value <= risk(x).min() + 1e-6
    assert found.inside == (risk(10.0) > found.value)


def test_derivatives_by_differences():
    """Value, gradient and second derivatives against the formula."""
    found = expand(lambda v: np.exp(v[:, 0] * v[:, 1]) + v[:, 1] ** 3, np.array([0.3, 0.7]))
    e = np.exp(0.21)
    np.testing.assert_allclose(found.value, e + 0.343, rtol=1e-15)
    np.testing.assert_allclose(found.gradient, [0.7 * e, 0.3 * e + 1.47], rtol=1e-11)
    mixed = e * (1 + 0.21)
    np.testing.assert_allclose(found.hessian, [[0.49 * e, mixed], [mixed, 0.09 * e + 4.2]], rtol=1e-9)


def test_how_far_looks_narrow():
    """To 1e-4 of the time or the ridge and 1e-8 of the risk, against a search by parabolas."""
    stopping, ridge = theory.best_stopping(PROBLEM, **SIZES, optimizer=FLOW), theory.best_ridge(PROBLEM, **SIZES)
    risks = (
        lambda x: theory.predict(PROBLEM, **SIZES, optimizer=FLOW, times=[np.exp(x)]).risk[0],
        lambda x: theory.predict(PROBLEM, **SIZES, optimizer=rfm.Ridge(np.exp(x))).risk[0],
    )
    for risk, found, best in zip(risks, (stopping.time, ridge.ridge), (stopping.risk, ridge.risk), strict=True):
        exact = minimize_scalar(risk, bracket=np.log(found) + np.array([-0.05, 0.0, 0.05]), tol=1e-9)
        assert abs(exact.x - np.log(found)) < 1e-4
        assert best < exact.fun * (1 + 1e-8)
