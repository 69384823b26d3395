"""Jobs of one open page: they run in threads, and what they find is dropped where something else is wanted by then."""

import logging
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

from bokeh.document import Document


class Jobs:
    """The jobs of one page; `refuse` shows there why one of them ended early."""

    def __init__(self, doc: Document, refuse: Callable[[str], None]) -> None:
        self.doc, self.refuse, self.latest = doc, refuse, 0

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
        session = self.jobs.doc.session_context
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
        except ValueError as error:
            self.later(self.jobs.refuse, str(error))
        except Exception as error:
            if not self.valid:  # a page that was closed meanwhile has no document any more
                return
            logging.getLogger(__name__).exception("a job of the page failed")
            self.later(self.jobs.refuse, f"{type(error).__name__}: {error}")
