"""Preconditioned training: against matrices and their powers, and against the algorithms that it contains."""

import numpy as np
import pytest

import rfm
import theory

PROBLEM = rfm.power_law(1.5, 1.25, 100, 0.1)
LAMBDA, W = PROBLEM.eigenvalues, PROBLEM.target
SIZES = dict(num_features=40, num_samples=60)


def steps_by_matrices(rng, power, damping, lr, stops):
    """Risk (T,) of steps with (H + damping)^-power, one draw, each step taken."""
    n, p = SIZES["num_features"], SIZES["num_samples"]
    f = rng.standard_normal((n, 100)) / np.sqrt(n)
    x = rng.standard_normal((p, 100)) * np.sqrt(LAMBDA)
    phi, y = x @ f.T, x @ W + np.sqrt(0.1) * rng.standard_normal(p)
    h = phi.T @ phi / p
    z, basis = np.linalg.eigh(h + damping * np.eye(n))
    inverse = (basis * z**-power) @ basis.T
    v, risks = np.zeros(n), []
    for step in range(max(stops) + 1):
        if step in stops:
            risks.append((W - f.T @ v) ** 2 @ LAMBDA)
        v = v - lr * inverse @ (h @ v - phi.T @ y / p)
    return risks


@pytest.mark.parametrize(("power", "damping", "lr"), [(0.5, 0.02, 0.3), (1.0, 0.1, 0.5), (0.3, 0.01, 0.3)])
def test_steps_with_matrix_powers(power, damping, lr):
    """Three standard errors of 150 draws and 2/N; plain descent, and half the power, are refused."""
    stops = [1, 5, 40]
    rng = np.random.default_rng(0)
    risks = np.array([steps_by_matrices(rng, power, damping, lr, stops) for _ in range(150)])
    allowed = 3.0 * risks.std(0, ddof=1) / np.sqrt(150)

    def off(spec):
        risk = theory.predict(PROBLEM, **SIZES, optimizer=spec, times=stops).risk
        return np.abs(risks.mean(0) - risk) / (allowed + 2.0 / 40 * risk)

    assert np.all(off(rfm.Preconditioned(power, damping, lr)) < 1.0)
    assert np.any(off(rfm.Preconditioned(0.0, damping, lr)) > 1.0)


def test_what_it_contains():
    """Power 0 is descent or flow; a large damping a slower flow; both end where flow does."""
    times = np.array([0, 1, 30, 1000])
    risk = lambda spec, times=times: theory.predict(PROBLEM, **SIZES, optimizer=spec, times=times).risk  # noqa: E731
    np.testing.assert_allclose(risk(rfm.Preconditioned(0.0, 0.1)), risk(rfm.GradientFlow()), rtol=1e-10)
    np.testing.assert_allclose(risk(rfm.Preconditioned(0.0, 0.1, 0.4)), risk(rfm.GradientDescent(0.4)), rtol=1e-10)
    np.testing.assert_allclose(risk(rfm.Preconditioned(1.0, 1e9), times * 1e9), risk(rfm.GradientFlow()), rtol=1e-7)
    end = theory.predict(PROBLEM, **SIZES, optimizer=rfm.Ridge(0.0)).risk
    for power in (0.5, 1.0):
        late = theory.predict(PROBLEM, **SIZES, optimizer=rfm.Preconditioned(power, 0.01), times=[1e9])
        np.testing.assert_allclose(late.risk, end, rtol=1e-6)
        assert late.converged
    # nothing random: every mode by itself
    known = theory.predict(
        PROBLEM, num_features=np.inf, num_samples=np.inf, optimizer=rfm.Preconditioned(0.5, 0.01), times=times
    )
    left = np.exp(-times[:, None] * LAMBDA / np.sqrt(LAMBDA + 0.01))
    np.testing.assert_allclose(known.risk, left**2 @ (LAMBDA * W**2), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("lr", [None, 0.3])
def test_times_beside_the_cut(lr):
    """Times as short as 1/damping, where the cut of the filter is near, are those of a list that reaches further."""
    sizes = SIZES | dict(optimizer=rfm.Preconditioned(0.9, 1.0, lr))
    for call in (theory.predict, lambda *args, **more: theory.generations(*args, 3, **more)):
        alone, beside = (call(PROBLEM, **sizes, times=times).risk for times in ([1.0, 3.0], [1.0, 3.0, 1e5]))
        np.testing.assert_allclose(alone, beside[..., :2], rtol=1e-11)


@pytest.mark.parametrize(
    ("argument", "numbers"),
    [
        ("power", (-0.1, 0.1)),
        ("power", (1.1, 0.1)),
        ("damping", (0.5, -0.1)),
        ("damping", (0.5, 0.0)),
        ("lr", (0.5, 0.1, 0.0)),
    ],
)
def test_refused(argument, numbers):
    with pytest.raises(ValueError, match=f"Argument `{argument}` must be"):
        rfm.Preconditioned(*numbers)
