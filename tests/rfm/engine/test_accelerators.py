"""Paths of programs on accelerators, tried on the host: batched, on four forced devices, with products in full."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from tolerances import ROUNDING, SAME_SUMS

import rfm
from rfm import devices
from rfm.engine.batches import draw_batch, of_draws, solve_batch
from rfm.engine.curvature import eigenvalues
from rfm.engine.plans import Plan, Task
from rfm.engine.requests import Request
from rfm.engine.simulation import plan_simulation
from rfm.precision import arithmetic

PROBLEM = rfm.power_law(1.8, 1.5, 60, noise_var=0.1)
KEYS = jax.random.split(jax.random.key(1), 6)
TIMES = [1.0, 4.0, 90.0]
CHILD = """
import json, sys, jax, rfm
jax.config.update("jax_enable_x64", True)
problem = rfm.power_law(1.8, 1.5, 2500, noise_var=0.1)
args = dict(num_features=7, num_samples=12, times=[1.0, 4.0, 90.0], keys=jax.random.split(jax.random.key(1), 6))
curves = [rfm.simulate(problem, optimizer=optimizer, split=split, device=device, **args)
          for optimizer in (rfm.GradientDescent(0.3), rfm.GradientFlow())[: int(sys.argv[1])]
          for split, device in (("runs", "cpu"), ("runs", None), ("modes", None))]
print(json.dumps([len(jax.devices()), [[c.risk.tolist(), c.train_loss.tolist()] for c in curves]]))
"""


def simulate(optimizer, **changed):
    times = None if isinstance(optimizer, rfm.Ridge) else TIMES
    args = dict(num_features=7, num_samples=12, times=times, keys=KEYS) | changed
    return rfm.simulate(PROBLEM, optimizer=optimizer, **args)


def planned(optimizer, bounded=False):
    """A plan of six runs, its task, and the programs that draw them as one, lowered."""
    plan = plan_simulation(Request(PROBLEM, 7, 12, optimizer, TIMES, KEYS))._replace(bounded=bounded)
    numbers = {"noise_var": np.full(len(KEYS), 0.1)}
    drawing = jax.jit(draw_batch, static_argnums=0).lower(plan, PROBLEM, None, KEYS, numbers)
    return plan, Task(PROBLEM, optimizer, np.array(TIMES)), drawing


@pytest.fixture
def _accelerator(monkeypatch):
    """Programs as for an accelerator, here; forgotten afterwards."""
    jax.clear_caches()
    monkeypatch.setattr(devices, "on_cpu", lambda: False)
    yield
    jax.clear_caches()


@pytest.mark.parametrize(
    "optimizer",
    [
        rfm.GradientFlow(),
        *(pytest.param(x, marks=pytest.mark.slow) for x in (rfm.GradientDescent(0.3), rfm.Ridge(0.1))),
    ],
    ids=lambda x: type(x).__name__,
)
def test_all_runs_at_once(request, optimizer):
    """Batched numbers are those of runs one after another, and eigensystems are one call for all of them."""
    before = simulate(optimizer)
    _, _, one_by_one = planned(rfm.GradientFlow())
    request.getfixturevalue("_accelerator")
    curve = simulate(optimizer)
    np.testing.assert_allclose(curve.risk, before.risk, rtol=SAME_SUMS)
    np.testing.assert_allclose(curve.train_loss, before.train_loss, rtol=SAME_SUMS, atol=ROUNDING)
    _, _, at_once = planned(rfm.GradientFlow())
    for program, shape, other in ((one_by_one, "7x7", "6x7x7"), (at_once, "6x7x7", "7x7")):
        calls = [line for line in program.as_text().splitlines() if "custom_call @lapack_dsyevd" in line]
        assert calls
        assert all(f"(tensor<{shape}xf64>)" in line and f"(tensor<{other}xf64>)" not in line for line in calls)


@pytest.mark.parametrize("algorithms", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_four_devices_are_one(algorithms):
    """Six runs on four devices, which share runs or modes, and on one of them: steps, and gradient flow beside them."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": os.pathsep.join(sys.path), "JAX_PLATFORMS": "cpu"}
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, str(algorithms)], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    count, curves = json.loads(ended.stdout)
    assert count == 4
    assert len(curves) == 3 * algorithms
    for start in range(0, len(curves), 3):
        for other in curves[start + 1 : start + 3]:
            np.testing.assert_allclose(other, curves[start], rtol=1e-11, atol=ROUNDING)


def test_single_precision_is_not_less():
    """Products of float32 matrices ask for all of their digits: the default of a GPU has ten bits, of a TPU seven."""
    for dtype, precision in (("float32", "HIGHEST"), ("float64", "DEFAULT")):
        with arithmetic(dtype):
            plan, task, drawing = planned(rfm.GradientDescent(np.float32(0.3)))
            batch = jax.eval_shape(
                lambda plan=plan: draw_batch(plan, PROBLEM, None, KEYS, {"noise_var": np.full(len(KEYS), 0.1)})
            )
            solving = jax.jit(solve_batch, static_argnums=0).lower(plan, task, batch)
            texts = [drawing.as_text(), solving.as_text()]
        products = [line for text in texts for line in text.splitlines() if "dot_general" in line]
        assert products
        assert all(f"[{precision}, {precision}]" in line for line in products if "precision" in line)
        assert any("precision" in line for line in products) or dtype == "float64"


def test_steps_ask_for_no_eigensystems():
    """A bound that is above every curvature, and by little where they fall fast, tells that steps are stable."""
    plan, _, program = planned(rfm.GradientDescent(0.3), bounded=True)
    assert "syevd" not in program.as_text()
    batch = draw_batch(plan, PROBLEM, None, KEYS, {"noise_var": np.full(len(KEYS), 0.1)})
    largest = np.asarray(of_draws(eigenvalues, plan, None, batch.draws)).max(1)
    assert np.all((np.asarray(batch.bounds) > largest) & (np.asarray(batch.bounds) < 1.2 * largest))
    assert isinstance(plan, Plan)


def test_stability_is_that_of_the_curvatures():
    """Where curvatures are equal the bound is far above them and they are looked at: accepted below, refused above."""
    white = rfm.white(40)
    args = dict(num_features=8, num_samples=30, keys=KEYS)
    drawn = rfm.simulate(white, **args, optimizer=rfm.GradientFlow(), times=[0.0, 1.0])
    assert drawn.converged
    with pytest.raises(ValueError, match=r"`lr` must be < [\d.]+ = 2/.z_max \+ weight_decay.") as refused:
        rfm.simulate(white, **args, optimizer=rfm.GradientDescent(50.0), times=[1])
    bound = float(str(refused.value).split("< ")[1].split(" ")[0])
    curve = rfm.simulate(white, **args, optimizer=rfm.GradientDescent(0.999 * bound), times=[1, 10])
    assert curve.converged
    with pytest.raises(ValueError, match="`lr` must be <"):
        rfm.simulate(white, **args, optimizer=rfm.GradientDescent(1.001 * bound), times=[1])
