"""The pages under docs/ say what is there: names resolve, links lead somewhere, the recipe is followed literally."""

import ast
import importlib
import inspect
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import test_errata
from matplotlib import pyplot

import rfm
import theory.exponents
from experiments.commands.parsing import COMMANDS, build_parser
from theory.filters import FILTERS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "CONTRIBUTING.md"]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

BLOCK = re.compile(r"^In `([^`]+)`, (above|in place of) the line `([^`]+)`:\n\n```python\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)
CODE = re.compile(r"`([^`\n]+)`")


def apply(text, where, anchor, block):
    """`block` above, or in place of, the one line of `text` that starts with `anchor`; two empty lines after a def."""
    lines = text.splitlines(keepends=True)
    found = [i for i, line in enumerate(lines) if line.startswith(anchor)]
    assert len(found) == 1, f"{len(found)} lines start with {anchor!r}"
    i = found[0]
    block += "\n\n" if block.startswith(("@", "def ", "class ")) else ""
    return "".join([*lines[:i], block, *lines[i if where == "above" else i + 1 :]])


def run(command, folder):
    """A shell line of a page, with this interpreter, in `folder`."""
    program, *rest = command.split(maxsplit=1)
    assert program == "python"
    environment = os.environ | {"PYTHONPATH": str(folder)}
    line = f'"{sys.executable}" {rest[0]}'
    return subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_add_an_algorithm_as_the_page_says(tmp_path):
    """Every block applied to a copy, its command run there; before, the copy lacks the algorithm."""
    page = (DOCS / "add-an-algorithm.md").read_text()
    for name in ("rfm", "theory", "experiments", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    blocks = BLOCK.findall(page)
    assert len(blocks) == page.count("```python") == 9
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
    formatted = run("python -m ruff check rfm theory experiments tests/test_contract.py", tmp_path)
    assert formatted.returncode == 0, formatted.stdout


def functions_of(path):
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def tokens(page):
    """What stands in backticks on a page, code blocks left out."""
    return CODE.findall(re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S))


@each_page
def test_names_resolve(page):
    """Dotted names of the packages, files, tests in them, and commands of `rfm`."""
    for token in tokens(page):
        if re.fullmatch(r"(rfm|theory|experiments)(\.\w+)+", token):
            pkgutil.resolve_name(token)
        elif "::" in token:
            path, name = token.split("::")
            assert name in functions_of(ROOT / path), token
        elif re.fullmatch(r"(rfm|theory|experiments|tests|docs|notebooks)/[\w/.-]*", token):
            assert (ROOT / token).exists(), token
        elif extra := re.fullmatch(r"\[(\w+)\]", token):
            assert extra.group(1) in EXTRAS, token
        elif command := re.match(r"rfm ([a-z][a-z-]*)", token):
            assert command.group(1) in COMMANDS, token


@each_page
def test_commands_are_understood(page):
    """Every `rfm` line of a page, with its options."""
    for line in "".join(COMMAND.findall(page.read_text())).splitlines():
        if line.startswith("rfm "):
            build_parser().parse_args(shlex.split(line)[1:])  # exits where it does not


def test_calls_of_the_guide_resolve():
    """Imports of every block run, and every dotted name on what they import is there, with the arguments it takes."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / "your-data.md").read_text(), re.M | re.S)
    assert len(blocks) == 3
    for block in blocks:
        tree, names = ast.parse(block), {}
        exec("\n".join(ast.unparse(n) for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)), names)
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
        known = [n for n in calls if ast.unparse(n.func).split(".")[0] in names]
        assert known
        for call in known:
            function = eval(ast.unparse(call.func), names)
            if not any(k.arg is None for k in call.keywords):
                inspect.signature(function).bind(*call.args, **{k.arg: k.value for k in call.keywords})


def test_blocks_of_a_page_run(tmp_path, monkeypatch):
    """One after the other, in an empty folder; what is drawn and saved is there."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / "own-spectrum.md").read_text(), re.M | re.S)
    assert len(blocks) >= 8
    names = {}
    for block in blocks:
        exec(block, names)
    assert repr(names["again"]) == repr(names["trained"])
    assert abs(names["difference"]).max() < 0.5
    assert names["learned"].shape == (2, 20, 105)
    assert names["noisy"].axes.keys() == {"num_features"}
    pyplot.close("all")


@pytest.mark.parametrize("name", ["rfm.nothing", "theory.filters.nothing", "theory.nothing.filters"])
def test_a_stale_name_is_noticed(name):
    """Negative control."""
    with pytest.raises((AttributeError, ImportError)):
        pkgutil.resolve_name(name)


@each_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def rows(page):
    """Cells of the rows of all tables, by heading of the section."""
    for section in re.split(r"^## ", (DOCS / page).read_text(), flags=re.M)[1:]:
        table = [line for line in section.splitlines() if line.startswith("|")][2:]
        for line in table:
            yield section.splitlines()[0], [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_every_equation_has_a_function_and_a_test():
    """And every filter, every law and every step of the theory has a row."""
    functions, before = [], False
    for section, cells in rows("equations.md"):
        if section == "Symbols and sources":
            continue
        *_, function, check = cells
        assert CODE.findall(function), cells
        named = any("::" in token for token in CODE.findall(check))
        assert named or (before and check == "the same two"), cells
        functions += CODE.findall(function)
        before = named
    for name, function in vars(theory.exponents).items():
        if name.endswith(("_exponent", "_exponents", "_amplitude", "_ratio")) and not name.startswith("_"):
            assert f"theory.exponents.{name}" in functions, function
    for name, function in FILTERS.items():
        assert f"theory.filters.{function.__name__}" in functions
        assert f"rfm.optimizers.{name}" in functions


def test_every_erratum_has_a_check():
    """And every test of errata, every slip of the closed equations among them, has a row."""
    page, before = "errata.md", set()
    for section, (where, *_, check) in rows(page):
        if not section.startswith("Listed"):
            checks = {token for token in CODE.findall(check) if "::" in token}
            assert checks or (before and check.endswith("the same test")), where
            before = checks or before
    text = (DOCS / page).read_text()
    for name in functions_of(ROOT / "tests" / "test_errata.py"):
        if name.startswith("test_"):
            assert f"`tests/test_errata.py::{name}`" in text
    confirmed = " ".join(where for section, (where, *_) in rows(page) if section.startswith("Confirmed"))
    for slip in test_errata.SLIPS:
        for number in re.findall(r"\d+", slip.split(",")[0]):
            assert re.search(rf"\b{number}\b", confirmed), slip


def test_the_citation_has_the_version_of_the_package():
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.*)$", citation, re.M).group(1) == rfm.__version__


@pytest.mark.parametrize("package", [rfm, theory])
def test_docstrings_tell_errors(package):
    """Every public function, and class that checks its fields, says what it raises or whose errors are its own."""
    for name in package.__all__:
        thing = getattr(package, name)
        if inspect.isfunction(thing) or hasattr(thing, "__post_init__"):
            assert re.search(r"Raises:?\s+\w*Error|[Ee]rrors[^.]* as in", thing.__doc__), name


def test_pages_build_without_warnings(tmp_path):
    """HTML of all pages, every public name in the reference; nothing is fetched."""
    pytest.importorskip("sphinx")
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    done = run(f'python -m sphinx -W --keep-going -q -d "{tmp_path}/trees" -c docs . "{tmp_path}/html"', ROOT)
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "html" / "docs" / "api.html").read_text()
    for package in ("rfm", "theory"):
        for name in importlib.import_module(package).__all__:
            assert re.search(rf'<dt class="sig sig-object py" id="{package}\.([a-z_]+\.)*{name}"', reference), name
    for page in (tmp_path / "html").rglob("*.html"):
        assert not re.findall(r'(?:<script|<img|<link)[^>]*(?:src|href)="https?:', page.read_text()), page
