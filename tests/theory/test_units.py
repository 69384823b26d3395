"""Units: curvatures, target, noise and learning rate times constants change results by their units and nothing else."""

import functools

import jax
import numpy as np
import pytest
from tolerances import CONTOUR
from units import NOISY, RUNS, SHORT, SIZES, at, faster, rescaled

import rfm
import theory
from rfm.data.from_data import estimate_features, estimate_kernel

FACTORS = [  # of curvatures and of losses; those between are slow
    (1e-12, 1.0), pytest.param(1e-6, 1e6, marks=pytest.mark.slow), (1.0, 1e-12),
    pytest.param(1e6, 1.0, marks=pytest.mark.slow), (1e12, 1e12),
]  # fmt: skip
units = pytest.mark.parametrize(("curvature", "loss"), FACTORS)


@units
@pytest.mark.parametrize("run", RUNS, ids=lambda run: str(run[0]))
@pytest.mark.parametrize("problem", [NOISY, SHORT], ids=["infinite", "short"])
def test_curves(problem, run, curvature, loss):
    expected = theory.predict(problem, **at(*run))
    found = theory.predict(rescaled(problem, curvature, loss), **at(*run, curvature))
    assert found.converged
    np.testing.assert_allclose(found.risk / loss, expected.risk, rtol=CONTOUR, atol=1e-14)
    np.testing.assert_allclose(found.train_loss / loss, expected.train_loss, rtol=CONTOUR, atol=1e-14)


@units
def test_pieces_and_the_largest_curvature(curvature, loss):
    problem, run = rescaled(NOISY, curvature, loss), RUNS[0]
    expected, found = theory.decompose(NOISY, **at(*run)), theory.decompose(problem, **at(*run, curvature))
    for name in ("risk", "bias", "features", "data", "interaction", "noise"):
        np.testing.assert_allclose(getattr(found, name) / loss, getattr(expected, name), rtol=1e-7, atol=1e-12)
    edges = [theory.largest_curvature(p, **SIZES) for p in (NOISY, problem)]
    np.testing.assert_allclose(edges[1] / curvature, edges[0], rtol=1e-12)


@functools.cache
def known_stopping(optimizer, parametrization):
    return theory.best_stopping(NOISY, **SIZES, parametrization=parametrization, optimizer=optimizer)


@units
@pytest.mark.parametrize("optimizer", [rfm.GradientFlow(), rfm.GradientDescent(0.3), rfm.HeavyBall(0.1, 0.8)], ids=str)
@pytest.mark.parametrize("parametrization", ["ntk", "standard"])
def test_best_stopping(optimizer, parametrization, curvature, loss):
    optimizer = faster(optimizer, SIZES["num_features"]) if parametrization == "standard" else optimizer
    args = SIZES | {"parametrization": parametrization}
    expected = known_stopping(optimizer, parametrization)
    found = theory.best_stopping(rescaled(NOISY, curvature, loss), **args, optimizer=faster(optimizer, curvature))
    np.testing.assert_allclose(found.risk / loss, expected.risk, rtol=CONTOUR)
    np.testing.assert_allclose(found.time * (1 if optimizer.discrete else curvature), expected.time, rtol=1e-3)
    assert found.gains
    assert not found.at_edge


@units
@pytest.mark.parametrize("sizes", [SIZES, dict(num_features=100, num_samples=100)], ids=str)
def test_best_ridge(sizes, curvature, loss):
    expected, found = (theory.best_ridge(p, **sizes) for p in (NOISY, rescaled(NOISY, curvature, loss)))
    np.testing.assert_allclose(found.risk / loss, expected.risk, rtol=CONTOUR)
    np.testing.assert_allclose(found.ridge / curvature, expected.ridge, rtol=1e-3)
    assert found.gains
    assert not found.at_edge


@pytest.mark.parametrize(("curvature", "loss"), [pytest.param(1e6, 1.0, marks=pytest.mark.slow), (1e-12, 1e12)])
@pytest.mark.parametrize(
    "optimizer", [rfm.GradientFlow(), pytest.param(rfm.GradientDescent(0.3), marks=pytest.mark.slow)], ids=str
)
def test_frontier(optimizer, curvature, loss):
    """The budget of gradient flow has the unit of a time."""
    budget = 1.0 if optimizer.discrete else 1.0 / curvature
    problems = (NOISY, optimizer, 1.0), (rescaled(NOISY, curvature, loss), faster(optimizer, curvature), budget)
    expected, found = (
        theory.frontier(problem, [1e6 * unit], num_samples=200, optimizer=here) for problem, here, unit in problems
    )
    assert found.converged
    np.testing.assert_allclose(found.risk / loss, expected.risk, rtol=CONTOUR)
    for name in ("num_features", "size_exponent"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-6)
    np.testing.assert_allclose(found.risk_exponent, expected.risk_exponent, atol=1e-8)


@units
@pytest.mark.parametrize("run", RUNS, ids=lambda run: str(run[0]))
@pytest.mark.parametrize("call", [rfm.simulate, rfm.exact])
def test_runs(call, run, curvature, loss):
    keys, sizes = jax.random.split(jax.random.key(0), 16), dict(num_features=10, num_samples=14)
    if call is rfm.exact and isinstance(run[0], rfm.SGD):
        run = rfm.SGD(0.1, 4), run[1]
    expected = call(SHORT, **at(*run, sizes=sizes), keys=keys)
    found = call(rescaled(SHORT, curvature, loss), **at(*run, curvature, sizes=sizes), keys=keys)
    assert found.converged
    np.testing.assert_allclose(found.risk / loss, expected.risk, rtol=1e-7)
    np.testing.assert_allclose(found.train_loss / loss, expected.train_loss, rtol=1e-7, atol=1e-12)


def features_of(x):
    return x


def kernel_of(x):
    return x @ x.T


@units
@pytest.mark.parametrize(("estimate", "data"), [(estimate_features, features_of), (estimate_kernel, kernel_of)])
def test_estimates(estimate, data, curvature, loss):
    """Rows times a number are eigenvalues times its square, and labels times a number power and noise."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 80)) * np.arange(1, 81) ** -0.75
    y = x @ rng.standard_normal(80) + 0.3 * rng.standard_normal(200)
    kind = {"num_modes": 80} if estimate is estimate_kernel else {}
    args = (data(x), y), (data(x * np.sqrt(curvature)), y * np.sqrt(loss))
    expected, found = (estimate(*pair, normalize=False, **kind) for pair in args)
    a, b = expected.problem, found.problem
    np.testing.assert_allclose(b.eigenvalues / curvature, a.eigenvalues, rtol=1e-5)
    power, scaled = (p.eigenvalues * p.target**2 for p in (a, b))
    np.testing.assert_allclose(scaled / loss, power, rtol=1e-4, atol=1e-6 * power.max())
    np.testing.assert_allclose(found.noise_var / loss, expected.noise_var, rtol=1e-5)
    np.testing.assert_allclose([found.a, found.b], [expected.a, expected.b], rtol=1e-4)
