"""HTML from the templates in the folder beside this module: one environment, in which every value is escaped."""

from pathlib import Path

import jinja2

ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: object) -> str:
    """Fill in the template of that file name."""
    return ENVIRONMENT.get_template(template).render(**values)
