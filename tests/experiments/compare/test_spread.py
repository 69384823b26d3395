"""Theory of one model beside simulated draws: what the next order and the scatter make of points, z and verdicts."""

import numpy as np
import pytest

import rfm
import theory
from experiments.compare.comparison import Comparison, with_size
from experiments.compare.spread import (
    HEAD,
    Spread,
    beside,
    joined,
    judge_all,
    spread_along,
    spread_at,
    spread_in_time,
    spread_of,
    standard_scores,
)

X = np.array([16.0, 64.0, 128.0, 256.0])
THEORY = Spread(X, np.array([1.0, 0.5, 1.0, 0.4]), np.array([1.05, 0.51, 1.4, 0.403]), np.array([0.1, 0.04, 0.6, 0.02]))


def drawn(seeds, shift=0.0, wider=1.0):
    rng = np.random.default_rng(3)
    risks = THEORY.mean * (1.0 + shift) + wider * THEORY.std * rng.standard_normal((seeds, len(X)))
    return beside(Comparison("features", X, risks, np.empty(0), {"P": 128.0}), THEORY)


def told(pair):
    _, row = judge_all(["N"], [pair], [THEORY])
    return dict(zip(HEAD, row, strict=True))


def test_a_large_next_order_is_no_theory():
    assert THEORY.small.tolist() == [True, True, False, True]
    assert np.isnan(THEORY.line).tolist() == [False, False, True, False]


def test_scores_are_in_standard_errors_of_theory():
    pair = drawn(2)
    by_hand = (pair.risks.mean(0) - THEORY.mean) / (THEORY.std / np.sqrt(2))
    np.testing.assert_allclose(standard_scores(pair), by_hand, rtol=1e-12)
    far = standard_scores(drawn(4000, shift=0.02))
    assert np.all(far[[0, 1, 3]] > 5)  # 2 % of 0.51 is 16 standard errors


def test_verdicts_of_the_right_theory_and_of_wrong_ones():
    right, level, wide = told(drawn(4000)), told(drawn(4000, shift=0.06)), told(drawn(4000, wider=1.1))
    assert right["verdict"].startswith("agrees")
    assert right["points"] == "3 of 4"
    assert level["verdict"].startswith("level differs by +5.9")  # log 1.06
    assert abs(float(right["std"]) - 1.0) < 0.03
    assert abs(float(wide["std"]) - 1.1) < 0.03
    assert told(drawn(3))["verdict"].startswith("cannot tell 3 %")


def test_nothing_is_said_where_no_point_is_left():
    far = Spread(X, THEORY.leading, 2 * THEORY.leading, THEORY.std)
    assert judge_all(["N"], [beside(drawn(4), far)], [far])[1] == (
        "N",
        "-",
        "-",
        "-",
        "0 of 4",
        "the next order is large",
    )


def test_scatter_between_times_is_interpolated():
    problem, times = rfm.power_law(1.8, 1.5, 100, 0.1), rfm.log_times(0.1, 1e3, 25)
    call = dict(num_features=40, num_samples=60, optimizer=rfm.GradientFlow(), times=times)
    leading = theory.predict(problem, **call).risk
    every, some = spread_of(problem, **call), spread_in_time(problem, leading, 13, **call)
    np.testing.assert_allclose(some.mean, every.mean, rtol=1e-12)
    # times share the nodes of their contours, and which ones depends on the others: each std is good to 1e-8
    np.testing.assert_allclose(some.std[::2], every.std[::2], rtol=1e-8)
    assert some.std == pytest.approx(every.std, rel=0.02)
    np.testing.assert_allclose(every.leading, leading)


@pytest.mark.parametrize("axis", ["features", "samples"])
def test_mean_and_scatter_between_sizes_are_interpolated(axis):
    problem, held = rfm.power_law(1.8, 1.5, 100, 0.1), dict(num_features=64, num_samples=64)
    how, x = dict(optimizer=rfm.GradientFlow(), times=[1e4]), np.geomspace(16, 256, 9)
    every = spread_at(x, [spread_of(problem, **with_size(axis, n, held), **how) for n in x])
    some = spread_along(problem, axis, x, every.leading, around=x[[0, 2, 4, 6, 8]], held=held | how)
    np.testing.assert_allclose(some.mean[::2], every.mean[::2], rtol=1e-12)
    np.testing.assert_allclose(some.std[::2], every.std[::2], rtol=1e-12)
    away = np.abs(np.log(x / 64)) > 0.3
    assert some.mean == pytest.approx(every.mean, rel=0.02)
    assert some.mean[away] == pytest.approx(every.mean[away], rel=0.01)
    assert some.std == pytest.approx(every.std, rel=0.1)


def test_strong_momentum_has_a_mean_alone():
    problem, sizes = rfm.power_law(1.8, 1.5, 100, 0.1), dict(num_features=40, num_samples=60)
    call = dict(**sizes, optimizer=rfm.HeavyBall(0.1, 0.92), times=np.array([10.0, 30.0, 100.0, 300.0]))
    leading = theory.predict(problem, **call).risk
    spread = spread_in_time(problem, leading, 4, **call)
    np.testing.assert_allclose(spread.mean, theory.predict(problem, correction=True, **call).risk)
    assert np.isnan(spread.std).all()
    assert spread.small.all()
    risks = rfm.simulate(problem, seeds=8, **call).risk
    pair = beside(Comparison("time", call["times"], risks, np.empty(0), {"N": 40, "P": 60}), spread)
    np.testing.assert_array_equal(standard_scores(pair), pair.z)
    _, row = judge_all(["t"], [pair], [spread])
    assert dict(zip(HEAD, row, strict=True))["std"] == "-"
    weaker = spread_of(problem, **(call | {"optimizer": rfm.HeavyBall(0.1, 0.5), "times": call["times"][:2]}))
    assert (weaker.std > 0.0).all()


@pytest.mark.parametrize("size", [16, 100, 128, 129, 700])
def test_points_of_a_line_that_differ_by_rounding_are_one(size):
    points = [size / 8, size / 2, size, 4.0 * size]
    x = joined(points, np.geomspace(points[0], points[-1], 21) * (1.0 + 1e-15))
    assert set(points) <= set(x)
    assert np.all(np.diff(np.log(x)) > 1e-3)
