"""Stored reference numbers, made by an independent numpy program, through the public call."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import rfm
import theory

STORED = json.loads(Path(__file__).with_name("reference_values.json").read_text())
CASES, ONE_PASS = STORED["finite_data"], STORED["one_pass_sgd"]
# infinitely many feature draws on one data set, one feature draw on infinitely many data sets, both
PIECES = {
    "same_data": dict(ensemble=np.inf),
    "same_features": dict(bags=np.inf),
    "independent": dict(ensemble=np.inf, bags=np.inf),
}

# the stored numbers are good to 1e-9, training losses of order 1e-4 and below to 3e-12 absolute
close = dict(rtol=1e-8)
close_loss = dict(rtol=1e-8, atol=1e-12)


def problem_of(case):
    return rfm.power_law(case["a"], case["b"], case["M"], case["noise_var"])


def arguments(case):
    return dict(num_features=case["N"], num_samples=case["P"])


def name_of(case):
    return f"N={case['N']} P={case['P']} noise={case['noise_var']}"


each_case = pytest.mark.parametrize("case", CASES, ids=name_of)


def all_numbers(case):
    """Everything stored for a case, as the theory has it: label -> array."""
    problem, sizes = problem_of(case), arguments(case)
    flow = theory.predict(problem, **sizes, optimizer=rfm.GradientFlow(), times=case["times"])

    def average(numbers):
        flow = dict(optimizer=rfm.GradientFlow(), times=case["times"])
        return theory.predict(problem, **sizes, **flow, **numbers).risk

    descent = theory.predict(problem, **sizes, optimizer=rfm.GradientDescent(case["lr"]), times=case["gd_steps"])
    found = {
        "flow_test": flow.risk,
        "flow_train": flow.train_loss,
        "gd_test": descent.risk,
        "gd_train": descent.train_loss,
        **{f"flow_{name}": average(numbers) for name, numbers in PIECES.items()},
    }
    for ridge in case["ridge"]:
        curve = theory.predict(problem, **sizes, optimizer=rfm.Ridge(float(ridge)))
        found[f"ridge {ridge}"] = np.array([curve.risk[0], curve.train_loss[0]])
    limits = {"limit": sizes, "limit_N_only": dict(sizes, num_samples=np.inf)}
    limits["limit_P_only"] = dict(sizes, num_features=np.inf)
    for name, limit in limits.items():
        found[name] = theory.predict(problem, **limit, optimizer=rfm.Ridge(0.0)).risk[0]
    return found


@pytest.fixture(scope="module", params=CASES, ids=name_of)
def case_and_numbers(request):
    return request.param, all_numbers(request.param)


def test_reference_flow(case_and_numbers):
    case, found = case_and_numbers
    np.testing.assert_allclose(found["flow_test"], case["flow_test"], **close)
    np.testing.assert_allclose(found["flow_train"], case["flow_train"], **close_loss)


def test_reference_gradient_descent(case_and_numbers):
    case, found = case_and_numbers
    np.testing.assert_allclose(found["gd_test"], case["gd_test"], **close)
    np.testing.assert_allclose(found["gd_train"], case["gd_train"], **close_loss)


@pytest.mark.parametrize("piece", PIECES)
def test_reference_pieces(case_and_numbers, piece):
    case, found = case_and_numbers
    np.testing.assert_allclose(found[f"flow_{piece}"], case[f"flow_{piece}"], **close)


def test_reference_ridge(case_and_numbers):
    case, found = case_and_numbers
    for ridge, pair in case["ridge"].items():
        np.testing.assert_allclose(found[f"ridge {ridge}"], pair, rtol=1e-12)


@pytest.mark.parametrize("limit", ["limit", "limit_N_only", "limit_P_only"])
def test_reference_limits(case_and_numbers, limit):
    """t = infinity; where N = P there is none to store, and the theory says infinity."""
    case, found = case_and_numbers
    if case[limit] is None:
        assert case["N"] == case["P"]
        assert np.isposinf(found[limit])
    else:
        np.testing.assert_allclose(found[limit], case[limit], rtol=1e-12)


def test_same_numbers_with_x64_off(case_and_numbers):
    """Float64 is scoped to the call: with the flag off the results are numpy float64 and the same."""
    case, found = case_and_numbers
    with jax.enable_x64(False):
        again = all_numbers(case)
        assert not jax.config.jax_enable_x64
    for name, value in again.items():
        assert isinstance(value, np.ndarray | np.float64)
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, found[name], rtol=1e-12, atol=1e-15, err_msg=name)


@each_case
def test_wrong_problem_misses_the_reference(case):
    """Negative control: an exponent off by 1e-6 is seen."""
    wrong = rfm.power_law(case["a"] + 1e-6, case["b"], case["M"], case["noise_var"])
    curve = theory.predict(wrong, **arguments(case), optimizer=rfm.GradientFlow(), times=case["times"])
    assert np.max(np.abs(curve.risk / case["flow_test"] - 1)) > 1e-7


@pytest.mark.parametrize("case", ONE_PASS, ids=lambda case: f"N={case['N']} B={case['batch_size']}")
def test_reference_one_pass_sgd(case):
    """The stored curve was made with a kernel of its own quadrature: 3e-9 off at the last step."""
    optimizer = rfm.SGD(case["lr"], case["batch_size"])
    sizes = dict(num_features=case["N"], num_samples=np.inf)
    curve = theory.predict(problem_of(case), **sizes, optimizer=optimizer, times=case["steps"])
    np.testing.assert_allclose(curve.risk, case["sgd_test"], rtol=1e-8)
    assert curve.residual < 1e-12
