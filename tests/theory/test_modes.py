"""Moments of single modes, and what follows from them, against plain linear algebra on draws and against limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FIXED_POINT

import rfm
import theory
from theory.mode_panels import panels_of

M, DRAWS, NOISE_VAR = 100, 300, 0.1
PROBLEM = rfm.power_law(1.5, 1.25, M, NOISE_VAR)
LAMBDA, W = PROBLEM.eigenvalues, PROBLEM.target
SETTINGS = [(40, 60, 30.0), (80, 50, 10.0), (60, 60, 300.0)]  # N, P, t
REVERSED = LAMBDA[::-1].copy()
OTHER = W * np.where(np.arange(M) % 2, 1.3, 0.5)


def flow(t):
    return lambda z: -np.expm1(-z * t) / z


def ridge(r):
    return lambda z: 1.0 / (z + r)


def fits(rng, target, sizes, response, noise_var=NOISE_VAR):
    """Coefficients (D, M) of models trained on labels of targets (D, M), all drawn anew."""
    n, p = sizes
    f = rng.standard_normal((DRAWS, n, M)) / np.sqrt(n)
    x = rng.standard_normal((DRAWS, p, M)) * np.sqrt(LAMBDA)
    labels = x @ np.broadcast_to(target, (DRAWS, M))[..., None]
    labels += np.sqrt(noise_var) * rng.standard_normal(labels.shape)
    phi = x @ f.swapaxes(1, 2)
    z, basis = np.linalg.eigh(phi.swapaxes(1, 2) @ phi / p)
    z = np.maximum(z, 1e-14)[..., None]
    back = basis.swapaxes(1, 2)
    return (f.swapaxes(1, 2) @ (basis @ (response(z) * (back @ (phi.swapaxes(1, 2) @ labels / p)))))[..., 0]


def args(setting):
    n, p, t = setting
    return dict(num_features=n, num_samples=p, optimizer=rfm.GradientFlow(), times=[t])


def deviates(draws, theory_value, n):
    """How far the mean of draws (D, ...) is from theory, in three standard errors and two parts in N together."""
    error = draws.std(0, ddof=1) / np.sqrt(len(draws))
    return np.max(np.abs(draws.mean(0) - theory_value) / (3.0 * error + 2.0 / n * np.abs(theory_value)))


@pytest.fixture(scope="module", params=SETTINGS, ids=str)
def drawn(request):
    """A setting and the coefficients (D, M) of its models."""
    n, p, t = request.param
    return request.param, fits(np.random.default_rng(n), W, (n, p), flow(t))


def test_moments_of_plain_draws(drawn):
    """Share and scatter, and that of half as many features is refused."""
    setting, coefficients = drawn
    modes = theory.modes(PROBLEM, **args(setting), modes=[1, 2, 5, 20])
    share = (coefficients / W)[:, [0, 1, 4, 19]]
    n = setting[0]
    assert deviates(share, modes.learned[0], n) < 1.0
    spread = (share - share.mean(0)) ** 2 * DRAWS / (DRAWS - 1)
    assert deviates(spread, modes.scatter[0] ** 2, n / 2) < 1.0  # squares of what is off by 1/N, and more so late
    wrong = theory.modes(PROBLEM, **args((n // 3, *setting[1:])), modes=[1, 2, 5, 20])
    assert deviates(spread, wrong.scatter[0] ** 2, n / 4) > 1.0


@pytest.mark.parametrize("rows", [None, ([0.5, 1.5], [0.8, 1.2], [0.5, 0.5])], ids=["equal", "unequal"])
def test_scatter_of_one_step(rows):
    """Against Wishart's moments of one step of gradient descent, exact; without what a mode does to itself refused."""
    tau, share, part = (np.ones(1),) * 3 if rows is None else (np.array(x) for x in rows)
    mixture = None if rows is None else rfm.problem.ScaleMixture(*rows)
    problem, lr = rfm.Problem(LAMBDA, W, NOISE_VAR, mixture=mixture), 0.05
    gaps = []
    for n, p in ((1000, 2000), (2000, 4000)):
        second, noisy = (part @ tau**2) / p, (part @ (tau * share)) / p
        # E of squares of C w, C the covariance of the rows, and of the noise; then of F^T F times it
        square = (LAMBDA * W) ** 2 * (1.0 + second) + LAMBDA * (LAMBDA @ W**2 * second + NOISE_VAR * noisy)
        exact = (1.0 + 1.0 / n) * square + square.sum() / n - (LAMBDA * W) ** 2
        args = dict(num_features=n, num_samples=p, optimizer=rfm.GradientDescent(lr), times=[1])
        modes = theory.modes(problem, **args)
        gaps.append(np.max(np.abs((modes.scatter[0] * W / lr) ** 2 / exact - 1.0)))
    assert gaps[0] < 4.0 / 1000
    assert gaps[1] < 0.55 * gaps[0]
    alone = (modes.risk[0] - LAMBDA * (W * (1.0 - modes.learned[0])) ** 2) / (lr**2 * LAMBDA)
    assert np.max(np.abs(alone / exact - 1.0)) > 0.3


def test_shift_of_plain_draws(drawn):
    setting, coefficients = drawn
    there = theory.shifted(PROBLEM, **args(setting), test_eigenvalues=REVERSED)
    assert deviates((W - coefficients) ** 2 @ REVERSED, there.risk[0], setting[0]) < 1.0
    aimed = theory.shifted(PROBLEM, **args(setting), test_target=OTHER)
    assert deviates((OTHER - coefficients) ** 2 @ LAMBDA, aimed.risk[0], setting[0]) < 1.0
    both = theory.shifted(PROBLEM, **args(setting), test_target=OTHER, test_eigenvalues=REVERSED)
    assert deviates((OTHER - coefficients) ** 2 @ REVERSED, both.risk[0], setting[0]) < 1.0
    # without a scatter of the modes the risk is too low
    bias = REVERSED @ (W * (1.0 - theory.learned(PROBLEM, **args(setting))[0])) ** 2
    assert deviates((W - coefficients) ** 2 @ REVERSED, bias, setting[0]) > 1.0


def test_student_of_plain_draws(drawn):
    setting, coefficients = drawn
    _, p, t = setting
    teacher = args(setting) | dict(times=t)
    strong = fits(np.random.default_rng(p), coefficients, (70, 90), ridge(0.02), 0.0)
    known = dict(num_features=70, num_samples=90, optimizer=rfm.Ridge(0.02))
    told = theory.student(PROBLEM, teacher=teacher, **known, noise_var=0.0).risk[0]
    risk = (W - strong) ** 2 @ LAMBDA
    assert deviates(risk, told, 60) < 1.0
    assert deviates(risk, theory.predict(PROBLEM, **known).risk[0], 60) > 1.0  # true labels


def test_generations_of_plain_draws(drawn):
    """Four of them, the last within the 1/N of four; generations that learn from the first are refused."""
    setting, first = drawn
    n, p, t = setting
    rng, coefficients, risks = np.random.default_rng(5), first, [(W - first) ** 2 @ LAMBDA]
    for _ in range(3):
        coefficients = fits(rng, coefficients, (n, p), flow(t))
        risks.append((W - coefficients) ** 2 @ LAMBDA)
    chain = theory.generations(PROBLEM, 4, **args(setting))
    assert chain.risk.shape == (4, 1)
    assert deviates(np.array(risks).T, chain.risk[:, 0], n) < 1.0
    assert deviates(risks[3], chain.risk[1, 0], n) > 1.0


@pytest.mark.parametrize(
    "optimizer", [rfm.GradientFlow(), rfm.HeavyBall(0.1, 0.8), rfm.Ridge(0.1), rfm.Ridge(0.0)], ids=str
)
@pytest.mark.parametrize(("n", "p"), [(40, 60), (60, 40), (np.inf, 40), (40, np.inf)])
def test_modes_sum_to_the_risk(optimizer, n, p):
    times = None if isinstance(optimizer, rfm.Ridge) else [0, 1, 30, 1000]
    sizes = dict(num_features=n, num_samples=p, optimizer=optimizer, times=times)
    modes, risk = theory.modes(PROBLEM, **sizes), theory.predict(PROBLEM, **sizes).risk
    np.testing.assert_allclose(modes.risk.sum(1), risk, rtol=FIXED_POINT)
    np.testing.assert_allclose(modes.learned, theory.learned(PROBLEM, **sizes), rtol=FIXED_POINT, atol=1e-12)
    assert modes.converged


def test_limits():
    """No shift, a teacher that is the truth, one generation, and rows of unequal size: functions that there were."""
    rows = rfm.Problem(LAMBDA, W, NOISE_VAR, mixture=rfm.problem.ScaleMixture([0.5, 1.5], [0.8, 1.2], [0.5, 0.5]))
    for problem in (PROBLEM, rows, rfm.power_law(1.5, 1.25, 5000, NOISE_VAR)):
        sizes = dict(num_features=40, num_samples=60, optimizer=rfm.GradientFlow(), times=[0.0, 1.0, 100.0])
        known = theory.predict(problem, **sizes)
        truth = dict(num_features=np.inf, num_samples=np.inf, optimizer=rfm.Ridge(0.0))
        curves = [theory.shifted(problem, **sizes), theory.student(problem, teacher=truth, **sizes)]
        for curve in curves:
            np.testing.assert_allclose(curve.risk, known.risk, rtol=FIXED_POINT)
            np.testing.assert_allclose(curve.train_loss, known.train_loss, rtol=FIXED_POINT)
        np.testing.assert_allclose(theory.generations(problem, 2, **sizes).risk[0], known.risk, rtol=FIXED_POINT)
    endless = sizes | dict(num_features=np.inf, num_samples=1e15)
    modes = theory.modes(PROBLEM, **endless)
    np.testing.assert_allclose(modes.scatter, 0.0, atol=1e-6)
    np.testing.assert_allclose(modes.learned[1], -np.expm1(-LAMBDA), rtol=1e-6)
    # a student of itself, of a standard parametrization, whose clock is N t
    fast = dict(num_features=30, num_samples=50, optimizer=rfm.GradientFlow(), times=[2.0 / 30])
    slow = fast | dict(times=[2.0])
    chain = theory.generations(PROBLEM, 2, **slow).risk[1]
    for teacher in (slow, fast | dict(parametrization="standard")):
        np.testing.assert_allclose(theory.student(PROBLEM, teacher=teacher, **slow).risk, chain, rtol=FIXED_POINT)
    other = theory.student(PROBLEM, teacher=slow, **fast, parametrization="standard")
    np.testing.assert_allclose(other.risk, chain, rtol=FIXED_POINT)


@pytest.mark.parametrize(
    "optimizer",
    [rfm.GradientFlow(), rfm.GradientDescent(1.2), rfm.HeavyBall(0.3, 0.9), rfm.Preconditioned(0.5, 0.1)],
    ids=str,
)
def test_generations_of_many_times(optimizer):
    """Contours of few nodes for neighbouring times: the first generation is predicted by one for all of them."""
    for n, p in ((40, 60), (50, 50), (np.inf, 30)):
        sizes = dict(num_features=n, num_samples=p, optimizer=optimizer, times=[0, 1, 2, 7, 30, 1000, 10**6])
        chain = theory.generations(PROBLEM, 2, **sizes)
        np.testing.assert_allclose(chain.risk[0], theory.predict(PROBLEM, **sizes).risk, rtol=FIXED_POINT)
        ends = theory.student(PROBLEM, teacher=sizes | dict(times=[30]), **sizes)  # the second, at the same time
        np.testing.assert_allclose(chain.risk[1, 4], ends.risk[4], rtol=FIXED_POINT)
        assert abs(chain.risk[1, 4] / chain.risk[0, 4] - 1.0) > 1e-3
        assert chain.converged


def test_many_modes_are_summed_by_panels():
    """All of 3,000 modes, and a shift of them, against each by itself; steps that oscillate take every mode."""
    problem = rfm.power_law(1.5, 1.25, 3000, NOISE_VAR)
    eigenvalues, target = problem.spectrum()
    test, aim = eigenvalues * (1.0 + np.sin(np.arange(3000))), target * np.where(np.arange(3000) % 2, 1.3, 0.5)
    for optimizer in (rfm.GradientFlow(), rfm.Ridge(0.01)):
        times = None if isinstance(optimizer, rfm.Ridge) else [0.5, 1e3]
        sizes = dict(num_features=40, num_samples=60, optimizer=optimizer, times=times)
        modes = theory.modes(problem, **sizes, modes=np.arange(1, 3001))
        every = theory.modes(problem, **sizes)
        np.testing.assert_allclose(every.learned, modes.learned, rtol=FIXED_POINT)
        np.testing.assert_allclose(every.scatter, modes.scatter, rtol=FIXED_POINT)
        variance = modes.risk / eigenvalues - (target * (1.0 - modes.learned)) ** 2
        known = ((aim - target * modes.learned) ** 2 + variance) @ test
        risk = theory.shifted(problem, **sizes, test_eigenvalues=test, test_target=aim).risk
        np.testing.assert_allclose(risk, known, rtol=FIXED_POINT)
    assert len(panels_of(eigenvalues, smooth=True).eigenvalues) < 300
    assert len(panels_of(eigenvalues, smooth=False).eigenvalues) == 3000


def test_infinitely_many_modes():
    """Compressed modes are those of a long list, also for what a teacher leaves of them."""
    sizes = dict(num_features=40, num_samples=60, optimizer=rfm.GradientFlow(), times=[1.0, 1e3])
    many, all_of_them = rfm.power_law(1.5, 1.25, 4000, NOISE_VAR), rfm.power_law(1.5, 1.25, 4000, NOISE_VAR)
    listed = rfm.Problem(*all_of_them.spectrum(), NOISE_VAR)
    teacher = dict(num_features=20, num_samples=30, optimizer=rfm.Ridge(0.1))
    compressed, whole = (theory.student(x, teacher=teacher, **sizes).risk for x in (many, listed))
    np.testing.assert_allclose(compressed, whole, rtol=FIXED_POINT)
    np.testing.assert_allclose(
        theory.generations(many, 3, **sizes).risk, theory.generations(listed, 3, **sizes).risk, rtol=FIXED_POINT
    )
    assert theory.generations(rfm.power_law(1.5, 1.25, None), 3, **sizes).risk.shape == (3, 2)


@pytest.mark.slow
def test_transformations():
    """Compiled, mapped and differentiated in the model size."""
    sizes = dict(num_samples=60, optimizer=rfm.GradientFlow(), times=[1.0, 100.0])
    for value in (
        lambda n: theory.modes(PROBLEM, num_features=n, **sizes, modes=[1, 5]).scatter,
        lambda n: theory.shifted(PROBLEM, num_features=n, **sizes, test_eigenvalues=REVERSED).risk,
        lambda n: theory.generations(PROBLEM, 2, num_features=n, **sizes).risk,
        lambda n: (
            theory.student(
                PROBLEM,
                teacher=dict(num_features=20, num_samples=30, optimizer=rfm.Ridge(0.1)),
                num_features=n,
                **sizes,
            ).risk
        ),
    ):
        mapped = jax.vmap(value)(jnp.array([20.0, 40.0]))
        np.testing.assert_allclose(mapped, np.stack([value(20.0), value(40.0)]), rtol=1e-9)
        slope = jax.jacfwd(value)(40.0)
        np.testing.assert_allclose(slope, (value(40.01) - value(39.99)) / 0.02, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(
    ("call", "argument", "change"),
    [
        (theory.modes, "modes", dict(modes=[101])),
        (theory.modes, "optimizer", dict(optimizer=rfm.SGD(0.1, 2), times=[1], num_samples=np.inf)),
        (theory.shifted, "test_eigenvalues", dict(test_eigenvalues=[1.0, 2.0])),
        (theory.shifted, "test_eigenvalues", dict(test_eigenvalues=-LAMBDA)),
        (theory.shifted, "test_target", dict(test_target=W[:-1])),
        (theory.shifted, "test_target", dict(test_target=W * np.nan)),
        (theory.shifted, "lr", dict(optimizer=rfm.GradientDescent(50.0), times=[1])),
        (theory.student, "features", dict(teacher=args(SETTINGS[0]), features="shared")),
        (theory.student, "teacher", dict(teacher={"num_features": 3})),
        (theory.student, "teacher", dict(teacher=args(SETTINGS[0]) | dict(times=[1.0, 2.0]))),
        (theory.student, "teacher", dict(teacher=args(SETTINGS[0]) | dict(keys=1))),
        (theory.student, "noise_var", dict(teacher=args(SETTINGS[0]), noise_var=-1.0)),
        (theory.generations, "n", dict(n=0)),
        (theory.generations, "n", dict(n=1.5)),
        (theory.generations, "noise_var", dict(n=2, noise_var=-1.0)),
    ],
)
def test_refused(call, argument, change):
    with pytest.raises(ValueError, match=f"Argument `{argument}` must be"):
        call(PROBLEM, **args(SETTINGS[0]) | change)
