"""Wrong input to rfm and theory: one ValueError, at once, that names the argument, the value and what is allowed."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tolerances import SAME_SUMS

import rfm
import theory

KEYS = jax.random.split(jax.random.key(0), 2)
GOOD = dict(num_features=5, num_samples=6, optimizer=rfm.GradientFlow(), times=[1.0, 2.0])
ONES = np.ones(3)


def simulate(problem=None, keys=KEYS, room=rfm.simulate, **changed):
    return room(problem or rfm.white(4), **{**GOOD, **changed}, keys=keys)


def exact(**changed):
    return simulate(room=rfm.exact, **changed)


def predict(problem=None, **changed):
    return theory.predict(problem or rfm.white(4), **{**GOOD, **changed})


def fails(call, *fragments):
    """The message is the package's own sentence and holds every fragment."""
    with pytest.raises(ValueError, match=r"^Argument `\w+` must ") as caught:
        call()
    for fragment in fragments:
        assert fragment in str(caught.value), f"{fragment!r} not in {caught.value}"


BUILDERS = [
    (lambda: rfm.Problem([1.0, 0.0, 0.0], ONES), "eigenvalues", "positive"),
    (lambda: rfm.Problem([1.0, 0.5, -0.1], ONES), "eigenvalues", "positive", "-0.1"),
    (lambda: rfm.Problem([1.0, np.nan, 0.1], ONES), "eigenvalues", "finite", "nan"),
    (lambda: rfm.Problem([np.inf, 1.0, 0.1], ONES), "eigenvalues", "finite", "inf"),
    (lambda: rfm.Problem([0.5, 1.0, 0.1], ONES), "eigenvalues", "decreasing"),
    (lambda: rfm.Problem([], []), "eigenvalues", "non-empty"),
    (lambda: rfm.Problem([[1.0]], [[1.0]]), "eigenvalues", "one-dimensional"),
    (lambda: rfm.Problem(["a", "b"], [1.0, 1.0]), "eigenvalues", "numeric"),
    (lambda: rfm.Problem(ONES, np.ones(2)), "target", "(3,)", "(2,)"),
    (lambda: rfm.Problem(ONES, [1.0, np.nan, 1.0]), "target", "finite"),
    (lambda: rfm.Problem(ONES, ONES, -0.1), "noise_var", ">= 0", "-0.1"),
    (lambda: rfm.Problem(ONES, ONES, np.nan), "noise_var", "finite", "nan"),
    (lambda: rfm.Problem(ONES, ONES, np.inf), "noise_var", "finite", "inf"),
    (lambda: rfm.Problem(ONES, ONES, ONES), "noise_var"),
    (lambda: rfm.power_law(1.0, 1.5, 10), "`a`", "> 1", "1.0"),
    (lambda: rfm.power_law(np.nan, 1.5, 10), "`a`", "nan"),
    (lambda: rfm.power_law(1.8, 0.0, 10), "`b`", "> 0", "0.0"),
    (lambda: rfm.power_law(1.8, 1.0, None), "`b`", "> 1", "infinitely many", "1.0"),
    (lambda: rfm.power_law(1.8, 1.5, 0), "num_modes", ">= 1", "0"),
    (lambda: rfm.power_law(1.8, 1.5, 2.5), "num_modes", "integer", "2.5"),
    (lambda: rfm.power_law(1.8, 1.5, "many"), "num_modes", "integer", "many"),
    (lambda: rfm.power_law(1.8, 1.5, np.inf), "num_modes", "integer", "inf"),
    (lambda: rfm.power_law(1.8, 1.5, 10, -1.0), "noise_var", ">= 0", "-1.0"),
    (lambda: rfm.white(0), "num_modes", ">= 1", "0"),
    (lambda: rfm.white(None), "num_modes", "integer", "None"),
    (lambda: rfm.from_features(ONES, ONES), "features", "(n, d)", "(3,)"),
    (lambda: rfm.from_features(np.eye(3), np.ones(2)), "labels", "(3,)", "(2,)"),
    (lambda: rfm.from_features(np.eye(3) * np.nan, ONES), "features", "finite"),
    (lambda: rfm.from_features(np.eye(3), ONES * np.inf), "labels", "finite"),
    (lambda: rfm.from_features(np.ones((3, 2)), ONES), "features", "variance"),
    (lambda: rfm.from_features(np.eye(3), ONES, noise_var=-1.0), "noise_var", "-1.0"),
    (lambda: rfm.GradientDescent(0.0), "lr", "> 0", "0.0"),
    (lambda: rfm.GradientDescent(-0.1), "lr", "> 0", "-0.1"),
    (lambda: rfm.GradientDescent(np.nan), "lr", "nan"),
    (lambda: rfm.GradientDescent("fast"), "lr", "fast"),
    (lambda: rfm.Ridge(-1e-3), "ridge", ">= 0", "-0.001"),
    (lambda: rfm.log_times(0.0, 1.0, 5), "start", "> 0", "0.0"),
    (lambda: rfm.log_times(2.0, 1.0, 5), "stop", "2.0", "1.0"),
    (lambda: rfm.log_times(1.0, 2.0, 1), "num", ">= 2", "1"),
]


@pytest.mark.parametrize("case", BUILDERS, ids=lambda case: f"{BUILDERS.index(case)}-{case[1].strip('`')}")
def test_builders(case):
    fails(*case)


CALLS = [
    (dict(num_features=0), "num_features", ">= 1", "0"),
    (dict(num_features=-3), "num_features", ">= 1", "-3"),
    (dict(num_features=np.nan), "num_features", "nan"),
    (dict(num_features=None), "num_features", "None"),
    (dict(num_samples=0), "num_samples", ">= 1", "0"),
    (dict(num_samples=-np.inf), "num_samples", ">= 1", "-inf"),
    (dict(num_samples="all"), "num_samples", "all"),
    (dict(times=[2.0, 1.0]), "times", "increasing"),
    (dict(times=[1.0, 1.0]), "times", "increasing"),
    (dict(times=[-1.0, 1.0]), "times", ">= 0", "-1.0"),
    (dict(times=[1.0, np.nan]), "times", "finite", "nan"),
    (dict(times=[1.0, np.inf]), "times", "finite", "inf"),
    (dict(times=[]), "times", "non-empty"),
    (dict(times=1.0), "times", "one-dimensional", "1.0"),
    (dict(times=None), "times", "given", "None"),
    (dict(times=[0.5, 2.0], optimizer=rfm.GradientDescent(0.1)), "times", "whole", "0.5"),
    (dict(optimizer=rfm.Ridge(0.1)), "times", "Ridge"),
    (dict(optimizer="sgd"), "optimizer", "GradientFlow", "sgd"),
    (dict(optimizer=rfm.GradientDescent), "optimizer", "GradientDescent("),
    (dict(parametrization="mup"), "parametrization", "'ntk'", "'standard'", "mup"),
    (dict(num_features=jnp.inf, parametrization="standard"), "num_features", "finite", "inf"),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: f"{CALLS.index(case)}-{case[1]}")
@pytest.mark.parametrize("call", [simulate, exact, predict])
def test_calls(call, case):
    """The same arguments are refused in the same words by simulation, exact solution and theory."""
    changed, *fragments = case
    fails(lambda: call(**changed), *fragments)


@pytest.mark.parametrize("call", [simulate, exact])
def test_simulator_only(call):
    """What the theory can do and the simulator cannot: fractions, nothing random, infinitely many modes."""
    fails(lambda: call(num_features=5.5), "num_features", "integer", "5.5")
    fails(lambda: call(num_samples=6.5), "num_samples", "integer", "6.5")
    fails(lambda: call(num_features=np.inf, num_samples=np.inf), "num_samples", "finite", "inf")
    fails(lambda: call(problem=rfm.power_law(1.8, 1.5, None)), "num_modes", "finite", "None")
    few = rfm.from_features(np.eye(5), np.arange(5.0))
    fails(lambda: call(problem=few, num_samples=6), "num_samples", "5 rows", "6")
    for keys in (
        jax.random.split(KEYS[0], (2, 2)),
        KEYS[:0],
        0,
        [0, 1],
        jnp.zeros((2, 2), "uint32"),
    ):
        fails(lambda keys=keys: call(keys=keys), "keys", "jax.random.split")


@pytest.mark.parametrize(
    ("optimizer", "sizes", "argument"),
    [
        (rfm.SGD(0.1, 71), dict(num_samples=70), "batch_size"),
        (rfm.SGD(0.1, 2.5), dict(num_samples=np.inf), "batch_size"),
        (rfm.SGD(0.1, np.inf), dict(num_samples=np.inf), "batch_size"),
        (rfm.GradientDescent(lambda count: -0.1 + 0 * count), dict(num_samples=70), "lr"),
        (rfm.GradientDescent(lambda count: "x"), dict(num_samples=70), "lr"),
        (rfm.GradientFlow(), dict(num_samples=70, ensemble=0), "ensemble"),
        (rfm.GradientFlow(), dict(num_samples=70, bags=1.5), "bags"),
        (rfm.GradientFlow(), dict(num_samples=70, features="cauchy"), "features"),
    ],
)  # fmt: skip
def test_wrong_runs(optimizer, sizes, argument):
    with pytest.raises(ValueError, match=f"Argument `{argument}` must be"):
        simulate(num_features=40, optimizer=optimizer, times=[0, 3], **sizes)


@pytest.mark.parametrize("optimizer", [rfm.SGD(0.2, 8), rfm.Optax(optax.adam, {"learning_rate": 0.02})])
def test_no_kernel_limit_of_what_is_not_linear(optimizer):
    """At N = infinity weights are those of samples, and neither batches nor Adam are the same algorithm there."""
    with pytest.raises(ValueError, match="`num_features` must be finite for"):
        simulate(num_features=np.inf, num_samples=70, optimizer=optimizer, times=[0, 1, 30, 1000])


@pytest.mark.parametrize("call", [simulate, exact, predict])
def test_learning_rate_beyond_stability_names_the_largest_stable_one(call):
    steps = dict(times=[0, 5])
    with pytest.raises(ValueError, match=r"Argument `lr` must be < ([\d.e+-]+) = 2/\(z_max") as caught:
        call(optimizer=rfm.GradientDescent(50.0), **steps)
    assert "50.0" in str(caught.value)
    bound = float(str(caught.value).split("< ")[1].split(" ")[0])
    # the bound it names is the bound: just below it passes, just above it does not
    call(optimizer=rfm.GradientDescent(bound * (1 - 1e-5)), **steps)
    with pytest.raises(ValueError, match="lr"):
        call(optimizer=rfm.GradientDescent(bound * (1 + 1e-5)), **steps)


def test_good_input_of_other_types_passes():
    """Negative control: lists, numpy scalars, integers and arrays of one entry are no errors."""
    expected = predict(num_features=5.0).risk
    for changed in (dict(num_features=np.int64(5)), dict(num_features=jnp.asarray(5)), dict(times=np.array([1, 2]))):
        np.testing.assert_allclose(predict(**changed).risk, expected, rtol=SAME_SUMS)
    found = simulate(num_features=np.int32(5), num_samples=6.0).risk
    np.testing.assert_array_equal(found, simulate().risk)
    rfm.Problem([2, 1], (1, 1), np.float32(0.5))
