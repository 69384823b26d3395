"""Theory of trained features: the shared values, closed forms, direct training, and transformations."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rfm
import theory
from rfm.parts import ScaleMixture
from theory import exponents
from theory.growth import Drive, rich_flow
from theory.growth_steps import Rates, rich_steps

FLOW = rfm.GradientFlow()
REFERENCE = json.loads(Path(__file__).with_name("richness_values.json").read_text())
SIZE = {"inf": np.inf}


def arguments(case):
    problem = rfm.power_law(case["a"], case["b"], case["M"], case.get("noise_var", 0.0))
    return problem, {f"num_{name}": SIZE.get(case.get(x, "inf"), case.get(x)) for name, x in SIZES}


SIZES = (("features", "N"), ("samples", "P"))


@pytest.mark.parametrize("case", REFERENCE["flow"], ids=lambda case: f"N {case['N']} P {case['P']} {case['richness']}")
def test_gradient_flow_has_the_shared_values(case):
    """Made by other code, two grids of which agree to 4e-9."""
    problem, sizes = arguments(case)
    args = dict(**sizes, optimizer=FLOW, times=REFERENCE["times"])
    curve = theory.predict(problem, **args, richness=case["richness"])
    for name, values in (("risk", "risk"), ("kernel_growth", "m"), ("train_loss", "train_loss")):
        if values in case:
            np.testing.assert_allclose(getattr(curve, name), case[values], rtol=1e-8)
    assert curve.converged
    wrong = theory.predict(problem, **args, richness=1.01 * case["richness"])
    assert np.abs(wrong.risk / case["risk"] - 1.0).max() > 1e-4


def test_gradient_descent_has_the_shared_values():
    case = REFERENCE["gradient_descent"]
    problem, sizes = arguments(case)
    optimizer = rfm.GradientDescent(case["lr"])
    curve = theory.predict(problem, **sizes, optimizer=optimizer, times=REFERENCE["steps"], richness=case["richness"])
    np.testing.assert_allclose(curve.risk, case["risk"], rtol=1e-11)


PROBLEM = rfm.power_law(1.5, 1.25, num_modes=60, noise_var=0.2)
ARGS = dict(num_features=30, num_samples=20)
TIMES = np.array([0.0, 1.0, 10.0, 100.0])


def test_without_richness_nothing_changes():
    """Not by a digit, and a very small one changes little; features are then not trained and there is no growth."""
    for optimizer in (FLOW, rfm.GradientDescent(0.2), rfm.HeavyBall(0.1, 0.5), rfm.Nesterov(0.1, 0.5)):
        lazy = theory.predict(PROBLEM, **ARGS, optimizer=optimizer, times=TIMES)
        zero = theory.predict(PROBLEM, **ARGS, optimizer=optimizer, times=TIMES, richness=0.0)
        np.testing.assert_array_equal(zero.risk, lazy.risk)
        assert zero.kernel_growth is None
        small = theory.predict(PROBLEM, **ARGS, optimizer=optimizer, times=TIMES, richness=1e-14)
        np.testing.assert_allclose(small.risk, lazy.risk, rtol=1e-11)
        np.testing.assert_allclose(small.train_loss, lazy.train_loss, rtol=1e-10)


def test_white_spectrum_has_a_closed_form():
    """All modes, all data: t as a function of what is learned, rho."""
    richness, modes = 3.0, 5
    big = 4.0 * richness * modes
    rho = np.array([0.1, 0.6, 0.99])
    root, whole = np.sqrt(1.0 + big * rho**2), np.sqrt(1.0 + big)
    times = np.log((1.0 + big * rho + whole * root) / ((1.0 - rho) * (1.0 + whole))) / whole
    curve = theory.predict(
        rfm.white(modes), num_features=np.inf, num_samples=np.inf, optimizer=FLOW, times=times, richness=richness
    )
    np.testing.assert_allclose(curve.risk, modes * (1.0 - rho) ** 2, rtol=1e-8)
    np.testing.assert_allclose(curve.kernel_growth, (1.0 + root) / 2.0, rtol=1e-8)


def test_steps_on_nodes_are_the_network():
    """On real nodes, which are eigenvalues of one draw, the network with its whole layer."""
    rng = np.random.default_rng(0)
    z, c, richness = np.sort(rng.uniform(0.1, 1.5, 7)), rng.standard_normal(7), 0.8
    for momentum, decay, ahead in ((0.0, 0.0, False), (0.5, 0.0, False), (0.5, 0.0, True), (0.0, 0.2, False)):
        now = before = (np.zeros(7), np.eye(7))
        for _ in range(25):
            moved = [x + momentum * (x - y) for x, y in zip(now, before, strict=True)]
            theta, layer = at = moved if ahead else now
            left = c - z * (layer.T @ theta)
            slopes = (layer @ left, richness * np.outer(theta, left))
            rows = zip(moved, slopes, at, strict=True)
            now, before = tuple(x + 0.1 * (g - decay * y) for x, g, y in rows), now
        theta, layer = now
        rates = Rates(np.full(25, 0.1), momentum, decay, ahead)
        found = rich_steps(Drive(z + 0j, c**2 + 0j), np.array([25]), rates, np.float64(richness))
        np.testing.assert_allclose(found.response[0].real, 1.0 - z * (layer.T @ theta) / c, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.growth[0], 1.0 + richness * theta @ theta, rtol=1e-12)


def test_small_steps_are_gradient_flow():
    flow = theory.predict(PROBLEM, **ARGS, optimizer=FLOW, times=[1.0, 5.0], richness=2.0)
    gaps = []
    for lr in (0.02, 0.01):
        steps = np.array([1.0, 5.0]) / lr
        curve = theory.predict(PROBLEM, **ARGS, optimizer=rfm.GradientDescent(lr), times=steps, richness=2.0)
        gaps.append(np.abs(curve.kernel_growth / flow.kernel_growth - 1.0).max())
    assert 1.8 < gaps[0] / gaps[1] < 2.2  # of first order


def test_late_times_of_few_features():
    """What they cannot learn adds nothing to the growth, to rounding times t."""
    args = dict(num_features=16, num_samples=np.inf, optimizer=FLOW)
    risk, growth = [], []
    for time in (1e4, 1e9):
        curve = theory.predict(PROBLEM, **args, times=[time], richness=1.0)
        risk.append(curve.risk)
        growth.append(curve.kernel_growth)
        assert curve.converged
    np.testing.assert_allclose(*risk, rtol=1e-7)
    np.testing.assert_allclose(*growth, rtol=1e-7)


def test_the_edge_of_stability_is_told():
    """Up to lr m z_max = 2 theory converges, beyond it says so."""
    z_max = float(theory.largest_curvature(PROBLEM, **ARGS))
    for lr, converged in ((0.2 / z_max, True), (0.5 / z_max, False)):
        curve = theory.predict(PROBLEM, **ARGS, optimizer=rfm.GradientDescent(lr), times=[30, 60], richness=2.0)
        beyond = not np.all(lr * z_max * curve.kernel_growth < 2.0)
        assert bool(curve.converged) is converged is not beyond
        assert ("edge of stability" in curve.message) is beyond


def test_standard_parametrization_is_another_clock():
    """Features N times as large: the same curves N times as early, at a richness N times as large."""
    args = dict(ARGS, optimizer=FLOW)
    ntk = theory.predict(PROBLEM, **args, times=TIMES, richness=2.0)
    standard = theory.predict(PROBLEM, **args, times=TIMES / 30, richness=60.0, parametrization="standard")
    np.testing.assert_allclose(standard.risk, ntk.risk, rtol=1e-9)
    np.testing.assert_allclose(standard.kernel_growth, ntk.kernel_growth, rtol=1e-9)


def test_the_end_is_that_of_the_features_as_drawn():
    """The filter vanishes wherever there is curvature: the floor, with noise, is the one of lazy training."""
    args = dict(ARGS, optimizer=FLOW)
    ends = [theory.predict(PROBLEM, **args, times=[1e6], richness=x).risk for x in (0.0, 0.5, 50.0)]
    np.testing.assert_allclose(ends[1:], [ends[0], ends[0]], rtol=1e-6)
    bent = [theory.predict(PROBLEM, **args, times=[3.0], richness=x).risk[0] for x in (0.0, 50.0)]
    assert abs(bent[1] / bent[0] - 1.0) > 0.05


@pytest.mark.slow
def test_transformations():
    """One curve, many at once and a derivative; a map over richness shares its contour."""
    args = dict(ARGS, optimizer=FLOW, times=TIMES)

    def risk(richness):
        return theory.predict(PROBLEM, **args, richness=richness).risk

    many = jax.jit(jax.vmap(jax.value_and_grad(lambda x: risk(x)[2])))(jnp.array([0.1, 1.0, 30.0]))
    for i, x in enumerate((0.1, 1.0, 30.0)):
        np.testing.assert_allclose(many[0][i], risk(x)[2], rtol=1e-7)
        slope = (risk(x * 1.001)[2] - risk(x * 0.999)[2]) / (0.002 * x)
        np.testing.assert_allclose(many[1][i], slope, rtol=1e-4)


def test_parts_add_up():
    split = theory.decompose(PROBLEM, **ARGS, optimizer=FLOW, times=TIMES, richness=2.0)
    curve = theory.predict(PROBLEM, **ARGS, optimizer=FLOW, times=TIMES, richness=2.0)
    np.testing.assert_allclose(split.risk, curve.risk, rtol=1e-12)
    total = split.bias + split.features + split.data + split.interaction + split.noise
    np.testing.assert_allclose(total, curve.risk, rtol=1e-10)
    ensemble = theory.predict(PROBLEM, **ARGS, optimizer=FLOW, times=TIMES, richness=2.0, ensemble=np.inf, bags=np.inf)
    np.testing.assert_allclose(ensemble.risk, split.bias, rtol=1e-10)


TRAINED = dict(optimizer=FLOW, times=[0.3, 1.0, 2.0, 3.0, 10.0])
ALLOWANCE = 0.03  # a finite-size effect of the lazy theory itself at some 50 features


def gaps(sizes, richness, assumed):
    """Theory at an assumed richness over training minus one, with standard errors: risk, and growth of the kernel."""
    problem = rfm.power_law(1.5, 1.25, num_modes=200, noise_var=0.2)
    args = dict(TRAINED, num_features=sizes[0], num_samples=sizes[1])
    curve = rfm.exact(problem, **args, richness=richness, seeds=64)
    predicted, rows = theory.predict(problem, **args, richness=assumed), curve.kernel_growth
    grown, stderr = rows.mean(0), rows.std(0, ddof=1) / 8.0
    risk = predicted.risk / curve.mean() - 1.0, curve.stderr() / curve.mean()
    return risk, (predicted.kernel_growth / grown - 1.0, stderr / grown)


SLOW = [((60, 45), 0.1), ((60, 45), 10.0), *(((n, p), x) for n, p in ((40, 100), (100, 30)) for x in (0.1, 1.0, 10.0))]


@pytest.mark.parametrize(
    ("sizes", "richness"), [((60, 45), 1.0), *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]
)
def test_training_agrees(sizes, richness):
    """Growth and risk within three standard errors and the allowance; a richness that is 20 % off is refused."""
    for gap, stderr in gaps(sizes, richness, richness):
        assert np.all(np.abs(gap) < 3.0 * stderr + ALLOWANCE)
    _, (gap, stderr) = gaps(sizes, richness, 1.2 * richness)
    assert np.any(np.abs(gap) > 3.0 * stderr + ALLOWANCE)


@pytest.mark.slow
def test_rows_of_unequal_size():
    """Large rows weigh more in the moment that drives the growth, and carry noise of their own."""
    mixture = ScaleMixture([0.2, 4.2], [0.05, 4.8], [0.8, 0.2])
    equal = rfm.power_law(1.5, 1.25, num_modes=60, noise_var=4.0)
    problem = dataclasses.replace(equal, mixture=mixture)
    args = dict(num_features=60, num_samples=45, optimizer=FLOW, times=[0.3, 1.0], richness=2.0)
    grown = rfm.exact(problem, **args, seeds=150).kernel_growth
    mean, stderr = grown.mean(0), grown.std(0, ddof=1) / np.sqrt(150)
    assert np.all(np.abs(theory.predict(problem, **args).kernel_growth - mean) < 3.0 * stderr + 0.01 * mean)
    assert np.any(np.abs(theory.predict(equal, **args).kernel_growth - mean) > 5.0 * stderr)


@pytest.mark.slow
def test_an_axis_of_a_grid():
    args = dict(ARGS, optimizer=FLOW, times=TIMES)
    swept = theory.sweep(PROBLEM, {"richness": [0.0, 2.0]}, **args)
    for i, richness in enumerate((0.0, 2.0)):
        np.testing.assert_allclose(swept.risk[i], theory.predict(PROBLEM, **args, richness=richness).risk, rtol=1e-8)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"optimizer": rfm.Ridge(0.1), "times": None}, "`richness` must be 0 for Ridge"),
        ({"richness": -1.0}, "`richness` must be a finite number >= 0"),
        ({"correction": True}, "`correction` must be False for a richness"),
        ({"hidden": 90}, "`hidden` must be 'identity' in theory"),
        ({"optimizer": rfm.GradientDescent(0.1), "times": [30_000]}, "`times` must be at most 20000 steps"),
    ],
)
def test_refusals(changed, words):
    with pytest.raises(ValueError, match=words):
        theory.predict(PROBLEM, **ARGS | {"optimizer": FLOW, "times": [1.0], "richness": 1.0} | changed)


def test_a_grid_that_is_too_short_is_flagged():
    drive = Drive(np.array([0.5 + 0j]), np.array([1.0 + 0j]))
    assert np.isinf(rich_flow(drive, np.array([5.0]), np.float64(3.0), np.float64(5.0)).residual)


@pytest.mark.parametrize(("a", "b", "richness"), [(1.5, 1.25, 1.0), (1.9, 1.5, 10.0), (3.5, 1.5, 5.0)])
def test_late_risk_is_the_closed_law(a, b, richness):
    """Exponent and amplitude of hard and easy tasks, from above and below; the lazy law is far from it."""
    args = dict(num_features=np.inf, num_samples=np.inf, optimizer=FLOW, times=[1e8])
    risk = theory.predict(rfm.power_law(a, b, None), **args, richness=richness).risk[0]
    law = exponents.rich_time_amplitude(a, b, richness) * 1e8 ** -exponents.rich_time_exponent(a, b)
    np.testing.assert_allclose(law, risk, rtol=2e-3)
    lazy = exponents.time_amplitude(a, b) * 1e8 ** -exponents.time_exponent(a, b)
    assert lazy > 3.0 * risk


def test_laws_of_trained_features_are_refused_where_they_are_not_known():
    with pytest.raises(ValueError, match="`a` must be different from 1"):
        exponents.rich_frontier_exponents(2.5, 1.5)
    with pytest.raises(ValueError, match="`richness` must be a finite number > 0"):
        exponents.rich_time_amplitude(1.5, 1.25, 0.0)
    assert exponents.rich_time_exponent(3.0, 1.0) == exponents.time_exponent(3.0, 1.0)
