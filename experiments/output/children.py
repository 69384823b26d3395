"""Child processes of Python, which import this package wherever they are started."""

import contextlib
import os
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import psutil

PARENT = "RFM_PARENT"  # variable that tells a child who started it
LOOK = 0.5  # seconds between two looks at whether the parent lives
ROOT = Path(__file__).parents[2]  # the folder that holds the packages


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` to its end, without input, and keep what it says.

    Python puts the current folder first on the path of `-m` and `-c`: a package there that is called like one of
    these would be imported in its place. The child, and any child of it, leaves that folder out, and looks first
    where this package is.
    """
    command, variables = [sys.executable, "-P", *arguments], environment() | {PARENT: str(os.getpid())}
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=variables)


def end() -> None:
    """Kill all processes that this one has started, and theirs."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def follow_parent() -> None:
    """End when the process that started this one by `run` ends, for any reason; do nothing otherwise."""
    parent = os.environ.pop(PARENT, None)

    def watch() -> None:
        while os.getppid() == int(parent or 0):
            time.sleep(LOOK)
        end()
        os._exit(1)

    # a parent that is gone already may have been killed while this one was starting
    if parent is not None and (parent == str(os.getppid()) or not psutil.pid_exists(int(parent))):
        threading.Thread(target=watch, daemon=True).start()


def environment() -> dict[str, str]:
    """Return the variables of this process with a path that a child can trust."""
    path = os.environ.get("PYTHONPATH", "")
    if str(ROOT) not in map(sysconfig.get_path, ("purelib", "platlib")):  # a clone, or an editable installation
        path = os.pathsep.join(filter(None, (str(ROOT), path)))
    return os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": path}
