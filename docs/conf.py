"""Settings of `sphinx-build -c docs . OUT`: pages, notebooks, and docstrings in the Markdown they are written in."""

import importlib
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

project = "random-feature-theory"
author = "The random-feature-theory developers"
release = importlib.import_module("rfm").__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "extension"]
# the source is the root of the repository, so that these pages and those beside README.md link to each other by path
root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**.md", "notebooks/*.ipynb"]
exclude_patterns = [".*", "*venv*", "build", "dist", "results"]
html_theme = "furo"
html_title = project
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["tables.css"]
html_math_renderer = "mathml"
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath", "amsmath"]
smartquotes = False  # a prime is a prime
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80  # one argument a line
