"""Pages say what is there: names resolve, links lead somewhere, every block runs, the recipe is followed literally."""

import ast
import importlib
import inspect
import json
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


def python_blocks(page):
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S)


RECIPE, LONG = "add-an-algorithm", "your-data"  # applied to a copy above; run below where minutes are no matter
SLOW_PAGES = ("faq", "own-spectrum", "schedules")
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
    for notebook in NOTEBOOKS:
        assert "data:image/png" in (tmp_path / "html" / "notebooks" / f"{notebook.stem}.html").read_text(), notebook
    for page in (tmp_path / "html").rglob("*.html"):
        assert not re.findall(r'(?:<script|<img|<link)[^>]*(?:src|href)="https?:', page.read_text()), page


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
