"""`rfm predict`: what it foretells of known populations, what it writes, how it refuses."""

import csv
import json
import re

import numpy as np
import pytest

import rfm
import theory
from experiments.cli import main
from rfm.data import rows

RNG = np.random.default_rng(11)
ROWS, COLUMNS, NOISE = 600, 60, 0.3
LAW = rfm.power_law(1.8, 1.5, COLUMNS, noise_var=NOISE)
ROTATION = np.linalg.qr(RNG.normal(size=(COLUMNS, COLUMNS)))[0]
MODES = RNG.normal(size=(ROWS, COLUMNS)) * np.sqrt(LAW.eigenvalues)
# two outputs, one of which is noise alone
LABELS = np.stack([MODES @ LAW.target, np.zeros(ROWS)], axis=1) + np.sqrt(NOISE / 2) * RNG.normal(size=(ROWS, 2))
ENDINGS = ("csv", "json", "pdf", "png")
FEATURES = 3.0 * MODES @ ROTATION


def run(folder, *arguments):
    return main(["predict", *map(str, arguments), "--out", str(folder)])


def table(path):
    with open(path) as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "features.npz"
    np.savez(path, X=FEATURES, y=LABELS)
    return path


def test_predict_and_check(tmp_path, file, capsys, monkeypatch):
    """Against the theory of the population that the rows are drawn from, and against training on them."""
    monkeypatch.setattr("experiments.forecast.job.CHECKED", 19)  # as many times as steps are looked at: same programs
    # P = 160 is less than half of all rows, and less than the rows of the half that the check predicts from
    sizes = ["--features", 40, "inf", "--samples", 160, "--times", 0.1, 1e3, 96]
    assert run(tmp_path, file, *sizes, "--quick", "--check", "--seeds", 2) == 0
    printed = capsys.readouterr().out
    for words in ("best stopping", "interpolation peak", "model size N", "trained 4 times (N, P)", "wrote "):
        assert words in printed
    assert "WARNING" not in printed  # Gaussian rows
    # however lines are broken
    taken = re.search(r"its loss is that of the exact solution to (\S+)", " ".join(printed.split()))
    assert float(taken.group(1)) < 1e-10  # every step of gradient descent
    names = [f"predict-features{part}-quick" for part in ("", "-check", "-spectrum")]
    left = {f"{name}.{end}" for name in names for end in ENDINGS}
    assert {path.name for path in tmp_path.iterdir()} == left
    settings = json.loads((tmp_path / "predict-features-quick.json").read_text())["settings"]
    noise = settings["estimate"]["noise_var"]
    assert noise["low"] < NOISE < noise["high"]
    assert settings["check"]["median"] < 0.05
    assert abs(settings["check"]["worst"]) < 0.3  # of 2 seeds
    assert settings["check"]["own_rows"]["median"] < 0.15  # told by 160 rows
    assert "test loss estimated from the training rows alone" in " ".join(printed.split())
    grid = [row for row in table(tmp_path / "predict-features-quick.csv") if row["what"] == "grid"]
    assert len(grid) == 2 * 96
    gap = []
    for n in (40.0, np.inf):
        some = [row for row in grid if float(row["num_features"]) == n]
        times = [float(row["time"]) for row in some]
        truth = theory.predict(LAW, num_features=n, num_samples=160, optimizer=rfm.GradientFlow(), times=times).risk
        gap += [float(row["loss"]) / (value + NOISE) - 1 for row, value in zip(some, truth, strict=True)]
        assert all(float(row["low"]) <= float(row["loss"]) <= float(row["high"]) for row in some)
        assert {row["extrapolated"] for row in some} == {"False"}
    assert np.max(np.abs(gap)) < 0.12
    checked = table(tmp_path / "predict-features-check-quick.csv")
    assert len(checked) == 4 * 19
    assert {row["trained_half"] for row in checked} == {"0", "1"}
    assert {row["extrapolated"] for row in checked} == {"False"}
    assert {row["trained_half"] for row in checked if row["told_by_own_rows"]} == {"0"}
    lines = printed.splitlines()  # of the forecast, of the check and of what runs say of themselves
    assert [line.split()[1] for line in lines if line.startswith("inf")] == ["160", "160", "160"]


@pytest.mark.slow
def test_plan_of_a_kernel(tmp_path, capsys):
    """A kernel in place of features: one spectrum and one plan in whole steps, and forecasts within their bands.

    Forecasts are corrected by three trainings at 40 random projections, which are other ones of a kernel.
    """
    np.savez(tmp_path / "kernel.npz", K=FEATURES @ FEATURES.T, y=LABELS)
    np.savez(tmp_path / "features.npz", X=FEATURES, y=LABELS)
    common = ["--features", 40, "--samples", 100, 500, "--optimizer", "gd", "--lr", 0.2, "--replicas", 3]
    common += ["--budget", 1e4]
    kernel = ["--kernel", "--num-modes", COLUMNS]
    assert run(tmp_path / "k", tmp_path / "kernel.npz", *kernel, *common) == 0
    assert run(tmp_path / "x", tmp_path / "features.npz", *common) == 0
    printed = capsys.readouterr().out
    assert printed.count("all 60 columns (N = inf, which costs 60), t = 166,") == 2  # 1e4/60 in whole steps
    k, x = (table(tmp_path / name) for name in ("k/predict-kernel-spectrum.csv", "x/predict-features-spectrum.csv"))
    for column in ("sample_eigenvalue", "sample_power", "eigenvalue", "power"):
        values = [[float(row[column]) for row in rows] for rows in (k, x)]
        np.testing.assert_allclose(*values, rtol=1e-7)
    k, x = (table(tmp_path / name) for name in ("k/predict-kernel.csv", "x/predict-features.csv"))
    for a, b in zip(k, x, strict=True):
        assert max(float(a["low"]), float(b["low"])) < min(float(a["high"]), float(b["high"]))


@pytest.mark.slow
def test_named_data_set(tmp_path, capsys):
    pytest.importorskip("sklearn")
    assert run(tmp_path, "digits", "--map", "relu", "--width", 500, "--quick") == 0
    assert "digits: 1797 rows, 500 features, 10 outputs" in capsys.readouterr().out


def damaged(what):
    """Arrays of a file that must be refused."""
    x, y = FEATURES.copy(), LABELS.copy()
    if what == "nan":
        x[7, 3] = np.nan
    elif what == "huge":
        x[2, 1] = 1e200
    elif what == "constant":
        x[:] = 2.5
    elif what == "short labels":
        y = y[:-1]
    elif what == "one row":
        x, y = x[:1], y[:1]
    elif what == "label nan":
        y[5, 0] = np.inf
    elif what == "text":
        x = x.astype(str)
    elif what == "objects":
        x = x.astype(object)
    elif what == "few rows":
        x, y = x[:11], y[:11]
    elif what == "constant labels":
        y = np.full_like(y, 2.0)
    return {name: values for name, values in {"X": x, "y": y}.items() if name != what}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nan", "row 7, column 3"),
        ("constant", "error: FILE must be of non-zero variance"),
        ("short labels", "(600,) or (600, k)"),
        ("one row", "at least two"),
        ("label nan", "row 5"),
        ("text", "numbers"),
        ("objects", "without objects"),
        ("few rows", "at least 12 rows"),
        ("constant labels", "--labels must be of non-zero variance, but is [2. 2.]: all 600 rows of "),
        ("huge", "less than 1e+100 in size in row 2, column 1 (from 0), but is 1e+200: give it in another unit"),
        ("X", "one X and one y, but is ['y']"),
        ("y", "one X and one y, but is ['X']"),
    ],
)
def test_bad_features(tmp_path, capsys, what, message):
    np.savez(tmp_path / "bad.npz", **damaged(what))
    refused(tmp_path, capsys, message, tmp_path / "bad.npz")


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (FEATURES[:80] @ FEATURES[:80].T + np.triu(np.ones((80, 80)), 1), "must be symmetric"),
        (FEATURES[:80] @ FEATURES[:80].T, "full rank"),
        (FEATURES[:80] @ FEATURES[:80].T - 50 * np.eye(80), "negative eigenvalues"),
        (FEATURES[:80], "a square matrix"),
    ],
    ids=["asymmetric", "rank", "negative", "shape"],
)
def test_bad_kernels(tmp_path, capsys, kernel, message):
    np.savez(tmp_path / "bad.npz", K=kernel, y=LABELS[: len(kernel)])
    refused(tmp_path, capsys, message, tmp_path / "bad.npz", "--kernel")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--features", 0], "--features must be an integer >= 1"),
        (["--features", 2.5], "--features must be an integer >= 1"),
        (["--samples", 0], "--samples must be an integer >= 1"),
        (["--replicas", 1], "--replicas must be an integer >= 2"),
        (["--times", 10, 1, 5], "--times STOP must be"),
        (["--times", 1, 1, 5], "--times STOP must be"),
        (["--times", 1, 10, 1e12], "--times must be at most 10000"),
        (["--optimizer", "gd", "--lr", 5], "--lr must be <"),
        (["--optimizer", "heavy-ball", "--budget", 1e5], "--budget must be left out but for flow and gd"),
        (["--budget", -1], "--budget must be a finite number > 0"),
        (["--budget", "nan"], "--budget must be a finite number > 0"),
        (["--check", "--samples", 290], "--samples must be at most 80% of the 300 rows"),
        (["--kernel"], "one K and one y"),
        (["--map", "relu", "--width", 0], "--width must be"),
        (["--momentum", 0.5], "--momentum must be left out"),
        (["--num-modes", 5], "--num-modes must be left out but for --kernel"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_bad_arguments(tmp_path, file, capsys, arguments, message):
    refused(tmp_path, capsys, message, file, *arguments)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.csv", b"a,b,y\n1,2,3\n4,red,6\n", "a number in line 3 of column 'b', but is 'red'"),
        ("gap.csv", b"a,b,y\n1,2,3\n4,5,\n", "a label in line 3 of column 'y', but is '': fill it in or delete "),
        ("ragged.csv", b"a,b,y\n1,2,3\n4,5\n", "of 3 columns in line 3"),
        ("empty.csv", b"", "not an empty one"),
        ("columns.csv", b"a,b,y\n1,2,3\n", "--labels must be columns of the table ('a', 'b', 'y'), but is 'price'"),
        ("cut.parquet", b"PAR1\x15\x04\x15", "a Parquet file"),
        ("cut.npz", b"PK\x03\x04", "an archive of arrays"),
        ("cut.npy", b"\x93NUMPY\x01\x00", "one array without objects"),
        ("nothing.npz", None, "a file that exists"),
        ("digitz", None, "one of digits, mnist, "),
        (".", None, "one of digits, mnist, "),
    ],
)
def test_bad_files(tmp_path, capsys, name, content, message):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    labels = ["--labels", "price"] if name == "columns.csv" else []
    refused(tmp_path, capsys, message, tmp_path / name, *labels)
    assert content is None or (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize("arguments", [[], ["--map", "relu", "--width", 100_000]], ids=["columns", "width"])
def test_more_columns_than_memory(tmp_path, file, capsys, monkeypatch, arguments):
    monkeypatch.setattr(rows, "available_memory", lambda: 2**18)
    refused(tmp_path, capsys, "small enough for memory", file, *arguments)


def test_out_that_is_a_file(tmp_path, file, capsys):
    (tmp_path / "out").write_text("mine")
    assert main(["predict", str(file), "--quick", "--out", str(tmp_path / "out")]) == 2
    assert "--out must be a folder that can be written" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


def refused(folder, capsys, message, *arguments):
    """One line, exit code 2, and nothing written."""
    assert run(folder / "out", *arguments) == 2
    error = capsys.readouterr().err.split("\r")[-1].strip().splitlines()
    assert error[-1].startswith("rfm predict: error: ")
    assert message in error[-1]
    assert not (folder / "out").exists()


SHORT = ["--quick", "--times", 0.1, 100, 5, "--features", "inf", "--replicas", 2]


def table_of_pairs(folder):
    """Every row twice, with the name of its origin."""
    x, y = FEATURES[:120, :6], LABELS[:120, 0]
    with open(folder / "table.csv", "w") as text:
        print("patient,a,b,c,d,e,f,y", file=text)
        for i in range(240):
            values = ",".join(f"{value:.9g}" for value in [*x[i // 2], y[i // 2]])
            print(f"p{i // 2},{values}", file=text)


def test_groups_and_the_rows_of_a_loss(tmp_path, capsys):
    """A column of groups is no feature, and the first lines say what rows buy."""
    table_of_pairs(tmp_path)
    groups, sizes = ["--groups", "patient"], ["--samples", 60, "--target-loss", 0.5]
    assert run(tmp_path / "g", tmp_path / "table.csv", *groups, *SHORT, *sizes) == 0
    grouped = capsys.readouterr().out.split("\n")
    assert grouped[0].startswith("What do 2 x rows buy? All 240 rows: loss ")
    assert any(line.startswith("How many rows for loss L? 0.5: ") for line in grouped)
    said = " ".join(" ".join(grouped).split())
    assert "6 features" in said
    assert "--groups patient: 240 rows in 120 groups" in said
    refused(tmp_path / "r", capsys, "--groups must be a column of the table ('patient', ", tmp_path / "table.csv",
            "--groups", "hospital")  # fmt: skip
    series = "--time-series must be left out with --groups"
    refused(tmp_path / "r", capsys, series, tmp_path / "table.csv", *groups, "--time-series")
    (tmp_path / "gap.csv").write_text("patient,a,y\nann,1,2\n,3,4\n")
    gap = "--groups must be a name in line 3, but is '': fill it in"
    refused(tmp_path / "r", capsys, gap, tmp_path / "gap.csv", *groups)


@pytest.mark.slow
def test_copies_and_an_eighth(tmp_path, capsys):
    """Copies are counted, both losses are told, and an eighth of the rows is checked on training on more."""
    table_of_pairs(tmp_path)
    csv_of_copies = tmp_path / "copies.csv"
    lines = (tmp_path / "table.csv").read_text().split()
    csv_of_copies.write_text("\n".join(line.split(",", 1)[1] for line in lines))
    check = ["--check", "extrapolate", "--seeds", 2, "--seed", 1]
    assert run(tmp_path / "c", csv_of_copies, *SHORT, "--samples", 15, *check) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "240 rows, 120 of them distinct: n is 120" in said
    assert "two losses at P = 15: " in said
    record = json.loads((tmp_path / "c/predict-copies-quick.json").read_text())["settings"]
    assert record["rows"]["known"] == 240
    assert record["check"]["points"] == 2
