"""What trained models have learned of each mode, against their risk and against the moments of the theory."""

import numpy as np
import pytest

import rfm
import theory

PROBLEM = rfm.power_law(1.5, 1.25, 100, 0.1)
SIZES = dict(num_features=30, num_samples=50, optimizer=rfm.GradientFlow(), times=[3.0, 100.0])


@pytest.fixture(scope="module")
def learned():
    return rfm.coefficients(PROBLEM, **SIZES, seeds=300)


def test_risk_is_theirs(learned):
    risk = (PROBLEM.target - learned) ** 2 @ PROBLEM.eigenvalues
    np.testing.assert_allclose(risk, rfm.simulate(PROBLEM, **SIZES, seeds=300).risk, rtol=1e-10)
    np.testing.assert_array_equal(rfm.coefficients(PROBLEM, **SIZES, seeds=300, num_modes=7), learned[..., :7])


def test_share_and_scatter(learned):
    """Four standard errors of 300 draws and 2/N."""
    share, modes = learned / PROBLEM.target, theory.modes(PROBLEM, **SIZES)
    mean, std = share.mean(0), share.std(0, ddof=1)
    assert np.all(np.abs(mean - modes.learned) < 4.0 * std / np.sqrt(300) + 2.0 / 30 * np.abs(modes.learned))
    assert np.all(np.abs(std / modes.scatter - 1.0) < 4.0 / np.sqrt(600) + 5.0 / 30)


def test_refused():
    for count in (0, 101, 1.5):
        with pytest.raises(ValueError, match="Argument `num_modes` must be"):
            rfm.coefficients(PROBLEM, **SIZES, seeds=1, num_modes=count)
