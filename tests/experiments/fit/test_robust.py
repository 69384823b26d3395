"""Power laws by Huber's loss, as published; the rows that stand out from them; the verdict."""

import numpy as np
import pytest
from hard_cases import case
from test_fit import chinchilla_table

from experiments.fit import table as curve_table
from experiments.fit.least_squares import fit
from experiments.fit.losses import read
from experiments.fit.models import Chinchilla, Solvable
from experiments.fit.robust import huber, outliers
from experiments.fit.table import Design


def power_laws(name):
    table = read(case(name), {}).table
    return Chinchilla(table.design, table.design.varied), table


@pytest.mark.parametrize(("part", "alpha", "gamma"), [("with", 0.391, 0.615), ("without", 0.375, 0.385)])
def test_published_fit(part, alpha, gamma):
    """Least squares give .392, .628 and .387, .382."""
    model, table = power_laws(f"isoflop_{part}_outliers.csv")
    found = huber(model, table)
    assert found.value("alpha") == pytest.approx(alpha, abs=5e-4)
    assert found.value("beta") == pytest.approx(gamma, abs=5e-4)
    out = outliers(model, table, found)
    assert np.flatnonzero(out).tolist() == ([0, 1, 2, 3, 4] if part == "with" else [])
    if out.any():
        inner = huber(model, table, np.where(out, 0.0, 1.0))
        assert inner.value("alpha") == pytest.approx(0.375, abs=5e-4)
        assert inner.value("beta") == pytest.approx(0.385, abs=5e-4)


def test_least_squares_of_both_axes():
    model, table = power_laws("header_N_D_loss.csv")
    found = fit(model, table)
    for name, value in {"E": 1.92, "alpha": 0.50, "beta": 0.38}.items():
        assert found.value(name) == pytest.approx(value, abs=0.005), name


def test_evaluations_of_one_run_are_not_independent():
    model, table = power_laws("eight_evals_of_a_run.csv")
    _, low, high = fit(model, table).interval("alpha")
    assert (low, high) == (pytest.approx(0.318, abs=1e-3), pytest.approx(0.420, abs=1e-3))
    _, low, high = huber(model, table).interval("alpha")
    assert low < 0.318 < 0.420 < high < 0.5


@pytest.mark.parametrize(("repeats", "tables"), [pytest.param(1, 60, marks=pytest.mark.slow), (4, 30)])
def test_intervals_of_correlated_runs_cover(repeats, tables):
    """As of least squares: tables whose runs are off as wholes."""
    inside = 0
    for seed in range(tables):
        table = chinchilla_table(0.03, seed, repeats)
        _, low, high = huber(Chinchilla(table.design, ("features", "times")), table).interval("alpha")
        inside += low <= 0.5 <= high
    assert inside >= 0.9 * tables


THETA = np.array([1.8, 1.4, 0.0, 0.3, 0.1, 0.0, 0.0, 0.0])


def scattered():
    """Thirty models on fresh data, each of its own size, at four times, for endlessly many modes."""
    sizes, times = 10 ** np.random.default_rng(0).uniform(1, 4, 30), np.geomspace(1.0, 1e4, 4)
    return Solvable(Design(np.repeat(sizes, 4), np.full(120, np.inf), np.tile(times, 30)))


def test_sizes_between_others(monkeypatch):
    """The risk of many models, interpolated from that of a few: to 1e-4."""
    loss = scattered().loss(THETA)
    monkeypatch.setattr(curve_table, "BETWEEN", 1_000)
    np.testing.assert_allclose(loss, scattered().loss(THETA), rtol=1e-4)
    assert Solvable(scattered().design, num_modes=200)._curves.weights is None  # at N = M it is not smooth


@pytest.mark.slow
def test_slopes_between_sizes():
    model = scattered()
    _, slopes = model.derivatives(THETA)
    for i in (0, 1):
        step = np.eye(8)[i] * 1e-5
        numeric = (model.loss(THETA + step) - model.loss(THETA - step)) / 2e-5
        np.testing.assert_allclose(slopes[:, i], numeric, rtol=1e-5, atol=1e-8)
