"""The problem table: its answers against brute force and against the oracles, then the theory against the table."""

import numpy as np
import oracles
import pytest
from problems import INF, KNOWN

import rfm
import theory

SAMPLED = [name for name in KNOWN if name.startswith(("white", "one mode, ridge")) and "no noise" not in name]


@pytest.mark.parametrize("name", KNOWN)
def test_theory_gives_the_known_answer(name):
    known = KNOWN[name]()
    curve = theory.predict(**known.arguments)
    scale = np.max(known.risk)
    np.testing.assert_allclose(curve.risk, known.risk, rtol=1e-11, atol=1e-13 * scale)
    np.testing.assert_allclose(curve.train_loss, known.train_loss, rtol=1e-11, atol=1e-13 * scale)
    assert curve.converged
    assert curve.residual < 1e-10


@pytest.mark.parametrize("name", SAMPLED)
def test_answer_against_direct_sums(name):
    """The table's formula against the two-point function summed mode by mode, at a ridge of zero or nearly."""
    known = KNOWN[name]()
    p = known.problem
    ridge = max(known.optimizer.ridge, 1e-9)
    sizes = known.num_features, known.num_samples
    risk, loss = oracles.static_risk(p.eigenvalues, p.target, p.noise_var, *sizes, ridge)
    np.testing.assert_allclose(known.risk, risk, rtol=2e-7)
    np.testing.assert_allclose(known.train_loss, loss, rtol=2e-7, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "finite_size"), [("white, P < M", 0.02), ("white, P > M", 0.03), ("white, ridge", 0.02)]
)
def test_answer_against_least_squares(name, finite_size):
    """The table's formula against ridge regressions by hand, within four standard errors and O(1/P)."""
    known = KNOWN[name]()
    p = known.problem
    ridge = max(known.optimizer.ridge, 1e-8)
    rng = np.random.default_rng(3)
    runs = [
        oracles.ridge_by_hand(rng, p.eigenvalues, p.target, p.noise_var, INF, known.num_samples, ridge)
        for _ in range(60)
    ]
    gap = np.mean(runs, 0) - [known.risk[0], known.train_loss[0]]
    allowed = 4 * np.std(runs, 0, ddof=1) / np.sqrt(len(runs)) + finite_size * known.risk[0]
    assert np.all(np.abs(gap) < allowed)
    assert finite_size * known.risk[0] < 0.1 * known.risk[0]


@pytest.mark.parametrize("ridge", [0.1, 1e-6])
def test_infinite_sum_against_its_partial_sum(ridge):
    known = KNOWN["infinitely many modes, ridge" if ridge == 0.1 else "infinitely many modes, small ridge"]()
    k = np.arange(1.0, 4e6)
    partial = ridge**2 * np.sum(k**2 / (1 + ridge * k**2) ** 2) + 1 / k[-1]
    np.testing.assert_allclose(known.risk, partial, rtol=1e-6)


@pytest.mark.parametrize("name", ["power law, nothing random, flow", "power law, nothing random, descent", "one mode"])
def test_answer_against_small_steps_by_hand(name):
    """Nothing random: one mode at a time, stepped (flow: with steps of 1/2000)."""
    known = KNOWN[name]()
    lam, w = known.problem.modes(0, int(known.problem.num_modes))
    lam, w = np.asarray(lam), np.asarray(w)
    flow = isinstance(known.optimizer, rfm.GradientFlow)
    lr = 5e-4 if flow else float(known.optimizer.lr)
    wanted = {round(t / lr) if flow else int(t): i for i, t in enumerate(known.times) if t <= 60}
    delta = w.copy()
    for step in range(max(wanted) + 1):
        if step in wanted:
            risk = np.sum(lam * delta**2)
            np.testing.assert_allclose(known.risk[wanted[step]], risk, rtol=5e-3 if flow else 1e-12)
        delta = delta - lr * lam * delta
