"""The server of `rfm explore`: this machine only, nothing loaded from elsewhere."""

import asyncio
import re
import signal
from functools import partial

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


def serve(port: int, *, browser: bool) -> None:
    """Serve until interrupted.

    Args:
        port: On this machine; 0 for any that is free.
        browser: Is the page opened in a browser?

    Raises:
        ValueError: The port cannot be had.
    """
    try:
        sockets, port = bind_sockets(HOST, port)
    except OSError as error:
        checks.fail("port", f"a free port, or 0 for any ({error.strerror})", port)
    hosts = [f"{name}:{port}" for name in ("localhost", HOST)]
    origin = f"http://{hosts[0]}"
    # settings of other projects in the environment must neither open the server nor send the page elsewhere
    bokeh_settings.allowed_ws_origin.set_value(hosts)
    bokeh_settings.resources.set_value("server")
    workers = Workers()
    application = Application(FunctionHandler(partial(_open, workers, origin)))
    route = rf"/export/{NAME}\.({'|'.join(TYPES)})"
    app = BokehTornado(
        {"/": application}, extra_websocket_origins=hosts, extra_patterns=[(route, Export, {"workers": workers})]
    )
    # other names of this machine could be those that a page of someone else has made point here
    http = HTTPServer(RuleRouter([Rule(HostMatches(rf"^(localhost|{re.escape(HOST)})$"), app)]))
    http.add_sockets(sockets)
    loop = IOLoop.current()
    server = BaseServer(loop, app, http)
    server.start()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: loop.add_callback_from_signal(loop.stop))
    console.tell(f"rfm explore: {origin}/  (Ctrl-C ends it)", {"address": f"{origin}/"})
    if browser:
        import webbrowser

        loop.call_later(0.1, partial(webbrowser.open, origin + "/"))
    loop.start()
    server.stop(wait=False)
    console.tell("rfm explore: stopped")


def _open(workers: Workers, origin: str, doc: Document) -> None:
    context = doc.session_context
    request = context.request if isinstance(context, BokehSessionContext) else None
    Page(doc, workers, request.arguments if request else {}, origin)


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
