"""The plateau of one-pass SGD in closed form, beside the second moments iterated and the Volterra theory."""

import numpy as np
import pytest

import rfm
import theory
from experiments.papers.bordelon2024.formulas import plateau_factor


@pytest.mark.parametrize(("lr", "batch"), [(0.5, 1), (0.5, 4), (0.5, 2), (0.1, 32)])
def test_factor_is_where_second_moments_end(lr, batch):
    z = np.arange(1.0, 9.0) ** -1.25
    c, floor = np.zeros(8), 0.3
    for _ in range(4000):
        label_risk = floor + z @ c
        c = (1.0 - lr * z) ** 2 * c + lr**2 / batch * (z**2 * c + z * label_risk)
    assert (floor + z @ c) / floor == pytest.approx(plateau_factor(lr, batch, z), rel=1e-9)


def test_factor_is_that_of_theory_as_features_grow():
    problem = rfm.power_law(1.5, 1.25, 300, 0.1)
    gaps = []
    for n in (1e4, 1e5):
        late = theory.predict(
            problem, num_features=n, num_samples=np.inf, optimizer=rfm.SGD(0.5, 8), times=np.array([1e9])
        )
        gaps.append(late.train_loss[0] / 0.1 / plateau_factor(0.5, 8, problem.eigenvalues) - 1.0)
    assert abs(gaps[0]) < 1e-3
    assert gaps[1] == pytest.approx(gaps[0] / 10.0, rel=0.05)
