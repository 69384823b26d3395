"""Panels of scans: training losses, which have label noise in them, stand beside the test loss, which has it too."""

import jax
import numpy as np
import pytest

import rfm
from experiments.compare.scans import scan_time
from experiments.output.drawing import TEST_LOSS, draw_scan
from experiments.output.plotting import new_figure


@pytest.mark.parametrize("noise_var", [0.0, 0.3])
def test_training_loss_is_drawn_with_the_test_loss(noise_var):
    problem, times = rfm.power_law(1.8, 1.5, 100, noise_var), np.array([1.0, 10.0, 100.0])
    keys = jax.random.split(jax.random.key(0), 3)
    scan = scan_time(problem, times, optimizer=rfm.GradientFlow(), num_features=20, num_samples=30, keys=keys)
    _, axes = new_figure(1, 1)
    draw_scan(axes[0, 0], scan)
    lines = {line.get_label(): line.get_ydata() for line in axes[0, 0].get_lines()}
    assert (TEST_LOSS in lines) == (noise_var > 0)
    if noise_var > 0:
        np.testing.assert_allclose(lines[TEST_LOSS], scan.risk.theory + noise_var)
        assert np.all(lines[TEST_LOSS] > scan.training.theory)
