"""Python processes of their own, which import this package wherever they are started."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]  # the folder that holds the packages


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` to its end, without input, and keep what it says.

    Python puts the current folder first on the path of `-m` and `-c`: a package there that is called like one of
    these would be imported in its place. The child, and any child of it, leaves that folder out, and looks first
    where this package is.
    """
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment())


def environment() -> dict[str, str]:
    """Return the variables of this process with a path that a child can trust."""
    path = os.environ.get("PYTHONPATH", "")
    if str(ROOT) not in map(sysconfig.get_path, ("purelib", "platlib")):  # a clone, or an editable installation
        path = os.pathsep.join(filter(None, (str(ROOT), path)))
    return os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": path}
