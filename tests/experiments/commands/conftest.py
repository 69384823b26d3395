"""Figures of commands: drawn here once and small; what is seen in them is tested where they are made."""

import io

import pytest
from matplotlib.figure import Figure

from experiments.output import files

DPI = 50


@pytest.fixture(scope="session")
def _empty_pdf():
    written = io.BytesIO()
    Figure().savefig(written, format="pdf")
    return written.getvalue()


@pytest.fixture(autouse=True)
def _small_figures(monkeypatch, request, _empty_pdf):
    """A PNG of few pixels whose panels are not fitted to their labels, and no drawing of it again as a PDF.

    Half of the time of a command in this folder was that of its figure. Slow tests draw both in full.
    """
    if request.node.get_closest_marker("slow"):
        return
    draw, tidy = Figure.savefig, files.tidy

    def savefig(figure, path, *, format, **settings):
        if format == "pdf":
            return path.write_bytes(_empty_pdf)
        return draw(figure, path, format=format, dpi=DPI)

    monkeypatch.setattr(Figure, "savefig", savefig)
    monkeypatch.setattr(files, "tidy", lambda figure: (figure.set_layout_engine("none"), tidy(figure)))
