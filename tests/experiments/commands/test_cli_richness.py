"""Commands whose features are trained: `--richness` of compare, exponents and scale-time, and in the files of sweep."""

import csv

import numpy as np
import pytest
from left_behind import outputs

from experiments.cli import main
from experiments.compare import laws
from experiments.output import plotting
from experiments.papers.boopathy2024 import scale_time, trained
from theory import exponents

SWEEP = """
[problem]
a = 1.5
b = 1.25
num_modes = 40
noise_var = 0.1
[run]
seeds = 24
num_samples = 40
num_features = 50
times = [1, 10]
{}
"""


@pytest.mark.parametrize("cost", ["N t", "N^2 t", "N tau"])
@pytest.mark.parametrize(("a", "b"), [(1.5, 1.25), (1.8, 2.0)])
def test_exponents_of_compute_are_the_best_of_two_laws(a, b, cost):
    """N^-(a-1) + clock^-p at a cost N^q clock, minimised by brute force: hard tasks, in time t or tau."""
    e = (a - 1.0) / b
    p, q = (e, 1) if cost == "N tau" else (2.0 * e / (1.0 + e), 2 if cost == "N^2 t" else 1)
    n, risks, sizes = np.geomspace(1.0, 1e15, 200_001), [], []
    for compute in (1e12, 1e14):
        risk = n ** (1.0 - a) + (compute / n**q) ** -p
        risks.append(risk.min())
        sizes.append(n[np.argmin(risk)])
    size, fall = exponents.rich_frontier_exponents(a, b, cost=cost)
    assert abs(np.log(sizes[1] / sizes[0]) / np.log(100.0) - size) < 1e-3
    assert abs(-np.log(risks[1] / risks[0]) / np.log(100.0) - fall) < 1e-3


@pytest.mark.parametrize(("line", "words"), [("richness = -1", "-1"), ('richness = "x"', "'x'")])
def test_a_wrong_richness_of_a_file_is_one_line(tmp_path, capsys, line, words):
    (tmp_path / "s.toml").write_text(SWEEP.format(line + "\n[grid]\nnoise_var = [0.1]"))
    assert main(["sweep", str(tmp_path / "s.toml"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "`richness` must be" in error
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("lines", ["[grid]\nrichness = [0.0, 10.0]", "richness = 10.0\n[grid]\nnoise_var = [0.1]"])
def test_a_sweep_of_richness(tmp_path, lines):
    (tmp_path / "s.toml").write_text(SWEEP.format(lines))
    assert main(["sweep", str(tmp_path / "s.toml"), "--out", str(tmp_path)]) == 0
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert all(abs(float(row["z"])) < 6 for row in rows)
    trained = [row for row in rows if float(row.get("richness", 10.0)) > 0 and float(row["time"]) == 1.0]
    assert float(trained[0]["theory"]) < 1.0  # 1.2 as drawn


@pytest.mark.slow
@pytest.mark.parametrize("extra", [(), ("--optimizer", "gd", "--lr", "0.1", "--times", "1", "60", "8")])
def test_compare(tmp_path, capsys, monkeypatch, extra):
    monkeypatch.setattr("experiments.commands.compare.MODEL_SIZES", {24: 2, 32: 2, 48: 2, 64: 2})
    task = ["--a", "1.5", "--b", "1.25", "--modes", "300", "--features", "60", "--samples", "45", "--noise", "0.1"]
    assert main(["compare", "--quick", *task, "--richness", "3", *extra, "--out", str(tmp_path)]) == 0
    assert "the kernel has grown by" in capsys.readouterr().out
    rows, record = outputs(tmp_path, "compare-gd-quick" if extra else "compare-quick")
    assert record["settings"]["richness"] == 3.0
    assert not any("differs" in axis["words"] for axis in record["settings"]["agreement"].values())
    late = [row for row in rows if row["axis"] == "time"][-1]
    assert abs(float(late["kernel_growth"]) / float(late["growth_theory"]) - 1.0) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("a", [1.5, 3.0])
def test_exponents_of_trained_features(tmp_path, capsys, monkeypatch, a):
    few = lambda a, b: [law for law in laws.all_laws(a, b) if law.name == "time"]  # noqa: E731
    monkeypatch.setattr("experiments.commands.exponents.all_laws", few)
    monkeypatch.setattr("experiments.commands.exponents.SCANS", {"time": "time", "time rich": "time"})
    monkeypatch.setattr("experiments.commands.exponents.CURVE", {"num_features": 128, "num_samples": float("inf")})
    monkeypatch.setattr("experiments.commands.exponents.CURVE_SEEDS", 1)  # four draws of easy tasks tell a level badly
    options = ["--richness", "1", "--simulate", "--seeds", "32", "--modes", "1000", "--out", str(tmp_path)]
    assert main(["exponents", "--a", str(a), "--b", "1.25", *options]) == 0
    printed = capsys.readouterr().out
    assert "A, closed form" in printed
    assert ("would claim a gain" in printed) == (a == 3.0)
    rows, record = outputs(tmp_path, "exponents")
    by_name = {row["quantity"]: row for row in rows if row["closed_form"]}
    assert len(by_name) == 5
    for row in by_name.values():
        assert abs(float(row["theory"]) - float(row["closed_form"])) < 0.01
    rich = by_name["time t, richness 1"]
    assert abs(float(rich["amplitude_theory"]) / float(rich["amplitude"]) - 1.0) < 0.01
    assert set(record["settings"]["fits"]) == {"time", "time rich"}
    assert not any("differs" in axis["words"] for axis in record["settings"]["agreement"].values())


@pytest.mark.slow
def test_scale_time_has_a_panel_of_trained_features():
    """The clock N int m dt is right to a factor below 2; with one ratio of rates a wider model is lazier."""
    setting = scale_time.Setting(0, modes=1000, seeds=16, sizes=(64, 128), richness=3.0)
    _, axes = plotting.new_figure(1, 1)
    part = trained.panel(axes[0, 0], setting)
    clock, lazier, agreed = part.verdicts
    assert clock.verdict == "refined"
    assert lazier.verdict == "confirmed"
    assert "differs" not in agreed.measured
    assert len(part.table) == 2 * len(scale_time.FEW_CLOCK)
