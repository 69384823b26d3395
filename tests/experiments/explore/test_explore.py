"""What `rfm explore` shows, without its page: settings, curves, limits, exponents, training runs, exports."""

import dataclasses
import io
import json
import math
import re
from pathlib import Path

import jax
import matplotlib.image
import numpy as np
import pytest
from compilations import compilations

import rfm
import theory
from experiments.compare.limits import limiting_terms
from experiments.explore import laws, model, training
from experiments.explore.call import python_call
from experiments.explore.export import export_file
from experiments.explore.parameters import PARAMETERS, WITH_THEORY
from experiments.explore.settings import CURVE_POINTS, Settings
from theory import exponents

ROOT = Path(__file__).parents[3]
QUICK = ("flow", "gd")  # algorithms whose contours always have as many nodes
SMALL = Settings(N=24, P=40, M=1000, stop=100.0)


def random_settings(rng, names):
    """Anything that the sliders can be moved to, ends, zeros and infinities more often than not."""
    while True:
        algorithm = str(rng.choice(names))
        defaults = dataclasses.asdict(Settings(algorithm=algorithm))
        values = {}
        for name, p in PARAMETERS.items():
            if defaults[name] is not None:
                low, high = p.ends
                values[name] = p.value(float(rng.choice([low, high, rng.uniform(low, high)], p=[0.15, 0.15, 0.7])))
        if algorithm == "sgd":
            values["P"] = math.inf
        elif rng.random() < 0.2:
            values["P"] = values["N"]  # the interpolation peak
        values["richness"] = 0.0 if algorithm != "flow" or rng.random() < 0.7 else values["richness"]
        if values["stop"] > max(values["start"], 1.99):  # the one pair that excludes itself
            return Settings(algorithm=algorithm, **values)


def survives(settings, more):
    """Shown, or refused for a learning rate with the largest stable one named; whether it was shown."""
    try:
        shown = model.corrected(model.curves(settings))
        if more:
            details = model.details(shown)
            assert all(len(y) == len(shown.times) for y in (*details.limits.values(), *details.parts.values()))
            assert sum(len(span) == 2 for span in details.spans) >= 1
            assert details.spans[-1][1] == shown.times[-1]
    except ValueError as error:
        text = str(error)
        assert settings.algorithm != "flow"
        assert text.startswith(("Argument `lr` must be <", "Argument `momentum` must be smaller")), text
        return False
    assert 2 <= len(shown.times) <= CURVE_POINTS
    for loss in shown.losses.values():
        assert np.all(np.isfinite(model.best(loss)))
        assert np.all(model.best(loss) >= 0)
    low, high = model.frame(shown)
    assert 0 < low < high
    return True


def test_fifty_random_settings():
    rng = np.random.default_rng(0)
    shown = [survives(random_settings(rng, QUICK), more=False) for _ in range(50)]
    assert 25 < sum(shown) < 50  # both ways out were taken


@pytest.mark.slow
@pytest.mark.timeout(1800)  # contours of four sizes are compiled for each of the algorithms with momentum
def test_two_hundred_random_settings_of_every_algorithm():
    rng = np.random.default_rng(1)
    shown = [survives(random_settings(rng, WITH_THEORY), more=True) for _ in range(200)]
    assert 50 < sum(shown) < 200


def test_no_move_compiles_anything():
    """Each number moved by itself, and all at once: theory of known numbers is numpy's; N = inf is one of them."""
    with compilations() as compiled:
        moves = [{}, dict(a=3.0), dict(b=0.7), dict(N=1000), dict(N=math.inf), dict(P=math.inf), dict(noise=0.3)]
        moves += [
            dict(richness=0.5),
            dict(M=10**8),
            dict(start=1.0),
            dict(stop=1e7),
            dict(a=2.2, b=2.0, N=77, P=77, noise=1.0, M=5000),
        ]
        for move in moves:
            settings = dataclasses.replace(SMALL, **move)
            model.details(model.corrected(model.curves(settings)))
    assert not compiled


@pytest.mark.parametrize("settings", [SMALL, Settings(2.0, 1.2, N=24, P=40, M=1000, algorithm="gd", stop=30)])
def test_the_python_call_gives_what_is_drawn(settings):
    drawn, scope = model.corrected(model.curves(settings)), {}
    exec(python_call(settings, seeds=4), scope)
    np.testing.assert_array_equal(scope["predicted"].times, drawn.times)
    for loss, curve in drawn.losses.items():
        np.testing.assert_allclose(getattr(scope["predicted"], loss), curve.mean, rtol=1e-8)
    *_, runs = training.train(settings, 4)
    np.testing.assert_allclose(scope["simulated"].mean(), runs.mean(), rtol=1e-12)
    np.testing.assert_allclose(scope["simulated"].stderr(), runs.stderr(), rtol=1e-9)


def test_infinite_sizes_are_written_so_that_they_run():
    scope = {}
    exec(python_call(dataclasses.replace(SMALL, P=math.inf, K=math.inf)), scope)
    expected = model.curves(dataclasses.replace(SMALL, P=math.inf, K=math.inf)).leading
    np.testing.assert_allclose(scope["predicted"].risk, expected.risk, rtol=1e-10)


def test_training_goes_on_some_seeds_at_a_time():
    """As one call with all keys, to the last digit of a mean."""
    so_far = list(training.train(SMALL, 8))
    assert [len(runs.risk) for runs in so_far] == [4, 8]
    at_once = rfm.simulate(SMALL.problem, **SMALL.arguments, keys=jax.random.split(jax.random.key(0), 8))
    np.testing.assert_allclose(so_far[-1].risk, at_once.risk, rtol=1e-12)
    said = model.verdict(model.corrected(model.curves(SMALL)), so_far[-1])
    assert re.fullmatch(
        r"level [+-][\d.]+ ± [\d.]+ %, slope [+-][\d.]+ ± [\d.]+ %: (agrees|cannot|slope|level) .*", said
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (dict(N=60_000, P=60_000), "GB are allowed"),
        (dict(N=4000, P=4000, K=64, M=10**6), "GB|hours|minutes"),
        (dict(M=10**9), "would take about .* allowed are 3 minutes"),
        (dict(algorithm="gd", stop=1e8), "or the last time"),
        (dict(K=math.inf), "`ensemble` must be an integer"),
        (dict(N=math.inf, P=math.inf), "nothing random is left"),
    ],
)
def test_too_large_runs_are_refused(change, told):
    with pytest.raises(ValueError, match=told):
        training.check_cost(dataclasses.replace(SMALL, **change), 16)


def test_limits_are_what_the_risk_tends_to():
    """Everything but one size or time far away: the risk is that limit."""
    times = np.geomspace(1.0, 1e10, CURVE_POINTS)
    far = dict(num_features=1e8, num_samples=1e8, optimizer=rfm.GradientFlow(), times=times)
    noisy = rfm.power_law(1.8, 1.5, 1000, noise_var=0.1)
    clean = dataclasses.replace(noisy, noise_var=0.0)
    risk = lambda problem, **change: theory.predict(problem, **(far | change)).risk  # noqa: E731
    early, end = slice(0, 20), -1
    np.testing.assert_allclose(limiting_terms(noisy, **far)["time"][early], risk(clean)[early], rtol=2e-3)
    few = dict(num_features=50)
    np.testing.assert_allclose(limiting_terms(noisy, **(far | few))["model"][end], risk(clean, **few)[end], rtol=2e-3)
    few = dict(num_samples=50)
    found = limiting_terms(noisy, **(far | few))
    np.testing.assert_allclose(found["data"][end], risk(clean, **few)[end], rtol=2e-3)
    np.testing.assert_allclose(found["noise"], risk(noisy, **few) - risk(clean, **few), rtol=1e-12)
    assert set(limiting_terms(clean, **(far | dict(num_features=np.inf)))) == {"time", "data"}


def test_exponents_here_tend_to_the_closed_form():
    """At sizes and times that are large, and not where the modes end."""
    large = Settings(N=60_000, P=60_000, M=10**9, noise=0.0, start=1e3, stop=1e6)
    rows = model.details(model.curves(large)).exponents
    named = {row.quantity.split(",")[0]: row for row in rows}
    assert abs(named["time t"].closed - exponents.time_exponent(1.8, 1.5)) < 1e-12
    for name in ("time t", "model size N", "data P"):
        assert abs(named[name].theory - named[name].closed) < 0.01
    small = model.details(model.curves(SMALL)).exponents
    assert max(abs(row.theory - row.closed) for row in small if row.closed is not None) > 0.02  # negative control


def test_regimes_in_words():
    times = np.array([1.0, 2.0, 3.0, 4.0])
    terms = {"time": np.array([9.0, 5.0, 1.0, 0.0]), "model": np.full(4, 2.0), "noise": np.array([0.0, 0.0, 0.0, 3.0])}
    assert model.spans(times, terms) == [("time", 2.0), ("model", 3.0), ("noise", 4.0)]
    assert model.task(SMALL).startswith("hard task")
    assert model.task(dataclasses.replace(SMALL, a=4.0)).startswith("easy task")
    assert model.task(dataclasses.replace(SMALL, a=2.5)).startswith("boundary")
    assert "phase Ia of" in model.task(Settings(algorithm="sgd"))
    for a, b in ((2.5, 1.5), (2.2, 1.2)):  # 2.2 - 1.2 is not one in binary
        assert "boundary between phases" in model.task(Settings(a, b, algorithm="sgd"))
    assert "no phase" in model.task(Settings(a=1.2, algorithm="sgd"))


def test_slopes_are_those_of_power_laws():
    times = np.geomspace(1.0, 1e4, 60)
    np.testing.assert_allclose(laws.slope(times, 3.0 * times**-0.7), 0.7, rtol=1e-12)
    assert np.isnan(laws.slope(times, np.where(times > 100, 0.0, 1.0))[-1])


def test_exports(tmp_path):
    *_, runs = training.train(SMALL, 4)
    files = {suffix: export_file(SMALL, runs, suffix) for suffix in ("png", "pdf", "csv", "json", "py")}
    assert matplotlib.image.imread(io.BytesIO(files["png"])).std() > 0.05
    assert files["pdf"].startswith(b"%PDF")
    table = np.genfromtxt(io.BytesIO(files["csv"]), delimiter=",", names=True)
    np.testing.assert_allclose(table["risk"], model.corrected(model.curves(SMALL)).risk, rtol=1e-12)
    np.testing.assert_allclose(table["risk_leading"], model.curves(SMALL).leading.risk, rtol=1e-12)
    np.testing.assert_allclose(table["simulated_risk"], runs.mean(), rtol=1e-12)
    record = json.loads(files["json"])["settings"]
    assert record["call"].encode() == files["py"]
    assert record["N"] == 24


@pytest.mark.slow
def test_the_frontier_between_its_budgets():
    """Through a third of the budgets the line still holds the others, which straight lines through as many miss."""
    optima = list(laws.frontier(dataclasses.replace(SMALL, P=math.inf, stop=1e6, noise=0.0)))
    compute, risk = (np.concatenate([getattr(optimum, name) for optimum in optima]) for name in ("compute", "risk"))
    error = {}
    for name, (x, y) in {
        "joined": laws.joined(optima[::3]), "straight": (compute[::3], risk[::3]), "all": laws.joined(optima),
    }.items():  # fmt: skip
        line = np.exp(np.interp(np.log(compute), np.log(x), np.log(y)))
        error[name] = np.max(np.abs(line / risk - 1.0)[: 1 + 3 * ((len(optima) - 1) // 3)])
    assert error["all"] < 1e-3
    assert error["joined"] < 0.3 * error["straight"]
    assert error["straight"] > 0.02


def test_a_frontier_is_found_once(monkeypatch):
    """Whoever comes back to a point has it at once; another point has its own."""
    first = next(laws.frontier(SMALL))

    def never(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(laws.theory, "frontier", never)
    assert next(laws.frontier(dataclasses.replace(SMALL))) is first
    with pytest.raises(AssertionError):
        next(laws.frontier(dataclasses.replace(SMALL, noise=0.3)))
