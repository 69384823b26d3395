"""The share of each mode that is learned, against plain linear algebra on random draws and against limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rfm
import theory

N, P, M, DRAWS = 40, 60, 100, 300
PROBLEM = rfm.power_law(1.8, 1.5, M)
SIZES = dict(num_features=N, num_samples=P)
TIMES = [0.3, 3.0, 30.0, 1000.0]
STEPS = [1, 10, 100]
CONTOUR = 1e-8  # at which a residual counts as converged


@pytest.fixture(scope="module")
def drawn():
    """Averages and standard errors over draws of diag F^T g(H) F X^T X/P, for three responses g of H."""
    rng, shares = np.random.default_rng(0), []
    for _ in range(DRAWS):
        f = rng.standard_normal((N, M)) / np.sqrt(N)
        x = rng.standard_normal((P, M)) * np.sqrt(PROBLEM.eigenvalues)
        moved = f @ (x.T @ x / P)
        z, basis = np.linalg.eigh(moved @ f.T)
        responses = [-np.expm1(-z * t) / z for t in TIMES]
        responses += [(1.0 - (1.0 - 0.3 * z) ** n) / z for n in STEPS]
        responses += [1.0 / (z + 0.1)]
        shares.append(np.stack(responses) @ ((basis.T @ f) * (basis.T @ moved)))
    return np.mean(shares, 0), np.std(shares, 0, ddof=1) / np.sqrt(DRAWS)


@pytest.mark.parametrize(
    ("optimizer", "times", "rows"),
    [(rfm.GradientFlow(), TIMES, slice(0, 4)), (rfm.GradientDescent(0.3), STEPS, slice(4, 7)),
     (rfm.Ridge(0.1), None, slice(7, 8))],
    ids=["flow", "descent", "ridge"],
)  # fmt: skip
def test_plain_draws(optimizer, times, rows, drawn):
    """Within four standard errors and the order 1/N that the theory leaves out."""
    mean, stderr = (x[rows] for x in drawn)
    share = theory.learned(PROBLEM, **SIZES, optimizer=optimizer, times=times)
    assert share.shape == mean.shape
    assert np.all(np.abs(share - mean) < 4.0 * stderr + 1.0 / N * np.maximum(mean, 0.1))
    assert np.all(np.diff(share, axis=1) < 0)


def test_nothing_at_the_start_and_everything_at_the_end():
    """N = P = infinity is plain gradient flow in every mode; fewer modes than N and P are all learned."""
    args = dict(optimizer=rfm.GradientFlow(), times=[0.0, 2.0, 1e9])
    share = theory.learned(PROBLEM, num_features=jnp.inf, num_samples=1e12, **args)
    np.testing.assert_allclose(share[0], 0.0, atol=1e-9)
    np.testing.assert_allclose(share[1], -np.expm1(-2.0 * PROBLEM.eigenvalues), rtol=1e-6)
    share = theory.learned(rfm.white(5), num_features=50, num_samples=70, **args)
    np.testing.assert_allclose(share[2], 1.0, rtol=1e-6)


def test_modes_by_number():
    """Any of a problem of a billion modes, or of infinitely many."""
    known = rfm.power_law(1.8, 1.5, None)
    args = dict(**SIZES, optimizer=rfm.HeavyBall(0.3, 0.9), times=[1, 100])
    share = theory.learned(known, **args, modes=[1, 100, 1000, 10**9])
    assert np.all(np.diff(share, axis=1) < 0)
    whole = theory.learned(PROBLEM, **args)
    np.testing.assert_allclose(theory.learned(PROBLEM, **args, modes=[3, 1]), whole[:, [2, 0]], rtol=1e-12)
    clock = theory.learned(PROBLEM, **SIZES, optimizer=rfm.GradientFlow(), times=[2.0 / N], parametrization="standard")
    known = theory.learned(PROBLEM, **SIZES, optimizer=rfm.GradientFlow(), times=[2.0])
    np.testing.assert_allclose(clock, known, rtol=1e-9)
    sgd = theory.learned(PROBLEM, num_features=N, num_samples=jnp.inf, optimizer=rfm.SGD(0.2, 4), times=[5])
    descent = theory.learned(
        PROBLEM, num_features=N, num_samples=jnp.inf, optimizer=rfm.GradientDescent(0.2), times=[5]
    )
    np.testing.assert_allclose(sgd, descent, rtol=1e-9)


def test_what_the_contour_does_not_resolve_is_nan(monkeypatch):
    monkeypatch.setattr("theory._learned.TOLERANCE", 0.0)
    assert np.isnan(theory.learned(PROBLEM, **SIZES, optimizer=rfm.GradientFlow(), times=TIMES)).all()


def test_it_goes_through_transformations():
    share = lambda n: theory.learned(  # noqa: E731
        PROBLEM, num_features=n, num_samples=P, optimizer=rfm.GradientFlow(), times=TIMES, modes=[1, 5]
    )
    values, slopes = jax.jit(jax.vmap(lambda n: jax.jvp(share, (n,), (1.0,))))(jnp.array([20.0, 40.0]))
    np.testing.assert_allclose(values, np.stack([share(20.0), share(40.0)]), rtol=1e-9)
    np.testing.assert_allclose(slopes[1], (share(40.01) - share(39.99)) / 0.02, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("modes", [[0], [101], [1.5], [], [[1]], "x", [np.nan], 3])
def test_modes_that_there_are_not(modes):
    with pytest.raises(ValueError, match="Argument `modes` must be"):
        theory.learned(PROBLEM, **SIZES, optimizer=rfm.GradientFlow(), times=TIMES, modes=modes)


def test_refused():
    args = dict(**SIZES, optimizer=rfm.GradientFlow(), times=TIMES)
    with pytest.raises(ValueError, match="`modes` must be given where a problem has more than 100000"):
        theory.learned(rfm.power_law(1.8, 1.5, None), **args)
    with pytest.raises(ValueError, match="Argument `lr` must be <"):
        theory.learned(PROBLEM, **args | {"optimizer": rfm.GradientDescent(50.0), "times": STEPS})
    for name, value in (("num_features", 0), ("num_samples", "x"), ("times", None), ("problem", None)):
        with pytest.raises(ValueError, match=f"Argument `{name}` must be"):
            theory.learned(**{"problem": PROBLEM, **args, name: value})


@pytest.mark.parametrize("optimizer", [rfm.GradientFlow(), rfm.GradientDescent(0.2)], ids=["flow", "descent"])
def test_trained_features_without_a_limit_of_size(optimizer):
    """At N = P = infinity nothing scatters: what modes miss is the risk."""
    problem = rfm.power_law(1.8, 1.5, M, 0.05)
    args = dict(optimizer=optimizer, times=[1, 30, 100], richness=2.0)
    share = theory.learned(problem, num_features=np.inf, num_samples=np.inf, **args)
    risk = theory.predict(problem, num_features=np.inf, num_samples=np.inf, **args).risk
    missed = problem.eigenvalues * problem.target**2 * (1.0 - share) ** 2
    np.testing.assert_allclose(missed.sum(1), risk, rtol=CONTOUR)
    shifted = theory.shifted(problem, **SIZES, **args)  # by nothing
    known = theory.predict(problem, **SIZES, **args)
    np.testing.assert_allclose(shifted.risk, known.risk, rtol=CONTOUR)
    np.testing.assert_allclose(shifted.kernel_growth, known.kernel_growth, rtol=CONTOUR)


def test_trained_features_of_plain_draws():
    """Readout and layer trained by plain numpy, at a richness of 1; the lazy share is refused."""
    richness, lr, rng, shares = 1.0, 0.1, np.random.default_rng(1), []
    for _ in range(DRAWS // 2):
        f = rng.standard_normal((N, M)) / np.sqrt(N)
        x = rng.standard_normal((P, M)) * np.sqrt(PROBLEM.eigenvalues)
        phi, theta, layer, kept = x @ f.T, np.zeros(N), np.eye(N), []
        for _ in range(STEPS[-1]):
            g = phi.T @ (x @ PROBLEM.target - phi @ (layer.T @ theta)) / P
            theta, layer = theta + lr * layer @ g, layer + lr * richness * np.outer(theta, g)
            kept.append(f.T @ (layer.T @ theta) / PROBLEM.target)
        shares.append(np.array(kept)[np.array(STEPS) - 1, :10])
    mean, stderr = np.mean(shares, 0), np.std(shares, 0, ddof=1) / np.sqrt(len(shares))
    args = dict(optimizer=rfm.GradientDescent(lr), times=STEPS, modes=range(1, 11))
    rich, lazy = (theory.learned(PROBLEM, **SIZES, **args, richness=g) for g in (richness, 0.0))
    allowed = 4.0 * stderr + 1.0 / N * np.maximum(mean, 0.1)
    assert np.all(np.abs(rich - mean) < allowed)
    assert np.any(np.abs(lazy - mean) > allowed)


def test_batches_that_train_features_are_refused():
    with pytest.raises(ValueError, match="`optimizer` must be a full-batch algorithm where features are trained"):
        theory.learned(
            PROBLEM, num_features=N, num_samples=np.inf, optimizer=rfm.SGD(0.1, 8), times=STEPS, richness=1.0
        )
