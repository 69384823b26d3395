"""Fragments of HTML that the page says; texts may hold anything and are shown as they are."""

from collections.abc import Sequence

import theory
from experiments.compare.exponent import Exponent
from experiments.explore import model
from experiments.explore.export import TYPES
from experiments.output import pages


def notice(title: str, lines: Sequence[str]) -> str:
    """Return lines under a title."""
    return pages.render("explore/notice.html", title=title, lines=lines)


def plain(text: str) -> str:
    """Return a text as it is."""
    return pages.render("explore/plain.html", text=text)


def regime(point: model.Point, details: model.Details) -> str:
    """Return the task, what limits the risk until when, and by how much at the end."""
    clock, risk = "step" if point.settings.discrete else "t =", float(point.risk[-1])
    return pages.render("explore/regime.html", details=details, risk=risk, clock=clock)


def exponent_table(exponents: Sequence[Exponent]) -> str:
    """Return a table with a row a law: its closed form, and what the theory has here."""
    return pages.render("explore/exponents.html", exponents=exponents)


def budget(optimum: theory.Frontier, number: int, count: int) -> str:
    """Return what is best for the budget of one point of the frontier, and how many of them there are so far."""
    numbers = (optimum.compute, optimum.num_features, optimum.times, optimum.risk)
    compute, size, time, risk = (float(values[0]) for values in numbers)
    unsure = "" if optimum.converged[0] else "; not converged"
    if optimum.at_edge[0]:
        unsure = "; at the edge of the range of sizes"
    so_far = "" if number == count else f"Point {number} of {count}, more are coming. "
    best = f"N = {size:.4g}, t = {time:.4g} and the risk {risk:.3g}{unsure}"
    return plain(f"{so_far}At C = {compute:.3g} the best model has {best}.")


def downloads(query: str) -> str:
    """Return the links to the files of a point."""
    return pages.render("explore/downloads.html", query=query, suffixes=TYPES)
