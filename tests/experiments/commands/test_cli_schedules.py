"""`rfm schedule`, `rfm epochs`, and `rfm compare` with schedules, averages and orders; files of schedules."""

import csv
import dataclasses
import re

import numpy as np
import pytest
from left_behind import outputs

import rfm
import theory
from experiments.cli import main
from experiments.commands import sweep, sweep_file
from experiments.compare import algorithms, schedules

LAW = ["--a", "1.6", "--b", "1.3", "--modes", "200", "--noise", "0.05", "--features", "24", "--quick"]
PROBLEM = rfm.power_law(1.6, 1.3, 200, 0.05)


def test_schedule(tmp_path, capsys):
    # sizes of tests/theory/test_best_schedule.py, whose programs are there already
    arguments = ["schedule", *LAW[:-3], "--features", "40", "--steps", "100", "--batch-size", "4"]
    assert main([*arguments, "--quick", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    rows, record = outputs(tmp_path, "schedule-quick")
    settings = record["settings"]
    assert settings["seeds"] == 16  # of --quick
    best = theory.best_schedule(PROBLEM, num_features=40, steps=100, batch_size=4)
    np.testing.assert_allclose(settings["lr"], best.lr, rtol=1e-9)
    assert {row["schedule"] for row in rows} == {*best.families, "best"}
    trained = {row["schedule"] for row in rows if row["risk"]}
    assert trained >= {"constant"}
    for name, family in best.families.items():
        assert settings["families"][name]["excess"] == pytest.approx(family.excess, abs=1e-12)
        assert f"{family.excess:.2%}" in printed
        if name not in trained:  # at its peak one of the drawn models would diverge
            assert f"{name} is not trained: the learning rate must be <" in printed
            continue
        (last,) = (row for row in rows if row["schedule"] == name and row["t"] == "100.0")
        assert float(last["theory"]) == pytest.approx(family.risk, rel=1e-9)
        # sixteen seeds, and 1/N
        assert abs(float(last["risk"]) - family.risk) < 4.0 * float(last["stderr"]) + 3.0 / 40 * family.risk
        assert float(last["lr"]) == pytest.approx(family.lr[-1], rel=1e-12)


@pytest.mark.parametrize(
    ("order", "sizes"),
    [("replacement", (24,)), pytest.param("shuffle", (24, 12), marks=pytest.mark.slow)],
)
def test_epochs(tmp_path, capsys, order, sizes):
    # the size of `test_schedule`, whose programs draw here too
    arguments = [
        "epochs",
        *LAW,
        "--features",
        "40",
        "--samples",
        *map(str, sizes),
        "--epochs",
        "6",
        "--lr",
        "0.2",
        "--seeds",
        "20",
    ]
    assert main([*arguments, "--order", order, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    rows, record = outputs(tmp_path, "epochs-quick" if order == "replacement" else "epochs-shuffle-quick")
    assert set(record["settings"]["best"]) == set(map(str, sizes))
    assert record["settings"]["seeds"] == 20  # what is typed is kept where --quick has fewer
    for samples in sizes:
        args = dict(num_features=40, num_samples=samples, optimizer=rfm.SGD(0.2, 4, order=order))
        worth = theory.epochs_worth(PROBLEM, **args, epochs=[1, 2, 4, 6])
        here = [row for row in rows if int(row["P"]) == samples]
        for often, risk, fresh in zip(worth.epochs, worth.risk, worth.fresh, strict=True):
            (row,) = (row for row in here if float(row["epochs"]) == often)
            assert float(row["theory"]) == pytest.approx(risk, rel=1e-9)
            # of the command between 200 steps of one pass, of the function between all
            assert float(row["fresh_theory"]) == pytest.approx(fresh, rel=1e-3)
            assert abs(float(row["risk"]) - risk) < 4.0 * float(row["stderr"]) + 3.0 / 12 * risk
            assert f"{float(row['fresh_theory']):.2f}" in printed
        every = np.arange(6 * samples // 4 + 1)
        risk = theory.predict(PROBLEM, **args, times=every).risk
        best = record["settings"]["best"][str(samples)]
        assert best["epochs"] == pytest.approx(every[risk.argmin()] / (samples // 4))


@pytest.fixture
def one_size(monkeypatch):
    """Scans over size of a single point, since what is tested does not depend on how many compile."""
    monkeypatch.setattr("experiments.commands.compare.MODEL_SIZES", (24,))


@pytest.mark.slow
@pytest.mark.parametrize("order", ["shuffle", "replacement", "fixed"])
def test_compare_as_people_train(tmp_path, capsys, one_size, order):
    """A schedule, an average and samples used again: beside the theory of these, which agrees."""
    arguments = [
        "--schedule",
        "cosine",
        "--average",
        "0.9",
        "--samples",
        "96",
        "--order",
        order,
        "--times",
        "1",
        "24",
        "6",
    ]
    assert main(["compare", *LAW, "--optimizer", "sgd", *arguments, "--seeds", "12", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "averaged weights" in printed
    size = 16 if order == "replacement" else 6
    assert f"sgd, lr 0.5, schedule cosine, batch size {size}, average 0.9, order {order}" in printed
    rows, record = outputs(tmp_path, "compare-sgd-quick")
    assert set(record["settings"]["agreement"]) == {"time", "features", "samples", "average"}
    assert record["settings"]["batch_size"] == size
    optimizer = rfm.SGD(schedules.rate("cosine", 0.5, 24), size, average=0.9, order=order)
    along = [row for row in rows if row["axis"] == "time"]
    times = [float(row["x"]) for row in along]
    curve = theory.predict(PROBLEM, num_features=24, num_samples=96, optimizer=optimizer, times=times)
    for name, column in (("risk", "theory"), ("average_risk", "average_theory")):
        np.testing.assert_allclose([float(row[column]) for row in along], getattr(curve, name), rtol=1e-9)
    for risk, stderr in (("risk", "stderr"), ("average_risk", "average_stderr")):
        gap = np.array([float(row[risk]) for row in along]) - getattr(curve, risk)
        error = np.array([float(row[stderr]) for row in along])
        assert np.all(np.abs(gap) < 4.0 * error + 3.0 / 24 * getattr(curve, risk))


def test_compare_reads_the_length_of_training_from_a_file(tmp_path, one_size):
    file = tmp_path / "mine.csv"
    file.write_text(
        "step,lr,batch_size,momentum\n" + "".join(f"{i},{0.2 - i / 200},{2 + i // 10},0.3\n" for i in range(20))
    )
    arguments = ["compare", *LAW, "--optimizer", "sgd", "--schedule", str(file), "--average", "tail", "--seeds", "4"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    rows, _ = outputs(tmp_path / "out", "compare-sgd-quick")
    times = [float(row["x"]) for row in rows if row["axis"] == "time"]
    assert times[-1] == 20
    optimizer = rfm.SGD(0.2 - np.arange(20) / 200, 2 + np.arange(20) // 10, np.full(20, 0.3))
    optimizer = dataclasses.replace(optimizer, average=rfm.TailAverage(11))  # of the last half
    curve = theory.predict(PROBLEM, num_features=24, num_samples=np.inf, optimizer=optimizer, times=times)
    averages = [float(row["average_theory"]) for row in rows if row["axis"] == "time"]
    np.testing.assert_allclose(averages, curve.average_risk, rtol=1e-9)
    np.testing.assert_allclose([float(row["theory"]) for row in rows if row["axis"] == "time"], curve.risk, rtol=1e-9)


SWEEP = """
[problem]
a = 1.6
b = 1.3
num_modes = 200
noise_var = 0.05
[optimizer]
name = "sgd"
batch_size = 6
{}
[run]
seeds = 8
num_features = 24
times = [1, 24]
[grid]
num_samples = [96]
"""


@pytest.mark.slow
def test_sweep_of_a_schedule_in_order(tmp_path, capsys):
    """Beside the theory of samples in order, where one of the sizes has none beside that of batches drawn anew."""
    file = tmp_path / "epochs.toml"
    file.write_text(SWEEP.format('schedule = "cosine"\norder = "shuffle"'))
    assert main(["sweep", str(file), "--out", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    rows = list(csv.DictReader((tmp_path / "out" / "epochs.csv").read_text().splitlines()))
    optimizer = rfm.SGD(schedules.rate("cosine", 0.5, 24), 6, order="shuffle")
    sizes = dict(num_features=24, num_samples=96)
    curve = theory.predict(PROBLEM, **sizes, optimizer=optimizer, times=[1, 24])
    np.testing.assert_allclose([float(row["theory"]) for row in rows], curve.risk, rtol=1e-9)
    known = sweep.predict(
        sweep_file.read(file), rfm.Sweep({"num_samples": np.array([96, 100])}, *[np.ones(2)] * 3, None, "", 0.05)
    )
    assert known.label == algorithms.ANEW
    assert known.risk.shape == (2, 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("average = 0.9", "`optimizer.average` must be left out: a sweep keeps the loss of the weights themselves"),
        ('schedule = "exp"', "`schedule` must be one of constant, linear"),
        ("schedule = 1.0", "`optimizer.schedule` must be a text"),
        ('order = "random"', "`order` must be one of 'replacement', 'shuffle', 'fixed'"),
        ('schedule = "FILE"\nlr = 0.1', "`optimizer.lr` must be left out where the schedule has it in a column"),
    ],
)
def test_sweeps_that_are_refused(tmp_path, line, message):
    schedule = tmp_path / "rates.csv"
    schedule.write_text("lr\n" + "0.1\n" * 24)
    file = tmp_path / "epochs.toml"
    file.write_text(SWEEP.format(line.replace("FILE", str(schedule))))
    with pytest.raises(ValueError, match=re.escape(message)):
        sweep_file.read(file)


def test_sweeps_along_the_peak_of_a_schedule_are_refused(tmp_path):
    file = tmp_path / "epochs.toml"
    file.write_text(SWEEP.format('schedule = "wsd"') + "lr = [0.1, 0.2]\n")
    with pytest.raises(ValueError, match=r"`grid.lr` must be left out where the optimizer has a schedule"):
        sweep_file.read(file)


BAD_FILES = {
    "": "a table with a column lr in its first line",
    "loss\n1\n": "('loss' is none of them)",
    "batch_size\n1\n": "a table with a column lr",
    "lr,lr\n1,1\n": "a table with one column lr",
    "lr\n": "a row for every step, one at least",
    "lr\n0.1\n-0.1\n": ">= 0 in every row of column lr (row 2 has '-0.1')",
    "lr\n0.1\nnan\n": "in every row of column lr (row 2 has 'nan')",
    "lr\n0.1\nx\n": "(row 2 has 'x')",
    "lr\n0\n0\n": "whose column lr is not zero in every row",
    "lr,batch_size\n0.1,4\n0.1,2.5\n": "a whole number >= 1 in every row of column batch_size (row 2 has '2.5')",
    "lr,batch_size\n0.1,4\n0.1\n": "a table of 2 columns in every row (row 2 has 1)",
    "lr,momentum\n0.1,1\n": ">= 0 and < 1 in every row of column momentum (row 1 has '1')",
    "step,lr\n0,0.1\n2,0.1\n": "a row for every step (row 2 of column step has 2)",
    "lr\n0.1\n0.1\n": "a row for each of 3 steps (it has 2)",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD_FILES)
def test_files_that_are_no_schedules(tmp_path, text):
    file = tmp_path / "schedule.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match="must be") as error:
        schedules.read(str(file), 3)
    assert BAD_FILES[text] in str(error.value)
    assert "`schedule`" in str(error.value)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--lr", "0.1"], "--lr must be left out where --schedule"),
        (["--batch-size", "4"], "--batch-size must be left out where --schedule"),
        (["--times", "1", "9", "3"], "a row for each of 9 steps (it has 2)"),
    ],
)
def test_options_that_a_file_has_in_a_column(tmp_path, capsys, extra, message):
    file = tmp_path / "schedule.csv"
    file.write_text("lr,batch_size\n0.1,2\n0.05,4\n")
    out = tmp_path / "out"
    assert main(["compare", *LAW, "--optimizer", "sgd", "--schedule", str(file), *extra, "--out", str(out)]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_schedules_by_name():
    """Each rises over five percent of the steps and ends at zero; cosine is that of optax."""
    optax = pytest.importorskip("optax")
    steps = np.arange(100)
    known = optax.warmup_cosine_decay_schedule(0.3 / 6, 0.3, 5, 100)
    np.testing.assert_allclose(
        [schedules.rate("cosine", 0.3, 100)(t) for t in steps], known(steps), rtol=1e-5, atol=1e-7
    )
    wsd = np.array([schedules.rate("wsd:0.5", 0.3, 100)(t) for t in steps])
    assert np.all(wsd[5:52] == pytest.approx(0.3))
    assert wsd[76] == pytest.approx(0.3 * 24 / 47.5)
    power = [float(schedules.rate("power:3", 0.3, 100)(t)) for t in (10, 40)]
    assert power[1] / power[0] == pytest.approx((60 / 90) ** 3)


def test_theory_beside_samples_in_order():
    """Where it is known, that of the order; else that of batches drawn anew, by name."""
    sizes = dict(num_features=24, num_samples=24)
    for size, times, label in ((4, [10], algorithms.OWN), (5, [10], algorithms.ANEW), (4, [10**4], algorithms.ANEW)):
        drawn = algorithms.theory_of(rfm.SGD(0.1, size, order="shuffle"), PROBLEM, **sizes, times=times)
        assert drawn.label == label
        assert drawn.optimizer.order == ("shuffle" if label == algorithms.OWN else "replacement")
