"""What is refused of schedules, batches and DANA, in words that say what is served in its place."""

import numpy as np
import optax
import pytest

import rfm
import theory

INF = np.inf
PROBLEM = rfm.power_law(1.7, 1.3, 200, 0.1)
STEPS = [0, 1, 2, 7, 40, 200]


def predict(optimizer, num_features=30, num_samples=INF, times=STEPS):
    return theory.predict(PROBLEM, num_features=num_features, num_samples=num_samples, optimizer=optimizer, times=times)


REFUSED = {
    "lr at step 3": (lambda: rfm.SGD(lambda t: 0.1 - 0.05 * t), r"`lr` must be a finite number >= 0 .*at step 3"),
    "a rate that is none": (lambda: rfm.SGD(lambda t: np.nan), r"`lr` must be finite at every step \(at step 0"),
    "too few rates": (lambda: rfm.SGD(np.full(10, 0.1)), r"`lr` must be one value for each of 200 steps"),
    "half a sample": (lambda: rfm.SGD(0.1, lambda t: 1.5), r"`batch_size` must be a whole number >= 1 .*at step 0"),
    "momentum 1": (lambda: rfm.SGD(0.1, 1, lambda t: t / 100), r"`momentum` must be .*< 1 at every step \(at step 100"),
    "unstable": (lambda: rfm.SGD(optax.linear_schedule(0.01, 9.0, 200), 4), r"`lr` must be < .* at step 199 \("),
    "an average": (lambda: rfm.SGD(0.1, average="ema"), r"`average` must be None, a decay"),
    "a decay": (lambda: rfm.SGD(0.1, average=1.0), r"`average` must be a number >= 0 and < 1"),
    "an order": (lambda: rfm.SGD(0.1, order="random"), r"`order` must be one of 'replacement', 'shuffle', 'fixed'"),
    "an order of one pass": (lambda: rfm.SGD(0.1, order="shuffle"), r"`order` must be 'replacement' for one pass"),
    "DANA, forgetting": (lambda: rfm.DANA(0.1, 0.1, 0.0), r"`forgetting` must be a number > 0 and <= 1"),
    "DANA, lr": (lambda: rfm.DANA(0.0, 0.1, 0.1), r"`lr` must be a finite number > 0"),
    "DANA, momentum_lr": (
        lambda: rfm.DANA(0.1, lambda t: 0.1 - t, 0.1),
        r"`momentum_lr` must be a finite .*at step 1 ",
    ),
    "DANA, b": (lambda: rfm.DANA.decay(0.1, 0.9), r"`b` must be a number > 1"),
    "DANA, unstable": (lambda: rfm.DANA(lambda t: 0.1 + t, 0.1, 0.1, 4), r"`lr` must be < .* at step 199"),
    "DANA, unstable memory": (lambda: rfm.DANA(0.1, 9.0, 0.1, 4), r"`momentum_lr` must be smaller"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        predict(make())
    with pytest.raises(ValueError, match=message):
        rfm.simulate(PROBLEM, num_features=8, num_samples=INF, optimizer=make(), times=STEPS, seeds=2)


def test_batches_beyond_the_samples_are_refused():
    with pytest.raises(ValueError, match=r"`batch_size` must be .* at most num_samples = 30"):
        predict(rfm.SGD(0.1, 40), 30, 30)
    grows, message = (
        rfm.SGD(0.1, lambda t: 20 + t),
        r"`batch_size` must be at most num_samples = 30 .*at step 11 it is 31",
    )
    with pytest.raises(ValueError, match=message):
        predict(grows, 30, 30)
    with pytest.raises(ValueError, match=message):
        rfm.simulate(PROBLEM, num_features=8, num_samples=30, optimizer=grows, times=STEPS, seeds=2)
    predict(grows, 30, 30, [0, 11])


def test_searches_say_what_they_need():
    again = rfm.SGD(0.1, 4)
    with pytest.raises(ValueError, match="`longest` must be a number of steps"):
        theory.best_stopping(PROBLEM, num_features=20, num_samples=30, optimizer=again)
    best = theory.best_stopping(PROBLEM, num_features=20, num_samples=30, optimizer=again, longest=1000)
    assert best.risk <= predict(again, 20, 30, [best.time, best.time + 1]).risk.min() * (1.0 + 1e-9)
    endless = rfm.power_law(1.7, 1.3, None)
    for name, optimizer, samples in (("num_samples", again, 100), ("average", rfm.SGD(0.1, average=0.9), INF)):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            theory.frontier(endless, num_samples=samples, optimizer=optimizer, compute=[1e4])
    with pytest.raises(ValueError, match="`average` must be None for ensemble or bags"):
        theory.predict(
            PROBLEM, num_features=20, num_samples=INF, optimizer=rfm.SGD(0.1, average=0.9), times=[1], bags=2
        )
