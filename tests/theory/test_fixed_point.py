"""kappa(s) on the real axis and along contours, and the edge of the spectrum."""

import jax
import numpy as np
import oracles
import pytest
from problems import INF

import rfm
import theory
from theory import fixed_point
from theory.contour import hyperbola
from theory.evaluation import problem_modes
from theory.fixed_point import Model

DEPTH = 48.0  # modes below exp(-48) are lumped

kappa_path, kappa_real, spectral_edge = (  # compiled once a shape for the many calls below
    jax.jit(f) for f in (fixed_point.kappa_path, fixed_point.kappa_real, fixed_point.spectral_edge)
)

SIZES = [(30, 50), (50, 30), (40, 40), (INF, 30), (30, INF), (1, 2), (4000, 9000), (37.5, 12.25)]


def spectra():
    """Three of one number of modes, so that they share their programs."""
    return {
        "power law": rfm.power_law(1.8, 1.5, 200),
        "slow power law": rfm.power_law(1.3, 0.7, 200),
        "white": rfm.white(200),
        "long": rfm.power_law(1.8, 1.5, 10**5),
    }


@pytest.mark.parametrize("name", ["power law", "slow power law", "white"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_kappa_against_oracle(name, sizes):
    """Real s over ten decades, against a bracketing root finder."""
    problem = spectra()[name]
    modes = problem_modes(problem, DEPTH)
    n, p = sizes
    for s in (1e-9, 1e-6, 1e-3, 0.1, 10.0):
        kappa, residual = kappa_real(s, Model(modes, 1 / n, 1 / p))
        expected = oracles.kappa_real(problem.eigenvalues, np.ones_like(problem.eigenvalues), s, n, p)
        np.testing.assert_allclose(kappa, expected, rtol=1e-11)
        assert residual < 1e-11


@pytest.mark.parametrize(("num_features", "num_samples"), [(30, 50), (50, 30), (40, 40), (INF, 30), (30, INF)])
def test_kappa_without_ridge(num_features, num_samples):
    """s = 0: df1 = min(N, P), the limit of small s."""
    modes = problem_modes(spectra()["power law"], DEPTH)
    kappa, _ = kappa_real(0.0, Model(modes, 1 / num_features, 1 / num_samples))
    lam = np.asarray(modes.eigenvalues)
    np.testing.assert_allclose(np.sum(lam / (lam + kappa)), min(num_features, num_samples), rtol=1e-13)


def test_kappa_without_ridge_and_full_rank_is_zero():
    kappa, residual = kappa_real(0.0, Model(problem_modes(rfm.white(20), DEPTH), 1 / 30, 1 / 40))
    assert kappa == 0
    assert residual == 0


def test_nothing_random_leaves_s_unchanged():
    kappa, _ = kappa_real(0.37, Model(problem_modes(spectra()["power law"], DEPTH), 0.0, 0.0))
    np.testing.assert_allclose(kappa, 0.37, rtol=1e-15)


@pytest.mark.parametrize("name", ["power law", "white", "long"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("horizon", [1.0, 1e8])
def test_continuation_solves_the_equation(name, sizes, horizon):
    """s(kappa) = s at every node of the contour, by sums written out here, on the branch of large s."""
    modes = problem_modes(spectra()[name], DEPTH)
    inv_n, inv_p = 1 / sizes[0], 1 / sizes[1]
    edge = np.asarray(spectral_edge(Model(modes, inv_n, inv_p)))
    s = -hyperbola(horizon, edge).nodes
    kappa, _, residual = kappa_path(s, Model(modes, inv_n, inv_p))
    lam, count = np.asarray(modes.eigenvalues), np.asarray(modes.multiplicity)
    df1 = np.sum(count * lam / (lam + np.asarray(kappa)[:, None]), axis=1)
    # 1 - df1/N is rounded to 1e-16 and s ~ 1e-9 beside kappa ~ 1 inherits that, so the error is measured in kappa
    gap = np.abs(kappa * (1 - df1 * inv_n) * (1 - df1 * inv_p) - s)
    assert np.max(gap / np.abs(kappa)) < 1e-14
    assert residual < 2e-14
    # the wanted branch is a Stieltjes transform: both keep the sign of their imaginary part, and kappa ~ s far out
    assert np.all(np.asarray(kappa).imag[1:] * np.asarray(s).imag[1:] > 0)


@pytest.mark.parametrize("load", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("infinite", ["features", "samples"])
def test_edge_of_the_white_spectrum(load, infinite):
    """(1 + sqrt(M/P))^2 with all features (Marchenko and Pastur 1967), and with N in place of P with all data."""
    modes = problem_modes(rfm.white(200), DEPTH)
    pair = (0.0, load / 200) if infinite == "features" else (load / 200, 0.0)
    edge = spectral_edge(Model(modes, *pair))
    np.testing.assert_allclose(edge, (1 + np.sqrt(load)) ** 2, rtol=1e-12)


def test_edge_is_symmetric_in_features_and_samples():
    modes = problem_modes(spectra()["power law"], DEPTH)
    np.testing.assert_allclose(
        spectral_edge(Model(modes, 1 / 30, 1 / 70)), spectral_edge(Model(modes, 1 / 70, 1 / 30)), rtol=1e-13
    )


def test_edge_without_randomness_is_the_largest_eigenvalue():
    np.testing.assert_allclose(
        spectral_edge(Model(problem_modes(spectra()["power law"], DEPTH), 0.0, 0.0)), 1.0, rtol=1e-12
    )


@pytest.mark.parametrize(("num_features", "num_samples"), [(150, 300), (300, 150), (INF, 200), (200, INF)])
def test_edge_of_white_draws(num_features, num_samples):
    """The largest curvature of ten draws scatters about the edge by about N^-2/3 of it."""
    m, rng = 250, np.random.default_rng(5)
    found = []
    for _ in range(10):
        psi = np.eye(m) if np.isinf(num_samples) else rng.standard_normal((num_samples, m)) / np.sqrt(num_samples)
        f = np.eye(m) if np.isinf(num_features) else rng.standard_normal((num_features, m)) / np.sqrt(num_features)
        found.append(np.linalg.svd(psi @ f.T, compute_uv=False)[0] ** 2)
    edge = spectral_edge(Model(problem_modes(rfm.white(m), DEPTH), 1 / num_features, 1 / num_samples))
    assert abs(np.mean(found) / edge - 1) < 0.05


def test_prediction_carries_the_edge():
    """`largest_curvature` is it, and the standard parametrization multiplies it by N."""
    setting = dict(num_features=30, num_samples=50)
    problem = spectra()["power law"]
    ntk = theory.largest_curvature(problem, **setting)
    standard = theory.largest_curvature(problem, **setting, parametrization="standard")
    edge = spectral_edge(Model(problem_modes(problem, DEPTH), 1 / 30, 1 / 50))
    np.testing.assert_allclose([ntk, standard], [edge, 30 * edge], rtol=1e-12)


def test_kappa_is_differentiable():
    """d kappa/ds = 1/(ds/dkappa), against central differences."""
    modes = problem_modes(spectra()["power law"], DEPTH)
    slope = jax.grad(lambda s: kappa_real(s, Model(modes, 1 / 30, 1 / 50))[0])(0.1)
    up, down = (kappa_real(0.1 + h, Model(modes, 1 / 30, 1 / 50))[0] for h in (1e-5, -1e-5))
    np.testing.assert_allclose(slope, (up - down) / 2e-5, rtol=1e-8)
