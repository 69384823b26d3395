"""`rfm modes`: share of modes beside their theory."""

import numpy as np
import pytest
from left_behind import outputs

from experiments.cli import main


@pytest.mark.slow
def test_modes(tmp_path, capsys):
    arguments = ["--modes", "60", "--features", "20", "--samples", "30", "--times", "1", "1000", "4", "--seeds", "60"]
    assert main(["modes", *arguments, "--out", str(tmp_path)]) == 0
    assert "scatter" in capsys.readouterr().out
    rows, record = outputs(tmp_path, "modes")
    assert len(rows) == 4 * 4
    assert record["settings"]["features"] == 20
    off = [abs(float(r["share"]) - float(r["share_theory"])) / (4 * float(r["stderr"]) + 0.1) for r in rows]
    assert max(off) < 1.0
    ratio = np.array([float(r["std"]) / float(r["std_theory"]) for r in rows])
    assert 0.8 < np.median(ratio) < 1.3


def test_refused(tmp_path, capsys):
    assert main(["modes", "--seeds", "1", "--out", str(tmp_path)]) == 2
    assert "--seeds must be an integer >= 2" in capsys.readouterr().err
