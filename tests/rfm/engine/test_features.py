"""Real populations and long spectra: `from_features`, rows sampled in training, modes streamed in chunks."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from draws import data_chunk, draw, feature_chunk, keys_of
from problems import INF

import rfm
import theory
from rfm.engine.features import Setting, num_chunks

KEY = jax.random.key(5)
MODEL = keys_of(KEY)


def gaussian_population(n, d, b=1.4, rotate=True, noise=0.0):
    """Rows, in a rotated basis, of a power-law spectrum, and labels linear in them plus noise."""
    rng = np.random.default_rng(0)
    k = np.arange(1.0, d + 1)
    rows = rng.standard_normal((n, d)) * k ** (-b / 2)
    labels = rows @ k**-0.2 + np.sqrt(noise) * rng.standard_normal(n)
    if rotate:
        rows = rows @ np.linalg.qr(rng.standard_normal((d, d)))[0]
    return rows, labels


@pytest.mark.parametrize("shape", [(400, 30), (25, 60)], ids=["n > d", "n < d"])
@pytest.mark.parametrize("center", [True, False])
def test_rows_are_in_the_eigenbasis(shape, center):
    """Their covariance is diag(eigenvalues), and the target reproduces the labels where it can."""
    x, y = gaussian_population(*shape)
    x, y = x + 0.5, y - 2.0
    population = rfm.from_features(x, y, center=center).population
    rows, n = population.rows, shape[0]
    np.testing.assert_allclose(rows.T @ rows / n, np.diag(population.eigenvalues), atol=1e-14)
    np.testing.assert_allclose(population.eigenvalues[0], 1.0, rtol=1e-14)
    expected = y - y.mean() if center else y
    np.testing.assert_allclose(population.labels, expected, rtol=1e-14, atol=1e-14)
    residual = expected - rows @ population.target
    if center or shape[0] < shape[1]:  # full rank: rows determine the labels
        np.testing.assert_allclose(residual, 0.0, atol=1e-11)
    else:
        assert np.mean(residual**2) > 1e-3


def test_spectrum_is_that_of_the_covariance():
    x, y = gaussian_population(300, 20)
    population = rfm.from_features(x, y, center=False, normalize=False).population
    np.testing.assert_allclose(population.eigenvalues, np.linalg.eigvalsh(x.T @ x / 300)[::-1], rtol=1e-11)
    power = np.sum(population.eigenvalues * population.target**2)
    np.testing.assert_allclose(power, np.mean(y**2), rtol=1e-12)


def test_noise_of_the_labels_and_fresh_noise():
    """What is fitted to the noise of 500 labels by 40 columns is not taken from it; fresh noise is added."""
    x, y = gaussian_population(500, 40, noise=0.3)
    problem = rfm.from_features(x, y, noise_var=0.05)
    best, *_ = np.linalg.lstsq(x - x.mean(0), y - y.mean(), rcond=None)
    unbiased = np.sum((y - y.mean() - (x - x.mean(0)) @ best) ** 2) / (499 - 40)
    np.testing.assert_allclose(problem.noise_var - 0.05, unbiased, rtol=0.01)
    np.testing.assert_allclose(problem.noise_var - problem.population.unexplained, 0.05, rtol=1e-12)


def test_theory_on_rows_is_that_of_their_spectrum():
    x, y = gaussian_population(200, 40)
    problem = rfm.from_features(x, y)
    sizes = dict(num_features=20, num_samples=30, optimizer=rfm.Ridge(0.01))
    plain = rfm.Problem(problem.eigenvalues, problem.target, problem.noise_var, problem.tail)
    np.testing.assert_array_equal(theory.predict(problem, **sizes).risk, theory.predict(plain, **sizes).risk)


@pytest.mark.parametrize("sizes", [(40, 80), pytest.param((INF, 50), marks=pytest.mark.slow)], ids=str)
def test_training_on_rows_against_theory(sizes):
    """2000 Gaussian rows, tested on those left out: four standard errors, 1/min(N, P), and the rows at hand, n^-1/2."""
    n = 2000
    x, y = gaussian_population(n, 60, noise=0.1)
    problem = rfm.from_features(x, y)
    keys = jax.random.split(KEY, 150)
    times = np.geomspace(0.3, 1e3, 6)
    kwargs = dict(num_features=sizes[0], num_samples=sizes[1], optimizer=rfm.GradientFlow(), times=times)
    found, expected = rfm.exact(problem, **kwargs, keys=keys), theory.predict(problem, **kwargs)
    allowed = 4 * found.stderr() + (1 / min(sizes) + n**-0.5) * expected.risk
    assert np.all(np.abs(found.mean() - expected.risk) < allowed)
    wrong = theory.predict(problem, **dict(kwargs, num_samples=1.5 * sizes[1]))
    assert np.any(np.abs(found.mean() - wrong.risk) > 1.5 * allowed)


def test_rows_are_sampled_with_their_labels():
    """Every training row is a row of the population, carrying its own label."""
    x, y = gaussian_population(50, 8)
    problem = rfm.from_features(x, y).output(0)
    setting = Setting(INF, 30, "ntk")
    psi, _ = data_chunk(problem, setting, MODEL.data, 0)
    labels = draw(problem, setting, MODEL).labels
    rows = problem.population.rows
    index = np.argmin(((np.asarray(psi)[:, None] - rows) ** 2).sum(-1), axis=1)
    np.testing.assert_array_equal(psi, rows[index])
    np.testing.assert_allclose(labels, problem.population.labels[index], rtol=1e-15)
    assert len(set(index.tolist())) == 30  # distinct


def test_population_longer_than_a_chunk():
    """1300 columns stream through two chunks, the second one padded."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((1400, 1300)) * np.arange(1.0, 1301) ** -0.6, rng.standard_normal(1400)
    problem = rfm.from_features(x, y).output(0)
    setting = Setting(10, 30, "ntk")
    drawn = draw(problem, setting, MODEL)
    f = np.concatenate([feature_chunk(problem, setting, MODEL.features, i)[0] for i in range(2)], axis=1)[:, :1300]
    psi = np.concatenate([data_chunk(problem, setting, MODEL.data, i)[0] for i in range(2)], axis=1)
    assert not np.any(psi[:, 1300:])
    np.testing.assert_allclose(drawn.design, psi[:, :1300] @ f.T, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("sizes", [(12, 20), (INF, 20), (12, INF)], ids=str)
def test_stream_of_modes_against_whole_arrays(sizes):
    """M = 5000 in five chunks: the reduced draw and the risk equal those of the arrays put together."""
    problem = rfm.power_law(1.8, 1.5, 5000, noise_var=0.1)
    setting, chunks = Setting(*sizes, "ntk"), range(5)
    assert num_chunks(problem) == 5
    lam, w = (np.concatenate(x)[:5000] for x in zip(*(problem.modes(1024 * i, 1024) for i in chunks), strict=True))
    np.testing.assert_allclose(lam, np.arange(1.0, 5001) ** -1.5, rtol=1e-13)
    f = psi = None
    if np.isfinite(sizes[0]):
        f = np.concatenate([feature_chunk(problem, setting, MODEL.features, i)[0] for i in chunks], axis=1)[:, :5000]
    if np.isfinite(sizes[1]):
        psi = np.concatenate([data_chunk(problem, setting, MODEL.data, i)[0] for i in chunks], axis=1)[:, :5000]
    drawn = draw(problem, setting, MODEL)
    if f is not None and psi is not None:
        np.testing.assert_allclose(drawn.design, psi @ f.T, rtol=1e-10, atol=1e-14)
        u = f.T @ np.linalg.solve(f @ psi.T @ psi @ f.T / 20 + 0.01 * np.eye(12), drawn.design.T @ drawn.labels / 20)
    elif f is None:
        np.testing.assert_allclose(drawn.gram, psi @ psi.T / 20, rtol=1e-10, atol=1e-14)
        u = psi.T @ np.linalg.solve(psi @ psi.T / 20 + 0.01 * np.eye(20), drawn.labels / 20)
    else:
        np.testing.assert_allclose(drawn.gram, (f * lam) @ f.T, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(drawn.labels, f @ (lam * w), rtol=1e-10, atol=1e-14)
        u = f.T @ np.linalg.solve((f * lam) @ f.T + 0.01 * np.eye(12), f @ (lam * w))
    kwargs = dict(num_features=sizes[0], num_samples=sizes[1], optimizer=rfm.Ridge(0.01), keys=KEY[None])
    np.testing.assert_allclose(rfm.exact(problem, **kwargs).risk[0, 0], np.sum(lam * (w - u) ** 2), rtol=1e-11)


def test_a_million_modes():
    """N = P = 30: the arrays of a draw would take 480 MB, the stream adds a few to what 2000 modes take."""
    script = """
import resource, sys
import jax, numpy as np
import rfm, theory

def peak():  # bytes: Linux counts in kilobytes, macOS in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

kwargs = dict(num_features=30, num_samples=30, optimizer=rfm.Ridge(0.1))
keys = jax.random.split(jax.random.key(5), 1)
rfm.exact(rfm.power_law(1.8, 1.5, 2000), **kwargs, keys=keys)
before = peak()
risk = rfm.exact(rfm.power_law(1.8, 1.5, 10**6), **kwargs, keys=keys).risk[0, 0]
print(risk / theory.predict(rfm.power_law(1.8, 1.5, 10**6), **kwargs).risk[0], (peak() - before) / 1e6)
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ratio, megabytes = map(float, done.stdout.split())
    assert abs(ratio - 1) < 0.5
    assert megabytes < 100
