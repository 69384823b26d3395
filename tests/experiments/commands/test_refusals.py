"""How the `rfm` command refuses wrong values, mistyped words and a machine that lacks something, and how it stops."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import rfm
from experiments.cli import main
from experiments.commands.parsing import COMMANDS, build_parser


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--a", "0.5"], "--a must be a number > 1, but is 0.5"),
        (["compare", "--b", "-1"], "--b must be a number > 0, but is -1.0"),
        (["compare", "--modes", "0"], "--modes must be an integer >= 1"),
        (["compare", "--features", "0"], "--features must be"),
        (["compare", "--samples", "-3"], "--samples must be"),
        (["compare", "--noise", "-1"], "--noise must be a finite variance >= 0, but is -1.0"),
        (["compare", "--noise", "nan"], "--noise must be a finite variance >= 0, but is nan"),
        (["compare", "--seeds", "1"], "--seeds must be an integer >= 2"),
        (["compare", "--times", "5", "1", "10"], "--times STOP must be a number > start"),
        (["compare", "--optimizer", "gd", "--lr", "3"], "--lr must be < 1."),
        (["compare", "--data", "imagenet"], "--data must be one of 'digits', 'mnist', "),
        (["compare", "--seed", "-1"], "--seed must be an integer from 0"),
        (["compare", "--times", "1", "10", "2.5"], "--times NUM must be an integer >= 2"),
        (["compare", "--momentum", "0.9"], "--momentum must be left out with --optimizer flow"),
        (["compare", "--lr", "0.5"], "--lr must be left out with --optimizer flow"),
        (["compare", "--optimizer", "adam", "--weight-decay", "0.1"], "--weight-decay must be left out"),
        (["compare", "--optimizer", "nesterov", "--schedule", "cosine"], "--schedule must be left out"),
        (["compare", "--optimizer", "gd", "--batch-size", "4"], "--batch-size must be left out"),
        (["compare", "--optimizer", "heavy-ball", "--momentum", "1"], "--momentum must be a number >= 0 and < 1"),
        (["compare", "--optimizer", "adam", "--lr", "-1"], "--lr must be a finite number > 0"),
        (["compare", "--optimizer", "sgd", "--order", "shuffle"], "--order must be 'replacement' for one pass"),
        (["compare", "--optimizer", "sgd", "--average", "1"], "--average must be a decay >= 0 and < 1, polyak, tail"),
        (["compare", "--optimizer", "sgd", "--schedule", "wsd:9"], "--schedule must be wsd:PART with a number from"),
        (["compare", "--optimizer", "gd", "--average", "0.9"], "--average must be left out with --optimizer gd"),
        (["schedule", "--steps", "1"], "--steps must be an integer from 2 to 100,000, but is 1"),
        (["epochs", "--samples", "2"], "--batch-size must be a finite integer, at most --samples = 2, but is 4"),
        (["epochs", "--lr", "9"], "--lr must be < "),
        (["compare", "--optimizer", "sgd", "--batch-size", "0"], "--batch-size must be"),
        (["compare", "--optimizer", "sgd", "--samples", "8"], "--batch-size must be a finite integer, at most"),
        (["compare", "--ensemble", "0"], "--ensemble must be"),
        (["compare", "--bags", "-2"], "--bags must be"),
        (["decompose", "--features", "0"], "--features must be"),
        (["decompose", "--momentum", "0.9"], "--momentum must be left out with --optimizer flow"),
        (["decompose", "--optimizer", "gd", "--lr", "1.3"], "--lr must be < 1."),
        (["double-descent", "--size", "2"], "--size must be an integer >= 8, but is 2"),
        (["exponents", "--a", "1"], "--a must be a number > 1, but is 1.0"),
        (["exponents", "--b", "0.9"], "--b must be a number > 1"),
        (["exponents", "--seeds", "1"], "--seeds must be an integer >= 2"),
        (["exponents", "--damping", "0.1"], "--damping must be left out without --power P, which it belongs to"),
        (["phases", "--grid", "1"], "--grid must be an integer >= 2, but is 1"),
        (["phases", "--compute", "10"], "--compute must be a finite number >= 1e4"),
        (["frontier", "--compute", "-5"], "--compute must be"),
        (["frontier", "--compute", "0.001"], "--compute must be"),
        (["frontier", "--a", "1"], "--a must be"),
        (["frontier", "--tune-lr"], "--tune-lr must be left out but for --optimizer sgd"),
        (["frontier", "--optimizer", "gd", "--weight-decay", "0.1"], "--optimizer must be at constant lr"),
        (["frontier", "--optimizer", "sgd", "--lr", "9"], "--lr must be"),
        (["frontier", "--optimizer", "sgd", "--samples", "100"], "--samples must be"),
        (["frontier", "--optimizer", "sgd", "--schedule", "x.csv"], "--schedule must be "),
        (
            ["frontier", "--optimizer", "sgd", "--schedule", "cosine", "--samples", "9"],
            "--samples must be left out with",
        ),
        (["scale-time", "--b", "1"], "--b must be a number > 1"),
    ],
)
def test_wrong_value_is_one_line_and_exit_2(tmp_path, capsys, arguments, message):
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err.split("\r")[-1].strip().splitlines()[-1]
    assert error.startswith(f"rfm {arguments[0]}: error: ")
    assert message in error
    assert not list(tmp_path.iterdir())


def test_out_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["compare", "--out", str(tmp_path / "file" / "deeper")]) == 2
    assert "--out must be a folder that can be written" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["comparee"], ["compare", "--nosie", "0.1"], ["compare", "--seeds", "x"]])
def test_typo_is_exit_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_help_tells_every_default(capsys):
    for command in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            build_parser().parse_args([command, "--help"])
        assert stop.value.code == 0
        text = capsys.readouterr().out
        # a page and a fit compute what they are asked for
        assert ("[--quick]" in text) == (command != "explore")
        assert "None" not in text


def test_interrupt_writes_nothing(tmp_path):
    """Ctrl-C in the middle: a line, exit code 130, an empty folder."""
    # a runner started in the background may have told its children to ignore the signal
    script = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    script += "from experiments.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", script, "compare", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ})
    begun = process.stderr.read(1)  # of the progress: past the imports, well before the end
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert begun
    assert process.returncode == 130
    assert "interrupted" in error
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_another_package_experiments_is_named_in_one_line(tmp_path):
    """First on the path, it would be imported in place of ours."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").write_text("raise RuntimeError('of another project')")
    path = os.pathsep.join([str(tmp_path), str(Path(rfm.__file__).parents[1])])
    command, environment = [sys.executable, "-P", "-m", "rfm", "figures", "--list"], os.environ | {"PYTHONPATH": path}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert str(tmp_path / "experiments") in ended.stderr


def test_an_accelerator_that_is_not_there_is_one_line(tmp_path):
    """JAX would fail at the first array, with a traceback."""
    command, environment = [sys.executable, "-P", "-m", "rfm", "phases"], os.environ | {"JAX_PLATFORMS": "rocm"}
    environment["PYTHONPATH"] = str(Path(rfm.__file__).parents[1])
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("rfm phases: error: JAX_PLATFORMS=rocm, but JAX has no such device")
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())


def test_every_command_takes_what_the_page_says():
    """But those that the page names."""
    page, lacking = (Path(__file__).parents[3] / "docs/commands.md").read_text(), {"explore"}
    for option, without in (
        *((f"--{name}", lacking) for name in ("seed", "quick", "out")),
        ("--json", ()),
        ("--quiet", ()),
    ):
        assert f"`{option}`" in page
        for name in COMMANDS:
            options = build_parser(name)._subparsers._group_actions[0].choices[name]._option_string_actions
            assert (option in options) == (name not in without), (name, option)
