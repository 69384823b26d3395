"""`rfm sweep FILE.toml`: what it leaves, that it resumes, what it refuses; and the compilation cache of commands."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from kills import start
from sweeps import FILE, contents

import rfm
import theory
from experiments.cli import main
from experiments.commands import sweep_file

ROOT = Path(__file__).parents[3]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(FILE)
    return path


def test_sweep_and_resume(file, tmp_path, capsys):
    """Store, figure, table and settings; the second time nothing is run. One learning rate is beyond stability."""
    out = tmp_path / "out"
    with pytest.warns(RuntimeWarning, match="runs diverged"):
        assert main(["sweep", str(file), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "12 points x 4 seeds, 16 runs diverged" in printed.out
    assert "simulation against theory" in printed.out
    assert "left" in printed.err
    assert sorted(p.name for p in out.iterdir()) == [f"small.{s}" for s in ("csv", "json", "pdf", "png", "zarr")]
    swept = rfm.Sweep.load(out / "small.zarr")
    assert swept.risk.shape == (2, 3, 2, 4, 6)
    problem = rfm.power_law(1.8, 1.5, 200, 0.1)
    args = {"num_features": 20, "num_samples": 30, "optimizer": rfm.GradientDescent(0.5), "times": swept.times}
    point = {"num_features": 20, "lr": 0.5, "noise_var": 0.1}
    own = rfm.simulate(problem, **args, keys=swept.keys_at(**point))
    np.testing.assert_allclose(swept.curve(**point).risk, own.risk, rtol=1e-12)
    rows = [line.split(",") for line in (out / "small.csv").read_text().splitlines()]
    row = next(r for r in rows[1:] if [float(x) for x in r[:4]] == [20, 0.5, 0.1, 60])
    assert abs(float(row[rows[0].index("theory")]) / theory.predict(problem, **args).risk[-1] - 1) < 1e-9
    assert abs(float(row[rows[0].index("risk")]) / own.mean()[-1] - 1) < 1e-9
    before = (out / "small.csv").read_bytes()
    with pytest.warns(RuntimeWarning, match="runs diverged"):
        assert main(["sweep", str(file), "--out", str(out)]) == 0
    assert (out / "small.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("[grid]", "[gird]", "FILE must be one of 'problem', 'optimizer', 'run', 'grid', but is 'gird'"),
        ("a = 1.8", "alpha = 1.8", "`problem` must be one of 'a', 'b', 'num_modes', 'noise_var', but is 'alpha'"),
        ("a = 1.8", "a = 0.5", "`a` must be a number > 1"),
        ("a = 1.8", "a = ", "FILE must be TOML"),
        ('"gd"', '"momentum"', "`optimizer.name` must be one of 'flow'"),
        ("seeds = 4", "seeds = 1", "`seeds` must be an integer >= 2"),
        ("seeds = 4", "seed = -1", "run.seed` must be an integer from 0"),
        ("start = 1,", "", "`times` must be a list, or all of start, stop and num"),
        ("num_samples = 30", "", "`num_samples` must be either an argument or an axis"),
        ("num_samples = 30", "exact = 1", "`exact` must be true or false"),
        ("lr = [0.1, 0.5, 40.0]", "rate = [1]", "`grid` must be of axes out of"),
        ("lr = [0.1, 0.5, 40.0]", "lr = ['x']", "`lr` must be a list of numbers"),
        ("lr = [0.1, 0.5, 40.0]", "lr = [[1, 2], [3, 4]]", "`lr` must be different numbers in one dimension"),
        ("stop = 60", 'stop = "x"', "`times.stop` must be a number > start"),
        ("[problem]", "deep = " + "[" * 5000 + "]" * 5000 + "\n[problem]", "FILE must be TOML whose tables and"),
        ("seeds = 4", "seeds = 1_000_000_000", "`seeds` must be fewer: 12 points x 1000000000 seeds x 6 times take"),
        ("seeds = 4", "seeds = 10_000_000_000_000", "`seeds` must be fewer"),
        ("num = 6", "num = 1_000_000_000_000", "`times` must be fewer"),
        ("stop = 0.1, num = 2", "stop = 0.1, num = 100_000_000", "`noise_var` must be fewer: 600000000 points x 4"),
        ("[12, 20]", "{ start = 1, stop = 1e9, num = 1_000_000_000 }", "`num_features` must be fewer"),
        ("num_modes = 200", "num_modes = 1_000_000_000_000", "`num_modes` must be smaller: one run would take"),
        ("num_samples = 30", "num_samples = 1_000_000_000_000", "`num_samples` must be smaller: one run would take"),
        ("[12, 20]", "[1e12]", "`num_features` must be smaller: one run would take"),
        ("times = { start = 1, stop = 60, num = 6 }", "times = [1, 1e15]", "`times` must be smaller: one run would"),
    ],
)
def test_wrong_files(file, tmp_path, capsys, old, new, text):
    file.write_text(FILE.replace(old, new, 1))
    assert main(["sweep", str(file), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rfm sweep: error: ")
    assert text in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        (["--devices", "0"], "--devices must be an integer >= 1"),
        (["--memory", "1e-6"], "--memory must be at least"),
        (["--coordinator", "localhost:1"], "--coordinator must be given together with"),
        (["--processes", "2", "--process", "1"], "--coordinator must be given together with"),
        (["--shard", "2/2"], "--shard must be I/R with 0 <= I < R, as 0/8, but is '2/2'"),
        (["--shard", "x"], "--shard must be I/R"),
        (["--shard", "0/2", "--distributed"], "--shard must be left out with --distributed"),
    ],
)
def test_wrong_options(file, tmp_path, capsys, extra, text):
    assert main(["sweep", str(file), "--out", str(tmp_path / "out"), *extra]) == 2
    assert text in capsys.readouterr().err
    assert main(["sweep", str(tmp_path / "no.toml"), "--out", str(tmp_path / "out")]) == 2
    assert "FILE must be a text file that can be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({'name = "gd"\nlr = 0.5': 'name = "ridge"', "times =": "# times =", "lr = [0.1, 0.5, 40.0]": "ridge = [0.1]",
          "{ start = 0.01, stop = 0.1, num = 2 }": "[0.0]", "[12, 20]": "[12]"}, "1 points x 4 seeds"),
        pytest.param(
            {'name = "gd"': 'name = "sgd"\nbatch_size = 4', "[0.1, 0.5, 40.0]": "[0.1]", "[12, 20]": "[12]",
             "noise_var = { start = 0.01, stop = 0.1, num = 2 }": "momentum = [0.0, 0.5]"}, "against theory at",
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_corners_of_files(file, tmp_path, capsys, changes, text):
    """Nothing to draw on a logarithm; the momentum of SGD on a training set beside its theory."""
    spec = FILE
    for old, new in changes.items():
        assert old in spec
        spec = spec.replace(old, new)
    file.write_text(spec)
    assert main(["sweep", str(file), "--out", str(tmp_path / "out")]) == 0
    assert text in capsys.readouterr().out
    assert (tmp_path / "out" / "small.png").exists()


def test_the_example_of_the_help_is_a_sweep(tmp_path):
    path = tmp_path / "example.toml"
    path.write_text(sweep_file.EXAMPLE)
    whole, quick = sweep_file.read(path), sweep_file.read(path, quick=True, seed=1)
    assert whole.grid["num_features"].tolist() == [32, 64, 128, 256]
    assert quick.grid["num_features"].tolist() == [32, 256]
    assert (len(whole.keys), len(quick.keys)) == (16, 4)
    assert isinstance(whole.optimizer, rfm.GradientDescent)
    assert whole.times[-1] == 1e3
    first, second = (jax.random.key_data(x.keys)[0].tolist() for x in (whole, quick))
    assert first != second


LONG = {
    "[12, 20]": "[900]",
    "[0.1, 0.5, 40.0]": "[0.1]",
    "num_samples = 30": "num_samples = 900",
    "stop = 60": "stop = 1e5",
}


def test_interrupted_while_it_computes(file, tmp_path):
    """XLA holds the main thread for a minute; the word and the end come at once."""
    spec = FILE
    for old, new in LONG.items():
        spec = spec.replace(old, new)
    file.write_text(spec)
    running = start("sweep", file, "--out", tmp_path / "out")
    assert running.stderr.read(6) == b"\rsweep"
    time.sleep(4)  # past the compilation
    running.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, error = running.communicate(timeout=60)
    assert time.monotonic() - asked < 2
    assert running.returncode == 130
    assert b"stopping" in error


@pytest.mark.slow
def test_a_damaged_store_is_one_line(file, tmp_path):
    """The file is named, and the table is that of before."""
    file.write_text(FILE.replace(", 40.0]", ", 0.3]"))
    out = tmp_path / "out"
    start("sweep", file, "--out", out).communicate()
    before, record, chunk = contents(out), record_of(out), "train_loss/c/1/0/0/0/0"
    (out / "small.zarr" / chunk).unlink()
    running = start("sweep", file, "--out", out)
    _, error = running.communicate()
    assert running.returncode == 0
    lines = [line for line in error.decode().replace("\r", "\n").splitlines() if "%" not in line and line.strip()]
    lines = [line for line in lines if "compilation cache" not in line]  # two processes may meet there
    assert lines == [f"rfm sweep: {out}/small.zarr/{chunk} is missing: it is made again"]
    after = contents(out)
    drawn = ("pdf", "png", "small.json")  # with dates in them
    assert [name for name in before if after[name] != before[name] and not name.endswith(drawn)] == []
    assert record_of(out) == record


def record_of(out):
    """What a result says of itself, but for when it was made and how long that took."""
    record = json.loads((out / "small.json").read_text())
    return {name: value for name, value in record.items() if name != "run"}


@pytest.mark.slow
def test_commands_compile_once_for_a_user(file, tmp_path):
    """The cache is a folder that nobody else may write; a second process adds nothing to it."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "RFM_CACHE": "on"}
    del environment["JAX_COMPILATION_CACHE_DIR"]  # of the tests
    file.write_text(FILE.replace("[0.1, 0.5, 40.0]", "[0.1]").replace("[12, 20]", "[12]"))

    def run(out):
        command = [sys.executable, "-m", "experiments.cli", "sweep", str(file), "--out", str(tmp_path / out)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return set((tmp_path / "cache").rglob("*-cache"))

    first = run("a")
    assert first
    folder = next(iter(first)).parent
    assert folder.stat().st_mode & 0o077 == 0
    assert run("b") == first
