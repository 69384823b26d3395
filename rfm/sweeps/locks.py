"""One process at a time on a store, and what an error of the system means for it."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

from rfm.sweeps import manifest

try:
    import fcntl
except ImportError:  # no locks on this system
    fcntl = None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep a store, or the folder that will be one, for this process: another one waits until the body is over.

    The lock ends with the process, however that ends; a file system without locks goes without. ValueError for a folder
    that holds anything else.
    """
    manifest.read(path)
    marker = manifest.marker(path)
    with contextlib.ExitStack() as stack:
        with explained(path):
            marker.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open(marker, "ab"))
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = f"another process is at work on {path}: this one waits for it, and takes what it has done"
                warnings.warn(text, RuntimeWarning, stacklevel=2)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:
                pass
        yield


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say of an error of the system what it means for the store."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write the store ({error.strerror or error}); what it holds is whole, the same call resumes",
            str(path),
        ) from error
