"""What rows S2 and S4 measure with, on curves whose answer is known."""

import numpy as np
import pytest

import rfm
from experiments.compare.statistics import over_draws
from experiments.compare.verdicts import CONFIRMED, OPEN, REFINED
from experiments.papers.boopathy2024 import clock, noise
from experiments.papers.boopathy2024 import scale_time as st
from experiments.papers.paquette2024 import phase_map as phases
from experiments.papers.paquette2024 import phases_of_sgd
from theory import exponents

# clock at which risks 0.8, 0.5, 0.3 are reached: a = 1.5, b = 1.25, 1e7 modes, computed independently
TABLE = {
    64: (6.9, np.inf, np.inf), 128: (4.7, 38.2, np.inf), 256: (4.1, 17.4, np.inf), 512: (3.9, 14.0, 79.8),
    1024: (3.8, 12.8, 54.8),
}  # fmt: skip


@pytest.mark.parametrize("size", TABLE)
def test_time_to_a_risk(size):
    found = st.times_to_risk(st.CLOCK, st.risk_by_clock(rfm.power_law(1.5, 1.25, clock.TABLE_MODES), size))
    np.testing.assert_allclose(found, TABLE[size], atol=0.06)


def test_error_over_draws():
    """The mean of 400 draws of standard deviation 0.2, and its logarithm."""
    risks = 2.0 + 0.2 * np.random.default_rng(0).standard_normal((400, 3, 5))
    mean, error = over_draws(risks, lambda mean: mean[:, 0])
    np.testing.assert_allclose(mean, risks[:, :, 0].mean(0))
    np.testing.assert_allclose(error, 0.01, rtol=0.2)
    _, error = over_draws(risks, lambda mean: np.log(mean[:, 0]))
    np.testing.assert_allclose(error, 0.005, rtol=0.2)


def test_hump_stands_out_of_its_errors():
    n, mean = noise.CUT_SIZES, np.array([1.4, 1.1, 1.3, 1.9, 2.1, 1.8, 0.8, 0.5, 0.4])
    assert noise._hump(n, mean, np.full(9, 0.1), 30.0) == (
        "t = 30: 1.10 at N = 25, then 2.10 at N = 100, then 0.40 at N = 800"
    )
    assert noise._hump(n, mean, np.full(9, 0.5), 30.0) == ""
    assert noise._hump(n, np.sort(mean)[::-1], np.full(9, 0.01), 30.0) == ""


@pytest.mark.parametrize(
    ("gaps", "converged", "verdict"),
    [
        ((0.01, 0.005, 0.002), (1, 1, 1), CONFIRMED),
        ((0.08, 0.04, 0.03), (1, 1, 1), REFINED),  # tends to the formula
        ((0.08, 0.04, 0.05), (1, 1, 1), OPEN),
        ((0.08, 0.04, 0.5), (1, 1, 0), REFINED),
        ((0.08, 0.04, 0.03), (1, 0, 0), OPEN),  # one point shows no trend
    ],
)
def test_verdict_on_a_trend(gaps, converged, verdict):
    formula = exponents.phase(0.75, 0.25).risk
    computes = np.geomspace(1e6, 1e10, 3)
    line = [
        phases.Best((0.75, 0.25), compute, formula - gap, 0.0, bool(ok))
        for compute, gap, ok in zip(computes, gaps, converged, strict=True)
    ]
    assert phases_of_sgd._tends("x", (0.75, 0.25), line).verdict == verdict


def test_envelope_of_power_laws():
    """Interpolated exactly where a curve is a power law of C = N r, infinite where not reached."""
    times = np.geomspace(1.0, 1e3, 4)
    found = phases_of_sgd._at([10 * times, 20 * times], [times**-0.5, times**-0.7], np.array([50.0, 1.5e4]))
    np.testing.assert_allclose(found[:, 0], [-0.5 * np.log(5.0), -0.7 * np.log(2.5)])
    assert found[0, 1] == np.inf
    assert np.isfinite(found[1, 1])


def test_learning_rate_is_half_of_one_over_the_trace():
    """b < 1: 1/trace of 2 N modes, which grows with N; b > 1: of all modes. To the leading order of the sum."""
    for b, modes in ((0.5, 2 * 10**6), (0.8, 2 * 10**6), (2.5, 10**5)):
        lr, shrinks = phases.learning_rate(b)
        trace = np.sum(np.arange(1.0, modes + 1) ** -b)
        assert lr * (modes / 2) ** shrinks * trace == pytest.approx(0.5, rel=0.25)
    with pytest.raises(ValueError, match="`alpha` must be"):
        phases.learning_rate(1.0)
