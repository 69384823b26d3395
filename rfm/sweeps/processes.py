"""Several processes on one sweep, through `jax.distributed`."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import jax

from rfm import checks

HEARTBEAT = 30  # seconds after which a process that says nothing counts as dead
START = 300  # seconds that the processes may take to find each other


class Processes(NamedTuple):
    """This process and how many there are."""

    index: int
    count: int

    def wait(self, what: str) -> None:
        """Until all processes are here; ConnectionError where one of them is lost."""
        if self.count == 1:
            return
        from jax.experimental import multihost_utils

        try:
            multihost_utils.sync_global_devices(what)
        except Exception as error:  # whatever the backend says of a lost peer
            raise ConnectionError(
                f"one of the {self.count} processes was lost before {what} ({type(error).__name__}); every point that "
                "was done is in the store, and the same call resumes"
            ) from error

    @contextlib.contextmanager
    def first_alone(self) -> Iterator[None]:
        """The body in process 0 before it is over in any other; the others wait, and run theirs after it."""
        if self.index:
            self.wait("the store is there")
        yield
        if not self.index:
            self.wait("the store is there")


def current_team() -> Processes:
    """The processes of this program: 1 unless `jax.distributed` was started."""
    return Processes(jax.process_index(), jax.process_count())


def start(coordinator: str | None = None, count: int | None = None, index: int | None = None) -> Processes:
    """Join the processes of this program: call it before any other use of JAX.

    Without arguments the cluster is detected by `jax.distributed` (SLURM, Open MPI, cloud TPU); else coordinator is
    "host:port" of process 0, count the number of processes and index this one's. Raises ValueError where neither is
    possible, or only a part is given.
    """
    given = [x is not None for x in (coordinator, count, index)]
    if any(given) and not all(given):
        allowed = "given together with the number of processes and the index of this one, or not at all"
        checks.fail("coordinator", allowed, (coordinator, count, index))
    if all(given) and not 0 <= index < count:
        checks.fail("index", f"from 0 to {count - 1}", index)
    try:
        jax.distributed.initialize(
            coordinator, count, index, heartbeat_timeout_seconds=HEARTBEAT, initialization_timeout=START
        )
    except (ValueError, RuntimeError) as error:
        hint = (
            "" if all(given) else "; no cluster was detected: give a coordinator, how many processes, and which this is"
        )
        raise ValueError(f"the processes cannot be joined: {error}{hint}") from error
    return current_team()
