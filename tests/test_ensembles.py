"""Averages of models: by hand from the same draws, theory within error, closed forms of a white spectrum."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from draws import data_chunk, draw, feature_chunk, member_keys
from problems import INF

import rfm
import theory
from rfm.engine.features import Setting

PROBLEM = rfm.power_law(1.8, 1.5, 60, noise_var=0.1)
KEYS = jax.random.split(jax.random.key(21), 120)
STEPS = np.array([1, 5, 30, 300])
ROWS = {
    "flow": (rfm.GradientFlow(), np.array([0.5, 5.0, 30.0, 300.0]), 45),
    "descent": (rfm.GradientDescent(0.4), STEPS, 45),
    "ridge": (rfm.Ridge(0.02), None, 45),
    "one pass": (rfm.SGD(0.2, 2), STEPS, INF),
}
each_row = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
WIDTH = 30


def simulate(row, keys=KEYS, **kwargs):
    spec, times, p = row
    return rfm.simulate(PROBLEM, num_features=WIDTH, num_samples=p, optimizer=spec, times=times, keys=keys, **kwargs)


def predict(row, **kwargs):
    spec, times, p = row
    return theory.predict(PROBLEM, num_features=WIDTH, num_samples=p, optimizer=spec, times=times, **kwargs)


def misses(found, expected, allowance):
    """|mean - theory| of the risk, in units of four standard errors and the finite-size bias."""
    gap = np.abs(found.mean() - expected.risk)
    return np.max(gap / (4 * found.stderr() + allowance * expected.risk))


@pytest.mark.parametrize(
    ("name", "ensemble", "bags"),
    [
        ("flow", 16, 1),
        pytest.param("descent", 2, 3, marks=pytest.mark.slow),
        ("ridge", 4, 2),
        pytest.param("one pass", 4, 1, marks=pytest.mark.slow),
    ],
)
def test_theory_within_error(name, ensemble, bags):
    """Allowance 1/N; the theory of one model, or of other bags, fails the same test."""
    row, many = ROWS[name], dict(ensemble=ensemble, bags=bags)
    found, expected = simulate(row, **many), predict(row, **many)
    assert expected.converged
    assert misses(found, expected, 1 / WIDTH) < 1
    assert misses(found, predict(row), 1 / WIDTH) > 1.5
    np.testing.assert_allclose(expected.train_loss, predict(row).train_loss, rtol=1e-12)


@each_row
def test_ensemble_of_one(row):
    """The plain run."""
    plain, one = simulate(row, KEYS[:16]), simulate(row, KEYS[:16], ensemble=1, bags=1)
    np.testing.assert_array_equal(plain.risk, one.risk)
    np.testing.assert_array_equal(predict(row).risk, predict(row, ensemble=1, bags=1).risk)


@jax.jit
def design(names):
    """F (N, M), Psi (P, M), labels (P,) of one model, drawn as the library draws them."""
    setting = Setting(WIDTH, 45, "ntk")
    f = feature_chunk(PROBLEM, setting, names.features, 0)[0]
    psi = data_chunk(PROBLEM, setting, names.data, 0)[0]
    return f, psi, draw(PROBLEM, setting, names).labels


@pytest.mark.parametrize("name", [pytest.param("descent", marks=pytest.mark.slow), "ridge"])
def test_average_of_models_by_hand(name):
    """Each model trained in numpy; the risk of their average, and the average of their training losses."""
    row, ensemble, bags = ROWS[name], 4, 2
    found = simulate(row, KEYS[:16], ensemble=ensemble, bags=bags)
    members = member_keys(KEYS[:1], ensemble, bags)
    each = [jax.tree.map(lambda x, i=i: x[i], members) for i in range(ensemble * bags)]
    models = [[np.asarray(x) for x in design(names)] for names in each]
    assert len({f[0, 0] for f, _, _ in models}) == ensemble
    assert len({psi[0, 0] for _, psi, _ in models}) == bags
    lam, w = PROBLEM.eigenvalues, PROBLEM.target
    mean, losses = 0.0, []
    for f, psi, y in models:
        phi = psi @ f.T  # (P, N)
        gram, moment = phi.T @ phi / 45, phi.T @ y / 45
        if name == "ridge":
            path = [np.linalg.solve(gram + 0.02 * np.eye(WIDTH), moment)]
        else:
            v, path = np.zeros(WIDTH), []
            for step in range(STEPS[-1] + 1):
                if step in STEPS:
                    path.append(v)
                v = v - 0.4 * (gram @ v - moment)
        mean = mean + np.array(path) @ f / len(models)
        losses.append(np.mean((np.array(path) @ phi.T - y) ** 2, axis=1))
    np.testing.assert_allclose(found.risk[0], (w - mean) ** 2 @ lam, rtol=1e-10)
    np.testing.assert_allclose(found.train_loss[0], np.mean(losses, axis=0), rtol=1e-10)


# ---- white spectrum, t = infinity


@pytest.mark.parametrize(("nu", "alpha"), [(0.25, 2.0), (0.6, 0.9), (0.8, 0.3)])
def test_closed_forms(nu, alpha):
    """One model, an infinite ensemble, and 1/K of the way between them."""
    one, many = oracles.white_two_sided_limit(nu, alpha)
    risk = lambda k: theory.predict(  # noqa: E731
        rfm.white(100), num_features=100 * nu, num_samples=100 * alpha, optimizer=rfm.Ridge(0.0), ensemble=k
    ).risk[0]
    for k in (1, 2, 50, INF):
        np.testing.assert_allclose(risk(k) / 100, many + (one - many) / k, rtol=1e-8)


def test_infinite_ensemble_has_no_peak():
    """At nu = alpha one model is infinitely bad, infinitely many leave 1 - alpha."""
    args = dict(num_features=50, num_samples=50, optimizer=rfm.Ridge(0.0))
    assert np.isposinf(theory.predict(rfm.white(200), **args).risk[0])
    np.testing.assert_allclose(theory.predict(rfm.white(200), **args, ensemble=INF).risk[0] / 200, 0.75, rtol=1e-10)


def test_values_of_closed_forms():
    """N/M = 1/4 and P/M = 2: 6/7, and 0.586 for fifty models; one and sixteen are simulated at M = 60."""
    one, many = oracles.white_two_sided_limit(0.25, 2.0)
    np.testing.assert_allclose([one, many + (one - many) / 50], [6 / 7, 0.586], rtol=1e-3)
    keys = jax.random.split(jax.random.key(4), 40)
    sizes = dict(num_features=15, num_samples=120, optimizer=rfm.Ridge(0.0), keys=keys)
    for k in (1, 16):  # as above, whose programs serve here
        found = rfm.exact(rfm.white(60), ensemble=k, **sizes)
        expected = 60 * (many + (one - many) / k)
        assert abs(found.mean()[0] - expected) < 4 * found.stderr()[0] + expected / 100


# ---- decomposition


def residuals(F, Psi, noise, lr, steps):
    """w - F^T v after `steps` of training, of R designs at once: (R, M)."""
    phi = Psi @ F.swapaxes(1, 2)  # (R, P, N)
    y = Psi @ PROBLEM.target + noise  # (R, P)
    v = np.zeros((len(F), F.shape[1]))
    gram = phi.swapaxes(1, 2) @ phi / Psi.shape[1]
    moment = np.einsum("rpn,rp->rn", phi, y) / Psi.shape[1]
    for _ in range(steps):
        v = v - lr * (np.einsum("rmn,rn->rm", gram, v) - moment)
    return PROBLEM.target - np.einsum("rn,rnm->rm", v, F)


@pytest.mark.parametrize("steps", [8, 60])
def test_decomposition_against_two_by_two_designs(steps):
    """Two feature draws times two data sets, 800 times, clean and noisy: products of residuals estimate every part."""
    rng, reps, n, p, lam, lr = np.random.default_rng(3), 800, 30, 45, PROBLEM.eigenvalues, 0.5
    F = rng.standard_normal((2, reps, n, 60)) / np.sqrt(n)
    Psi = rng.standard_normal((2, reps, p, 60)) * np.sqrt(lam)
    noise = np.sqrt(0.1) * rng.standard_normal((2, reps, p))
    clean, noisy = (
        [[residuals(F[i], Psi[j], s * noise[j], lr, steps) for j in (0, 1)] for i in (0, 1)] for s in (0, 1)
    )

    def product(r, pairs):
        return np.mean([(r[i][j] * r[k][m]) @ lam for (i, j), (k, m) in pairs], axis=0)  # (R,)

    cells = [(0, 0), (0, 1), (1, 0), (1, 1)]
    own = [(c, c) for c in cells]
    apart = product(clean, [((0, 0), (1, 1)), ((0, 1), (1, 0))])
    one_data = product(clean, [((0, 0), (1, 0)), ((0, 1), (1, 1))])
    one_features = product(clean, [((0, 0), (0, 1)), ((1, 0), (1, 1))])
    whole = product(clean, own)
    parts = {
        "bias": apart,
        "features": one_features - apart,
        "data": one_data - apart,
        "interaction": whole - one_data - one_features + apart,
        "noise": product(noisy, own) - whole,
        "risk": product(noisy, own),
    }
    found = theory.decompose(
        PROBLEM, num_features=n, num_samples=p, optimizer=rfm.GradientDescent(lr), times=np.array([steps])
    )
    total = found.bias + found.features + found.data + found.interaction + found.noise
    np.testing.assert_allclose(total, found.risk, rtol=1e-12)
    for name, sample in parts.items():
        expected, error = getattr(found, name)[0], sample.std() / np.sqrt(reps)
        assert abs(sample.mean() - expected) < 4 * error + found.risk[0] / n


def test_parts_that_vanish():
    """No variance over features where N is infinite, over data where P is, and no noise part without noise."""
    arguments = dict(optimizer=rfm.GradientDescent(0.4), times=STEPS)
    wide = theory.decompose(PROBLEM, num_features=INF, num_samples=45, **arguments)
    online = theory.decompose(PROBLEM, num_features=30, num_samples=INF, **arguments)
    for part in (wide.features, wide.interaction, online.data, online.interaction, online.noise):
        np.testing.assert_allclose(part, 0, atol=1e-11)
    clean = theory.decompose(rfm.power_law(1.8, 1.5, 60), num_features=30, num_samples=45, **arguments)
    np.testing.assert_allclose(clean.noise, 0, atol=1e-11)
    assert np.all(jnp.stack([wide.data, online.features]) > 0)
