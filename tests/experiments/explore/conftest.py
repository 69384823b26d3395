"""The real server of `rfm explore` and a headless browser."""

import contextlib
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from explore_browser import PATIENCE

ROOT = Path(__file__).parents[3]
SCRIPT = (
    "from experiments.explore import laws; laws.NUM_BUDGETS = {}; "
    "from experiments.cli import main; raise SystemExit(main())"
)
FEW_BUDGETS = 2  # of a frontier: all twelve of every point were half of the time of the server


@pytest.fixture(scope="module")
def server(tmp_path_factory, request):
    """Process, port and log of a server of its own; interrupted at the end, having logged no trouble.

    Its parameter is the number of points of a frontier.
    """
    pytest.importorskip("bokeh", reason="bokeh is not installed (extra `explore`)")
    log = tmp_path_factory.mktemp("server") / "log"
    script = SCRIPT.format(getattr(request, "param", FEW_BUDGETS))
    command = [sys.executable, "-c", script, "explore", "--port", "0", "--no-browser"]
    with open(log, "w") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=file, text=True)
        try:
            line = process.stdout.readline()
            found = re.search(r"http://localhost:(\d+)/", line)
            assert found, log.read_text()
            yield process, int(found[1]), log
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
            assert process.stdout.read() == "rfm explore: stopped\n"
            assert not re.search("traceback|exception", log.read_text(), re.IGNORECASE), log.read_text()
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


@pytest.fixture
def tab(browser, server):
    """open(address, width, height) -> a page of which nothing failed and that asked nothing of anyone else."""
    _, port, _ = server
    with contextlib.ExitStack() as stack:
        asked, failed = [], []

        def open_page(address, width=1280, height=900):
            context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: failed.append(str(error)))
            page.goto(f"http://127.0.0.1:{port}{address}")
            page.wait_for_function("() => window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].roots().length")
            return page

        yield open_page
        assert not failed
        others = [url for url in asked if not url.startswith((f"http://127.0.0.1:{port}/", "data:", "blob:"))]
        assert asked
        assert not others
