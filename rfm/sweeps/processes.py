"""Several processes on one sweep, through `jax.distributed`."""

import contextlib
import dataclasses
from collections.abc import Iterator

import jax

from rfm import checks

HEARTBEAT = 30  # seconds after which a process that says nothing counts as dead
START = 300  # seconds that the processes may take to find each other


@dataclasses.dataclass(frozen=True)
class Processes:
    """This process, by its index, and how many there are."""

    index: int
    count: int

    def wait(self, what: str) -> None:
        """Wait until all processes are here; ConnectionError if one of them dies."""
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
        """Run the body in process 0 before it runs in any other; the others wait for it."""
        if self.index:
            self.wait("the store is there")
        yield
        if not self.index:
            self.wait("the store is there")


def current_team() -> Processes:
    """Return the processes of this program: 1 unless `jax.distributed` was started."""
    return Processes(jax.process_index(), jax.process_count())


def start(coordinator: str | None = None, count: int | None = None, index: int | None = None) -> Processes:
    """Join the processes of this program: call it before any other use of JAX.

    Without arguments the cluster is detected by `jax.distributed` (SLURM, Open MPI, cloud TPU).

    Args:
        coordinator: "host:port" of process 0.
        count: Number of processes.
        index: Which of them this is, 0 to count - 1.

    Returns:
        This process and their number.

    Raises:
        ValueError: No cluster was detected, or only a part of the arguments is given.
    """
    detected = coordinator is None and count is None and index is None
    if not detected:
        if coordinator is None or count is None or index is None:
            allowed = "given together with `count` and `index`, or not at all"
            checks.fail("coordinator", allowed, (coordinator, count, index))
        if not 0 <= index < count:
            checks.fail("index", f"from 0 to {count - 1}", index)
    try:
        jax.distributed.initialize(
            coordinator, count, index, heartbeat_timeout_seconds=HEARTBEAT, initialization_timeout=START
        )
    except (ValueError, RuntimeError) as error:
        hint = "; no cluster was detected: give a coordinator, how many processes, and which this is"
        raise ValueError(f"the processes cannot be joined: {error}{hint if detected else ''}") from error
    return current_team()
