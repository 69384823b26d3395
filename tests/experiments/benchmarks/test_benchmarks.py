"""The benchmark compares like with like: its plain numpy gives the same numbers; and it runs."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from left_behind import outputs

import rfm
import theory
from experiments.benchmarks import plain
from experiments.compare.statistics import standard_error

ROOT = Path(__file__).parents[3]
SIZES = {"num_features": 100, "num_samples": 150}
LAW = plain.power_law(200)
PROBLEM = rfm.power_law(1.8, 1.5, 1000, 0.01)


def test_plain_theory_is_the_theory():
    times = np.geomspace(0.1, 1e5, 6)
    curve = theory.predict(PROBLEM, **SIZES, optimizer=rfm.GradientFlow(), times=times)
    np.testing.assert_allclose(plain.theory_curve(plain.power_law(1000), 100, 150, times), curve.risk, rtol=1e-10)
    ridge = theory.predict(PROBLEM, **SIZES, optimizer=rfm.Ridge(1e-3))
    np.testing.assert_allclose(plain.static_risk(plain.power_law(1000), 100, 150, 1e-3), ridge.risk[0], rtol=1e-10)


@pytest.mark.parametrize(
    ("risk", "optimizer", "times"),
    [
        (lambda drawn: plain.full_batch(LAW, drawn, np.array([50.0]))[0], rfm.GradientFlow(), [50.0]),
        (lambda drawn: plain.descent(LAW, drawn, 100, 0.5), rfm.GradientDescent(0.5), [100]),
        (lambda drawn: plain.sklearn_ridge(LAW, drawn, 1e-2), rfm.Ridge(1e-2), None),
    ],
)
def test_plain_simulation_is_the_simulation(risk, optimizer, times):
    """Means over 100 draws each, within four standard errors of their difference."""
    rng = np.random.default_rng(0)
    plainly = np.array([[risk(plain.draw(rng, LAW, 30, 40))] for _ in range(100)])
    args = {"num_features": 30, "num_samples": 40, "optimizer": optimizer, "times": times}
    ours = rfm.simulate(rfm.power_law(1.8, 1.5, 200, 0.01), **args, keys=jax.random.split(jax.random.key(0), 100)).risk
    gap = plainly.mean() - ours.mean()
    assert abs(gap) < 4 * np.hypot(standard_error(plainly)[0], standard_error(ours)[0])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_benchmark_runs(tmp_path):
    command = [sys.executable, "-m", "experiments.benchmarks", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in ("theory curve", "static risk", "gradient flow", "one-pass SGD", "peak memory", "full_batch ~ N^"):
        assert line in done.stdout
    rows, record = outputs(tmp_path, "benchmarks")
    assert all(float(row["seconds"] or row["ratio"]) > 0 for row in rows)
    assert record["settings"]["rates"]["multiply_add"] > 0
