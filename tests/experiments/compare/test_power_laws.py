"""Sums of power laws with a floor: recovery of known truth, intervals that cover it, and refusals."""

import numpy as np
import pytest

import rfm
import theory
from experiments.compare.power_laws import BOUNDS, PowerLaws, fit_power_laws

X = np.geomspace(1.0, 1e4, 25)
TRUTHS = {
    "one": ((0.5,), (1.0,), 0.0),
    "one with floor": ((0.5,), (1.0,), 0.02),
    "two": ((0.4, 1.2), (1.0, 2.0), 0.0),
    "two with floor": ((0.4, 1.2), (1.0, 2.0), 0.01),
}
each_truth = pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)


def curve(exponents, amplitudes, floor, x=X):
    return sum(a * x**-e for a, e in zip(amplitudes, exponents, strict=True)) + floor


def draws(rng, y, seeds=16, scatter=0.03):
    """Seeds that move together along the curve, as training curves do, and independently besides."""
    common = rng.standard_normal((seeds, 1))
    return y * (1 + scatter * (common + rng.standard_normal((seeds, len(y)))) / np.sqrt(2))


@each_truth
def test_exact_curves_are_recovered(truth):
    exponents, amplitudes, floor = truth
    fit = fit_power_laws(X, curve(*truth), len(exponents), floor > 0)
    assert fit.status == "identified"
    np.testing.assert_allclose(fit.exponents, exponents, rtol=1e-6)
    np.testing.assert_allclose(fit.amplitudes, amplitudes, rtol=1e-6)
    np.testing.assert_allclose(fit.floor, floor, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(fit(X), curve(*truth), rtol=1e-9)
    assert fit.window == (X[0], X[-1])
    assert np.all(fit.window_error < 1e-5)


def coverage(truth, sets, seed):
    """Part of all intervals that hold the true exponents, each term by itself."""
    rng = np.random.default_rng(seed)
    exponents, _, floor = truth
    inside = []
    for _ in range(sets):
        fit = fit_power_laws(X, draws(rng, curve(*truth)), len(exponents), floor > 0)
        assert fit.status == "identified"
        inside.append([low <= e <= high for e, (low, high) in zip(exponents, fit.intervals, strict=True)])
    return np.mean(inside, axis=0)


@pytest.mark.slow
def test_intervals_cover_the_truth_of_one_term():
    """60 sets: 95 % within four binomial standard errors; 500 of every kind in the slow test."""
    assert coverage(TRUTHS["one with floor"], 60, 0)[0] > 0.84


@pytest.mark.slow
@pytest.mark.timeout(1800)
@each_truth
def test_coverage_over_500_sets(truth):
    covered = coverage(truth, 500, 1)
    assert np.all((covered >= 0.90) & (covered <= 0.98)), covered


def test_the_window_leaves_out_what_is_no_power_law():
    """(1 + x)^-1 has power laws only past x = 1; a shorter window changes nothing then."""
    x = np.geomspace(1e-2, 1e4, 61)
    fit = fit_power_laws(x, 1 / (1 + x), 1, False)
    assert fit.window[0] > 10
    assert fit.exponents[0] == pytest.approx(1.0, abs=0.01)
    assert fit.residual <= 0.005


def test_a_term_too_many_is_said():
    fit = fit_power_laws(X, curve((0.5,), (1.0,), 0.0), 2, False)
    assert fit.status.startswith("not identified")
    flat = fit_power_laws(X, np.full(25, 3.0), 1, True)
    assert flat.status.startswith("not identified")


def test_an_exponent_at_its_bound_is_said():
    fit = fit_power_laws(X, X ** (-0.5 * BOUNDS[0]), 1, False)
    assert "bound" in fit.status


def test_a_curve_that_is_no_power_law_is_said():
    fit = fit_power_laws(X, 2 + np.sin(3 * np.log(X)), 1, True)
    assert "not identified: no window" in fit.status


def test_draws_too_few_to_tell_are_said():
    x = np.geomspace(1, 8, 8)
    noisy = draws(np.random.default_rng(3), curve((0.5,), (1.0,), 0.5, x), seeds=4, scatter=0.3)
    assert fit_power_laws(x, noisy, 1, True).status.startswith("not identified")


def test_the_theory_near_its_limits():
    """Risk against t: the exponent of an infinite model, and the floor of a finite one beside two power laws."""
    problem, times = rfm.power_law(1.5, 1.25, None), rfm.log_times(1e2, 1e12, 41)
    args = dict(num_samples=np.inf, optimizer=rfm.GradientFlow(), times=times)
    fit = fit_power_laws(times, theory.predict(problem, num_features=np.inf, **args).risk, 1, False)
    assert fit.exponents[0] == pytest.approx(0.4, abs=0.002)
    fit = fit_power_laws(times, theory.predict(problem, num_features=1e5, **args).risk, 2, True)
    end = theory.predict(problem, num_features=1e5, num_samples=np.inf, optimizer=rfm.Ridge(0.0)).risk[0]
    assert fit.floor == pytest.approx(end, rel=0.005)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"samples": -np.ones(25)}, "samples"),
        ({"samples": np.zeros((3, 25))}, "samples"),
        ({"samples": np.full(25, np.nan)}, "samples"),
        ({"samples": np.ones(24)}, "samples"),
        ({"x": X - 1.0}, "x"),
        ({"x": X[::-1]}, "x"),
        ({"x": np.linspace(1.0, 2.0, 25)}, "x"),  # 0.3 decades
        ({"x": X[:3], "samples": np.ones(3)}, "x"),
        ({"terms": 0}, "terms"),
    ],
)
def test_bad_input(changes, name):
    with pytest.raises(ValueError, match=f"Argument `{name}` must"):
        fit_power_laws(**({"x": X, "samples": np.ones(25)} | changes))


def test_result_is_frozen():
    fit = fit_power_laws(X, X**-0.5, 1, False)
    assert isinstance(fit, PowerLaws)
    with pytest.raises(AttributeError):
        fit.floor = 1.0
