"""Scatter of one-pass SGD between feature draws, against second moments of plain draws, step by step."""

import jax
import numpy as np
import pytest

import rfm
import theory

PROBLEM = rfm.power_law(1.5, 1.25, 100, noise_var=0.1)
TIMES = np.array([1, 4, 16, 64])
N, DRAWS = 40, 2000
WITHIN = 0.08  # 1/N, and four standard errors of a standard deviation over DRAWS


def draws(lr, batch_size, momentum, n=N):
    """Risks (DRAWS, T) averaged over samples, by E d^2, E d d' and E d'^2.

    d is the distance from the best weights, d' that of a step before, along an eigenvector of the features'
    covariance, of curvature z: a batch adds lr^2 (z^2 E d^2 + z L)/B.
    """
    rng = np.random.default_rng(3)
    lam, w = PROBLEM.eigenvalues, PROBLEM.target
    f = rng.standard_normal((DRAWS, n, len(lam))) * np.sqrt(lam / n)
    z, u = np.linalg.eigh(f @ f.swapaxes(1, 2))
    best = np.einsum("dnk,dn->dk", u, f @ (np.sqrt(lam) * w)) / z
    floor = lam @ w**2 - (z * best**2).sum(1)
    here, cross, before, risks = best**2, best**2, best**2, []
    keep = 1.0 + momentum - lr * z
    for step in range(1, TIMES[-1] + 1):
        label = floor + PROBLEM.noise_var + (z * here).sum(1)
        noise = lr**2 / batch_size * (z**2 * here + z * label[:, None])
        moved = keep**2 * here - 2.0 * keep * momentum * cross + momentum**2 * before + noise
        here, cross, before = moved, keep * here - momentum * cross, here
        risks += [floor + (z * here).sum(1)] if step in TIMES else []
    return np.array(risks).T


@pytest.mark.parametrize("sgd", [rfm.SGD(0.3, 4), rfm.SGD(0.1, 4, momentum=0.6)], ids=["plain", "momentum"])
def test_against_second_moments_of_draws(sgd):
    """Standard deviations and correlations in time; another size is refused."""
    args = dict(num_samples=np.inf, optimizer=sgd, times=TIMES)
    found, fewer = (theory.scatter(PROBLEM, num_features=n, **args) for n in (N, 30))
    risks = draws(sgd.lr, sgd.batch_size, sgd.momentum)
    ratio = risks.std(0, ddof=1) / found.std
    np.testing.assert_allclose(ratio, 1.0, atol=WITHIN)
    assert np.abs(risks.std(0, ddof=1) / fewer.std - 1.0).max() > WITHIN
    correlation = found.covariance / np.outer(found.std, found.std)
    np.testing.assert_allclose(np.corrcoef(risks.T), correlation, atol=0.06)
    np.testing.assert_array_equal(found.std_features, found.std)
    np.testing.assert_allclose(found.mean, theory.predict(PROBLEM, num_features=N, **args).risk)
    assert theory.scatter(PROBLEM, num_features=N, pairs=False, **args).covariance is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sgd", "n"), [(rfm.SGD(0.3, 4), 64), (rfm.SGD(0.1, 2, momentum=0.7), 64), (rfm.SGD(0.2, 1), 96)]
)
def test_against_exact_draws(sgd, n):
    """4,000 draws of the package: a standard deviation is known to 1.2 %; theory leaves out 1/N, in the mean too."""
    args = dict(num_features=n, num_samples=np.inf, optimizer=sgd, times=np.array([1, 8, 64, 400]))
    risks = np.asarray(rfm.exact(PROBLEM, keys=jax.random.split(jax.random.key(1), 4000), **args).risk)
    found = theory.scatter(PROBLEM, **args)
    np.testing.assert_allclose(risks.std(0, ddof=1) / found.std, 1.0, atol=0.06)
    np.testing.assert_allclose(risks.mean(0) / found.mean, 1.0, atol=2.0 / n)
    correlation = found.covariance / np.outer(found.std, found.std)
    np.testing.assert_allclose(np.corrcoef(risks.T), correlation, atol=0.05)


def test_large_batches_are_descent():
    """Without the noise of batches it is the scatter of gradient descent on endless data, by another route."""
    args = dict(num_features=N, num_samples=np.inf, times=TIMES)
    stochastic = theory.scatter(PROBLEM, optimizer=rfm.SGD(0.3, 10**9), **args)
    descent = theory.scatter(PROBLEM, optimizer=rfm.GradientDescent(0.3), **args)
    np.testing.assert_allclose(stochastic.covariance, descent.covariance, rtol=1e-6)


def test_no_features_no_scatter():
    args = dict(num_features=np.inf, num_samples=np.inf, times=TIMES)
    np.testing.assert_array_equal(theory.scatter(PROBLEM, optimizer=rfm.SGD(0.3, 4), **args).std, 0.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(optimizer=rfm.SGD(0.3, 1)), r"`lr` must be smaller: near the edge of stability"),
        (dict(optimizer=rfm.SGD(lambda step: 0.1 / (1.0 + step), 4)), r"`optimizer` must be one of full batches, or"),
        (dict(optimizer=rfm.SGD(0.1, 4, average="polyak")), r"`optimizer` must be one of full batches, or SGD of"),
        (dict(num_samples=50), r"`num_samples` must be jnp.inf for SGD"),
    ],
)
def test_what_is_not_known_is_refused(change, words):
    args = dict(num_features=N, num_samples=np.inf, optimizer=rfm.SGD(0.1, 4), times=TIMES) | change
    with pytest.raises(ValueError, match=words):
        theory.scatter(PROBLEM, **args)
