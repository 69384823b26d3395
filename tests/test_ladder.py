"""The agreement ladder: steps taken = solved exactly (same draw) = theory (averaged over draws), to within 1/N."""

from functools import lru_cache, partial

import jax
import numpy as np
import pytest
from draws import data_chunk, draw, feature_chunk, keys_of
from problems import INF

import rfm
import theory
from rfm.engine.features import Setting, num_chunks

KEYS = jax.random.split(jax.random.key(7), 3)
STEPS = np.array([0, 1, 2, 10, 117, 1000])
SIZES = [(20, 35), (35, 20), (INF, 20), (20, INF)]
PROBLEM = rfm.power_law(1.8, 1.5, 1500, noise_var=0.1)  # M spans two chunks of the stream
all_sizes = pytest.mark.parametrize(("num_features", "num_samples"), SIZES)


def both(problem, optimizer, times=None, keys=KEYS, **kwargs):
    return [f(problem, optimizer=optimizer, times=times, keys=keys, **kwargs) for f in (rfm.simulate, rfm.exact)]


def assert_same(left, right, rtol):
    """Relative above rounding of the start, which is about 2 in every problem here."""
    for name in ("risk", "train_loss"):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), rtol=rtol, atol=1e-13, err_msg=name)


# ---- rung 1: the same draw


@all_sizes
@pytest.mark.parametrize("lr", [0.3, 0.9])
def test_steps_against_eigendecomposition(num_features, num_samples, lr):
    sizes = dict(num_features=num_features, num_samples=num_samples)
    taken, solved = both(PROBLEM, rfm.GradientDescent(lr), STEPS, **sizes)
    assert taken.kind == "Monte Carlo"
    assert solved.kind == "exact given the draw"
    assert_same(taken, solved, rtol=1e-12)


@all_sizes
@pytest.mark.parametrize("ridge", [1e-4, 0.1])
def test_normal_equations_against_eigendecomposition(num_features, num_samples, ridge):
    taken, solved = both(PROBLEM, rfm.Ridge(ridge), num_features=num_features, num_samples=num_samples)
    assert_same(taken, solved, rtol=1e-12)


@pytest.mark.parametrize("sizes", [*SIZES, (INF, 90)], ids=str)
def test_least_squares_without_ridge(sizes):
    """Where weights are not unique both must give the limit of gradient flow, hence of small ridge."""
    problem = PROBLEM if sizes in SIZES else rfm.power_law(1.8, 1.5, 60, noise_var=0.1)  # P > M
    taken, solved = both(problem, rfm.Ridge(0.0), num_features=sizes[0], num_samples=sizes[1])
    near = rfm.exact(problem, optimizer=rfm.Ridge(1e-10), keys=KEYS, num_features=sizes[0], num_samples=sizes[1])
    np.testing.assert_allclose(solved.risk, near.risk, rtol=1e-4, atol=1e-13)
    assert_same(taken, solved, rtol=1e-11)


def test_standard_parametrization_against_eigendecomposition():
    """Weights of variance 1: the same draw as in the other parametrization, its clock N times faster."""
    sizes = dict(num_features=20, num_samples=35)
    taken, solved = both(PROBLEM, rfm.GradientDescent(0.9 / 20), STEPS, **sizes, parametrization="standard")
    assert_same(taken, solved, rtol=1e-12)
    ntk = rfm.exact(PROBLEM, optimizer=rfm.GradientDescent(0.9), times=STEPS, keys=KEYS, **sizes)
    assert_same(solved, ntk, rtol=1e-12)


def modes(problem):
    """Eigenvalues and target (M,) of the exponents that all problems here have."""
    k = np.arange(1.0, problem.num_modes + 1)
    return k**-1.5, k**-0.15


@partial(jax.jit, static_argnums=1)
def chunks_of(problem, setting, key):
    """F (N, c) and Psi (P, c) of two chunks of modes, and labels (P,), as the library draws them."""
    model = keys_of(key)
    one = lambda i: (  # noqa: E731
        feature_chunk(problem, setting, model.features, i)[0],
        data_chunk(problem, setting, model.data, i)[0],
    )
    return *jax.lax.map(one, np.arange(2)), draw(problem, setting, model).labels


def arrays_of(problem, setting, key):
    """F (N, M), Psi (P, M) and label noise (P,) of a draw, put together from the stream of chunks."""
    assert num_chunks(problem) == 2
    f, psi, labels = (np.asarray(x) for x in chunks_of(problem, setting, key))
    f, psi = (np.concatenate(list(x), axis=1)[:, : problem.num_modes] for x in (f, psi))
    return f, psi, labels - psi @ modes(problem)[1]


@pytest.mark.parametrize(("sizes", "parametrization"), [((20, 35), "standard"), ((35, 20), "ntk")])
def test_exact_against_training_by_hand(sizes, parametrization):
    """Literal numpy steps on the drawn arrays."""
    setting = Setting(*sizes, parametrization)
    lr = 0.5 if parametrization == "ntk" else 0.5 / sizes[0]
    curve = rfm.exact(
        PROBLEM, num_features=sizes[0], num_samples=sizes[1], optimizer=rfm.GradientDescent(lr), times=STEPS,
        keys=KEYS, parametrization=parametrization,
    )  # fmt: skip
    f, psi, noise = arrays_of(PROBLEM, setting, KEYS[0])
    lam, w = modes(PROBLEM)
    v, labels = np.zeros(sizes[0]), psi @ w + noise
    features = psi @ f.T  # (P, N)
    risk, loss = [], []
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            risk.append(np.sum(lam * (w - f.T @ v) ** 2))
            loss.append(np.mean((features @ v - labels) ** 2))
        v = v - lr * features.T @ (features @ v - labels) / sizes[1]
    np.testing.assert_allclose(curve.risk[0], risk, rtol=1e-12)
    np.testing.assert_allclose(curve.train_loss[0], loss, rtol=1e-10, atol=1e-13)


def test_draws_have_the_stated_moments():
    """Variances of F, Psi and the noise, and independence of the three named keys and of the chunks."""
    problem, n, p = rfm.power_law(1.8, 1.5, 2048, noise_var=0.3), 200, 300
    f, psi, noise = arrays_of(problem, Setting(n, p, "ntk"), KEYS[0])
    z = psi / np.sqrt(np.arange(1.0, 2049) ** -1.5)
    assert abs(n * np.mean(f**2) - 1) < 5 * np.sqrt(2 / f.size)
    assert abs(np.mean(z**2) - 1) < 5 * np.sqrt(2 / z.size)
    assert abs(np.mean(noise**2) / 0.3 - 1) < 5 * np.sqrt(2 / p)
    for a, b in ((np.sqrt(n) * f, z[:n]), (z[:, :1024], z[:, 1024:]), (z[:, :1], noise[:, None] / np.sqrt(0.3))):
        assert abs(np.mean(a * b)) < 5 / np.sqrt(a.size)
    other = arrays_of(problem, Setting(n, p, "ntk"), KEYS[1])[0]
    assert abs(n * np.mean(f * other)) < 5 / np.sqrt(f.size)


# ---- rung 2: averaged over draws

DRAWS = jax.random.split(jax.random.key(1), 400)
TIMES = np.geomspace(0.3, 1e4, 8)
ALLOWANCE = 1.0  # the theory's relative bias at finite size, times min(N, P); 0.8 is measured at early times


@lru_cache
def averaged(sizes, noise_var, ridge):
    """Mean and standard error over DRAWS of risk and training loss; ridge None: flow at TIMES."""
    problem = rfm.power_law(1.8, 1.5, 200, noise_var)
    curve = rfm.exact(problem, num_features=sizes[0], num_samples=sizes[1], keys=DRAWS, **dynamics(ridge))
    return {name: (curve.mean(name), curve.stderr(name)) for name in ("risk", "train_loss")}


def dynamics(ridge):
    return dict(optimizer=rfm.GradientFlow(), times=TIMES) if ridge is None else dict(optimizer=rfm.Ridge(ridge))


def misses(sizes, noise_var, ridge=None, claimed=None, claimed_sizes=None):
    """|mean - theory| in units of what is allowed: four standard errors and the finite-size bias."""
    claimed = claimed or rfm.power_law(1.8, 1.5, 200, noise_var)
    n, p = claimed_sizes or sizes
    expected = theory.predict(claimed, num_features=n, num_samples=p, **dynamics(ridge))
    out = []
    for name, (mean, stderr) in averaged(sizes, noise_var, ridge).items():
        value = getattr(expected, name)
        # a vanishing training loss is an average over rare draws: not a number that 400 draws can tell
        told = value > (0.02 * value[0] if name == "train_loss" else 0)
        out.append((np.abs(mean - value) / (4 * stderr + ALLOWANCE / min(sizes) * value))[told])
    return np.concatenate(out)


CASES = [((40, 80), 0.0), ((80, 40), 0.1), ((60, 60), 0.05), ((INF, 60), 0.1), ((60, INF), 0.0)]


@pytest.mark.parametrize(
    ("sizes", "noise_var", "ridge"),
    [*((*case, None) for case in CASES), (*CASES[1], 1e-2), pytest.param(*CASES[2], 0.1, marks=pytest.mark.slow)],
    ids=str,
)
def test_average_over_draws_against_theory(sizes, noise_var, ridge):
    assert np.max(misses(sizes, noise_var, ridge)) < 1


@pytest.mark.parametrize(("sizes", "noise_var"), CASES, ids=str)
def test_wrong_theory_fails_the_same_test(sizes, noise_var):
    """Negative control: another exponent, another N or P, no noise."""
    wrong = [dict(claimed=rfm.power_law(a, b, 200, noise_var)) for a, b in ((1.9, 1.5), (1.8, 1.6))]
    n, p = sizes
    if n <= p:
        wrong.append(dict(claimed_sizes=(1.3 * n, p)))
    if p <= n:
        wrong.append(dict(claimed_sizes=(n, 1.3 * p)))
    if noise_var:
        wrong.append(dict(claimed=rfm.power_law(1.8, 1.5, 200, 0.0)))
    for claim in wrong:
        assert np.max(misses(sizes, noise_var, **claim)) > 1.5
