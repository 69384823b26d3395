"""The envelope of models of a few sizes, and exponents that are approached as a logarithm."""

import numpy as np
import pytest

from experiments.papers.bordelon2024.figure4_compute import COMPUTE_TIMES, envelope
from experiments.papers.bordelon2024.formulas import claimed_size, limit
from theory import exponents

SIZES = (32, 64, 128, 256, 512)


def test_envelope_takes_the_best_inner_size_of_every_budget():
    n = np.array(SIZES, float)[:, None]
    risk = n**-1.0 + (8.0 * COMPUTE_TIMES) ** -1.0  # best where N = 8 t, N = sqrt(8 C)
    compute, size, time = envelope(SIZES, risk)
    assert np.allclose(np.array(SIZES)[size] * COMPUTE_TIMES[time], compute)
    assert np.all(np.abs(np.log2(np.array(SIZES)[size] / np.sqrt(8.0 * compute))) <= 0.5 + 1e-9)
    assert set(size) == {1, 2, 3}
    assert np.polyfit(np.log(compute), np.log(risk[size, time]), 1)[0] == pytest.approx(-0.5, abs=0.02)


@pytest.mark.parametrize(("a", "b"), [(2.0, 1.5), (2.0, 2.0), (1.5, 1.25)])
def test_claimed_size_is_the_closed_form_of_hard_tasks(a, b):
    assert claimed_size(a, b) == pytest.approx(exponents.frontier_exponents(a, b)[0])


def test_limit_of_a_logarithmic_approach():
    compute = np.array([1e10, 1e14, 1e18])
    assert limit(0.5 - 0.7 / np.log(compute), compute) == pytest.approx(0.5)
