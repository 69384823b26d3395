"""Progress on standard error: one bar in units of work, there before the first unit is done."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

from experiments.output import console

Bar = tqdm  # has update(), set_description(), close(), and the counts n and total
MOMENT = 0.3  # seconds
Item = TypeVar("Item")


def bar(total: int, unit: str, description: str = "") -> Bar:
    """Return a bar over a number of units, to be closed by `with` or close().

    Args:
        total: Number of units, each of which takes about the same time.
        unit: What one is called: "run", "size", "point".
        description: What is being done; where that changes, set_description() says what comes next.
    """
    return tqdm(total=total, unit=unit, desc=description or None, disable=not console.shows_progress())


@contextmanager
def until_done(description: str) -> Iterator[None]:
    """Say what is being done where that takes longer than a moment; nothing of it stays on the screen."""
    shown: list[Bar] = []
    form: dict[str, Any] = dict(
        desc=description, leave=False, bar_format="{desc} ...", disable=not console.shows_progress()
    )
    timer = threading.Timer(MOMENT, lambda: shown.append(tqdm(total=1, **form)))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for line in shown:
            line.close()


def over(items: Iterable[Item], unit: str, description: str = "") -> Iterator[Item]:
    """Yield items with a bar over them."""
    hidden = not console.shows_progress()
    return iter(tqdm(items, unit=unit, desc=description or None, disable=hidden))
