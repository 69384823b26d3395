"""What the rows on other test data, teachers and generations compute by themselves."""

import numpy as np
import pytest

import rfm
from experiments.papers.two_points.covariate_shift import bent
from experiments.papers.two_points.draws import Model, agrees, fits, risks

PROBLEM = rfm.power_law(1.5, 1.25, 12)


@pytest.mark.parametrize(
    "model", [Model(20, 30, rfm.Ridge(0.0)), Model(20, 30, rfm.GradientFlow(), 1e9)], ids=("ridge", "flow")
)
def test_models_learn_the_targets_that_they_are_told(model):
    """Each its own, where there are more features and rows than modes and no noise; with noise they do not."""
    rng = np.random.default_rng(0)
    targets = rng.standard_normal((5, 12))
    assert abs(fits(rng, PROBLEM, targets, model, 0.0) - targets).max() < 1e-3
    assert abs(fits(rng, PROBLEM, targets, model, 1.0) - targets).max() > 0.1


def test_risk_and_shift():
    truth = np.broadcast_to(PROBLEM.target, (3, 12))
    np.testing.assert_array_equal(risks(PROBLEM, truth), 0.0)
    np.testing.assert_allclose(risks(PROBLEM, 0.0 * truth), PROBLEM.power, rtol=1e-12)
    moved = bent(PROBLEM.eigenvalues, -1.0)
    np.testing.assert_allclose(moved, PROBLEM.trace / 12, rtol=1e-12)


def test_a_wrong_theory_is_noticed():
    drawn = 1.0 + 0.1 * np.random.default_rng(1).standard_normal((100, 4))
    assert agrees("x", drawn, np.ones(4), 50).verdict == "confirmed"
    assert agrees("x", drawn, np.array([1.0, 1.0, 1.2, 1.0]), 50).verdict != "confirmed"
