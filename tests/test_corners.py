"""The smallest, the largest and the coinciding sizes: every answer is finite, or infinite where it should be."""

import numpy as np
import pytest
from problems import INF
from tolerances import CONTOUR, FIXED_POINT, FORMULA, LATE, ROUNDING, SAME_SUMS

import rfm
import theory
from rfm.parts import ScaleMixture

FLOW, RIDGELESS = rfm.GradientFlow(), rfm.Ridge(0.0)
TIMES = np.geomspace(0.1, 1e8, 10)
MODES = 10


def static(problem, num_features, num_samples, ridge=0.0):
    sizes = dict(num_features=num_features, num_samples=num_samples)
    return theory.predict(problem, **sizes, optimizer=rfm.Ridge(ridge))


@pytest.mark.parametrize("sizes", [(1, 1), (1, 2), (2, 1), (1, INF), (INF, 1), (1, 10**6), (10**6, 1)], ids=str)
def test_one_feature_or_one_sample(sizes):
    problem = rfm.power_law(1.8, 1.5, 1000, noise_var=0.1)
    curve = theory.predict(
        problem, num_features=sizes[0], num_samples=sizes[1], optimizer=FLOW, times=np.geomspace(0.1, 1e8, 10)
    )
    assert curve.converged
    assert np.all(np.isfinite(curve.risk))
    assert np.all(np.isfinite(curve.train_loss))
    limit = static(problem, *sizes)
    assert limit.converged
    if sizes[0] == sizes[1]:
        assert np.isposinf(limit.risk[0])
    else:
        np.testing.assert_allclose(limit.risk[0], curve.risk[-1], rtol=LATE)


@pytest.mark.parametrize("sizes", [(20, 30), (30, 20), (25, 25), (INF, 20), (10**6, 10**6), (11, 11)], ids=str)
def test_more_features_and_samples_than_modes(sizes):
    """Full rank: the target is learned, the noise leaves sigma^2 M/(P - M)."""
    curve = static(rfm.white(MODES, 0.1), *sizes)
    np.testing.assert_allclose(curve.risk, 0.1 * MODES / (sizes[1] - MODES), rtol=FORMULA)
    np.testing.assert_allclose(curve.train_loss, 0.1 * (1 - MODES / sizes[1]), rtol=FORMULA)
    late = theory.predict(
        rfm.white(MODES, 0.1), num_features=sizes[0], num_samples=sizes[1], optimizer=FLOW, times=TIMES
    )
    np.testing.assert_allclose(late.risk[-1:], curve.risk, rtol=CONTOUR)


@pytest.mark.parametrize("num_samples", [15, 40, INF])
@pytest.mark.parametrize("noise_var", [0.0, 0.1])
def test_as_many_features_as_modes(num_samples, noise_var):
    """N = M < P: F is square and invertible, so the limit is that of all features."""
    curve = static(rfm.white(MODES, noise_var), MODES, num_samples)
    np.testing.assert_allclose(curve.risk, noise_var * MODES / (num_samples - MODES), rtol=SAME_SUMS, atol=ROUNDING)
    assert np.all(curve.risk >= 0)
    assert curve.converged


@pytest.mark.parametrize("num_features", [15, 40, INF])
def test_as_many_samples_as_modes(num_features):
    """P = M < N: nothing is left of the signal; with noise the risk is infinite, as at N = P."""
    clean, noisy = (static(rfm.white(MODES, noise_var), num_features, MODES) for noise_var in (0.0, 0.1))
    np.testing.assert_allclose(clean.risk, 0.0, atol=ROUNDING)
    assert np.all(clean.risk >= 0)
    assert np.isposinf(noisy.risk[0])
    assert clean.converged
    assert noisy.converged


def test_as_many_features_and_samples_as_modes():
    """N = P = M: with noise infinite; without, the limit of small ridge, |w|^2/3 for the white spectrum."""
    clean, noisy = (static(rfm.white(MODES, noise_var), MODES, MODES) for noise_var in (0.0, 0.1))
    near = static(rfm.white(MODES, 0.0), MODES, MODES, ridge=1e-12)
    np.testing.assert_allclose(near.risk, MODES / 3, rtol=1e-3)
    np.testing.assert_allclose(clean.risk, MODES / 3, rtol=1e-6)
    assert np.isposinf(noisy.risk[0])


@pytest.mark.parametrize("sizes", [(1000, 2000), (25, 25), (INF, INF)], ids=str)
def test_converged_where_the_risk_vanishes(sizes):
    """No noise and full rank: the risk falls below rounding, which is an answer and not a failure."""
    curve = theory.predict(rfm.white(MODES), num_features=sizes[0], num_samples=sizes[1], optimizer=FLOW, times=TIMES)
    np.testing.assert_allclose(curve.risk[-1], 0.0, atol=1e-13)
    assert curve.converged


def test_curves_are_never_negative():
    """Rounding may not push a vanishing risk or training loss below zero by more than its own size."""
    problem = rfm.power_law(1.8, 1.5, 1000, noise_var=0.1)
    curve = theory.predict(problem, num_features=400, num_samples=50, optimizer=FLOW, times=TIMES)
    assert np.all(curve.risk > 0)
    assert np.all(curve.train_loss > -1e-14)


@pytest.mark.parametrize("num_modes", [None, 10**9, 100])
def test_all_features_and_samples_without_ridge_learn_everything(num_modes):
    curve = static(rfm.power_law(1.8, 1.5, num_modes, 0.1), INF, INF)
    np.testing.assert_allclose([curve.risk[0], curve.train_loss[0]], [0.0, 0.1], atol=1e-15)
    assert curve.converged


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_units_do_not_matter(scale):
    """Eigenvalues x scale with times / scale is the same problem."""
    k = np.arange(1.0, MODES + 1)
    sizes = dict(num_features=3, num_samples=5, optimizer=FLOW)
    one = theory.predict(rfm.Problem(k**-1.5, k**-0.15, 0.1), **sizes, times=TIMES)
    scaled = rfm.Problem(scale * k**-1.5, k**-0.15 / np.sqrt(scale), 0.1)
    other = theory.predict(scaled, **sizes, times=TIMES / scale)
    np.testing.assert_allclose(other.risk, one.risk, rtol=FIXED_POINT)
    np.testing.assert_allclose(other.train_loss, one.train_loss, rtol=FIXED_POINT, atol=ROUNDING)


def test_eigenvalues_over_sixty_decades():
    """Modes too small to matter change nothing."""
    head = np.geomspace(1.0, 1e-3, MODES - 2)
    sizes = dict(num_features=3, num_samples=7, optimizer=FLOW, times=TIMES)
    risks = []
    for tiny in ([1e-25, 1e-25], [1e-40, 1e-60]):
        curve = theory.predict(rfm.Problem(np.concatenate([head, tiny]), np.ones(MODES), 0.1), **sizes)
        assert curve.converged
        risks.append(curve.risk)
    np.testing.assert_allclose(risks[1], risks[0], rtol=1e-11)


def test_training_that_diverges_is_never_silent():
    """Inside a transformation a learning rate cannot be refused: the flag says no and nothing is NaN."""
    import jax

    problem = rfm.white(MODES, 0.1)
    sizes = dict(num_features=20, num_samples=30, times=np.array([0.0, 10.0, 1e4]))
    predict = lambda lr: theory.predict(problem, **sizes, optimizer=rfm.GradientDescent(lr))  # noqa: E731
    curve = jax.jit(jax.vmap(predict))(np.array([0.1, 3.0]))
    assert curve.converged.tolist() == [True, False]
    assert np.isposinf(curve.residual[1])
    assert np.all(np.isfinite(curve.risk[0]))


@pytest.mark.parametrize(("b", "sizes"), [(2.0, (1e4, 1e10)), (4.0, (1e4, 1e7)), (6.0, (1e3, 1e6)), (16.0, (1e2, 1e3))])
def test_steep_spectra_keep_their_law(b, sizes):
    """risk N^(a-1) has reached its constant where kappa ~ N^-b lies far below any fixed floor of the tail."""
    problem = rfm.power_law(1.8, b, None)
    scaled = [static(problem, n, INF).risk[0] * n**0.8 for n in sizes]
    np.testing.assert_allclose(scaled[1], scaled[0], rtol=0.02)


def test_steep_spectrum_from_its_formula_and_from_its_modes():
    k = np.arange(1.0, 10_001)
    by_formula = static(rfm.power_law(1.8, 6.0, 10_000, 0.1), 4000, 9000)
    by_modes = static(rfm.Problem(k**-6.0, k**2.1, 0.1), 4000, 9000)
    np.testing.assert_allclose(by_formula.risk, by_modes.risk, rtol=FIXED_POINT)
    assert static(rfm.power_law(1.8, 16.0, 512), 100, INF).risk[0] > 1e-3


def test_derivative_at_ridge_zero():
    """One-sided: against a small positive ridge, where the slope is the same."""
    import jax

    def risk(ridge):
        problem = rfm.power_law(1.8, 1.5, None, 0.1)
        return theory.predict(problem, num_features=50.0, num_samples=60, optimizer=rfm.Ridge(ridge)).risk[0]

    step = 1e-10
    forward = (-3 * risk(0.0) + 4 * risk(step) - risk(2 * step)) / (2 * step)
    np.testing.assert_allclose(jax.jit(jax.grad(risk))(0.0), forward, rtol=1e-4)


@pytest.mark.parametrize(
    "optimizer",
    [FLOW, rfm.GradientDescent(0.1), rfm.GradientDescent(0.1, 0.1), rfm.HeavyBall(0.1, 0.9), rfm.SGD(0.1, 4)],
    ids=str,
)
@pytest.mark.parametrize("time", [1e20, *(pytest.param(t, marks=pytest.mark.slow) for t in (1e60, 1e308))])
def test_huge_times(optimizer, time):
    """Nothing happens any more: the curve is that of t = 1e9, or of infinity, where that is known."""
    problem, samples = rfm.power_law(1.8, 1.5, 100, 0.1), INF if isinstance(optimizer, rfm.SGD) else 40
    args = dict(num_features=20, num_samples=samples, optimizer=optimizer)
    early, late = (theory.predict(problem, **args, times=[1.0, t]) for t in (1e9, time))
    assert late.converged
    np.testing.assert_allclose(late.risk, early.risk, rtol=1e-7)
    np.testing.assert_allclose(late.train_loss, early.train_loss, rtol=1e-7)
    if samples == 40:
        end = static(problem, 20, 40, getattr(optimizer, "weight_decay", 0.0))
        np.testing.assert_allclose(late.risk[1], end.risk[0], rtol=1e-7)


def test_endless_schedule():
    args = dict(num_features=20, num_samples=40, optimizer=rfm.GradientDescent(lambda count: 0.1 + 0.0 * count))
    with pytest.raises(ValueError, match="Argument `times` must be at most"):
        theory.predict(rfm.white(MODES), **args, times=[1, 1e308])


def test_no_derivative_at_the_peak():
    """N = P and N = P = M without a ridge: infinite risk, exactly, and NaN for every derivative of it, not zero."""
    import jax

    problem = rfm.power_law(1.8, 1.5, 100, 0.1)

    def curve(n, p, ridge):
        found = theory.predict(problem, num_features=n, num_samples=p, optimizer=rfm.Ridge(ridge))
        return found.risk[0], found.train_loss[0]

    slopes = jax.jit(lambda *x: [mode(curve, (0, 1, 2))(*x) for mode in (jax.jacfwd, jax.jacrev)])  # one program
    for size in (50.0, 100.0):
        assert curve(size, size, 0.0) == (np.inf, 0.0)
        assert np.isnan(slopes(size, size, 0.0)).all()


EQUAL, UNEQUAL = None, ScaleMixture([0.5, 1.5], [1.0, 1.0], [0.5, 0.5])


@pytest.mark.parametrize(
    ("mode", "mixture"),
    [
        pytest.param("jacfwd", EQUAL, id="forward-equal"),
        pytest.param("jacrev", UNEQUAL, id="reverse-unequal"),
        pytest.param("jacrev", EQUAL, id="reverse-equal", marks=pytest.mark.slow),
        pytest.param("jacfwd", UNEQUAL, id="forward-unequal", marks=pytest.mark.slow),
    ],
)
def test_slope_in_the_ridge_where_everything_is_learned(mode, mixture):
    """More features and samples than modes: a small ridge lowers the noise, by differences."""
    import jax

    law = rfm.power_law(1.8, 1.5, 100, 0.1)
    problem = rfm.Problem(law.eigenvalues, law.target, law.noise_var, mixture=mixture)

    def risk(ridge):
        return theory.predict(problem, num_features=120.0, num_samples=150.0, optimizer=rfm.Ridge(ridge)).risk[0]

    step = 1e-11
    forward = (-3 * risk(0.0) + 4 * risk(step) - risk(2 * step)) / (2 * step)
    assert forward < -1e3
    np.testing.assert_allclose(jax.jit(getattr(jax, mode)(risk))(0.0), forward, rtol=1e-3)


def test_pure_noise_problem_converges():
    curve = theory.predict(
        rfm.Problem([1.0, 0.5], [0.0, 0.0], 0.1), num_features=5, num_samples=6, optimizer=FLOW, times=[0.0, 1.0]
    )
    assert curve.converged
    assert curve.risk[0] == pytest.approx(0.0, abs=1e-15)
    assert curve.risk[1] > 0
