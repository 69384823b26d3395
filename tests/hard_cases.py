"""Small files made after bug reports and files of people who fit scaling laws or use kernels; numbers made anew."""

from pathlib import Path

FOLDER = Path(__file__).parent / "cases"


def case(name):
    """Path of a file by its name."""
    return str(FOLDER / name)
