"""The compute-optimal frontier: exponents against closed forms, optima against brute force, all seven phases."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from compilations import compilations
from problems import INF

import rfm
import theory
from theory import exponents

FLOW = rfm.GradientFlow()


def risk(problem, optimizer, n, t, num_samples=INF):
    """At one size and time."""
    args = dict(num_features=n, num_samples=num_samples, optimizer=optimizer, times=[float(t)])
    return theory.predict(problem, **args).risk[0]


@pytest.mark.parametrize(
    ("task", "exponent"),
    [((3.0, 1.5), 2 / 3), pytest.param((4.0, 1.5), 0.75, marks=pytest.mark.slow), ((2.0, 1.5), 0.4)],
    ids=str,
)
def test_exponents(task, exponent):
    """Exponents of N* and risk* in compute, where S1 says 0.800, 1.2 and 0.4."""
    size, at_best = exponents.frontier_exponents(*task)
    np.testing.assert_allclose(at_best, exponent)
    found = theory.frontier(rfm.power_law(*task, None), np.array([1e5, 1e11]), optimizer=FLOW)
    assert found.converged.all()
    assert abs(found.risk_exponent[-1] - at_best) < 0.01
    assert abs(found.size_exponent[-1] - size) < 0.01
    claimed = exponents.CLAIMS["compute"].exponent(*task)
    if task[0] - 1 > task[1]:
        assert abs(found.risk_exponent[-1] - claimed) > 0.1
    # no other size does better with the same compute
    for factor in (0.8, 1.25):
        n = found.num_features[0] * factor
        assert risk(rfm.power_law(*task, None), FLOW, n, found.compute[0] / n) > found.risk[0]


@pytest.mark.slow
def test_limited_data_and_early_stopping():
    """With few noisy samples no N t <= C does better: at equal compute a wider model stops earlier already."""
    problem, samples = rfm.power_law(2.0, 1.5, None, 0.1), 300
    found = theory.frontier(problem, np.array([1e3, 1e6, 1e8]), num_samples=samples, optimizer=FLOW)
    assert found.converged.all()
    assert (found.risk_exponent >= 0).all()
    for compute, best in zip(found.compute[:2], found.risk[:2], strict=True):
        sizes = np.geomspace(2, compute / 0.1, 40)
        times = np.geomspace(1e-1, compute, 120)
        for n in sizes:
            args = dict(num_features=n, num_samples=samples, optimizer=FLOW, times=times)
            allowed = theory.predict(problem, **args).risk[n * times <= compute * (1 + 1e-12)]
            assert np.all(allowed >= best * (1 - 1e-9))
    # data limits: risk hardly falls any more, and all further compute goes into the model
    assert found.risk_exponent[2] < 0.01
    assert found.size_exponent[2] > 0.95


def test_best_of_the_range():
    """Two minima on either side of N = P, and nothing along the range of sizes does better."""
    problem, compute = rfm.white(60, noise_var=1.0), 12762.744
    best = theory.frontier(problem, [compute], num_samples=197, optimizer=FLOW)
    sizes = np.geomspace(1.0, compute / 1e-3, 120)
    risks = np.array([risk(problem, FLOW, n, compute / n, 197) for n in sizes])
    dips = 1 + np.flatnonzero((risks[1:-1] < risks[:-2]) & (risks[1:-1] < risks[2:]))
    assert len(dips) == 2
    assert abs(risks[dips[0]] / risks[dips[1]] - 1) < 0.005
    assert best.converged
    assert not best.at_edge
    assert best.risk <= risks.min()
    np.testing.assert_allclose(best.num_features, 702.8826, rtol=1e-6)


def test_an_edge_is_no_optimum():
    """Features of variance one make larger models faster, without end; a short budget fits the smallest model alone."""
    problem = rfm.power_law(1.8, 1.5, None)
    wide = theory.frontier(problem, [1e7], num_samples=300, optimizer=FLOW, parametrization="standard")
    small = theory.frontier(problem, [0.01], optimizer=FLOW)
    for found, exponent in ((wide, 1.0), (small, 0.0)):
        assert found.at_edge
        assert not found.converged
        assert found.size_exponent == exponent
    assert small.num_features == 1.0
    np.testing.assert_allclose(small.risk, risk(problem, FLOW, 1.0, 0.01), rtol=1e-12)
    step = 1e-4
    around = [risk(problem, FLOW, 1.0, 0.01 * np.exp(x)) for x in (-step, step)]
    np.testing.assert_allclose(small.risk_exponent, -np.diff(np.log(around)) / (2 * step), rtol=1e-6)


PHASES = {
    "Ia": ((0.75, 0.25), 0.01), "II": ((1.25, 0.75), 0.01), "III": ((1.0, 2.0), 0.01), "Ib": ((0.4, 0.3), 0.01),
    "Ic": ((0.2, 2.0), 0.01), "IVa": ((0.45, 1.0), 0.01), "IVb": ((0.27, 0.8), 0.015),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PHASES)
def test_phases_of_one_pass_sgd(name):
    """Risk exponents on the theory, and closer to the formula with compute; alpha < 1/2 converges slowly."""
    (alpha, beta), tolerance = PHASES[name]
    phase = exponents.phase(alpha, beta)
    a, b = exponents.from_alpha_beta(alpha, beta)
    if alpha > 0.5:
        problem, lr, scaling = rfm.power_law(a, b, None), 0.3, {}
        compute = np.geomspace(1e7, 1e11, 3)
    else:
        problem, lr = rfm.power_law(a, b, 1000), 0.3 * (1 - b)
        scaling = {"lr_exponent": b - 1, "modes_per_feature": 2.0}
        compute = np.geomspace(1e6, 1e14, 3)
    found = theory.frontier(problem, compute, optimizer=rfm.SGD(lr, 1), **scaling)
    assert found.converged.all()
    gap = np.abs(found.risk_exponent - phase.risk)
    assert gap[-1] < tolerance
    assert gap[-1] < gap[0]
    # S4's two terms balance: the optimum moves as they say, to what a jump between two minima leaves
    assert abs(found.size_exponent[-1] - phase.size) < 0.02
    np.testing.assert_allclose(found.lr, lr * found.num_features ** scaling.get("lr_exponent", 0.0))


@pytest.mark.slow
def test_the_formula_of_another_phase_is_missed():
    """Negative control: III's constant lr with II's exponent, and the other way round."""
    for point, other in (((1.0, 2.0), (1.25, 0.75)), ((0.75, 0.25), (0.75, 2.0))):
        problem = rfm.power_law(*exponents.from_alpha_beta(*point), None)
        found = theory.frontier(problem, np.geomspace(1e7, 1e11, 3), optimizer=rfm.SGD(0.3, 1))
        sizes = abs(found.size_exponent[-1] - exponents.phase(*other).size)
        assert max(sizes, abs(found.risk_exponent[-1] - exponents.phase(*other).risk)) > 0.05


@pytest.mark.slow
def test_best_lr():
    """No other lr, with its own best size, does better; the lr found is inside what is stable."""
    problem, compute = rfm.power_law(3.0, 1.5, None), np.array([1e5])
    best = theory.frontier(problem, compute, optimizer=rfm.SGD(0.3, 1), tune_lr=True)
    assert best.converged.all()
    for factor in (0.7, 0.9, 1.1, 1.3):
        other = theory.frontier(problem, compute, optimizer=rfm.SGD(float(best.lr[0]) * factor, 1))
        assert other.converged.all()
        assert other.risk[0] > best.risk[0]
    same = theory.frontier(problem, compute, optimizer=rfm.SGD(float(best.lr[0]), 1))
    np.testing.assert_allclose(same.risk, best.risk, rtol=1e-9)
    np.testing.assert_allclose(same.num_features, best.num_features, rtol=1e-5)


@pytest.mark.slow
def test_batches_cost_compute():
    """C = N t B: at small lr, where batches only average, a batch of 4 needs four times the compute."""
    problem = rfm.power_law(1.5, 1.25, None)
    one = theory.frontier(problem, np.array([1e4]), optimizer=rfm.SGD(1e-3, 1))
    four = theory.frontier(problem, np.array([4e4]), optimizer=rfm.SGD(1e-3, 4))
    np.testing.assert_allclose(four.risk, one.risk, rtol=1e-2)
    np.testing.assert_allclose(four.times, one.times, rtol=2e-2)


@pytest.mark.slow
def test_fewer_nodes():
    problem, compute = rfm.power_law(3.0, 1.5, None), np.array([1e6])
    full, fast = (theory.frontier(problem, compute, optimizer=rfm.SGD(0.3, 1), nodes=n) for n in (None, 64))
    assert fast.converged.all()
    np.testing.assert_allclose(fast.risk, full.risk, rtol=1e-5)
    np.testing.assert_allclose(fast.risk_exponent, full.risk_exponent, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"compute": [-1.0]}, "compute"),
        ({"compute": [1.0]}, "compute"),
        ({"compute": [np.nan]}, "compute"),
        ({"compute": []}, "compute"),
        ({"optimizer": rfm.Ridge(0.0)}, "optimizer"),
        ({"optimizer": rfm.HeavyBall(0.1, 0.9)}, "optimizer"),
        ({"optimizer": rfm.GradientDescent(optax.constant_schedule(0.1))}, "lr"),
        ({"optimizer": rfm.GradientDescent(3.0)}, "lr"),
        ({"optimizer": rfm.SGD(30.0, 4)}, "lr"),
        ({"optimizer": rfm.GradientDescent(0.1), "tune_lr": True}, "tune_lr"),
        ({"modes_per_feature": 0.5}, "modes_per_feature"),
        ({"problem": rfm.white(10), "modes_per_feature": 2.0}, "modes_per_feature"),
        ({"compute": [9.0], "modes_per_feature": 2.0}, "compute"),
        ({"num_samples": 100}, "num_samples"),
        ({"nodes": 0}, "nodes"),
        ({"nodes": True}, "nodes"),
        ({"nodes": 5000}, "nodes"),
        ({"lr_exponent": "a"}, "lr_exponent"),
        ({"lr_exponent": [1.0]}, "lr_exponent"),
        ({"modes_per_feature": 1j}, "modes_per_feature"),
        ({"tune_lr": 1}, "tune_lr"),
        ({"compute": "much"}, "compute"),
    ],
)
def test_refusals(changes, name):
    args = {"problem": rfm.power_law(1.8, 1.5, None), "compute": [1e3], "optimizer": rfm.SGD(0.1, 4)} | changes
    with pytest.raises(ValueError, match=f"Argument `{name}` must"):
        theory.frontier(**args)


def test_a_frontier_compiles_nothing():
    """Budgets of an array of JAX are numbers too."""
    args = dict(optimizer=rfm.GradientFlow(), nodes=16)
    known = theory.frontier(rfm.power_law(1.8, 1.5, 100), [100.0], **args)
    budgets = jnp.asarray([100.0])
    with compilations() as compiled:
        mine = theory.frontier(rfm.power_law(1.8, 1.5, 100), budgets, **args)
    assert not compiled
    assert mine.num_features == known.num_features
