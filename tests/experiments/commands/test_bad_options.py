"""Generated bad options of every command, and bad files of `rfm sweep`.

Each ends in one line that names the option, or the key of the file, exit code 2, nothing computed or written.
"""

import shutil
import time
from pathlib import Path

import bad_sweeps
import pytest

from experiments import cli
from experiments.commands import parsing
from experiments.output import progress
from rfm.sweeps import sweeping

NUMBERS = ("x", "", "nan", "inf", "-inf", "1e400", "--", "0x10", "1,5", "None", "1e", "0b1", "1..2")
COUNTS = ("x", "", "1.5", "nan", "inf", "-1", "1e400", "99999999999999999999", "None", "0", "1e", "0b1", "1,000")
POSITIVE = (*NUMBERS, "0", "-1")
SIZES = ("x", "", "0", "-1", "nan", "1.5", "1e", "0b1")
TIMES = (
    "1 2",
    "x 2 3",
    "0 2 3",
    "-1 2 3",
    "2 1 3",
    "1 2 1",
    "1 2 2.5",
    "nan 2 3",
    "1 inf 3",
    "1 2 0",
    "1 2 1e99",
)
WORDS = ("x", "", "nope", "None")
BAD = {
    "a": (*NUMBERS, "1", "0", "-1"), "b": POSITIVE, "modes": COUNTS, "noise": (*NUMBERS, "-1", "-0.001"),
    "seeds": (*COUNTS, "1"),
    "seed": ("x", "", "1.5", "nan", "-1", "1e400", "99999999999999999999", "4294967296", "None"),
    "features": SIZES, "samples": SIZES, "times": TIMES, "optimizer": ("x", "", "GD", "gd2"), "lr": POSITIVE,
    "momentum": (*NUMBERS, "1", "-1", "2"), "weight-decay": (*NUMBERS, "-1"), "batch-size": COUNTS,
    "schedule": (*WORDS, "wsd:5", "linear:1", "no.csv"),
    "ensemble": COUNTS, "bags": COUNTS, "map": WORDS, "data": WORDS, "size": (*COUNTS, "2"), "compute": POSITIVE,
    "grid": (*COUNTS, "1"), "budget": POSITIVE, "width": COUNTS, "replicas": (*COUNTS, "1"), "num-modes": COUNTS,
    "target": WORDS, "labels": WORDS, "model": WORDS, "hold-out": (*NUMBERS, "1", "-0.1"), "units": ("x", "", "n"),
    "fix": ("x", "a", "a=", "a=x", "a=0.5", "q=2"), "loss": WORDS, "stderr": WORDS, "run": WORDS,
    "port": (*COUNTS[:9], "65536"), "devices": COUNTS, "steps": COUNTS, "epochs": COUNTS, "order": WORDS,
    "most": (*NUMBERS, "0", "1", "-1"),
    "average": ("x", "", "1", "-0.1", "nan", "tail:0", "tail:x", "polyak:1", "None"),
    "richness": (*NUMBERS, "-1"), "power": (*NUMBERS, "-1", "1"), "damping": POSITIVE,
}  # fmt: skip
OTHERS = {  # values of one command that are fine, or mean something else, in another
    ("figures", "size"): WORDS, ("report", "size"): WORDS, ("fit", "features"): WORDS, ("fit", "samples"): WORDS,
    ("frontier", "batch-size"): [x for x in COUNTS if len(x) < 9],  # the budget is too small for a huge one
    ("fit", "times"): WORDS, ("frontier", "samples"): ("x", "", "0", "-1", "nan"),
}  # fmt: skip
FIRST = {"predict": ["digits"], "figures": ["S1-4"], "report": ["S1-4"]}
NEEDS = {"lr": "gd", "weight-decay": "gd", "schedule": "gd", "momentum": "heavy-ball", "batch-size": "sgd",
         "average": "sgd", "order": "sgd"}  # fmt: skip
EVERY, SLOWEST = 13, 2.0  # call of the quick share; seconds


class Computed(BaseException):
    """A command has begun to work."""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "losses.csv"
    rows = [f"{n},{p},{t},{1 / n + 1 / p + 1 / t}\n" for n in (8, 16, 32) for p in (8, 16, 32) for t in (1, 10, 100)]
    path.write_text("n,p,t,loss\n" + "".join(rows))
    return str(path)


def bad_calls(table):
    """Yield (option, arguments); those of `rfm sweep` are in `bad_sweep_calls`."""
    for name in parsing.COMMANDS:
        if name in ("sweep", "rerun"):  # that makes the command line of another one
            continue
        parser = parsing.build_parser(name)._subparsers._group_actions[0].choices[name]
        options = parser._option_string_actions
        for option, values in BAD.items():
            if f"--{option}" not in options:
                continue
            head = [name, *([table] if name == "fit" else FIRST.get(name, []))]
            if option in NEEDS and NEEDS[option] in (getattr(options.get("--optimizer"), "choices", None) or ()):
                head += ["--optimizer", NEEDS[option]]
            for value in OTHERS.get((name, option), values):
                several = option == "times" and name != "fit"
                yield option, [*head, *([f"--{option}", *value.split()] if several else [f"--{option}={value}"])]


def bad_sweep_calls(folder):
    """Yield (option or key, arguments)."""
    good = folder / "good.toml"
    good.write_text(bad_sweeps.text(bad_sweeps.GOOD))
    for option, values in bad_sweeps.OPTIONS.items():
        for value in values:
            yield option, ["sweep", str(good), f"--{option}={value}"]
    for number, (key, text) in enumerate(bad_sweeps.bad_files()):
        path = folder / f"{number}.toml"
        path.write_text(text)
        yield key, ["sweep", str(path)]


def fault(option, arguments, out, capsys):
    """What is wrong with how a bad call ends; nothing where all is well."""
    where = [] if arguments[0] == "explore" or any("--out" in text for text in arguments) else ["--out", str(out)]
    start = time.perf_counter()
    try:
        code = cli.main([*arguments, *where])
    except SystemExit as ended:
        code = ended.code
    except Computed:
        code = "accepted"
    except Exception as error:
        code = f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - start
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("usage:", " "))]
    left = out.exists()
    shutil.rmtree(out, ignore_errors=True)
    named = [f"--{option}"]
    if arguments[0] == "sweep":
        named += [f"`{option}`", f".{option}`", f"`{option}.", f"'{option}'"]
    well = code == 2 and len(lines) == 1 and any(name in lines[0] for name in named) and not left and seconds < SLOWEST
    if well:
        return ""
    told = Path(arguments[1]).read_text() if "toml" in arguments[1] and len(arguments) == 2 else ""
    return f"{' '.join(arguments)}: {option} {code} {lines} {seconds:.1f} s{' files left' * left}\n{told}"


def test_a_share_of_bad_options(table, tmp_path, capsys, monkeypatch):
    calls = [*bad_calls(table), *bad_sweep_calls(tmp_path)]
    check(calls[::EVERY], tmp_path, capsys, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_bad_options(table, tmp_path, capsys, monkeypatch):
    calls = [*bad_calls(table), *bad_sweep_calls(tmp_path)]
    assert len(calls) > 1500
    check(calls, tmp_path, capsys, monkeypatch)


def check(calls, tmp_path, capsys, monkeypatch):
    def compute(*_, **__):
        raise Computed

    monkeypatch.setattr(progress, "bar", compute)
    monkeypatch.setattr(progress, "over", compute)
    monkeypatch.setattr(sweeping, "Work", compute)
    faults = [fault(option, arguments, tmp_path / "out", capsys) for option, arguments in calls]
    assert "\n".join(filter(None, faults)) == ""
