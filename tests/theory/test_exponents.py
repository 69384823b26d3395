"""Closed-form exponents and amplitudes against the theory's own slopes at large size, and the phases by brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import INF

import rfm
import theory
from theory import exponents

TASKS = [(1.5, 1.25), (1.8, 1.5), (2.0, 1.5), (3.0, 1.25), (4.5, 1.2), (6.0, 1.5)]
FLOW, RIDGELESS = rfm.GradientFlow(), rfm.Ridge(0.0)
each_task = pytest.mark.parametrize(
    "task", [task if task in TASKS[::3] else pytest.param(task, marks=pytest.mark.slow) for task in TASKS], ids=str
)


def slope_and_value(a, b, x, **which):
    """-d log risk/d log x, by a central difference, and the risk at x, where `which` says what x is."""

    def risk(x):
        args = dict(num_features=INF, num_samples=INF, optimizer=RIDGELESS) | which
        args = {name: x if value is None else value for name, value in args.items() if name != "times"}
        if "times" in which:
            args |= dict(optimizer=FLOW, times=[x])
        return theory.predict(rfm.power_law(a, b, None), **args).risk[0]

    return np.log(risk(x / 1.1) / risk(1.1 * x)) / np.log(1.1**2), risk(x)


LAWS = {
    "time": (exponents.time_exponent, exponents.time_amplitude, 1e12, dict(times=None)),
    "model": (exponents.model_exponent, exponents.model_amplitude, 1e6, dict(num_features=None)),
    "ensemble": (exponents.ensemble_exponent, exponents.ensemble_amplitude, 1e6, dict(num_features=None, ensemble=INF)),
    "data": (exponents.data_exponent, exponents.data_amplitude, 1e6, dict(num_samples=None)),
}


@pytest.mark.parametrize("law", LAWS)
@each_task
def test_slope_and_amplitude_at_large_size(task, law):
    """Within 0.01 and 1 %, at t = 1e12 and N, P = 1e6, infinitely many modes.

    Earlier where the risk would fall below 1e-10: what two contours leave of it is lost in rounding.
    """
    exponent, amplitude, x, which = LAWS[law]
    x = min(x, 10 ** (10 / exponent(*task))) if law == "time" else x
    slope, value = slope_and_value(*task, x, **which)
    assert abs(slope - exponent(*task)) < 0.01
    assert abs(value / (amplitude(*task) * x ** -exponent(*task)) - 1) < 0.01


def test_the_claimed_model_exponent_is_wrong_for_easy_tasks():
    """a = 3, b = 1.25: S1 eq. 14 says 2, one model has 1.25, and only the infinite ensemble has 2."""
    a, b = 3.0, 1.25
    assert exponents.CLAIMS["model"].exponent(a, b) == 2.0
    slope, _ = slope_and_value(a, b, 1e6, num_features=None)
    assert abs(slope - 1.25) < 0.001
    slope, _ = slope_and_value(a, b, 1e6, num_features=None, ensemble=INF)
    assert abs(slope - 2.0) < 0.001


def test_laws_change_at_their_boundary():
    """Negative control: the formula of one regime misses the slope in the other."""
    slope, _ = slope_and_value(3.5, 1.2, 1e6, num_features=None)
    assert abs(slope - 2.5) > 1.0  # a - 1, beyond a - 1 = b
    slope, _ = slope_and_value(3.5, 1.2, 1e6, num_samples=None)
    assert abs(slope - 2.5) > 0.05  # a - 1, beyond a - 1 = 2b


@pytest.mark.slow
@pytest.mark.parametrize("task", [(1.5, 1.25), (3.0, 1.25), (2.0, 1.5)], ids=str)
def test_early_corrections(task):
    """|risk(N, t) - risk(infinity, t)| against N and t, the same for P, and label noise."""
    a, b = task
    t, n = 1e6, 1e12
    problem = rfm.power_law(a, b, None)

    def risk(log_t, log_n, log_p=jnp.inf, noise=0.0):
        problem = rfm.power_law(a, b, None, noise)
        sizes = dict(num_features=jnp.exp(log_n), num_samples=jnp.exp(log_p))
        return theory.predict(problem, **sizes, optimizer=FLOW, times=jnp.exp(log_t)[None]).risk[0]

    # derivatives in 1/N at 1/N = 0 stand for the difference, which rounding would eat
    first_order = lambda which: lambda log_t: jnp.log(jnp.abs(jax.jvp(  # noqa: E731
        lambda inverse: _risk(problem, jnp.exp(log_t), **{which: 1.0 / inverse}), (1.0 / n,), (1.0,))[1]))  # fmt: skip
    for which, law in (
        ("num_features", exponents.early_model_exponents),
        ("num_samples", exponents.early_data_exponents),
    ):
        slope = jax.jit(jax.grad(first_order(which)))(np.log(t))
        assert abs(slope - law(a, b)[1]) < 0.02, which
    noise = lambda log_t: jnp.log(risk(log_t, jnp.inf, np.log(1e9), 1.0) - risk(log_t, jnp.inf, np.log(1e9)))  # noqa: E731
    assert abs(jax.jit(jax.grad(noise))(np.log(1e4)) - exponents.noise_exponents(a, b)[1]) < 0.01


def _risk(problem, t, num_features=INF, num_samples=INF):
    return theory.predict(
        problem, num_features=num_features, num_samples=num_samples, optimizer=FLOW, times=jnp.asarray(t)[None]
    ).risk[0]


def test_duality():
    """L(P)/L(N) at P = N is b - (a - 1); one for a flat teacher only."""
    for a, b in ((1.5, 1.25), (2.0, 1.5), (1.25, 1.25)):
        np.testing.assert_allclose(exponents.duality_ratio(a, b), b - (a - 1), rtol=1e-12)
        _, data = slope_and_value(a, b, 1e6, num_samples=None)
        _, model = slope_and_value(a, b, 1e6, num_features=None)
        assert abs(data / model / (b - a + 1) - 1) < 0.01


def best_balance(alpha, beta):
    """(size, risk) exponents by brute force: minimise the largest of the four terms over d = f^x, r = f^(1-x)."""
    x = np.linspace(0.0, 1.0, 200_001)
    q, lr = 2 * alpha + 2 * beta - 1, min(0.0, 2 * alpha - 1) * x
    terms = [-q / (2 * alpha) * (1 - x + lr), -x * (2 * alpha - max(0.0, 1 - 2 * beta))]
    if alpha > 0.5 and beta > 0.5:
        terms.append(-x - (1 - 1 / (2 * alpha)) * (1 - x))
    if alpha > 0.25:
        terms.append(lr - (2 - 1 / (2 * alpha)) * (1 - x + lr))
    worst = np.max(terms, axis=0)
    return x[np.argmin(worst)], -worst.min()


PHASES = {
    "Ia": (0.75, 0.25), "Ib": (0.4, 0.3), "Ic": (0.2, 2.0), "II": (1.25, 0.75), "III": (1.0, 2.0),
    "IVa": (0.45, 1.0), "IVb": (0.27, 0.8),
}  # fmt: skip


@pytest.mark.parametrize("name", PHASES)
def test_phases_by_brute_force(name):
    phase = exponents.phase(*PHASES[name])
    assert phase.name == name
    np.testing.assert_allclose([phase.size, phase.risk], best_balance(*PHASES[name]), atol=2e-5)


def test_phases_are_continuous_and_refuse_boundaries():
    """Two phases that meet agree where they do."""
    for left, right in (((0.5001, 0.3), (0.4999, 0.3)), ((1.0, 0.4999), (1.0, 0.5001)), ((1.0, 0.9999), (1.0, 1.0001))):
        np.testing.assert_allclose(exponents.phase(*left)[2:], exponents.phase(*right)[2:], atol=2e-3)
    for alpha, beta in ((0.5, 0.3), (1.0, 0.5), (1.0, 1.0), (0.1, 0.2), (-1.0, 3.0)):
        with pytest.raises(ValueError, match="`alpha, beta` must be"):
            exponents.phase(alpha, beta)


def test_converters():
    assert exponents.from_alpha_beta(*exponents.to_alpha_beta(2.3, 1.4)) == pytest.approx((2.3, 1.4))
    assert exponents.from_kernel_exponent(0.4) == (1.4, 1.4)
    assert exponents.from_source_capacity(0.5, 2.0) == (3.0, 2.0)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.5), (0.5, 1.5), (1.5, 0.0), (1.5, -1.0), (np.nan, 1.5)])
def test_wrong_exponents(a, b):
    for law in (exponents.time_exponent, exponents.model_exponent, exponents.frontier_exponents):
        with pytest.raises(ValueError, match="must be a number >"):
            law(a, b)
