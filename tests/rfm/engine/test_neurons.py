"""Features other than Gaussian: signs, and layers of real neurons on the kernel that `from_inputs` gives them."""

import jax
import numpy as np
import pytest
from problems import INF
from scipy.special import erf

import rfm
import theory

ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0.0), "erf": erf}
KEYS = jax.random.split(jax.random.key(31), 200)
TIMES = np.array([1.0, 10.0, 100.0])
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
# of trained neurons one kind is enough, where the kernel of each is known
quick_activation = pytest.mark.parametrize("activation", ["relu", pytest.param("erf", marks=pytest.mark.slow)])


def population(activation, rows=300, width=6, noise_var=0.05, seed=0):
    """Gaussian inputs with a smooth label of several of them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, width)) / np.sqrt(width) * 1.5
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3]
    return rfm.from_inputs(x, y, activation, noise_var=noise_var)


@each_activation
def test_kernel_against_many_neurons(activation):
    """E s(w x) s(w x') over 400,000 neurons, four standard errors of every entry; 15 inputs of various lengths."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((15, 3)) * np.geomspace(0.1, 3, 15)[:, None]
    x[1] = -x[0] * 2  # opposite directions
    problem = rfm.from_inputs(x, rng.standard_normal(15), activation, center=False, normalize=False)
    kernel = problem.population.rows @ problem.population.rows.T
    total = square = 0.0
    for _ in range(40):
        s = ACTIVATIONS[activation](rng.standard_normal((10_000, 3)) @ x.T)  # (neurons, rows)
        total, square = total + s.T @ s / 400_000, square + (s**2).T @ s**2 / 400_000
    error = np.sqrt((square - total**2).clip(0) / 400_000)
    assert np.max(np.abs(total - kernel) / (error + 1e-12)) < 4.5  # the largest of 120 different entries
    assert np.max(np.abs(total - 1.02 * kernel) / (error + 1e-12)) > 4.5


@each_activation
def test_centre_and_scale(activation):
    """The kernel less its means over rows, its largest covariance eigenvalue one."""
    plain, scaled = (
        rfm.from_inputs(np.linspace(-1, 2, 24).reshape(8, 3) ** 2, np.arange(8.0) ** 2, activation, **options)
        for options in (dict(center=False, normalize=False), {})
    )
    kernel = plain.population.rows @ plain.population.rows.T
    middle = np.eye(8) - 1 / 8
    centred = middle @ kernel @ middle
    size = np.linalg.eigvalsh(centred)[-1] / 8
    np.testing.assert_allclose(scaled.population.rows @ scaled.population.rows.T, centred / size, atol=1e-12)
    np.testing.assert_allclose(scaled.population.eigenvalues[0], 1.0, rtol=1e-12)
    np.testing.assert_allclose(scaled.population.scale, size**-0.5, rtol=1e-12)


@pytest.mark.parametrize("sizes", [(40, 70), pytest.param((70, 40), marks=pytest.mark.slow)], ids=str)
def test_signs_within_error(sizes):
    """Random signs in place of Gaussians: the same theory, four standard errors and 1/min(N, P)."""
    problem = rfm.power_law(1.8, 1.5, 150, noise_var=0.1)
    arguments = dict(num_features=sizes[0], num_samples=sizes[1], optimizer=rfm.GradientFlow(), times=TIMES)
    found = rfm.simulate(problem, keys=KEYS, features="rademacher", **arguments)
    expected = theory.predict(problem, **arguments)
    other = rfm.simulate(problem, keys=KEYS, **arguments)
    assert not np.allclose(found.risk, other.risk)
    for name in ("risk", "train_loss"):
        value = getattr(expected, name)
        assert np.all(np.abs(found.mean(name) - value) < 4 * found.stderr(name) + value / min(sizes))


@quick_activation
@pytest.mark.parametrize("sizes", [pytest.param((60, INF), marks=pytest.mark.slow), (60, 40)], ids=str)
def test_neurons_near_theory(activation, sizes):
    """Neither neurons nor rows are Gaussian: within 10 % and four standard errors of theory, whose spectrum is that
    of the population that 600 rows come from, and within 7 % of Gaussian features.

    Measured with 200 draws at N = 60 (standard errors 0.3 to 1.7 %). Gap to theory: relu -0.9, 2.1 and -3.7 % at
    P = infinity, 2.1, 10.6 and 9.5 % at P = 40 (there Gaussian features show 2.6, 7.9 and 7.7 %: it is the rows, whose
    lengths vary); erf -2.0, -1.8 and -4.3 %, and 0.2, 2.2 and 3.6 %.
    """
    problem = population(activation, rows=600)
    arguments = dict(num_features=sizes[0], num_samples=sizes[1], optimizer=rfm.GradientFlow(), times=TIMES)
    expected = theory.predict(problem, **arguments).risk
    neurons, gaussian = (
        rfm.simulate(problem, keys=KEYS, features=law, **arguments) for law in (activation, "gaussian")
    )
    assert np.all(np.abs(neurons.mean() / expected - 1) < 0.1 + 4 * neurons.stderr() / expected)
    assert np.all(np.abs(neurons.mean() / gaussian.mean() - 1) < 0.07)
    other = theory.predict(
        problem, **{**arguments, ("num_features" if sizes[1] == INF else "num_samples"): min(sizes) / 2}
    ).risk
    assert np.max(np.abs(neurons.mean() / other - 1)) > 0.1


@quick_activation
def test_infinitely_many_neurons_are_their_kernel(activation):
    """N = infinity: the very numbers of Gaussian features."""
    problem = population(activation, rows=80)
    arguments = dict(num_features=INF, num_samples=30, optimizer=rfm.Ridge(0.01), keys=KEYS[:3])
    neurons, gaussian = (rfm.simulate(problem, features=law, **arguments) for law in (activation, "gaussian"))
    np.testing.assert_array_equal(neurons.risk, gaussian.risk)
    many = rfm.simulate(problem, features=activation, **{**arguments, "num_features": 20_000})
    np.testing.assert_allclose(many.risk, neurons.risk, rtol=0.05)


def test_wrong_use():
    arguments = dict(num_features=10, num_samples=8, optimizer=rfm.GradientFlow(), times=TIMES, keys=KEYS[:2])
    x, y = np.random.default_rng(0).standard_normal((12, 3)), np.arange(12.0)
    relu = rfm.from_inputs(x, y, "relu")
    for problem, law in (
        (rfm.power_law(1.8, 1.5, 30), "relu"),
        (rfm.power_law(1.8, 1.5, 30), "erf"),
        (rfm.from_features(x, y), "relu"),
        (relu, "erf"),
    ):
        for call in (rfm.simulate, rfm.exact):
            with pytest.raises(ValueError, match=r"`features` must be .*from_inputs"):
                call(problem, features=law, **arguments)
    with pytest.raises(ValueError, match=r"`features` must be one of"):
        rfm.simulate(relu, features="tanh", **arguments)
    with pytest.raises(ValueError, match=r"`activation` must be one of"):
        rfm.from_inputs(x, y, "tanh")
    with pytest.raises(ValueError, match=r"`inputs` must be"):
        rfm.from_inputs(x[0], y, "relu")
    with pytest.raises(ValueError, match=r"`labels` must be"):
        rfm.from_inputs(x, y[:-1], "relu")
