"""What follows from power laws: budgets, plans, a loss to reach, parabolas; forecasts beside each other; weights."""

import dataclasses
import json

import numpy as np
import pytest

from experiments.fit import fit_losses
from experiments.fit.baselines import comparison, last_value, power_law
from experiments.fit.decision import budget, read_plan, target
from experiments.fit.models import Chinchilla
from experiments.fit.robust import huber, stand_out
from experiments.fit.table import CurveTable, Design

E, A, ALPHA, B, BETA = 1.82, 478.0, 0.347, 2143.0, 0.367


def law(n, d):
    return E + A * n**-ALPHA + B * d**-BETA


def table(seed, rows=120, noise=0.01, bad=0.0, stderr=None):
    """Sizes and tokens over two and a half decades, a scatter, and a part of the rows that are 10 to 40 % too high."""
    rng = np.random.default_rng(seed)
    n, d = 10 ** rng.uniform(7.6, 10.2, rows), 10 ** rng.uniform(9.0, 11.3, rows)
    loss = law(n, d) * np.exp(noise * rng.standard_normal(rows))
    wrong = rng.permutation(rows)[: round(bad * rows)]
    loss[wrong] *= np.exp(rng.uniform(0.1, 0.4, len(wrong)))
    return CurveTable(Design(n, np.full(rows, np.inf), d), loss, stderr, np.arange(rows)), wrong


@pytest.fixture(scope="module")
def fitted():
    measured, _ = table(0)
    return huber(Chinchilla(measured.design, ("features", "times")), measured)


def test_budget_is_the_least_loss(fitted):
    """Against all sizes of a fine grid, at 6 N t = C; the truth is inside the intervals."""
    choice = budget(fitted, 1e21, 6.0)
    values = [fitted.value(name) for name in ("E", "A", "alpha", "B", "beta")]
    n = np.geomspace(1e7, 1e12, 100_001)
    losses = values[0] + values[1] * n ** -values[2] + values[3] * (1e21 / 6.0 / n) ** -values[4]
    assert choice.features.value == pytest.approx(n[np.argmin(losses)], rel=1e-3)
    assert choice.loss.value == pytest.approx(losses.min(), rel=1e-9)
    assert 6.0 * choice.features.value * choice.times.value == pytest.approx(1e21)
    true = law(n, 1e21 / 6.0 / n)
    assert choice.features.low < n[np.argmin(true)] < choice.features.high
    assert choice.loss.low < true.min() < choice.loss.high


def test_target_is_the_budget_turned_round(fitted):
    choice = budget(fitted, 1e22, 6.0)
    back = target(fitted, choice.loss.value, 6.0)
    for name in ("compute", "features", "times"):
        assert getattr(back, name).value == pytest.approx(getattr(choice, name).value, rel=1e-9)
        assert getattr(back, name).low < getattr(back, name).value < getattr(back, name).high
    assert np.isinf(target(fitted, 0.9 * fitted.value("E"), 6.0).compute.value)


def test_one_call():
    """Columns by name, every question, three tables; the same in JSON lines through the file reader."""
    measured, _ = table(1)
    columns = {"params": measured.design.features, "tokens": measured.design.times, "loss": measured.loss}
    outcome = fit_losses(columns, compute=[1e21, 1e23], predict=[{"N": 7e9, "tokens": 1.4e12}], target_loss=2.2)
    for words in ("best for C = 6 N t", "asked for", "loss 2.2 for the least compute", "points held out: largest N"):
        assert words in outcome.text
    asked = [row for row in outcome.tables["predictions"] if row["run"] in ("budget", "asked", "target")]
    assert [row["run"] for row in asked] == ["budget", "budget", "asked", "target"]
    plan = asked[2]
    assert plan["low"] < law(7e9, 1.4e12) < plan["high"]
    assert plan["C"] == pytest.approx(6 * 7e9 * 1.4e12)
    assert {"model", "parameter", "estimate", "low", "high"} <= outcome.tables["parameters"][0].keys()
    assert {"model", "run", "step", "loss", "predicted"} <= outcome.tables["predictions"][0].keys()
    errors = outcome.record["errors"]["held_out"]
    assert errors["chinchilla"][0] < 0.02 < errors["power law"][0] < errors["last value"][0]
    assert outcome.record["told"] == ""
    estimate, low, high = outcome.value("alpha")
    assert low < ALPHA < high
    assert low < estimate < high
    with pytest.raises(KeyError, match="no parameter gamma, but"):
        outcome.value("gamma")


def test_other_tables_held_out():
    """They are predicted and not fitted: errors of the law within the scatter, and of the last value far beyond."""
    first, second = (table(seed, rows) for seed, rows in ((5, 60), (6, 20)))
    names = "params", "tokens", "loss"
    known, new = (
        dict(zip(names, (t.design.features, t.design.times, t.loss), strict=True)) for t, _ in (first, second)
    )
    outcome = fit_losses(known, held_out=new)
    assert "all 60 points, fitted" in outcome.text
    assert "20 points held out: files held out" in outcome.text
    assert outcome.record["errors"]["held_out"]["chinchilla"][0] < 0.015
    assert outcome.record["errors"]["held_out"]["last value"][0] > 0.05
    assert outcome.value("alpha")[0] == fit_losses(known).value("alpha")[0]
    with pytest.raises(ValueError, match="held-out"):
        fit_losses(known, held_out={name: new[name] for name in ("params", "loss")})


def test_a_table_that_cannot_tell():
    """Losses without a floor, over too short a range: the sentence says so."""
    rng = np.random.default_rng(3)
    n, d = np.geomspace(1e8, 4e8, 12), rng.permutation(np.geomspace(1e9, 4e9, 12))
    loss = 50.0 * n**-0.1 * d**-0.02 * np.exp(0.02 * rng.standard_normal(12))
    text = fit_losses({"N": n, "tokens": d, "loss": loss}).text
    assert "on this table the Chinchilla form predicts no better than" in text


def test_isoflop_parabolas():
    """Nine budgets of eight sizes without scatter: parabolas are biased, by as much as is said."""
    budgets, shares = np.geomspace(1e18, 1e21, 9), np.geomspace(0.1, 10.0, 8)
    best = (ALPHA * A / (BETA * B) * (budgets / 6) ** BETA) ** (1 / (ALPHA + BETA))
    n = (best[:, None] * shares * 4.0).ravel()
    c = np.repeat(budgets, 8)
    outcome = fit_losses({"params": n, "flops": c, "loss": law(n, c / 6 / n)})
    second = outcome.fits.second
    np.testing.assert_allclose(second.compute, budgets, rtol=1e-6)
    np.testing.assert_allclose(second.features / best, second.bias, rtol=1e-3)
    assert np.abs(second.bias - 1).max() > 0.03
    assert "second opinion, parabolas through the losses of 9 budgets" in outcome.text


def test_simple_forecasts():
    design = Design.grid(np.geomspace(10, 1e4, 6), [np.inf], [1.0, 10.0, 100.0])
    loss = 3.0 * design.features**-0.3 * design.times**-0.1
    measured = CurveTable(design, loss, None, np.repeat(np.arange(6), 3))
    known = design.times < 100.0
    np.testing.assert_allclose(power_law(measured, known), loss, rtol=1e-6)
    np.testing.assert_allclose(last_value(measured, known)[~known], loss[design.times == 10.0])
    small = design.features < 1e4
    assert last_value(measured, small)[-1] == loss[small][-1]
    assert comparison(loss, measured.run, loss, 1.1 * loss) < 0 or np.isnan(
        comparison(loss, measured.run, loss, 1.1 * loss)
    )
    noisy = 1.1 * loss * np.exp(0.01 * np.random.default_rng(0).standard_normal(len(loss)))
    assert comparison(loss, np.arange(len(loss)), loss, noisy) < -5.0


def test_plans_and_their_errors():
    axes = ("features", "times")
    assert read_plan("params=7B,D=1.4e12", axes) == {"features": 7e9, "times": 1.4e12}
    for text in ("N=7e9", "N=7e9,tokens=x", "N=7e9,loss=2", "7e9", "N=7e9,tokens=1e12,P=3"):
        with pytest.raises(ValueError, match="predict"):
            read_plan(text, axes)


def test_bad_runs_move_nothing():
    """One row in forty, 10 to 40 % too high: Huber's loss stays, least squares goes, and the rows are named."""
    good, _ = table(2, bad=0.0)
    measured, wrong = table(2, bad=0.025)
    model = Chinchilla(good.design, ("features", "times"))
    before, after = huber(model, good), huber(model, measured)
    assert abs(after.value("E") - before.value("E")) < 0.25 * before.half[0]
    far = stand_out(after.residuals, measured.run, np.ones(len(measured), bool))
    assert set(wrong) <= set(np.flatnonzero(far))
    assert far.sum() <= len(wrong) + 2


def test_weights():
    """Weights of 0 are rows that are not there; standard errors are weights of their inverse squares."""
    measured, wrong = table(4, bad=0.1)
    model = Chinchilla(measured.design, ("features", "times"))
    weight = np.where(np.isin(np.arange(len(measured)), wrong), 0.0, 2.0)
    without = huber(model, measured, weight / 2.0)
    weighted = huber(model, dataclasses.replace(measured, weight=weight))
    np.testing.assert_allclose(weighted.theta, without.theta, rtol=1e-6)
    stderr = 0.01 * measured.loss * np.linspace(1.0, 3.0, len(measured))
    by_error = huber(model, dataclasses.replace(measured, stderr=stderr))
    by_weight = huber(model, dataclasses.replace(measured, weight=(measured.loss / stderr) ** 2))
    np.testing.assert_allclose(by_error.theta, by_weight.theta, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [60, 245])
def test_intervals_cover_with_bad_runs(rows):
    """200 tables with 3 % of bad rows: each parameter is inside its 95 % interval in 90 to 98 % of them, pooled."""
    truth = {"E": E, "A": A, "alpha": ALPHA, "B": B, "beta": BETA}
    inside = dict.fromkeys(truth, 0)
    for seed in range(200):
        measured, _ = table(1000 + seed, rows, bad=0.03)
        found = huber(Chinchilla(measured.design, ("features", "times")), measured)
        for name, value in truth.items():
            _, low, high = found.interval(name)
            inside[name] += low <= value <= high
    print(json.dumps(inside))
    assert 0.90 <= np.mean(list(inside.values())) / 200 <= 0.98
    assert min(inside.values()) >= 180
