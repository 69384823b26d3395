"""Simulation in other units: no loss is too large, no curvature too small, to be what it is elsewhere."""

import warnings

import jax
import numpy as np
import pytest
from units import RUNS, SHORT, at, rescaled

import rfm

KEYS = jax.random.split(jax.random.key(5), 2)
SIZES = dict(num_features=10, num_samples=16)
FACTORS = [(1e-12, 1e89), (1.0, 1e48), (1e12, 1e89), (1.0, 1e-89)]  # of curvatures and of losses


@pytest.mark.parametrize(("curvature", "loss"), FACTORS)
@pytest.mark.parametrize("run", RUNS, ids=lambda run: str(run[0]))
@pytest.mark.parametrize("method", [rfm.simulate, rfm.exact])
def test_losses(method, run, curvature, loss):
    optimizer, times = run
    expected = method(SHORT, **at(optimizer, times, sizes=SIZES), keys=KEYS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of runs that diverge
        found = method(rescaled(SHORT, curvature, loss), **at(optimizer, times, curvature, SIZES), keys=KEYS)
    assert found.converged
    np.testing.assert_allclose(found.risk / loss, expected.risk, rtol=1e-7)
    np.testing.assert_allclose(found.train_loss / loss, expected.train_loss, rtol=1e-7, atol=1e-14)
