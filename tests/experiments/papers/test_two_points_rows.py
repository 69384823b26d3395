"""What the rows on other test data, teachers, generations and rows left out compute by themselves."""

import numpy as np
import pytest

import rfm
from experiments.papers.two_points.covariate_shift import bent
from experiments.papers.two_points.draws import Model, agrees, fits, risks
from experiments.papers.two_points.left_out_rows import NOISE, RATIO, SETTINGS, Estimates, draw, judged, limits

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


# ---- rows left out, and cross-validation along the path


def descend(x, y, lr, steps, count):
    """Weights (T, M) after numbers of steps, step by step, 1/count for each row."""
    v, kept = np.zeros(x.shape[1]), []
    for step in range(steps[-1] + 1):
        kept += [v] if step in steps else []
        v = v + lr * x.T @ (y - x @ v) / count
    return np.array(kept)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_draw_is_plain_gradient_descent(name):
    """Its test loss, the loss on each row of a run without that row, and generalized cross-validation."""
    setting, p = SETTINGS[name], 6
    steps = setting.steps(3)
    truth, left_out, naive, training = draw(np.random.default_rng(3), setting, p, steps)
    rng, problem = np.random.default_rng(3), setting.problem(RATIO * p)
    size, m = np.sqrt(problem.eigenvalues), RATIO * p
    x = (rng.choice((-1.0, 1.0), (p, m)) if setting.signs else rng.standard_normal((p, m))) * size
    y = x @ problem.target + np.sqrt(NOISE) * rng.standard_normal(p)
    y += setting.bent * sum(x[:, k] * x[:, k + 1] for k in range(0, m, 2)) / np.sqrt(p)
    weights = descend(x, y, setting.lr, steps, p)
    errors = [y[i] - descend(np.delete(x, i, 0), np.delete(y, i), setting.lr, steps, p) @ x[i] for i in range(p)]
    np.testing.assert_allclose(left_out, np.mean(np.square(errors), 0), rtol=1e-8)
    risk = ((weights - problem.target) ** 2) @ problem.eigenvalues
    np.testing.assert_allclose(truth, risk + NOISE + setting.bent**2, rtol=1e-10)
    np.testing.assert_allclose(training, np.mean((y - weights @ x.T) ** 2, 1), rtol=1e-8)
    answers = np.mean([descend(x, np.eye(p)[i], setting.lr, steps, p) @ x[i] for i in range(p)], 0)
    np.testing.assert_allclose(naive, training / (1.0 - answers) ** 2, rtol=1e-8)


def test_limits_are_those_of_the_law_of_marchenko_and_pastur():
    setting, p = SETTINGS["isotropic rows, linear target"], 100
    steps = setting.steps(6)
    limit = limits(setting, p, steps)
    low, high = (1.0 - np.sqrt(RATIO)) ** 2, (1.0 + np.sqrt(RATIO)) ** 2
    angle = (np.arange(4000) + 0.5) * np.pi / 4000
    z = 0.5 * (low + high) - 0.5 * (high - low) * np.cos(angle)
    density = np.sqrt((high - z) * (z - low)) / (2.0 * np.pi * z) * 0.5 * (high - low) * np.sin(angle) * np.pi / 4000
    left = (1.0 - setting.lr * z) ** steps[:, None]
    training = (left**2 * (z / RATIO + NOISE)) @ density
    learned = ((1.0 - left) ** 2 / z * NOISE + left**2 / RATIO) @ density
    np.testing.assert_allclose(density.sum(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(limit.training, training, rtol=1e-4)
    np.testing.assert_allclose(limit.truth, learned + 1.0 - 1.0 / RATIO + NOISE, rtol=1e-4)
    np.testing.assert_allclose(limit.naive, training / (left @ density) ** 2, rtol=1e-4)


def test_only_what_tends_to_the_test_loss_passes_for_it():
    rng, truth = np.random.default_rng(5), np.array([1.0, 0.8, 0.7])
    limit = Estimates(truth, truth, truth * np.array([1.0, 1.5, 2.0]), 0.5 * truth)

    def verdicts(left_out, naive, beyond=limit):
        """Of runs at two numbers of rows, whose estimates tend to what is told."""
        drawn = [
            Estimates(*(np.broadcast_to(x, (50, 3)) * (1 + scatter * rng.standard_normal((50, 3)))
                        for x in (truth, left_out, naive, limit.training)))
            for scatter in (0.1, 0.02)
        ]  # fmt: skip
        return [finding.verdict for finding in judged("x", (50, 1250), drawn, (limit, beyond))]

    assert verdicts(truth, limit.naive) == ["confirmed"] * 4
    assert verdicts(limit.naive, limit.naive)[:2] == ["open", "open"]
    assert verdicts(truth, truth)[2:] == ["open", "open"]
    assert verdicts(truth, limit.naive, limit._replace(naive=truth))[2] == "refined"  # with more rows the error goes
