"""Test loss from the training rows: against models trained without each row, and against fresh rows."""

import numpy as np
import pytest

import rfm
from rfm.data import left_out

TIMES = np.array([0.0, 0.3, 3.0, 100.0, 1e5])
STEPS = np.array([0, 1, 7, 300])
MODES = 300
EIGENVALUES = np.arange(1, MODES + 1.0) ** -1.25
TARGET = np.arange(1, MODES + 1.0) ** -0.125
NOISE_VAR = 0.1


def rows(rng, n, p, sizes=1.0):
    """Features (P, N), labels, and all that makes fresh rows: F."""
    f = rng.standard_normal((n, MODES)) / np.sqrt(n)
    x = rng.standard_normal((p, MODES)) * np.sqrt(EIGENVALUES) * np.sqrt(sizes)
    return x @ f.T, x @ TARGET + np.sqrt(NOISE_VAR) * rng.standard_normal(p), f


def weights(features, labels, responses, count):
    """Weights (T, N) by an eigendecomposition of the curvature, 1/count for each row."""
    z, basis = np.linalg.eigh(features.T @ features / count)
    z = np.where(z > 1e-13, z, 0.0)
    return (np.array([response(z) for response in responses]) * (basis.T @ (features.T @ labels) / count)) @ basis.T


def without_each_row(features, labels, responses):
    """Mean squared error on each row of the model trained on the others, with the same 1/P."""
    errors = []
    for i in range(len(features)):
        kept = np.arange(len(features)) != i
        errors.append(labels[i] - weights(features[kept], labels[kept], responses, len(features)) @ features[i])
    return np.mean(np.square(errors), 0)


def flow(t):
    return lambda z: np.where(z > 0, -np.expm1(-z * t) / np.where(z > 0, z, 1.0), t)


def steps(update, count):
    """Weight after so many steps on v z = 1, update(v, v before, gradient) by hand."""

    def response(z):
        v, before = np.zeros_like(z), np.zeros_like(z)
        for _ in range(count):
            v, before = update(v, before, lambda at: z * at - 1.0), v
        return v

    return response


ALGORITHMS = {
    "flow": (rfm.GradientFlow(), TIMES, [flow(t) for t in TIMES]),
    "descent": (rfm.GradientDescent(0.3), STEPS, [steps(lambda v, u, g: v - 0.3 * g(v), n) for n in STEPS]),
    "ball": (
        rfm.HeavyBall(0.1, 0.8), STEPS, [steps(lambda v, u, g: v - 0.1 * g(v) + 0.8 * (v - u), n) for n in STEPS],
    ),
    "ridge": (rfm.Ridge(0.02), None, [lambda z: 1.0 / (z + 0.02)]),
}  # fmt: skip


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(("n", "p"), [(12, 30), (30, 30), (50, 30)])
def test_is_that_of_models_trained_without_each_row(name, n, p):
    """Where each row is a kind, to rounding; a response of all rows together is another number."""
    optimizer, times, responses = ALGORITHMS[name]
    features, labels, _ = rows(np.random.default_rng(n), n, p)
    estimate = rfm.estimated_test_loss(features, labels, optimizer=optimizer, times=times)
    np.testing.assert_allclose(estimate, without_each_row(features, labels, responses), rtol=1e-9)


def test_few_kinds_are_nearly_that(monkeypatch):
    features, labels, _ = rows(np.random.default_rng(1), 40, 80)
    args = dict(optimizer=rfm.GradientFlow(), times=TIMES)
    exact = rfm.estimated_test_loss(features, labels, **args)
    monkeypatch.setattr(left_out, "WORK", 0)
    np.testing.assert_allclose(rfm.estimated_test_loss(features, labels, **args), exact, rtol=0.1)
    two = rfm.estimated_test_loss(features, np.stack([labels, 2.0 * labels], 1), **args)
    np.testing.assert_allclose(two, 5.0 * rfm.estimated_test_loss(features, labels, **args), rtol=1e-12)


def test_one_division(monkeypatch):
    """Ridge regression: row by row as where each row is a kind, and by the mean response as where all are one."""
    features, labels, _ = rows(np.random.default_rng(2), 40, 60)
    u, singular, _ = np.linalg.svd(features, full_matrices=False)
    sample = left_out.Decomposed(singular**2 / 60, u, u.T @ labels[:, None], 60)
    solved = left_out.left_out_errors(sample, labels[:, None], np.array([0.02]), centered=False)
    exact = rfm.estimated_test_loss(features, labels, optimizer=rfm.Ridge(0.02))
    np.testing.assert_allclose(np.mean(solved.errors**2), exact[0], rtol=1e-10)
    monkeypatch.setattr(left_out, "WORK", 0)
    monkeypatch.setattr(left_out, "KINDS", 1)
    mean = rfm.estimated_test_loss(features, labels, optimizer=rfm.Ridge(0.02))
    np.testing.assert_allclose(np.mean(solved.generalized**2), mean[0], rtol=1e-10)
    assert abs(mean[0] / exact[0] - 1) > 1e-3  # they can be told apart


def gathered(n, p, sizes, draws, monkeypatch):
    """Means over draws of the estimate, of the plain mean response, of naive cross-validation and of the truth."""
    rng, times, found = np.random.default_rng(0), np.array([0.3, 3.0, 30.0, 300.0, 1e4, 1e5]), []
    responses = [flow(t) for t in times]
    for _ in range(draws):
        tau = sizes(rng, (p, 1))
        features, labels, f = rows(rng, n, p, tau)
        v = weights(features, labels, responses, p)
        truth = (TARGET - v @ f) ** 2 @ EIGENVALUES + NOISE_VAR
        z = np.linalg.eigvalsh(features @ features.T / p).clip(0)
        response = np.array([np.mean(1.0 - z * g(z)) for g in responses])
        naive = np.mean((labels - v @ features.T) ** 2, 1) / response**2
        args = dict(optimizer=rfm.GradientFlow(), times=times)
        with monkeypatch.context() as patch:
            patch.setattr(left_out, "WORK", 0)
            estimate = rfm.estimated_test_loss(features, labels, **args)
            patch.setattr(left_out, "KINDS", 1)
            plain = rfm.estimated_test_loss(features, labels, **args)
        found.append([truth, estimate, plain, naive])
    return np.mean(found, 0) / np.mean(found, 0)[0]


def equal(rng, shape):
    return np.ones(shape)


def test_fresh_rows(monkeypatch):
    """Eight draws of 150 rows: within what they scatter; naive cross-validation along the path is not."""
    _, estimate, plain, naive = gathered(300, 150, equal, 8, monkeypatch)
    assert np.all(np.abs(estimate - 1.0) < 0.2)
    assert np.all(np.abs(plain - 1.0) < 0.2)
    assert naive[-2:].min() > 2.0


def unequal(rng, shape):
    """Half of the rows nine times as long in the square as the others, of mean one."""
    return rng.choice([0.2, 1.8], shape)


def test_rows_of_unequal_size(monkeypatch):
    """One mean response for all rows is half of the truth at late times, kinds of rows are not."""
    _, estimate, plain, _ = gathered(75, 150, unequal, 8, monkeypatch)
    assert np.all(np.abs(estimate - 1.0) < 0.2)
    assert plain[-1] < 0.7


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p"), [(150, 300), (300, 300), (600, 300)])
def test_mean_of_forty_draws(n, p, monkeypatch):
    """Within 5 % at six times, beside the scatter of the truth at the interpolation peak."""
    _, estimate, _, naive = gathered(n, p, equal, 40, monkeypatch)
    assert np.all(np.abs(estimate - 1.0) < 0.05)
    assert n < p or np.abs(naive - 1.0).max() > 0.05


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("features", {"features": np.ones(4)}),
        ("features", {"features": np.full((4, 2), np.nan)}),
        ("features", {"features": np.ones((1, 2))}),
        ("labels", {"labels": np.ones(3)}),
        ("labels", {"labels": [0.0, 1.0, np.inf, 0.0]}),
        ("optimizer", {"optimizer": rfm.SGD(0.1, 2)}),
        ("optimizer", {"optimizer": "flow"}),
        ("times", {"times": None}),
        ("times", {"times": [2.0, 1.0]}),
        ("lr", {"optimizer": rfm.GradientDescent(1e3), "times": [1]}),
    ],
)
def test_refused(argument, change):
    args = dict(features=np.arange(8.0).reshape(4, 2), labels=np.ones(4), optimizer=rfm.GradientFlow(), times=[1.0])
    with pytest.raises(ValueError, match=f"Argument `{argument}` must be"):
        rfm.estimated_test_loss(**args | change)


def test_stopping():
    """The least of the estimates; features of nothing but zeros learn nothing."""
    features, labels, _ = rows(np.random.default_rng(3), 60, 60)
    args = dict(optimizer=rfm.GradientFlow(), times=np.geomspace(0.1, 1e5, 30))
    loss = rfm.estimated_test_loss(features, labels, **args)
    best = rfm.estimated_stopping(features, labels, **args)
    assert (best.time, best.test_loss, best.at_end) == (args["times"][loss.argmin()], loss.min(), False)
    with pytest.raises(ValueError, match="Argument `optimizer` must be one that is trained over time"):
        rfm.estimated_stopping(features, labels, optimizer=rfm.Ridge(0.1), times=None)
    nothing = rfm.estimated_test_loss(0.0 * features, labels, **args)
    np.testing.assert_allclose(nothing, np.mean(labels**2), rtol=1e-12)
