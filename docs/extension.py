"""Sphinx extension of these pages: docstrings in Markdown, notebooks with their outputs, equations as MathML.

Nothing is fetched when a page is read, and nothing is run when it is built.
"""

import html
import importlib
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils import new_document
from docutils.utils.math.latex2mathml import tex2mathml
from myst_parser.parsers.sphinx_ import MystParser
from numpy.typing import ArrayLike
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import stringify_annotation


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


ARRAY = stringify_annotation(ArrayLike, "smart")


def short_signature(app, what, name, obj, options, signature, returns):
    """Write ArrayLike by its name, not by the ten types that it stands for."""
    return (signature or "").replace(ARRAY, "ArrayLike") or None, returns


def without_docstring(app, what, name, obj, skip, options):
    """Fields of a NamedTuple are told of in its docstring; Python's own words for them say nothing."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


DOCS = Path(__file__).parent
PACKAGES = ("rfm", "theory")


def public() -> dict[str, Any]:
    """Return every public object by its full name."""
    modules = {package: importlib.import_module(package) for package in PACKAGES}
    return {f"{name}.{item}": getattr(module, item) for name, module in modules.items() for item in module.__all__}


def formulas() -> dict[str, str]:
    """Return the sections of formulas.md by their headings."""
    sections = re.split(r"^## ", (DOCS / "formulas.md").read_text(), flags=re.M)[1:]
    return {heading: text.strip() for heading, text in (section.split("\n", 1) for section in sections)}


def write_object_pages(app):
    """Write a page for every public name into docs/api, which is not kept in the repository."""
    folder, written, equations = DOCS / "api", set(), formulas()
    folder.mkdir(exist_ok=True)
    for name, thing in public().items():
        kind = "autoclass" if isinstance(thing, type) else "autofunction"
        members = "\n   :members:" if isinstance(thing, type) else ""
        text = f"# {name}\n\n{equations.get(name, '')}\n\n```{{eval-rst}}\n.. {kind}:: {name}{members}\n```\n"
        page = folder / f"{name}.md"
        if not page.exists() or page.read_text() != text:
            page.write_text(text)
        written.add(page)
    for page in set(folder.glob("*.md")) - written:
        page.unlink()


class PublicNames(Markdown):
    """A table of the public names of a package, each with the first line of its docstring."""

    has_content = False
    required_arguments = 1

    def run(self):
        rows = [
            f"| [`{name}`](api/{name}.md) | {(thing.__doc__ or '').strip().splitlines()[0]} |"
            for name, thing in public().items()
            if name.startswith(f"{self.arguments[0]}.")
        ]
        self.content = ["| name | |", "|---|---|", *rows]
        return super().run()


def output_as_markdown(output: dict[str, Any]) -> str:
    """Return an output of a cell: a picture, a small table, or text."""
    data = output.get("data", {})
    if "image/png" in data:
        picture = "".join(data["image/png"]).replace("\n", "")
        return f'```{{raw}} html\n<img alt="output of the cell above" src="data:image/png;base64,{picture}">\n```'
    if "text/html" in data:
        return "```{raw} html\n" + "".join(data["text/html"]) + "\n```"
    text = html.escape("".join(output.get("text") or data.get("text/plain", "")).rstrip(), quote=False)
    return f'```{{raw}} html\n<pre class="output">{text}</pre>\n```' if text else ""


def notebook_as_markdown(text: str) -> str:
    """Return a notebook, as it is saved, as one page."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        else:
            parts += [f"```ipython\n{source}\n```", *map(output_as_markdown, cell["outputs"])]
    return "\n\n".join(filter(None, parts))


class NotebookParser(MystParser):
    """A notebook as a page."""

    supported = ("ipynb",)

    def parse(self, inputstring, document):
        super().parse(notebook_as_markdown(inputstring), document)


def inline_equation(self, node):
    """Write an equation in a line."""
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def displayed_equation(self, node):
    """Write an equation on a line of its own."""
    self.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app):
    """Called by Sphinx."""
    app.add_directive("markdown", Markdown)
    app.add_directive("public-names", PublicNames)
    app.connect("builder-inited", write_object_pages)
    app.add_source_suffix(".ipynb", "ipynb")
    app.add_source_parser(NotebookParser)
    app.add_html_math_renderer("mathml", (inline_equation, None), (displayed_equation, None))
    app.connect("autodoc-process-docstring", as_markdown)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("autodoc-skip-member", without_docstring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
