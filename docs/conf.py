"""Settings of `sphinx-build -c docs . OUT`: Markdown pages, and docstrings read as the Markdown they are written in."""

import importlib
import re
import sys
import textwrap
from pathlib import Path

from docutils.utils import new_document
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "random-feature-theory"
author = "The random-feature-theory developers"
release = importlib.import_module("rfm").__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
# the source is the root of the repository, so that these pages and those beside README.md link to each other by path
root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md"]
exclude_patterns = [".*", "*venv*", "build", "dist", "results"]
html_theme = "furo"
html_title = project
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["tables.css"]
myst_heading_anchors = 2
smartquotes = False  # a prime is a prime
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # shapes and meanings are in the text; Any says nothing


class Markdown(SphinxDirective):
    """The content as Markdown: what docstrings are turned into, since autodoc reads reStructuredText."""

    has_content = True

    def run(self):
        document = new_document(self.get_source_info()[0], self.state.document.settings)
        MystParser().parse("\n".join(self.content), document)
        return document.children


SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Example", "Examples", "Note")
LISTS = ("Args", "Attributes", "Raises")  # of "name: text"


def section_of(lines):
    """Yield the lines of a docstring by section: a title, or None for what comes before the first, and its lines."""
    title, body = None, []
    for line in lines:
        if line.rstrip(":") in SECTIONS and line.endswith(":"):
            yield title, body
            title, body = line[:-1], []
        elif title and line and not line.startswith(" "):  # prose after a section
            yield title, body
            title, body = None, [line]
        else:
            body.append(line)
    yield title, body


def google_as_markdown(lines):
    """Lines of a docstring with Google sections: lists of arguments as lists, examples as code."""
    for title, body in section_of(lines):
        if title is None:
            yield from body
            continue
        text = textwrap.dedent("\n".join(body)).strip("\n")
        if title in LISTS:
            text = re.sub(r"^(\*{0,2}\w[\w, .*]*):", r"- `\1`:", text, flags=re.M)
        elif title.startswith("Example"):
            text = re.sub(r"^>>>(?:.|\n(?!\n))*", r"```pycon\n\g<0>\n```", text, flags=re.M)
        yield from ("", f"**{title}**", "", *text.splitlines(), "")


def as_markdown(app, what, name, obj, options, lines):
    """Wrap a docstring in the directive above."""
    lines[:] = [".. markdown::", "", *("   " + line for line in google_as_markdown(lines)), ""]


def without_docstring(app, what, name, obj, skip, options):
    """Fields of a NamedTuple are told of in its docstring; Python's own words for them say nothing."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def setup(app):
    """Called by Sphinx."""
    app.add_directive("markdown", Markdown)
    app.connect("autodoc-process-docstring", as_markdown)
    app.connect("autodoc-skip-member", without_docstring)
