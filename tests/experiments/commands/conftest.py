"""Figures of commands: drawn here once a kind and small; what is seen in them is tested where they are made."""

import io
from collections import Counter

import pytest
from matplotlib.figure import Figure

from experiments.output import files

DPI = 50


@pytest.fixture(scope="session")
def _empty():
    written = {name: io.BytesIO() for name in ("png", "pdf")}
    for name, file in written.items():
        Figure(dpi=DPI).savefig(file, format=name)
    return {name: file.getvalue() for name, file in written.items()}


@pytest.fixture(scope="session")
def _drawn():
    return set()


def kind_of(figure):
    """What a figure shows but for the numbers: labels of axes, scales and how many artists of each kind a panel has."""
    return tuple(
        (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale(), ax.get_yscale(),
         *Counter(type(artist).__name__ for artist in ax.get_children()).items())
        for ax in figure.axes
    )  # fmt: skip


@pytest.fixture
def sizes_of_one_shape(monkeypatch):
    """Scans of `rfm compare` over sizes that one set of programs serves, a draw a seed."""
    monkeypatch.setattr("experiments.commands.compare.MODEL_SIZES", dict.fromkeys((8, 16, 24, 32), 1))


@pytest.fixture(autouse=True)
def _small_figures(monkeypatch, request, _empty, _drawn):
    """A PNG of few pixels whose panels are not fitted to their labels, once a kind, and no drawing of it as a PDF.

    Half of the time of a command in this folder was that of its figure. Slow tests draw both in full.
    """
    if request.node.get_closest_marker("slow"):
        return
    draw, tidy = Figure.savefig, files.tidy

    def savefig(figure, path, *, format, **settings):
        kind = kind_of(figure)
        if format == "pdf" or kind in _drawn:
            return path.write_bytes(_empty[format])
        _drawn.add(kind)
        return draw(figure, path, format=format, dpi=DPI)

    monkeypatch.setattr(Figure, "savefig", savefig)
    monkeypatch.setattr(files, "tidy", lambda figure: (figure.set_layout_engine("none"), tidy(figure)))
