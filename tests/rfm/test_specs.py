"""Algorithms of Optax: numbers that compile once, and a run that diverges."""

import jax
import numpy as np
import optax
import pytest

import rfm

PROBLEM = rfm.power_law(1.8, 1.5, 100, noise_var=0.1)
STEPS = np.array([0, 1, 30, 1000])
FEW = jax.random.split(jax.random.key(2), 200)[:3]


def test_a_run_that_diverges_says_when_and_keeps_what_it_has():
    """Optax knows no bound: the run stops, tells the step, and ends its curve before."""
    optimizer = rfm.Optax(optax.sgd(30.0))
    with pytest.warns(RuntimeWarning, match="training diverged: .* after .* of 1000 steps"):
        curve = rfm.simulate(PROBLEM, num_features=40, num_samples=70, optimizer=optimizer, times=STEPS, keys=FEW)
    np.testing.assert_array_equal(curve.times, STEPS[: len(curve.times)])
    assert 2 <= len(curve.times) < len(STEPS)
    assert curve.risk.shape == curve.train_loss.shape == (3, len(curve.times))
    assert np.isfinite(curve.risk).all()
    assert not curve.converged
    assert np.isinf(curve.residual)
    assert "diverged" in curve.message


def test_numbers_of_a_transformation_compile_once():
    """A sweep over the numbers of Optax, or of any spec, is one compilation."""
    from rfm.engine.batches import train_models

    before = train_models._cache_size()
    for lr in (0.01, 0.02, 0.03):
        optimizer = rfm.Optax(optax.adam, {"learning_rate": lr})
        rfm.simulate(PROBLEM, num_features=39, num_samples=70, optimizer=optimizer, times=STEPS, keys=FEW[:2])
    assert train_models._cache_size() == before + 1
