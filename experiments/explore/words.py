"""What the page says, as HTML."""

import html

from experiments.explore import model
from experiments.explore.settings import Settings


def notice(title: str, lines: list[str]) -> str:
    """Lines that may hold anything, shown as they are."""
    return f'<p class="notice"><b>{title}:</b> ' + "<br>".join(html.escape(line) for line in lines) + "</p>"


def regime(settings: Settings, shown: model.Curves, details: model.Details) -> str:
    """The task, what limits the risk until when, and by how much at the end."""
    text = [f"until {'step' if settings.discrete else 't ='} {end:.3g} by <b>{name}</b>" for name, end in details.spans]
    shares = ", ".join(f"{name} {100 * value:.0f} %" for name, value in details.shares.items())
    return (
        f"<p><b>{html.escape(details.task)}</b><br>The risk is limited {', then '.join(text)}.<br>"
        f"At the end the limits are, in parts of the risk {shown.risk[-1]:.3g}: {shares}.</p>"
    )


def exponent_table(rows: list[model.Exponent]) -> str:
    """One row a law."""
    number = lambda x: "\u2013" if x is None else f"{x:.3f}"  # noqa: E731
    cells = "".join(
        f"<tr><td>{html.escape(row.quantity)}</td><td>{number(row.closed)}</td><td>{number(row.here)}</td></tr>"
        for row in rows
    )
    return f"<table><tr><th>exponent</th><th>closed form</th><th>here</th></tr>{cells}</table>"
