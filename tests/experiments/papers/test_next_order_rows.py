"""What the rows on the next order measure with, on draws whose answer is known."""

import numpy as np
import pytest

from experiments.compare.comparison import Comparison
from experiments.papers.next_order import gap, seeds
from experiments.papers.next_order.moments import correlation_with, std_of

MANY = 40_000


@pytest.fixture(scope="module")
def normals():
    """Draws of two numbers of std 0.2 and 0.5 and correlation 0.6."""
    first, other = np.random.default_rng(1).standard_normal((2, MANY))
    return np.stack([1.0 + 0.2 * first, 3.0 + 0.5 * (0.6 * first + 0.8 * other)], axis=1)


def test_std_and_its_error(normals):
    std, error = std_of(normals)
    assert np.all(np.abs(std - [0.2, 0.5]) < 4 * error)
    np.testing.assert_allclose(error, np.array([0.2, 0.5]) / np.sqrt(2 * MANY), rtol=0.05)


def test_correlation_and_its_error(normals):
    rho, error = correlation_with(normals, 0)
    assert rho[0] == pytest.approx(1.0)
    assert error[0] == pytest.approx(0.0, abs=1e-12)
    assert error[1] == pytest.approx((1 - 0.36) / np.sqrt(MANY), rel=0.05)
    assert abs(rho[1] - 0.6) < 4 * error[1]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_measured_gap_over_predicted(share):
    rng, leading = np.random.default_rng(2), np.array([1.0, 0.5])
    runs = []
    for n in (10, 20, 40):
        added = leading / n
        risks = leading + share * added + 0.1 * rng.standard_normal((4000, 1)) + 0.02 * rng.standard_normal((4000, 2))
        runs.append(Comparison("time", np.array([1.0, 2.0]), risks, leading + added, {"N": n, "P": n}, line=leading,
                               line_x=np.array([1.0, 2.0]), order=2))  # fmt: skip
    ratio, error = gap.slope(runs)
    assert abs(ratio - share) < 4 * error
    assert 0.01 < error < 0.1


def test_number_of_draws(normals):
    number, error = seeds.measured_number(normals[:, 0])
    assert abs(number - 400.0) < 4 * error
    assert error < 10.0
