"""Equation numbers on the lines of theory/ are those of docs/equations.md."""

import inspect
import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"#.*\beq\. (\d+)$", re.M)
ROW = re.compile(r"^\| (\d+) \|(.*)$", re.M)


def file_of(name):
    """The file, from the root, in which a dotted name is defined."""
    thing = pkgutil.resolve_name(name)
    source = inspect.getsourcefile(inspect.unwrap(thing.fget if isinstance(thing, property) else thing))
    return Path(source).relative_to(ROOT).as_posix()


def rows():
    """Files of the theory's functions in a row of the page, by its number."""
    page = (ROOT / "docs" / "equations.md").read_text()
    return {int(n): {file_of(name) for name in re.findall(r"`(theory\.[\w.]+)`", row)} for n, row in ROW.findall(page)}


def marks():
    """Files in which a number stands, by the number."""
    numbers = {}
    for path in sorted((ROOT / "theory").rglob("*.py")):
        for number in MARK.findall(path.read_text()):
            numbers.setdefault(int(number), set()).add(path.relative_to(ROOT).as_posix())
    return numbers


def mismatches(rows, marks):
    """Numbers without a row or a mark, and those that stand where no function of their row lives."""
    astray = {number for number in rows.keys() & marks.keys() if not marks[number] <= rows[number]}
    return (rows.keys() ^ marks.keys()) | astray


def test_numbers_of_page_and_code_agree():
    assert list(rows()) == sorted(rows())  # with gaps, where numbers are reserved
    assert len(rows()) > 25
    assert not mismatches(rows(), marks())


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [({1: {"theory/mixture.py"}}, {1}), ({1: set()}, set()), ({99: {"theory/mixture.py"}}, {99})],
)
def test_a_wrong_number_is_noticed(changed, wrong):
    """Negative control: a mark in another file, and one without a row."""
    assert mismatches(rows(), marks() | changed) == wrong


def test_a_missing_number_is_noticed():
    """Negative control."""
    fewer = {number: files for number, files in marks().items() if number != 4}
    assert mismatches(rows(), fewer) == {4}
