"""Every scaling law of the table, measured on the theory, against its closed form; claims that fail do so by far."""

import numpy as np
import pytest

import rfm
from experiments.compare.laws import Law, all_laws
from experiments.compare.laws_conditioned import preconditioned_laws
from experiments.compare.statistics import log_slope
from experiments.papers.boopathy2024 import algorithms, noise
from experiments.papers.boopathy2024 import scale_time as st

TASKS = ((1.5, 1.25), (3.0, 1.25), (3.0, 1.5))
ROWS = [(task, law.name) for task in TASKS for law in all_laws(*task)]
FRONTIERS = ("compute", "compute size", "compute sgd")  # tested in test_frontier, slow to compile


@pytest.mark.parametrize(("task", "name"), [row for row in ROWS if row[1] not in FRONTIERS], ids=str)
def test_theory_reaches_the_closed_form(task, name):
    (law,) = (law for law in all_laws(*task) if law.name == name)
    assert abs(law.measured() - law.closed) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), [row for row in ROWS if row[1] in FRONTIERS], ids=str)
def test_frontiers_reach_the_closed_form(task, name):
    test_theory_reaches_the_closed_form(task, name)


@pytest.mark.parametrize("task", TASKS[:2], ids=str)
def test_preconditioned_laws(task):
    """Power 1/2, above and below the damping, with amplitudes; laws of a quarter are refused."""
    known = {law.name: law for law in preconditioned_laws(*task, rfm.Preconditioned(0.5, 0.01))}
    other = {law.name: law for law in preconditioned_laws(*task, rfm.Preconditioned(0.25, 0.01))}
    for name in ("time preconditioned", "time damped"):
        law = known[name]
        assert abs(law.measured() - law.closed) < 0.01
        assert law.curve(np.array([law.at]))[0] == pytest.approx(law.amplitude * law.at**-law.closed, rel=1e-3)
    assert abs(other["time preconditioned"].measured() - known["time preconditioned"].closed) > 0.1
    none = {law.name: law.closed for law in preconditioned_laws(*task, rfm.Preconditioned(0.0, 0.01))}
    usual = {law.name: law.closed for law in all_laws(*task)}
    assert all(none[f"{name} preconditioned"] == usual[name] for name in ("time", "compute", "compute size"))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS[:2], ids=str)
def test_preconditioned_frontiers(task):
    known = {law.name: law for law in preconditioned_laws(*task, rfm.Preconditioned(0.5, 0.01))}
    for name in ("compute preconditioned", "compute size preconditioned"):
        assert abs(known[name].measured() - known[name].closed) < 0.01


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_exponents_have_one_sign(task):
    """Positive where a quantity falls; what grows is negative, and says so."""
    for law in all_laws(*task):
        assert (law.closed < 0) == law.label.endswith("(grows)"), law.name


def test_claims_that_fail():
    """S1's model and compute exponents beyond a - 1 = b, S3's equal amplitudes; all others hold."""
    failing = {
        (task, law.name) for task in TASKS for law in all_laws(*task)
        if law.claim is not None and abs(law.claim - law.closed) > 0.01
    }  # fmt: skip
    easy = [task for task in TASKS if task[0] - 1 > task[1]]
    assert failing == {(task, name) for task in easy for name in ("model", "compute")} | {((1.5, 1.25), "duality")}


def test_flat_teacher():
    """S3: a = b = 1 + alpha_K, where data and model exponents are alpha_K and their amplitudes agree."""
    rows = {law.name: law for law in all_laws(1.5, 1.5)}
    assert rows["kernel"].claim == rows["kernel"].closed == 0.5
    for name in ("kernel", "model", "data", "duality"):
        assert abs(rows[name].measured() - rows[name].closed) < 0.01
    assert rows["duality"].closed == pytest.approx(1.0, rel=1e-12)


def test_a_wrong_curve_is_noticed():
    """Negative control: the slope of another law."""
    law = Law("x", "x", "x", 0.5, lambda x: x**-0.6, 1e6, (1.0, 1e6))
    assert law.measured() == pytest.approx(0.6, abs=1e-10)


# scale-time equivalence


def test_times_to_a_risk():
    x = np.geomspace(1, 100, 8)
    found = st.times_to_risk(x, x**-0.5, (2.0, 0.5, 0.01))
    assert found[0] == 1.0
    assert found[1] == pytest.approx(4.0, rel=1e-12)
    assert np.isinf(found[2])


def test_collapse_exponent_of_known_curves():
    """risk = (1 + N^0.7 t)^-0.4."""
    sizes, t = (100, 300, 1000), np.geomspace(1e-4, 1e3, 400)
    risks = np.array([(1 + n**0.7 * t) ** -0.4 for n in sizes])
    gamma, spread = st.collapse_exponent(sizes, np.tile(t, (3, 1)), risks, np.array([0.8, 0.5, 0.3]))
    assert gamma == pytest.approx(0.7, abs=1e-3)
    assert spread < 1e-3


SIZES = (64, 128, 256, 512, 1024, 2048, 4096)


@pytest.fixture(scope="module")
def risks():
    return np.array([st.risk_by_clock(rfm.power_law(1.5, 1.25, None), n) for n in SIZES])


def test_a_larger_model_is_a_faster_clock_by_normalization_only(risks):
    """T1: time to a risk ~ N^-1 with features of variance 1, N^0 with 1/N; T2: never, below the floor."""
    times = np.array([st.times_to_risk(st.CLOCK, risk) for risk in risks])
    large = slice(3, None)
    assert log_slope(SIZES[large], times[large, 0]) == pytest.approx(0.0, abs=0.03)
    assert log_slope(SIZES[large], times[large, 0] / SIZES[large]) == pytest.approx(-1.0, abs=0.03)
    assert np.isinf(times[0, 1])
    assert np.isinf(times[2, 2])
    # from N = 256 on each level takes less time the larger the model, and less and less so
    assert np.all(np.diff(times[3:, 2]) < 0)


def test_error_of_the_rule():
    """T4: N^-1 (N t)^(1/b) for a - 1 < b, and (N t)^((a - b)/b) beyond."""
    for a, b, growth in ((1.5, 1.25, 0.8), (3.5, 1.5, 4 / 3)):
        clock = np.geomspace(10.0, (0.02 * st.LAW[0]) ** (1 / growth), 9)
        error = st.rule_error(rfm.power_law(a, b, None), *st.LAW, clock)
        assert log_slope(clock, error) == pytest.approx(growth, abs=0.03)
        smaller = st.rule_error(rfm.power_law(a, b, None), st.LAW[0] / 2, st.LAW[1] / 2, clock[:3])
        np.testing.assert_allclose(smaller / error[:3], 2.0, rtol=0.02)


def test_noise_collapses():
    """T5: one number over two sizes and three amounts of data."""
    ratios = [row["ratio"] for row in noise.noise_collapse(1.5, 1.25) if row["clock"] > 50]
    assert max(ratios) / min(ratios) < 1.15


@pytest.mark.slow
def test_adam_has_another_clock():
    """T6: steps to a risk ~ N^-1 for all with features of variance 1; with 1/N, N^0 and for the others N^-1/2."""
    setting = st.Setting(seed=3, modes=1000, seeds=8, stepped=(32, 256))
    expected = {"gradient descent": 0.0, "Adam": 0.5, "sign-SGD": 0.5}
    for parametrization, more in (("standard", (1.0, 0.5, 0.5)), ("ntk", (0.0, 0.0, 0.0))):
        for name, shift in zip(st.T6_ALGORITHMS, more, strict=True):
            pairs = algorithms.train(setting, parametrization, name)
            steps = np.array([algorithms.steps_to_risk(setting, pair.risks) for pair in pairs])  # (sizes, S)
            each = -np.polyfit(np.log(setting.stepped), np.log(steps), 1)[0]
            # the smallest models are slowed by their floor, a shift of less than 0.15
            assert abs(each.mean() - expected[name] - shift) < 0.15 + 3 * each.std(ddof=1) / np.sqrt(8), (name, each)
