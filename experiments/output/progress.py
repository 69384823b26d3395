"""Progress on standard error: one bar in units of work, there before the first unit is done."""

from tqdm import tqdm

Bar = tqdm  # has update(), set_description() and the count n of what is done


def bar(total: int, unit: str, description: str = "") -> Bar:
    """Return a bar over so many units, to be used in a `with` statement.

    Args:
        total: Number of units, told apart by what takes about the same time: "run", "size", "point".
        unit: Their name.
        description: What is being done, where it changes: set_description() says the next.
    """
    return tqdm(total=total, unit=unit, desc=description or None)
