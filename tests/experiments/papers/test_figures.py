"""Rows of the literature: every script runs in smoke size, leaves its files, and reaches a verdict from its numbers."""

import csv
import dataclasses
import json
import re
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from experiments.cli import main
from experiments.commands import figures as command
from experiments.compare import verdicts as findings
from experiments.compare.comparison import Comparison
from experiments.compare.equivalence import agreement
from experiments.compare.verdicts import CONFIRMED, CONTRADICTED, OPEN, REFINED, approaching, condition, judge, overall
from experiments.output import files as reports
from experiments.output.plotting import new_figure
from experiments.papers import row as rows
from experiments.papers.index import ROW_MODULES, load
from experiments.papers.row import Script, Shown

CLAIMS = Path(__file__).parents[3] / "docs" / "claims.md"


@pytest.mark.slow  # .ci/run runs all of them, by the command
@pytest.mark.parametrize("name", ROW_MODULES)
def test_row(name, tmp_path):
    script = load(name)
    assert script.name == name
    assert all((script.title, script.source, script.claim))
    row = script(size="smoke", out=str(tmp_path))
    assert row.findings
    assert row.verdict in findings.VERDICTS
    assert row.line.startswith(f"{name}: {row.verdict}.")
    picture = matplotlib.image.imread(tmp_path / f"{name}-quick.png")
    assert np.ptp(picture[..., :3]) > 0.5
    assert (tmp_path / f"{name}-quick.pdf").read_bytes().startswith(b"%PDF")
    table = list(csv.DictReader((tmp_path / f"{name}-quick.csv").read_text().splitlines()))
    assert len(table) > 1
    settings = json.loads((tmp_path / f"{name}-quick.json").read_text())["settings"]
    assert settings["parameters"] == json.loads(json.dumps(script.smoke))
    assert script.done("smoke", str(tmp_path), 0) == row


def test_every_row_stands_in_the_table_of_claims():
    """With a verdict; S2-T1, T3 is short for S2-T1, S2-T3."""
    cells = [line.split(" | ") for line in CLAIMS.read_text().splitlines() if re.match(r"\| (S\d|FL)", line)]
    told = [name for cell in cells for name in cell[0].removeprefix("| ").split(", ")]
    assert sorted(name.rpartition("-")[2] for name in told) == sorted(name.rpartition("-")[2] for name in ROW_MODULES)
    assert all(cell[2].split()[0] in findings.VERDICTS for cell in cells)


# ---- verdicts


@pytest.mark.parametrize(
    ("measured", "error", "claimed", "closed", "verdict"),
    [
        (1.01, 0.0, 1.0, 0.5, CONFIRMED),
        (0.51, 0.0, 1.0, 0.5, CONTRADICTED),
        (0.75, 0.0, 1.0, 0.5, OPEN),
        (0.75, 0.15, 1.0, 0.5, CONFIRMED),  # cannot tell: not contradicted
        (0.75, 0.0, 1.0, None, OPEN),
        (0.51, 0.0, None, 0.5, CONFIRMED),
    ],
)
def test_exponent(measured, error, claimed, closed, verdict):
    assert judge("x", measured, claimed=claimed, closed=closed, error=error).verdict == verdict


def test_approaching_only_where_local_exponents_rise():
    x = np.array([10.0, 100.0, 1000.0, 10000.0])
    told = judge("x", 0.9, claimed=1.0)
    assert approaching(told, x, 1.0 / (x + 30.0), 1.0).verdict == REFINED
    assert approaching(told, x, x**-0.9, 1.0) == told
    assert approaching(told, x, 1.0 / x + 1.0 / x**2, 1.0) == told
    assert approaching(judge("x", 1.0, claimed=1.0), x, 1.0 / (x + 30.0), 1.0).verdict == CONFIRMED


def test_agreement_sees_a_gap_and_forgives_the_stated_one():
    rng = np.random.default_rng(4)
    predicted = np.array([1.0, 0.1, 0.01])
    samples = predicted * (1.0 + 0.1 * rng.standard_normal((400, 3)))

    def verdict(samples, *sizes):
        return agreement([Comparison("features", np.array(sizes), samples, predicted)]).verdict

    assert verdict(samples, np.inf, np.inf, np.inf) == CONFIRMED
    assert verdict(1.1 * samples, np.inf, np.inf, np.inf) == OPEN
    assert verdict(1.03 * samples, 130.0, 130.0, 130.0) == CONFIRMED  # 3 % off, as 4/N is there
    assert verdict(1.03 * samples, 1e4, 1e4, 1e4) == OPEN  # a point may not be off as far where the size is large
    assert verdict(1.05 * samples, 40.0, 40.0, 40.0) == OPEN  # a small size does not make 5 % of level agree
    near = Comparison("time", np.arange(1.0, 4.0), 1.03 * samples, predicted)
    assert agreement([near], sizes=[130.0]).verdict == CONFIRMED
    assert agreement([near, near], sizes=[130.0, 1e4]).verdict == OPEN


def test_agreement_is_right_in_99_of_100():
    rng = np.random.default_rng(1)
    draws = [1.0 + 0.02 * rng.standard_normal((8, 5)) for _ in range(1000)]
    called = [agreement([Comparison("time", np.arange(1.0, 6.0), draw, np.ones(5))]).verdict for draw in draws]
    wrong = called.count(OPEN)
    assert 1 <= wrong <= 20  # about 10


def test_the_worst_decides():
    parts = {verdict: condition("q", "c", "m", True, yes=verdict) for verdict in findings.VERDICTS}
    assert overall((parts[CONFIRMED], parts[REFINED])) == REFINED
    assert overall((parts[REFINED], parts[CONTRADICTED], parts[CONFIRMED])) == CONTRADICTED
    assert overall(tuple(parts.values())) == OPEN


# ---- the command, and what an earlier run left


def _show(seed, points):
    figure, axes = new_figure(1, 1)
    axes[0, 0].plot(range(points))
    return Shown(figure, [{"x": i} for i in range(points)], (condition("q", "c", "m", points > 2),))


SCRIPT = Script("X-1", "Title", "Source", "Claim", _show, {"points": 5}, {"points": 3})


def test_done_only_with_the_same_settings(tmp_path, monkeypatch):
    out = str(tmp_path)
    assert SCRIPT.done("smoke", out, 0) is None
    row = SCRIPT("smoke", out)
    assert SCRIPT.done("smoke", out, 0) == row
    assert SCRIPT.done("full", out, 0) is None
    assert SCRIPT.done("smoke", out, 1) is None
    assert dataclasses.replace(SCRIPT, smoke={"points": 4}).done("smoke", out, 0) is None
    (tmp_path / "X-1-quick.pdf").unlink()
    assert SCRIPT.done("smoke", out, 0) is None
    SCRIPT("smoke", out)
    monkeypatch.setattr(reports, "versions", lambda: {"jax": "other"})
    assert SCRIPT.done("smoke", out, 0) is None


def test_damaged_record_is_run_again(tmp_path):
    (tmp_path / "X-1-quick.json").write_text("{")
    assert SCRIPT.done("smoke", str(tmp_path), 0) is None


def test_unknown_size():
    with pytest.raises(ValueError, match=r"`size` must be .*full.*smoke.*'tiny'"):
        SCRIPT("tiny")


@pytest.mark.parametrize("wrong", [["S99"], []])
def test_wrong_name(wrong, capsys):
    assert main(["figures", *wrong]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert ("NAME must be a row" if wrong else "Name at least one row") in error
    assert rows.SCALES[0] not in error


@pytest.mark.parametrize("name", ROW_MODULES)
def test_a_name_means_one_row(name):
    """FL-1 is not FL-10 as well: its process would start both, and each of those both again."""
    assert [row for row in ROW_MODULES if command.begins(row, name)] == [name]


def test_beginnings_of_names():
    chosen = [row for row in ROW_MODULES if command.begins(row, "S1")]
    assert "S1-4" in chosen
    assert all(row.startswith("S1-") for row in chosen)
    assert len([row for row in ROW_MODULES if command.begins(row, "FL")]) == 10


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """Work in a folder that holds another package `experiments`, as many projects do."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").write_text("raise RuntimeError('of another project')")
    monkeypatch.chdir(tmp_path)


def test_a_row_that_fails_ends_the_others(tmp_path, capsys, monkeypatch, foreign):
    """In a process of its own, whose last words are told: those of our package."""
    unknown = dataclasses.replace(SCRIPT, name="X-9")
    monkeypatch.setattr(command, "choose", lambda args: [unknown, unknown])
    assert main(["figures", "X", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("rfm figures: error: row X-9: rfm figures: error: NAME must be a row, or the beginning of ")


@pytest.mark.slow
def test_several_rows_side_by_side(tmp_path, capsys, foreign):
    assert main(["figures", "S2-T2", "S3-dual", "--quick", "--out", str(tmp_path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("wrote")]
    assert [line.split("/")[-1].split(".")[0] for line in lines] == ["S2-T2", "S3-dual"]
    assert (tmp_path / "S2-T2.png").exists()


def test_list(capsys):
    assert main(["figures", "--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ROW_MODULES)
