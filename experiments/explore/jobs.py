"""Threads that all pages of one server share, and the jobs of one open page in them.

What a job finds is dropped where something else is wanted by then.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from bokeh.document import Document

from experiments.explore.settings import Settings, named
from rfm.checks import ArgumentError
from rfm.curve import Curve


class Workers:
    """Threads, one job at a time each but for exports, and what they have done.

    Attributes:
        theory, details, frontier, training: The threads.
        exports: Those that make files, of two pages at a time.
        kept: Training runs that can be exported, by settings and number of seeds.
    """

    def __init__(self) -> None:
        self.theory, self.details, self.frontier, self.training = (ThreadPoolExecutor(1) for _ in range(4))
        self.exports = ThreadPoolExecutor(2)
        self.kept: dict[tuple[Settings, int], Curve] = {}


class Jobs:
    """The jobs of one page; `refuse` shows there why one of them ended early."""

    def __init__(self, doc: Document, refuse: Callable[[str], None]) -> None:
        self.doc, self.refuse, self.latest = doc, refuse, 0
        self.session = doc.session_context  # kept, since the document of a closed page has none

    @property
    def ticket(self) -> "Ticket":
        """The ticket that is valid now."""
        return Ticket(self, self.latest)

    def renew(self) -> "Ticket":
        """Return a new ticket; all others lapse."""
        self.latest += 1
        return self.ticket


class Ticket(NamedTuple):
    """The right of a job to change the page, which lapses when a setting changes."""

    jobs: Jobs
    number: int

    @property
    def valid(self) -> bool:
        """Is nothing else wanted since, and the page still open?"""
        session = self.jobs.session
        return self.number == self.jobs.latest and not (session and session.destroyed)

    def start(self, pool: Executor, job: Callable[..., None], *args: object) -> None:
        """Run job(ticket, *args) in a thread; what theory refuses is shown, any other failure is logged too."""
        pool.submit(self._guard, job, *args)

    def later(self, function: Callable[..., None], *args: object) -> None:
        """Call in the event loop, if the ticket is valid by then."""
        self.jobs.doc.add_next_tick_callback(partial(self._call, function, *args))

    def _call(self, function: Callable[..., None], *args: object) -> None:
        if self.valid:
            function(*args)

    def _guard(self, job: Callable[..., None], *args: object) -> None:
        if not self.valid:
            return
        try:
            job(self, *args)
        except ArgumentError as error:
            self.later(self.jobs.refuse, str(named(error)))
        except ValueError as error:
            self.later(self.jobs.refuse, str(error))
        except Exception as error:
            if not self.valid:  # a page that was closed meanwhile has no document any more
                return
            logging.getLogger(__name__).exception("a job of the page failed")
            self.later(self.jobs.refuse, f"{type(error).__name__}: {error}")
