"""The `rfm` command: what it leaves behind, what it prints, how it refuses."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import jax
import pytest

from experiments.cli import build_parser, main

SMALL = ["--modes", "300", "--seeds", "4", "--quick"]
COMPARE = ["compare", "--features", "40", "--samples", "60", *SMALL]


@pytest.fixture(autouse=True)
def _keep_x64():
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


def outputs(folder, name):
    """Rows and record of a finished command; all four files exist and no temporary one is left."""
    assert sorted(p.name for p in folder.iterdir()) == [f"{name}.{s}" for s in ("csv", "json", "pdf", "png")]
    assert (folder / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert (folder / f"{name}.pdf").read_bytes()[:4] == b"%PDF"
    with open(folder / f"{name}.csv") as file:
        return list(csv.DictReader(file)), json.loads((folder / f"{name}.json").read_text())


@pytest.mark.parametrize("extra", [[], ["--optimizer", "gd", "--lr", "0.5", "--times", "1", "50", "12"]])
def test_compare(tmp_path, capsys, extra):
    assert main([*COMPARE, *extra, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for quantity in ("time t (N, P large)", "model size N (t, P large)", "data P (t, N large)"):
        assert quantity in printed
    assert "worst" in printed
    rows, record = outputs(tmp_path, "compare")
    assert {row["axis"] for row in rows} == {"time", "features", "samples"}
    assert all(abs(float(row["z"])) < 6 for row in rows if float(row["x"]) > 0)
    assert record["settings"]["seed"] == 0
    assert record["versions"]["jax"] == jax.__version__


def test_same_seed_same_numbers(tmp_path):
    for run in ("one", "two"):
        assert main([*COMPARE, "--out", str(tmp_path / run)]) == 0
    first, second = ((tmp_path / run / "compare.csv").read_text() for run in ("one", "two"))
    assert first == second


def test_compare_on_digits(tmp_path, capsys):
    assert main(["compare", "--data", "digits", "--seeds", "4", "--quick", "--out", str(tmp_path)]) == 0
    assert "fitted to the spectrum of digits" in capsys.readouterr().out
    rows, _ = outputs(tmp_path, "compare")
    gaps = sorted(abs(float(row["relative_gap"])) for row in rows)
    assert gaps[len(gaps) // 2] < 0.05  # real rows are not Gaussian: measured 2 % in the median
    assert gaps[-1] < 0.2


def test_double_descent(tmp_path, capsys):
    assert main(["double-descent", "--size", "24", *SMALL, "--out", str(tmp_path)]) == 0
    rows, _ = outputs(tmp_path, "double-descent")
    peak = [row for row in rows if row["panel"] == "features" and row["label"] == "noise 0.1"]
    top = max(peak, key=lambda row: float(row["theory"]))
    assert top["num_features"] == "24"  # the peak is at N = P
    assert float(top["risk"]) > 2 * float(peak[-1]["risk"])
    stopped = [float(row["theory"]) for row in rows if row["label"] == "best stopping"]
    assert stopped == sorted(stopped, reverse=True)  # no peak is left
    assert "best ridge" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--a", "0.5"], "`a` must be a number > 1, but is 0.5"),
        (["compare", "--b", "-1"], "`b` must be a number > 0, but is -1.0"),
        (["compare", "--modes", "0"], "`num_modes` must be an integer >= 1"),
        (["compare", "--features", "0"], "`num_features` must be"),
        (["compare", "--samples", "-3"], "`num_samples` must be"),
        (["compare", "--noise", "-1"], "`noise_var` must be a finite variance >= 0, but is -1.0"),
        (["compare", "--noise", "nan"], "`noise_var` must be a finite variance >= 0, but is nan"),
        (["compare", "--seeds", "1"], "`seeds` must be an integer >= 2"),
        (["compare", "--times", "5", "1", "10"], "`stop` must be a number > start"),
        (["compare", "--optimizer", "gd", "--lr", "3"], "`lr` must be < 1."),
        (["compare", "--data", "imagenet"], "`data` must be one of 'digits', but is 'imagenet'"),
        (["compare", "--seed", "-1"], "`seed` must be an integer from 0"),
        (["compare", "--times", "1", "10", "2.5"], "`num` must be an integer >= 2"),
        (["double-descent", "--size", "2"], "`size` must be an integer >= 8, but is 2"),
    ],
)
def test_wrong_value_is_one_line_and_exit_2(tmp_path, capsys, arguments, message):
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err.split("\r")[-1].strip().splitlines()[-1]
    assert error.startswith(f"rfm {arguments[0]}: error: ")
    assert message in error
    assert not list(tmp_path.iterdir())


def test_out_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["compare", "--out", str(tmp_path / "file" / "deeper")]) == 2
    assert "`out` must be a folder that can be written" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["comparee"], ["compare", "--nosie", "0.1"], ["compare", "--seeds", "x"], []])
def test_typo_is_exit_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_help_tells_every_default(capsys):
    for command in ("compare", "double-descent"):
        with pytest.raises(SystemExit) as stop:
            build_parser().parse_args([command, "--help"])
        assert stop.value.code == 0
        text = capsys.readouterr().out
        assert "--quick" in text
        assert "None" not in text


def test_interrupt_writes_nothing(tmp_path):
    """Ctrl-C in the middle: a line, exit code 130, an empty folder."""
    command = [sys.executable, "-m", "experiments.cli", "compare", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ})
    time.sleep(6)  # past the imports, well before the end
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in error
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())
