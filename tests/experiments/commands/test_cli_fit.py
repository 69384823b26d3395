"""`rfm fit`: what it prints and leaves behind, and how it refuses."""

import csv
import json

import numpy as np
import pytest

import rfm
import theory
from experiments.cli import main
from experiments.fit import models as curve_models


def write(path, header, rows):
    path.write_text("\n".join([header, *(",".join(f"{cell:.9g}" for cell in row) for row in rows)]) + "\n")
    return str(path)


TRUTH = {"a": 1.7, "b": 1.4, "noise": 0.2, "scale": 3.0, "floor": 0.5}


def curves(features, samples, times, modes, scatter):
    """Rows N, P, t (left out at None), loss: the theory, and runs that are off by `scatter` as wholes."""
    problem, rows = rfm.power_law(TRUTH["a"], TRUTH["b"], modes, TRUTH["noise"]), []
    rng = np.random.default_rng(0)
    optimizer = rfm.Ridge(0.0) if times is None else rfm.GradientFlow()
    for n in features:
        for p in samples:
            risk = theory.predict(problem, num_features=n, num_samples=p, optimizer=optimizer, times=times).risk
            losses = (TRUTH["floor"] + TRUTH["scale"] * risk) * (1 + scatter * rng.standard_normal())
            when = [()] if times is None else [(t,) for t in times]
            rows += [(n, p, *t, y) for t, y in zip(when, losses, strict=True)]
    return rows


def read_table(folder, part):
    with open(folder / f"fit_{part}.csv") as file:
        return list(csv.DictReader(file))


def check_rows(folder, kept):
    """The truth is inside the intervals; the rows not held out have these sizes; the theory is nearer to the others."""
    found = {row["parameter"]: row for row in read_table(folder, "parameters") if row["model"] == "solvable"}
    for name, value in TRUTH.items():
        assert float(found[name]["low"]) <= value <= float(found[name]["high"]), name
        assert not found[name]["note"]
    points, predictions = read_table(folder, "points"), read_table(folder, "predictions")
    assert {float(row["N"]) for row in points if row["held_out"] == "False"} == kept
    gaps = {
        name: np.median([
            abs(float(row["error"])) for row in predictions
            if row["held_out"] == "True" and row["fitted_to"] == "rows not held out" and row["model"] == name
        ])
        for name in ("solvable", "chinchilla", "power law", "last value")
    }  # fmt: skip
    assert gaps["solvable"] < 0.03 < gaps["chinchilla"]
    record = json.loads((folder / "fit.json").read_text())["settings"]
    assert record["errors"]["held_out"]["solvable"][0] == pytest.approx(gaps["solvable"], rel=1e-6)
    return points, record


def test_fit(tmp_path, capsys, monkeypatch):
    """Sizes where training has ended, columns by name: both models, points held out, regimes."""
    monkeypatch.setattr(curve_models, "STARTS", 6)
    rows = curves((10.0, 20.0, 40.0, 80.0, 160.0), (15.0, 30.0, 60.0, 120.0, 240.0), None, 300, 0.003)
    path = write(tmp_path / "in.csv", "width,data,y", rows)
    named = ["--features", "width", "--samples", "data", "--loss", "y", "--modes", "300"]
    assert main(["fit", path, *named, "--hold-out", "0.2", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    for words in ("width → N, data → P, y → loss; 25 losses against N, P, 25 runs", "a - 1 < b: a - 1 - b = -0.",
                  "points held out: largest N"):  # fmt: skip
        assert words in printed
    assert "N* ~ C^" not in printed
    points, _ = check_rows(tmp_path / "out", {10.0, 20.0, 40.0, 80.0})
    assert len(points) == len(rows)


@pytest.mark.slow
def test_fit_of_training_curves(tmp_path, capsys, monkeypatch):
    """N, P and t, infinitely many modes: the compute rule too."""
    monkeypatch.setattr(curve_models, "STARTS", 12)
    rows = curves((20.0, 50.0, 120.0), (40.0, 150.0, 600.0), np.geomspace(1.0, 300.0, 6), None, 0.01)
    path = write(tmp_path / "in.csv", "N,P,t,loss", rows)
    assert main(["fit", path, "--hold-out", "0.4", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    for words in ("54 losses against N, P, t, 9 runs", "a - 1 < b: a - 1 - b = -0.", "points held out", "N* ~ C^"):
        assert words in printed
    _, record = check_rows(tmp_path / "out", {20.0, 50.0})
    rule = record["compute_rule"]["solvable"]
    assert rule["N* ~ C^"][0] == pytest.approx(1 / 2.4, abs=0.05)
    assert rule["best"][0] > 1.0


ROWS = [(10, 1.0), (20, 0.7), (40, 0.5), (80, 0.4), (160, 0.35), (320, 0.33)]
TEXT = "N,loss\n10,1.0\n20,0.7\n40,much\n80,0.4\n"


SQUARE = "N,P,loss\n" + "".join(f"{n},{p},{1 / n + 1 / p}\n" for n in (8, 16, 32) for p in (8, 16, 32))


@pytest.mark.parametrize(
    ("text", "extra", "words"),
    [
        (None, [], "can be read (No such file"),
        ("", [], "with a header and rows below it"),
        ("N,loss\n", [], "with a header and rows below it"),
        (TEXT, [], "Column `loss` must hold numbers, but has 'much' in line 4"),
        ("N,loss\n10,nan\n", [], "Column `loss` holds no number in any row: name another by --loss."),
        ("N,loss\n10,0\n", [], "Column `loss` must hold numbers > 0, but has '0' in line 2"),
        ("N,loss\n-3,1\n", [], "Column `N` must hold numbers > 0, but has '-3' in line 2"),
        ("t,loss\n0,1\n", [], "Column `t` is 0 in every row"),
        ("t,loss\ninf,1\n", [], "but has 'inf' in line 2"),
        ("N,loss\n10,\n", [], "Column `loss` holds no number in any row"),
        ("N,loss\n10,1,2\n", [], "rows of 2 cells as its header, but is '3 cells in line 2'"),
        ("N,N,loss\n10,10,1\n", [], "one column of a name"),
        ("N,y\n10,1\n", [], "No column is the loss: name one of N, y by --loss"),
        ("width,loss\n10,1\n", [], "name one of width, loss by --features, --samples or --times"),
        ("N,loss\n10,1\n", ["--samples", "P"], "--samples must be a column of the file, one of N, loss"),
        ("N,loss\n10,1\n", ["--samples", "N", "--features", "N"], "N twice"),
        ("N,loss\n10,1\n", [], "takes two values or more"),
        ("N,loss\n10,1\n20,0.5\n", [], "one with more rows than the 4 parameters a, b, scale, floor"),
        ("N,loss\n10,1\n20,0.5\n", ["--units", "t"], "--units must be of axes that the file has"),
        ("N,loss\n10,1\n20,0.5\n", ["--fix", "c=1"], "--fix must be one of 'a', 'b'"),
        ("N,loss\n10,1\n20,0.5\n", ["--fix", "a=1"], "--fix a must be a number > 1"),
        ("N,loss\n10,1\n20,0.5\n", ["--fix", "a"], "--fix a must be a number > 1"),
        ("N,loss\n10,1\n20,0.5\n", ["--fix", "b=0.9"], "for infinitely many modes"),
        ("N,loss\n10,1\n20,0.5\n", ["--hold-out", "1"], "--hold-out must be"),
        ("N,loss\n10,1\n20,0.5\n", ["--modes", "0"], "--modes must be"),
        ("N,loss\n10,1\n20,0.5\n", ["--lr", "0.5"], "it belongs to gd"),
        ("t,loss\n1,1\n2.5,0.5\n", ["--optimizer", "gd"], "whole step counts for --optimizer gd"),
        ("t,loss\n1,1\n2,0.5\n", ["--optimizer", "gd", "--units", "t"], "whose steps are counted"),
        (SQUARE, ["--modes", "300", "--quiet"], "rows of N = P that have no time"),
        ("N,loss\n10,2\n20,2\n", [], "Column `loss` is 2 in all 2 rows: name another by --loss"),
        (TEXT, [], "in line 4 of in.csv: mend it or delete the row"),
        ("1,2\n3,4\n", [], "a table whose first line names its columns, but is '1, 2'"),
        ("N,loss,weight\n10,1,0\n20,0.5,0\n", [], "Column `weight` must hold a number > 0 in some row"),
        ("N,loss,stderr\n10,1,0\n20,0.5,0.1\n", [], "Column `stderr` must hold numbers > 0"),
    ],
)
def test_refuses(tmp_path, capsys, text, extra, words):
    """One line, exit code 2, nothing written."""
    path = tmp_path / "in.csv"
    if text is not None:
        path.write_text(text)
    before = tmp_path / "out" / "fit_points.csv"
    before.parent.mkdir()
    before.write_text("of before")
    assert main(["fit", str(path), *extra, "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.startswith("rfm fit: error: ")
    assert printed.err.count("\n") == 1
    assert list(before.parent.iterdir()) == [before]
    assert before.read_text() == "of before"


def test_a_schedule_is_not_offered(tmp_path, capsys):
    """What would always be refused is no option, and is not in the help."""
    path = write(tmp_path / "curves.csv", "N,P,t,loss", [(8, 16, 1.0, 0.5)])
    with pytest.raises(SystemExit) as stopped:
        main(["fit", path, "--schedule", "cosine", "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "--schedule" in error
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    assert "--schedule" not in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_schedules(tmp_path, capsys):
    """Files of runs, some held out: the errors of both laws, tidy tables; questions about sizes are refused."""
    steps, paths = np.arange(40, 1201, 40), []
    for name, rates in (("cosine", 0.005 * (1.1 + 0.9 * np.cos(np.pi * steps / 1200))), ("constant", 0.01 + 0 * steps),
                        ("drop", np.where(steps < 800, 0.01, 0.003))):  # fmt: skip
        loss = 2.0 + 3.0 * np.cumsum(rates) ** -0.5 + 20.0 * rates
        paths.append(write(tmp_path / f"{name}.csv", "step,lr,loss", zip(steps, rates, loss, strict=True)))
    command = ["fit", *paths[:2], "--held-out", paths[2], "--out", str(tmp_path / "out")]
    assert main([*command, "--compute", "1e20"]) == 2
    assert "--compute must be left out for tables with a learning rate" in capsys.readouterr().err
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("step → t; 60 losses against t, 2 runs")
    assert "mean of the runs held out" in printed
    assert "held out: the " in printed
    held = [row for row in read_table(tmp_path / "out", "predictions") if row["held_out"] == "True"]
    assert {row["run"] for row in held} == {"drop.csv"}
    assert {row["model"] for row in held} == {"schedule law", "multi-power law"}
    assert {row["parameter"] for row in read_table(tmp_path / "out", "parameters")} >= {"L0", "u", "(a - 1)/b"}


def test_quick_files_are_marked(tmp_path):
    rows = [(10.0**i, 10.0 ** (i + 2 + i % 3), 2 + 2.0**-i) for i in range(6, 13)]
    path = write(tmp_path / "in.csv", "params,tokens,loss", rows)
    assert main(["fit", path, "--quick", "--quiet", "--out", str(tmp_path / "out")]) == 0
    tables = [f"fit_{part}-quick.csv" for part in ("parameters", "points", "predictions")]
    left = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert left == sorted([*tables, "fit-quick.json", "fit-quick.pdf", "fit-quick.png"])
