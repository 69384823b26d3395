"""Pages do what they say: their blocks run, the recipe is followed literally, outputs are true, all of it is built."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib import pyplot

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
COMMAND = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)
BLOCK = re.compile(r"^In `([^`]+)`, (above|in place of) the line `([^`]+)`:\n\n```python\n(.*?)^```$", re.M | re.S)


def apply(text, where, anchor, block):
    """`block` above, or in place of, the one line of `text` that starts with `anchor`; two empty lines after a def."""
    lines = text.splitlines(keepends=True)
    found = [i for i, line in enumerate(lines) if line.startswith(anchor)]
    assert len(found) == 1, f"{len(found)} lines start with {anchor!r}"
    i = found[0]
    block += "\n\n" if block.startswith(("@", "def ", "class ")) else ""
    return "".join([*lines[:i], block, *lines[i if where == "above" else i + 1 :]])


def run(command, folder, packages=None):
    """A shell line of a page, with this interpreter, in `folder`; the packages are those in `packages`, or there."""
    program, *rest = command.split(maxsplit=1)
    assert program == "python"
    environment = os.environ | {"PYTHONPATH": str(packages or folder)}
    line = f'"{sys.executable}" {rest[0]}'
    return subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_add_an_algorithm_as_the_page_says(tmp_path):
    """Every block applied to a copy, its command run there; before, the copy lacks the algorithm."""
    page = (DOCS / "add-an-algorithm.md").read_text()
    for name in ("rfm", "theory", "experiments", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    blocks = BLOCK.findall(page)
    assert len(blocks) == page.count("```python") == 10
    for target, where, anchor, block in blocks:
        path = tmp_path / target
        text = path.read_text()
        assert block not in text
        path.write_text(apply(text, where, anchor, block))
    (command,) = COMMAND.findall(page)
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = int(re.search(r"(\d+) passed", done.stdout).group(1))
    assert passed >= 10 + 15  # the checks of the row, and those of wrong numbers
    assert "skipped" not in done.stdout
    offered = run("python -m experiments.cli compare --help", tmp_path)
    assert "midpoint" in offered.stdout, offered.stderr
    formatted = run(
        "python -m ruff check rfm theory experiments tests/contract_rows.py tests/test_contract.py", tmp_path
    )
    assert formatted.returncode == 0, formatted.stdout


def python_blocks(page):
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S)


RECIPE, LONG = "add-an-algorithm", "your-data"  # applied to a copy above; run below where minutes are no matter
SLOW_PAGES = ("faq", "own-spectrum", "richness", "schedules", "sweeps")
WITH_BLOCKS = [
    pytest.param(page, marks=pytest.mark.slow if page.stem in SLOW_PAGES else (), id=page.stem)
    for page in PAGES
    if python_blocks(page) and page.stem not in (RECIPE, LONG)
]


@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    """One after the other, in an empty folder; what a page says itself it asserts itself."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in python_blocks(page):
        exec(block, names)
    pyplot.close("all")
    if page.stem == "own-spectrum":
        assert repr(names["again"]) == repr(names["trained"])
        assert abs(names["difference"]).max() < 0.5
        assert names["learned"].shape == (2, 20, 105)
        assert names["noisy"].axes.keys() == {"num_features"}
    if page.stem == "README":
        assert (tmp_path / "curve.png").stat().st_size > 10_000
        assert abs(names["simulated"].mean() / names["predicted"].risk - 1).max() < 0.2


def same_words(told, line):
    """Whether two lines have the same words, and numbers that are equal to a twentieth."""
    number = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
    told, line = (re.sub(r"(?<=% )\(\S+\)", "", text) for text in (told, line))  # when a flat error is worst is chance
    if number.sub("#", told).split() != number.sub("#", line).split():
        return False
    values = [[float(x.replace(",", "")) for x in number.findall(text)] for text in (told, line)]
    return all(abs(a - b) <= 0.05 * max(abs(a), abs(b)) + 1e-9 for a, b in zip(*values, strict=True))


def test_other_numbers_are_noticed():
    """Negative control."""
    assert same_words("a  1.503   1.426 .. 1.581", "a         1.50    1.43 .. 1.58")
    assert not same_words("a  1.503   1.426 .. 1.581", "a  1.703   1.426 .. 1.581")
    assert not same_words("worst z 3", "worst y 3")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # two minutes of a processor, and more where others work
def test_outputs_of_the_guide_are_true(tmp_path, monkeypatch):
    """Every block of the page in order, and every line that it shows is printed by one of its commands."""
    monkeypatch.chdir(tmp_path)
    text, names, printed = (DOCS / f"{LONG}.md").read_text(), {}, []
    for language, block in re.findall(r"^```(python|sh|text)\n(.*?)^```$", text, re.M | re.S):
        if language == "python":
            exec(block, names)
        elif language == "sh":
            printed += run(f"python -P -m {block.strip()}", tmp_path, ROOT).stdout.splitlines()
        else:
            lines = [line for line in block.splitlines() if line.strip() and not set(line) <= set("-. ")]
            missing = [line for line in lines if not any(same_words(line, other) for other in printed)]
            assert not missing, "\n".join(missing)


@pytest.mark.slow
def test_pages_build_without_warnings(tmp_path):
    """HTML of all pages, every public name in the reference; nothing is fetched."""
    pytest.importorskip("sphinx")
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    done = run(f'python -m sphinx -W --keep-going -q -d "{tmp_path}/trees" -c docs . "{tmp_path}/html"', ROOT)
    assert done.returncode == 0, done.stderr
    for package in ("rfm", "theory"):
        for name in importlib.import_module(package).__all__:
            page = tmp_path / "html" / "docs" / "api" / f"{package}.{name}.html"
            assert f'id="{package}.{name}"' in page.read_text(), name
            assert f"api/{package}.{name}.html" in (tmp_path / "html" / "docs" / "api.html").read_text()
    assert "<math" in (tmp_path / "html" / "docs" / "derivation.html").read_text()
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        assert "data:image/png" in (tmp_path / "html" / "notebooks" / f"{notebook.stem}.html").read_text(), notebook
    for page in (tmp_path / "html").rglob("*.html"):
        assert not re.findall(r'(?:<script|<img|<link)[^>]*(?:src|href)="https?:', page.read_text()), page
