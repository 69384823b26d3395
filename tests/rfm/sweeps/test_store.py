"""The store of a sweep: what it tells, how it grows, what it refuses, and that what is in it stays."""

import subprocess
import sys
import time

import jax
import numpy as np
import pytest
import sweeps
import zarr
from sweeps import ARGUMENTS, GRID, PROBLEM, SEEDS, contents

import rfm
from rfm.sweeps import store as stores
from rfm.sweeps import work, zarr_files

KEYS = jax.random.split(jax.random.key(3), SEEDS)


def test_store_tells_what_it_is(whole):
    """Names, units and settings, read with zarr alone."""
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


def test_a_larger_grid_reuses_what_is_there(whole, tmp_path, monkeypatch):
    """Values between and beyond the old ones, then more seeds: only what is new is run, and all is as from scratch."""
    count, run_batch = [], work.run_batch
    monkeypatch.setattr(work, "run_batch", lambda *args: count.append(len(args[-1][0])) or run_batch(*args))
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
    small, path = {**GRID, "lr": [0.1]}, tmp_path / "sweep.zarr"
    sweeps.run(path, small, seeds=3)
    before = contents(path)
    for seeds, values in ((3, [0.1]), (SEEDS, [0.1, 0.3])):
        with monkeypatch.context() as patch:
            patch.setattr(zarr_files, "group", lambda attributes: sys.exit("killed"))
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
    run_batch, write, calls = work.run_batch, stores.write, []

    def slow(*args):
        time.sleep(0.2)
        write(*args)

    def failing(*args):
        calls.append(args)
        if args[1].counts.features == 20:
            raise KeyboardInterrupt
        return run_batch(*args)

    monkeypatch.setattr(stores, "write", slow)
    monkeypatch.setattr(work, "run_batch", failing)
    with pytest.raises(KeyboardInterrupt):
        sweeps.run(tmp_path / "sweep.zarr")
    assert (~rfm.Sweep.load(tmp_path / "sweep.zarr").missing[0]).all()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (dict(times=[1, 4, 20, 101]), "has other times"),
        (dict(times=[1, 4]), "has other times"),
        (dict(optimizer=rfm.GradientDescent(0.5, 0.1)), "another sweep, in which weight_decay is 0.0, not 0.1"),
        (dict(optimizer=rfm.HeavyBall(0.5, 0.1)), "is of another sweep"),
        (dict(parametrization="standard"), "parametrization is ntk, not standard"),
        (dict(exact=True), "kind is Monte Carlo, not"),
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


def test_foreign_folders_are_refused(whole, tmp_path):
    """A file, a folder of another group, one with anything else in it: nothing of them is touched."""
    (tmp_path / "file").write_text("hello")
    for name, file in (("group", "zarr.json"), ("other", "notes.txt")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text('{"attributes": {}}')
    before = contents(tmp_path)
    for name in ("file", "group", "other"):
        with pytest.raises(ValueError, match=r"Argument `out` must be .* not the store of a sweep, or is damaged"):
            sweeps.run(tmp_path / name)
        with pytest.raises(ValueError, match=r"Argument `path` must be .* not the store of a sweep, or is damaged"):
            rfm.Sweep.load(tmp_path / name)
    assert contents(tmp_path) == before
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="is not a store, or was only begun"):
        rfm.Sweep.load(tmp_path / "empty")
    sweeps.run(tmp_path / "empty")
    assert contents(tmp_path / "empty") == contents(whole[0])


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
    done = subprocess.run(
        [sys.executable, "-c", FULL, store], cwd=sweeps.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "cannot write the store" in done.stdout
    assert not rfm.Sweep.load(store).missing[:, :, :, 0].any()
    grid = {**GRID, "lr": [0.1]}
    np.testing.assert_array_equal(sweeps.run(store, grid).risk, sweeps.run(None, grid).risk)
