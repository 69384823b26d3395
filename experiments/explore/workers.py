"""State that all open pages of one server share: threads, finished training runs, and what has been compiled."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from experiments.explore.settings import Settings
from experiments.explore.training import Runs


class Workers(NamedTuple):
    """Threads, one job at a time each.

    Attributes:
        theory, details, frontier, training, warming: The threads.
        kept: Training runs that can be exported, by settings and number of seeds.
        warm: Algorithms whose programs have been compiled.
    """

    theory: ThreadPoolExecutor
    details: ThreadPoolExecutor
    frontier: ThreadPoolExecutor
    training: ThreadPoolExecutor
    warming: ThreadPoolExecutor
    kept: dict[tuple[Settings, int], Runs]
    warm: set[str]

    @classmethod
    def start(cls) -> "Workers":
        """Return threads that are all idle."""
        theory, details, frontier, training, warming = (
            ThreadPoolExecutor(1, thread_name_prefix=name)
            for name in ("theory", "details", "frontier", "training", "warming")
        )
        return cls(theory, details, frontier, training, warming, kept={}, warm=set())
