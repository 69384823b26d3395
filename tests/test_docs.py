"""Pages say what is there: names resolve, links lead somewhere, commands and calls are understood, tables are whole."""

import ast
import importlib
import inspect
import json
import pkgutil
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
import test_errata
from PIL import Image

import rfm
import theory.exponents
from experiments.commands.parsing import COMMANDS, build_parser
from theory.filters import FILTERS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))
import make_gallery  # noqa: E402

PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

COMMAND = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)
CODE = re.compile(r"`([^`\n]+)`")


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
        elif re.fullmatch(r"(rfm|theory|experiments|tests|docs|notebooks)/(?!\w*NAME)[\w/.-]*", token):
            assert (ROOT / token).exists(), token
        elif extra := re.fullmatch(r"\[([a-z]+)\]", token):
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
    assert len(blocks) == 4
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


@pytest.mark.parametrize("name", ["rfm.nothing", "theory.filters.nothing", "theory.nothing.filters"])
def test_a_stale_name_is_noticed(name):
    """Negative control."""
    with pytest.raises((AttributeError, ImportError)):
        pkgutil.resolve_name(name)


def anchors(path):
    """Names of the headings of a page or notebook, as links have them."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        text = "\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    """To a file that is there, and to a heading in it."""
    text = page.read_text()
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", text):
        if not target.startswith("https://"):
            path = page.parent / target if target else page
            assert path.exists(), target
            assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_a_link_to_nothing_is_noticed():
    """Negative control."""
    assert "what-t-is-nobody-knows" not in anchors(DOCS / "faq.md")
    assert "my-double-descent-does-not-appear" in anchors(DOCS / "faq.md")


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


def test_every_formula_is_of_a_public_name():
    for heading in re.findall(r"^## (.*)$", (DOCS / "formulas.md").read_text(), re.M):
        package, name = heading.split(".")
        assert name in importlib.import_module(package).__all__, heading


def pictures():
    """Command of every picture in the gallery, by its file."""
    commands = make_gallery.entries((DOCS / "gallery.md").read_text())
    return {DOCS / "gallery" / f"{name}.png": command for name, command in commands.items()}


def test_pictures_of_the_gallery_are_made_by_its_commands():
    """Each picture has its command in it, and none is left over or large."""
    assert set(pictures()) == set((DOCS / "gallery").glob("*.png"))
    for path, command in pictures().items():
        assert Image.open(path).text["command"] == command, path
        assert path.stat().st_size < 100_000, path


def test_the_readme_is_short_and_shows_the_gallery():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 100
    shown = re.findall(r"^\|.*\.png\).*\|$", text, re.M)
    assert len(re.findall(r"\.png\)", "".join(shown))) == 6
    assert text.count("```sh") == 2
    assert "rfm compare" in COMMAND.findall(text)[0]
    assert COMMAND.findall(text)[1].strip().endswith("python -m pytest")
