"""`rfm sweep FILE --shard I/R`: parts that are lost and taken over, what is missing, and who draws."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sweeps import contents

import rfm
from experiments.cli import main
from rfm.sweeps import locks

ROOT = Path(__file__).parents[3]
FILE = """
[problem]
num_modes = 300
noise_var = 0.05
[run]
seeds = 3
num_samples = 40
times = [1, 10, 60]
[grid]
num_features = [9, 10, 11, 12]
noise_var = [0.01, 0.1]
"""
FILES = [f"small.{suffix}" for suffix in ("csv", "json", "pdf", "png", "zarr")]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(FILE)
    return path


def chunks(store):
    """Files of results, and what states the sweep."""
    kept = ("zarr.json", "0")
    return {name: x for name, x in contents(store).items() if name.split("/")[-1] in kept}


def test_status_and_the_last_one_draws(file, tmp_path, capsys):
    """One part has its runs while another is at the rest; who completes the store draws."""
    out, store = tmp_path / "out", tmp_path / "out" / "small.zarr"
    arguments = ["sweep", str(file), "--out", str(out)]
    assert main([*arguments, "--status"]) == 0
    assert "0 of 24 runs are done, 24 are missing" in " ".join(capsys.readouterr().out.split())
    assert not out.exists()
    with locks.locked(store):  # begins a store
        pass
    assert main([*arguments[:-1], str(tmp_path / "whole")]) == 0
    swept = rfm.Sweep.load(tmp_path / "whole" / "small.zarr")
    assert main([*arguments, "--shard", "0/2"]) == 0  # takes over what nobody is at
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert chunks(store) == chunks(tmp_path / "whole" / "small.zarr")
    (store / "risk" / "c" / "1" / "0" / "0" / "0").unlink()
    (store / "train_loss" / "c" / "1" / "0" / "0" / "0").unlink()
    before = contents(store)
    capsys.readouterr()
    assert main([*arguments, "--status"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "18 of 24 runs are done, 6 are missing" in told
    assert "num_features = 10, noise_var = 0.01: 3 of 3 seeds are missing" in told
    assert contents(store) == before
    (out / "small.png").unlink()
    with locks.part(store, 1, 2, without_locks=False):
        assert main([*arguments, "--shard", "0/2"]) == 0
        assert "6 are missing" in " ".join(capsys.readouterr().out.split())
        assert not (out / "small.png").exists()
    assert main([*arguments, "--shard", "0/2"]) == 0
    assert (out / "small.png").exists()
    assert swept.risk.tolist() == rfm.Sweep.load(store).risk.tolist()
    # the store is of this sweep, and of no other
    assert main([*arguments, "--status", "--seed", "5"]) == 2
    assert "FILE must be the sweep that" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_eight_processes_of_which_three_are_killed(file, tmp_path):
    """The other five take over; one of them draws; the store is that of one process, byte for byte."""
    file.write_text(FILE.replace("[9, 10, 11, 12]", str(list(range(9, 33)))))
    assert main(["sweep", str(file), "--out", str(tmp_path / "whole")]) == 0
    out, rng = tmp_path / "out", random.Random(0)

    def start(index):
        command = [sys.executable, "-m", "experiments.cli", "sweep", str(file), "--out", str(out)]
        return subprocess.Popen(
            [*command, "--shard", f"{index}/8"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    running = [start(index) for index in range(8)]
    for index in (1, 4, 6):
        time.sleep(rng.uniform(2.0, 6.0))
        running[index].send_signal(signal.SIGKILL)
    said = [process.communicate(timeout=600) for process in running]
    assert [process.returncode == 0 for process in running].count(True) >= 5, said
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert chunks(out / "small.zarr") == chunks(tmp_path / "whole" / "small.zarr")
    assert (out / "small.csv").read_bytes() == (tmp_path / "whole" / "small.csv").read_bytes()
