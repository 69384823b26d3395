"""The commands on exponents: `rfm exponents`, `phases`, `frontier`, `scale-time`."""

import pytest
from left_behind import outputs

from experiments.cli import main
from experiments.compare import laws


def without_frontiers(*arguments):
    """Frontiers take long to compile and are tested by themselves."""
    return [law for law in laws.all_laws(*arguments) if not law.name.startswith("compute")]


@pytest.mark.slow
def test_exponents(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("experiments.commands.exponents.all_laws", without_frontiers)
    assert main(["exponents", "--quick", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "1.2499" in printed
    rows, record = outputs(tmp_path, "exponents-quick")
    by_name = {row["quantity"]: row for row in rows if row["closed_form"]}
    assert abs(float(by_name["time t, N = P = inf"]["theory"]) - 1.6) < 0.01
    assert record["settings"]["verdicts"]["time"] == "claim holds; closed form holds"
    assert record["settings"]["verdicts"]["model"] == "claim does not hold; closed form holds"


@pytest.mark.slow
def test_exponents_of_training_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("experiments.commands.exponents.all_laws", without_frontiers)
    monkeypatch.setattr("experiments.commands.exponents.SCANNED_SIZES", (16, 32, 48, 64))
    monkeypatch.setattr("experiments.commands.exponents.CURVE", {"num_features": 128, "num_samples": float("inf")})
    arguments = ["--a", "2", "--b", "1.5", "--modes", "2000", "--seeds", "24", "--simulate", "--out", str(tmp_path)]
    assert main(["exponents", *arguments]) == 0
    assert "training" in capsys.readouterr().out
    rows, record = outputs(tmp_path, "exponents")
    simulated = [row for row in rows if row["simulation"]]
    assert len(simulated) == 3
    for row in simulated:
        assert float(row["low"]) < float(row["simulation"]) < float(row["high"])
        # 1/N effects at these sizes move slopes by up to 0.05
        assert float(row["low"]) - 0.05 < float(row["theory_same_window"]) < float(row["high"]) + 0.05
    assert set(record["settings"]["fits"]) == {"time", "model", "data"}


@pytest.mark.slow
def test_phases(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("experiments.commands.phases.PHASE_POINTS", {"Ia": (0.75, 0.25), "Ib": (0.33, 0.45)})
    assert main(["phases", "--grid", "3", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    phase, formula, verdict = printed.index("Ia "), printed.index("0.4000"), printed.index("reached")
    assert phase < formula < verdict  # in one row; cells are wrapped
    rows, _ = outputs(tmp_path, "phases")
    gaps = [
        abs(float(row["risk_exponent"]) - float(row["risk_formula"])) for row in rows if float(row["compute"]) >= 1e10
    ]
    assert len(gaps) > 8
    assert max(gaps) < 0.06  # the slowest, near a boundary


@pytest.mark.slow
def test_frontier(tmp_path, capsys):
    arguments = ["--compute", "1e4", "--a", "1.5", "--b", "1.25", "--modes", "3000", "--seeds", "8", "--quick"]
    assert (
        main(["frontier", "--optimizer", "sgd", "--lr", "0.1", "--batch-size", "2", *arguments, "--out", str(tmp_path)])
        == 0
    )
    printed = capsys.readouterr().out
    assert "C = 1e+04: N = " in printed
    assert "phase Ia, modes to learn = model size" in " ".join(printed.split())
    assert "trained at the optimum" in printed
    rows, _ = outputs(tmp_path, "frontier-sgd-quick")
    assert {row["kind"] for row in rows} == {"theory", "training"}
    for row in rows:
        product = float(row["num_features"]) * float(row["times"]) * 2
        assert product == pytest.approx(float(row["compute"]), rel=1e-9)
        if row["kind"] == "training":
            # eight seeds, and 1/N at N of 8 or more
            assert (
                abs(float(row["risk"]) / float(row["theory"]) - 1)
                < 4 * float(row["stderr"]) / float(row["risk"]) + 0.15
            )


@pytest.mark.slow
def test_frontier_of_a_schedule(tmp_path, capsys):
    arguments = ["--compute", "3e3", "--a", "1.6", "--b", "1.3", "--modes", "2000", "--seeds", "8", "--quick"]
    arguments += ["--optimizer", "sgd", "--lr", "0.2", "--batch-size", "1", "--schedule", "linear"]
    assert main(["frontier", *arguments, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "constant rate: N = " in printed
    assert "the schedule makes N* 0." in printed
    rows, _ = outputs(tmp_path, "frontier-sgd-linear-quick")
    assert {row["kind"] for row in rows} == {"theory", "constant rate", "training"}
    last = {row["kind"]: row for row in rows if row["kind"] != "training" and float(row["compute"]) == 3e3}
    assert float(last["theory"]["risk"]) < float(last["constant rate"]["risk"])
    for row in (row for row in rows if row["kind"] == "training"):
        allowed = 4 * float(row["stderr"]) / float(row["risk"]) + 0.15
        assert abs(float(row["risk"]) / float(row["theory"]) - 1) < allowed


@pytest.mark.slow
def test_scale_time(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("experiments.papers.boopathy2024.scale_time.RUN_SIZES", (32, 64))
    monkeypatch.setattr("experiments.papers.boopathy2024.scale_time.T6_SIZES", (32, 64))
    monkeypatch.setattr("experiments.papers.boopathy2024.scale_time.T6_STEPS", 600)
    monkeypatch.setattr("experiments.papers.boopathy2024.scale_time.BIG", 64)
    monkeypatch.setattr("experiments.papers.boopathy2024.scale_time.SMALL", 32)
    assert main(["scale-time", "--modes", "1000", "--seeds", "4", "--quick", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for row in (
        "time to a risk, variance 1",
        "floor",
        "one curve, variance",
        "prediction",
        "noise added",
        "sign-SGD",
        "N t",
    ):
        assert row in printed
    rows, record = outputs(tmp_path, "scale-time-quick")
    assert {row["row"] for row in rows} >= {"time to a risk", "floor", "prediction", "noise", "algorithms", "surface"}
    found = {one["quantity"]: one for one in record["settings"]["findings"]}
    assert found["time to a risk, variance 1"]["verdict"] == "confirmed"
    assert "the peak does not move with N t" in found["risk over N and N t"]["measured"]
