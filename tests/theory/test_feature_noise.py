"""Features with noise of their own: against plain draws, against modes that are there, and against what it contains."""

import functools

import jax
import numpy as np
import pytest
from tolerances import FIXED_POINT, SAME_SUMS

import rfm
import theory

PROBLEM = rfm.power_law(1.5, 1.25, 100, 0.1)
LAMBDA, W = PROBLEM.eigenvalues, PROBLEM.target
DRAWS, TIMES = 200, np.array([1.0, 30.0, 1e3])
SETTINGS = [(20, 31, 0.05), (30, 28, 0.02), (31, 20, 0.2)]  # N, P, variance of the noise; one compilation for all


FLOW = rfm.GradientFlow()


def args(n, p, optimizer=FLOW, times=TIMES):
    return dict(num_features=n, num_samples=p, optimizer=optimizer, times=times)


def plain(rng, n, p, noise):
    """Risk and training loss (D, 2, T) of gradient flow on noisy features, test rows with noise of their own."""
    f = rng.standard_normal((DRAWS, n, 100)) / np.sqrt(n)
    x = rng.standard_normal((DRAWS, p, 100)) * np.sqrt(LAMBDA)
    y = x @ W + np.sqrt(0.1) * rng.standard_normal((DRAWS, p))
    phi = x @ f.swapaxes(1, 2) + np.sqrt(noise) * rng.standard_normal((DRAWS, p, n))
    z, basis = np.linalg.eigh(phi.swapaxes(1, 2) @ phi / p)
    z, t = np.maximum(z, 1e-14)[:, None], TIMES[:, None]
    moment = (y[:, None] @ phi @ basis) / p  # (D, 1, N)
    v = (-np.expm1(-z * t) / z * moment) @ basis.swapaxes(1, 2)  # (D, T, N)
    risk = (W - v @ f) ** 2 @ LAMBDA + noise * (v**2).sum(2)
    train = ((v @ phi.swapaxes(1, 2) - y[:, None]) ** 2).mean(2)
    return np.stack([risk, train], 1)


def deviates(draws, value, n):
    """How far the mean of draws is from theory, in three standard errors and two parts in N of it together."""
    error = draws.std(0, ddof=1) / np.sqrt(len(draws))
    return np.max(np.abs(draws.mean(0) - value) / (3.0 * error + 2.0 / n * value))


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_training(setting):
    """Plain draws and the simulator; noise of a feature that is counted once and not N times is refused, as is none."""
    n, p, noise = setting
    curve = theory.predict(PROBLEM, **args(n, p), feature_noise=noise)
    draws, size = plain(np.random.default_rng(n), n, p, noise), min(n, p)
    assert deviates(draws[:, 0], curve.risk, size) < 1.0
    assert deviates(draws[:, 1], curve.train_loss, size) < 1.0 or p < n  # where it falls to zero
    trained = rfm.exact(PROBLEM, **args(n, p), feature_noise=noise, seeds=DRAWS)
    assert deviates(trained.risk, curve.risk, size) < 1.0
    for wrong in (noise / n, 0.0):
        assert deviates(draws[:, 0], theory.predict(PROBLEM, **args(n, p), feature_noise=wrong).risk, size) > 1.0


def fits(rng, setting, target, label_noise, t):
    """Coefficients (D, M) of gradient flow on noisy features, and the variance noise |v|^2 (D,) on its predictions."""
    n, p, noise = setting
    f = rng.standard_normal((DRAWS, n, 100)) / np.sqrt(n)
    x = rng.standard_normal((DRAWS, p, 100)) * np.sqrt(LAMBDA)
    y = x @ np.broadcast_to(target, (DRAWS, 100))[..., None]
    y += np.sqrt(label_noise)[:, None, None] * rng.standard_normal((DRAWS, p, 1))
    phi = x @ f.swapaxes(1, 2) + np.sqrt(noise) * rng.standard_normal((DRAWS, p, n))
    z, basis = np.linalg.eigh(phi.swapaxes(1, 2) @ phi / p)
    z = np.maximum(z, 1e-14)[..., None]
    v = basis @ (-np.expm1(-z * t) / z * (basis.swapaxes(1, 2) @ (phi.swapaxes(1, 2) @ y / p)))
    return (f.swapaxes(1, 2) @ v)[..., 0], noise * (v**2).sum((1, 2))


@pytest.mark.parametrize(
    ("setting", "t"),
    [((40, 60, 0.05), 30.0), pytest.param((60, 45, 0.02), 300.0, marks=pytest.mark.slow), ((31, 31, 0.2), 30.0)],
)
def test_single_modes_and_chains(setting, t):
    """Share and scatter, a shift, a student and three generations of plain draws; each without the noise is refused."""
    (n, p, noise), size = setting, min(setting[:2])
    rng, call = np.random.default_rng(p), args(n, p, times=[t])
    test, strong = LAMBDA[::-1].copy(), dict(num_features=60, num_samples=80, optimizer=FLOW, times=[10.0])
    coefficients, heard = fits(rng, setting, W, np.full(DRAWS, 0.1), t)
    drawn = [(W - coefficients) ** 2 @ test + heard]
    for flat in (noise, 0.01):  # a student of the same noise, and one of another
        learned, own = fits(rng, (60, 80, flat), coefficients, heard, 10.0)
        drawn += [(W - learned) ** 2 @ LAMBDA + own]
    chain, told, label_noise = [(W - coefficients) ** 2 @ LAMBDA + heard], coefficients, heard
    for _ in range(2):
        told, label_noise = fits(rng, setting, told, 0.1 + label_noise, t)
        chain += [(W - told) ** 2 @ LAMBDA + label_noise]

    def predicted(noise):
        teacher = call | dict(feature_noise=noise)
        student = lambda own: theory.student(PROBLEM, teacher=teacher, **strong, noise_var=0.0, feature_noise=own)  # noqa: E731
        shifted = theory.shifted(PROBLEM, **call, test_eigenvalues=test, feature_noise=noise)
        generations = theory.generations(PROBLEM, 3, **call, feature_noise=noise)
        return [x.risk[0] for x in (shifted, student(noise), student(0.01))], generations.risk[:, 0]

    modes = theory.modes(PROBLEM, **call, modes=[1, 5, 20], feature_noise=noise)
    share = (coefficients / W)[:, [0, 4, 19]]
    spread = (share - share.mean(0)) ** 2 * DRAWS / (DRAWS - 1)
    assert deviates(share, modes.learned[0], size) < 1.0
    assert deviates(spread, modes.scatter[0] ** 2, size / 2) < 1.0
    clean = theory.modes(PROBLEM, **call, modes=[1, 5, 20])
    assert max(deviates(share, clean.learned[0], size), deviates(spread, clean.scatter[0] ** 2, size / 2)) > 1.0
    trained = rfm.coefficients(PROBLEM, **call, seeds=DRAWS, num_modes=20, feature_noise=noise)[:, 0] / W[:20]
    assert deviates(trained[:, [0, 4, 19]], modes.learned[0], size) < 1.0
    (risks, generations), (without, never) = predicted(noise), predicted(0.0)
    for draws, risk, wrong in zip(drawn, risks, without, strict=True):
        assert deviates(draws, risk, size) < 1.0
        assert deviates(draws, wrong, size) > 1.0
    assert deviates(np.array(chain).T, generations, size / 3) < 1.0  # three times as far off
    assert deviates(np.array(chain).T, never, size / 3) > 1.0


def test_limits_of_modes_and_chains():
    """No noise bit for bit; no shift and one generation are the risk; the clock; modes one by one."""
    call, weak = args(20, 50), args(30, 40, times=[10.0])
    functions = [
        theory.modes,
        theory.shifted,
        functools.partial(theory.generations, n=3),
        functools.partial(theory.student, teacher=weak),
    ]
    for function in functions:
        assert np.array_equal(function(PROBLEM, **call, feature_noise=0.0).risk, function(PROBLEM, **call).risk)
    for optimizer in (FLOW, rfm.Ridge(0.01), rfm.HeavyBall(0.1, 0.5)):
        times = None if isinstance(optimizer, rfm.Ridge) else TIMES
        sizes = args(20, 50, optimizer, times)
        risk = theory.predict(PROBLEM, **sizes, feature_noise=0.05).risk
        for curve in (
            theory.shifted(PROBLEM, **sizes, feature_noise=0.05).risk,
            theory.generations(PROBLEM, 2, **sizes, feature_noise=0.05).risk[0],
        ):
            np.testing.assert_allclose(curve, risk, rtol=FIXED_POINT)
    standard = args(20, 50, times=TIMES / 20) | dict(parametrization="standard", feature_noise=1.0)
    shift = dict(test_eigenvalues=LAMBDA[::-1].copy())
    np.testing.assert_allclose(
        theory.shifted(PROBLEM, **standard, **shift).risk,
        theory.shifted(PROBLEM, **call, **shift, feature_noise=0.05).risk,
        rtol=SAME_SUMS,
    )
    many = rfm.power_law(1.5, 1.25, 3000, 0.1)
    listed = rfm.Problem(*many.spectrum(), 0.1)
    chains = [theory.generations(x, 3, **call, feature_noise=0.05).risk for x in (many, listed)]
    np.testing.assert_allclose(*chains, rtol=FIXED_POINT)


@pytest.mark.parametrize("optimizer", [rfm.Ridge(0.01), rfm.Ridge(0.0)], ids=str)
def test_modes_that_are_there(optimizer):
    """A flat tail of ever more modes, whose error falls as one over their number."""
    args_ = args(30, 60, optimizer, None)
    noisy = theory.predict(PROBLEM, **args_, feature_noise=0.01)
    errors = []
    for count in (10**4, 10**5):
        tail = np.full(count, 0.3 / count)
        longer = rfm.Problem(np.append(LAMBDA, tail), np.append(W, 0.0 * tail), 0.1)
        with_modes = theory.predict(longer, **args_)
        errors.append([abs(getattr(with_modes, x) / getattr(noisy, x) - 1.0).item() for x in ("risk", "train_loss")])
    np.testing.assert_allclose(np.divide(*errors), 10.0, rtol=0.01)
    assert np.max(errors[1]) < 1e-3


def test_what_it_contains():
    """No noise is the theory without it, bit for bit; on fresh data noise is a ridge."""
    assert np.array_equal(
        theory.predict(PROBLEM, **args(20, 50), feature_noise=0.0).risk, theory.predict(PROBLEM, **args(20, 50)).risk
    )
    # risk(noise) less noise |v|^2, |v|^2 its derivative, is the clean risk at a ridge of the noise
    fresh, step = args(20, np.inf, rfm.Ridge(0.0), None), 1e-4
    risk = lambda noise: theory.predict(PROBLEM, **fresh, feature_noise=noise).risk  # noqa: E731
    noisy = risk(0.05)
    five = (risk(0.05 - 2 * step) - 8 * risk(0.05 - step) + 8 * risk(0.05 + step) - risk(0.05 + 2 * step)) / 12 / step
    clean = theory.predict(PROBLEM, **fresh | dict(optimizer=rfm.Ridge(0.05))).risk
    np.testing.assert_allclose(noisy - 0.05 * five, clean, rtol=FIXED_POINT)
    # and the same noise in features of variance one is N times as large, at times N times as early
    standard = args(20, 50, times=TIMES / 20) | dict(parametrization="standard")
    np.testing.assert_allclose(
        theory.predict(PROBLEM, **standard, feature_noise=1.0).risk,
        theory.predict(PROBLEM, **args(20, 50), feature_noise=0.05).risk,
        rtol=SAME_SUMS,
    )


@pytest.mark.parametrize(
    ("function", "more"),
    [
        (theory.predict, {}),
        (theory.decompose, {}),
        (theory.modes, {}),
        (theory.shifted, {}),
        (theory.generations, {"n": 2}),
        (theory.student, {"teacher": args(20, 30, rfm.Ridge(0.1), None)}),
        (rfm.simulate, {"seeds": 1}),
        (rfm.exact, {"seeds": 1}),
        (rfm.coefficients, {"seeds": 1}),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_refused_by_name(function, more):
    with pytest.raises(ValueError, match=r"`feature_noise` must be a finite variance >= 0.* but is -0\.1"):
        function(PROBLEM, **args(20, 50), **more, feature_noise=-0.1)
    with pytest.raises(ValueError, match="`num_features` must be finite where features have noise"):
        function(PROBLEM, **args(np.inf, 50), **more, feature_noise=0.1)
    series = rfm.correlated_rows(PROBLEM, autocorrelation=0.5)
    with pytest.raises(ValueError, match=r"`problem` must be one with rows of equal size.* where features have noise"):
        function(series, **args(20, 50), **more, feature_noise=0.1)


def test_next_order_is_refused():
    with pytest.raises(ValueError, match="`correction` must be False where features have noise"):
        theory.predict(PROBLEM, **args(20, 50), feature_noise=0.1, correction=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        dict(optimizer=rfm.GradientDescent(0.02), parametrization="standard", feature_noise=2.0),
        dict(num_samples=np.inf),
        dict(ensemble=3, bags=2),
        dict(num_samples=np.inf, optimizer=rfm.SGD(0.1, 4, momentum=0.5)),
        dict(optimizer=rfm.SGD(0.2, 4)),
        dict(richness=1.0),
        dict(optimizer=rfm.Ridge(0.03), times=None),
    ],
    ids=str,
)
def test_all_algorithms(more):
    """Trained models of every kind that is served, and none of them agrees with the theory without noise."""
    call = args(40, 80) | dict(feature_noise=0.05) | more
    trained = rfm.simulate(PROBLEM, **call, seeds=DRAWS).risk
    assert deviates(trained, theory.predict(PROBLEM, **call).risk, 40) < 1.0
    assert deviates(trained, theory.predict(PROBLEM, **call | dict(feature_noise=0.0)).risk, 40) > 1.0


@pytest.mark.slow
def test_sweeps():
    """Both sweeps have it as an argument and as an axis; runs are those of `simulate`."""
    grid, call = {"num_features": [20, 40], "feature_noise": [0.0, 0.05]}, dict(num_samples=60, times=TIMES)
    flow = rfm.GradientFlow()
    swept = theory.sweep(PROBLEM, grid, optimizer=flow, **call).risk
    single = [[theory.predict(PROBLEM, **args(n, 60), feature_noise=x).risk for x in (0.0, 0.05)] for n in (20, 40)]
    np.testing.assert_allclose(swept, single, rtol=FIXED_POINT)
    runs = rfm.sweep(PROBLEM, grid, optimizer=flow, seeds=2, **call)
    keys = runs.keys_at(num_features=20, feature_noise=0.05)
    np.testing.assert_allclose(
        runs.risk[0, 1], rfm.simulate(PROBLEM, **args(20, 60), keys=keys, feature_noise=0.05).risk, rtol=SAME_SUMS
    )
    fixed = rfm.sweep(PROBLEM, {"num_features": [20]}, optimizer=flow, seeds=2, feature_noise=0.05, **call)
    alone = rfm.simulate(PROBLEM, **args(20, 60), keys=fixed.keys_at(num_features=20), feature_noise=0.05)
    np.testing.assert_allclose(fixed.risk[0], alone.risk, rtol=SAME_SUMS)


@pytest.mark.slow
def test_runs_without_noise():
    for simulated in (rfm.simulate, rfm.exact):
        runs = [simulated(PROBLEM, **args(20, 50), seeds=3, **more).risk for more in ({}, {"feature_noise": 0.0})]
        assert np.array_equal(*runs)


@pytest.mark.slow
def test_derivative_in_the_noise():
    with jax.enable_x64():
        risk = lambda noise: theory.predict(PROBLEM, **args(20, 50), feature_noise=noise).risk[1]  # noqa: E731
        slope = (risk(0.0501) - risk(0.0499)) / 2e-4
        np.testing.assert_allclose(jax.grad(risk)(0.05), slope, rtol=1e-5)
