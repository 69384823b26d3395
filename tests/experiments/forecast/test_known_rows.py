"""Losses of known rows: left-out rows against training without them, copies, groups, and the recipe on a known law."""

import math

import numpy as np
import pytest

import rfm
from experiments.forecast import choices, independence, trained
from experiments.forecast.forecasts import Forecast
from experiments.forecast.source import Counting, Source, split_evenly
from rfm.data import groups

FLOW = rfm.GradientFlow()
TIMES = np.geomspace(0.1, 1e4, 9)
D = 40
SCALES = np.arange(1.0, D + 1) ** -0.6
WEIGHTS = 0.5 * np.arange(1.0, D + 1) ** -0.3


def draw(rng, count, noise=0.4):
    """Gaussian rows of a known law and their labels."""
    x = rng.normal(size=(count, D)) * SCALES
    return x, x @ WEIGHTS + noise * rng.normal(size=count)


def flow_losses(x, y, test, labels, times):
    """Held-out losses of gradient flow from zero weights, in plain numpy."""
    values, basis = np.linalg.eigh(x.T @ x / len(x))
    moment = basis.T @ (x.T @ y) / len(x)
    weights = [basis @ (moment * -np.expm1(-values * t) / values) for t in times]
    return np.array([np.mean((test @ w - labels) ** 2) for w in weights])


@pytest.mark.parametrize(
    ("columns", "optimizer", "times"),
    [
        (12, FLOW, np.geomspace(0.1, 1e4, 5)),
        (50, FLOW, np.geomspace(0.1, 1e4, 5)),
        (12, rfm.GradientDescent(0.3, weight_decay=0.01), np.array([1.0, 10.0, 1000.0])),
        (12, rfm.HeavyBall(0.3, 0.8), np.array([1.0, 10.0, 1000.0])),
    ],
)
@pytest.mark.parametrize("in_group", [1, 3])
def test_left_out_rows_are_training_without_them(columns, optimizer, times, in_group):
    """Exactly, at every time and ridge: by leaving each group out, taking means anew and training on the others."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, columns)) * np.arange(1.0, columns + 1) ** -0.6
    y = x @ rng.normal(size=(columns, 2)) + 0.4 * rng.normal(size=(30, 2))
    rows = trained.known_rows(x, y, np.arange(30) // in_group)
    how = trained.How(optimizer, times, 1.0)
    errors, _ = trained.left_out_errors(rows, how)
    for group in range(0, 30 // in_group, 3):
        left = rows.groups == group
        mean, labels = rows.x[~left].mean(0), rows.y[~left].mean(0)
        z, basis = np.linalg.eigh((rows.x[~left] - mean).T @ (rows.x[~left] - mean) / (30 - in_group))
        z = z.clip(0)
        moment = basis.T @ ((rows.x[~left] - mean).T @ (rows.y[~left] - labels)) / (30 - in_group)
        for place, ridge in enumerate(how.ridges, start=len(times)):
            predicted = (rows.x[left] - mean) @ basis @ (moment / (z + ridge)[:, None]) + labels
            expected = rows.y[left] - predicted
            np.testing.assert_allclose(errors[left][:, :, place], expected, rtol=1e-4, atol=1e-6)
        weights = np.zeros((columns, 2))
        if not optimizer.discrete:
            done = np.where(z > 1e-12, -np.expm1(-z * times[2]) / np.maximum(z, 1e-12), times[2])
            weights = basis @ (done[:, None] * moment)
        else:
            memory, covariance = np.zeros((columns, 2)), basis * z @ basis.T
            for _ in range(int(times[1])):
                gradient = covariance @ weights - basis @ moment
                gradient += getattr(optimizer, "weight_decay", 0.0) * weights
                memory = getattr(optimizer, "momentum", 0.0) * memory - float(optimizer.lr) * gradient
                weights = weights + memory
        expected = rows.y[left] - (rows.x[left] - mean) @ weights - labels
        np.testing.assert_allclose(errors[left][:, :, 1 if optimizer.discrete else 2], expected, atol=1e-6)


def test_copies_are_found_to_rounding():
    rng = np.random.default_rng(1)
    x, y = draw(rng, 50)
    twice = np.concatenate([x, x * (1 + 1e-9), x]), np.concatenate([y, y, y + 1.0])
    found = groups.copies(*twice)
    assert found.max() + 1 == 100  # another label is another row
    np.testing.assert_array_equal(found[:50], found[50:100])
    counting = Counting(200, np.full(50, 4))
    for drawn in (20, 100, 200, 400):
        exact = 50 * (1 - (1 - drawn / 200) ** 4) if drawn <= 200 else 100
        assert counting.distinct(drawn) == pytest.approx(exact)
    assert counting.distinct(counting.drawn(25.0)) == pytest.approx(25.0)


def forecast(source):
    """The forecast of all features at TIMES of a source."""
    whole = source.estimate(replicas=0, seed=0)
    return choices.forecast_of(source, whole, FLOW, TIMES / float(whole.scale) * SCALES[0] ** 2, [])


def errors(made, truth, sizes):
    """Relative errors of a forecast at its times: truth(P, times in units of the rows)."""
    return {p: made.losses(math.inf, p) / truth(p, made.times / made.estimate.scale) - 1 for p in sizes}


def test_rows_four_times_each():
    """Within 10 % of training on as many fresh distinct rows; without a count of copies it is far off."""
    rng = np.random.default_rng(2)
    x, y = draw(rng, 300)
    copied = Source(np.concatenate([x] * 4), np.concatenate([y] * 4))

    def truth(p, times):
        distinct = round(300 * (1 - (1 - p / 1200) ** 4))
        fresh = [(draw(rng, distinct), draw(rng, 3000)) for _ in range(72)]  # known to 1 %
        return np.mean([flow_losses(*train, *test, times) for train, test in fresh], axis=0)

    source = independence.distinct(copied)
    assert len(source) == 300
    assert "1200 rows, 300 of them distinct" in source.remarks[-1]
    for p, error in errors(forecast(source), truth, (150, 600)).items():
        assert np.abs(error).max() < 0.10, p
    fooled = errors(forecast(copied), truth, (600,))[600]
    assert np.abs(fooled).max() > 0.12


def test_four_rows_a_group():
    """Rows of a group are alike, not equal: within 10 % of training on fresh groups, far off without --groups."""
    rng = np.random.default_rng(3)

    def grouped(count):
        x, y = draw(rng, count)
        x, y = np.repeat(x, 4, axis=0), np.repeat(y, 4)
        return x + 0.2 * rng.normal(size=x.shape) * SCALES, y + 0.1 * rng.normal(size=len(y))

    def truth(p, times):
        fresh = [(grouped(p // 4), grouped(700)) for _ in range(12)]
        return np.mean([flow_losses(*train, *test, times) for train, test in fresh], axis=0)

    rows = Source(*grouped(1000))  # chance of the known groups: 3 %
    known = Source(rows.data, rows.labels, groups=np.arange(4000) // 4)
    for p, error in errors(forecast(known), truth, (500, 2000)).items():
        assert np.abs(error).max() < 0.10, p
    fewer = Source(rows.data[:1200], rows.labels[:1200])
    assert np.abs(errors(forecast(fewer), truth, (600,))[600]).max() > 0.15


def test_scatter_of_hard_rows(monkeypatch):
    """Hard rows are bad to train on too: choices of known rows scatter as said, and more than without that."""
    how, found = trained.How(FLOW, np.array([5.0]), 1.0), []
    for name, value in (("MORE_DRAWS", 1), ("SHARES", (1 / 2,)), ("DRAWS", (32,))):
        monkeypatch.setattr(trained, name, value)
    for choice in range(120):
        rng = np.random.default_rng([choice // 60, choice % 60])
        x, y = rng.normal(size=(128, 30)), rng.normal(size=128) * np.where(rng.uniform(size=128) < 0.3, 2.0, 0.5)
        measured = trained.measure(trained.known_rows(x, y, None), math.inf, how, 0, on_point=lambda: None)
        found.append([(one.loss[0], one.chance[0], one.hard[0]) for one in measured])
    loss, chance, hard = np.moveaxis(np.array(found), 2, 0)  # (choices, half and all of the rows)
    scatter, said, without = (x**0.5 for x in (np.log(loss).var(0), chance.mean(0), (chance - hard).mean(0)))
    np.testing.assert_allclose(said, scatter, rtol=0.15)
    assert np.all(without < [0.8 * scatter[0], 0.9 * scatter[1]])


def test_blocks_of_a_time_series():
    """Blocks are twice as long as the rows correlate; independent rows stay one by one."""
    rng = np.random.default_rng(4)
    noise, slow = rng.normal(size=(2000, 3)), np.zeros((2000, 3))
    for i in range(1, 2000):
        slow[i] = 0.8 * slow[i - 1] + noise[i]
    length = 2000 / (groups.time_blocks(slow, slow[:, 0]).max() + 1)
    assert 12 < length < 30  # the correlation time of 0.8^j is 9
    assert groups.correlation_time(slow[:, 0]) == pytest.approx(9.0, rel=0.4)
    assert groups.time_blocks(noise, noise[:, 0]).max() == 1999


def test_parts_share_no_group_and_all_classes():
    rng = np.random.default_rng(5)
    labels = np.eye(3)[np.sort(rng.integers(3, size=90))]
    source = Source(rng.normal(size=(90, 4)), labels)
    first, second = split_evenly(source, 45, 0)
    np.testing.assert_allclose(labels[first].sum(0), labels[second].sum(0), atol=1)
    grouped = Source(source.data, labels[:, 0], groups=np.arange(90) // 3)
    first, second = split_evenly(grouped, 30, 0)
    assert not set(first // 3) & set(second // 3)
    assert len(first) == 30


def test_no_band_of_width_zero():
    """A noise that is found to be zero may be up to 3/n of the label variance, and bands say so."""
    problem = rfm.power_law(1.8, 1.5, 20, noise_var=0.0)
    x = np.random.default_rng(6).normal(size=(100, 20)) * np.sqrt(problem.eigenvalues)
    source = Source(x, x @ problem.target)
    whole = source.estimate(replicas=0, seed=0)
    made = choices.forecast_of(source, whole, FLOW, np.array([1.0, 1e9]), [])
    limit = 3 / whole.sample.size * whole.sample.total
    assert made.unseen_noise == pytest.approx(limit if whole.noise_var == 0 else 0.0)
    exact = Forecast(whole, FLOW, np.array([1e9]))
    band = exact.band(np.zeros(1), np.zeros(1))
    assert band.high[0] == pytest.approx(made.unseen_noise)


def test_accuracy_is_that_of_training():
    """Left-out rows are as often right as fresh rows are, within three standard errors; one-hot labels or signs."""
    rng = np.random.default_rng(7)
    centres = 1.2 * rng.normal(size=(3, 10))

    def classes(count):
        kind = rng.integers(3, size=count)
        return centres[kind] + rng.normal(size=(count, 10)), np.eye(3)[kind]

    x, y = classes(300)
    test, labels = classes(4000)
    for known, fresh in ((y, labels), (2 * y[:, 0] - 1, 2 * labels[:, 0] - 1)):
        source = Source(x, known)
        made = choices.forecast_of(source, source.estimate(replicas=0, seed=0), FLOW, np.array([0.1, 1e6]), [])
        design = np.column_stack([np.ones(300), x])
        scores = np.column_stack([np.ones(4000), test]) @ np.linalg.lstsq(design, known, rcond=None)[0]
        same = scores.argmax(1) == fresh.argmax(1) if known.ndim == 2 else (scores > 0) == (fresh > 0)
        assert abs(made.accuracy[-1].value - same.mean()) < 3 * made.accuracy[-1].stderr
    numbers = Source(x, x[:, 0])
    assert not choices.is_classes(numbers.labels)


def test_spectrum_that_falls_faster_than_a_power():
    """It keeps what was measured, and has no tail; a power law has one."""
    rng = np.random.default_rng(8)
    k = np.arange(1.0, 161.0)
    for eigenvalues, tail in ((np.exp(-k / 6), False), (k**-1.5, True)):
        root = rng.normal(size=(120, 160)) * np.sqrt(eigenvalues)
        source = Source(root @ root.T, root[:, 0], kernel=True, num_modes=160)
        problem = source.estimate(replicas=0, seed=0).problem
        assert (problem.tail is not None) == tail
