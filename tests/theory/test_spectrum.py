"""Sums over modes: the compressed tail against direct sums, closed forms, and itself at other M."""

import dataclasses

import jax
import numpy as np
import pytest
from problems import INF
from scipy.special import zeta
from tolerances import SAME_SUMS

import rfm
import theory
from theory.evaluation import problem_modes
from theory.mode_sums import bias_of, degrees_of_freedom, sums
from theory.spectrum import Modes

DEPTH = 48.0  # modes below exp(-48) are lumped

# on, and around, the contours of the theory; arg kappa up to 2.3, |kappa| over the whole range in use
KAPPA = np.array([r * np.exp(1j * phi) for r in (1e-9, 1e-6, 1e-3, 0.1, 3.0) for phi in (0.0, 0.8, 1.6, 2.3)])
SUMS = ("df1", "df2", "t1", "T1", "T2")


def direct_sums(a, b, num_modes, kappa, start=1):
    """Sums over modes by numpy, block by block: (5, len(kappa))."""
    total = np.zeros((5, len(kappa)), complex)
    for low in range(start, num_modes + 1, 100_000):
        k = np.arange(float(low), min(low + 100_000, num_modes + 1))
        lam, power = k**-b, k**-a
        for i, x in enumerate(kappa):
            r = 1 / (x + lam)
            total[:, i] += [lam @ r, lam**2 @ r**2, lam @ r**2, power @ r**2, (lam * power) @ r**2]
    return total


def compressed_sums(a, b, num_modes, kappa):
    """The same through the nodes of the theory."""
    modes = problem_modes(rfm.power_law(a, b, num_modes), DEPTH)
    lam, count, power = (np.asarray(x) for x in modes[:3])
    r = 1 / (kappa[:, None] + lam)
    weighted = count * lam
    sums = [r @ weighted, r**2 @ (weighted * lam), r**2 @ weighted, r**2 @ power, r**2 @ (power * lam)]
    return np.stack(sums)


@pytest.mark.parametrize(("a", "b"), [(1.8, 1.5), (1.2, 1.05), (3.5, 1.2), (1.5, 0.6), (1.1, 1.0), (2.0, 4.0)])
@pytest.mark.parametrize("num_modes", [513, 1000, 20_000, 1_000_000])
def test_compressed_sums_against_direct_sums(a, b, num_modes):
    kappa = KAPPA if num_modes < 10**6 else KAPPA[[1, 7, 12]]
    found, expected = compressed_sums(a, b, num_modes, kappa), direct_sums(a, b, num_modes, kappa)
    for name, x, y in zip(SUMS, found, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize(("a", "b"), [(1.1, 4.1), (1.5, 4.9), (1.8, 0.3)])
@pytest.mark.parametrize(("deepest", "angles"), [(50.0, (0.8, 2.3)), (200.0, (0.0,))])
def test_depth_of_the_panel(a, b, deepest, angles):
    """As far down as the constant says: along a contour, and on the real axis."""
    kappa = np.array([np.exp(-x + 1j * phi) for x in np.linspace(0.0, deepest, 6) for phi in angles])
    lam, count, power = problem_modes(rfm.power_law(a, b, 90_000), deepest + 20.0)[:3]
    k = np.arange(1.0, 90_001)
    for x in kappa:
        r, whole = 1 / (x + lam), 1 / (x + k**-b)
        np.testing.assert_allclose(r @ (count * lam), whole @ k**-b, rtol=1e-12)
        np.testing.assert_allclose(r**2 @ power, whole**2 @ k**-a, rtol=1e-12)


@pytest.mark.parametrize("kappa", [1e-10, 1e-4, 0.3, 50.0])
def test_infinitely_many_modes_against_closed_form(kappa):
    """b = 2: df1 = sum 1/(1 + kappa k^2) = pi/(2 sqrt kappa) coth(pi/sqrt kappa) - 1/2."""
    x = np.pi / np.sqrt(kappa)
    (found,) = compressed_sums(1.8, 2.0, None, np.array([kappa]))[0]
    np.testing.assert_allclose(found, x / 2 / np.tanh(x) - 0.5, rtol=1e-12)


@pytest.mark.parametrize(("a", "b"), [(1.8, 1.5), (1.3, 1.1), (2.5, 3.0)])
def test_infinity_against_a_billion_modes(a, b):
    """They differ by the modes beyond 10^9: zeta tails, to second order in lambda/kappa."""
    kappa = np.array([1e-2, 0.1 + 0.2j, 2.0])
    beyond = lambda power: zeta(power, 1e9 + 1)  # noqa: E731
    leading = np.array([beyond(b), beyond(2 * b), beyond(b), beyond(a), beyond(a + b)])[:, None]
    following = np.array([beyond(2 * b), beyond(3 * b), beyond(2 * b), beyond(a + b), beyond(a + 2 * b)])[:, None]
    order = np.array([[1], [2], [2], [2], [2]])  # of 1/(kappa + lambda)
    tail = leading / kappa**order - order * following / kappa ** (order + 1)
    found, billion = compressed_sums(a, b, None, kappa), compressed_sums(a, b, 10**9, kappa)
    np.testing.assert_allclose(found, billion + tail, rtol=1e-12)
    assert np.abs(tail[0, 0]) > 1e-9 or b > 1.5  # the check above does see the modes beyond


@pytest.mark.parametrize(("a", "b"), [(1.8, 1.5), (1.4, 0.8)])
@pytest.mark.parametrize("sizes", [(300, 500, 0.1), (INF, 200, 0.0)])
def test_curve_from_the_tail_against_full_arrays(a, b, sizes):
    """The tail by formula against every mode handed over as an array."""
    num_features, num_samples, noise_var = sizes
    k = np.arange(1.0, 1e4 + 1)
    whole = rfm.Problem(k**-b, k ** ((b - a) / 2), noise_var)
    setting = dict(num_features=num_features, num_samples=num_samples, optimizer=rfm.GradientFlow())
    times = np.geomspace(0.1, 1e8, 10)
    found = theory.predict(rfm.power_law(a, b, 10**4, noise_var), **setting, times=times)
    expected = theory.predict(whole, **setting, times=times)
    np.testing.assert_allclose(found.risk, expected.risk, rtol=1e-11)
    np.testing.assert_allclose(found.train_loss, expected.train_loss, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("optimizer", [pytest.param(rfm.Ridge(1e-5), marks=pytest.mark.slow), rfm.Ridge(0.0)])
def test_static_prediction_at_a_million_modes(optimizer):
    """The same at M = 10^6, where one ridge still fits in memory."""
    k = np.arange(1.0, 1e6 + 1)
    whole = rfm.Problem(k**-1.2, k**-0.2, 0.05)
    setting = dict(num_features=700, num_samples=400, optimizer=optimizer)
    found = theory.predict(rfm.power_law(1.6, 1.2, 10**6, 0.05), **setting)
    expected = theory.predict(whole, **setting)
    np.testing.assert_allclose(found.risk, expected.risk, rtol=1e-11)
    np.testing.assert_allclose(found.train_loss, expected.train_loss, rtol=1e-11, atol=1e-15)


def test_infinitely_many_modes_start_at_zeta():
    """At t = 0 the risk is sum k^-a, whatever N and P."""
    problem = rfm.power_law(1.4, 1.3, None)
    curve = theory.predict(problem, num_features=50, num_samples=90, optimizer=rfm.GradientFlow(), times=[0.0, 1.0])
    np.testing.assert_allclose(curve.risk[0], zeta(1.4), rtol=1e-11)


def test_cost_does_not_grow_with_the_number_of_modes():
    sizes = [len(problem_modes(rfm.power_law(1.8, 1.5, m), DEPTH).eigenvalues) for m in (10**3, 10**6, 10**9, None)]
    assert sizes[0] <= sizes[1] <= sizes[2] < 500
    assert sizes[3] < 500


def test_short_spectra_are_kept_mode_by_mode():
    modes = problem_modes(rfm.power_law(1.8, 1.5, 200), DEPTH)
    np.testing.assert_array_equal(modes.multiplicity, np.ones(200))
    np.testing.assert_allclose(modes.eigenvalues, np.arange(1.0, 201.0) ** -1.5, rtol=1e-15)


def test_modes_by_formula_and_by_array_agree():
    """`Problem.modes` streams the same spectrum that the theory sums."""
    problem = rfm.power_law(1.8, 1.5, 10**6)
    lam, w = problem.modes(999_990, 20)
    k = np.arange(999_991.0, 1_000_001.0)
    np.testing.assert_allclose(lam[:10], k**-1.5, rtol=1e-13)
    np.testing.assert_allclose(lam[:10] * w[:10] ** 2, k**-1.8, rtol=1e-13)
    assert not np.any(lam[10:])
    assert not np.any(w[10:])


def trace(num_modes):
    modes = problem_modes(rfm.power_law(1.8, 1.2, num_modes), 60.0)
    return (modes.multiplicity * modes.eigenvalues).sum()


traced = jax.jit(jax.value_and_grad(trace))


@pytest.mark.parametrize("num_modes", [600, 10_000, 10**9])
def test_traced_number_of_modes(num_modes):
    """One compilation for every M, the same sums as with M known; and a derivative in M."""
    value, slope = traced(float(num_modes))
    np.testing.assert_allclose(value, trace(num_modes), rtol=1e-13)
    np.testing.assert_allclose(slope, num_modes**-1.2, rtol=2 / num_modes)  # the mode that comes next


@pytest.mark.parametrize("models", [(), (2,), (5,)])
def test_sums_over_modes_of_models_side_by_side(models):
    """Many complex kappa, in blocks, against one complex number at a time."""
    rng = np.random.default_rng(0)
    modes = Modes(*(rng.uniform(0.1, 1.0, (*models, 700)) for _ in range(3)))
    kappa = rng.normal(size=(90, *models)) + 1j * rng.uniform(0.05, 2.0, (90, *models))
    df1, slope = degrees_of_freedom(kappa, modes)
    bias, (left,) = bias_of(kappa, modes), sums(kappa, modes.eigenvalues, modes.multiplicity)
    for place in [(0, *(0 for _ in models)), (61, *(size - 1 for size in models))]:
        lam, count, power = (x[place[1:]] for x in modes[:3])
        r = [1.0 / (complex(kappa[place]) + x) for x in lam.tolist()]
        expected = [
            sum(count * lam * r), -sum(count * lam * np.square(r)), kappa[place] * sum(power * r), sum(count * r)
        ]  # fmt: skip
        np.testing.assert_allclose([x[place] for x in (df1, slope, bias, left)], expected, rtol=SAME_SUMS)


def test_a_head_that_follows_its_law_is_compressed_for_searches():
    """Few modes, also with numbers of their own, give the sums of many; a head that differs is kept."""
    problem = rfm.power_law(1.8, 1.5, 10**5)
    few, many = (problem_modes(problem, 30.0, coarse=coarse) for coarse in (True, False))
    assert len(few.eigenvalues) < 0.5 * len(many.eigenvalues)
    kappa = np.array([1e-5, 1e-3 + 1e-2j, 1.0])
    np.testing.assert_allclose(degrees_of_freedom(kappa, few), degrees_of_freedom(kappa, many), rtol=1e-6)
    tail = dataclasses.replace(problem.tail, num_modes=np.array([2000.0, 1e5]))
    each = problem_modes(dataclasses.replace(problem, tail=tail), 30.0, coarse=True)
    same = np.full(2, 1e-3)
    np.testing.assert_allclose(degrees_of_freedom(same, each)[0][1], degrees_of_freedom(same, many)[0][1], rtol=1e-6)
    target = np.where(np.arange(128) == 100, 7.0, problem.target)
    changed = dataclasses.replace(problem, target=target, tail=dataclasses.replace(problem.tail))
    other = problem_modes(changed, 30.0, coarse=True)
    np.testing.assert_array_equal(other.power[:128], problem.eigenvalues * target**2)
