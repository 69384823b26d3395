"""The best schedule against brute force and against all that are near it; what epochs are worth against one pass."""

import numpy as np
import pytest

import rfm
import theory

PROBLEM = rfm.power_law(1.6, 1.3, 200, 0.1)
INF = np.inf


def risk_of_modes(lr, batch_size, problem):
    """One pass of a student that sees every mode, in plain numpy: second moments of every mode, shape (..., steps)."""
    lam = problem.eigenvalues
    moment = np.broadcast_to(problem.target**2, lr.shape[:-1] + lam.shape)
    for step in range(lr.shape[-1]):
        rate = lr[..., step, None]
        loss = (moment @ lam + problem.noise_var)[..., None]
        moment = moment * ((1.0 - rate * lam) ** 2 + rate**2 * lam**2 / batch_size) + rate**2 / batch_size * lam * loss
    return moment @ lam


def test_two_steps_by_brute_force():
    problem = rfm.power_law(1.5, 1.2, 20, 0.2)
    best = theory.best_schedule(problem, num_features=INF, steps=2, batch_size=4)
    np.testing.assert_allclose(risk_of_modes(best.lr, 4, problem), best.risk, rtol=1e-10)
    rates = np.linspace(0.01, 0.9, 300)
    grid = np.stack(np.meshgrid(rates, rates, indexing="ij"), -1)
    risks = risk_of_modes(grid, 4, problem)
    assert best.risk == pytest.approx(risks.min(), rel=1e-5)
    np.testing.assert_allclose(best.lr, grid[np.unravel_index(risks.argmin(), risks.shape)], atol=0.004)
    constant = best.families["constant"]
    line = risks[np.arange(300), np.arange(300)]
    assert constant.risk == pytest.approx(line.min(), rel=1e-4)


@pytest.fixture(scope="module")
def best():
    return theory.best_schedule(PROBLEM, num_features=40, steps=100, batch_size=4)


def predicted(lr):
    curve = theory.predict(PROBLEM, num_features=40, num_samples=INF, optimizer=rfm.SGD(lr, 4), times=[100])
    assert curve.converged
    return float(curve.risk[0])


def test_nothing_near_is_better(best):
    assert best.converged
    assert predicted(best.lr) == pytest.approx(best.risk, rel=1e-9)
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = np.minimum(best.lr * np.exp(0.2 * rng.normal(size=100)), best.families["linear"].lr.max())
        assert predicted(moved) > best.risk * (1.0 - 1e-4)
    slow = best.lr * np.linspace(1.3, 0.7, 100)
    assert predicted(slow) > best.risk * (1.0 + 1e-4)


def test_families(best):
    """Their risks are those of their schedules; decay to zero costs less than none; each peak is the best."""
    for name, family in best.families.items():
        assert predicted(family.lr) == pytest.approx(family.risk, rel=1e-9), name
        assert family.excess == pytest.approx(family.risk / best.risk - 1.0, abs=1e-12)
        assert family.excess > -1e-6
        for factor in (0.9, 1.05):
            if family.lr.max() * factor < best.families["linear"].lr.max():
                assert predicted(family.lr * factor) > family.risk * (1.0 - 2e-4), name
    excess = {name: family.excess for name, family in best.families.items()}
    assert excess["constant"] > 3.0 * excess["linear"]
    assert min(excess["power"], excess["wsd"]) <= excess["linear"] + 1e-4
    only = theory.best_schedule(PROBLEM, num_features=40, steps=100, batch_size=4, family="cosine")
    assert only.risk == pytest.approx(best.families["cosine"].risk, rel=1e-9)


def risk_of_batches(lr, sizes, problem):
    """The risk of a constant rate and batches that change, in plain numpy; student, see `risk_of_modes`."""
    lam, moment = problem.eigenvalues, problem.target**2
    for size in sizes:
        noise = lr**2 / size * lam
        moment = moment * ((1.0 - lr * lam) ** 2 + noise * lam) + noise * (moment @ lam + problem.noise_var)
    return moment @ lam


def test_two_batches_by_brute_force():
    problem = rfm.power_law(1.5, 1.2, 20, 0.2)
    best = theory.best_schedule(problem, num_features=INF, steps=2, batch_size=4, vary="batch_size")
    assert best.converged
    assert best.batch_size.sum() == pytest.approx(8.0)
    assert np.ptp(best.lr) == 0.0
    assert risk_of_batches(best.lr[0], best.batch_size, problem) == pytest.approx(best.risk, rel=1e-10)
    grid = [(lr, first) for lr in np.linspace(0.3, 0.9, 121) for first in np.linspace(1.0, 7.0, 121)]
    risks = np.array([risk_of_batches(lr, (first, 8.0 - first), problem) for lr, first in grid])
    stable = np.array([lr * (1.0 + 1.0 / first) < 1.2 for lr, first in grid])  # every step is
    assert best.risk == pytest.approx(risks[stable].min(), rel=1e-4)
    assert risk_of_batches(best.lr[0], (4.0, 4.0), problem) > best.risk
    # at equal cost and a constant rate no family is better
    assert all(family.excess > -1e-6 for family in best.families.values())
    assert best.families["constant"].risk == pytest.approx(
        min(risk_of_batches(lr, (4.0, 4.0), problem) for lr in np.linspace(0.3, 0.9, 600)), rel=1e-4
    )


def test_larger_batches_are_as_good_as_decay(best):
    """Rounded batches train as well; the same ones backwards, large ones first, do not."""
    ramp = theory.best_schedule(PROBLEM, num_features=40, steps=100, batch_size=4, vary="batch_size")
    assert ramp.risk == pytest.approx(best.risk, rel=0.01)
    assert ramp.families["constant"].excess > 0.02
    assert ramp.batch_size.mean() == pytest.approx(4.0)

    def risk(sizes):
        optimizer = rfm.SGD(ramp.lr, np.maximum(np.round(sizes), 1.0))
        return theory.predict(PROBLEM, num_features=40, num_samples=INF, optimizer=optimizer, times=[100]).risk[0]

    assert risk(ramp.batch_size) == pytest.approx(ramp.risk, rel=0.01)
    assert risk(ramp.batch_size[::-1]) > 1.1 * ramp.risk


def test_best_epochs_by_brute_force():
    optimizer = rfm.SGD(0.3, 4)
    args = dict(num_samples=24, optimizer=optimizer)
    best = theory.best_epochs(PROBLEM, [800.0], **args)

    def risk(steps):
        return theory.predict(PROBLEM, **args, num_features=200.0 / steps, times=[steps]).risk[0]

    steps = np.arange(1, 36)
    risks = np.array([risk(t) for t in steps])
    assert best.risk[0] == pytest.approx(risks.min(), rel=1e-9)
    assert best.steps[0] == steps[risks.argmin()]
    assert best.epochs[0] == best.steps[0] * 4 / 24
    assert best.num_features[0] * best.steps[0] * 4 == pytest.approx(800.0)
    assert not best.at_edge[0]
    assert theory.best_epochs(PROBLEM, [8.0], **args).at_edge[0]


def test_epochs_worth():
    args = dict(num_features=40, num_samples=48)
    for order in ("replacement", "shuffle"):
        optimizer = rfm.SGD(0.1, 4, order=order)
        worth = theory.epochs_worth(PROBLEM, **args, optimizer=optimizer, epochs=[1, 2, 5])
        again = theory.predict(PROBLEM, **args, optimizer=optimizer, times=[12, 24, 60])
        np.testing.assert_allclose(worth.risk, again.risk, rtol=1e-12)
        steps = worth.fresh * 12
        around = np.unique(np.concatenate([np.floor(steps), np.ceil(steps)]))
        one = theory.predict(PROBLEM, num_features=40, num_samples=INF, optimizer=rfm.SGD(0.1, 4), times=around)
        np.testing.assert_allclose(np.interp(steps, around, one.risk), again.risk, rtol=2e-3)
        assert np.all(worth.fresh < [1.02, 2.02, 5.0])
        assert np.all(np.diff(worth.fresh) > 0)


DECAY = {
    "constant": lambda lr, steps: np.full(steps, lr),
    "linear": lambda lr, steps: lr * (1.0 - np.arange(steps) / steps),
}


def test_frontier_of_a_schedule():
    """A constant rate has the frontier of `theory.frontier`; decay moves it to longer training of smaller models."""
    problem, optimizer = rfm.power_law(1.8, 1.5, 100), rfm.SGD(0.3)
    known = theory.frontier(problem, [2e3], optimizer=optimizer)
    constant, linear = (
        theory.frontier(problem, [2e3], optimizer=optimizer, schedule=schedule) for schedule in DECAY.values()
    )
    assert constant.converged[0]
    assert linear.converged[0]
    np.testing.assert_allclose(constant.num_features, known.num_features, rtol=2e-3)
    np.testing.assert_allclose(constant.risk, known.risk, rtol=1e-4)
    np.testing.assert_allclose(constant.risk_exponent, known.risk_exponent, atol=1e-3)
    np.testing.assert_allclose(constant.size_exponent, known.size_exponent, atol=3e-3)
    assert linear.risk < 0.85 * constant.risk
    assert linear.num_features < 0.8 * constant.num_features
    # by brute force: no length near does better than the best, and slopes in compute are those of best risks
    steps = np.unique(np.round(float(linear.times[0]) * np.exp(np.linspace(-0.3, 0.3, 9))))

    def best_risk(compute):
        risks = [
            theory.predict(problem, num_features=compute / t, num_samples=INF, times=[t],
                           optimizer=rfm.SGD(DECAY["linear"](0.3, int(t)))).risk[0] for t in steps
        ]  # fmt: skip
        return min(risks)

    assert linear.risk[0] == pytest.approx(best_risk(2e3), rel=1e-4)
    slope = -np.log(best_risk(2.4e3) / best_risk(2e3 / 1.2)) / np.log(1.2**2)
    assert linear.risk_exponent[0] == pytest.approx(slope, abs=2e-3)


@pytest.mark.slow
def test_frontier_with_the_best_peak():
    problem, optimizer = rfm.power_law(1.8, 1.5, 300), rfm.SGD(0.3)
    known = theory.frontier(problem, [2e3], optimizer=optimizer, tune_lr=True)
    tuned = theory.frontier(problem, [2e3], optimizer=optimizer, schedule=DECAY["constant"], tune_lr=True)
    np.testing.assert_allclose(tuned.risk, known.risk, rtol=1e-3)
    np.testing.assert_allclose(tuned.lr, known.lr, rtol=0.1)
    np.testing.assert_allclose(tuned.risk_exponent, known.risk_exponent, atol=0.01)


def test_more_samples_can_be_used_more_often():
    """As arXiv 2511.13421 has it: what four epochs are worth rises with the number of samples."""
    problem = rfm.power_law(1.6, 1.3, 500)
    args = dict(num_features=200, optimizer=rfm.SGD(0.1, 4), epochs=[4])
    few, many = (theory.epochs_worth(problem, **args, num_samples=p).fresh[0] for p in (32, 128))
    assert 2.0 < few < many < 4.0


def test_noise_may_make_it_worthless():
    """With noise in the labels many epochs fall behind what one pass reaches at the same rate, or never come back."""
    noisy = rfm.power_law(1.6, 1.3, 200, 5.0)
    args = dict(num_features=100, num_samples=16, optimizer=rfm.SGD(0.1, 16))
    worth = theory.epochs_worth(noisy, **args, epochs=[4, 400])
    assert worth.risk[1] > worth.risk[0]
    assert worth.fresh[1] < worth.fresh[0]


def test_refused():
    args = dict(num_features=8, steps=10)
    for more, name in (
        ({"steps": 0}, "steps"), ({"steps": 10**6}, "steps"), ({"family": "exponential"}, "family"),
        ({"batch_size": 0.5}, "batch_size"), ({"num_features": 0}, "num_features"), ({"vary": "momentum"}, "vary"),
        ({"vary": "batch_size"}, "batch_size"), ({"most": 1.0}, "most"), ({"most": 0.0}, "most"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            theory.best_schedule(PROBLEM, **args | more)
    args = dict(compute=[1e3], optimizer=rfm.SGD(0.1), schedule=DECAY["linear"])
    for more, name in (
        ({"compute": [1.0]}, "compute"), ({"optimizer": rfm.SGD(lambda t: 0.1)}, "lr"), ({"schedule": 0.1}, "schedule"),
        ({"optimizer": rfm.SGD(99.0)}, "lr"), ({"tune_lr": 1}, "tune_lr"), ({"parametrization": "x"}, "param.*"),
        ({"schedule": lambda lr, steps: -np.ones(steps)}, "lr"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            theory.frontier(PROBLEM, **args | more)
    args = dict(num_features=8, num_samples=16, optimizer=rfm.SGD(0.1, 4), epochs=[1, 2])
    for more, name in (
        ({"epochs": [1.5]}, "epochs"), ({"epochs": [0, 1]}, "epochs"), ({"num_samples": INF}, "num_samples"),
        ({"optimizer": rfm.GradientFlow()}, "optimizer"), ({"optimizer": rfm.SGD(lambda t: 0.1)}, "optimizer"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            theory.epochs_worth(PROBLEM, **args | more)
    args = dict(num_samples=16, optimizer=rfm.SGD(0.1, 4))
    for more, name in (
        ({"num_samples": INF}, "num_samples"), ({"optimizer": rfm.SGD(lambda t: 0.1)}, "optimizer"),
        ({"compute": [4.0]}, "compute"), ({"optimizer": rfm.SGD(9.0, 4)}, "lr"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            theory.best_epochs(PROBLEM, **{"compute": [1e3]} | args | more)
