"""Child processes end with the one that started them, whatever ended it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from experiments.output import children

# a command that runs two children for a minute, each of them a command
PARENT = """
import sys, threading
from experiments import cli
from experiments.commands import report
from experiments.output import children

def run(args):
    work = threading.Thread(target=children.run, args=("-c", CHILD, sys.argv[1]))
    work.start()
    work.join()

CHILD = '''
import pathlib, sys, time
from experiments import cli
from experiments.commands import report

def run(args):
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(60)

report.run = run
cli.main(["report", "X"])
'''
report.run = run
print("started", flush=True)
cli.main(["report", "X"])
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_children_do_not_outlive_their_parent(sent, tmp_path):
    # a runner started in the background may have told its children to ignore the signal
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + PARENT
    command = [sys.executable, "-P", "-c", script, str(tmp_path / "asleep")]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with subprocess.Popen(command, **pipes, env=children.environment()) as parent:
        assert parent.stdout.readline() == b"started\n"
        deadline = time.monotonic() + 200
        while not (tmp_path / "asleep").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        born = psutil.Process(parent.pid).children()
        parent.send_signal(sent)
        parent.wait(2.0)
        _gone, alive = psutil.wait_procs(born, timeout=2.0)
        alive = [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]  # ended; nobody has asked
        for process in alive:
            process.kill()
        assert born
        assert not alive
        if sent != signal.SIGKILL:
            assert parent.returncode == 128 + sent
            assert b"rfm: stopping" in parent.stderr.read()
    assert os.environ.get(children.PARENT) is None
