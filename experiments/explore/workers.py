"""What all open pages of one server share: threads, finished training runs, and what has been compiled."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from experiments.explore.settings import Settings
from experiments.explore.training import Runs


class Workers(NamedTuple):
    """Threads, one job at a time each. kept: training runs for `export`, by settings and seeds; warm: algorithms."""

    theory: ThreadPoolExecutor
    details: ThreadPoolExecutor
    frontier: ThreadPoolExecutor
    training: ThreadPoolExecutor
    warming: ThreadPoolExecutor
    kept: dict[tuple[Settings, int], Runs]
    warm: set[str]

    @classmethod
    def start(cls) -> "Workers":
        """All idle."""
        return cls(*(ThreadPoolExecutor(1, thread_name_prefix=name) for name in cls._fields[:5]), {}, set())
