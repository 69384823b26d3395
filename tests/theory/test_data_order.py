"""SGD in epochs, samples in a fixed order or shuffled: values made another way, full batches, one pass, training."""

import json
import time
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import rfm
import theory
from theory.data_order import Order, epochs_in_order
from theory.evaluation import problem_modes
from theory.fixed_point import Model
from theory.mode_rules import few_modes

VALUES = json.loads((Path(__file__).parent / "schedule_values.json").read_text())["epochs_orders"]
PROBLEM = rfm.power_law(1.7, 1.3, 200, 0.1)
KEYS = jax.random.split(jax.random.key(7), 128)


def predict(optimizer, sizes, times, problem=PROBLEM):
    return theory.predict(problem, num_features=sizes[0], num_samples=sizes[1], optimizer=optimizer, times=times)


@pytest.mark.parametrize("row", VALUES, ids=lambda row: f"{row['order']}, P = {row['P']}")
def test_values(row):
    """Risk by the public call; the loss of the next batch, which has no other name, by the equations."""
    shuffled, steps = row["order"] == "reshuffle", row["steps"]
    problem = rfm.power_law(row["a"], row["b"], row["M"], row["noise_var"])
    optimizer = rfm.SGD(row["lr"], row["B"], order="shuffle" if shuffled else "fixed")
    curve = predict(optimizer, (row["N"], row["P"]), steps, problem)
    assert curve.converged
    np.testing.assert_allclose(curve.risk, row["risk"], rtol=1e-10)
    model = Model(problem_modes(problem, 60.0), 1.0 / row["N"], 1.0 / row["P"], row["noise_var"])
    theta = np.tril(np.full((row["T"] + 1,) * 2, row["lr"]), -1)
    losses = epochs_in_order(few_modes(model, 1e9), model, theta, Order(row["P"] // row["B"], row["B"], shuffled))
    np.testing.assert_allclose(losses.batch_loss[steps], row["batch_loss"], rtol=1e-10)


@pytest.mark.parametrize("order", ["fixed", "shuffle"])
@pytest.mark.parametrize("sizes", [(30, 40), (40, 30), (np.inf, 20)], ids=str)
def test_one_batch_is_the_full_batch(order, sizes):
    """One batch an epoch: gradient descent with a schedule, and heavy ball, risk and training loss."""
    schedule, times = optax.cosine_decay_schedule(0.2, 60), [0, 1, 5, 30, 60]
    for optimizer, full in (
        (rfm.SGD(schedule, sizes[1], order=order), rfm.GradientDescent(schedule)),
        (rfm.SGD(0.1, sizes[1], 0.6, order=order), rfm.HeavyBall(0.1, 0.6)),
    ):
        curve, expected = predict(optimizer, sizes, times), predict(full, sizes, times)
        np.testing.assert_allclose(curve.risk, expected.risk, rtol=1e-8)
        np.testing.assert_allclose(curve.train_loss, expected.train_loss, rtol=1e-8)


def test_the_first_epoch_is_one_pass():
    """But for the term of the fourth moment, which theory leaves out here: a share of 1/B."""
    gaps = []
    for size in (4, 16):
        first = predict(rfm.SGD(0.1, size, order="fixed"), (60, 20 * size), [5, 20])
        one = predict(rfm.SGD(0.1, size), (60, np.inf), [5, 20])
        shuffled = predict(rfm.SGD(0.1, size, order="shuffle"), (60, 20 * size), [5, 20])
        np.testing.assert_allclose(shuffled.risk, first.risk, rtol=1e-9)
        gaps.append(abs(first.risk / one.risk - 1.0))
    assert np.all(gaps[0] < 0.05)
    np.testing.assert_allclose(gaps[0] / gaps[1], 4.0, rtol=0.3)


@pytest.mark.parametrize("order", [pytest.param("shuffle", marks=pytest.mark.slow), "fixed"])
def test_fourth_moment(order):
    """With it the first epoch is one pass, without a term left out; and batches of one are closer to training."""
    endless = rfm.power_law(1.7, 1.3, None, 0.1)
    optimizer, times = rfm.SGD(0.2, 2, order=order), [1, 5, 30]
    args = dict(num_features=np.inf, optimizer=optimizer, times=times)
    first = theory.predict(endless, num_samples=60, correction=True, **args)
    one = theory.predict(endless, num_samples=np.inf, **args | dict(optimizer=rfm.SGD(0.2, 2)))
    np.testing.assert_allclose(first.risk, one.risk, rtol=1e-11)
    args = dict(num_features=48, num_samples=24, optimizer=rfm.SGD(0.12, 1, order=order), times=[6, 24, 48])
    drawn = rfm.simulate(PROBLEM, **args, keys=jax.random.split(jax.random.key(8), 1000))
    for name in ("risk", "train_loss"):
        both = [getattr(theory.predict(PROBLEM, **args, correction=c), name) for c in (False, True)]
        without, gap = abs(np.array(both) / drawn.mean(name) - 1.0)
        assert np.all(gap < 4.0 * drawn.stderr(name) / drawn.mean(name) + 1.0 / 48), name
        assert np.mean(gap) < 0.6 * np.mean(without), name


@pytest.mark.parametrize("optimizer", [
    rfm.SGD(0.2, 8, order="shuffle"),
    rfm.SGD(optax.cosine_decay_schedule(0.2, 60), 12, 0.5, average=0.9, order="shuffle"),
    rfm.SGD(0.1, 8, 0.5, "polyak", order="fixed"),
], ids=["shuffled", "shuffled, decay, momentum, average", "fixed, momentum, average"])  # fmt: skip
def test_training_is_as_predicted(optimizer):
    """Within four standard errors and 3/N, risk, training loss and the risk of the average."""
    args = dict(num_features=48, num_samples=48, optimizer=optimizer, times=[1, 4, 10, 20, 60])
    expected, drawn = theory.predict(PROBLEM, **args), rfm.simulate(PROBLEM, **args, keys=KEYS)
    assert expected.converged
    for name in ["risk", "train_loss"] + ["average_risk"] * (optimizer.average is not None):
        gap = abs(drawn.mean(name) / getattr(expected, name) - 1.0)
        assert np.all(gap < 4.0 * drawn.stderr(name) / getattr(expected, name) + 3.0 / 48), name


@pytest.mark.parametrize("order", [pytest.param("shuffle", marks=pytest.mark.slow), "fixed"])
def test_epochs_see_every_sample_once(order):
    """A last batch that is shorter; whatever the order, one epoch of tiny steps is one full step."""
    args = dict(num_features=48, num_samples=48, keys=KEYS[:16], return_weights=True)
    tiny = rfm.simulate(PROBLEM, **args, optimizer=rfm.SGD(1e-6, 20, order=order), times=[3])
    full = rfm.simulate(PROBLEM, **args, optimizer=rfm.SGD(1e-6, 48, order=order), times=[1])
    shares = np.array([20.0, 20.0, 8.0])  # of the batches of an epoch; each weighs its own samples alike
    assert np.all(np.isfinite(tiny.weights))
    ratio = tiny.weights / full.weights
    assert 0.5 < np.median(ratio) / len(shares) < 2.0


@pytest.mark.slow
def test_shuffling_is_between_fixed_order_and_replacement():
    """Late in training samples drawn anew at every step do worse than any order that sees all of them."""
    args = dict(num_features=40, num_samples=24, times=[6 * 20], keys=jax.random.split(jax.random.key(5), 128))
    losses = {order: rfm.simulate(PROBLEM, **args, optimizer=rfm.SGD(0.3, 4, order=order)) for order in rfm.sgd.ORDERS}
    drawn = losses["replacement"].train_loss
    for order in ("shuffle", "fixed"):
        gap = np.log(drawn) - np.log(losses[order].train_loss)
        assert gap.mean() > 3.0 * gap.std() / np.sqrt(128)


def test_the_training_loss_tells_orders_apart():
    """Shuffled batches leave less of the training loss than batches drawn anew; the theory of one refuses the other."""
    args, shuffled = dict(num_features=48, num_samples=48, times=[1, 6, 30, 60, 120]), rfm.SGD(0.25, 2, order="shuffle")
    drawn = rfm.simulate(PROBLEM, **args, optimizer=shuffled, keys=KEYS)  # of a shape above
    mean, error = drawn.mean("train_loss")[-1], drawn.stderr("train_loss")[-1]
    right, wrong = (theory.predict(PROBLEM, **args, optimizer=x).train_loss[-1] for x in (shuffled, rfm.SGD(0.25, 2)))
    assert abs(mean - right) < 4.0 * error + 3.0 / 48 * right
    assert abs(mean - wrong) > 4.0 * error


def test_compressed_modes_are_all_modes():
    """Gauss's rules carry sums over 10^6 modes, and of endless ones."""
    problem = rfm.power_law(1.7, 1.3, 10**6, 0.1)
    model = Model(problem_modes(problem, 40.0), 1.0, 1.0, 0.1)
    measure, k = few_modes(model, 100.0), np.arange(1.0, 10**6 + 1)
    lam, power = k**-1.3, k**-1.7
    for rate in (1.0, 30.0, 100.0):
        f = lambda x, rate=rate: np.exp(-x * rate)  # noqa: E731
        np.testing.assert_allclose(measure.spectrum @ f(measure.eigenvalues), lam @ f(lam), rtol=1e-9)
        np.testing.assert_allclose(measure.power @ f(measure.starts), power @ f(power ** (1.3 / 1.7)), rtol=1e-9)


def test_refused():
    for size, samples, name in ((7, 30, "batch_size"), (lambda t: 2, 30, "batch_size"), (2, np.inf, "order")):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            predict(rfm.SGD(0.1, size, order="shuffle"), (10, samples), [1, 2])
    with pytest.raises(ValueError, match="`times` must be at most about"):
        predict(rfm.SGD(0.1, 2, order="shuffle"), (10, 30), [5000])


def test_sweeps():
    """Point by point, infinite where the rate is beyond stability."""
    args = dict(num_features=8, num_samples=30, times=[1, 20])
    swept = theory.sweep(
        PROBLEM, {"lr": [0.1, 9.0], "noise_var": [0.3]}, **args, optimizer=rfm.SGD(0.1, 2, order="fixed")
    )
    one = theory.predict(rfm.power_law(1.7, 1.3, 200, 0.3), **args, optimizer=rfm.SGD(0.1, 2, order="fixed"))
    np.testing.assert_allclose(swept.risk[0, 0], one.risk, rtol=1e-12)
    np.testing.assert_allclose(swept.train_loss[0, 0], one.train_loss, rtol=1e-12)
    assert np.all(np.isinf(swept.risk[1]))


@pytest.mark.slow
@pytest.mark.parametrize("order", ["shuffle", "fixed"])
def test_a_thousand_steps_take_less_than_a_minute(order):
    """Of processor time, whatever else runs; the first hundred are those of a short call."""
    problem, start = rfm.power_law(1.7, 1.3, 2000, 0.1), time.process_time()
    curve = predict(rfm.SGD(0.2, 6, order=order), (120, 96), [100, 1000], problem)
    assert time.process_time() - start < 60.0
    assert curve.converged
    short = predict(rfm.SGD(0.2, 6, order=order), (120, 96), [50, 100], problem)
    np.testing.assert_allclose(curve.risk[0], short.risk[1], rtol=3e-12)
