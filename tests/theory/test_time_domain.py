"""Gradient descent by contour integrals against the time-domain kernels of `oracles.py`, which know no contour."""

import numpy as np
import oracles
import pytest

import rfm
import theory

INF = np.inf
MODES = 24


def problem_of(a, b, noise_var):
    return rfm.power_law(a, b, MODES, noise_var)


def edge_of(problem, sizes):
    return float(theory.largest_curvature(problem, **sizes))


@pytest.mark.parametrize(
    "load", [0.3, 1.0, pytest.param(1.5, marks=pytest.mark.slow), 1.9], ids=lambda x: f"lr z_max = {x}"
)
@pytest.mark.parametrize(
    ("num_features", "num_samples", "noise_var", "steps"),
    [
        (15, 30, 0.0, 80),
        (30, 15, 0.3, 80),
        (20, 20, 0.1, 80),
        (60, 100, 0.2, 40),
        (INF, 20, 0.2, 60),
        (20, INF, 0.0, 60),
        (INF, INF, 0.4, 20),
        (1, 3, 0.1, 20),
    ],
)
def test_gradient_descent_against_time_domain(num_features, num_samples, noise_var, steps, load):
    """Every step from 0 to T; the last load is close to the edge of stability at 2."""
    problem = problem_of(1.7, 1.3, noise_var)
    sizes = dict(num_features=num_features, num_samples=num_samples)
    lr = load / edge_of(problem, sizes)
    spectrum = problem.eigenvalues, problem.target, noise_var
    risk, loss = oracles.time_domain_gd(*spectrum, num_features, num_samples, lr, steps)
    curve = theory.predict(problem, **sizes, optimizer=rfm.GradientDescent(lr), times=np.arange(81))
    np.testing.assert_allclose(curve.risk[: steps + 1], risk, rtol=2e-12)
    np.testing.assert_allclose(curve.train_loss[: steps + 1], loss, rtol=2e-12)
    assert curve.converged


def test_oracle_tells_other_sizes_apart():
    """Negative control: one feature more is seen at the tolerance used above."""
    problem = problem_of(1.7, 1.3, 0.1)
    spectrum = problem.eigenvalues, problem.target, 0.1
    risk, _ = oracles.time_domain_gd(*spectrum, 20, 30, 0.5, 20)
    other, _ = oracles.time_domain_gd(*spectrum, 21, 30, 0.5, 20)
    assert np.max(np.abs(other / risk - 1)) > 1e-3
