"""Moments of single modes where they are known in closed form: at infinite size, and where sizes meet."""

import numpy as np
import pytest
from tolerances import FIXED_POINT

import rfm
import theory
from theory import time_windows
from theory.filters import FILTERS

M, NOISE_VAR = 100, 0.1
PROBLEM = rfm.power_law(1.5, 1.25, M, NOISE_VAR)
LAMBDA, W = PROBLEM.eigenvalues, PROBLEM.target
REVERSED = LAMBDA[::-1].copy()


@pytest.mark.parametrize("optimizer", [rfm.GradientFlow(), rfm.GradientDescent(1.9), rfm.HeavyBall(0.3, 0.9)], ids=str)
def test_contours_of_single_times(optimizer, monkeypatch):
    """At N, P infinite a mode is what its filter leaves; an ellipse of half as many nodes fails."""
    times = np.append(np.arange(12.0), [30.0, 300.0, 1e4, 1e8])
    args = dict(num_features=np.inf, num_samples=np.inf, optimizer=optimizer, times=times)
    flt = FILTERS[type(optimizer).__name__](**vars(optimizer))
    exact = 1.0 - flt.response(LAMBDA[None] + 0j, times[:, None]).real
    np.testing.assert_allclose(theory.modes(PROBLEM, **args).learned, exact, rtol=FIXED_POINT, atol=1e-12)
    monkeypatch.setattr(time_windows, "EXACT", 16.0)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(theory.modes(PROBLEM, **args).learned, exact, rtol=FIXED_POINT, atol=1e-12)


def test_at_the_peak():
    """A teacher of infinite variance: all that its student learns is infinite, at any time but zero; NaN nowhere."""
    end = dict(num_features=50, num_samples=50, optimizer=rfm.Ridge(0.0))
    pupil = dict(num_features=40, num_samples=60, optimizer=rfm.GradientFlow(), times=[0.0, 1.0, 1e5])
    told = theory.student(PROBLEM, teacher=end, **pupil)
    assert told.converged
    assert np.array_equal(told.train_loss, [np.inf, np.inf, np.inf])
    np.testing.assert_allclose(told.risk, [LAMBDA @ W**2, np.inf, np.inf], rtol=FIXED_POINT)
    assert np.array_equal(theory.generations(PROBLEM, 3, **end).risk, np.full((3, 1), np.inf))
    for near in (end | dict(num_samples=50.01), end | dict(optimizer=rfm.Ridge(1e-9))):
        assert np.all(np.isfinite(theory.student(PROBLEM, teacher=near, **pupil).risk))
        assert np.all(theory.student(PROBLEM, teacher=near, **pupil).risk[1:] > 10.0)
    every = theory.modes(rfm.power_law(1.5, 1.25, 1000, NOISE_VAR), **end)
    assert np.array_equal(every.scatter, np.full((1, 1000), np.inf))


@pytest.mark.parametrize("sizes", [(M, M), (M, 2 * M), (2 * M, M), (M, np.inf), (np.inf, M)], ids=str)
def test_as_many_features_or_samples_as_modes(sizes):
    """Limits of slightly more of them; with noise on as many samples as modes infinite."""
    end = dict(num_features=sizes[0], num_samples=sizes[1], optimizer=rfm.Ridge(0.0))
    pupil = dict(num_features=40, num_samples=60, optimizer=rfm.Ridge(0.1))
    for noise in (0.0, NOISE_VAR):
        problem = rfm.Problem(LAMBDA, W, noise)
        modes, risk = theory.modes(problem, **end), theory.predict(problem, **end).risk
        np.testing.assert_allclose(modes.risk.sum(1), risk, rtol=FIXED_POINT, atol=1e-15)
        assert np.isinf(risk[0]) == (noise > 0 and sizes[1] == M)
        shifted = theory.shifted(problem, **end, test_eigenvalues=REVERSED).risk
        np.testing.assert_allclose(shifted, REVERSED @ (modes.risk[0] / LAMBDA), rtol=FIXED_POINT, atol=1e-15)
        if np.isfinite(risk[0]) and sizes != (M, M):  # whose limit depends on how N - P vanishes
            more = end | {name: x * (1.0 + 1e-9) for name, x in end.items() if x == M}
            for teacher in (end, more):
                told = theory.student(problem, teacher=teacher, **pupil)
                np.testing.assert_allclose(told.risk, theory.student(problem, teacher=more, **pupil).risk, rtol=1e-7)
    if sizes == (M, M):  # each mode has the variance E/(M lambda), which adds E/3 to the next E
        np.testing.assert_allclose(
            theory.generations(rfm.Problem(LAMBDA, W, 0.0), 2, **end).risk[:, 0],
            M * (W**2).sum() / (3.0 * (1.0 / LAMBDA).sum()) * np.array([1.0, 7.0 / 3.0]),
            rtol=FIXED_POINT,
        )
