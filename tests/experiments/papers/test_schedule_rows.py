"""Schedules of the rows S7 and S10: the best exponential decay, and a batch ramp with the samples of a decay."""

import numpy as np

import rfm
import theory
from experiments.papers.li2025.functional_laws import best_exponential
from experiments.papers.smith2018.annealing import BATCH, _ramp

PROBLEM = rfm.power_law(2.5, 1.5, 100, 0.1)


def test_best_exponential_beats_its_neighbours():
    lr, risk = best_exponential(PROBLEM, 20, 40)
    np.testing.assert_allclose(np.diff(np.log(lr), 2), 0.0, atol=1e-12)  # exponential
    for factor in (0.8, 1.25):
        other = theory.predict(
            PROBLEM, num_features=20, num_samples=np.inf, optimizer=rfm.SGD(factor * lr, 1), times=[40]
        )
        assert other.risk[-1] > risk


def test_batch_ramp_sees_as_many_samples():
    """And goes as far: as many steps as the decay is long in units of its first rate."""
    decayed = 0.1 * (1.0 - np.arange(200) / 200)
    lr, sizes = _ramp(0.1, decayed)
    assert np.all(lr == 0.1)
    assert abs(len(lr) * 0.1 / decayed.sum() - 1.0) < 0.02
    assert abs(sizes.sum() / (200 * BATCH) - 1.0) < 0.12  # the last step would reach beyond the end
    assert np.all(np.diff(sizes[:90]) >= -1.0)
