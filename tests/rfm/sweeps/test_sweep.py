"""Numbers of a sweep: those of `simulate`, whatever the grid, its order, the batch and the seeds beside them."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sweeps
from compilations import compilations
from sweeps import ARGUMENTS, GRID, PROBLEM, SEEDS
from tolerances import ROUNDING, SAME_SUMS

import rfm
import theory
from rfm.engine import padding
from rfm.sweeps import work

TIMES = [1, 4, 20, 100]
SIZES = {"num_features": 9, "num_samples": 16}
ONE_PASS = {"num_features": 9, "num_samples": np.inf}
KEYS = jax.random.split(jax.random.key(3), SEEDS)


@pytest.mark.parametrize(
    ("optimizer", "grid", "sizes"),
    [
        pytest.param(
            rfm.GradientFlow(), {"num_features": [9, 12], "a": [1.5, 2.0]}, {"num_samples": 16},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            rfm.GradientFlow(), {"num_samples": [16, np.inf], "b": [1.2, 1.5]}, {"num_features": 9},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            rfm.HeavyBall(0.2, 0.5), {"momentum": [0.1, 0.9], "num_modes": [700, 900]}, SIZES, marks=pytest.mark.slow
        ),
        (rfm.SGD(0.1, 2), {"batch_size": [1, 3], "lr": [0.1, 0.2], "noise_var": [0.0, 1.0]}, ONE_PASS),
        pytest.param(
            rfm.SGD(0.1, 2), {"batch_size": [3], "momentum": [0.0, 0.3]}, SIZES, marks=pytest.mark.slow
        ),
        pytest.param(
            rfm.Optax(optax.adam, {"learning_rate": 0.1}), {"learning_rate": [0.01, 0.1]}, SIZES,
            marks=pytest.mark.slow,
        ),
        (rfm.Ridge(0.1), {"ridge": [0.0, 1e-3]}, SIZES),
        pytest.param(
            rfm.GradientDescent(0.3), {"ensemble": [1, 2], "noise_var": [0.0, 0.2]}, {**SIZES, "bags": 2},
            marks=pytest.mark.slow,
        ),
        (rfm.GradientDescent(lambda count: 0.5 / (1 + count)), {"weight_decay": [0.0, 0.1]}, SIZES),
    ],
)  # fmt: skip
def test_every_point_is_a_simulation(optimizer, grid, sizes):
    """Each point of a grid beside `simulate` on the keys of that point."""
    problem = rfm.power_law(1.8, 1.5, 700, 0.05)
    times = None if isinstance(optimizer, rfm.Ridge) else TIMES
    swept = rfm.sweep(problem, grid, KEYS, optimizer=optimizer, times=times, **sizes)
    assert swept.risk.shape == (*(len(values) for values in grid.values()), SEEDS, 1 if times is None else 4)
    for index in np.ndindex(swept.risk.shape[:-2]):
        point = {name: float(values[i]) for (name, values), i in zip(grid.items(), index, strict=True)}
        law = {**{"a": 1.8, "b": 1.5, "num_modes": 700, "noise_var": 0.05}, **point}
        here = rfm.power_law(law["a"], law["b"], law["num_modes"], law["noise_var"])
        names = [f.name for f in dataclasses.fields(optimizer)]
        algorithm = dataclasses.replace(optimizer, **{n: v for n, v in point.items() if n in names})
        if isinstance(optimizer, rfm.Optax):
            algorithm = rfm.Optax(optax.adam, point)
        own = {**sizes, **{n: v for n, v in point.items() if n in ("num_features", "num_samples", "ensemble")}}
        curve = rfm.simulate(here, **own, optimizer=algorithm, times=times, keys=swept.keys_at(**point))
        np.testing.assert_allclose(swept.curve(**point).risk, curve.risk, rtol=1e-11)
        np.testing.assert_allclose(swept.curve(**point).train_loss, curve.train_loss, rtol=1e-9, atol=1e-15)
        assert swept.curve(**point).kind == curve.kind
        assert swept.curve(**point).converged


def test_exact_solutions_are_swept_too():
    grid = {"lr": [0.1, 0.4], "num_features": [9]}
    args = {"num_samples": np.inf, "times": TIMES}
    swept = rfm.sweep(PROBLEM, grid, KEYS, optimizer=rfm.SGD(0.1, 2), exact=True, **args)
    point = {"lr": 0.4, "num_features": 9}
    curve = rfm.exact(PROBLEM, num_features=9, optimizer=rfm.SGD(0.4, 2), keys=swept.keys_at(**point), **args)
    np.testing.assert_allclose(swept.curve(**point).risk, curve.risk, rtol=1e-12)
    assert swept.kind == "exact given the draw"


def test_small_shapes_share_a_compilation():
    """32 settings with 16 seeds over 4 shapes; other numbers compile nothing."""
    from rfm.engine.batches import run_batch

    grid = {
        "num_features": [7, 8],
        "num_samples": [10, 11],
        "lr": np.linspace(0.05, 0.25, 4),
        "noise_var": np.arange(2.0),
    }
    keys = jax.random.split(jax.random.key(0), 16)
    before = run_batch._cache_size()
    swept = rfm.sweep(PROBLEM, grid, keys, **ARGUMENTS)
    assert swept.risk.shape == (2, 2, 4, 2, 16, 4)
    assert run_batch._cache_size() == before + 1
    rfm.sweep(PROBLEM, {**grid, "noise_var": grid["noise_var"] + 5}, keys, **ARGUMENTS)
    assert run_batch._cache_size() == before + 1


@pytest.mark.slow
def test_a_scan_over_sizes_compiles_few_programs(monkeypatch):
    """Thirteen sizes are four programs at most, on the same draws; without longer arrays one a size."""
    problem, sizes = rfm.power_law(1.8, 1.5, 1300, 0.1), np.unique(np.geomspace(8, 400, 13).astype(int))
    args = dict(optimizer=rfm.GradientFlow(), times=[1.0, 10.0, 100.0], num_samples=np.inf)
    rfm.sweep(problem, {"num_features": [8]}, KEYS, **args)  # what is compiled for keys and the like
    with compilations() as compiled:
        swept = rfm.sweep(problem, {"num_features": sizes}, KEYS, **args)
    assert 0 < len(compiled) <= 4
    monkeypatch.setattr(padding, "STEPS", ())
    with compilations() as each:
        itself = rfm.sweep(problem, {"num_features": sizes[[0, 6]]}, KEYS, **args)
    assert len(each) == 2
    for name in ("risk", "train_loss"):
        np.testing.assert_allclose(getattr(swept, name)[[0, 6]], getattr(itself, name), rtol=SAME_SUMS, atol=ROUNDING)


LENGTHS = [(40, 100), (128, 128), (33, 20), (48, np.inf), (np.inf, 48)]
ALIKE = {"descent": rfm.GradientDescent(0.5), "ridge": rfm.Ridge(0.1)}
SLOW = [
    ("descent", LENGTHS[4]),
    ("ridge", LENGTHS[2]),
    ("ridge", LENGTHS[3]),
]  # each kind of length is there by the other


@pytest.mark.parametrize("seeds", [2, pytest.param(SEEDS, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "lengths"),
    [
        pytest.param(*case, marks=pytest.mark.slow if case in SLOW else ())
        for case in ((name, lengths) for name in ALIKE for lengths in LENGTHS)
    ],
    ids=str,
)
def test_how_many_runs_share_a_batch_does_not_matter(name, lengths, seeds):
    """Bit for bit: with sums over 100 rows, the training loss of a batch was rounded by how many runs were in it."""
    args = dict(optimizer=ALIKE[name], times=None if name == "ridge" else [1, 4, 100])
    args |= dict(num_features=lengths[0], num_samples=lengths[1])
    whole = rfm.sweep(PROBLEM, {"noise_var": [0.0, 0.1, 0.2]}, KEYS, **args)
    part = rfm.sweep(PROBLEM, {"noise_var": [0.1]}, KEYS[:seeds], **args)
    np.testing.assert_array_equal(part.risk[0], whole.risk[1, :seeds])
    np.testing.assert_array_equal(part.train_loss[0], whole.train_loss[1, :seeds])


def test_sizes_are_counted_before_arrays_are_built():
    """Points, seeds and times that do not fit, runs and sweeps that nobody would live to see."""
    args = dict(num_features=9, num_samples=16, optimizer=rfm.GradientDescent(0.1), times=[1])
    many = np.broadcast_to(0.1, 10**10)  # takes no memory itself
    with pytest.raises(ValueError, match=r"`noise_var` must be fewer: 10000000000 points take .* GB"):
        rfm.sweep(PROBLEM, {"noise_var": many}, KEYS, **args)
    with pytest.raises(ValueError, match="`lr` must be fewer: 10000000000 points take"):
        theory.sweep(PROBLEM, {"lr": many, "noise_var": [0.1]}, **args)
    with pytest.raises(ValueError, match="`times` must be fewer: 1 points x 5 keys x 1000000000 times take"):
        rfm.sweep(PROBLEM, {"lr": [0.1]}, KEYS, **args | dict(times=range(10**9)))
    with pytest.raises(ValueError, match=r"`times` must be smaller: one run would take .* days"):
        rfm.sweep(PROBLEM, {"lr": [0.1]}, KEYS, **args | dict(times=[1, 10**12]))
    with pytest.raises(ValueError, match=r"`lr` must be fewer: the sweep would take .* years"):
        rfm.sweep(PROBLEM, {"lr": np.linspace(0.1, 0.2, 3000)}, KEYS, **args | dict(times=[1, 2 * 10**9]))


def test_order_batch_and_grid_do_not_matter(whole):
    """Bit for bit: axes backwards, two runs a batch, a point by itself, half of the seeds, other axes first."""
    swept = whole[1]
    backwards = sweeps.run(None, {name: values[::-1] for name, values in GRID.items()}, memory=2e5)
    np.testing.assert_array_equal(backwards.risk[::-1, ::-1, ::-1, ::-1], swept.risk)
    alone = sweeps.run(None, {name: values[:1] for name, values in GRID.items()}, seeds=3)
    np.testing.assert_array_equal(alone.risk[0, 0, 0, 0], swept.risk[0, 0, 0, 0, :3])
    turned = sweeps.run(None, dict(reversed(GRID.items())))
    np.testing.assert_array_equal(turned.risk.transpose(3, 2, 1, 0, 4, 5), swept.risk)
    assert len(np.unique(swept.risk[..., -1])) == swept.risk[..., -1].size  # no two runs share a draw


def test_keys_belong_to_the_values_of_the_axis(whole):
    """Rounded in float32, or zero with a sign."""
    swept, point = whole[1], {"num_features": 12, "num_samples": 16, "lr": 0.5, "noise_var": 0.0}
    keys = jax.random.key_data(swept.keys_at(**point))
    np.testing.assert_array_equal(jax.random.key_data(swept.keys_at(**{**point, "noise_var": -0.0})), keys)
    np.testing.assert_array_equal(jax.random.key_data(swept.keys_at(**{**point, "lr": jnp.float32(0.5)})), keys)
    with pytest.raises(ValueError, match="`lr` must be on the grid"):
        swept.keys_at(**{**point, "lr": jnp.float32(0.1)})
    signed = sweeps.run(None, {**GRID, "noise_var": [-0.0], "lr": [0.1]})
    np.testing.assert_array_equal(signed.risk[:, :, 0, 0], swept.risk[:, :, 0, 0])


def test_noise_that_a_population_cannot_give_for_ever():
    inputs = np.random.default_rng(0).standard_normal((20, 5))
    problem = rfm.from_features(inputs, inputs[:, 0])
    args = {"optimizer": rfm.SGD(0.1, 2), "times": [1, 4], "num_features": 3, "num_samples": np.inf}
    with pytest.raises(ValueError, match="`noise_var` must be the noise in the labels"):
        rfm.sweep(problem, {"noise_var": [1.0, 2.0]}, KEYS, **args)


def test_out_of_memory_halves_the_batch(whole, monkeypatch):
    """The error is XLA's own, of an allocation that no machine can serve."""
    run_batch, lengths = work.run_batch, []

    def limited(*args):
        lengths.append(len(args[-1][0]))
        if lengths[-1] > 5:
            jnp.zeros((2**46,)).block_until_ready()
        return run_batch(*args)

    monkeypatch.setattr(work, "run_batch", limited)
    swept = sweeps.run(None)
    assert max(lengths) > 10
    assert lengths[-1] <= 5
    np.testing.assert_array_equal(swept.risk, whole[1].risk)

    def never(*args):
        jnp.zeros((2**46,)).block_until_ready()

    monkeypatch.setattr(work, "run_batch", never)
    with pytest.raises(MemoryError, match="the smallest there is"):
        sweeps.run(None)


def test_divergence_is_marked():
    """One learning rate beyond stability neither stops the others nor hides."""
    grid = {"num_features": [12], "num_samples": [16], "lr": [0.3, 20.0]}
    with pytest.warns(RuntimeWarning, match="5 of 10 runs diverged"):
        swept = sweeps.run(None, grid, times=[1, 5, 2000])
    assert (swept.diverged[0, 0] == [[False] * SEEDS, [True] * SEEDS]).all()
    assert np.isinf(swept.risk[0, 0, 1, :, 1:]).all()
    assert np.isfinite(swept.risk[0, 0, 1, :, 0]).all()
    assert np.isfinite(swept.risk[0, 0, 0]).all()
    assert not swept.curve(num_features=12, num_samples=16, lr=20.0).converged


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (dict(grid={}), "`grid` must be a mapping"),
        (dict(grid={"width": [1]}), "`grid` must be of axes out of num_features, num_samples, noise_var, richness"),
        (dict(grid={**GRID, "momentum": [0.1]}), "`grid` must be of axes"),
        (dict(grid={**GRID, "lr": [0.1, 0.1]}), "`lr` must be different numbers"),
        (dict(grid={**GRID, "lr": []}), "`lr` must be different numbers"),
        (dict(grid={**GRID, "lr": ["x"]}), "`lr` must be numbers"),
        (dict(grid={**GRID, "lr": [-0.1]}), "`lr` must be a finite number > 0"),
        (dict(grid={**GRID, "noise_var": [-1]}), "`noise_var` must be a finite variance"),
        (dict(grid={**GRID, "a": [0.5]}), "`a` must be a number > 1"),
        (dict(grid={**GRID, "num_features": [2.5]}), "`num_features` must be integers >= 1, but"),
        (dict(grid={"lr": [0.1]}), "`num_features` must be either an argument or an axis"),
        (dict(num_samples=20), "`num_samples` must be either an argument or an axis"),
        (dict(memory=1e3), "`memory` must be at least .* bytes for 2 runs of num_features = 12"),
        (dict(memory=-1), "`memory` must be a number of bytes > 0"),
        (dict(times=[2, 1]), "`times` must be"),
        (dict(optimizer="gd"), "`optimizer` must be a training algorithm"),
        (dict(optimizer=rfm.SGD(0.1, 2), grid={**GRID, "batch_size": [1, np.inf]}), "`batch_size` must be"),
        (dict(grid={**GRID, "num_modes": [100, np.inf], "a": [1.8]}), "`num_modes` must be finite in the simulator"),
        (dict(optimizer=rfm.Optax(optax.sgd(0.1)), grid={"num_features": [3], "num_samples": [4]}, out="x.zarr"),
         "`optimizer` must be made as Optax"),
    ],
)  # fmt: skip
def test_wrong_arguments(changes, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=text):
        sweeps.run(changes.pop("out", None), **changes)
    assert not list(tmp_path.iterdir())


def test_progress_tells_the_time_left(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sweeps.run(None, {**GRID, "lr": [0.1]}, progress=True)
    assert "left" in capsys.readouterr().err
