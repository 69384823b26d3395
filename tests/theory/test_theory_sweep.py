"""`theory.sweep` beside `theory.predict`, point by point; and the host as a refuge from weak accelerators."""

import contextlib
import dataclasses

import jax
import numpy as np
import pytest
from tolerances import CONTOUR, ROUNDING

import rfm
import theory
from rfm import precision
from theory import _sweep
from theory._sweep import _points

TIMES = [1, 5, 40, 300]
SIZES = {"num_features": 30, "num_samples": 40}
ONE_PASS = {"num_features": 30, "num_samples": np.inf}


@pytest.mark.parametrize(
    ("optimizer", "grid", "sizes"),
    [
        (rfm.GradientFlow(), {"num_features": [30, 60.5], "num_samples": [40, np.inf], "a": [1.5, 2.0]}, {}),
        (rfm.GradientDescent(0.3), {"num_modes": [700, 900], "lr": [0.1, 0.5]}, SIZES),
        pytest.param(
            rfm.GradientDescent(0.3), {"num_modes": [300, 700], "bags": [1, 2]}, SIZES, marks=pytest.mark.slow
        ),
        pytest.param(rfm.HeavyBall(0.2, 0.1), {"momentum": [0.0, 0.5]}, SIZES, marks=pytest.mark.slow),
        pytest.param(
            rfm.SGD(0.2, 4), {"batch_size": [2, 8], "noise_var": [0.0, 0.2]}, ONE_PASS, marks=pytest.mark.slow
        ),
        pytest.param(rfm.SGD(0.2, 4), {"ensemble": [1, 3]}, ONE_PASS, marks=pytest.mark.slow),
        (rfm.Ridge(0.1), {"ridge": [0.0, 0.01], "b": [1.2, 1.6]}, SIZES),
    ],
)  # fmt: skip
def test_every_point_is_a_prediction(optimizer, grid, sizes, monkeypatch):
    """Every axis is traced, sizes too: other values on the same axes compile nothing, and few points nothing at all."""
    problem = rfm.power_law(1.8, 1.5, 700, 0.05)
    times = None if isinstance(optimizer, rfm.Ridge) else TIMES
    programs = _points._cache_size()
    few = theory.sweep(problem, grid, optimizer=optimizer, times=times, **sizes)
    assert _points._cache_size() == programs
    monkeypatch.setattr(_sweep, "FEW", 0)
    swept = theory.sweep(problem, grid, optimizer=optimizer, times=times, **sizes)
    programs = _points._cache_size()
    factors = {"num_modes": 1, "batch_size": 2, "ensemble": 2, "bags": 2}
    np.testing.assert_allclose(few.risk, swept.risk, rtol=CONTOUR)
    np.testing.assert_allclose(few.train_loss, swept.train_loss, rtol=1e-8, atol=ROUNDING)
    others = {name: factors.get(name, 1.1) * np.array(values) for name, values in grid.items()}
    moved = theory.sweep(problem, others, optimizer=optimizer, times=times, **sizes)
    assert _points._cache_size() == programs > 0
    assert np.any(moved.risk != swept.risk)
    assert swept.risk.shape == (*(len(v) for v in grid.values()), 1 if times is None else 4)
    names = [f.name for f in dataclasses.fields(optimizer)]
    for index in np.ndindex(swept.risk.shape[:-1]):
        point = {name: values[i] for (name, values), i in zip(grid.items(), index, strict=True)}
        law = {"a": 1.8, "b": 1.5, "num_modes": 700, "noise_var": 0.05, **point}
        here = rfm.power_law(*(law[name] for name in ("a", "b", "num_modes", "noise_var")))
        algorithm = dataclasses.replace(optimizer, **{n: v for n, v in point.items() if n in names})
        own = ("num_features", "num_samples", "ensemble", "bags")
        arguments = {**sizes, **{n: v for n, v in point.items() if n in own}}
        curve = theory.predict(here, **arguments, optimizer=algorithm, times=times)
        # more nodes than one point alone would get, where momentum is an axis
        np.testing.assert_allclose(swept.curve(**point).risk, curve.risk, rtol=1e-9)
        np.testing.assert_allclose(swept.curve(**point).train_loss, curve.train_loss, rtol=1e-8, atol=1e-12)
        assert swept.curve(**point).kind == curve.kind


@pytest.mark.parametrize("few", [0, _sweep.FEW])
def test_beyond_stability_is_infinite(few, monkeypatch):
    """On the axes of a grid above, whose program serves here, and without one."""
    monkeypatch.setattr(_sweep, "FEW", few)
    grid = {"num_modes": [700, 900], "lr": [0.3, 5.0]}
    swept = theory.sweep(rfm.power_law(1.8, 1.5, 700), grid, optimizer=rfm.GradientDescent(0.1), times=TIMES, **SIZES)
    assert np.isfinite(swept.risk[:, 0]).all()
    assert np.isinf(swept.risk[:, 1]).all()
    assert swept.diverged.tolist() == 2 * [[False, True]]
    assert swept.mean().shape == (2, 2, 4)
    assert not swept.stderr().any()


@pytest.mark.parametrize(
    ("grid", "sizes", "text"),
    [
        ({"depth": [1]}, {}, "`grid` must be of axes"),
        ({"lr": [0.1]}, dict(num_features=3), "`num_samples` must be either"),
        ({"num_samples": [0]}, dict(num_features=3), "`num_samples` must be numbers >= 1"),
        ({"lr": [0.1]}, dict(num_features=3, num_samples=4, parametrization="x"), "`parametrization` must be"),
        (
            {"num_features": [3, np.inf]},
            dict(num_samples=4, parametrization="standard"),
            "`num_features` must be finite",
        ),
        ({"lr": [0.1]}, dict(num_features=3, num_samples=4, ensemble=0.5), "`ensemble` must be"),
    ],
)
def test_wrong_arguments(grid, sizes, text):
    with pytest.raises(ValueError, match=text):
        theory.sweep(rfm.white(4), grid, optimizer=rfm.GradientDescent(0.1), times=TIMES, **sizes)


def test_one_pass_and_samples_used_again_are_no_axis():
    with pytest.raises(ValueError, match=r"`num_samples` must be all finite, or all infinite"):
        theory.sweep(rfm.white(4), {"num_samples": [np.inf, 16]}, num_features=3, optimizer=rfm.SGD(0.1), times=TIMES)


def test_infinitely_many_modes():
    """Beside finite ones, and with exponents as axes."""
    args = {"num_features": 30, "num_samples": 40, "optimizer": rfm.Ridge(0.01)}
    swept = theory.sweep(rfm.power_law(1.8, 1.5, None), {"a": [1.5, 1.8], "num_modes": [900, np.inf]}, **args)
    for a, num_modes in ((1.5, 900), (1.8, None)):
        own = theory.predict(rfm.power_law(a, 1.5, num_modes), **args)
        np.testing.assert_allclose(swept.curve(a=a, num_modes=num_modes or np.inf).risk, own.risk, rtol=1e-12)


def test_host_where_the_accelerator_has_no_complex128(monkeypatch):
    """It is told, and the numbers are the same; a single curve is numpy's and needs no accelerator."""
    monkeypatch.setattr(_sweep, "FEW", 0)
    args = dict(optimizer=rfm.Ridge(0.1), **SIZES)
    problem = rfm.power_law(1.8, 1.5, 700, 0.05)
    grid = {"ridge": [0.0, 0.01], "b": [1.2, 1.6]}  # as above
    before = theory.sweep(problem, grid, **args)
    used = []

    def lacking(backend):
        used.append(backend)
        return False

    monkeypatch.setattr(precision, "_has_complex128", lacking)
    with pytest.warns(RuntimeWarning, match="cpu backend has no complex128: the theory runs on the host"):
        after = theory.sweep(problem, grid, **args)
    np.testing.assert_array_equal(after.risk, before.risk)
    assert used == [jax.default_backend()]
    theory.predict(problem, **args)
    assert len(used) == 1


def test_the_probe_tells_precisions_apart(monkeypatch):
    """Where complex128 is computed as complex64, the digits are missed."""
    probe, off = precision._has_complex128.__wrapped__, jax.enable_x64
    assert probe("any backend that computes as this one does")
    monkeypatch.setattr(precision.jax, "enable_x64", lambda on: contextlib.nullcontext())
    with off(False):
        assert not probe("one without")
