"""jax.vmap, jax.grad, second derivatives, one compilation a shape, and what happens with x64 off."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compilations import compilations

import rfm
import theory

TIMES = np.array([0.5, 5.0, 50.0, 5000.0])
STEPS = np.array([1, 7, 60, 5000])
MODES = 2000  # beyond the exact head: derivatives go through the compressed tail

# every number that a user may differentiate, where, and the step of the central difference
POINT = dict(num_features=37.0, num_samples=61.0, noise_var=0.2, a=1.8, b=1.4, lr=0.4, ridge=0.01)
POINT |= dict(weight_decay=0.02, momentum=0.5, batch_size=3.0, sgd_lr=0.15)


def curve(name, **changed):
    """risk and train_loss stacked, (2, T), as a function of the numbers of POINT."""
    x = {**POINT, **changed}
    problem = rfm.power_law(x["a"], x["b"], MODES, x["noise_var"])
    optimizer, times = {
        "flow": (rfm.GradientFlow(), x.get("times", TIMES)),
        "descent": (rfm.GradientDescent(x["lr"], x["weight_decay"]), STEPS),
        "heavy ball": (rfm.HeavyBall(x["lr"], x["momentum"]), STEPS),
        "nesterov": (rfm.Nesterov(x["lr"], x["momentum"]), STEPS),
        "sgd": (rfm.SGD(x["sgd_lr"], x["batch_size"], x["momentum"]), STEPS),
        "ridge": (rfm.Ridge(x["ridge"]), None),
    }[name]
    sizes = dict(num_features=x["num_features"], num_samples=jnp.inf if name == "sgd" else x["num_samples"])
    found = theory.predict(problem, **sizes, optimizer=optimizer, times=times)
    return (np if isinstance(found.risk, np.ndarray) else jnp).stack([found.risk, found.train_loss])


def central_difference(f, x, step):
    """Fourth order: error step^4."""
    return (8 * (f(x + step) - f(x - step)) - (f(x + 2 * step) - f(x - 2 * step))) / (12 * step)


ALGORITHMS = {
    "flow": ["num_features", "num_samples", "noise_var", "a", "b"],
    "descent": ["num_features", "num_samples", "noise_var", "a", "b", "lr", "weight_decay"],
    "heavy ball": ["num_samples", "lr", "momentum"],
    "nesterov": ["num_features", "lr", "momentum"],
    "sgd": ["num_features", "noise_var", "a", "b", "sgd_lr", "batch_size", "momentum"],
    "ridge": ["num_features", "num_samples", "noise_var", "a", "b", "ridge"],
}
each_algorithm = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "ridge" else pytest.mark.slow) for name in ALGORITHMS],
)


def of_vector(name):
    """`curve` of one vector in the order of ALGORITHMS, and the point: a transformation compiles once for all."""
    names = ALGORITHMS[name]
    f = lambda x: curve(name, **{n: x[i] for i, n in enumerate(names)})  # noqa: E731
    return f, np.array([POINT[n] for n in names])


def points(name):
    """The point, and for gradient descent the same without weight decay: one program serves both."""
    _, x = of_vector(name)
    return [x, np.where(np.array(ALGORITHMS[name]) == "weight_decay", 0.0, x)] if name == "descent" else [x]


def difference(f, x, i, relative_step=2e-3):
    """Central, fourth order, along entry i."""
    unit = np.eye(len(x))[i]
    return central_difference(lambda s: f(x + (s - x[i]) * unit), x[i], relative_step * x[i])


@lru_cache
def compiled(name):
    """Slopes (n,) of the sum in reverse mode and, for ridge, all slopes (2, T, n) in forward mode: one program."""
    f, _ = of_vector(name)
    reverse = jax.grad(lambda x: jnp.sum(f(x)))
    return jax.jit(lambda x: (reverse(x), jax.jacfwd(f)(x) if name == "ridge" else None))  # flow: see the time below


@each_algorithm
def test_derivatives_against_differences(name):
    """Forward and reverse mode, in every argument, against differences of the same prediction."""
    f, _ = of_vector(name)
    for x in points(name):
        reverse, forward = (None if y is None else np.asarray(y) for y in compiled(name)(x))
        for i, argument in enumerate(ALGORITHMS[name]):
            if x[i] == 0.0:  # no weight decay, which is as small as it can be
                continue
            numeric = difference(f, x, i)
            scale = np.max(np.abs(numeric))
            assert scale > 0
            np.testing.assert_allclose(reverse[i], np.sum(numeric), rtol=1e-7, err_msg=argument)
            if forward is not None:
                np.testing.assert_allclose(forward[..., i], numeric, rtol=1e-7, atol=1e-8 * scale, err_msg=argument)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "argument"), [("flow", "num_features"), ("ridge", "b")])
def test_second_derivative_against_differences(name, argument):
    """grad of grad against differences of grad."""
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(curve(name, **{argument: x}))))
    value = POINT[argument]
    numeric = central_difference(gradient, value, 2e-3 * value)
    np.testing.assert_allclose(jax.jit(jax.grad(gradient))(value), numeric, rtol=1e-7)


def test_derivative_in_time():
    """Each value depends on its own time alone, though all share one contour."""
    f = lambda t: curve("flow", times=t)[0]  # noqa: E731
    slopes = jax.jit(jax.jacfwd(f))(jnp.asarray(TIMES))  # (T, T)
    h = 1e-3
    steps = {m: f(TIMES * (1 + m * h)) for m in (-2, -1, 1, 2)}
    numeric = (8 * (steps[1] - steps[-1]) - (steps[2] - steps[-2])) / (12 * h * TIMES)
    np.testing.assert_allclose(slopes, np.diag(numeric), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["ridge", pytest.param("descent", marks=pytest.mark.slow)])
def test_vmap_equals_a_loop(name):
    """Over all arguments at once."""
    f, x = of_vector(name)
    batch = x[None] * np.array([0.97, 1.0, 1.04])[:, None]
    np.testing.assert_allclose(jax.jit(jax.vmap(f))(batch), np.stack([f(x) for x in batch]), rtol=1e-11)


def test_vmap_of_grad_under_jit():
    """The three together: the slope in N, at N < P and at N = P, as one at a time."""
    f = jax.grad(lambda n, p: jnp.sum(curve("ridge", num_features=n, num_samples=p)))
    n, p = np.array([20.0, 50.0]), np.array([70.0, 50.0])
    _, x = of_vector("ridge")
    alone = [compiled("ridge")(np.array([*pair, *x[2:]]))[0][0] for pair in zip(n, p, strict=True)]
    np.testing.assert_allclose(jax.jit(jax.vmap(f))(n, p), alone, rtol=1e-9)


@pytest.mark.slow
def test_derivative_at_infinitely_many_modes():
    def f(b):
        problem = rfm.power_law(1.8, b, None, 0.1)
        sizes = dict(num_features=40, num_samples=60, optimizer=rfm.GradientFlow())
        return jnp.sum(theory.predict(problem, **sizes, times=TIMES).risk)

    np.testing.assert_allclose(jax.jit(jax.grad(f))(1.4), central_difference(f, 1.4, 1e-3), rtol=1e-7)


VARIANTS = [
    (1.7, 1.3, 0.1, 0.2),
    (2.1, 1.3, 0.1, 0.2),
    (1.7, 1.6, 0.1, 0.2),
    (1.7, 1.3, 0.4, 0.2),
    (1.7, 1.3, 0.1, 0.3),
]


@pytest.mark.parametrize(
    ("room", "modes"),
    [
        pytest.param("sweep", 50, marks=pytest.mark.slow),
        pytest.param("sweep", MODES, marks=pytest.mark.slow),
        ("simulate", MODES),
        ("exact", MODES),
    ],
)
def test_one_compilation_a_shape(room, modes):
    """Spectrum, target, noise, learning rate and seeds are traced, sizes too on grids of the theory."""

    def run(a, b, noise_var, lr, seed):
        problem = rfm.power_law(a, b, modes, noise_var)
        kwargs = dict(num_samples=11, optimizer=rfm.GradientDescent(lr))
        if room == "sweep":
            return theory.sweep(problem, {"num_features": [7 + seed, 9.5]}, **kwargs, times=STEPS)
        keys = jax.random.split(jax.random.key(seed), 3)
        return getattr(rfm, room)(problem, num_features=7, **kwargs, times=[0, 3, 10, 11], keys=keys)

    run(*VARIANTS[0], seed=0)
    with compilations() as again:
        for seed, variant in enumerate(VARIANTS):
            run(*variant, seed=seed)
    assert not again


def test_listener_counts():
    """Negative control: a new shape is seen, and nothing after the block."""
    with compilations() as found:
        jax.jit(lambda x: x * 3.5)(jnp.arange(17.0)).block_until_ready()
    count = len(found)
    assert count >= 1
    jax.jit(lambda x: x * 4.5)(jnp.arange(19.0)).block_until_ready()
    assert len(found) == count


@pytest.mark.parametrize("transform", [jax.jit, jax.grad, lambda f: lambda x: jax.vmap(f)(jnp.array([x, x]))])
def test_transformation_with_x64_off_is_refused(transform):
    """Inside a transformation the input is float32 already: an error that says what to set, not worse numbers."""

    def f(noise_var):
        problem = rfm.power_law(1.8, 1.5, 100, noise_var)
        sizes = dict(num_features=20, num_samples=30, optimizer=rfm.GradientFlow())
        return jnp.sum(theory.predict(problem, **sizes, times=[1.0, 2.0]).risk)

    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        transform(f)(0.1)


def test_simulator_refuses_transformations():
    keys = jax.random.split(jax.random.key(0), 2)
    sizes = dict(num_features=5, num_samples=6, optimizer=rfm.GradientFlow(), times=[1.0])

    def f(noise_var):
        return jnp.sum(rfm.simulate(rfm.white(4, noise_var), **sizes, keys=keys).risk)

    with pytest.raises(ValueError, match=r"theory\.predict"):
        jax.grad(f)(0.1)


def test_simulator_is_float64_with_x64_off():
    keys, problem = jax.random.split(jax.random.key(0), 3), rfm.power_law(1.8, 1.5, MODES, 0.1)  # a shape of above
    args = dict(num_features=7, num_samples=11, optimizer=rfm.GradientFlow(), times=[1.0, 10.0, 1e4], keys=keys)
    expected = rfm.exact(problem, **args)
    with jax.enable_x64(False):
        found = rfm.exact(problem, **args)
    assert found.risk.dtype == np.float64
    np.testing.assert_allclose(found.risk, expected.risk, rtol=1e-12)
