"""The first page of the command line, guesses at mistyped words, versions, tables that fit, and results made again."""

import json
import subprocess
import sys

import pytest
from test_printed import SWEEP

from experiments.cli import main
from experiments.commands import figures
from experiments.commands.parsing import COMMANDS, build_parser
from experiments.output import manual, tables

WIDTH = 100


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_the_first_page(arguments, capsys):
    """Every command is in one group, with an example that its parser takes."""
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= WIDTH
    grouped = [name for names in manual.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(COMMANDS)
    for name in COMMANDS:
        assert f"\n  {name} " in text
        assert manual.EXAMPLES[name] in text
        program, *words = manual.EXAMPLES[name].partition("  ")[0].split()
        assert program == "rfm"
        assert build_parser(name).parse_args(words).command == name


def test_the_first_page_by_module():
    command = [sys.executable, "-P", "-m", "rfm"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: rfm COMMAND")


def test_versions(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert {"rfm", "jax", "numpy", "python"} <= {line.split()[0] for line in capsys.readouterr().out.splitlines()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["comapre"], "rfm: error: there is no command comapre; did you mean compare? `rfm` alone lists all of them."),
        (["zzz"], "rfm: error: there is no command zzz; `rfm` alone lists all of them."),
        (
            ["compare", "--sede", "1"],
            "rfm compare: error: --sede is not an option here; did you mean --seed?",
        ),
        (
            ["compare", "--zzz=1"],
            "rfm compare: error: --zzz=1 is not an option here; `rfm compare --help`",
        ),
        (["compare", "digits"], "rfm compare: error: digits is not an option here; `rfm compare --help`"),
    ],
)
def test_mistyped_words(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1


def test_tables_fit():
    """Long cells go over several lines and lose no word; words longer than a column stay whole."""
    long = " ".join(f"word{i}" for i in range(60))
    text = tables.align([("name", "claim", "source"), ("a", long, "short"), ("b", "c", "d " * 40)])
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.split().count("word59") == 1
    assert len(text.split()) == 3 + 1 + 1 + 60 + 1 + 2 + 40
    assert "x" * 150 in tables.align([("name",), ("x" * 150,)])
    assert tables.align([("a", "b"), ("1", "22")]) == "a  b\n----\n1  22"


def test_the_list_of_figures_fits():
    assert max(map(len, figures.listing().splitlines())) <= WIDTH


def test_a_result_is_made_again(tmp_path):
    """From its JSON, to the same numbers; the record of the new one says the same command."""
    file = tmp_path / "few.toml"
    file.write_text(SWEEP)
    arguments = ["sweep", str(file), "--seed", "3", "--quick", "--out", str(tmp_path / "one")]
    assert main(arguments) == 0
    record = json.loads((tmp_path / "one" / "few-quick.json").read_text())["run"]
    assert record["arguments"] == arguments
    assert record["command"] == f"rfm sweep {file} --seed 3 --quick --out {tmp_path}/one"
    assert record["seconds"] > 0
    assert record["date"].startswith("20")
    assert record["device"].endswith("cpu")
    assert main(["rerun", str(tmp_path / "one" / "few-quick.json"), "--out", str(tmp_path / "two")]) == 0
    one, two = ((tmp_path / name / "few-quick.csv").read_text() for name in ("one", "two"))
    assert one == two
    assert json.loads((tmp_path / "two" / "few-quick.json").read_text())["run"]["arguments"][:4] == arguments[:4]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"run": {"arguments": ["rerun", "x"]}, "versions": {}}',
                                  '{"run": {"arguments": [1]}, "versions": {}}'])  # fmt: skip
def test_what_cannot_be_made_again(text, tmp_path, capsys):
    (tmp_path / "x.json").write_text(text)
    for name in ("x.json", "nothing.json"):
        assert main(["rerun", str(tmp_path / name)]) == 2
        assert "rfm rerun: error: FILE must be a JSON file beside the results of a command" in capsys.readouterr().err
