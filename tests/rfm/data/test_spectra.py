"""Spectra estimated from a sample: the sums that they rest on, recovery of what it was drawn from, bad input."""

import dataclasses
import math
from functools import partial

import jax
import numpy as np
import optax
import pytest
from draws import data_chunk, keys_of

import rfm
import theory
from rfm.data.from_data import estimate_features, estimate_kernel
from rfm.data.spectra import sums
from rfm.engine.batches import draw_models, train_models
from rfm.engine.features import Setting
from rfm.optimizers import Optimizer

RNG = np.random.default_rng(7)


def sample(n, modes, a=1.8, b=1.5, noise=0.05, outputs=1, seed=0):
    """Rows of a power law in a random basis, labels (n, outputs), and the spectrum and powers that made them."""
    rng = np.random.default_rng(seed)
    k = np.arange(1.0, modes + 1)
    lam, power = k**-b, k**-a
    x = rng.standard_normal((n, modes)) * np.sqrt(lam)
    signs = rng.choice([-1.0, 1.0], (modes, outputs)) / np.sqrt(outputs)
    y = x @ (np.sqrt(power / lam)[:, None] * signs) + np.sqrt(noise / outputs) * rng.standard_normal((n, outputs))
    return x @ np.linalg.qr(rng.standard_normal((modes, modes)))[0] + 1.0, y + 3.0, lam, power


def loss(problem, n, p, times):
    curve = theory.predict(problem, num_features=n, num_samples=p, optimizer=rfm.GradientFlow(), times=times)
    return curve.risk + problem.noise_var


@pytest.mark.parametrize(("n", "modes"), [(300, 700), (300, 200)], ids=str)
def test_sums_are_those_of_the_population(n, modes):
    """df and T at every kappa against the spectrum that 24 samples are drawn from: four standard errors and 2/n."""
    kappa, ratios = np.geomspace(20, 3e-3, 30), []
    for seed in range(24):
        x, y, lam, power = sample(n, modes, seed=seed)
        found = estimate_features(x, y).sample
        levels = sums(found)
        known_df = np.sum(lam / (lam + kappa[:, None]), axis=1)
        known = 0.05 + np.sum(power * kappa[:, None] / (lam + kappa[:, None]), axis=1)
        read = [np.interp(-np.log(kappa), -np.log(levels.kappa), np.log(z)) for z in (levels.df, levels.unlearned)]
        plain = np.sum(found.eigenvalues / (found.eigenvalues + kappa[:, None]), axis=1)
        ratios.append([np.exp(read[0]) / known_df, np.exp(read[1]) / known, plain / known_df])
    mean, error = np.mean(ratios, axis=0) - 1, np.std(ratios, axis=0, ddof=1) / np.sqrt(24)
    assert np.all(np.abs(mean[:2]) < 4 * error[:2] + 2 / n), np.max(np.abs(mean[:2]) / error[:2])
    assert np.max(np.abs(mean[2]) - 4 * error[2]) > 10 / n  # the sample itself


def test_eigenvalues_and_exponents_are_recovered():
    """Beyond the first modes, whose sample values scatter, to a few percent; those of the sample are off by a third."""
    x, y, lam, _ = sample(800, 2500, b=1.2, a=1.6)
    found = estimate_features(x, y, normalize=False, replicas=8)
    middle = slice(20, found.trusted)
    assert np.max(np.abs(found.problem.eigenvalues[middle] / lam[middle] - 1)) < 0.08
    assert np.max(np.abs(found.sample.eigenvalues[middle] / lam[middle] - 1)) > 0.25
    assert abs(found.b - 1.2) < 4 * found.error("b") < 0.2
    assert abs(found.a - 1.6) < 4 * found.error("a")
    assert abs(float(found.problem.tail.b) - 1.2) < 0.05
    assert found.spread < 0.1


def test_predictions_are_those_of_the_population():
    """Means over ten samples of 400 rows, at up to 200 of them: four standard errors and 3 %; not so the samples'."""
    times, points = np.geomspace(1, 1e6, 7), ((50, 100), (200, 100), (math.inf, 200), (200, 180))
    estimated, plain = [], []
    for seed in range(10):
        x, y, lam, power = sample(400, 1000, seed=seed)
        found = estimate_features(x, y, normalize=False)
        raw = found.sample
        own = rfm.Problem(raw.eigenvalues, np.sqrt(raw.power / raw.eigenvalues), max(raw.total - raw.power.sum(), 0.0))
        estimated.append([loss(found.problem, *sizes, times) for sizes in points])
        plain.append([loss(own, *sizes, times) for sizes in points])
    truth = rfm.Problem(lam, np.sqrt(power / lam), 0.05)
    known = np.array([loss(truth, *sizes, times) for sizes in points])
    gap, plain_gap = (np.mean(z, axis=0) / known - 1 for z in (estimated, plain))
    error = np.std(estimated, axis=0, ddof=1) / np.sqrt(10) / known
    assert np.all(np.abs(gap) < 4 * error + 0.03), np.abs(gap).max()
    assert np.max(np.abs(plain_gap)) > 0.1


@pytest.mark.parametrize(
    ("optimizer", "sizes", "law"),
    [
        (rfm.Ridge(0.1), (20, math.inf), "gaussian"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (rfm.GradientFlow(), (50, 20), "relu"),
                (rfm.GradientFlow(), (math.inf, 20), "relu"),
                (rfm.GradientDescent(0.5), (20, 50), "relu"),
                (rfm.SGD(0.05, 4), (20, math.inf), "gaussian"),
                (rfm.SGD(0.05, 4), (20, 50), "gaussian"),
                (rfm.Ridge(0.1), (20, 50), "relu"),
                (rfm.Optax(optax.adam, {"learning_rate": 0.01}), (20, 50), "gaussian"),
            )
        ),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, Optimizer) else str(x),
)
def test_outputs_share_their_draws(optimizer, sizes, law):
    """Training on three outputs is the sum of training on each with the same keys, of the average of two models too."""
    x, y, *_ = sample(90, 30, outputs=3)
    build = partial(rfm.from_inputs, activation="relu") if law == "relu" else rfm.from_features
    together, *apart = (build(x, labels, noise_var=0.1 if sizes[1] == 50 else 0.0) for labels in (y, *y.T))
    if sizes[1] == 50:  # of fresh noise each has a third
        apart = [dataclasses.replace(one, noise_var=one.population.unexplained + 0.1 / 3) for one in apart]
    args = dict(num_features=sizes[0], num_samples=sizes[1], optimizer=optimizer, features=law)
    args |= dict(times=None if isinstance(optimizer, rfm.Ridge) else [1, 30], keys=jax.random.split(jax.random.key(0)))
    args |= dict(ensemble=2 if math.isfinite(sizes[0]) else 1)
    drawn, solved = draw_models._cache_size(), train_models._cache_size()
    trained = rfm.simulate(together, **args)
    assert draw_models._cache_size() <= drawn + 1  # not one an output
    assert train_models._cache_size() == solved + 1
    of_each = [rfm.simulate(one, **args) for one in apart]
    # the noise is estimated from all outputs together, and that of each is a part of it
    gap = together.noise_var - sum(one.noise_var for one in apart)
    np.testing.assert_allclose(trained.risk + gap, sum(c.risk for c in of_each), rtol=1e-9)
    np.testing.assert_allclose(trained.train_loss, sum(c.train_loss for c in of_each), rtol=1e-9)


@pytest.mark.slow
def test_outputs_in_a_sweep():
    """Every point is what `simulate` sums over outputs with its keys; noise_var is that of all of them."""
    x, y, *_ = sample(90, 30, outputs=3)
    problem, keys = rfm.from_features(x, y), jax.random.split(jax.random.key(0))
    sizes = dict(num_features=10, num_samples=20, optimizer=rfm.Ridge(0.1))
    noise = problem.noise_var + 0.3
    found = rfm.sweep(problem, {"noise_var": [problem.noise_var, noise]}, keys, **sizes)
    one = rfm.simulate(dataclasses.replace(problem, noise_var=noise), keys=found.keys_at(noise_var=noise), **sizes)
    np.testing.assert_allclose(found.risk[1], one.risk, rtol=1e-9)
    np.testing.assert_allclose(found.train_loss[1], one.train_loss, rtol=1e-9)


def test_powers_of_outputs_add_up():
    x, y, *_ = sample(300, 60, outputs=3)
    found = [estimate_features(x, labels).sample for labels in (y, *y.T)]
    np.testing.assert_allclose(found[0].power, sum(s.power for s in found[1:]), rtol=1e-9, atol=1e-15)


def test_held_out_risk_by_hand():
    """Mean squared error on the rows that were not drawn, less the estimated noise."""
    x, y, *_ = sample(80, 12, noise=0.3)
    problem = rfm.from_features(x, y[:, 0])
    args = dict(num_features=math.inf, num_samples=30, optimizer=rfm.Ridge(0.1))
    key = jax.random.key(4)
    risk = rfm.exact(problem, **args, keys=key[None]).risk[0, 0]
    psi, _ = data_chunk(problem.output(0), Setting(math.inf, 30, "ntk"), keys_of(key).data, 0)
    rows, labels = problem.population.rows, problem.population.labels
    trained = np.array([np.argmin(((rows - row) ** 2).sum(1)) for row in np.asarray(psi)])
    rest = np.setdiff1d(np.arange(80), trained)
    assert len(rest) == 50
    phi = rows[trained]
    weights = phi.T @ np.linalg.solve(phi @ phi.T / 30 + 0.1 * np.eye(30), labels[trained] / 30)
    expected = np.mean((labels[rest] - rows[rest] @ weights) ** 2) - problem.noise_var
    np.testing.assert_allclose(risk, expected, rtol=1e-9)


def test_stream_kernel_and_rows_agree(tmp_path):
    """Features on disk, in memory, their kernel and the rows kept for training: one estimate."""
    x, y, *_ = sample(260, 90, outputs=2)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    streamed, replicated = estimate_features(mapped, y), estimate_features(x, y, replicas=3)
    kept = rfm.from_features(x, y)
    kernel = estimate_kernel(x @ x.T, y, num_modes=90)
    for other in (replicated.problem, kept):
        np.testing.assert_allclose(other.eigenvalues, streamed.problem.eigenvalues, rtol=1e-6)
        np.testing.assert_allclose(other.noise_var, streamed.noise_var, rtol=1e-6)
    np.testing.assert_allclose(kernel.sample.eigenvalues[:80], streamed.sample.eigenvalues[:80], rtol=1e-8)
    np.testing.assert_allclose(kernel.sample.power[:80], streamed.sample.power[:80], rtol=1e-6, atol=1e-12)
    wide = estimate_features(x.T[:60], y[:60])  # more columns than rows
    np.testing.assert_allclose(
        wide.sample.eigenvalues, rfm.from_features(x.T[:60], y[:60]).population.eigenvalues * wide.scale, rtol=1e-9
    )


def test_halves_of_fewer_rows_than_columns():
    """They know how many modes there are from the whole."""
    x, y, *_ = sample(300, 200)
    found = estimate_features(x, y, replicas=4)
    assert [replica.sample.num_modes for replica in found.replicas] == [200] * 4
    assert max(len(replica.sample.eigenvalues) for replica in found.replicas) == 149
    shapes = {replica.problem.eigenvalues.shape for replica in found.replicas}
    assert len(shapes) == 1  # one compilation serves all
    assert found.sample.num_modes == 200


def test_error_of_halves():
    """Standard errors from halves of the rows, against the scatter over fresh samples: within a factor of two."""
    noise, told = [], []
    for seed in range(12):
        x, y, *_ = sample(400, 60, seed=seed)
        found = estimate_features(x, y, replicas=10 if seed < 4 else 0)
        noise.append(found.noise_var)
        told += [found.error("noise_var")] if seed < 4 else []
    assert 0.5 < np.mean(told) / np.std(noise, ddof=1) < 2.0
    assert math.isnan(found.error("noise_var"))


def test_spread_tells_rows_of_unequal_size():
    x, y, *_ = sample(600, 80)
    even, uneven = (
        estimate_features((x - 1.0) * scale, y).spread for scale in (1.0, np.exp(0.5 * RNG.standard_normal((600, 1))))
    )
    assert even < 0.15
    assert uneven > 0.7


def kernel_of(n=40, rank=60):
    x = np.random.default_rng(3).standard_normal((n, rank))
    return x @ x.T


def asymmetric():
    kernel = kernel_of()
    kernel[3, 5] += 1.0
    return kernel


Y = np.arange(40.0)
LARGE = np.broadcast_to(np.float32(1), (10**6, 10**6))


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: rfm.from_kernel(kernel_of()[:, :30], Y), "`kernel` must be a square matrix"),
        (lambda: rfm.from_kernel(asymmetric(), Y), "`kernel` must be symmetric, but is"),
        (lambda: rfm.from_kernel(-kernel_of(), Y), "`kernel` must be without negative eigenvalues"),
        (lambda: rfm.from_kernel(kernel_of(rank=7), Y), "of full rank, or num_modes=7"),
        (lambda: rfm.from_kernel(kernel_of(rank=7), Y, num_modes=5), "`num_modes` must be at least the rank"),
        (lambda: rfm.from_kernel(np.ones((40, 40)), Y), "`kernel` must be of non-zero variance"),
        (lambda: rfm.from_kernel(kernel_of() * np.nan, Y), "first in row 0, column 0"),
        (lambda: rfm.from_kernel(kernel_of(), Y[:-1]), r"`labels` must be of shape \(40,\)"),
        (lambda: rfm.from_kernel(kernel_of(), ["a"] * 40), "`labels` must be numeric"),
        (lambda: estimate_features(np.ones((40, 3)), Y), "`features` must be of non-zero variance"),
        (lambda: estimate_features(np.ones((1, 3)), Y[:1]), "`features` must be a matrix"),
        (lambda: estimate_features(np.where(np.eye(40) > 0, np.nan, 1.0)[:, 5:9], Y), "first in row 5, column 0"),
        (lambda: estimate_features(np.full((40, 3), "a"), Y), "`features` must be numeric"),
        (lambda: estimate_features(LARGE, Y), "`labels` must be of shape"),
        (lambda: estimate_features(LARGE, np.arange(1e6)), "small enough for memory"),
    ],
)  # fmt: skip
def test_bad_input(call, told):
    with pytest.raises(ValueError, match=told) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_few_rows_are_taken_as_they_are():
    x, y, *_ = sample(10, 4)
    found = estimate_features(x, y, normalize=False)
    np.testing.assert_allclose(found.problem.eigenvalues, found.sample.eigenvalues, rtol=1e-12)
    assert found.trusted == 4
    few = rfm.from_features(x, y[:, 0])
    with pytest.raises(ValueError, match="at most 9: of the 10 rows some are left to test on"):
        rfm.simulate(
            few, num_features=2, num_samples=10, optimizer=rfm.Ridge(0.1), keys=jax.random.split(jax.random.key(0), 2)
        )
