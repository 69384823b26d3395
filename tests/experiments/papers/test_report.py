"""`rfm report`: rows that are there are not run again; one page that needs nothing else and fits every screen."""

import json
import re
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure

from experiments.cli import main
from experiments.commands import figures as figures_command
from experiments.compare.verdicts import CONFIRMED, VERDICTS, condition
from experiments.output import pages
from experiments.output.plotting import new_figure
from experiments.papers import claims_page
from experiments.papers.row import Script, Shown


def show(seed, verdicts, figure):
    found = tuple(condition(f"a < b & {v}", "<script>alert(1)</script>", "1.0", True, yes=v) for v in verdicts)
    return Shown(figure, [{"x": 1}, {"x": 2}], found)


def panels():
    figure, axes = new_figure(1, 3)
    for ax in axes[0]:
        ax.plot([1, 2], [2, 0])
    return figure


def two_rows(monkeypatch, figure):
    """Two rows that take no time, in place of those of the literature; and how often each ran."""
    runs = {"X-1": 0, "X-2": 0}

    def counted(name):
        def one(seed, verdicts):
            runs[name] += 1
            return show(seed, verdicts, figure())

        return one

    made = {
        name: Script(name, f"Title & {name}", "Someone 2024", "claim", counted(name), {"verdicts": verdicts},
                     {"verdicts": verdicts}, limits)
        for name, verdicts, limits in (("X-1", (CONFIRMED,), ""), ("X-2", VERDICTS, "needs a GPU: rfm figures X-2"))
    }  # fmt: skip
    monkeypatch.setattr(figures_command, "ROW_MODULES", dict.fromkeys(made, ""))
    monkeypatch.setattr(figures_command, "load", made.get)
    monkeypatch.setattr(figures_command, "_in_own_process", lambda script, args: script(args.size, args.out, args.seed))
    return runs


@pytest.fixture
def scripts(monkeypatch):
    return two_rows(monkeypatch, Figure)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page of both rows, to be read alone."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        two_rows(patch, panels)
        assert main(["report", "--all", "--size", "smoke", "--out", str(folder)]) == 0
    return folder / "report-quick.html"


class Reader(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def test_page_is_whole_and_alone(written):
    reader = Reader(written.read_text(encoding="utf-8"))
    names = [tag for tag, _ in reader.tags]
    assert not {"script", "link", "iframe", "object"} & set(names)
    images = [attrs for tag, attrs in reader.tags if tag == "img"]
    assert len(images) == 2
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in images)
    targets = [attrs["href"] for tag, attrs in reader.tags if tag == "a"]
    assert targets == ["#X-1", "#X-2"]
    assert {"#" + attrs["id"] for tag, attrs in reader.tags if "id" in attrs} == set(targets)
    text = " ".join(reader.words)
    for part in ("<script>alert(1)</script>", "Title & X-1", "needs a GPU", "a < b & open", "jax 0", "seed 0", "smoke"):
        assert part in text
    assert not re.search(r"""(src|href)=["']?(http|//)""", written.read_text(encoding="utf-8"))


def test_rows_that_are_there_are_kept(scripts, tmp_path, capsys):
    command = ["report", "X", "--size", "smoke", "--out", str(tmp_path)]
    assert main(["report", "--all", *command[2:]]) == 0
    assert main(command) == 0
    assert scripts == {"X-1": 1, "X-2": 1}
    assert "X-1: confirmed." in capsys.readouterr().out
    (tmp_path / "X-1-quick.png").unlink()
    assert main(command) == 0
    assert scripts == {"X-1": 2, "X-2": 1}
    assert main([*command, "--again"]) == 0
    assert scripts == {"X-1": 3, "X-2": 2}
    assert main([*command, "--seed", "1"]) == 0
    assert scripts == {"X-1": 4, "X-2": 3}
    assert json.loads((tmp_path / "X-1-quick.json").read_text())["settings"]["seed"] == 1


def test_one_row(scripts, tmp_path):
    assert main(["report", "X-2", "--size", "smoke", "--out", str(tmp_path)]) == 0
    assert scripts == {"X-1": 0, "X-2": 1}
    assert "1 open" in (tmp_path / "report-X-2-quick.html").read_text(encoding="utf-8")


def test_full_size_has_no_notice(scripts, tmp_path):
    assert main(["report", "X-1", "--out", str(tmp_path)]) == 0
    assert "too small to judge by" not in (tmp_path / "report-X-1.html").read_text(encoding="utf-8")


def test_every_verdict_has_a_mark_and_a_style():
    assert set(claims_page.MARKS) == set(VERDICTS)
    style = pages.render("report.css")
    assert all(f".{verdict} {{" in style for verdict in VERDICTS)


def test_wrong_folder(scripts, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["report", "X-1", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_it_fits_wide_and_narrow_screens(written, browser, width, height):
    """In a real browser, from the file: nothing is cut off, figures are there, nothing is asked of the network."""
    asked, context = [], browser.new_context(viewport={"width": width, "height": height})
    try:
        tab = context.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(written.as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        images = tab.evaluate("[...document.images].map(image => [image.complete, image.naturalWidth])")
        assert len(images) == 2
        assert all(complete and size > 1000 for complete, size in images)
        lit = tab.evaluate("getComputedStyle(document.querySelector('.badge.open')).backgroundColor")
        assert lit == "rgb(238, 238, 238)"
        shown = tab.evaluate("getComputedStyle(document.querySelector('thead')).display")
        assert (shown == "none") == (width < 600)
        tab.get_by_role("link", name="X-2").click()
        assert tab.evaluate("document.getElementById('X-2').getBoundingClientRect().top") < height
    finally:
        context.close()
    assert all(url.startswith(("file:", "data:")) for url in asked)
