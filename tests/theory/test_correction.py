"""The next order of the mean: against values from elsewhere, exact moments, a second route, limits, and simulation."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rfm
import theory
from tests.tolerances import CONTOUR, SAME_SUMS

VALUES = json.loads((Path(__file__).parent / "second_order_values.json").read_text())
TIMES = np.array([0.3, 3.0, 30.0, 1e3])
FLOW = rfm.GradientFlow()


def problem_of(row):
    return rfm.power_law(row["a"], row["b"], row["M"], noise_var=row["noise_var"])


@pytest.mark.parametrize("row", VALUES, ids=lambda row: f"N={row['N']}-P={row['P']}")
def test_known_values(row):
    """Found by autodiff through a two-point determinant on other contours: good to 2e-8."""
    args = dict(num_features=float(row["N"]), num_samples=float(row["P"]), optimizer=FLOW, times=row["times"])
    added = theory.correction(problem_of(row), **args)
    assert added.converged
    np.testing.assert_allclose(added.risk, row["correction"], rtol=1e-7)


def exact_first_step(problem, num_features, num_samples, lr):
    """E risk after one step of gradient descent, by Wishart moments of A = F'F and of B = Psi'Psi/P."""
    # notation: first step Delta = w - lr F'(F Psi'(Psi w + noise)/P); L = diag(eigenvalues)
    n, p, lam, w = num_features, num_samples, problem.eigenvalues, problem.target
    lam_w, trace = lam * w, lam.sum()
    # E[B w w' B] and E[A X A] of Gaussian rows
    seen = lam_w[:, None] * lam_w[None] * (1 + 1 / p) + np.diag(lam) * (lam_w @ w) / p
    seen = seen + problem.noise_var * np.diag(lam) / p
    weighted = np.diag(lam)
    second = (1 + 1 / n) * weighted + trace / n * np.eye(len(lam))  # E[A L A], A of variance 1/N
    return lam_w @ w - 2 * lr * (lam_w @ lam_w) + lr**2 * np.sum(second * seen)


def test_one_step_of_gradient_descent_by_exact_moments():
    """The gap to the exact mean is its one term of order 1/(N P): (w L^3 w) lr^2/(N P)."""
    problem = rfm.power_law(1.5, 1.25, 300, noise_var=0.1)
    n, p, lr = 30, 60, 0.3
    args = dict(num_features=n, num_samples=p, optimizer=rfm.GradientDescent(lr), times=[1])
    found = (theory.predict(problem, **args).risk + theory.correction(problem, **args).risk)[0]
    missing = lr**2 * (problem.eigenvalues**3 @ problem.target**2) / (n * p)
    assert found + missing == pytest.approx(exact_first_step(problem, n, p, lr), rel=1e-9)


def ridge_by_determinant(problem, n, p, ridge):
    """s d_J d_eps [L0 + log(D)/2] of one replica with scalar R1 and R3, by an imaginary J and differences in eps."""
    lam, target, noise = problem.eigenvalues, problem.target**2, problem.noise_var

    def loop(j, eps):
        r1, r3 = 0.5, 0.5
        for _ in range(200):  # the saddle, by Newton's steps of at most a half
            x, y = r1 + j, r3 + eps * target
            g = 1 / (ridge + lam * x * y)
            f1 = (lam * y * g).sum() + eps * noise / ridge - p / r1 + p
            f3 = (lam * x * g).sum() - n / r3 + n
            h11, h33 = p / r1**2 - ((lam * y * g) ** 2).sum(), n / r3**2 - ((lam * x * g) ** 2).sum()
            h13 = ridge * (lam * g**2).sum()
            det = h11 * h33 - h13**2
            d1, d3 = (h33 * f1 - h13 * f3) / det, (h11 * f3 - h13 * f1) / det
            slower = min(1.0, 0.5 * abs(r1 / d1), 0.5 * abs(r3 / d3)) if max(abs(d1), abs(d3)) > 1e-12 else 1.0
            r1, r3 = r1 - slower * d1, r3 - slower * d3
        x, y = r1 + j, r3 + eps * target
        g = 1 / (ridge + lam * x * y)
        one = 1 - r1**2 / p * (lam**2 * g**2 * y**2).sum()
        two = 1 - r3**2 / n * (lam**2 * g**2 * x**2).sum()
        return 0.5 * np.log(one * two - (r1 * r3 * ridge * (lam * g**2).sum()) ** 2 / (p * n))

    def difference(h):
        return (loop(1e-30j, h) - loop(1e-30j, -h)).imag / 1e-30 / (2 * h)

    h = 1e-3 * ridge
    once, twice = difference(h), difference(2 * h)
    return ridge * (4 * once - twice) / 3


@pytest.mark.parametrize(("n", "p"), [(20, 40), (50, 24), (30, 30)])
def test_ridge_by_the_determinant_of_one_replica(n, p):
    problem = rfm.power_law(1.5, 1.25, 80, noise_var=0.1)
    expected = ridge_by_determinant(problem, n, p, 0.02)
    added = theory.correction(problem, num_features=n, num_samples=p, optimizer=rfm.Ridge(0.02))
    assert added.risk[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("n", "p"), [(40, 90), (90, 40), (np.inf, 40), (40, np.inf)])
def test_the_end_of_training_is_ridge_zero(n, p):
    problem = rfm.power_law(1.5, 1.25, 300, noise_var=0.1)
    args = dict(num_features=n, num_samples=p)
    late = theory.correction(problem, optimizer=FLOW, times=[1e9], **args)
    ended = theory.correction(problem, optimizer=rfm.Ridge(0.0), **args)
    np.testing.assert_allclose(late.risk, ended.risk, rtol=1e-6)
    np.testing.assert_allclose(late.train_loss, ended.train_loss, rtol=1e-6, atol=1e-9)


def test_large_sizes_are_infinite_ones():
    problem = rfm.power_law(1.5, 1.25, 300, noise_var=0.1)
    for known in (dict(num_features=30), dict(num_samples=30)):
        (other,) = {"num_features", "num_samples"} - set(known)
        large, infinite = (
            theory.correction(problem, **known, **{other: size}, optimizer=FLOW, times=TIMES) for size in (1e9, np.inf)
        )
        np.testing.assert_allclose(large.risk, infinite.risk, rtol=1e-6)
        np.testing.assert_allclose(large.train_loss, infinite.train_loss, rtol=1e-5, atol=1e-9)
    nothing = theory.correction(problem, num_features=np.inf, num_samples=np.inf, optimizer=FLOW, times=TIMES)
    np.testing.assert_array_equal(nothing.risk, 0.0)


def test_fresh_data_have_the_risk_as_training_loss():
    """At P = infinity the training loss is risk + noise, so that both have the same correction."""
    problem = rfm.power_law(1.5, 1.25, 300, noise_var=0.1)
    added = theory.correction(problem, num_features=30, num_samples=np.inf, optimizer=FLOW, times=TIMES)
    np.testing.assert_allclose(added.train_loss, added.risk, rtol=1e-6)


def test_compressed_and_infinite_modes():
    """A tail of 20,000 modes one by one, compressed, and its limit."""
    args = dict(num_features=30, num_samples=60, optimizer=FLOW, times=TIMES)
    many = rfm.power_law(1.5, 1.25, 20_000, noise_var=0.1)
    k = np.arange(1.0, 20_001.0)
    one_by_one = rfm.Problem(k**-1.25, np.sqrt(k**-0.25), 0.1)
    written_out = theory.correction(one_by_one, **args)
    np.testing.assert_allclose(theory.correction(many, **args).risk, written_out.risk, rtol=1e-8)
    endless = theory.correction(rfm.power_law(1.5, 1.25, None, noise_var=0.1), **args)
    billions = theory.correction(rfm.power_law(1.5, 1.25, 10**15, noise_var=0.1), **args)
    np.testing.assert_allclose(billions.risk, endless.risk, rtol=1e-3)


def predicted(n, optimizer=FLOW):
    problem = rfm.power_law(1.5, 1.25, 300, noise_var=0.1)
    args = dict(num_features=n, num_samples=60.0, optimizer=optimizer, times=np.array([1.0, 10.0, 100.0]))
    return theory.predict(problem, correction=True, **args).risk


@pytest.mark.slow
def test_numpy_and_xla_agree():  # for gradient flow too, in the next test
    optimizer = rfm.HeavyBall(0.1, momentum=0.5)
    with jax.enable_x64(True):
        compiled = jax.jit(lambda n: predicted(n, optimizer))(30.0)
    np.testing.assert_allclose(compiled, predicted(30.0, optimizer), rtol=CONTOUR)


@pytest.mark.slow
def test_transformations():
    with jax.enable_x64(True):
        both, slopes = jax.jit(jax.vmap(lambda n: jax.jvp(predicted, (n,), (1.0,))))(jnp.array([30.0, 40.0]))
    np.testing.assert_allclose(both[0], predicted(30.0), rtol=CONTOUR)
    np.testing.assert_allclose(both[1], predicted(40.0), rtol=CONTOUR)
    np.testing.assert_allclose(slopes[0], (predicted(30.01) - predicted(29.99)) / 0.02, rtol=1e-5)


def test_ridge_in_a_transformation():
    problem = rfm.power_law(1.5, 1.25, 300, noise_var=0.1)

    def curve(ridge):
        return theory.correction(problem, num_features=30.0, num_samples=60.0, optimizer=rfm.Ridge(ridge))

    losses = lambda ridge: (curve(ridge).risk, curve(ridge).train_loss)  # noqa: E731
    with jax.enable_x64(True):
        along = jax.jit(jax.vmap(lambda ridge: jax.jvp(losses, (ridge,), (1.0,))))
        (risks, _), (_, slopes) = along(jnp.array([0.01, 0.1]))
    for risk, ridge in zip(risks, (0.01, 0.1), strict=True):
        np.testing.assert_allclose(risk, curve(ridge).risk, rtol=SAME_SUMS)
    difference = (curve(0.01001).train_loss - curve(0.00999).train_loss) / 2e-5
    np.testing.assert_allclose(slopes[0], difference, rtol=1e-5)


def test_standard_parametrization_is_another_clock():
    problem = rfm.power_law(1.5, 1.25, 300, noise_var=0.1)
    args = dict(num_features=30, num_samples=60, optimizer=FLOW)
    ntk = theory.correction(problem, times=TIMES, **args)
    standard = theory.correction(problem, times=TIMES / 30, parametrization="standard", **args)
    np.testing.assert_allclose(standard.risk, ntk.risk, rtol=1e-8)


def test_predict_adds_it():
    problem = rfm.power_law(1.5, 1.25, 300, noise_var=0.1)
    args = dict(num_features=30, num_samples=60, optimizer=FLOW, times=TIMES)
    leading, added = theory.predict(problem, **args), theory.correction(problem, **args)
    both = theory.predict(problem, correction=True, **args)
    np.testing.assert_allclose(both.risk, leading.risk + added.risk, rtol=SAME_SUMS)
    np.testing.assert_allclose(both.train_loss, leading.train_loss + added.train_loss, rtol=SAME_SUMS)
    assert both.converged


def test_what_has_no_next_order_is_refused():
    problem = rfm.power_law(1.5, 1.25, 300)
    args = dict(num_features=30, num_samples=60, times=TIMES)
    with pytest.raises(ValueError, match=r"`optimizer` must be a full-batch algorithm"):
        theory.correction(problem, num_features=30, num_samples=np.inf, optimizer=rfm.SGD(0.1, 4), times=[1, 2])
    with pytest.raises(ValueError, match=r"`lr` must be"):
        theory.correction(problem, num_features=30, num_samples=60, optimizer=rfm.GradientDescent(5.0), times=[1, 2])
    with pytest.raises(ValueError, match=r"`correction` must be False for ensemble or bags"):
        theory.predict(problem, optimizer=FLOW, ensemble=2, correction=True, **args)
    with pytest.raises(ValueError, match=r"`correction` must be True or False"):
        theory.predict(problem, optimizer=FLOW, correction=1, **args)


def corrected_scores(problem, optimizer, times, seeds, **sizes):
    """(simulation - theory)/standard error of risk and training loss, for the leading theory and the corrected one."""
    run = rfm.simulate(
        problem, **sizes, optimizer=optimizer, times=times, keys=jax.random.split(jax.random.key(0), seeds)
    )
    scores = []
    for correction in (False, True):
        curve = theory.predict(problem, **sizes, optimizer=optimizer, times=times, correction=correction)
        scores.append([(run.mean(x) - getattr(curve, x)) / run.stderr(x) for x in ("risk", "train_loss")])
    return np.array(scores)


@pytest.mark.parametrize(("n", "p", "noise"), [(20, 40, 0.1), pytest.param(40, 20, 0.1, marks=pytest.mark.slow)])
def test_against_simulation(n, p, noise):
    """4,000 draws at small sizes: the sum is right within 4 standard errors, the leading theory is not."""
    problem = rfm.power_law(1.5, 1.25, 200, noise_var=noise)
    times = np.array([0.3, 1.0, 3.0, 30.0])
    leading, corrected = corrected_scores(problem, FLOW, times, 4000, num_features=n, num_samples=p)
    assert np.abs(leading).max() > 5
    assert np.abs(corrected).max() < 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("optimizer", "times"),
    [
        (FLOW, [1.0, 10.0, 1e3]),
        (rfm.GradientDescent(0.5), [2, 20, 1000]),
        (rfm.HeavyBall(0.2, momentum=0.8), [2, 20, 1000]),
        (rfm.Nesterov(0.2, momentum=0.8), [2, 20, 1000]),
        (rfm.Ridge(0.01), None),
    ],
    ids=lambda x: type(x).__name__,
)
def test_twenty_thousand_draws(optimizer, times):
    """Mean within 3 standard errors, standard deviation within 3 %; a divisor N - 1 and 2 % of noise are seen."""
    problem = rfm.power_law(1.5, 1.25, 200, noise_var=1.0)
    args = dict(num_features=100, num_samples=200, optimizer=optimizer, times=times)
    run = rfm.exact(problem, keys=jax.random.split(jax.random.key(3), 20_000), **args)  # steps would take an hour

    def z(problem, **sizes):
        risk = theory.predict(problem, correction=True, **args | sizes).risk
        return np.abs(run.mean() - risk) / (3 * run.stderr() + 3 / 100**2 * risk)

    found = theory.scatter(problem, **args)
    np.testing.assert_allclose(run.mean(), found.mean, rtol=2e-3 + 3 * np.max(run.stderr() / run.mean()))
    np.testing.assert_allclose(np.asarray(run.risk).std(0), found.std, rtol=0.03)
    assert z(problem).max() < 1
    # features of variance 1/(N - 1): the same power, learned faster
    faster = rfm.Problem(problem.eigenvalues * 100 / 99, problem.target * np.sqrt(0.99), 1.0)
    assert max(z(faster).max(), z(problem, num_features=99).max()) > 1  # a ridge hardly sees the clock
    assert z(dataclasses.replace(problem, noise_var=1.02)).max() > 1
