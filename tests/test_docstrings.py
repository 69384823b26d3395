"""Rules of the house that a reader of the source can check: docstrings, examples, annotations, sizes.

Each rule lists its offenders; nothing is exempt but what a rule says itself.
"""

import ast
import dataclasses
import doctest
import functools
import importlib
import inspect
import re
import statistics
import textwrap
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rfm
import theory

ROOT = Path(__file__).parents[1]
PATHS = sorted(path for package in ("rfm", "theory", "experiments") for path in (ROOT / package).rglob("*.py"))
NAMES = {"jax": jax, "jnp": jnp, "np": np, "rfm": rfm, "theory": theory}  # imported for every example
MOST_LINES, MEDIAN_LINES, MOST_POSITIONAL = 300, 130, 5
NO_BEGINNING = re.compile(r"(Of|Those|What|How|Whether|The same)\b")
# what the engine asks of every algorithm: told once, at the head of rfm/optimizers.py
PROTOCOL = ("init", "step", "response", "largest_stable_lr")


class Definition(NamedTuple):
    """A module, class or function of the source, with the place to look at."""

    place: str
    node: ast.AST
    inner: bool  # inside of a function
    method: bool


def definitions(path):
    """Every definition of a file, the module first."""
    tree, place = ast.parse(path.read_text()), path.relative_to(ROOT)
    yield Definition(f"{place}", tree, False, False)

    def below(node, inner, method):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                yield Definition(f"{place}:{child.lineno} {child.name}", child, inner, method)
                yield from below(child, inner or isinstance(child, ast.FunctionDef), isinstance(child, ast.ClassDef))
            elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):  # no expression holds a definition
                yield from below(child, inner, method)

    yield from below(tree, False, False)


@functools.cache
def all_definitions():
    """Every definition of the packages."""
    return [definition for path in PATHS for definition in definitions(path)]


def functions():
    """Every function of the packages."""
    return [definition for definition in all_definitions() if isinstance(definition.node, ast.FunctionDef)]


def positional(definition):
    """Arguments that may be given by position, self and cls left out."""
    names = definition.node.args.posonlyargs + definition.node.args.args
    bound = definition.method and not any(
        getattr(d, "id", "") == "staticmethod" for d in definition.node.decorator_list
    )
    return names[1:] if bound else names


def unannotated(definition):
    """Whether an argument or the result has no type. A function inside of another one needs none."""
    arguments = definition.node.args
    given = [*positional(definition), *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return definition.node.returns is None or any(a is not None and a.annotation is None for a in given)


def offends_at_first_word(text):
    """Whether a docstring begins with a word that needs something before it."""
    return NO_BEGINNING.match(inspect.cleandoc(text or "")) is not None


def public():
    """Names and objects that the packages export, and the methods of the records among them."""
    for package in (rfm, theory):
        for name in package.__all__:
            thing = getattr(package, name)
            yield f"{package.__name__}.{name}", thing
            if inspect.isclass(thing):
                for method, function in vars(thing).items():
                    function = getattr(function, "__func__", function)  # of a classmethod
                    if inspect.isfunction(function) and not method.startswith("_") and method not in PROTOCOL:
                        yield f"{package.__name__}.{name}.{method}", function


def raises(thing):
    """Whether the body says raise, or calls a check; for a class, whether fields are checked."""
    if inspect.isclass(thing):
        return hasattr(thing, "__post_init__")
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(thing))))
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(isinstance(node, ast.Raise) for node in ast.walk(tree)) or any(c.startswith("checks.") for c in calls)


def missing_sections(thing, method=False):
    """Sections of a Google docstring that are not there and should be; methods are explained where their record is."""
    text, wanted = inspect.cleandoc(thing.__doc__ or ""), [] if method else ["Example"]
    if inspect.isclass(thing):
        fields = dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else getattr(thing, "_fields", ())
        wanted += ["Args|Attributes"] if fields else []
    elif not method:
        signature = inspect.signature(thing)
        wanted += ["Args"] if set(signature.parameters) - {"self", "cls"} else []
        wanted += [] if signature.return_annotation in (None, "None") else ["Returns"]
    wanted += ["Raises"] if raises(thing) else []
    missing = [name for name in wanted if not re.search(rf"^({name}):$", text, re.M)]
    return missing + ([] if method or ">>>" in text else [">>>"])


EXAMPLES = [path for path in PATHS if ">>>" in path.read_text()]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples(path):
    """Every example of a module prints what it says."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    told = []
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs=NAMES):
        runner.run(example, out=told.append)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(told)


def test_public_names_have_all_sections():
    """Args or Attributes, Returns, Raises where something is refused, and an example."""
    missing = {name: missing_sections(thing, name.count(".") > 1) for name, thing in public()}
    offenders = {name: sections for name, sections in missing.items() if sections}
    assert not offenders, "\n".join(f"{name}: no {', '.join(sections)}" for name, sections in offenders.items())


def test_docstrings_begin_with_what_they_are_about():
    offenders = [d.place for d in all_definitions() if offends_at_first_word(ast.get_docstring(d.node))]
    assert not offenders, "\n".join(offenders)


def test_at_most_five_positional_arguments():
    offenders = [f"{d.place}: {len(positional(d))}" for d in functions() if len(positional(d)) > MOST_POSITIONAL]
    assert not offenders, "\n".join(offenders)


def test_every_function_is_annotated():
    offenders = [d.place for d in functions() if not d.inner and unannotated(d)]
    assert not offenders, "\n".join(offenders)


def test_no_file_is_long():
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in PATHS}
    offenders = [f"{path}: {length}" for path, length in lengths.items() if length > MOST_LINES]
    assert not offenders, "\n".join(offenders)
    assert statistics.median(lengths.values()) <= MEDIAN_LINES


def test_the_rules_see():
    """Negative control: one function that breaks each rule."""

    def wrong(a, b, c, d, e, f):
        """Of six arguments."""
        raise ValueError(a, b, c, d, e, f)

    (node,) = ast.parse(textwrap.dedent(inspect.getsource(wrong))).body
    definition = Definition("", node, False, False)
    assert len(positional(definition)) == 6
    assert unannotated(definition)
    assert offends_at_first_word(wrong.__doc__)
    assert missing_sections(wrong) == ["Example", "Args", "Returns", "Raises", ">>>"]
    assert not offends_at_first_word("Offer of a value.")
