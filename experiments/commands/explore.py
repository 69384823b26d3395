"""`rfm explore`: a page on this machine with a slider for every number, and the theory moving with it."""

import argparse
import os
import sys

from rfm import checks

ARGUMENTS = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of this command alone."""
    parser.add_argument("--port", type=int, default=5006, help="on 127.0.0.1; 0: any that is free")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")


def run(args: argparse.Namespace) -> None:
    """Serve the page until interrupted."""
    if not 0 <= args.port < 2**16:
        checks.fail("port", "an integer from 0 to 65535", args.port)
    try:
        from experiments.explore.server import serve
    except ImportError as error:
        raise ImportError(f"the page needs bokeh ({error}): pip install bokeh tornado") from None
    serve(args.port, browser=not args.no_browser)
    sys.stdout.flush()
    os._exit(0)  # threads that compute would crash, or hold up, the end of the interpreter
