"""Fits of measured losses: recovery, derivatives, intervals against the jackknife, what is refused and what is said."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import binom

import rfm
import theory
from experiments.commands.fit import read_fixed
from experiments.fit import models as curve_models
from experiments.fit.least_squares import Fit, fit, sandwich
from experiments.fit.models import Chinchilla, Solvable
from experiments.fit.readings import BestSize, Reading, best_size, compute_rule, parameters, regimes
from experiments.fit.report import few_runs, rule_rows
from experiments.fit.table import DESIGN_AXES, CurveTable, Design, runs
from theory import exponents

SIZES, TIMES = ([20.0, 60.0], [40.0, 150.0]), np.geomspace(1.0, 300.0, 6)


grid = Design.grid


def table_of(design, loss):
    return CurveTable(design, loss, None, runs(design))


def risks(problem, features, samples, times, optimizer=None):
    """The theory on a grid; times None: training has ended."""
    own = rfm.Ridge(0.0) if times is None else rfm.GradientFlow()
    how = dict(optimizer=optimizer or own, times=times)
    return np.concatenate(
        [theory.predict(problem, num_features=n, num_samples=p, **how).risk for n in features for p in samples]
    )


@pytest.fixture
def few_starts(monkeypatch):
    monkeypatch.setattr(curve_models, "STARTS", 12)


def test_recovers_the_parameters_of_exact_curves(few_starts):
    """loss = floor + scale risk of the theory on a grid of N, P, t: all five parameters to 1e-4."""
    truth = {"a": 1.7, "b": 1.4, "noise": 0.2, "scale": 3.0, "floor": 0.5}
    risk = risks(rfm.power_law(truth["a"], truth["b"], 200, truth["noise"]), *SIZES, TIMES)
    design = grid(*SIZES, TIMES)
    found = fit(Solvable(design, num_modes=200), table_of(design, truth["floor"] + truth["scale"] * risk))
    assert found.converged
    for name, value in truth.items():
        assert found.value(name) == pytest.approx(value, rel=1e-4), name
    assert all(reading.determined for reading in parameters(found))


def ended(features=(20.0, 60.0, np.inf), samples=(5.0, 9.0, 16.0, 50.0)):
    """t = infinity, finitely many modes, units of N and P fitted, a and the floor held."""
    fixed = (("a", 1.7), ("floor", 0.0))
    return Solvable(grid(features, samples, [np.inf]), num_modes=300, units=("features", "samples"), fixed=fixed)


def test_recovers_units_where_training_has_ended(few_starts):
    """N and P counted in other units: both found, with an infinite N among the sizes."""
    model = ended()
    sizes = np.array([40.0, 120.0, np.inf]), np.array([25.0, 45.0, 80.0, 250.0])
    risk = risks(rfm.power_law(1.7, 1.4, 300, 0.1), *sizes, None)
    found = fit(model, table_of(model.design, 2.0 * risk))
    assert found.value("unit of N") == pytest.approx(2.0, rel=1e-4)
    assert found.value("unit of P") == pytest.approx(5.0, rel=1e-4)
    assert found.value("b") == pytest.approx(1.4, rel=1e-4)
    assert found.value("noise") == pytest.approx(0.1, rel=1e-3)
    assert found.interval("a")[1:] == (1.7, 1.7)
    held = {reading.name: reading.value for reading in parameters(found) if reading.note == "held"}
    assert held == dict(read_fixed(["a=1.7", "floor=0"])) == {"a": 1.7, "floor": 0.0}


@pytest.mark.parametrize(
    "model",
    [
        Solvable(grid(*SIZES, TIMES), num_modes=200),  # compiled by the tests above
        ended(),
        pytest.param(Solvable(grid([30.0, np.inf], [50.0], [3.0, 80.0]), units=DESIGN_AXES), marks=pytest.mark.slow),
    ],
    ids=["training", "ended", "all units"],
)
def test_derivatives_are_those_of_the_loss(model):
    """Against central differences, the units of every axis among them, at an infinite size too."""
    theta = np.array([1.6, 1.3, 0.2, 0.3, 0.1, 0.2, -0.1, 0.4])
    loss, slopes = model.derivatives(theta)
    np.testing.assert_allclose(loss, model.loss(theta), rtol=1e-12)
    for i in model.free:
        own = np.eye(8)[i] * 1e-5
        numeric = (model.loss(theta + own) - model.loss(theta - own)) / 2e-5
        np.testing.assert_allclose(slopes[:, i], numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_gradient_descent_is_fitted_by_its_own_filter(few_starts):
    axes = SIZES[0], [np.inf], np.array([1.0, 3.0, 10.0, 30.0, 100.0])
    design, optimizer = grid(*axes), rfm.GradientDescent(0.4)
    loss = risks(rfm.power_law(1.7, 1.4, None), *axes, optimizer)
    found = fit(Solvable(design, optimizer, fixed=(("floor", 0.0),)), table_of(design, loss))
    assert found.value("a") == pytest.approx(1.7, rel=1e-4)
    assert found.value("b") == pytest.approx(1.4, rel=1e-4)
    noise = next(reading for reading in parameters(found) if reading.name == "noise")
    assert noise.note == "not identified: no data axis"


def chinchilla_table(scatter=0.0, seed=0, repeats=1):
    design = grid(np.geomspace(10, 1000, 5), [np.inf], np.geomspace(1, 1e4, 8))
    design = Design(*(np.tile(getattr(design, axis), repeats) for axis in DESIGN_AXES))
    loss = 0.3 + 2.0 * design.features**-0.5 + 1.5 * design.times**-0.3
    table = table_of(design, loss)
    by_run = np.random.default_rng(seed).standard_normal(table.run.max() + 1)
    return dataclasses.replace(table, loss=loss * np.exp(scatter * by_run[table.run] - scatter**2 / 2))


def test_chinchilla_recovers_its_own():
    table = chinchilla_table()
    found = fit(Chinchilla(table.design, ("features", "times")), table)
    for name, value in {"E": 0.3, "A": 2.0, "alpha": 0.5, "B": 1.5, "beta": 0.3}.items():
        assert found.value(name) == pytest.approx(value, rel=1e-5), name


def test_scatter_does_not_lower_the_fit():
    """Runs that scatter by 30 % about their mean: the fitted curve is the mean, not 4 % below as in a fit of logs."""
    table, truth = chinchilla_table(scatter=0.3, repeats=200), chinchilla_table(repeats=200).loss
    found = fit(Chinchilla(table.design, ("features", "times")), table)
    assert abs(np.log(found.model.loss(found.theta) / truth).mean()) < 0.02
    logs = np.log(table.loss / truth).mean()
    assert logs < -0.03  # the control: what a fit of logs would find


def test_intervals_are_the_jackknife_over_runs():
    """For a linear model the covariance equals the sum over explicit refits, each without one run."""
    rng = np.random.default_rng(0)
    run = np.repeat(np.arange(9), [2, 3, 4, 5, 2, 3, 4, 5, 6])
    design = rng.standard_normal((len(run), 3)) * [1.0, 100.0, 1e-3]
    y = design @ [1.0, 0.02, 300.0] + rng.standard_normal(9)[run] + 0.3 * rng.standard_normal(len(run))
    whole = np.linalg.lstsq(design, y, rcond=None)[0]
    moved = [np.linalg.lstsq(design[run != g], y[run != g], rcond=None)[0] - whole for g in range(9)]
    covariance, degrees, flat, alone = sandwich(design, y - design @ whole, run)
    np.testing.assert_allclose(covariance, np.array(moved).T @ np.array(moved) * 8 / 9, rtol=1e-9)
    assert not (flat | alone).any()

    # the variance as a quadratic form e'Qe of the errors: twice the squared mean over the variance of it
    for i in range(3):
        out = [np.linalg.pinv(np.where((run == g)[:, None], 0.0, design))[i] for g in range(9)]
        moves = np.array(out) - np.linalg.pinv(design)[i]
        form = moves.T @ moves
        assert degrees[i] == pytest.approx(np.trace(form) ** 2 / (form**2).sum(), rel=1e-9)


def test_a_direction_that_is_not_seen():
    design = np.random.default_rng(1).standard_normal((20, 3))
    design = np.column_stack([design[:, 0], design[:, 0], design[:, 1], np.zeros(20)])
    covariance, _, flat, _ = sandwich(design, design[:, 2], np.arange(20))
    assert flat.tolist() == [True, True, False, True]
    assert np.all(np.isfinite(covariance))


def test_a_direction_that_one_run_tells():
    """Without the run the other columns are told as before, and the interval of its own would be of width zero."""
    rng = np.random.default_rng(2)
    run = np.repeat(np.arange(6), 4)
    design = np.column_stack([rng.standard_normal((24, 2)), run == 3])
    _, degrees, _, alone = sandwich(design, rng.standard_normal(24), run)
    assert alone.tolist() == [False, False, True]
    assert degrees[:2].min() >= 1.0
    assert degrees[:2].max() < 5.0
    assert sandwich(design[:, :2], rng.standard_normal(24), np.zeros(24, int))[3].all()


@pytest.mark.parametrize(("repeats", "tables"), [pytest.param(1, 100, marks=pytest.mark.slow), (4, 50)])
def test_intervals_of_correlated_runs_cover(repeats, tables):
    """Tables whose runs are off as wholes, as many runs as parameters or four times: 95 % intervals hold the exponent
    in 90 % of them or more; independent points would hold it in far fewer (control)."""
    inside = naive = 0
    for seed in range(tables):
        table = chinchilla_table(0.03, seed, repeats)
        model = Chinchilla(table.design, ("features", "times"))
        _, low, high = fit(model, table).interval("alpha")
        inside += low <= 0.5 <= high
        _, low, high = fit(model, dataclasses.replace(table, run=np.arange(len(table)))).interval("alpha")
        naive += low <= 0.5 <= high
    assert inside >= 0.9 * tables
    assert naive < 0.8 * tables


def made_up(a, b, deviation, design, unseen=()):
    """A fit with given a, b and their deviation; unseen: parameters that the data do not see."""
    model = Solvable(design)
    covariance = np.zeros((8, 8))
    covariance[0, 0] = covariance[1, 1] = deviation**2
    theta = np.array([a, b, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0])
    no = np.zeros(8, bool)
    flat = np.array([name in unseen for name in model.names])
    return Fit(model, theta, covariance, flat, no, no, np.full(8, 30.0), np.zeros(len(design)), 31, True)


def test_regimes():
    """Told where the interval of a - 1 - b is on one side of 0, and refused where it is not."""
    design = grid([20.0, 60.0], [40.0], TIMES)
    sure = regimes(made_up(1.5, 1.25, 0.05, design))
    assert sure[0].startswith("a - 1 < b: a - 1 - b = -0.75")
    assert sure[1].startswith("a - 1 < 2b")
    easy = regimes(made_up(3.5, 1.25, 0.05, design))
    assert easy[0].startswith("a - 1 > b")
    unsure = regimes(made_up(2.2, 1.25, 0.05, design))
    assert unsure[0].startswith("the data cannot tell a - 1 < b from a - 1 > b")
    assert unsure[1].startswith("a - 1 < 2b")


def test_compute_rules():
    """Closed forms at the fit; Chinchilla's against the least loss on a fine grid of N."""
    design = grid([20.0, 60.0], [40.0], TIMES)
    size, loss = compute_rule(made_up(1.5, 1.25, 0.02, design))
    assert (size.value, loss.value) == exponents.frontier_exponents(1.5, 1.25)
    assert size.low < size.value < size.high
    assert size.high - size.low < 0.05
    assert compute_rule(made_up(1.5, 1.25, 0.02, grid([20.0], [40.0], [np.inf]))) == []

    table = chinchilla_table()
    found = fit(Chinchilla(table.design, ("features", "times")), table)
    n = np.geomspace(1, 1e6, 200_001)
    for compute in (1e4, 1e6):
        losses = 0.3 + 2.0 * n**-0.5 + 1.5 * (compute / n) ** -0.3
        best = best_size(found, compute)
        assert best[0] == pytest.approx(n[np.argmin(losses)], rel=1e-3)
        assert best[1] == pytest.approx(losses.min(), rel=1e-6)
    assert compute_rule(found)[0].value == pytest.approx(0.3 / 0.8, rel=1e-4)

    single = table.select(table.design.features == table.design.features[0])  # one size: nothing of alpha
    found = fit(Chinchilla(single.design, single.design.varied), single)
    assert {rule.note for rule in compute_rule(found)} == {"not identified: alpha and beta not identified"}
    assert best_size(found, 1e4) is None
    assert few_runs(found)[0].startswith("One run: ")
    assert not any(reading.determined for reading in parameters(found))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (dict(a=2.5, b=1.1, deviation=2.0), "a and b not identified"),
        (dict(a=3.0, b=4.0, deviation=1.5), "a not identified"),
        (dict(a=1.5, b=1.25, deviation=0.05, unseen=("b",)), "b not identified"),
    ],
)
def test_no_rule_without_exponents(how, words):
    """Where a or b is not identified, by a wide interval or unseen, so are regime and rule: words, no number."""
    design = grid([20.0, 60.0], [40.0], TIMES)
    found = made_up(**how, design=design)
    for said in regimes(found):
        assert said.startswith("the data cannot tell")
        assert said.endswith(f": {words}")
    for reading in compute_rule(found):
        assert (reading.note, reading.determined) == (f"not identified: {words}", False)
        assert np.isnan([reading.value, reading.low, reading.high]).all()
    assert best_size(found, 1e4) is None
    sure = [("N* ~ C^", 0.4, 0.3, 0.5), ("loss - floor ~ C^-", 0.2, 0.1, 0.3)]
    table = rule_rows([compute_rule(found), [Reading(*one) for one in sure]], [None, BestSize(90.0, 0.5, 0.4)], 1e4)
    assert all(row[1] == "not identified" for row in table[1:])
    assert [row[2] for row in table[1:]] == ["0.400 (0.300 .. 0.500)", "0.200 (0.100 .. 0.300)", "90", "0.5", "0.4"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gaussian", "floor"), [(False, None), (True, None), (True, 0.0)], ids=["trained", "gaussian", "floor held"]
)
def test_trials_cover(gaussian, floor, monkeypatch):
    """A few of the trials of `experiments.fit.trials`, of fewer and smaller sizes; also of the risk, floor known."""
    from experiments.fit import trials as fit_trials

    small = dict(TRIAL_FEATURES=(48, 96, 192), TRIAL_SAMPLES=(100, 300), FAR_FEATURES=1000, TRIAL_MODES=2000)
    for name, value in small.items():
        monkeypatch.setattr(fit_trials, name, value)
    setting = fit_trials.SETTINGS[-1]
    trials = fit_trials.run_trials(setting, 24, seed=0, gaussian=gaussian, floor=floor, hold=floor is not None)
    found = fit_trials.summary(setting, trials)
    least = binom.ppf(1e-3, 24, 0.95)  # fewer come with a probability below 1e-3 where the coverage is 95 %
    for name in fit_trials.RECOVERED:
        assert found[f"coverage {name}"] >= least / 24, name
    assert found["error of risk, N and t"] < 0.2
