"""The `rfm` command: what it leaves behind, and what it prints."""

import jax
import optax
import pytest
from left_behind import outputs
from test_printed import check_tables

import rfm
from experiments.cli import main
from experiments.compare.algorithms import ALGORITHMS

SMALL = ["--modes", "200", "--seeds", "4", "--quick"]
COMPARE = ["compare", "--features", "24", "--samples", "30", *SMALL]
LARGER = ["--features", "40", "--samples", "60"]


@pytest.fixture(autouse=True)
def _keep_x64():
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


STEPPED = [*LARGER, "--modes", "300", "--optimizer", "gd", "--lr", "0.5", "--times", "1", "50", "12"]


@pytest.mark.parametrize("extra", [[], pytest.param(STEPPED, marks=pytest.mark.slow)])
def test_compare(tmp_path, capsys, request, extra):
    if not extra:
        request.getfixturevalue("sizes_of_one_shape")
    assert main([*COMPARE, *extra, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for quantity in ("time t (N, P large)", "model size N (t, P large)", "data P (t, N large)"):
        assert quantity in printed
    assert "simulation against theory" in printed
    check_tables(printed)
    rows, record = outputs(tmp_path, "compare-gd-quick" if extra else "compare-quick")
    assert {row["axis"] for row in rows} == {"time", "features", "samples"}
    assert all(abs(float(row["z"])) < 6 for row in rows if row["axis"] == "time" and float(row["x"]) > 0)
    agreement = record["settings"]["agreement"]  # what 1/N adds is part of it, and not of z
    assert set(agreement) == {"time", "features", "samples"}
    assert not any("differs" in axis["words"] for axis in agreement.values())
    assert record["settings"]["seed"] == 0
    assert record["versions"]["jax"] == jax.__version__


@pytest.fixture
def one_size(monkeypatch):
    """Scans over size of a single point, since what is tested does not depend on how many compile."""
    monkeypatch.setattr("experiments.commands.compare.MODEL_SIZES", (24,))


STEPS = ["--times", "1", "60", "8"]


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        pytest.param(
            "compare-rademacher-heavy-ball-quick",
            ["--optimizer", "heavy-ball", "--momentum", "0.5", "--map", "rademacher", *STEPS],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "compare-nesterov-quick",
            ["--optimizer", "nesterov", "--momentum", "0.5", *STEPS],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "compare-erf-gd-quick",
            ["--optimizer", "gd", "--schedule", "cosine", "--map", "erf", "--ensemble", "2", "--bags", "2", *STEPS],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_compare_with_own_theory(tmp_path, capsys, one_size, name, extra):
    assert main([*COMPARE, *LARGER, *extra, "--out", str(tmp_path)]) == 0
    assert "simulation against theory" in capsys.readouterr().out
    rows, _ = outputs(tmp_path, name)
    assert {row["axis"] for row in rows} == {"time", "features", "samples"}
    gaps = sorted(abs(float(row["relative_gap"])) for row in rows)
    assert gaps[len(gaps) // 2] < 0.2  # four seeds of forty features


def test_compare_one_pass_sgd(tmp_path, capsys, one_size):
    arguments = ["compare", "--features", "24", *SMALL, "--optimizer", "sgd", "--batch-size", "8", *STEPS]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert "full batches" not in capsys.readouterr().out
    rows, record = outputs(tmp_path, "compare-sgd-quick")
    assert {row["axis"] for row in rows} == {"time", "features"}
    assert record["settings"]["samples"] == "one pass"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adam", "sign-sgd"])
def test_compare_without_a_theory(tmp_path, capsys, one_size, name):
    assert main([*COMPARE, "--optimizer", name, *STEPS, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("no theory") == 3
    assert "yes" not in printed
    assert "z median" not in printed
    rows, record = outputs(tmp_path, f"compare-{name}-quick")
    assert {row["theory_of"] for row in rows} == {"gradient descent (theory)"}
    assert all("z" not in row for row in rows)
    assert set(record["settings"]["theory"].values()) == {"gradient descent (theory)"}


def test_compare_goes_on_where_runs_diverge(tmp_path, capsys, one_size, monkeypatch):
    """Optax does not say beforehand that a learning rate is too large."""
    unstable = lambda steps, lr: rfm.Optax(optax.sgd(lr))  # noqa: E731
    monkeypatch.setitem(ALGORITHMS, "adam", (unstable, {"lr": 3.0}))
    arguments = [*COMPARE, "--samples", "24", "--optimizer", "adam", "--times", "1", "2000", "12"]
    assert main([*arguments, "--out", str(tmp_path / "some")]) == 0
    assert capsys.readouterr().out.count("training diverged") == 3
    rows, record = outputs(tmp_path / "some", "compare-adam-quick")
    assert {row["axis"] for row in rows} == {"time"}  # what the scans over size look at was not reached
    assert 0 < len(rows) < 12
    assert len(record["settings"]["messages"]) == 3
    assert main([*arguments, "--lr", "1e80", "--out", str(tmp_path / "none")]) == 2
    assert "every run diverged before the first point" in capsys.readouterr().err


@pytest.mark.slow
def test_decompose(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("experiments.commands.decompose.QUICK_RATIOS", (0.5,))
    assert main(["decompose", "--features", "24", "--samples", "30", *SMALL, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "squared bias" in printed
    assert "most variance" in printed
    rows, _ = outputs(tmp_path, "decompose-quick")
    assert {row["axis"] for row in rows} == {"time", "features", "samples"}
    for row in rows:
        parts = [float(row[name]) for name in ("bias", "features", "data", "interaction", "noise")]
        assert min(parts) > -1e-12
        assert sum(parts) == pytest.approx(float(row["leading"]), rel=1e-9)
    assert all(abs(float(row["z"])) < 6 for row in rows if row["z"])


@pytest.mark.slow
def test_same_seed_same_numbers(tmp_path):
    for run in ("one", "two"):
        assert main([*COMPARE, "--out", str(tmp_path / run)]) == 0
    first, second = ((tmp_path / run / "compare-quick.csv").read_text() for run in ("one", "two"))
    assert first == second


@pytest.mark.slow
def test_compare_on_digits(tmp_path, capsys):
    assert main(["compare", "--data", "digits", "--seeds", "4", "--quick", "--out", str(tmp_path)]) == 0
    assert "fitted to the spectrum of digits" in capsys.readouterr().out
    rows, _ = outputs(tmp_path, "compare-digits-quick")
    gaps = sorted(abs(float(row["relative_gap"])) for row in rows)
    assert gaps[len(gaps) // 2] < 0.05  # real rows are not Gaussian: measured 2 % in the median
    assert gaps[-1] < 0.2


@pytest.mark.slow
def test_double_descent(tmp_path, capsys):
    assert main(["double-descent", "--size", "24", *SMALL, "--out", str(tmp_path)]) == 0
    rows, _ = outputs(tmp_path, "double-descent-quick")
    peak = [row for row in rows if row["panel"] == "features" and row["label"] == "noise 0.1"]
    top = max(peak, key=lambda row: float(row["theory"]))
    assert top["num_features"] == "24"  # the peak is at N = P
    assert float(top["risk"]) > 2 * float(peak[-1]["risk"])
    stopped = [float(row["theory"]) for row in rows if row["label"] == "best stopping"]
    assert stopped == sorted(stopped, reverse=True)  # no peak is left
    assert "best ridge" in capsys.readouterr().out
