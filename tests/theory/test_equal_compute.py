"""Models of equal compute: those that differ in numbers alone are followed side by side."""

import dataclasses

import numpy as np
import pytest
from tolerances import CONTOUR

import rfm
from theory.cases import Case
from theory.equal_compute import Family

TAIL = rfm.power_law(1.8, 1.5, 10**5, noise_var=0.05)
DIVERGES = rfm.power_law(1.6, 0.8, 1000, noise_var=0.05)
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
    family = Family(Case(problem, None, num_samples, optimizer, None, "ntk").arrays(), 0.0, None, False)
    each = _both_ways(family, _rows(), nodes, monkeypatch)
    stays = isinstance(optimizer, rfm.GradientFlow) or optimizer.lr < 0.5
    assert np.isfinite(each).all() == stays


@pytest.mark.parametrize("nodes", [64, 160])
@pytest.mark.parametrize(
    "family",
    [
        Family(Case(TAIL, None, np.inf, rfm.SGD(0.1, 4)), 0.0, None, False),
        Family(Case(TAIL, None, np.inf, rfm.SGD(0.02, 4, 0.9), None, "standard"), -1.0, None, False),
        Family(Case(DIVERGES, None, np.inf, rfm.SGD(0.4, 1)), -0.5, 2.0, False),
        Family(Case(FEW, None, np.inf, rfm.SGD(0.3, 2)), 0.0, None, True),
        Family(Case(DIVERGES, None, 500, rfm.GradientFlow(), None, "standard"), 0.0, 3.0, False),
    ],
    ids=["batches", "momentum", "own modes", "own lr", "flow"],
)
def test_modes_and_learning_rates_of_their_own(family, nodes, monkeypatch):
    """SGD, and modes that grow with the size; a learning rate beyond stability spoils no other."""
    family = dataclasses.replace(family, case=family.case.arrays())
    rows = _rows(70.0)
    if family.tune_lr:
        rows = np.insert(rows, 1, np.log(np.geomspace(1.0, 1e-3, 9)), axis=1)
    each = _both_ways(family, rows, nodes, monkeypatch)
    assert np.isfinite(each).all() == (not family.tune_lr)


def _rows(fewest: float = 1.0) -> np.ndarray:
    """Models of one budget whose last is trained for two steps."""
    steps = np.round(np.geomspace(3e4, 2.0, 9))
    return np.log(np.stack([fewest * 3e4 / steps, np.full(9, fewest * 3e4)], axis=1))


def _both_ways(family: Family, rows: np.ndarray, nodes: int, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Compare risks and edges of models side by side with those one by one, and return the latter's risks."""
    risks, edges = family.ends(rows, nodes)
    monkeypatch.setattr(Family, "_differ_in_numbers", False)
    each, edges_of_each = family.ends(rows, nodes)
    finite = np.isfinite(each)
    np.testing.assert_array_equal(np.isfinite(risks), finite)
    np.testing.assert_allclose(risks[finite], each[finite], rtol=CONTOUR)
    np.testing.assert_allclose(edges, edges_of_each, rtol=CONTOUR)
    assert np.ptp(each[finite]) > 0.1 * np.min(each)  # a size makes a difference
    return each
