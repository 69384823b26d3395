"""Accuracies that docstrings state."""

import numpy as np
import pytest
from scipy.special import erfinv

import rfm
import theory


def test_moments_of_the_normals():
    """`rfm.engine.features.normal`: all values that 23 bits make, each as likely as the others."""
    lowest = float(np.nextafter(np.float32(-1), np.float32(0)))
    uniform = np.arange(2**23) / 2**23 * (1.0 - lowest) + lowest
    values = np.sqrt(2.0) * erfinv(uniform)
    assert abs(values.mean()) < 1e-6
    assert abs((values**2).mean() - 1.0) < 1e-6


def test_nodes_of_the_frontier():
    """`theory.frontier`: 64 nodes leave errors below 1e-5 of the risk."""
    problem = rfm.power_law(1.8, 1.5, 10_000)
    args = dict(compute=[1e2, 1e4, 1e6], optimizer=rfm.GradientFlow())
    few, usual = theory.frontier(problem, nodes=64, **args), theory.frontier(problem, **args)
    np.testing.assert_allclose(few.risk, usual.risk, rtol=1e-5)
    slopes = [np.diff(np.log(x.risk)) / np.diff(np.log(x.compute)) for x in (few, usual)]
    np.testing.assert_allclose(*slopes, atol=1e-4)


@pytest.mark.parametrize("noise", [0.01, 1.0])
def test_training_that_is_shorter_than_the_grid_of_best_stopping(noise):
    """`theory.best_stopping`: what is trained for less than 1e-4/z_max has learned less than 1e-4."""
    problem = rfm.power_law(1.8, 1.5, 1000, noise_var=noise)
    sizes = dict(num_features=64, num_samples=128)
    least = 1e-4 / float(theory.largest_curvature(problem, **sizes))
    risk = theory.predict(problem, optimizer=rfm.GradientFlow(), times=[0.0, least], **sizes).risk
    assert 0 < 1.0 - risk[1] / risk[0] < 2e-4
