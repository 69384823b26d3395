"""Exponent fits: the window rule, recovery of known slopes, honest standard errors, refusal."""

import dataclasses

import numpy as np
import pytest

import rfm
import theory
from experiments.compare.comparison import Comparison
from experiments.compare.power_laws import power_law_exponents
from experiments.compare.scans import Scan
from experiments.compare.statistics import bootstrap_slope, local_slopes, slope_weights
from experiments.compare.windows import DRIFT, choose_window, fit_exponent


def make_scan(x, samples, predicted, limit):
    pair = Comparison("time", x, samples, predicted)
    return Scan(pair, pair, limit, "Monte Carlo")


def noisy(rng, curve, seeds, scatter):
    """Seeds whose points move together along the curve, as training curves do, and independently besides."""
    common = rng.standard_normal((seeds, 1))
    return curve * (1 + scatter * (common + rng.standard_normal((seeds, len(curve)))) / np.sqrt(2))


def test_window_stops_where_finite_size_begins():
    """limit x^-0.5, floor at 0.01: the two are 10 % apart at x = 100, and nothing beyond may count."""
    x = np.geomspace(1, 1e6, 61)
    limit = x**-0.5
    window, drift = choose_window(make_scan(x, limit[None], limit + 0.01, limit))
    inside = x[window]
    assert inside[0] == 1.0
    assert 79 < inside[-1] < 100.1
    assert drift <= DRIFT


def test_window_skips_a_curved_start():
    """(1 + x)^-1 has slope -x/(1 + x): steady to 5 % only past x = 9 or so."""
    x = np.geomspace(0.01, 1e4, 121)
    limit = 1 / (1 + x)
    window, _ = choose_window(make_scan(x, limit[None], limit, limit))
    assert 5 < x[window][0] < 12
    assert x[window][-1] == 1e4


def test_drifting_slope_is_said():
    x = np.geomspace(1, 1e3, 40)
    curve = np.exp(-0.3 * np.log(x) ** 2)
    fit = fit_exponent(make_scan(x, noisy(np.random.default_rng(0), curve, 8, 0.01), curve, curve))
    assert "drifts" in fit.status


def test_refusal_where_nothing_is_at_its_limit():
    x = np.geomspace(1, 100, 20)
    fit = fit_exponent(make_scan(x, np.ones((4, 20)), np.ones(20), x**-1.0))
    assert fit.window is None
    assert "not identified" in fit.status


def test_standard_error_covers_the_truth():
    """Over 500 synthetic scans |fit - truth| / stderr is like a t variable: 95 % within 2.13 for 16 seeds."""
    rng = np.random.default_rng(1)
    x = np.geomspace(1, 100, 15)
    scores = []
    for _ in range(500):
        slope, stderr = bootstrap_slope(x, noisy(rng, x**-0.7, 16, 0.1))
        scores.append((slope + 0.7) / stderr)
    covered = np.mean(np.abs(scores) < 2.13)
    assert 0.92 < covered < 0.975  # two binomial standard errors about 0.95


def test_weights_by_the_covariance_of_theory():
    """Of 200 runs of 16 seeds: 95 % of intervals hold the slope, slopes scatter as predicted and less than unweighted.

    A standard error that takes times for independent draws is refused.
    """
    problem, times, seeds = rfm.power_law(1.8, 1.5, 100, 0.1), np.geomspace(1.0, 100.0, 12), 16
    known = theory.scatter(problem, num_features=64, num_samples=128, optimizer=rfm.GradientFlow(), times=times)
    root = np.linalg.cholesky(known.covariance + 1e-12 * np.diag(known.std**2))
    pair = Comparison("time", times, np.ones((seeds, 12)), known.mean, covariance=known.covariance)
    rng, found = np.random.default_rng(5), []
    for _ in range(200):
        risks = known.mean + rng.standard_normal((seeds, 12)) @ root.T
        run = dataclasses.replace(pair, risks=risks)
        found.append([(fit.simulated - fit.theory, fit.stderr) for fit in (
            run.slope(), dataclasses.replace(run, covariance=None).slope())])  # fmt: skip
    (error, stderr), (plain, _) = np.moveaxis(np.array(found), 0, 2)
    covered = np.mean(np.abs(error) < 2.13 * stderr)
    assert 0.915 < covered < 0.98  # two binomial standard errors about 0.95
    weights = slope_weights(times, pair.spread)
    predicted = np.sqrt(weights @ pair.spread @ weights / seeds)
    assert error.std() / predicted == pytest.approx(1.0, abs=0.15)  # three standard errors of a standard deviation
    assert error.std() < plain.std()
    alone = np.sqrt(weights**2 @ np.diag(pair.spread) / seeds)
    assert not 0.915 < np.mean(np.abs(error) < 1.96 * alone) < 0.98


def test_spectrum_exponents_of_a_power_law():
    k = np.arange(1.0, 2001)
    a, b = power_law_exponents(k**-1.4, k ** ((1.4 - 1.8) / 2))
    assert b == pytest.approx(1.4, abs=1e-12)
    assert a == pytest.approx(1.8, abs=0.15)  # the sum over the tail is cut at 2000


def test_local_slopes_of_a_power():
    x = np.array([0.0, 1.0, 3.0, 10.0, 100.0])
    slopes = local_slopes(x, np.maximum(x, 0.5) ** -1.5)
    assert np.isnan(slopes[0])
    np.testing.assert_allclose(slopes[1:], -1.5, rtol=1e-12)
