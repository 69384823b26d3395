"""Rows of a time series: trained on as they are, in numpy, against the problem that states them."""

import numpy as np
import pytest

import rfm
import theory

M, DRAWS = 100, 300
PROBLEM = rfm.power_law(1.5, 1.25, M, 0.1)
LAMBDA, W = PROBLEM.eigenvalues, PROBLEM.target


def ar1(phi, p):
    return phi ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))


def trained(phi, n, p, times):
    """Risks (D, T) of gradient flow on rows of an AR(1) series, noise white."""
    rng = np.random.default_rng(n + p)
    root = np.linalg.cholesky(ar1(phi, p))
    f = rng.standard_normal((DRAWS, n, M)) / np.sqrt(n)
    x = root @ rng.standard_normal((DRAWS, p, M)) * np.sqrt(LAMBDA)
    phi_x = x @ f.swapaxes(1, 2)
    y = x @ W + np.sqrt(0.1) * rng.standard_normal((DRAWS, p))
    z, basis = np.linalg.eigh(phi_x.swapaxes(1, 2) @ phi_x / p)
    z = np.maximum(z, 1e-14)[..., None]
    moment = basis.swapaxes(1, 2) @ (phi_x.swapaxes(1, 2) @ y[..., None] / p)
    u = f.swapaxes(1, 2) @ (basis @ (-np.expm1(-z * times) / z * moment))  # (D, M, T)
    return np.einsum("dmt,m->dt", (W[:, None] - u) ** 2, LAMBDA)


@pytest.mark.parametrize(("phi", "n", "p"), [(0.6, 40, 60), (0.9, 60, 60), (-0.7, 30, 80)])
def test_training_on_a_series(phi, n, p):
    """Three standard errors and 2/N; the theory of independent rows is refused."""
    times = np.array([0.3, 3.0, 30.0, 300.0])
    risks = trained(phi, n, p, times)
    allowed = 3.0 * risks.std(0, ddof=1) / np.sqrt(DRAWS)
    args = dict(num_features=n, num_samples=p, optimizer=rfm.GradientFlow(), times=times)
    for statement in (dict(autocorrelation=phi), dict(covariance=ar1(phi, p))):
        predicted = theory.predict(rfm.correlated_rows(PROBLEM, **statement), **args).risk
        assert np.all(np.abs(risks.mean(0) - predicted) < allowed + 2.0 / n * predicted)
    independent = theory.predict(PROBLEM, **args).risk
    assert np.any(np.abs(risks.mean(0) - independent) > allowed + 2.0 / n * independent)


def test_the_simulator_draws_such_rows():
    phi, n, p = 0.6, 40, 60
    problem = rfm.correlated_rows(PROBLEM, autocorrelation=phi)
    args = dict(num_features=n, num_samples=p, optimizer=rfm.GradientFlow(), times=[3.0, 300.0])
    curve, predicted = rfm.simulate(problem, **args, seeds=100), theory.predict(problem, **args)
    assert np.all(np.abs(curve.mean() - predicted.risk) < 3.0 * curve.stderr() + 2.0 / n * predicted.risk)


def test_limits():
    """No correlation is no change; lags one by one are those of the formula."""
    args = dict(num_features=40, num_samples=60, optimizer=rfm.GradientFlow(), times=[3.0, 300.0])
    known = theory.predict(PROBLEM, **args).risk
    for statement in (dict(autocorrelation=[1.0]), dict(autocorrelation=0.0), dict(covariance=np.eye(7))):
        predicted = theory.predict(rfm.correlated_rows(PROBLEM, **statement), **args).risk
        np.testing.assert_allclose(predicted, known, rtol=1e-10)
    sizes = [rfm.correlated_rows(PROBLEM, autocorrelation=x).mixture.sizes for x in (0.5, 0.5 ** np.arange(60))]
    np.testing.assert_allclose(*sizes, rtol=1e-12)


@pytest.mark.parametrize("phi", [0.9, -0.6])
def test_few_sizes_stand_for_all(phi):
    """Gauss's rule against a thousand values of the symbol; 128 equal parts of them, each by its mean, are refused."""
    theta = (np.arange(1024) + 0.5) * np.pi / 1024
    values = (1.0 - phi**2) / (1.0 - 2.0 * phi * np.cos(theta) + phi**2)
    args = dict(num_features=40, num_samples=60, optimizer=rfm.GradientFlow(), times=[0.0, 3.0, 1e5])

    def risk(sizes):
        rows = rfm.problem.ScaleMixture(
            sizes / sizes.mean(), np.ones(len(sizes)), np.full(len(sizes), 1.0 / len(sizes))
        )
        return theory.predict(rfm.Problem(LAMBDA, W, 0.1, mixture=rows), **args).risk

    series = rfm.correlated_rows(PROBLEM, autocorrelation=phi)
    assert len(series.mixture.sizes) <= 32
    np.testing.assert_allclose(theory.predict(series, **args).risk, risk(values), rtol=1e-10)
    in_parts = risk(np.sort(values).reshape(128, 8).mean(1))
    assert np.max(np.abs(in_parts / risk(values) - 1.0)) > 1e-6


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("autocorrelation", {}),
        ("autocorrelation", dict(autocorrelation=0.5, covariance=np.eye(3))),
        ("autocorrelation", dict(autocorrelation=1.0)),
        ("autocorrelation", dict(autocorrelation=[0.5, 0.2])),
        ("autocorrelation", dict(autocorrelation=[1.0, 0.9])),
        ("covariance", dict(covariance=np.ones((3, 2)))),
        ("covariance", dict(covariance=2.0 * np.eye(3))),
        ("covariance", dict(covariance=np.ones((3, 3)))),
        ("covariance", dict(covariance=[[1.0, 0.1], [0.3, 1.0]])),
        ("problem", dict(problem=rfm.correlated_rows(PROBLEM, autocorrelation=0.5), autocorrelation=0.5)),
    ],
)
def test_refused(argument, change):
    with pytest.raises(ValueError, match=f"Argument `{argument}` must be"):
        rfm.correlated_rows(**dict(problem=PROBLEM) | change)
