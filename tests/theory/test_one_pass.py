"""One-pass SGD: sampled steps = second moments (same features) = theory (averaged over features), to within 1/N."""

import re
import time

import jax
import jax.numpy as jnp
import numpy as np
import one_pass_oracles as oracles
import pytest
from draws import feature_chunk, keys_of
from problems import INF

import rfm
import theory
from rfm.engine.features import Setting

PROBLEM = rfm.power_law(1.8, 1.5, 100, noise_var=0.1)
SMALL = rfm.power_law(1.8, 1.5, 30, noise_var=0.1)
STEPS = np.array([0, 1, 2, 5, 20, 100])  # six times wherever it does not matter, so that programs are shared
SPECS = [rfm.SGD(0.2, 1), rfm.SGD(0.5, 8), rfm.SGD(0.04, 2, 0.8)]
each_spec = pytest.mark.parametrize("spec", SPECS, ids=str)


def exact(problem, spec, keys, num_features=10, times=STEPS, call=rfm.exact):
    return call(problem, num_features=num_features, num_samples=INF, optimizer=spec, times=times, keys=keys)


def predict(problem, spec, num_features=10.0, times=STEPS):
    return theory.predict(problem, num_features=num_features, num_samples=INF, optimizer=spec, times=times)


def numbers(problem):
    return problem.eigenvalues, problem.target, float(problem.noise_var)


@jax.jit
def unscaled(problem, key):
    """F sqrt(N) of N = 45 as the library draws it from this key; fewer features are its first rows."""
    return feature_chunk(problem, Setting(45, INF, "standard"), keys_of(key).features, 0)[0]


def features_of(problem, num_features, key):
    """F (N, M)."""
    return np.asarray(unscaled(problem, key))[:num_features] / np.sqrt(num_features)


def named_bound(call):
    """The largest stable lr that the error message gives, of six digits."""
    with pytest.raises(ValueError, match=r"`lr` must be <") as caught:
        call()
    return float(re.search(r"must be < (\S+) =", str(caught.value))[1])


# ---- given the features


def test_volterra_equation_is_the_recursion():
    """Two oracles of the same F: scalar convolution, and M x M second moments."""
    lam, w, noise = numbers(SMALL)
    F = np.random.default_rng(0).standard_normal((10, 30)) / np.sqrt(10)
    for lr, batch in ((0.2, 1), (0.5, 8)):
        volterra = oracles.one_pass_volterra(F, lam, w, noise, lr, batch, 100)
        np.testing.assert_allclose(oracles.one_pass_moments(F, lam, w, noise, lr, batch, 100), volterra, rtol=1e-12)


@each_spec
def test_exact_against_full_second_moments(spec):
    """N < M, and with momentum N > M, where directions of no curvature are left over."""
    keys = jax.random.split(jax.random.key(5), 2)
    for n in (10, 45) if spec.momentum else (10,):
        found = exact(SMALL, spec, keys, n)
        for key, risk, loss in zip(keys, found.risk, found.train_loss, strict=True):
            numpy = features_of(SMALL, n, key), *numbers(SMALL), spec.lr, spec.batch_size, STEPS[-1], spec.momentum
            expected = oracles.one_pass_moments(*numpy)[STEPS]
            np.testing.assert_allclose(risk, expected, rtol=1e-10)
            np.testing.assert_allclose(loss, expected + 0.1, rtol=1e-10)  # on data not yet seen


@each_spec
def test_sampled_modes_average_to_the_recursion(spec):
    """6,000 runs of literal training on all modes, one F; no noise or batches twice as large are told apart."""
    rng, steps = np.random.default_rng(1), 30
    lam, w, noise = numbers(SMALL)
    F = rng.standard_normal((10, 30)) / np.sqrt(10)
    one = spec.lr, spec.batch_size, steps
    taken = oracles.one_pass_by_hand(rng, F, lam, w, noise, *one, 6000, spec.momentum)
    z = lambda risk: np.max(np.abs(taken.mean(0) - risk)[1:] / taken.std(0)[1:] * np.sqrt(6000))  # noqa: E731
    assert z(oracles.one_pass_moments(F, lam, w, noise, *one, spec.momentum)) < 4
    assert z(oracles.one_pass_moments(F, lam, w, 0.0, *one, spec.momentum)) > 5
    assert z(oracles.one_pass_moments(F, lam, w, noise, spec.lr, 2 * spec.batch_size, steps, spec.momentum)) > 5


@pytest.mark.parametrize("spec", SPECS[1:], ids=str)
def test_simulation_averages_to_exact(spec):
    """The library's steps, in the eigenbasis: the same features, 400 seeds, paired differences."""
    keys = jax.random.split(jax.random.key(11), 400)
    gap = exact(PROBLEM, spec, keys, 30, call=rfm.simulate).risk - exact(PROBLEM, spec, keys, 30).risk
    assert np.all(np.abs(gap.mean(0))[1:] < 4 * gap.std(0, ddof=1)[1:] / np.sqrt(400))
    np.testing.assert_allclose(gap[:, 0], 0, atol=1e-12)


# ---- theory

GAP_TIMES = np.array([2, 10, 100])
DRAWS = jax.random.split(jax.random.key(8), 400)


@pytest.mark.parametrize(
    ("num_features", "spec", "noise_var"),
    [
        (30, rfm.SGD(0.15, 1), 0.0),
        pytest.param(60, rfm.SGD(0.5, 8), 0.0, marks=pytest.mark.slow),
        (60, rfm.SGD(0.02, 4, 0.95), 0.1),
        (120, rfm.SGD(0.04, 2, 0.8), 0.0),  # N > M
    ],
    ids=str,
)
def test_theory_within_error(num_features, spec, noise_var):
    """Four standard errors of 400 draws, and 2/N; the same test rejects full batches, another lr and another size."""
    problem = rfm.power_law(1.8, 1.5, 100, noise_var)
    times = np.array([1, 2, 5, 20, 100, 500])
    found = exact(problem, spec, DRAWS, num_features, times)

    def worst(spec, n=num_features):
        expected = predict(problem, spec, n, times)
        assert expected.converged
        allowed = 4 * found.stderr() + 2 * expected.risk / num_features
        return np.max(np.abs(found.mean() - expected.risk) / allowed)

    assert worst(spec) < 1
    assert worst(rfm.SGD(spec.lr, INF, spec.momentum)) > 1.5
    assert worst(rfm.SGD(spec.lr / 2, spec.batch_size, spec.momentum)) > 1.5
    assert worst(spec, num_features / 2) > 1.5


def test_oracle_in_numpy_against_theory():
    """The numpy Volterra equation averaged over its own 400 draws, none of the library's."""
    rng, n = np.random.default_rng(4), 40
    draws = rng.standard_normal((400, n, 100)) / np.sqrt(n)
    risk = np.array([oracles.one_pass_volterra(F, *numbers(PROBLEM), 0.2, 2, 100)[STEPS] for F in draws])
    expected = predict(PROBLEM, rfm.SGD(0.2, 2), n).risk
    assert np.all(np.abs(risk.mean(0) - expected) < 4 * risk.std(0) / 20 + 2 * expected / n)


@pytest.mark.slow
def test_gap_falls_as_one_over_n():
    """N (mean over draws/theory - 1) at N = 12, 25, 50, 100: one constant within error, hence a slope of -1."""
    scaled, error = [], []
    for n in (12, 25, 50, 100):
        keys = jax.random.split(jax.random.key(100 + n), 1500)
        found, expected = (f(PROBLEM, SPECS[0], *a, n, GAP_TIMES) for f, a in ((exact, [keys]), (predict, [])))
        scaled.append(n * (found.mean() / expected.risk - 1))
        error.append(n * found.stderr() / expected.risk)
    scaled, weight = np.array(scaled), np.array(error) ** -2.0
    constant = np.sum(weight * scaled, 0) / np.sum(weight, 0)
    assert np.all(np.abs(scaled - constant) < 4 * np.array(error))
    assert np.all(constant > 4 / np.sqrt(np.sum(weight, 0)))  # the gap is seen


@each_spec
def test_start_is_exact(spec):
    curve = predict(PROBLEM, spec, 40.0)
    power = np.sum(PROBLEM.eigenvalues * PROBLEM.target**2)
    np.testing.assert_allclose([curve.risk[0], curve.train_loss[0]], [power, power + 0.1], rtol=1e-12)


@pytest.mark.parametrize("spec", [SPECS[0], SPECS[1]], ids=str)
def test_one_step(spec):
    """E A L A = L + (L + tr L)/N, A = F^T F: the theory keeps tr L/N and leaves out L/N, a gap of exactly 1/N."""
    lam, w, noise = numbers(PROBLEM)
    found = exact(PROBLEM, spec, DRAWS, 30)
    moment = lambda p: np.sum(lam**p * w**2)  # noqa: E731
    first = moment(1) - 2 * spec.lr * moment(2)

    def after_one(n, kept):
        signal = (1 + kept / n) * moment(3) + np.sum(lam) * moment(2) / n
        noisy = (1 + kept / n) * np.sum(lam**2) + np.sum(lam) ** 2 / n
        spread = (1 + 1 / spec.batch_size) * signal + (moment(1) + noise) / spec.batch_size * noisy
        return first + spec.lr**2 * spread

    for n in (20, 40, 1e3):
        np.testing.assert_allclose(predict(PROBLEM, spec, n).risk[1], after_one(n, kept=0), rtol=1e-11)
    assert abs(found.mean()[1] - after_one(30, kept=1)) < 4 * found.stderr()[1]


@pytest.mark.parametrize("batch", [1, 5])
def test_plateau(batch):
    """t -> infinity, by real roots of kappa; 10^7 steps take no longer than ten."""
    lr = 0.8 * oracles.one_pass_edge(PROBLEM.eigenvalues, 40, batch)[1]
    expected = oracles.one_pass_plateau(*numbers(PROBLEM), 40, lr, batch)
    late = np.unique(np.geomspace(1, 1e7, 40).round())
    predict(PROBLEM, rfm.SGD(0.9 * lr, batch), 40.0, late)  # compiles
    start = time.perf_counter()
    curve = predict(PROBLEM, rfm.SGD(lr, batch), 40.0, late)
    assert time.perf_counter() - start < 2.0
    assert curve.converged
    assert np.all(np.isfinite(curve.risk))
    np.testing.assert_allclose(curve.risk[-1], expected, rtol=1e-9)


@pytest.mark.parametrize("batch", [INF, 1e12])
@pytest.mark.parametrize(("lr", "momentum"), [(0.5, 0.0), (0.3, 0.4)])
def test_large_batches_are_full_batches(batch, lr, momentum):
    full = rfm.HeavyBall(lr, momentum) if momentum else rfm.GradientDescent(lr)
    left, right = (predict(PROBLEM, x, 40.0, STEPS * 100) for x in (rfm.SGD(lr, batch, momentum), full))
    np.testing.assert_allclose(left.risk, right.risk, rtol=1e-9)


@each_spec
def test_all_features(spec):
    """N = infinity: nothing random but the steps, H = diag lambda."""
    numpy = np.eye(30), *numbers(SMALL), spec.lr, spec.batch_size, STEPS[-1], spec.momentum
    np.testing.assert_allclose(predict(SMALL, spec, INF).risk, oracles.one_pass_moments(*numpy)[STEPS], rtol=1e-9)


@pytest.mark.parametrize("spec", SPECS[1:], ids=str)
def test_times_together_equal_times_alone(spec):
    together = predict(PROBLEM, spec, 40.0, np.array([1, 7, 30, 50, 400, 10**5]))
    alone = [predict(PROBLEM, spec, 40.0, np.array([t])).risk[0] for t in together.times]
    np.testing.assert_allclose(together.risk, alone, rtol=1e-9)


@pytest.mark.parametrize(("spec", "steps"), [(SPECS[0], 0), (SPECS[2], 1)], ids=str)
def test_few_steps_alone(spec, steps):
    """No later time beside them: the same as with one."""
    alone, beside = (predict(PROBLEM, spec, 40.0, np.array(t)) for t in ([steps], [steps, 200, 400, 600, 800, 1000]))
    np.testing.assert_allclose(alone.risk[0], beside.risk[0], rtol=1e-9)


def at_thirty(lr, batch, n, noise_var, momentum):
    problem = rfm.power_law(1.8, 1.5, 100, noise_var)
    return predict(problem, rfm.SGD(lr, batch, momentum), n, jnp.array([30.0])).risk[0]


POINT = (0.05, 3.0, 40.0, 0.1, 0.6)


@pytest.mark.slow
def test_gradients():
    """Each of lr, batch_size, num_features, noise_var and momentum by differences of fourth order."""
    gradient = jax.jit(jax.grad(at_thirty, (0, 1, 2, 3, 4)))(*POINT)
    for i, (x, slope) in enumerate(zip(POINT, gradient, strict=True)):
        moved = [at_thirty(*POINT[:i], x * (1 + 1e-3 * s), *POINT[i + 1 :]) for s in (-2, -1, 1, 2)]
        np.testing.assert_allclose(slope, np.dot([1, -8, 8, -1], moved) / (12 * 1e-3 * x), rtol=1e-7)


def test_vmap():
    """All five at once, with an infinite size and no momentum among them."""
    grid = jnp.array([POINT, (0.1, 1.0, jnp.inf, 0.0, 0.0), (0.03, 30.0, 80.0, 0.3, 0.8)])
    mapped = jax.jit(jax.vmap(lambda point: at_thirty(*point)))(grid)
    np.testing.assert_allclose(mapped, [at_thirty(*point) for point in grid], rtol=1e-9)


# ---- stability


@pytest.mark.parametrize("batch", [1, 4, 30])
def test_largest_lr_of_theory(batch):
    """As real roots of kappa give it; just below it the curve is right, just above it is refused."""
    _, largest = oracles.one_pass_edge(PROBLEM.eigenvalues, 40, batch)
    named = named_bound(lambda: predict(PROBLEM, rfm.SGD(1.0001 * largest, batch), 40.0))
    np.testing.assert_allclose(named, largest, rtol=1e-5)
    curve = predict(PROBLEM, rfm.SGD(0.9999 * largest, batch), 40.0, np.array([0, 1, 100, 10**4, 10**6, 10**8]))
    assert curve.converged
    expected = oracles.one_pass_plateau(*numbers(PROBLEM), 40, 0.9999 * largest, batch)
    np.testing.assert_allclose(curve.risk[-1], expected, rtol=1e-6)


@pytest.mark.parametrize(("batch", "momentum"), [(1, 0.0), (6, 0.3), (2, 0.9)])
def test_largest_lr_of_a_draw(batch, momentum):
    """The spectral radius of the full map of second moments, at N = infinity (theory) and for a draw of N = 4."""
    problem, spec = rfm.power_law(1.8, 1.5, 5), rfm.SGD(13.0, batch, momentum)
    largest = oracles.one_pass_largest_lr(np.diag(problem.eigenvalues), batch, momentum)
    np.testing.assert_allclose(named_bound(lambda: predict(problem, spec, INF)), largest, rtol=1e-5)
    keys = jax.random.split(jax.random.key(3), 1)
    f = features_of(problem, 4, keys[0])
    largest = oracles.one_pass_largest_lr((f * problem.eigenvalues) @ f.T, batch, momentum)
    np.testing.assert_allclose(named_bound(lambda: exact(problem, spec, keys, 4)), largest, rtol=1e-5)
    for factor, end in ((0.98, "bounded"), (1.02, "grows")):
        numpy = f, *numbers(problem), factor * largest, batch, 3000, momentum
        risk = oracles.one_pass_moments(*numpy)
        assert (risk[3000] > risk[1500] * 10) == (end == "grows")


# ---- many passes


def test_full_batches_of_a_finite_set():
    """batch_size = num_samples, in any order: gradient descent, or the heavy ball."""
    keys = jax.random.split(jax.random.key(6), 3)
    for sgd, full in ((rfm.SGD(0.4, 50), rfm.GradientDescent(0.4)), (rfm.SGD(0.2, 50, 0.8), rfm.HeavyBall(0.2, 0.8))):
        sizes = dict(num_features=30, num_samples=50, times=STEPS, keys=keys)
        left, right = (rfm.simulate(PROBLEM, optimizer=x, **sizes) for x in (sgd, full))
        np.testing.assert_allclose(left.risk, right.risk, rtol=1e-12)
        np.testing.assert_allclose(left.train_loss, right.train_loss, rtol=1e-12)
