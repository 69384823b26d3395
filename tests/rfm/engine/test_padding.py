"""One program for several sizes: the numbers of longer arrays are those of the sizes themselves."""

import jax
import numpy as np
import pytest
from compilations import compilations
from tolerances import ROUNDING, SAME_SUMS

import rfm
from rfm.engine import padding
from rfm.engine.features import Counts
from rfm.engine.plans import Task
from rfm.engine.requests import Request
from rfm.engine.simulation import plan_simulation

PROBLEM = rfm.power_law(1.8, 1.5, 1300, noise_var=0.1)  # two chunks of modes
KEYS = jax.random.split(jax.random.key(3), 3)
TIMES = np.array([1.0, 10.0, 100.0])


def simulate(**changed):
    args = dict(num_features=20, num_samples=45, optimizer=rfm.GradientFlow(), times=TIMES, keys=KEYS) | changed
    return rfm.simulate(PROBLEM, **args)


def plan_and_task(problem, optimizer, num_samples=45):
    request = Request(problem, 20, num_samples, optimizer, TIMES, KEYS)
    return plan_simulation(request), Task(problem, optimizer, TIMES)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"num_features": np.inf},
        {
            "features": "rademacher",
            "parametrization": "standard",
            "optimizer": rfm.GradientDescent(1e-3),
            "num_samples": np.inf,
        },
        {"optimizer": rfm.Ridge(0.0), "times": None, "num_samples": 13, "bags": 2},
    ],
    ids=str,
)
def test_longer_arrays_change_nothing(changed, monkeypatch):
    """Risk and training loss, where runs are so short that the longest arrays are taken, and with none."""
    longer = simulate(**changed)
    monkeypatch.setattr(padding, "STEPS", ())
    itself = simulate(**changed)
    for name in ("risk", "train_loss"):
        np.testing.assert_allclose(getattr(longer, name), getattr(itself, name), rtol=SAME_SUMS, atol=ROUNDING)
    np.testing.assert_array_equal(longer.times, itself.times)


def test_a_scan_over_sizes_compiles_few_programs(monkeypatch):
    """Thirteen sizes are programs for three, to draw, decompose, solve and evaluate; without padding for each size."""
    sizes = np.unique(np.geomspace(8, 400, 13).astype(int))
    simulate(num_features=8, num_samples=np.inf, times=TIMES[:1])  # what is compiled for keys and the like
    with compilations() as compiled:
        for n in sizes:
            simulate(num_features=n, num_samples=np.inf, times=TIMES[:1])
    assert 0 < len(compiled) <= 12
    monkeypatch.setattr(padding, "STEPS", ())
    with compilations() as each:
        for n in sizes[:2]:
            simulate(num_features=n, num_samples=np.inf, times=TIMES[:1])
    assert len(each) == 8


def test_many_seeds_share_the_programs_of_sixteen():
    """Other numbers of seeds compile nothing, and are the same draws, where runs that are thrown away cost little."""
    args = dict(num_samples=np.inf, optimizer=rfm.GradientFlow(), times=TIMES[:1])
    keys = jax.random.split(jax.random.key(4), 37)
    few = simulate(**args, keys=keys[:16])
    with compilations() as compiled:
        many, fewer = (simulate(**args, keys=keys[:seeds]) for seeds in (37, 11))
    assert not [x for x in compiled if "_models" in str(x) or "look_at_draws" in str(x)]
    assert many.risk.shape == (37, 1)
    np.testing.assert_array_equal(many.risk[:16], few.risk)
    np.testing.assert_array_equal(fewer.risk, few.risk[:11])
    np.testing.assert_allclose(many.risk[36:], simulate(**args, keys=keys[36:]).risk, rtol=SAME_SUMS)


def test_batches_are_as_long_as_they_may_be():
    """Long runs are not thrown away, long descents are not taken batch by batch."""
    plan, task = plan_and_task(PROBLEM, rfm.GradientFlow())
    seeds = [1, 2, 3, 5, 16, 17, 320]
    assert [padding.batch_length(plan, task, count) for count in seeds] == [1, 2, 4, 8, 16, 16, 16]
    large = plan._replace(setting=plan.setting._replace(num_features=4000, num_samples=4000))
    assert padding.batch_length(large, task, 3) == 3
    assert padding.batch_length(large, task, 17) == 17
    assert padding.batch_length(large, task, 32) == 16
    plan, task = plan_and_task(PROBLEM, rfm.GradientDescent(0.1))
    assert padding.batch_length(plan, task._replace(times=np.array([1e6])), 32) == 32


def test_long_runs_have_their_sizes():
    """Where the runs cost more than a compilation nothing is longer, or only a little."""
    plan, task = plan_and_task(PROBLEM, rfm.GradientFlow())
    longer, padded = padding.pad(plan, task, 3)
    assert (longer.setting.num_features, longer.setting.num_samples, len(padded.times)) == (32, 128, 4)
    assert padded.counts == Counts(20, 45)
    assert padding.pad(plan, task, 10**6) == (plan, task)


def test_fresh_batches_of_real_rows_see_all_of_them():
    """A batch of every row is gradient descent on all; a learning rate beyond stability is refused by number."""
    rows = np.random.default_rng(0).normal(size=(60, 9))
    real = rfm.from_features(rows, rows[:, 0])
    args = dict(num_features=5, num_samples=np.inf, times=[1, 5], keys=KEYS)
    batches = rfm.simulate(real, optimizer=rfm.SGD(0.1, batch_size=60), **args)
    whole = rfm.simulate(real, optimizer=rfm.GradientDescent(0.1), **args)
    np.testing.assert_allclose(batches.risk, whole.risk, rtol=SAME_SUMS)
    with pytest.raises(ValueError, match=r"`lr` must be < [\d.]+ = "):
        rfm.simulate(real, optimizer=rfm.SGD(1e3, batch_size=4), **args)


def test_what_depends_on_a_size_is_left_alone():
    """Batches out of a training set, updates across coordinates, rows of real data."""
    import optax

    rows = np.random.default_rng(0).normal(size=(60, 9))
    real = rfm.from_features(rows, rows[:, 0])
    for problem, optimizer in (
        (PROBLEM, rfm.SGD(0.1, 4)),
        (PROBLEM, rfm.Optax(optax.adam, {"learning_rate": 0.01})),
        (real, rfm.GradientDescent(0.01)),
    ):
        plan, task = plan_and_task(problem, optimizer)
        assert padding.pad(plan, task, 3) == (plan, task)
