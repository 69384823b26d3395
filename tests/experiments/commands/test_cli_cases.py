"""The files of `hard_cases` through the real commands: the right value, or one clear line."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hard_cases import case

import rfm
from experiments.cli import main
from experiments.fit import plots as fit_plots
from experiments.forecast import job
from experiments.forecast import plots as forecast_plots

pytestmark = pytest.mark.usefixtures("lines_of_few_points")
HELD = ["--fix", "a=1.7", "b=1.35", "--hold-out", "0"]  # one search of the solvable model less: the rest is the same


@pytest.fixture
def lines_of_few_points(monkeypatch):
    """As many as the program has that evaluates the points of a small table."""
    monkeypatch.setattr(fit_plots, "FINE_POINTS", 8)


def fit(folder, name, *extra):
    assert main(["fit", case(name), *extra, "--out", str(folder)]) == 0
    with open(folder / "fit_parameters.csv") as file:
        rows = list(csv.DictReader(file))
    record = json.loads((folder / "fit.json").read_text())["settings"]
    return record, {(row["model"], row["parameter"]): float(row["estimate"] or "nan") for row in rows}


def check_isoflop(printed, record, values):
    assert printed.startswith("params → N, tokens → t; 60 losses against N, t, 60 runs\n")
    assert values["chinchilla", "alpha"] == pytest.approx(0.391, abs=5e-4)
    assert values["chinchilla", "beta"] == pytest.approx(0.615, abs=5e-4)
    assert values["chinchilla, least squares", "beta"] == pytest.approx(0.628, abs=5e-4)
    assert record["outliers"] == [f"line {i}" for i in range(2, 7)]
    assert "5 rows off the power laws of all others: line 2 (+29.1%), line 3" in printed
    assert "without: E 1.870, alpha 0.375, beta 0.385" in printed


def test_isoflop(tmp_path, capsys):
    record, values = fit(tmp_path, "isoflop_with_outliers.csv")
    printed = capsys.readouterr().out
    check_isoflop(printed, record, values)
    assert "the solvable model is not fitted: N and t of networks are not in its units" in printed
    assert "held out: largest N, t" in printed


@pytest.mark.slow
def test_isoflop_beside_the_theory(tmp_path, capsys):
    record, values = fit(tmp_path, "isoflop_with_outliers.csv", "--solvable")
    printed = capsys.readouterr().out
    check_isoflop(printed, record, values)
    assert "power laws describe this table 2." in printed
    assert "times better than the solvable model" in printed
    # the rejected model has no intervals
    assert all(reading[1] is None for reading in record["parameters"]["solvable"].values())
    assert "a - 1" not in printed


def test_both_columns(tmp_path, capsys):
    _, values = fit(tmp_path, "header_N_D_loss.csv", "--least-squares")
    for name, value in {"E": 1.92, "alpha": 0.50, "beta": 0.38}.items():
        assert values["chinchilla", name] == pytest.approx(value, abs=0.005)
    assert "D → t; 11 losses against N, t, 11 runs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("eight_evals_of_a_run.csv", ["96 losses against N, 12 runs\n", "by least squares: E 1.764, A 617"]),
        ("column_t_as_samples.csv", ["n → N; 8 losses against N, t, 7 runs; not used: flops"]),
        pytest.param(
            "wandb_gaps.csv",
            ["step → t, val/loss → loss; 6 losses against t, 1 run, 5 rows without `val/loss` left"],
            marks=pytest.mark.slow,
        ),
        ("wandb_wide.csv", ["11 losses against t, 2 runs", "4 columns of MIN and MAX left out"]),
        ("sizes_as_70M.csv", ["params → N, tokens → t; 8 losses against N, t, 8 runs; not used: model"]),
    ],
)  # fmt: skip
def test_tables(tmp_path, capsys, name, words):
    fit(tmp_path, name, *(HELD if name.startswith("wandb") else []))
    printed = capsys.readouterr().out
    for text in words:
        assert text in printed


@pytest.mark.parametrize("name", ["rising_accuracy.csv", "loss_rises_with_N.csv"])
def test_what_rises(tmp_path, capsys, name):
    assert main(["fit", case(name), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "in 19 of 19 steps" in said or "rises with N in 5 of 6 steps" in said
    assert not (tmp_path / "out").exists()


def test_no_empty_panels(tmp_path, monkeypatch):
    """Every panel of a table in which no two rows share a size shows the points."""
    figures = []
    draw = fit_plots.draw
    monkeypatch.setattr(fit_plots, "draw", lambda fits: figures.append(draw(fits)) or figures[-1])
    fit(tmp_path, "column_t_as_samples.csv")
    assert all(ax.lines for ax in figures[0].axes)


ONE_SIZE = ["--features", "inf"]


def predict(folder, file, *extra):
    assert main(["predict", str(file), *extra, "--quick", "--out", str(folder)]) == 0
    left = f"predict-{Path(file).stem}-quick"
    with open(folder / f"{left}.csv") as file:
        losses = [row for row in csv.DictReader(file) if row["what"] == "grid"]
    return json.loads((folder / f"{left}.json").read_text())["settings"], losses


def test_integer_classes(tmp_path, capsys):
    predict(tmp_path, case("integer_classes.npz"), *ONE_SIZE)
    assert "labels are 3 whole numbers, taken as numbers; --target one-hot takes them" in capsys.readouterr().out
    record, losses = predict(tmp_path, case("integer_classes.npz"), "--target", "one-hot", "--samples", "30", *ONE_SIZE)
    assert record["estimate"]["label_variance"] == pytest.approx(0.665, abs=5e-4)
    # least squares on 30 of the rows, 4,000 times in plain numpy: 0.273 with the means that all rows have, as theory
    # and `--check` train; 0.290 where the means are learned from the 30 as well
    assert float(losses[-1]["loss"]) == pytest.approx(0.273, rel=0.05)
    assert "whole numbers" not in capsys.readouterr().out
    with pytest.warns(UserWarning, match="Labels are integers, taken as numbers"):
        rfm.from_features(np.random.default_rng(0).standard_normal((300, 4)), np.arange(300) % 10)


def test_float32_kernel(tmp_path, capsys):
    file = case("kernel_float32_rank6.npz")
    assert main(["predict", file, "--kernel", "--quick", "--out", str(tmp_path)]) == 2
    assert "--num-modes 6" in capsys.readouterr().err
    record, _ = predict(tmp_path, file, "--kernel", "--num-modes", "6", *ONE_SIZE)
    assert record["estimate"]["trusted"] == 6
    with np.load(file) as arrays, pytest.raises(ValueError, match="of rank 6"):
        rfm.from_kernel(arrays["K"], arrays["y"])
    rows = np.random.default_rng(0).standard_normal((50, 3)) @ np.random.default_rng(1).standard_normal((3, 9))
    population = rfm.from_features(rows.astype(np.float32), rows[:, 0]).population
    assert population.rows.shape == (50, 3)


def test_units_of_columns(tmp_path, capsys):
    """The forecast in one unit is that of numpy's least squares on 60 rows; another unit of one column is told."""
    _, losses = predict(tmp_path, case("same_columns_one_unit.npz"), "--samples", "60", *ONE_SIZE)
    assert float(losses[-1]["loss"]) == pytest.approx(0.108, rel=0.03)
    assert "hides the others" not in capsys.readouterr().out
    predict(tmp_path, case("one_column_in_large_units.npz"), *ONE_SIZE)
    assert "column 0 (from 0) has 9e+13 times the variance of column 7 and hides the others" in capsys.readouterr().out


def test_pure_noise(tmp_path, capsys):
    record, _ = predict(tmp_path, case("labels_of_pure_noise.npz"), *ONE_SIZE)
    printed = capsys.readouterr().out
    assert "no signal found" in printed
    assert "nan" not in printed
    assert "exponent, no noise" not in printed
    assert record["exponents"] == []


def rows_of(folder, kind):
    rng = np.random.default_rng(2)
    count, columns = (500, 12) if kind == "wild" else (20, 30) if kind == "repeated" else (20, 12)
    x = rng.normal(size=(count, columns))
    y = x[:, 0] + (0.5 if kind == "wild" else 1.3) * rng.normal(size=count)
    if kind == "wild":
        y[17] *= 1000
    times = 4 if kind == "repeated" else 1
    np.savez(folder / "rows.npz", X=np.repeat(x, times, axis=0), y=np.repeat(y, times))
    return folder / "rows.npz", x, y


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("repeated", "80 rows, 20 of them distinct"),
        ("wild", "row 17 (from 0) holds 100% of the variance of the labels"),
        ("twenty", "(too few rows for an interval)"),
    ],
)
def test_few_odd_rows(tmp_path, capsys, kind, words):
    """One line says what is odd; no interval is of zero or astronomical width, no band beyond what labels allow."""
    file, x, y = rows_of(tmp_path, kind)
    record, losses = predict(tmp_path / "out", file)
    printed = capsys.readouterr().out
    assert words in printed
    assert "nan" not in printed
    assert "inf)" not in printed
    assert "e+12" not in printed
    untrained = record["estimate"]["label_variance"]
    assert all(float(row["high"]) <= max(10 * untrained, float(row["loss"])) * 1.0001 for row in losses)
    if kind == "twenty":  # unbiased
        design = np.column_stack([np.ones(20), x])
        left = np.sum((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2) / (20 - 13)
        assert record["estimate"]["noise_var"]["value"] == pytest.approx(left, rel=1e-6)


@pytest.mark.slow
def test_repeated_rows_with_a_plan(tmp_path, capsys):
    file, *_ = rows_of(tmp_path, "repeated")
    assert main(["predict", str(file), "--out", str(tmp_path / "out")]) == 0
    assert "nan" not in capsys.readouterr().out


def broken(*arguments):
    raise RuntimeError("no such colour")


@pytest.mark.parametrize("command", ["fit", "predict"])
def test_a_figure_that_fails(tmp_path, capsys, monkeypatch, command):
    """The tables are whole, and printed."""
    monkeypatch.setattr(fit_plots, "draw", broken)
    monkeypatch.setattr(forecast_plots, "curves", broken)
    file, extra = (
        (case("eight_evals_of_a_run.csv"), [])
        if command == "fit"
        else (case("same_columns_one_unit.npz"), ["--quick", *ONE_SIZE])
    )
    assert main([command, file, *extra, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "no such colour" in said.err
    assert said.out.count("\n") > 5
    left = "fit" if command == "fit" else f"predict-{Path(file).stem}-quick"
    tables = ("_parameters.csv", "_points.csv", "_predictions.csv") if command == "fit" else (".csv",)
    assert {path.name for path in tmp_path.iterdir()} >= {f"{left}{end}" for end in (*tables, ".json")}


def test_stopped_in_the_check(tmp_path, capsys, monkeypatch):
    """The forecast that was printed is there."""
    monkeypatch.setattr(job, "check", lambda *_: (_ for _ in ()).throw(ValueError("stopped")))
    file = case("same_columns_one_unit.npz")
    assert main(["predict", file, "--quick", "--check", *ONE_SIZE, "--out", str(tmp_path)]) == 2
    assert "best stopping" in capsys.readouterr().out
    assert (tmp_path / "predict-same_columns_one_unit-quick.csv").exists()


@pytest.mark.slow
def test_a_closed_pipe(tmp_path):
    """Whoever closes the pipe has the files all the same, and no traceback."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "experiments.cli",
        "fit",
        case("eight_evals_of_a_run.csv"),
        "--out",
        str(tmp_path),
    ]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr.lower()
    ends = ("_parameters.csv", "_points.csv", "_predictions.csv", ".json", ".pdf", ".png")
    left = {f"fit{end}" for end in ends}
    assert {path.name for path in tmp_path.iterdir()} == left


def test_what_fit_offers(capsys):
    """No option in --help that is always refused."""
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    printed = capsys.readouterr().out
    assert "--schedule" not in printed
    assert "--weight-decay" not in printed
