"""What is known compiles nothing: responses, modes, schedules of another length, other numbers of seeds."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from compilations import compilations
from tolerances import FORMULA

import rfm
from rfm.engine.driver import Seeds
from rfm.steps import tabulate

CURVATURES = np.array([0.0, 1e-18, 1e-9, 1e-3, 0.5, 1.0, 2.0, 2.5, 4.5])  # lr z = 1 at 2.5
TIMES = np.array([0.0, 1.0, 2.0, 3.0, 30.0, 1000.0, 1e6])[:, None]
SPECS = [
    rfm.GradientFlow(), rfm.GradientDescent(0.4), rfm.GradientDescent(0.4, 0.03), rfm.HeavyBall(0.2, 0.9),
    rfm.Nesterov(0.2, 0.9), rfm.Preconditioned(0.5, 0.03), rfm.Preconditioned(1.0, 0.1, 0.5), rfm.Ridge(0.0),
    rfm.Ridge(0.1),
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_responses_of_numpy_are_those_of_xla(spec):
    with compilations() as compiled:
        known = spec.response(CURVATURES, TIMES)
    assert not compiled
    assert isinstance(known, np.ndarray)
    traced = jax.jit(lambda spec, z, t: spec.response(z, t))(spec, jnp.asarray(CURVATURES), jnp.asarray(TIMES))
    np.testing.assert_allclose(known, traced, rtol=FORMULA)


def test_a_number_that_is_traced_is_followed():
    slope = jax.grad(lambda momentum: rfm.HeavyBall(0.2, momentum).response(CURVATURES[3:4], TIMES[3:4]).sum())(0.5)
    ends = [rfm.HeavyBall(0.2, 0.5 + step).response(CURVATURES[3:4], TIMES[3:4]).sum() for step in (-1e-5, 1e-5)]
    np.testing.assert_allclose(slope, (ends[1] - ends[0]) / 2e-5, rtol=1e-6)


def test_modes_of_a_known_problem():
    with compilations() as compiled:
        lam, w = rfm.power_law(1.8, 1.5, 2000).modes(700, 1301)
    assert not compiled
    k = np.arange(701.0, 2001.0)
    np.testing.assert_allclose(lam[:1300], k**-1.5, rtol=FORMULA)
    np.testing.assert_allclose(w[:1300], k**-0.15, rtol=FORMULA)
    assert lam[1300] == w[1300] == 0.0


def test_a_schedule_of_another_length():
    schedule = optax.warmup_cosine_decay_schedule(0.0, 0.5, 5, 900, 0.02)
    longest = tabulate(schedule, 1000).values
    with compilations() as compiled:
        shorter = tabulate(schedule, 77)
    assert not compiled
    np.testing.assert_array_equal(shorter.values, longest[:77])


def test_some_of_other_numbers_of_seeds():
    """A single program, which puts words on a device, for all of them."""
    keys = jax.random.split(jax.random.key(3), 23)
    Seeds(keys, None).part(np.array([4, 4, 22]))
    for count in (17, 21):
        fewer = keys[:count]
        with compilations() as compiled:
            part = Seeds(fewer, None).part(np.array([0, 3, 3])).keys
        assert not compiled
        np.testing.assert_array_equal(jax.random.key_data(part), jax.random.key_data(keys)[np.array([0, 3, 3])])
