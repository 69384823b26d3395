"""Sweeps that are killed, or shared by devices and processes: the same store byte for byte."""

import random
import signal
import socket
import time

import pytest
import sweeps
from sweeps import contents, start

import rfm


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


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 3])
def test_devices_do_not_matter(whole, tmp_path, devices):
    """Forced host devices, a number of them that divides no batch among them; and modes shared by the devices."""
    running = start(tmp_path / "sweep.zarr", "--devices", str(devices), "--modes")
    _, errors = running.communicate(timeout=200)
    assert running.returncode == 0, errors
    assert contents(tmp_path / "sweep.zarr") == contents(whole[0])
    sweeps.run(tmp_path / "lone.zarr", sweeps.LONE, seeds=2)
    assert contents(tmp_path / "sweep.zarr-lone") == contents(tmp_path / "lone.zarr")


def test_two_programs_on_one_new_store(whole, tmp_path):
    """The second waits, says so, and runs nothing; neither fails."""
    pair = [start(tmp_path / "sweep.zarr") for _ in range(2)]
    said = [process.communicate(timeout=200) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], said
    assert sorted(len(printed.split()) for printed, _ in said) == [0, 6]  # chunks that each has written
    assert contents(tmp_path / "sweep.zarr") == contents(whole[0])


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
