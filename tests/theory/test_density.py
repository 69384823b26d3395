"""Density of curvatures: closed forms, moments, its Laplace transform, and draws."""

import numpy as np
import pytest

import rfm
import theory
from theory.densities import density
from theory.evaluation import problem_modes
from theory.fixed_point import Model

N, P = 20, 35


def of(problem, num_features, num_samples, z, eigenvalues):
    modes = problem_modes(problem, 20.0 - np.log(z.min()))
    return density(Model(modes, 1.0 / num_features, 1.0 / num_samples), np.asarray(z), np.asarray(eigenvalues))


def test_marchenko_pastur():
    """White, N = infinity: sqrt((z - z_-)(z_+ - z))/(2 pi z c) a mode, c = M/P; a part 1 - P/M is never learned."""
    ratio = 4.0
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    z = np.linspace(0.5 * low, 1.2 * high, 101)
    found = of(rfm.white(100), np.inf, 100 / ratio, z, [1.0])
    exact = np.sqrt(np.maximum((z - low) * (high - z), 0.0)) / (2 * np.pi * ratio)
    np.testing.assert_allclose(found.modes[:, 0], exact, atol=1e-6)
    np.testing.assert_allclose(found.total, 100 * exact, atol=1e-4)
    np.testing.assert_allclose(found.never, 1 - 1 / ratio, rtol=1e-10)
    assert found.residual < 1e-8


@pytest.fixture(scope="module")
def found():
    """A power law at finite N and P, on a grid fine enough to integrate: log z, eigenvalues, density."""
    problem = rfm.power_law(1.5, 1.2, 100)
    log_z = np.log(np.append(np.geomspace(1e-6, 0.05, 300, endpoint=False), np.geomspace(0.05, 6.0, 601)))
    return problem, log_z, of(problem, N, P, np.exp(log_z), problem.eigenvalues)


def test_moments(found):
    """Weight one a mode, mean lambda_k, min(N, P) eigenvalues in all; the total is the sum over modes."""
    problem, log_z, rho = found
    np.testing.assert_allclose(np.trapezoid(rho.modes, log_z, axis=0) + rho.never, 1.0, atol=2e-4)
    mean = np.trapezoid(rho.modes * np.exp(log_z)[:, None], log_z, axis=0)
    np.testing.assert_allclose(mean, problem.eigenvalues, rtol=2e-3)
    np.testing.assert_allclose(np.trapezoid(rho.total, log_z), min(N, P), rtol=1e-3)
    np.testing.assert_allclose(rho.total, np.sum(rho.modes, 1), atol=1e-8)
    assert np.all(rho.modes > -1e-8)


def test_laplace_transform_is_the_bias(found):
    """bias(t) = sum lambda_k w_k^2 [exp(-A t)]_kk^2, which `decompose` finds by contours."""
    problem, log_z, rho = found
    times = np.array([0.5, 5.0, 50.0])
    decay = np.exp(-np.exp(log_z) * times[:, None])  # (T, Z)
    left = np.trapezoid(rho.modes.T[:, None, :] * decay, log_z, axis=-1) + rho.never[:, None]  # (K, T)
    bias = (problem.eigenvalues * problem.target**2) @ left**2
    parts = theory.decompose(problem, num_features=N, num_samples=P, optimizer=rfm.GradientFlow(), times=times)
    np.testing.assert_allclose(bias, parts.bias, rtol=1e-3)


def test_draws(found):
    """Mean numbers of eigenvalues above four levels, of matrices drawn in plain numpy."""
    problem, log_z, rho = found
    rng, lam = np.random.default_rng(0), problem.eigenvalues
    levels, counts = np.array([1e-3, 1e-2, 0.05, 0.3]), []
    for _ in range(400):
        phi = (rng.standard_normal((P, 100)) * np.sqrt(lam)) @ rng.standard_normal((100, N)) / np.sqrt(N * P)
        counts.append(np.sum(np.linalg.svd(phi, compute_uv=False)[:, None] ** 2 > levels, axis=0))
    above = [np.trapezoid(np.where(log_z > np.log(level), rho.total, 0.0), log_z) for level in levels]
    stderr = np.std(counts, axis=0) / np.sqrt(len(counts))
    np.testing.assert_array_less(np.abs(np.mean(counts, axis=0) - above), 4 * stderr + 2 / N)
