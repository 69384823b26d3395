"""The server of `rfm explore`: for this machine unless a host is named; nothing is loaded from elsewhere."""

import asyncio
import errno
import logging
import re
import signal
import socket
import sys
import traceback
from functools import partial
from pathlib import Path

import psutil
from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.server.contexts import BokehSessionContext
from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from bokeh.server.util import bind_sockets
from bokeh.settings import settings as bokeh_settings
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.routing import HostMatches, Rule, RuleRouter
from tornado.web import RequestHandler

from experiments.explore.export import NAME, TYPES, export_file
from experiments.explore.jobs import Workers
from experiments.explore.page import Page
from experiments.explore.settings import from_address
from experiments.output import console
from rfm import checks

HOST = "127.0.0.1"
LOGS = ("bokeh.server.protocol_handler", "tornado.application")  # where messages to a closed page are logged
EVERYWHERE = ("0.0.0.0", "::")
WARNING = (
    "Anyone who reaches {address} can use the processors of this machine, and see nothing but this page; there is no "
    "password. Serve only in a network that you trust."
)


def serve(port: int, host: str = HOST, *, browser: bool) -> None:
    """Serve until interrupted.

    Args:
        port: On this machine; 0 for any that is free.
        host: Name or address that is served; other machines reach the page unless it is one of this machine alone.
        browser: Is the page opened in a browser?

    Raises:
        ValueError: The host or the port cannot be had.
    """
    try:
        names = served_names(host)
        sockets, port = bind_sockets(host, port)
    except socket.gaierror as error:
        checks.fail("host", f"a name or address of this machine ({error.strerror})", host)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            checks.fail("host", f"a name or address of this machine ({error.strerror})", host)
        checks.fail("port", f"a free port, or 0 for any ({error.strerror})", port)
    hosts = [f"{name}:{port}" for name in names]
    origin = f"http://{hosts[0]}"
    # settings of other projects in the environment must neither open the server nor send the page elsewhere
    bokeh_settings.allowed_ws_origin.set_value(hosts)
    bokeh_settings.resources.set_value("server")
    workers = Workers()
    application = Application(FunctionHandler(partial(_open, workers)))
    route = rf"/export/{NAME}\.({'|'.join(TYPES)})"
    app = BokehTornado(
        {"/": application}, extra_websocket_origins=hosts, extra_patterns=[(route, Export, {"workers": workers})]
    )
    # other names of this machine could be those that a page of someone else has made point here
    http = HTTPServer(RuleRouter([Rule(HostMatches(f"^({'|'.join(map(re.escape, names))})$"), app)]))
    http.add_sockets(sockets)
    loop = IOLoop.current()
    server = BaseServer(loop, app, http)
    for name in LOGS:
        logging.getLogger(name).addFilter(of_open_page)
    server.start()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: loop.add_callback_from_signal(loop.stop))
    if not is_local(host):
        print(f"rfm explore: {WARNING.format(address=origin)}", file=sys.stderr, flush=True)
    console.tell(f"rfm explore: {origin}/  (Ctrl-C ends it)", {"address": f"{origin}/"})
    if browser:
        import webbrowser

        loop.call_later(0.1, partial(webbrowser.open, origin + "/"))
    loop.start()
    server.stop(wait=False)
    console.tell("rfm explore: stopped")


def of_open_page(record: logging.LogRecord) -> bool:
    """Is a line of the log not about a message on its way while its page was closed? Bokeh asserts an open session."""
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, AssertionError):
        return True
    (last,) = traceback.extract_tb(error.__traceback__, limit=-1)
    return not (last.name == "session" and Path(last.filename).parts[-3:] == ("bokeh", "server", "connection.py"))


def is_local(host: str) -> bool:
    """Does a host name this machine alone?"""
    return host == "localhost" or host.startswith("127.") or host == "::1"


def served_names(host: str) -> list[str]:
    """Return the names by which the page may be asked for, the one to give to others first.

    No other is answered: it could be one that a page of someone else has made point here.

    Example:
        >>> served_names("127.0.0.1")
        ['localhost', '127.0.0.1']
    """
    if is_local(host):
        return ["localhost", host] if host != "localhost" else ["localhost"]
    own = [host]
    if host in EVERYWHERE:
        each = (address for found in psutil.net_if_addrs().values() for address in found)
        own = [socket.gethostname(), socket.getfqdn(), *(x.address for x in each if x.family == socket.AF_INET)]
    return list(dict.fromkeys([*own, "localhost", HOST]))


def _open(workers: Workers, doc: Document) -> None:
    context = doc.session_context
    if not isinstance(context, BokehSessionContext) or context.request is None:
        raise TypeError("The page is opened by a browser alone.")
    request = context.request  # its Host is one of `served_names`, and one by which this visitor reaches the page
    Page(doc, workers, request.arguments, f"http://{request.headers['Host']}")


class Export(RequestHandler):
    """/export/explore.png?a=1.8&...: one file of the point in the address, with the training runs that are kept."""

    def initialize(self, workers: Workers) -> None:
        """Take what the route gives."""
        self._workers = workers

    async def get(self, suffix: str) -> None:
        """Send the file, or 400 and one line for an address that is refused."""
        query = dict(self.request.query_arguments)
        seeds = query.pop("seeds", [b"0"])[0].decode(errors="replace")
        try:
            settings, refused = from_address(query)
            if refused:
                raise ValueError(refused[0])
            runs = self._workers.kept.get((settings, int(seeds))) if seeds.isdecimal() and len(seeds) < 6 else None
            if seeds != "0" and runs is None:
                checks.fail("seeds", "0, or that of runs made since the server started", seeds)
            work = partial(export_file, settings, runs, suffix)
            data = await asyncio.get_running_loop().run_in_executor(self._workers.exports, work)
        except ValueError as error:
            self.set_status(400)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.write(f"{error}\n")
            return
        self.set_header("Content-Type", TYPES[suffix])
        self.set_header("Content-Disposition", f'attachment; filename="{NAME}.{suffix}"')
        self.write(data)
