"""`rfm explore`: a page in the browser with a slider for every number; the theory follows the sliders."""

import argparse
import os
import sys

from rfm import checks

ARGUMENTS = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command alone."""
    parser.add_argument("--port", type=int, default=5006, help="0: any that is free")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="NAME",
        help="name or address to serve (default: this machine alone); 0.0.0.0 is every network of this machine, where "
        "anyone can use its processors",
    )  # fmt: skip
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument(
        "--static", metavar="FILE.html", help="in place of a server write a page that needs none, for a class: theory "
        "worked out beforehand on a grid of N, P and label noise",
    )  # fmt: skip
    parser.add_argument("--at", metavar="LINK", help="the point of --static: a link, or a=1.8&b=1.5, of the page")


def run(args: argparse.Namespace) -> None:
    """Serve the page until interrupted, or write it."""
    if not 0 <= args.port < 2**16:
        checks.fail("port", "an integer from 0 to 65535", args.port)
    if args.at is not None and args.static is None:
        checks.fail("at", "left out without --static FILE.html, as the page has an address", args.at)
    try:
        from experiments.explore.server import serve
        from experiments.explore.static import write_page
    except ImportError as error:
        raise ImportError(f"the page needs bokeh ({error}): pip install bokeh tornado") from None
    if args.static is not None:
        write_page(args.static, args.at or "")
        return
    serve(args.port, args.host, browser=not args.no_browser)
    sys.stdout.flush()
    os._exit(0)  # threads that compute would crash, or hold up, the end of the interpreter
