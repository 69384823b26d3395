"""Curves against time: their ends, their limits, their symmetries and their corners."""

import numpy as np
import oracles
import pytest
from problems import INF

import rfm
import theory
from theory.dynamics import learning_curve
from theory.fixed_point import Model
from theory.spectrum import exact_modes

FLOW, RIDGELESS = rfm.GradientFlow(), rfm.Ridge(0.0)
TIMES = np.concatenate([[0.0], np.geomspace(0.01, 1e9, 12)])
SIZES = [(30, 50), (50, 30), (40, 40), (INF, 30), (30, INF), (200, 37.5)]
PROBLEM = rfm.power_law(1.8, 1.5, 100, noise_var=0.1)

all_sizes = pytest.mark.parametrize(("num_features", "num_samples"), SIZES)


def flow(problem, num_features, num_samples, times=TIMES, **kwargs):
    sizes = dict(num_features=num_features, num_samples=num_samples)
    return theory.predict(problem, **sizes, optimizer=FLOW, times=times, **kwargs)


def static(problem, num_features, num_samples, optimizer=RIDGELESS):
    return theory.predict(problem, num_features=num_features, num_samples=num_samples, optimizer=optimizer)


@all_sizes
def test_starts_untrained(num_features, num_samples):
    """t = 0: risk = sum lambda w^2; the training loss has the noise on top.

    The contour reaches to t = 1e9 here: its own error, 5e-12, shows at t = 0 too.
    """
    curve = flow(PROBLEM, num_features, num_samples)
    power = np.sum(PROBLEM.eigenvalues * PROBLEM.target**2)
    np.testing.assert_allclose([curve.risk[0], curve.train_loss[0]], [power, power + 0.1], rtol=3e-11)


@all_sizes
def test_ends_at_the_static_limit(num_features, num_samples):
    """Two code paths: the contour at late times, and the root at s = 0."""
    curve, limit = flow(PROBLEM, num_features, num_samples), static(PROBLEM, num_features, num_samples)
    if num_features == num_samples:  # no limit: the risk grows like the root of t
        assert np.isposinf(limit.risk[0])
        np.testing.assert_allclose(curve.risk[-1] / curve.risk[-2], np.sqrt(TIMES[-1] / TIMES[-2]), rtol=1e-3)
    else:
        np.testing.assert_allclose(curve.risk[-1], limit.risk[0], rtol=1e-10)
        np.testing.assert_allclose(curve.train_loss[-1], limit.train_loss[0], rtol=1e-10, atol=1e-14)


@all_sizes
def test_small_ridge_reaches_the_ridgeless_limit(num_features, num_samples):
    limit = static(PROBLEM, num_features, num_samples)
    near, nearer = (static(PROBLEM, num_features, num_samples, rfm.Ridge(s)) for s in (1e-9, 1e-11))
    if num_features == num_samples:  # diverges like the root of 1/ridge
        np.testing.assert_allclose(nearer.risk / near.risk, 10, rtol=1e-3)
    else:
        np.testing.assert_allclose(nearer.risk, limit.risk, rtol=1e-7)
    if num_features != num_samples and np.isfinite(num_samples):  # with all data the gap is quadratic: no bias
        gaps = [abs(x.risk[0] - limit.risk[0]) for x in (near, nearer)]
        np.testing.assert_allclose(gaps[0] / gaps[1], 100, rtol=0.01)


@pytest.mark.parametrize("ridge", [1e-6, 1e-2, 1.0])
@all_sizes
def test_ridge_against_direct_sums(num_features, num_samples, ridge):
    found = static(PROBLEM, num_features, num_samples, rfm.Ridge(ridge))
    spectrum = PROBLEM.eigenvalues, PROBLEM.target, 0.1
    risk, loss = oracles.static_risk(*spectrum, num_features, num_samples, ridge)
    np.testing.assert_allclose([found.risk[0], found.train_loss[0]], [risk, loss], rtol=1e-9)


def test_nothing_random_is_the_population_curve():
    """N = P = infinity: every mode decays by itself."""
    spectrum = PROBLEM.eigenvalues, PROBLEM.target
    np.testing.assert_allclose(
        flow(PROBLEM, INF, INF, TIMES[:-4]).risk, oracles.population_flow(*spectrum, TIMES[:-4]), rtol=1e-9, atol=1e-15
    )
    sizes = dict(num_features=INF, num_samples=INF)
    steps = np.array([0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000])
    found = theory.predict(PROBLEM, **sizes, optimizer=rfm.GradientDescent(1.9), times=steps)
    np.testing.assert_allclose(found.risk, oracles.population_gd(*spectrum, 1.9, steps), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("exponent", [1.3, 1.8])
@pytest.mark.parametrize("pair", [(20, 45), (20, INF), (60.5, 61.5)])
def test_exchange_of_roles(exponent, pair):
    """Flat teacher (a = b), no noise, t = infinity: features and samples are interchangeable (Bahri et al. 2021)."""
    problem = rfm.power_law(exponent, exponent, 100)
    one, other = static(problem, *pair), static(problem, *pair[::-1])
    np.testing.assert_allclose(one.risk, other.risk, rtol=1e-12)
    tilted = rfm.power_law(exponent + 0.3, exponent, 100)
    assert abs(static(tilted, *pair).risk[0] / static(tilted, *pair[::-1]).risk[0] - 1) > 1e-3


def test_monotone_where_it_must_be():
    """More data and more features lower the optimally stopped risk; training loss falls with time."""
    curve = flow(PROBLEM, 30, 50)
    assert np.all(np.diff(curve.train_loss) < 1e-14)
    times = np.geomspace(0.1, 1e5, 13)
    best = [[flow(PROBLEM, n, p, times).risk.min() for n in (10, 20, 40, 80)] for p in (10, 20, 40, 80)]
    assert np.all(np.diff(best, axis=0) < 0)
    assert np.all(np.diff(best, axis=1) < 0)


@all_sizes
def test_pieces_are_ordered(num_features, num_samples):
    """Averaging over features, over data or both can only help; where a source is infinite it changes nothing."""
    sizes = dict(num_features=num_features, num_samples=num_samples)
    risk = lambda **kw: theory.predict(PROBLEM, **sizes, optimizer=FLOW, times=TIMES, **kw).risk  # noqa: E731
    one, same_data, same_features, independent = (
        risk(), risk(ensemble=INF), risk(bags=INF), risk(ensemble=INF, bags=INF)
    )  # fmt: skip
    slack = 1e-10 * one
    for piece in (same_data, same_features):
        assert np.all(piece <= one + slack)
        assert np.all(independent <= piece + slack)
    if np.isinf(num_features):
        np.testing.assert_allclose(same_data, one, rtol=1e-10)
    if np.isinf(num_samples):
        np.testing.assert_allclose(same_features, one, rtol=1e-10)


@all_sizes
def test_decomposition_sums_to_the_risk(num_features, num_samples):
    """Exactly, and every part is what an average over infinitely many draws takes away."""
    sizes = dict(num_features=num_features, num_samples=num_samples)
    d = theory.decompose(PROBLEM, **sizes, optimizer=FLOW, times=TIMES)
    np.testing.assert_allclose(d.bias + d.features + d.data + d.interaction + d.noise, d.risk, rtol=1e-14)
    clean = theory.decompose(rfm.power_law(1.8, 1.5, 100), **sizes, optimizer=FLOW, times=TIMES)
    for part in ("bias", "features", "data", "interaction"):
        np.testing.assert_allclose(getattr(d, part), getattr(clean, part), rtol=1e-9, atol=1e-11)
        assert np.all(getattr(d, part) >= -1e-11)
    np.testing.assert_allclose(clean.noise, 0.0, atol=1e-15)
    twice = theory.decompose(rfm.power_law(1.8, 1.5, 100, 0.2), **sizes, optimizer=FLOW, times=TIMES)
    np.testing.assert_allclose(twice.noise, 2 * d.noise, rtol=1e-9, atol=1e-13)
    average = theory.predict(PROBLEM, **sizes, optimizer=FLOW, times=TIMES, ensemble=INF, bags=INF)
    np.testing.assert_allclose(d.bias, average.risk, rtol=1e-10)


def test_many_times_equal_one_by_one():
    """The contour is shared by all times; each alone has a contour of its own."""
    many = flow(PROBLEM, 30, 50)
    for i, t in enumerate(TIMES):
        one = flow(PROBLEM, 30, 50, [t])
        np.testing.assert_allclose(one.risk[0], many.risk[i], rtol=1e-10)
        np.testing.assert_allclose(one.train_loss[0], many.train_loss[i], rtol=1e-10)


@pytest.mark.parametrize("sizes", [(30, 50), (50, 30), (40, 40)], ids=str)
def test_eighteen_decades_of_time_at_once(sizes):
    """Beyond the 1e8 that the contour is laid out for digits are lost, as many as `residual` says."""
    times = np.geomspace(1e-6, 1e12, 13)
    whole = flow(PROBLEM, *sizes, times)
    early = flow(PROBLEM, *sizes, np.geomspace(1e-6, 10**7.5, 13))  # a horizon of its own
    one_by_one = [flow(PROBLEM, *sizes, np.geomspace(t / 2, t, 13)).risk[-1] for t in times]
    assert np.max(np.abs(whole.risk / one_by_one - 1)[:-1]) < 3 * whole.residual < 1e-4
    assert early.converged
    start = np.sum(PROBLEM.eigenvalues * PROBLEM.target**2)
    slope = np.sum((PROBLEM.eigenvalues * PROBLEM.target) ** 2)
    np.testing.assert_allclose(early.risk[0], start - 2e-6 * slope, rtol=1e-9)
    np.testing.assert_allclose(whole.risk[0], start - 2e-6 * slope, rtol=3 * whole.residual)


@pytest.mark.parametrize("size", [3, 40, 300])
def test_converged_at_the_interpolation_threshold(size):
    """N = P at t = 1e8, where both factors of the one-point equation vanish."""
    problem = rfm.power_law(1.8, 1.5, 1000, noise_var=0.1)
    curve = flow(problem, size, size, np.geomspace(0.05, 1e8, 13))
    assert curve.converged
    assert curve.residual < 1e-9
    beside = flow(problem, size * (1 + 1e-9), size, np.geomspace(0.05, 1e8, 13))
    np.testing.assert_allclose(beside.risk, curve.risk, rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["flow", "descent"])
def test_standard_parametrization_is_a_faster_clock(optimizer):
    """F_ik of variance 1 multiplies time, or the learning rate, by N."""
    sizes = dict(num_features=30, num_samples=50)
    if optimizer == "flow":
        ntk = flow(PROBLEM, **sizes, times=TIMES)
        standard = flow(PROBLEM, **sizes, times=TIMES / 30, parametrization="standard")
    else:
        kwargs = dict(sizes, times=np.arange(13))
        ntk = theory.predict(PROBLEM, **kwargs, optimizer=rfm.GradientDescent(0.6))
        slow = rfm.GradientDescent(0.6 / 30)
        standard = theory.predict(PROBLEM, **kwargs, optimizer=slow, parametrization="standard")
    np.testing.assert_allclose(standard.risk, ntk.risk, rtol=1e-11)
    np.testing.assert_allclose(standard.train_loss, ntk.train_loss, rtol=1e-11)


def test_small_steps_are_gradient_flow():
    """Descent tends to flow at equal lr x steps, with a gap of first order in lr."""
    sizes = dict(num_features=30, num_samples=50)
    times = np.linspace(1.0, 13.0, 13)
    expected = flow(PROBLEM, **sizes, times=times)
    gaps = []
    for lr in (1e-2, 1e-3):
        descent = theory.predict(PROBLEM, **sizes, optimizer=rfm.GradientDescent(lr), times=np.round(times / lr))
        gaps.append(np.abs(descent.risk - expected.risk))
    np.testing.assert_allclose(gaps[0] / gaps[1], 10, rtol=0.05)
    assert np.all(gaps[1] / expected.risk < 2e-3)


def test_residual_sees_a_contour_that_is_too_coarse():
    """Negative control of `converged`: too few nodes must be flagged, and the error must be real."""
    modes = exact_modes(PROBLEM.eigenvalues, PROBLEM.target)

    def curve(num_nodes):
        return learning_curve(Model(modes, 1 / 30, 1 / 50, 0.1), TIMES, "GradientFlow", {}, nodes=num_nodes)

    good, bad = curve(160), curve(24)
    np.testing.assert_allclose(good.risk, flow(PROBLEM, 30, 50).risk, rtol=1e-10)
    assert good.converged
    assert not bad.converged
    assert np.max(np.abs(bad.risk / good.risk - 1)) > 1e-9


@pytest.mark.parametrize("sizes", [(40, 60), (60, 40), (50, 50), (np.inf, 40)], ids=str)
def test_noise_alone(sizes):
    """Without a target the risk is zero at first and then grows as t^2, to many digits; a trifle of a target agrees."""
    n, p = sizes
    args = dict(num_features=n, num_samples=p, optimizer=rfm.GradientFlow(), times=[0.0, 1e-6, 1e-3, 1e5])
    lam = PROBLEM.eigenvalues
    curve = theory.predict(rfm.Problem(lam, 0.0 * lam, 0.1), **args)
    assert curve.converged
    assert curve.risk[0] == 0.0
    np.testing.assert_allclose(curve.risk[1], 0.1 * 1e-12 / p * (lam @ lam + lam.sum() ** 2 / n), rtol=1e-5)
    nearly = theory.predict(rfm.Problem(lam, 1e-13 + 0.0 * lam, 0.1), **args)
    np.testing.assert_allclose(curve.risk[2:], nearly.risk[2:], rtol=1e-7)
    assert abs(nearly.risk[1] / curve.risk[1] - 1.0) > 1e-5  # by what cancels
