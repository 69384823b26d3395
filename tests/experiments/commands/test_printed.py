"""What commands print: a JSON document or nothing where asked, tables within 100 columns, words that need no code."""

import json
import re
import sys
import types

import numpy as np
import pytest

from experiments.cli import main
from experiments.commands import parsing
from experiments.compare import laws
from experiments.output import console

WIDTH = 100
LOSSES = "N,P,loss\n" + "".join(f"{n},{p},{1 / n + 1 / p}\n" for n in (8, 16, 32, 64) for p in (12, 24, 48, 96))
SWEEP = """
[run]
seeds = 2
num_samples = 20
times = [1, 10, 100]
[grid]
num_features = [8, 12]
"""
SMALL = ["--modes", "200", "--seeds", "2", "--quick"]
PLANE = {"Ia": (0.75, 0.25), "IVb": (0.27, 0.8)}
JARGON = re.compile(r"z median|F_pp|K_pp|FAILS|S2 says|(?<!S2-)\bT[1-6]\b|yes \(|easy task|not told|tells \d")


@pytest.fixture(autouse=True)
def _text_again():
    yield
    console.begin(console.TEXT)


@pytest.fixture
def calls(tmp_path, monkeypatch, sizes_of_one_shape):
    """Every command that prints a table, as small as it can be."""
    (tmp_path / "small.toml").write_text(SWEEP)
    (tmp_path / "a table with a long name.csv").write_text(LOSSES)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 6))
    np.savez(tmp_path / "rows.npz", X=rows, y=rows[:, 0] + rng.normal(size=60))
    monkeypatch.setattr("experiments.commands.exponents.all_laws",
                        lambda a, b: [law for law in laws.all_laws(a, b) if law.name in ("time", "model")])  # fmt: skip
    monkeypatch.setattr("experiments.commands.phases.PHASE_POINTS", PLANE)
    monkeypatch.setattr("experiments.fit.models.STARTS", 4)
    quick = ["--replicas", "3", "--quick"]
    return {
        "compare": ["--features", "24", "--samples", "30", "--modes", "200", "--seeds", "4", "--quick"],
        "decompose": [*SMALL, "--features", "16", "--samples", "20"],
        "double-descent": [*SMALL, "--size", "16"],
        "exponents": ["--quick"],
        "figures": ["--list"],
        "fit": [str(tmp_path / "a table with a long name.csv"), "--modes", "300", "--quick"],
        "frontier": ["--compute", "1e4", "--modes", "1000", "--seeds", "2", "--quick"],
        "modes": [*SMALL, "--features", "16", "--samples", "20"],
        "phases": ["--quick"],
        "predict": [str(tmp_path / "rows.npz"), "--features", "4", "--samples", "12", *quick],
        "epochs": ["--modes", "200", "--seeds", "2", "--features", "16", "--samples", "32", "--epochs", "4", "--quick"],
        "scale-time": ["--modes", "300", "--seeds", "2", "--quick"],
        "schedule": [*SMALL, "--features", "16", "--steps", "64", "--batch-size", "4"],
        "sweep": [str(tmp_path / "small.toml"), "--quick"],
    }


FAST = ("figures",)  # `rfm compare` in test_cli
WITHOUT_TABLES = ("explore", "report", "rerun")  # a page, lines of verdicts, the tables of another command
NAMES = [
    name if name in FAST else pytest.param(name, marks=pytest.mark.slow)
    for name in parsing.COMMANDS if name not in WITHOUT_TABLES
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_tables_fit_and_need_no_code(calls, name, tmp_path, capsys):
    assert main([name, *calls[name], "--out", str(tmp_path / "o")]) == 0
    check_tables(capsys.readouterr().out)


def check_tables(printed):
    lines = printed.splitlines()
    assert len(lines) > 1
    assert [line for line in lines if len(line) > WIDTH and " " in line.strip() and "/" not in line] == []
    assert JARGON.findall("\n".join(lines)) == []


@pytest.mark.parametrize("name", ["figures", "sweep"])
def test_json_is_one_document(calls, name, tmp_path, capsys):
    """Nothing else on standard output; with --quiet no progress either."""
    arguments = [name, *calls[name], "--out", str(tmp_path / "out")]
    assert main([*arguments, "--json", "--quiet"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    record = json.loads(said.out, parse_constant=pytest.fail)
    if name == "figures":
        assert {"row", "claim"} <= record[0].keys()
        return
    assert {"settings", "run", "versions", "rows", "files"} <= record.keys()
    assert record["files"][0] == str(tmp_path / "out" / "small-quick.json")
    assert len(record["rows"]) == 2 * 3
    assert "json" not in record["settings"]
    assert main([*arguments, "--status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "store": str(tmp_path / "out" / "small-quick.zarr"),
        "runs": 4,
        "missing": 0,
    }
    assert main([*arguments, "--quiet"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    assert main(["rerun", record["files"][0], "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["rows"] == record["rows"]
    assert again["settings"] == record["settings"]


def test_long_lines_are_wrapped():
    line = "  a word " * 20
    assert all(len(part) <= WIDTH for part in console.wrapped(line).splitlines())
    assert console.wrapped("/" + 150 * "x") == "/" + 150 * "x"  # a path stays whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["compare", "--seeds", "x"],
            "rfm compare: error: --seeds must be an integer, but is 'x'; `rfm compare --help`",
        ),
        (
            ["phases", "--compute", "x"],
            "rfm phases: error: --compute must be a number, but is 'x'; `rfm phases --help`",
        ),
        (["compare", "--map", "x"], "rfm compare: error: --map must be one of 'gaussian', "),
        (["fit"], "rfm fit: error: FILE is missing; `rfm fit --help`"),
        (["sweep", "--out"], "rfm sweep: error: --out: expected one argument; `rfm sweep --help`"),
        (["--nothing"], "rfm: error: there is no command --nothing; `rfm` alone lists all of them."),
    ],
)
def test_words_that_do_not_parse_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1


def test_completion(capsys, monkeypatch):
    """By shtab, which is asked for the whole parser; where it is not installed, how to get it."""
    asked = []
    shtab = types.SimpleNamespace(SUPPORTED_SHELLS=["bash"], complete=lambda *given: asked.append(given) or "a script")
    monkeypatch.setitem(sys.modules, "shtab", shtab)
    with pytest.raises(SystemExit) as stop:
        main(["--completion", "bash"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == "a script\n"
    ((parser, shell),) = asked
    assert shell == "bash"
    commands = parser._subparsers._group_actions[0].choices
    assert list(commands) == list(parsing.COMMANDS)
    assert "--optimizer" in commands["compare"]._option_string_actions
    with pytest.raises(SystemExit):
        main(["--completion", "cmd"])
    assert "--completion must be one of bash, but is 'cmd'" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as stop:
        main(["--completion", "bash"])
    assert stop.value.code == 2
    assert "pip install shtab" in capsys.readouterr().err
