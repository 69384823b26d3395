"""Tables of losses as people write them: which column is what, numbers, gaps, runs side by side, losses that rise."""

import numpy as np
import pytest
from hard_cases import case

from experiments.fit.losses import Reading, read


def losses(name):
    return read(case(name), {})


def test_headers_without_regard_to_case():
    """N and D; n and t; params and tokens: both axes are read, and what is not used is named."""
    for name, n, t, unused in (
        ("header_N_D_loss.csv", "N", "D", []),
        ("column_t_as_samples.csv", "n", "t", ["flops"]),
        ("isoflop_with_outliers.csv", "params", "tokens", []),
    ):
        found = losses(name)
        assert found.columns == {"features": n, "times": t, "loss": "loss"}
        assert found.table.design.axes == ("features", "times")
        assert found.unused == unused
    table = losses("column_t_as_samples.csv").table
    assert table.design.features[0] == 5173248
    assert table.design.times[0] == 4.027e8
    assert len(np.unique(table.run)) == 7
    assert losses("isoflop_with_outliers.csv").words == "params → N, tokens → t; 60 losses against N, t, 60 runs"


def test_labels_of_runs_without_times():
    """Eight evaluations of each of twelve runs."""
    table = losses("eight_evals_of_a_run.csv").table
    assert (len(table), len(np.unique(table.run))) == (96, 12)


def test_numbers_with_suffixes():
    found = losses("sizes_as_70M.csv")
    assert found.table.design.features.tolist() == [7e7, 1.6e8, 4.1e8, 1e9, 1.4e9, 2.8e9, 6.9e9, 1.2e10]
    assert set(found.table.design.times) == {3e11}
    assert found.unused == ["model"]
    assert found.notes == ["`tokens` is 3e+11 in all rows: its effect cannot be separated from the floor"]


def test_gaps_and_the_start_of_training():
    """Rows without this loss are skipped, a step 0 is left out, and both are counted."""
    found = losses("wandb_gaps.csv")
    assert found.columns == {"times": "step", "loss": "val/loss"}
    assert found.unused == ["train/loss"]
    assert found.table.design.times.tolist() == [100, 300, 500, 700, 900, 1000]
    assert found.notes == ["5 rows without `val/loss` left out"]
    assert found.places[1] == "line 5"
    trained = read(case("wandb_gaps.csv"), {"loss": "train/loss"})
    assert trained.notes == ["1 row at `step` = 0, before training, left out"]
    assert len(trained.table) == 10


def test_a_column_for_every_run():
    found = losses("wandb_wide.csv")
    table = found.table
    assert found.columns == {"times": "Step", "loss": "val/loss", "run": "run"}
    assert table.loss.tolist() == [5.62, 4.71, 4.12, 3.74, 3.52, 3.40, 5.31, 3.80, 3.39, 3.11, 2.94]
    assert table.run.tolist() == [0] * 6 + [1] * 5
    assert found.notes[:2] == [
        "2 runs side by side: small-run, large-run (no column gives their sizes: they are taken to be equal)",
        "4 columns of MIN and MAX left out",
    ]
    assert found.places[-1] == "line 8 of 'large-run - val/loss'"
    assert read(case("wandb_wide.csv"), {"loss": "val/loss"}).table.loss.tolist() == table.loss.tolist()
    one = read(case("wandb_wide.csv"), {"loss": "large-run - val/loss"})
    assert len(one.table) == 5


@pytest.mark.parametrize("separator", [";", "\t", "|", "  "])
def test_separators(tmp_path, separator):
    """A comma is a decimal one where it separates nothing, and one of thousands inside quotes."""
    (tmp_path / "in.csv").write_text(separator.join(("N", "loss")) + "\n" + separator.join(("1e3", "3,25")) + "\n")
    assert read(tmp_path / "in.csv", {}).table.loss.tolist() == [3.25]
    (tmp_path / "in.csv").write_text('N,loss\n"1,200,000",3.25\n')
    assert read(tmp_path / "in.csv", {}).table.design.features.tolist() == [1.2e6]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rising_accuracy.csv", "Column `acc` rises with t in 19 of 19 steps, .* an accuracy. Give 1 - accuracy"),
        ("loss_rises_with_N.csv", "Column `loss` rises with N in 5 of 6 steps, and no model does on fresh data"),
    ],
)
def test_what_rises(name, words):
    with pytest.raises(ValueError, match=words):
        losses(name)


def test_a_run_that_rises_is_told(tmp_path):
    """One run of three; and all of them where noise in a finite training set lets losses rise."""
    rows = [(run, t, 1.0 / t if run < 2 else float(t)) for run in range(3) for t in (1, 2, 4, 8, 16)]
    (tmp_path / "in.csv").write_text("run,t,loss\n" + "".join(f"{run},{t},{y}\n" for run, t, y in rows))
    assert read(tmp_path / "in.csv", {}).notes == ["1 of 3 runs rise with t: did they diverge?"]
    (tmp_path / "in.csv").write_text("P,t,loss\n" + "".join(f"{50 + run},{t},{t}\n" for run, t, _ in rows))
    assert "`loss` rises with t in 12 of 12 steps: can that be a loss?" in read(tmp_path / "in.csv", {}).notes


def test_json_lines_and_parquet(tmp_path):
    """Nested names, a missing loss; the same rows in both formats, and as columns by name."""
    (tmp_path / "in.jsonl").write_text(
        '{"config": {"n_params": 7e7}, "tokens": 1e9, "eval": {"loss": 3.2}}\n'
        '{"config": {"n_params": 1.4e8}, "tokens": 2e9, "eval": {"loss": 3.0}}\n'
        '{"config": {"n_params": 2.8e8}, "tokens": 2e9, "eval": {"loss": null}}\n'
    )
    found = read(tmp_path / "in.jsonl")
    assert found.words.startswith(
        "config/n_params → N, tokens → t, eval/loss → loss; 2 losses against N, t, 2 runs, 1 row"
    )
    columns = {"N": [7e7, 1.4e8, 2.8e8], "D": [1e9, 2e9, 2e9], "loss": [3.2, 3.0, None]}
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    for other in (read(tmp_path / "in.parquet"), read(columns)):
        np.testing.assert_array_equal(other.table.design.features, found.table.design.features)
        np.testing.assert_array_equal(other.table.loss, found.table.loss)
    (tmp_path / "in.jsonl").write_text('{"N": 1}\nloss\n')
    with pytest.raises(ValueError, match="one JSON object per line, but line 2 is not one"):
        read(tmp_path / "in.jsonl")


def text(folder, rows):
    (folder / "in.csv").write_text(rows)
    return folder / "in.csv"


def test_units_in_headers(tmp_path):
    design = read(text(tmp_path, "Params (M);Tokens in billions;val loss\n2,048;1,5;3,21\n70M;2;4,2\n")).table.design
    assert design.features.tolist() == [2048e6, 70e6]
    assert design.times.tolist() == [1.5e9, 2e9]


@pytest.mark.parametrize(
    ("rows", "times", "note"),
    [
        ("params,flops,loss\n70M,4.2e18,3.2\n140M,8.4e18,3.1\n", [1e10, 1e10], "t = flops/(6 params)"),
        ("N,steps,batch,loss\n7,10,64,3.2\n14,10,128,3.1\n", [640, 1280], "t = steps x batch: samples seen"),
        ("P,epoch,loss\n50,2,3.2\n100,3,3.1\n", [100, 300], "t = epoch x P: samples seen"),
        ("C,loss\n1e18,3.2\n1e19,3.1\n", [1e18, 1e19], "t = C: the law of compute alone"),
        ("run,D,step,loss\na,1e6,1,3.2\na,2e6,2,3.1\n", [1e6, 2e6], "`step` is proportional to `D`: one axis"),
    ],
)  # fmt: skip
def test_axes_from_other_columns(tmp_path, rows, times, note):
    found = read(text(tmp_path, rows))
    np.testing.assert_allclose(found.table.design.times, times)
    assert note in found.notes


def test_two_times_are_asked_about(tmp_path):
    """Tokens as the size of a data set, and steps: the sentence names both options, and either is taken."""
    path = text(tmp_path, "params,tokens,step,loss\n70M,1e9,10,3.2\n70M,1e9,20,3.1\n")
    with pytest.raises(
        ValueError, match=r"`tokens` and `step` could both be the time t: name one by --times, .*--samples"
    ):
        read(path)
    found = read(path, {"samples": "tokens", "times": "step"}).table.design
    assert (found.samples.tolist(), found.times.tolist()) == ([1e9, 1e9], [10, 20])


def test_rows_that_repeat(tmp_path):
    found = read(text(tmp_path, "run,step,loss\na,1,3.2\na,2,3.1\na,2,3.1\n"))
    assert len(found.table) == 2
    assert "1 row that repeats another in every cell left out" in found.notes[0].replace("repeat ", "repeats ")


def test_accuracies():
    found = read(case("rising_accuracy.csv"), Reading(accuracy=True))
    assert found.table.loss[0] == pytest.approx(1 - 0.03067)
    assert "loss = 1 - acc" in found.notes
