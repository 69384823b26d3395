"""Rows of several domains: plain training, the equations solved another way, and what they contain."""

import dataclasses

import jax
import numpy as np
import pytest
from tolerances import FIXED_POINT, SAME_SUMS, STANDARD_ERRORS

import rfm
import theory
from rfm.parts import Domains, ScaleMixture

M, DRAWS, TIMES = 100, 300, np.array([1.0, 30.0, 1e3])
K = np.arange(1.0, M + 1)
W = K**-0.1 * np.cos(K)
FLOW, RIDGE = rfm.GradientFlow(), rfm.Ridge(0.01)
SPECTRA = {
    "opposite": [K**-1.2, K[::-1] ** -1.2],
    "steep and flat": [K**-2.0, 0.5 * K**-0.6],
    "of parts": [np.where(K < 60, K**-1.0, 0.0), np.where(K > 40, 0.2, 0.0), K**-1.5],
}
SETTINGS = [  # spectra, shares, noise, N, P
    ("opposite", [0.8, 0.2], [0.1, 0.4], 45, 60),
    ("steep and flat", [0.3, 0.7], [0.0, 0.2], 60, 45),
    ("of parts", [0.5, 0.25, 0.25], [0.3, 0.1, 0.1], 30, 80),
]


def args(n, p, optimizer=FLOW, times=TIMES):
    return dict(num_features=n, num_samples=p, optimizer=optimizer, times=times)


def plain(setting):
    """Risk in every domain (draws, D, T) and training loss (draws, T) of gradient flow, in numpy alone."""
    name, shares, noise, n, p = setting
    rng, spectra = np.random.default_rng(n), np.array(SPECTRA[name])
    kinds = rng.choice(len(shares), (DRAWS, p), p=shares)
    x = rng.standard_normal((DRAWS, p, M)) * np.sqrt(spectra)[kinds]
    y = x @ W + np.sqrt(noise)[kinds] * rng.standard_normal((DRAWS, p))
    f = rng.standard_normal((DRAWS, n, M)) / np.sqrt(n)
    phi = x @ f.swapaxes(1, 2)
    z, basis = np.linalg.eigh(phi.swapaxes(1, 2) @ phi / p)
    z, t = np.maximum(z, 1e-14)[:, None], TIMES[:, None]
    v = (-np.expm1(-z * t) / z * (y[:, None] @ phi @ basis) / p) @ basis.swapaxes(1, 2)  # (draws, T, N)
    risk = ((W - v @ f) ** 2 @ spectra.T).swapaxes(1, 2)
    return risk, ((v @ phi.swapaxes(1, 2) - y[:, None]) ** 2).mean(2)


def deviates(draws, value, n):
    """How far the mean of draws is from theory, in three standard errors and two parts in N of it together."""
    error = draws.std(0, ddof=1) / np.sqrt(len(draws))
    return np.max(np.abs(draws.mean(0) - value) / (3.0 * error + 2.0 / n * value))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting[0])
def test_training(setting):
    """Plain training; other shares are refused, and equal rows of the pooled spectrum.

    Where spectra are opposite the pooled risk is that of equal rows to a percent: there only shares are told apart.
    """
    name, shares, noise, n, p = setting
    problem = rfm.from_domains(SPECTRA[name], W, shares=shares, noise_var=noise)
    curves, size = theory.domains(problem, **args(n, p)), min(n, p)
    risk, train_loss = plain(setting)
    assert curves.converged
    assert deviates(risk, curves.risk, size) < 1.0
    assert deviates(train_loss, curves.train_loss, size) < 1.0 or p < n  # where it falls to zero
    predicted, pooled = theory.predict(problem, **args(n, p)), np.einsum("d,sdt->st", shares, risk)
    np.testing.assert_allclose(predicted.risk, np.array(shares) @ curves.risk, rtol=SAME_SUMS)
    wrong = np.roll(shares, 1) * 0.5 + np.array(shares) * 0.5
    assert deviates(risk, theory.domains(problem, **args(n, p), shares=wrong).risk, size) > 1.0
    alike = rfm.Problem(problem.eigenvalues, problem.target, problem.noise_var)
    assert name == "opposite" or deviates(pooled, theory.predict(alike, **args(n, p)).risk, size) > 1.0


def test_the_simulator_draws_such_rows():
    name, shares, noise, n, p = SETTINGS[2]
    problem = rfm.from_domains(SPECTRA[name], W, shares=shares, noise_var=noise)
    curve, predicted = rfm.exact(problem, **args(n, p), seeds=DRAWS), theory.predict(problem, **args(n, p))
    assert deviates(curve.risk, predicted.risk, n) < 1.0
    assert deviates(curve.train_loss, predicted.train_loss, n) < 1.0


def solved_another_way(spectra, shares, noise, sizes, s):
    """Risk in every domain at a ridge: responses by damped iteration, then all unknowns as one linear system."""
    (n, p), count = sizes, len(spectra)
    rows, features = np.ones(count), 1.0
    for _ in range(2_000):
        mean = (shares * rows) @ spectra
        h = 1.0 / (s + features * mean)
        rows = 0.5 * rows + 0.5 / (1.0 + features * (spectra @ h) / p)
        features = 0.5 * features + 0.5 / (1.0 + (mean @ h) / n)
    mean, r3 = (shares * rows) @ spectra, features**2
    h = 1.0 / (s + features * mean)
    # unknowns: C of every domain, then C of the features
    system, side = np.eye(count + 1), np.zeros(count + 1)
    for d in range(count):
        for e in range(count):
            seen = r3 * shares[e] * rows[e] ** 2 * np.sum(spectra[d] * spectra[e] * h * h) / p
            system[d, e] -= seen
            side[d] += seen * noise[e]
        system[d, count] -= np.sum(spectra[d] * h * h) / n
        side[d] += s * s * np.sum(spectra[d] * W**2 * h * h)
        seen = r3 * s * s * shares[d] * rows[d] ** 2 * np.sum(spectra[d] * h * h) / p
        system[count, d] -= seen
        side[count] += seen * noise[d]
    system[count, count] -= r3 * np.sum(h * h * mean**2) / n
    side[count] += r3 * s * s * np.sum(h * h * mean**2 * W**2)
    return np.linalg.solve(system, side)[:count]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting[0])
@pytest.mark.parametrize("ridge", [0.3, 0.01])
def test_a_ridge(setting, ridge):
    name, shares, noise, n, p = setting
    shares, noise, spectra = np.array(shares), np.array(noise), np.array(SPECTRA[name])
    problem = rfm.from_domains(spectra, W, shares=shares, noise_var=noise)
    curves = theory.domains(problem, **args(n, p, rfm.Ridge(ridge), None))
    known = solved_another_way(spectra, shares, noise, (n, p), ridge)
    np.testing.assert_allclose(curves.risk[:, 0], known, rtol=FIXED_POINT)


ALGORITHMS = [
    (FLOW, [0.3, 10.0, 1e5]),
    (rfm.GradientDescent(0.5, weight_decay=0.01), [0.0, 3.0, 1e4]),
    pytest.param(rfm.HeavyBall(0.3, 0.9), [1.0, 30.0, 1e3], marks=pytest.mark.slow),
    (rfm.Preconditioned(0.5, 0.01), [0.3, 10.0, 1e3]),
    (rfm.Ridge(0.01), None),
    (rfm.Ridge(0.0), None),
]


@pytest.mark.parametrize(("optimizer", "times"), ALGORITHMS, ids=lambda x: type(x).__name__)
def test_what_it_contains(optimizer, times):
    """One domain, two that are equal, and rows of unequal size, which are domains of proportional spectra."""
    base = rfm.power_law(1.5, 1.25, M, 0.1)
    lam, w = base.eigenvalues, base.target
    sizes, weights, noise = np.array([0.4, 1.6]), np.array([0.5, 0.5]), np.array([0.5, 1.5])
    unequal = dataclasses.replace(base, mixture=ScaleMixture(sizes, noise, weights))
    for n, p in ((20, 30), (30, 20), (50, np.inf), (120, 150)):
        known = theory.predict(base, **args(n, p, optimizer, times))
        for rows, shares in (([lam], [1.0]), ([lam, lam], [0.3, 0.7])):
            curves = theory.domains(
                rfm.from_domains(rows, w, shares=shares, noise_var=0.1), **args(n, p, optimizer, times)
            )
            np.testing.assert_allclose(curves.risk, np.tile(known.risk, (len(rows), 1)), rtol=FIXED_POINT)
            np.testing.assert_allclose(curves.train_loss, known.train_loss, rtol=FIXED_POINT, atol=1e-14)
        proportional = rfm.from_domains(sizes[:, None] * lam, w, shares=weights, noise_var=0.1 * noise)
        curve, known = (theory.predict(x, **args(n, p, optimizer, times)) for x in (proportional, unequal))
        np.testing.assert_allclose(curve.risk, known.risk, rtol=FIXED_POINT)
        np.testing.assert_allclose(curve.train_loss, known.train_loss, rtol=FIXED_POINT, atol=1e-14)


def test_infinite_data_see_the_pooled_spectrum():
    """And every domain is then a shift of the test data; the kernel is the limit of many features."""
    problem = rfm.from_domains(SPECTRA["opposite"], W, shares=[0.8, 0.2], noise_var=0.1)
    pooled = rfm.Problem(problem.eigenvalues, problem.target, problem.noise_var)
    curves = theory.domains(problem, **args(45, np.inf))
    for risk, variances in zip(curves.risk, problem.domains.spectra, strict=True):
        shifted = theory.shifted(pooled, **args(45, np.inf), test_eigenvalues=variances)
        np.testing.assert_allclose(risk, shifted.risk, rtol=FIXED_POINT)
    kernel, many = (theory.domains(problem, **args(n, 60)).risk for n in (np.inf, 1e7))
    np.testing.assert_allclose(many, kernel, rtol=1e-4)
    edge = theory.predict(problem, **args(1e7, 60, rfm.GradientDescent(1.0), [5.0])).risk
    np.testing.assert_allclose(
        theory.predict(problem, **args(np.inf, 60, rfm.GradientDescent(1.0), [5.0])).risk, edge, 1e-5
    )


def test_ridgeless_limits():
    """The last of the times, the peak, and every mode determined: what the noise leaves, sigma^2 M/(P - M)."""
    problem = rfm.from_domains(SPECTRA["opposite"], W, shares=[0.8, 0.2], noise_var=0.1)
    for n, p in ((40, 60), (60, 40), (150, 50)):
        late, end = (
            theory.domains(problem, **args(n, p, FLOW, [1e9])),
            theory.domains(problem, **args(n, p, rfm.Ridge(0.0), None)),
        )
        np.testing.assert_allclose(late.risk, end.risk, rtol=1e-6)
    peak = theory.domains(problem, **args(40, 40, rfm.Ridge(0.0), None))
    assert np.all(np.isinf(peak.risk))
    assert peak.converged
    assert np.all(np.isinf(theory.domains(problem, **args(150, 100, rfm.Ridge(0.0), None)).risk))
    clean = rfm.from_domains(SPECTRA["opposite"], W, shares=[0.8, 0.2])
    assert np.all(theory.domains(clean, **args(150, 100, rfm.Ridge(0.0), None)).risk == 0.0)
    assert not theory.domains(clean, **args(100, 100, rfm.Ridge(0.0), None)).converged
    square = theory.domains(problem, **args(100, 200, rfm.Ridge(0.0), None))
    np.testing.assert_allclose(square.risk, theory.domains(problem, **args(101, 200, rfm.Ridge(0.0), None)).risk)
    np.testing.assert_allclose(square.pooled, 0.1, rtol=0.5)  # exactly so for one domain


def test_best_shares():
    """Against all mixtures of a grid; few rows ask for the simple domain, many for both."""
    problem = rfm.from_domains(SPECTRA["opposite"], W, shares=[0.5, 0.5], noise_var=[0.1, 0.3])
    shares = []
    for p in (10, 100, 1000):
        best = theory.best_shares(problem, **args(60, p, RIDGE, None), weights=[0.7, 0.3])
        grid = np.linspace(0.0, 1.0, 21)
        known = [theory.domains(problem, **args(60, p, RIDGE, None), shares=[x, 1.0 - x]).risk[:, 0] for x in grid]
        mean = np.array(known) @ [0.7, 0.3]
        assert best.converged
        assert best.mean_risk < mean.min() + 1e-12
        assert abs(best.shares[0] - grid[mean.argmin()]) < 0.05 + 1e-6
        shares.append(best.shares[0])
    assert shares[0] > shares[1] > shares[2]
    noisy = rfm.from_domains([K**-1.2, K**-1.2], W, shares=[0.5, 0.5], noise_var=[0.1, 5.0])
    best = theory.best_shares(noisy, **args(60, 100, FLOW, 30.0))
    assert best.at_edge.tolist() == [False, True]
    assert best.shares[0] > 0.999
    three = rfm.from_domains(SPECTRA["of parts"], W, shares=[0.2, 0.2, 0.6], noise_var=0.1)
    best = theory.best_shares(three, **args(40, 60, RIDGE, None))
    steps = 0.01 * (np.eye(3)[:, None] - np.eye(3)[None]).reshape(-1, 3)
    nearby = [x for x in best.shares + steps if np.all(x >= 0) and np.any(x != best.shares)]
    risks = [theory.domains(three, **args(40, 60, RIDGE, None), shares=x).risk.mean() for x in nearby]
    assert best.converged
    assert len(risks) >= 2
    assert min(risks) > best.mean_risk


def test_draws():
    """One domain draws what a plain problem does, and each of two the share that it has, with its noise."""
    base = rfm.power_law(1.5, 1.25, M, 0.1)
    one = rfm.from_domains([base.eigenvalues], base.target, shares=[1.0], noise_var=0.1)
    risks = [rfm.exact(problem, **args(np.inf, 30), seeds=16).risk for problem in (base, one)]
    np.testing.assert_allclose(*risks, rtol=SAME_SUMS)
    # three of them, as above, whose programs serve here; the labels are of two modes
    (name, _, _, n, p), shares, noise = SETTINGS[2], np.array([0.25, 0.5, 0.25]), np.array([0.0, 0.5, 1.0])
    spectra, target = np.array(SPECTRA[name]), np.where(K < 3, 1.0, 0.0)
    spectra[:, :2] = [[4.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    three = rfm.from_domains(spectra, target, shares=shares, noise_var=noise)
    curve = rfm.exact(three, **args(n, p, times=[0.0, 1.0, 2.0]), seeds=200)
    variances = spectra[:, :2].sum(1) + noise  # of labels
    expected = shares @ variances
    spread = np.sqrt(3.0 * shares @ variances**2 - expected**2)  # of a squared label
    assert abs(curve.train_loss[:, 0].mean() - expected) < STANDARD_ERRORS * spread / np.sqrt(200 * p)
    assert abs(variances.mean() - expected) > STANDARD_ERRORS * spread / np.sqrt(200 * p)
    with pytest.raises(ValueError, match="sum to one"):
        Domains([[1.0]], [1.0], [0.5])


PROBLEM = rfm.from_domains(SPECTRA["opposite"], W, shares=[0.8, 0.2], noise_var=0.1)
REFUSED = {
    "one domain": (lambda: theory.domains(rfm.white(3), **args(3, 4)), "problem"),
    "batches": (lambda: theory.domains(PROBLEM, **args(3, np.inf, rfm.SGD(0.1, 1), [1.0])), "optimizer"),
    "shares": (lambda: theory.domains(PROBLEM, **args(3, 4), shares=[0.5, 0.6]), "shares"),
    "number of shares": (lambda: theory.domains(PROBLEM, **args(3, 4), shares=[1.0]), "shares"),
    "weights": (lambda: theory.best_shares(PROBLEM, **args(3, 4, FLOW, 1.0), weights=[2.0, -1.0]), "weights"),
    "times": (lambda: theory.best_shares(PROBLEM, **args(3, 4)), "times"),
    "peak": (lambda: theory.best_shares(PROBLEM, **args(4, 4, rfm.Ridge(0.0), None)), "num_samples"),
    "lr": (lambda: theory.domains(PROBLEM, **args(30, 40, rfm.GradientDescent(9.0), [1.0])), "lr"),
    "traced": (lambda: jax.jit(lambda t: theory.predict(PROBLEM, **args(3, 4, FLOW, t)).risk)(TIMES), "problem"),
    "correction": (lambda: theory.predict(PROBLEM, **args(3, 4), correction=True), "correction"),
    "ensemble": (lambda: theory.predict(PROBLEM, **args(3, 4), ensemble=2), "ensemble"),
    "richness": (lambda: theory.predict(PROBLEM, **args(3, 4), richness=1.0), "richness"),
    "modes": (lambda: theory.modes(PROBLEM, **args(3, 4)), "problem"),
    "fresh rows": (lambda: rfm.simulate(PROBLEM, **args(3, np.inf, rfm.SGD(0.1, 1), [1]), seeds=1), "num_samples"),
    "unseen mode": (lambda: rfm.from_domains([[1.0, 0.0], [0.5, 0.0]], [1.0, 1.0], shares=[0.5, 0.5]), "shares"),
    "eigenvalues": (lambda: rfm.from_domains([[1.0, -1.0]], [1.0, 1.0], shares=[1.0]), "eigenvalues"),
    "target": (lambda: rfm.from_domains([[1.0, 1.0]], [1.0], shares=[1.0]), "target"),
    "noise": (lambda: rfm.from_domains([[1.0]], [1.0], shares=[1.0], noise_var=[0.1, 0.2]), "noise_var"),
    "other eigenvalues": (lambda: dataclasses.replace(PROBLEM, eigenvalues=2.0 * PROBLEM.eigenvalues), "domains"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, name = REFUSED[case]
    with pytest.raises(ValueError, match=f"Argument `{name}` must be"):
        call()
