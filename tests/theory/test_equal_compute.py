"""Models of equal compute: those that differ in size alone are followed side by side."""

import numpy as np
import pytest
from tolerances import CONTOUR

import rfm
from theory.cases import Case
from theory.equal_compute import Family

TAIL = rfm.power_law(1.8, 1.5, 10**5, noise_var=0.05)
FEW = rfm.Problem(np.geomspace(1.0, 1e-3, 20), np.ones(20), 0.1)


@pytest.mark.parametrize(
    ("problem", "optimizer", "num_samples"),
    [
        (TAIL, rfm.GradientFlow(), np.inf),
        (TAIL, rfm.GradientDescent(0.3, 0.01), 90),
        (FEW, rfm.GradientFlow(), 30),
        (FEW, rfm.GradientDescent(0.6), 30),  # beyond stability for the smallest sizes alone
    ],
    ids=lambda x: type(x).__name__ if not isinstance(x, float | int) else str(x),
)
@pytest.mark.parametrize("nodes", [64, 160])
def test_side_by_side_is_one_by_one(problem, optimizer, num_samples, nodes, monkeypatch):
    """Risks and edges of sizes from 1 to the most that a budget pays for, after whole steps."""
    family = Family(Case(problem, None, num_samples, optimizer, None, "ntk").arrays(), 0.0, None, False, False)
    steps = np.round(np.geomspace(3e4, 2.0, 9))
    rows = np.log(np.stack([3e4 / steps, np.full(9, 3e4)], axis=1))
    risks, edges = family.ends(rows, nodes)
    monkeypatch.setattr(Family, "_differ_in_size", False)
    each, edges_of_each = family.ends(rows, nodes)
    np.testing.assert_array_equal(np.isfinite(risks), np.isfinite(each))
    assert np.isfinite(each).any()
    stays = isinstance(optimizer, rfm.GradientFlow) or optimizer.lr < 0.5
    assert np.isfinite(each).all() == stays
    finite = np.isfinite(each)
    np.testing.assert_allclose(risks[finite], each[finite], rtol=CONTOUR)
    np.testing.assert_allclose(edges, edges_of_each, rtol=CONTOUR)
    assert np.ptp(each[finite]) > 0.1 * np.min(each)  # a size makes a difference
