"""Counting what XLA compiles."""

from contextlib import contextmanager

import jax


@contextmanager
def compilations():
    """Counts what XLA compiles while the block runs."""
    compiled, active = [], [True]

    def listen(event, duration, **kwargs):
        if active[0] and event == "/jax/core/compile/backend_compile_duration":
            compiled.append(kwargs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield compiled
    finally:
        active[0] = False  # one listener cannot be taken back by itself: it falls silent
