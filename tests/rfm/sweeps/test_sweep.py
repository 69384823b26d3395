"""Sweeps: their numbers are those of `simulate`, whatever the grid, the batch, the device or the interruption."""

import dataclasses
import hashlib
import random
import signal
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sweeps
from sweeps import ARGUMENTS, GRID, PROBLEM, SEEDS

import rfm

ROOT = Path(__file__).parents[3]
KEYS = jax.random.split(jax.random.key(3), SEEDS)
TIMES = [1, 4, 20, 100]
SIZES = {"num_features": 9, "num_samples": 16}
ONE_PASS = {"num_features": 9, "num_samples": np.inf}


def contents(folder):
    """Every file of a folder by name, as a digest."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def start(store, *arguments):
    command = [sys.executable, "-m", "tests.sweeps", str(store), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The store of an uninterrupted sweep, and its result."""
    store = tmp_path_factory.mktemp("whole") / "sweep.zarr"
    return store, sweeps.run(store)


@pytest.mark.parametrize(
    ("optimizer", "grid", "sizes"),
    [
        (rfm.GradientFlow(), {"num_features": [9, 12], "a": [1.5, 2.0]}, {"num_samples": 16}),
        (rfm.GradientFlow(), {"num_samples": [16, np.inf], "b": [1.2, 1.5]}, {"num_features": 9}),
        (rfm.HeavyBall(0.2, 0.5), {"momentum": [0.1, 0.9], "num_modes": [700, 900]}, SIZES),
        (rfm.SGD(0.1, 2), {"batch_size": [1, 3], "lr": [0.1, 0.2], "noise_var": [0.0, 1.0]}, ONE_PASS),
        (rfm.SGD(0.1, 2), {"batch_size": [3], "momentum": [0.0, 0.3]}, SIZES),
        (rfm.Optax(optax.adam, {"learning_rate": 0.1}), {"learning_rate": [0.01, 0.1]}, SIZES),
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


def test_one_compilation_a_shape():
    """200 settings with 16 seeds over 4 shapes."""
    from rfm.engine.batches import run_batch

    grid = {
        "num_features": [7, 8],
        "num_samples": [10, 11],
        "lr": np.linspace(0.05, 0.25, 10),
        "noise_var": np.arange(5.0),
    }
    keys = jax.random.split(jax.random.key(0), 16)
    before = run_batch._cache_size()
    swept = rfm.sweep(PROBLEM, grid, keys, **ARGUMENTS)
    assert swept.risk.shape == (2, 2, 10, 5, 16, 4)
    assert run_batch._cache_size() == before + 4
    rfm.sweep(PROBLEM, {**grid, "noise_var": grid["noise_var"] + 5}, keys, **ARGUMENTS)
    assert run_batch._cache_size() == before + 4


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


def test_a_larger_grid_reuses_what_is_there(whole, tmp_path, monkeypatch):
    """Values between and beyond the old ones, then more seeds: only what is new is run, and all is as from scratch."""
    groups = sys.modules["rfm.groups"]
    count, run_batch = [], groups.run_batch
    monkeypatch.setattr(groups, "run_batch", lambda *args: count.append(len(args[-1][0])) or run_batch(*args))
    store = tmp_path / "sweep.zarr"
    small = {"num_features": [20], "num_samples": [16], "lr": [0.5, 0.1], "noise_var": [0.1, 0.0]}
    sweeps.run(store, small, seeds=3, memory=2e5)
    assert sum(count) == 2 * 2 * 3
    count.clear()
    assert sweeps.run(store, small, seeds=2).risk.shape == (1, 1, 2, 2, 2, 4)
    assert not count
    extended = sweeps.run(store, seeds=SEEDS)
    np.testing.assert_array_equal(extended.risk, whole[1].risk)
    np.testing.assert_array_equal(extended.train_loss, whole[1].train_loss)
    loaded = rfm.Sweep.load(store)
    np.testing.assert_array_equal(loaded.risk, whole[1].risk)  # sorted, as the grid is
    assert not loaded.missing.any()
    count.clear()
    sweeps.run(store)
    assert not count


@pytest.mark.slow
def test_an_extension_that_was_killed(whole, tmp_path, monkeypatch):
    """Before its attributes are written: another extension, and the old grid, bring the arrays back into shape."""
    import zarr

    store = sys.modules["rfm.store"]
    small, path = {**GRID, "lr": [0.1]}, tmp_path / "sweep.zarr"
    sweeps.run(path, small, seeds=3)
    before = contents(path)
    for seeds, values in ((3, [0.1]), (SEEDS, [0.1, 0.3])):
        with monkeypatch.context() as patch:
            patch.setattr(store, "_encode", lambda axes: sys.exit("killed"))
            with pytest.raises(SystemExit):
                sweeps.run(path, {**GRID, "lr": [0.1, 0.3, 0.5]}, seeds=SEEDS)
        assert (~rfm.Sweep.load(path).missing).all()
        swept = sweeps.run(path, {**GRID, "lr": values}, seeds=seeds)
        assert zarr.open_group(path)["risk"].shape[:-1] == swept.risk.shape[:-1]
        assert zarr.open_group(path)["lr"].shape == (len(values),)
        if len(values) == 1:
            assert contents(path) == before
    np.testing.assert_array_equal(swept.risk, whole[1].risk[:, :, :2])


def test_what_is_done_is_written_where_the_rest_fails(tmp_path, monkeypatch):
    groups, store = sys.modules["rfm.groups"], sys.modules["rfm.store"]
    run_batch, write, calls = groups.run_batch, store.write, []

    def slow(*args):
        time.sleep(0.2)
        write(*args)

    def failing(*args):
        calls.append(args)
        if args[0].setting.num_features == 20:
            raise KeyboardInterrupt
        return run_batch(*args)

    monkeypatch.setattr(store, "write", slow)
    monkeypatch.setattr(groups, "run_batch", failing)
    with pytest.raises(KeyboardInterrupt):
        sweeps.run(tmp_path / "sweep.zarr")
    assert (~rfm.Sweep.load(tmp_path / "sweep.zarr").missing[0]).all()


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


def test_store_tells_what_it_is(whole):
    """Names, units and settings, read with zarr alone."""
    import zarr

    group = zarr.open_group(whole[0], mode="r")
    assert group["risk"].metadata.dimension_names == (*GRID, "seed", "time")
    for name, values in GRID.items():
        np.testing.assert_array_equal(group[name][...], values)
    assert group["time"].attrs["units"] == "steps"
    np.testing.assert_array_equal(group["risk"][...], whole[1].risk)
    settings = group.attrs["settings"]
    assert settings["optimizer"] == "GradientDescent"
    assert settings["a"] == "1.8"
    again = rfm.Sweep.load(whole[0])
    np.testing.assert_array_equal(jax.random.key_data(again.keys), jax.random.key_data(KEYS))
    np.testing.assert_array_equal(again.mean(), whole[1].risk.mean(-2))
    np.testing.assert_allclose(again.stderr() * np.sqrt(SEEDS), whole[1].risk.std(-2, ddof=1))


def _kill_and_resume(whole, store, moments):
    for moment in moments:
        running = start(store)
        if isinstance(moment, int):  # points
            for _ in range(moment):
                running.stdout.readline()
        else:  # seconds
            time.sleep(moment)
        running.send_signal(signal.SIGKILL)
        running.communicate()
    sweeps.run(store, memory=2e5)
    assert contents(store) == contents(whole[0])


def test_killed_and_resumed(whole, tmp_path):
    """After so many chunks of six; the finished store is that of the uninterrupted sweep, byte for byte."""
    _kill_and_resume(whole, tmp_path / "sweep.zarr", [2, 1, 2])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_twenty_moments(whole, tmp_path):
    """Random moments in time: while importing, creating, compiling, computing, writing."""
    rng = random.Random(0)
    for store in ("a", "b"):
        moments = [rng.uniform(0.3, 4.0) if rng.random() < 0.5 else rng.randrange(1, 3) for _ in range(10)]
        _kill_and_resume(whole, tmp_path / f"{store}.zarr", moments)


@pytest.mark.parametrize("devices", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_devices_do_not_matter(whole, tmp_path, devices):
    """Forced host devices, a number of them that divides no batch among them; and modes shared by the devices."""
    running = start(tmp_path / "sweep.zarr", "--devices", str(devices), "--modes")
    _, errors = running.communicate(timeout=200)
    assert running.returncode == 0, errors
    assert contents(tmp_path / "sweep.zarr") == contents(whole[0])
    sweeps.run(tmp_path / "lone.zarr", sweeps.LONE, seeds=2)
    assert contents(tmp_path / "sweep.zarr-lone") == contents(tmp_path / "lone.zarr")


def _two(store, *arguments):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [start(store, "--process", f"{index}:{port}", *(arguments if index else ())) for index in range(2)]


def test_two_processes_make_the_same_store(whole, tmp_path):
    pair = _two(tmp_path / "sweep.zarr")
    errors = [process.communicate(timeout=200)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], errors
    assert contents(tmp_path / "sweep.zarr") == contents(whole[0])


def test_a_lost_process_fails_the_run_and_the_rest_resumes(whole, tmp_path):
    store = tmp_path / "sweep.zarr"
    pair = _two(store, "--die", "1")
    _, errors = pair[0].communicate(timeout=200)
    pair[1].communicate(timeout=200)
    assert pair[1].returncode == -signal.SIGKILL
    assert pair[0].returncode != 0
    assert "one of the 2 processes was lost" in errors or "another task died" in errors
    done = (~rfm.Sweep.load(store).missing).all(-1).sum()
    assert 4 <= done < 24
    sweeps.run(store, memory=2e5)
    assert contents(store) == contents(whole[0])


def test_out_of_memory_halves_the_batch(whole, monkeypatch):
    """The error is XLA's own, of an allocation that no machine can serve."""
    groups = sys.modules["rfm.groups"]
    run_batch, lengths = groups.run_batch, []

    def limited(*args):
        lengths.append(len(args[-1][0]))
        if lengths[-1] > 5:
            jnp.zeros((2**46,)).block_until_ready()
        return run_batch(*args)

    monkeypatch.setattr(groups, "run_batch", limited)
    swept = sweeps.run(None)
    assert max(lengths) > 10
    assert lengths[-1] <= 5
    np.testing.assert_array_equal(swept.risk, whole[1].risk)

    def never(*args):
        jnp.zeros((2**46,)).block_until_ready()

    monkeypatch.setattr(groups, "run_batch", never)
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
        (dict(grid={"width": [1]}), "`grid` must be of axes out of num_features, num_samples, noise_var, lr"),
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


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (dict(times=[1, 4, 20, 101]), "has other times"),
        (dict(times=[1, 4]), "has other times"),
        (dict(optimizer=rfm.GradientDescent(0.5, 0.1)), "weight_decay is '0.0' there and '0.1' here"),
        (dict(optimizer=rfm.HeavyBall(0.5, 0.1)), "is of another sweep"),
        (dict(parametrization="standard"), "parametrization is 'ntk' there"),
        (dict(exact=True), "kind is 'Monte Carlo' there"),
        (dict(grid={**GRID, "momentum": [0.5]}, optimizer=rfm.HeavyBall(0.5, 0.1)), "is of another sweep"),
        (dict(grid={**GRID, "a": [1.8]}), "of another sweep"),
        (dict(grid=dict(reversed(GRID.items()))), "has axes num_features, num_samples, lr, noise_var, not"),
    ],
)
def test_a_store_of_another_sweep_is_refused(whole, changes, text):
    before = contents(whole[0])
    with pytest.raises(ValueError, match=f"`out` must be .*{text}"):
        sweeps.run(whole[0], **changes)
    with pytest.raises(ValueError, match="was made with other keys"):
        rfm.sweep(PROBLEM, GRID, KEYS[::-1], out=whole[0], **ARGUMENTS)
    with pytest.raises(ValueError, match="of another sweep"):
        rfm.sweep(rfm.power_law(1.8, 1.5, 201), GRID, KEYS, out=whole[0], **ARGUMENTS)
    assert contents(whole[0]) == before


def test_foreign_and_damaged_stores_are_refused(whole, tmp_path):
    import shutil

    (tmp_path / "file").write_text("hello")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "zarr.json").write_text('{"attributes": {}}')
    stores = {name: tmp_path / name for name in ("file", "folder", "chunk", "metadata", "array")}
    for name in ("chunk", "metadata", "array"):
        shutil.copytree(whole[0], stores[name])
    for name, place in (("chunk", "risk/c/0/0/0/0/0/0"), ("metadata", "zarr.json"), ("array", "risk/zarr.json")):
        damaged = stores[name] / place
        damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    before = contents(tmp_path)
    for name, store in stores.items():
        with pytest.raises(ValueError, match=r"Argument `out` must be .*damaged"):
            sweeps.run(store)
        with pytest.raises(ValueError, match=r"Argument `out` must be"):
            rfm.Sweep.load(store)
        del name
    assert contents(tmp_path) == before


def test_where_nothing_can_be_written(tmp_path):
    """A folder that even root cannot write, and one that is a file."""
    (tmp_path / "file").write_text("hello")
    for out in ("/proc/sweep.zarr", tmp_path / "file" / "sweep.zarr"):
        with pytest.raises((OSError, ValueError), match=r"cannot write the store|must be a new name"):
            sweeps.run(out)


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import numpy as np
from tests import sweeps
grid = {**sweeps.GRID, "lr": [0.1]}
sweeps.run(sys.argv[1], {**grid, "noise_var": [0.0]})
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    sweeps.run(sys.argv[1], grid)
except OSError as error:
    print(error)
"""


def test_full_disk(tmp_path):
    """Writes fail with the system's error: it is passed on, what is there stays, and the sweep resumes."""
    store = tmp_path / "sweep.zarr"
    done = subprocess.run([sys.executable, "-c", FULL, store], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cannot write the store" in done.stdout
    assert not rfm.Sweep.load(store).missing[:, :, :, 0].any()
    grid = {**GRID, "lr": [0.1]}
    np.testing.assert_array_equal(sweeps.run(store, grid).risk, sweeps.run(None, grid).risk)


def test_progress_tells_the_time_left(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sweeps.run(None, {**GRID, "lr": [0.1]}, progress=True)
    assert "left" in capsys.readouterr().err
