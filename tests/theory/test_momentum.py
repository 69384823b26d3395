"""Heavy ball, Nesterov, weight decay and schedules: filters step by step, theory against numpy without random draws."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracles
import pytest
from one_pass_oracles import one_pass_moments
from problems import INF

import rfm
import theory
from theory.cases import Case
from theory.dynamics import MOST_NODES
from theory.evaluation import pair_nodes
from theory.filters import FILTERS

PROBLEM = rfm.power_law(1.8, 1.5, 40, noise_var=0.1)
STEPS = np.array([0, 1, 2, 7, 60, 900])  # six times wherever it does not matter, so that programs are shared
TWO_TERM = {"HeavyBall": rfm.HeavyBall, "Nesterov": rfm.Nesterov}
both = pytest.mark.parametrize("name", TWO_TERM)
MOMENTA = [0.0, 0.1, 0.5, 0.9, 0.99]
LR = 0.7
FEW = np.array([0, 1, 2, 7, 60, 200])  # where steps are followed one by one


def predict(optimizer, num_features=INF, num_samples=INF, times=STEPS, problem=PROBLEM):
    return theory.predict(problem, num_features=num_features, num_samples=num_samples, optimizer=optimizer, times=times)


def roots(name, momentum, z):
    """Both roots of the recurrence at z (n,): (2, n)."""
    trace, product = 1 + momentum - LR * z, momentum + 0 * z
    if name == "Nesterov":
        trace, product = (1 + momentum) * (1 - LR * z), momentum * (1 - LR * z)
    return np.array([np.roots([1, -a, b]) if b else [a, 0] for a, b in zip(trace, product, strict=True)]).T


# overflow on the way to a limit is an infinity, of which numpy warns and XLA does not
quiet = np.errstate(over="ignore", divide="ignore", invalid="ignore")


@both
@pytest.mark.parametrize("momentum", MOMENTA)
@quiet
def test_region_of_stability(name, momentum):
    """The right half plane goes where both roots are in the unit disc: its edge, the inside, and the real interval."""
    flt = FILTERS[name](LR, momentum)
    y = np.geomspace(1e-5, 1e5, 101)
    slant = np.array([1e-12, 0.1, 1.0, 30.0])[:, None]
    w = ((slant + 1j) * y / np.abs(slant + 1j)).ravel()
    z = flt.curvature(w)
    assert np.all(np.isfinite(z))
    assert np.max(np.abs(roots(name, momentum, z))) < 1 + 1e-10
    end = 2 * (1 + momentum) / LR if name == "HeavyBall" else 2 * (1 + momentum) / (1 + 2 * momentum) / LR
    assert np.all(np.asarray(flt.stability(np.array([1.0001 * end, 2 * end]))) <= 0)
    # the end of the interval is where a real curvature stops being stable
    assert np.max(np.abs(roots(name, momentum, np.array([0.9999 * end])))) < 1
    assert np.max(np.abs(roots(name, momentum, np.array([1.0001 * end])))) > 1


@pytest.mark.parametrize(
    ("name", "momentum"),
    [(n, m) for n in TWO_TERM for m in MOMENTA[:-1]]
    + [("Nesterov", 0.99)],  # HeavyBall: w leaves float64 from 0.79 of the largest lr on, and `predict` refuses
)
@quiet
def test_stability_inverts_curvature(name, momentum):
    flt = FILTERS[name](LR, momentum)
    end = 2 * (1 + momentum) / LR if name == "HeavyBall" else 2 * (1 + momentum) / (1 + 2 * momentum) / LR
    inside = np.linspace(0, end, 50)[1:-1]
    back = flt.curvature(flt.stability(inside) + 0j)
    np.testing.assert_allclose(back, inside, rtol=1e-9)


@pytest.mark.parametrize("name", ["Nesterov", pytest.param("HeavyBall", marks=pytest.mark.slow)])
def test_few_steps_alone(name):
    """No later time beside them: the same as with one."""
    spec = TWO_TERM[name](0.2, 0.7)
    alone, beside = (predict(spec, 20, 35, np.array([0, 1, 2, 3, 4, last])) for last in (5, 1000))
    np.testing.assert_allclose(alone.risk[:5], beside.risk[:5], rtol=1e-9)


@both
@pytest.mark.parametrize("momentum", MOMENTA)
@quiet
def test_filter_step_by_step(name, momentum):
    """1,000 steps along complex curvatures, and at and around the critical one, where the two roots are equal."""
    flt = FILTERS[name](LR, momentum)
    w = np.geomspace(1e-5, 1e3, 40) * np.exp(1j * np.linspace(-1.57, 1.57, 40))
    z = flt.curvature(w)
    critical = (1 - np.sqrt(momentum)) ** 2 if name == "HeavyBall" else ((1 - momentum) / (1 + momentum)) ** 2
    near = critical / LR * (1 + np.array([0, 1e-15, -1e-12, 1e-9, -1e-6, 1e-3])) + 0j
    z = np.concatenate([z, near if momentum else near[1:]])  # at momentum 0 the critical curvature leaves nothing
    expected = oracles.momentum_residual(z, LR, momentum, 1000, name == "Nesterov")
    found = flt.response(z[None], np.arange(1001.0)[:, None])
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-11)
    spec = TWO_TERM[name](LR, momentum)
    real = z[40:].real
    left = 1 - real * np.asarray(spec.response(real, np.arange(1001)[:, None]))
    np.testing.assert_allclose(left, expected[:, 40:].real, rtol=0, atol=1e-9)  # powers of a matrix: double roots


@pytest.mark.slow
@both
@pytest.mark.parametrize("momentum", [0.5, 0.99])
def test_theory_without_anything_random(name, momentum):
    """N = P = infinity: sum lam w^2 r_t(lam)^2."""
    lam, w = PROBLEM.eigenvalues, PROBLEM.target
    r = oracles.momentum_residual(lam, LR, momentum, STEPS[-1], name == "Nesterov")[STEPS]
    curve = predict(TWO_TERM[name](LR, momentum))
    assert curve.converged
    np.testing.assert_allclose(curve.risk, r**2 @ (lam * w**2), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(curve.train_loss, r**2 @ (lam * w**2) + 0.1, rtol=1e-9)


@both
def test_no_momentum_is_gradient_descent(name):
    for n, p in ((20, 35), (35, 20), (INF, 20), (20, INF)):
        found, plain = (predict(x, n, p) for x in (TWO_TERM[name](LR, 0.0), rfm.GradientDescent(LR)))
        np.testing.assert_allclose(found.risk, plain.risk, rtol=1e-9)
        np.testing.assert_allclose(found.train_loss, plain.train_loss, rtol=1e-9)


def largest(name, momentum, n, p):
    """The named largest lr, from the edge of the spectrum."""
    edge = float(theory.largest_curvature(PROBLEM, num_features=n, num_samples=p))
    factor = 1.0 if name == "HeavyBall" else 1 / (1 + 2 * momentum)
    return 2 * (1 + momentum) * factor / edge


@both
@pytest.mark.slow
@pytest.mark.parametrize("momentum", [0.7])
def test_just_below_the_largest_lr(name, momentum):
    top = largest(name, momentum, 20, 35)
    spec = TWO_TERM[name]
    for factor in (0.9, 0.999):
        curve = predict(spec(factor * top, momentum), 20, 35)
        assert curve.converged
        assert np.all(np.isfinite(curve.risk))
        late = predict(rfm.Ridge(0.0), 20, 35, None).risk
        if factor == 0.9:
            end = predict(spec(factor * top, momentum), 20, 35, np.array([10**7])).risk
            np.testing.assert_allclose(end, late, rtol=1e-6)
    with pytest.raises(ValueError, match=r"`lr` must be < "):
        predict(spec(1.001 * top, momentum), 20, 35)


def averaged(name, momentum, factor, n, p):
    keys = jax.random.split(jax.random.key(9), 400)
    spec = TWO_TERM[name](factor * largest(name, momentum, n, p), momentum)
    times = np.array([1, 3, 10, 40, 200])
    return spec, rfm.exact(PROBLEM, num_features=n, num_samples=p, optimizer=spec, times=times, keys=keys)


@pytest.mark.parametrize(
    ("name", "momentum", "factor"),
    [
        pytest.param("Nesterov", 0.8, 0.5, marks=pytest.mark.slow),
        pytest.param("HeavyBall", 0.5, 0.5, marks=pytest.mark.slow),
        pytest.param("HeavyBall", 0.9, 0.2, marks=pytest.mark.slow),
    ],
)
def test_theory_within_error(name, momentum, factor):
    """400 draws, lr a fraction of the largest: four standard errors and 1/min(N, P); other momenta are rejected."""
    n, p = 60, 90
    spec, found = averaged(name, momentum, factor, n, p)

    def worst(spec):
        expected = predict(spec, n, p, found.times)
        assert expected.converged
        ratios = []
        for field in ("risk", "train_loss"):
            value = getattr(expected, field)
            ratios.append(np.abs(found.mean(field) - value) / (4 * found.stderr(field) + value / min(n, p)))
        return np.max(ratios)

    assert worst(spec) < 1
    assert worst(TWO_TERM[name](spec.lr, 0.6 * momentum)) > 1.5
    other = rfm.Nesterov if name == "HeavyBall" else rfm.HeavyBall
    assert worst(other(min(spec.lr, 0.6), momentum)) > 1.5


# ---- weight decay


@pytest.mark.parametrize("sizes", [(20, 35), (35, 20), (INF, 20), (20, INF)], ids=str)
@pytest.mark.parametrize("decay", [0.003, 0.3])
def test_weight_decay_ends_at_ridge(sizes, decay):
    late, ridge = (
        predict(rfm.GradientDescent(LR, decay), *sizes, np.array([0, 1, 2, 7, 60, 10**5])),
        predict(rfm.Ridge(decay), *sizes, None),
    )
    np.testing.assert_allclose(late.risk[-1:], ridge.risk, rtol=1e-8)
    np.testing.assert_allclose(late.train_loss[-1:], ridge.train_loss, rtol=1e-8)


def test_weight_decay_without_anything_random():
    """v' = v - lr (lam (v - w) + d v) along every mode."""
    lam, w = PROBLEM.eigenvalues, PROBLEM.target
    v, risk = np.zeros_like(lam), []
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            risk.append(np.sum(lam * (w - v) ** 2))
        v = v - LR * (lam * (v - w) + 0.05 * v)
    np.testing.assert_allclose(predict(rfm.GradientDescent(LR, 0.05)).risk, risk, rtol=1e-9)


# ---- schedules


def test_schedule_of_one_piece():
    for decay in (0.0, 0.02):
        pair = rfm.GradientDescent(optax.constant_schedule(LR), decay), rfm.GradientDescent(LR, decay)
        left, right = (predict(x, 20, 35) for x in pair)
        np.testing.assert_allclose(left.risk, right.risk, rtol=1e-10)
        np.testing.assert_allclose(left.train_loss, right.train_loss, rtol=1e-10)


@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_schedule_without_anything_random(decay):
    """The literal product over the steps of a warm-up and a cosine, N = P = infinity."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1.1, 40, 800, 0.01)
    lam, w = PROBLEM.eigenvalues, PROBLEM.target
    v, risk = np.zeros_like(lam), []
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            risk.append(np.sum(lam * (w - v) ** 2))
        v = v - float(schedule(step)) * (lam * (v - w) + decay * v)
    curve = predict(rfm.GradientDescent(schedule, decay))
    assert curve.converged
    np.testing.assert_allclose(curve.risk, risk, rtol=1e-9)


def test_long_schedule():
    """20,000 steps, each with its own lr; at the end the same as one lr of the same sum, where lr z is small."""
    schedule = optax.cosine_decay_schedule(0.9, 20_000)
    curve = predict(rfm.GradientDescent(schedule), 20, 35, np.array([1, 100, 5000, 20_000]))
    assert curve.converged
    assert np.all(np.isfinite(curve.risk))
    lam, w = PROBLEM.eigenvalues, PROBLEM.target
    lr = np.asarray(jax.vmap(schedule)(jnp.arange(20_000)))
    left = np.array([np.prod((1 - lr[:t, None] * lam) ** 2, axis=0) for t in (1, 100, 5000, 20_000)])
    found = predict(rfm.GradientDescent(schedule), times=curve.times).risk
    np.testing.assert_allclose(found, left @ (lam * w**2), rtol=1e-9, atol=1e-12)


@both
def test_maps_of_strong_momentum(name):
    """Where w^2 leaves float64 the slope of the map is that of differences of its values."""
    flt = FILTERS[name](np.asarray(LR), np.asarray(0.995))
    w = np.array([1e160 * (1 + 0.01j), 1e200 * (1 + 1j), 1e240j + 1.0])
    moved = [flt.curvature(w * np.exp(h)) for h in (1e-4, -1e-4)]
    slope = (np.log(moved[0]) - np.log(moved[1])) / 2e-4
    np.testing.assert_allclose(flt.log_slope(w), slope, rtol=1e-6)


@pytest.mark.parametrize(("momentum", "rate"), [(0.99, 0.1), (0.999, 0.02)])
def test_strong_momentum_of_one_pass(momentum, rate):
    """Beyond the closed form, which leaves float64: against all second moments of 40 modes at N = infinity."""
    lr = rate * (1.0 - momentum)
    eigenvalues, target = PROBLEM.spectrum()
    expected = one_pass_moments(np.eye(40), eigenvalues, target, 0.1, lr, 4, FEW[-1], momentum)[FEW]
    curve = predict(rfm.SGD(lr, 4, momentum), times=FEW)
    assert curve.converged
    np.testing.assert_allclose(curve.risk, expected, rtol=1e-9)


def test_a_refusal_of_momentum_says_what_is_served():
    optimizer = rfm.HeavyBall(1.0, 0.999)
    with pytest.raises(
        ValueError, match=r"`momentum` must be smaller, or lr 0.\d+ times as large .*float64"
    ) as refused:
        predict(optimizer, 30, 50)
    slower = float(str(refused.value).split("lr ")[1].split()[0])
    nodes = pair_nodes(Case(PROBLEM, 30, 50, rfm.HeavyBall(slower, 0.999), STEPS).arrays())
    assert nodes <= MOST_NODES
