"""Files of a result: whole or not there, never replaced in silence, on disk before anything is printed."""

import json
import os
import subprocess
import sys

import pytest
from matplotlib.figure import Figure

from experiments.output import children, files


def result(rows=({"x": 1},), name="compare", **settings):
    return files.Result(name, list(rows), settings, Figure, "a table")


def test_an_earlier_result_is_kept(tmp_path, capsys):
    files.save(tmp_path, result(seed=0))
    files.save(tmp_path, result([{"x": 2}], seed=1))
    assert "kept the earlier result as" in capsys.readouterr().err
    assert (tmp_path / "compare-1.csv").read_text().split() == ["x", "1"]
    assert (tmp_path / "compare.csv").read_text().split() == ["x", "2"]
    files.save(tmp_path, result([{"x": 3}], seed=2))
    assert (tmp_path / "compare-2.csv").read_text().split() == ["x", "2"]
    names = {f"compare{number}{suffix}" for number in ("", "-1", "-2") for suffix in files.SUFFIXES}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_the_same_result_is_made_again_in_its_place(tmp_path):
    files.save(tmp_path, result(seed=0, seconds=1.0))
    files.save(tmp_path, result(seed=0, seconds=2.0))
    assert len(list(tmp_path.iterdir())) == 4


def test_files_that_are_no_result_are_kept_too(tmp_path):
    (tmp_path / "compare.png").write_bytes(b"mine")
    (tmp_path / "compare.json").write_text("[]")
    files.save(tmp_path, result())
    assert (tmp_path / "compare-1.png").read_bytes() == b"mine"


def test_names_say_what_a_result_is_of():
    assert files.name_of("compare", None) == "compare"
    assert files.name_of("compare", "digits") == "compare-digits"
    assert files.name_of("compare", "some/rows.npz") == "compare-rows"


def test_a_table_outlives_its_figure(tmp_path):
    """Tables come first: a figure that cannot be drawn loses no number."""

    def fail():
        raise MemoryError("no figure")

    with pytest.raises(MemoryError):
        files.save(tmp_path, files.Result("compare", [{"x": 1}], {"seed": 0}, fail))
    assert {path.name for path in tmp_path.iterdir()} == {"compare.csv", "compare.json"}


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "compare.json").mkdir()
    (tmp_path / "compare.json" / "mine").touch()
    files.save(tmp_path, result())  # a folder of that name is kept as any earlier file is
    assert (tmp_path / "compare-1.json" / "mine").exists()

    def full(path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"compare\.png could not be written \(No space left on device\)"):
        files.replace(tmp_path / "compare.png", full)
    assert not list(tmp_path.glob(".*"))


def test_leftovers_of_killed_processes_go(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    stale, running = (tmp_path / f".compare.csv.{pid}.tmp" for pid in (dead.pid, os.getppid()))
    stale.touch()
    running.touch()
    files.save(tmp_path, result())
    assert not stale.exists()
    assert running.exists()


def test_a_refused_command_makes_no_folder(tmp_path):
    out = tmp_path / "new" / "results"
    ended = children.run("-m", "experiments.cli", "double-descent", "--size", "3", "--out", str(out))
    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not out.parent.exists()


@pytest.mark.parametrize("there", ["file", "below"])
def test_a_file_in_the_place_of_the_folder_is_told_at_once(tmp_path, there):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / ("" if there == "file" else "results")
    with pytest.raises(ValueError, match=r"out.*Not a directory"):
        files.check_folder(str(out))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
def test_what_cannot_be_printed_is_on_disk(tmp_path):
    command = [sys.executable, "-P", "-c", SAVES, str(tmp_path)]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=children.environment())
    assert json.loads((tmp_path / "compare.json").read_text())["settings"] == {"seed": 0}
    assert ended.returncode == 2
    assert "No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_reader_that_leaves_is_no_error(tmp_path):
    command = [sys.executable, "-P", "-c", SAVES, str(tmp_path)]
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, env=children.environment())
    os.close(write)
    assert (tmp_path / "compare.pdf").exists()
    assert ended.returncode == 0
    assert ended.stderr == ""


# `rfm report` with nothing to compute: a command that imports little
SAVES = """
import sys
from matplotlib.figure import Figure
from experiments import cli
from experiments.commands import report
from experiments.output import files

result = files.Result("compare", [{"x": 1}], {"seed": 0}, Figure, "a table")
report.run = lambda args: files.save_and_tell(files.check_folder(args.out), result)
sys.exit(cli.main(["report", "X", "--out", sys.argv[1]]))
"""
