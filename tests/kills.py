"""Commands in processes of their own, killed at moments that are spread over their time, or over the files they write.

Nothing may be half-written and nothing may run two seconds later; what is run again ends as if it had never been
killed.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from left_behind import check_whole

ROOT = Path(__file__).parents[1]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
CHANGING = ("seconds",)  # of a record
# nothing has told the process to ignore Ctrl-C
SCRIPT = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from experiments.cli import main; sys.exit(main())"
)


def start(*arguments):
    """`rfm ARGUMENTS` in a process group of its own; the date in its files is always the same."""
    command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "0"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, start_new_session=True)


def members(group):
    """Processes of a group that still run."""
    alive = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive


def kill(arguments, moment, sent, out):
    """Kill a command after so many seconds, or, where the moment is an int, when so many files are in its folder."""
    running = start(*arguments, "--out", out)
    began = time.monotonic()

    def due():
        if isinstance(moment, int):
            return out.exists() and len(list(out.iterdir())) >= moment
        return time.monotonic() - began >= moment

    while not due() and running.poll() is None:
        time.sleep(0.002)
    running.send_signal(sent)
    asked = time.monotonic()
    _, error = running.communicate(timeout=60)
    time.sleep(max(0.0, 2.0 - (time.monotonic() - asked)))
    assert members(running.pid) == []
    if running.returncode not in (0, -sent):
        assert b"rfm: stopping" in error or b"KeyboardInterrupt" in error  # or it is too early for words
        assert b"Error" not in error
    check_whole(out)


def results(out):
    """Files of a folder by name; records without what no two runs have in common."""
    files = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    for name in [name for name in files if name.endswith(".json")]:
        record = json.loads(files[name])
        files[name] = {key: value for key, value in record["settings"].items() if key not in CHANGING}
    return files


def run(arguments, out):
    """What a command leaves that nobody kills."""
    running = start(*arguments, "--out", out)
    _, error = running.communicate(timeout=600)
    assert running.returncode == 0, error
    check_whole(out)
    assert [path.name for path in out.glob(".*")] == []
    return results(out)


def kill_at_twenty_moments(arguments, out, most_files):
    """Kill a command ten times over its time and ten times over its files; where files are left, run it again."""
    began = time.monotonic()
    expected = run(arguments, out)
    seconds = time.monotonic() - began
    assert len(expected) == most_files
    by_time = [seconds * (0.05 + 0.09 * part) for part in range(10)]
    by_files = [1 + part * most_files // 10 for part in range(10)]
    for number, moment in enumerate(moment for pair in zip(by_time, by_files, strict=True) for moment in pair):
        shutil.rmtree(out, ignore_errors=True)
        sent = SIGNALS[number % len(SIGNALS)]
        kill(arguments, moment, sent, out)
        left = len(list(out.iterdir())) if out.exists() else 0
        print(f"{sent.name} at {moment:.3g}{' files' if isinstance(moment, int) else ' s'}: {left} files left")
        if left:
            assert run(arguments, out) == expected
