"""Commands that are killed at any moment leave whole files and no process; run again they end as if they had not been.

Ctrl-C, SIGTERM and SIGKILL come in turn, twenty times a test.
"""

import random
import shutil
import time

import kills
import numpy as np
import pytest
from sweeps import FILE, contents

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SWEEP = FILE.replace(", 40.0]", ", 0.3]")  # no run diverges


def test_sweep(tmp_path):
    """Resumed again and again; every fifth time from the beginning, or all would soon be done."""
    file, out, rng = tmp_path / "small.toml", tmp_path / "out", random.Random(0)
    file.write_text(SWEEP)
    arguments = ["sweep", file]
    expected, store = kills.run(arguments, out), contents(out / "small.zarr")
    for number in range(20):
        if number % 5 == 0:
            shutil.rmtree(out)
        kills.kill(arguments, rng.uniform(2.0, 7.0), kills.SIGNALS[number % 3], out)
    assert kills.run(arguments, out) == expected
    assert contents(out / "small.zarr") == store


def test_compare(tmp_path):
    kills.kill_at_twenty_moments(["compare", "--quick", "--seeds", 4], tmp_path / "out", most_files=4)


def test_figures(tmp_path):
    """Two rows, each in a process of its own."""
    kills.kill_at_twenty_moments(["figures", "S2-T2", "S3-dual", "--quick"], tmp_path / "out", most_files=8)


def test_predict_and_its_check(tmp_path):
    """What is foretold is on disk before the check, which has files of its own."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((60, 8))
    np.savez(tmp_path / "rows.npz", X=features, y=features[:, 0] + 0.1 * rng.standard_normal(60))
    sizes = ["--features", 6, "--samples", 12, "--replicas", 3, "--seeds", 2]
    arguments = ["predict", tmp_path / "rows.npz", *sizes, "--check", "--quick"]
    kills.kill_at_twenty_moments(arguments, tmp_path / "out", most_files=12)


@pytest.mark.parametrize("sent", kills.SIGNALS[1:])
def test_forecast_outlives_its_check(tmp_path, sent):
    """Killed while the check trains: the eight files of the forecast are there, whole, and none of the check."""
    rng, out = np.random.default_rng(0), tmp_path / "out"
    features = rng.standard_normal((60, 8))
    np.savez(tmp_path / "rows.npz", X=features, y=features[:, 0] + 0.1 * rng.standard_normal(60))
    sizes = ["--features", 6, "--samples", 12, "--replicas", 3, "--seeds", 2]
    running = kills.start("predict", tmp_path / "rows.npz", *sizes, "--check", "--quick", "--out", out)
    while running.poll() is None and len(list(out.glob("predict*")) if out.exists() else []) < 8:
        time.sleep(0.002)
    running.send_signal(sent)
    running.communicate(timeout=60)
    kills.check_whole(out)
    assert len(list(out.glob("predict*"))) == 8
    assert not list(out.glob("*-check*"))
