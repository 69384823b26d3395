"""Progress on standard error: one bar in units of work, there before the first unit is done."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

Bar = tqdm  # has update(), set_description(), close(), and the counts n and total
Item = TypeVar("Item")


def bar(total: int, unit: str, description: str = "") -> Bar:
    """Return a bar over so many units, to be closed by `with` or close().

    Args:
        total: Number of units, each of which takes about the same time.
        unit: What one is called: "run", "size", "point".
        description: What is being done; where that changes, set_description() says what comes next.
    """
    return tqdm(total=total, unit=unit, desc=description or None)


def over(items: Sequence[Item], unit: str, description: str = "") -> Iterator[Item]:
    """Yield items with a bar over them."""
    with bar(len(items), unit, description) as shown:
        for item in items:
            yield item
            shown.update()
