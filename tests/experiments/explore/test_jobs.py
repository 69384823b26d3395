"""Jobs of a page and the threads of the server: a page may be closed, and must not wait for others."""

import logging
import sys
import threading
from types import SimpleNamespace

import pytest

bokeh = pytest.importorskip("bokeh")

from bokeh.document import Document  # noqa: E402
from bokeh.server.connection import ServerConnection  # noqa: E402

import theory  # noqa: E402
from experiments.explore import model  # noqa: E402
from experiments.explore.jobs import Jobs, Workers  # noqa: E402
from experiments.explore.page import Page  # noqa: E402
from experiments.explore.server import of_open_page  # noqa: E402


def page_of(*, closed=False):
    """What jobs need of a page: its session, and the next tick of its event loop, which is at once."""
    refused = []
    doc = SimpleNamespace(session_context=SimpleNamespace(destroyed=closed), add_next_tick_callback=lambda f: f())
    return doc, Jobs(doc, refused.append), refused


def fails(ticket):
    raise RuntimeError("no document")


def test_a_job_that_fails_is_logged_and_shown(caplog):
    _, jobs, refused = page_of()
    with Workers().theory as pool, caplog.at_level(logging.ERROR):
        jobs.ticket.start(pool, fails)
    assert refused == ["RuntimeError: no document"]
    assert len(caplog.records) == 1


def test_a_page_that_is_closed_while_it_computes_logs_nothing(caplog):
    doc, jobs, refused = page_of()

    def close_and_fail(ticket):
        doc.session_context.destroyed = True
        doc.session_context = None  # as bokeh leaves a document
        fails(ticket)

    with Workers().theory as pool, caplog.at_level(logging.ERROR):
        jobs.ticket.start(pool, close_and_fail)
    assert not refused
    assert not caplog.records


def test_messages_to_a_page_that_is_closed_are_not_logged():
    """What Bokeh asserts then, and, as a control, another assertion and a line without an error."""

    def record(read):
        try:
            read(SimpleNamespace(_session=None))
        except AssertionError:
            return logging.makeLogRecord({"exc_info": sys.exc_info()})

    def another(_):
        raise AssertionError

    assert not of_open_page(record(ServerConnection.session.fget))
    assert of_open_page(record(another))
    assert of_open_page(logging.makeLogRecord({}))


def test_jobs_of_a_closed_page_are_not_begun():
    _, jobs, _ = page_of(closed=True)
    begun = []
    with Workers().theory as pool:
        jobs.ticket.start(pool, begun.append)
    assert not begun


def test_exports_wait_for_no_other_page():
    """One export, training and the details of others may take as long as they like."""
    workers, held = Workers(), threading.Event()
    pools = (workers.exports, workers.training, workers.details, workers.frontier)
    try:
        for pool in pools:
            pool.submit(held.wait, 30)
        assert workers.exports.submit(lambda: "a file").result(timeout=5) == "a file"
    finally:
        held.set()


def test_opening_a_page_computes_nothing_in_the_event_loop(monkeypatch):
    threads, found = [], threading.Event()
    predict = theory.predict

    def noted(*args, **kwargs):
        threads.append(threading.get_ident())
        found.set()
        return predict(*args, **kwargs)

    monkeypatch.setattr(theory, "predict", noted)
    workers = Workers()
    Page(Document(), workers, {}, "http://localhost")
    assert found.wait(20)
    workers.theory.shutdown()
    assert threading.get_ident() not in threads


def test_a_refusal_stays_while_curves_arrive():
    """Those of the setting before, corrected, come a moment later; the next setting ends it."""
    workers = Workers()
    page = Page(Document(), workers, {}, "http://localhost")
    page.controls.boxes["N"].value = "1.5"
    point = model.curves(page.controls.settings())
    page._show_curves(point, 0.0)
    assert page.widgets.refused.visible
    assert "`N` must be a whole number" in page.widgets.refused.text
    page.controls.boxes["N"].value = "100"
    assert not page.widgets.refused.visible
    for pool in (workers.theory, workers.details, workers.frontier):
        pool.shutdown()
