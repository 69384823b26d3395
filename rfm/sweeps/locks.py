"""Locks of a store, for one process alone or for several with a part each, and the meaning of system errors."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from rfm.sweeps import manifest

try:
    import fcntl
except ImportError:  # no locks on this system
    fcntl = None

PART, ENTRANCE = "part-", "entrance"  # files beside the marker, empty, that are locked


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep a store, or the folder that will be one, for this process: another one waits until the body is over.

    The lock ends with the process, however that ends; a file system without locks goes without. ValueError for a folder
    that holds anything else.
    """
    with _opened(path, manifest.marker(path)) as file:
        _wait(path, file, exclusive=True)
        yield


@contextlib.contextmanager
def shared(path: Path, is_ready: Callable[[], bool], prepare: Callable[[], object]) -> Iterator[None]:
    """Keep a store from processes that want it alone, beside others that share it.

    Where it is not ready it is prepared first, by one process alone.
    """
    marker = manifest.marker(path)
    with _opened(path, marker) as file:
        with _opened(path, marker.with_name(ENTRANCE)) as entrance:
            _lock(entrance, exclusive=True, wait=True)
            ready = is_ready()
            _wait(path, file, exclusive=not ready)
            if not ready:
                prepare()
                _lock(file, exclusive=False, wait=True)
        yield


@contextlib.contextmanager
def part(path: Path, index: int, count: int, *, without_locks: bool) -> Iterator[bool]:
    """Hold a part of a store while the body runs; yields whether it is held, or another process works on it.

    without_locks: the message on a file system without locks.
    """
    with _opened(path, manifest.marker(path).with_name(f"{PART}{index}-of-{count}")) as file:
        free = _lock(file, exclusive=True, wait=False)
        yield without_locks if free is None else free


def forget_parts(path: Path) -> None:
    """Remove the files of parts, from a store that is kept for this process alone."""
    for marker in manifest.marker(path).parent.glob(PART + "*-of-*"):
        marker.unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(path: Path, marker: Path) -> Iterator[BinaryIO]:
    manifest.read(path)
    with contextlib.ExitStack() as stack:
        with explained(path):
            marker.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open(marker, "ab"))
        yield file


def _wait(path: Path, file: BinaryIO, *, exclusive: bool) -> None:
    if _lock(file, exclusive=exclusive, wait=False) is False:
        text = f"another process is writing {path}: this one waits, then uses what is done"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        _lock(file, exclusive=exclusive, wait=True)


def _lock(file: BinaryIO, *, exclusive: bool, wait: bool) -> bool | None:
    """Is the lock ours? None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say of an error of the system what it means for the store."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write the store ({error.strerror or error}); what is stored is intact, and the same call resumes",
            str(path),
        ) from error
