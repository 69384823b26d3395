"""Public records: fields that say all, or are refused; equal by value."""

import copy
import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FORMULA

import rfm
from rfm.parts import power_sum

LAW = rfm.power_law(1.8, 1.5, 1000, noise_var=0.1)
REAL = rfm.from_features(np.random.default_rng(0).standard_normal((40, 60)), np.arange(40.0) % 7)


@pytest.mark.parametrize("problem", [LAW, REAL, rfm.power_law(1.8, 1.5, None)], ids=["tail", "rows", "infinite"])
@pytest.mark.parametrize("field", ["eigenvalues", "target"])
def test_half_a_problem_is_not_replaced(problem, field):
    """The modes beyond, or the rows, would stay those of another problem."""
    changed = {field: 0.5 * getattr(problem, field)}
    with pytest.raises(ValueError, match=f"Argument `{field}` must be those .*rfm.Problem\\(eigenvalues, target"):
        dataclasses.replace(problem, **changed)
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(copy.deepcopy(problem), **changed)


def test_what_may_be_replaced():
    """Noise, the parts themselves, and everything with values that are the same."""
    for problem in (LAW, REAL):
        noisier = dataclasses.replace(problem, noise_var=problem.noise_var + 1.0)
        with pytest.raises(ValueError, match="target"):
            dataclasses.replace(noisier, target=0.5 * problem.target)
        assert dataclasses.replace(problem, target=problem.target.copy()) == problem
        target = 0.5 * problem.target
        alone = dataclasses.replace(problem, target=target, tail=None, population=None)
        assert alone.num_modes == len(target)
    tail = dataclasses.replace(LAW.tail, power_scale=0.25)
    found = dataclasses.replace(LAW, target=0.5 * LAW.target, tail=tail)
    np.testing.assert_allclose(found.power, 0.25 * LAW.power, rtol=FORMULA)


def test_one_tail_may_be_given_to_two_problems():
    """What a user made is not bound to the first problem it is part of."""
    tail = dataclasses.replace(LAW.tail)
    for factor in (1.0, 2.0):
        assert rfm.Problem(factor * LAW.eigenvalues, LAW.target, 0.0, tail).num_modes == 1000


@pytest.mark.parametrize("num_modes", [3, 512, 513, 1000, 30_000])
@pytest.mark.parametrize(("a", "b"), [(1.8, 1.5), (1.2, 0.3), (3.0, 1.0), (1.01, 1e-3), (4.0, 5.0)])
def test_trace_and_power_count_all_modes(a, b, num_modes):
    problem = rfm.power_law(a, b, num_modes)
    eigenvalues, target = problem.spectrum()
    k = np.arange(1.0, num_modes + 1)
    np.testing.assert_allclose(eigenvalues, k**-b, rtol=FORMULA)
    np.testing.assert_allclose(eigenvalues * target**2, k**-a, rtol=1e-12)
    np.testing.assert_allclose(problem.trace, math.fsum(k**-b), rtol=FORMULA)
    np.testing.assert_allclose(problem.power, math.fsum(k**-a), rtol=FORMULA)
    np.testing.assert_array_equal(problem.spectrum(2)[0], eigenvalues[:2])
    assert len(problem.spectrum(10**9)[0]) == num_modes


def test_infinitely_many_modes():
    problem = rfm.power_law(2.0, 4.0, None)
    np.testing.assert_allclose([problem.power, problem.trace], [np.pi**2 / 6, np.pi**4 / 90], rtol=FORMULA)
    np.testing.assert_allclose(problem.spectrum(300)[0], np.arange(1.0, 301) ** -4.0, rtol=FORMULA)
    for wrong in (None, 0, 1.5):
        with pytest.raises(ValueError, match="Argument `num_modes` must be"):
            problem.spectrum(wrong)
    assert power_sum(1.0, 100, math.inf) == math.inf
    assert power_sum(2.0, 100, 99) == 0.0


EQUAL = [
    (rfm.GradientFlow(), rfm.GradientFlow()),
    (rfm.GradientDescent(0.5), rfm.GradientDescent(np.float64(0.5))),
    (rfm.GradientDescent(0.5), rfm.GradientDescent(jnp.asarray(0.5))),
    (rfm.SGD(0.5, 4), rfm.SGD(np.float32(0.5), 4.0, 0)),
    (rfm.HeavyBall(0.1, 0.0), rfm.HeavyBall(0.1, -0.0)),
    (rfm.Ridge(1), rfm.Ridge(np.int8(1))),
    (rfm.Optax(math.sqrt, {"lr": 0.1}), rfm.Optax(math.sqrt, {"lr": np.float64(0.1)})),
    (LAW, rfm.power_law(1.8, 1.5, 1000, 0.1)),
    (REAL, jax.tree.map(jnp.asarray, REAL)),
]


@pytest.mark.parametrize("pair", EQUAL, ids=lambda pair: type(pair[0]).__name__)
def test_equal_by_value(pair):
    one, other = pair
    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other, copy.deepcopy(one)}) == 1


def test_unequal():
    """Other numbers, other types, other structure."""
    assert rfm.GradientDescent(0.5) != rfm.GradientDescent(0.25)
    assert rfm.GradientDescent(0.5) != rfm.GradientDescent(0.5, 0.1)
    assert rfm.HeavyBall(0.1, 0.5) != rfm.Nesterov(0.1, 0.5)
    assert rfm.GradientDescent(0.5) != 0.5
    assert rfm.power_law(1.8, 1.5, None, 0.1) != LAW
    assert dataclasses.replace(LAW, noise_var=0.2) != LAW
    assert dataclasses.replace(REAL, population=None) != REAL
    schedules = [lambda count: 0.1, lambda count: 0.1]
    assert rfm.GradientDescent(schedules[0]) != rfm.GradientDescent(schedules[1])
    assert rfm.GradientDescent(schedules[0]) == rfm.GradientDescent(schedules[0])


def test_traced_numbers_are_equal_to_themselves_alone():
    """And comparing them, or a dictionary of them, is not an error."""

    @jax.jit
    def f(lr):
        one, again, other = rfm.GradientDescent(lr), rfm.GradientDescent(lr), rfm.GradientDescent(2.0 * lr)
        assert one == again
        assert hash(one) == hash(again)
        assert one != other
        assert one != rfm.GradientDescent(0.5)
        assert len({one, other}) == 2
        return lr

    f(0.5)
