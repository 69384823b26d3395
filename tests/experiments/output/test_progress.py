"""What a command says while it works."""

import time

import pytest

from experiments.output import console, progress


@pytest.fixture
def _impatient(monkeypatch):
    monkeypatch.setattr(progress, "MOMENT", 0.01)


@pytest.mark.usefixtures("_impatient")
def test_long_work_is_named_and_leaves_nothing(capsys):
    with progress.until_done("reading rows"):
        time.sleep(0.3)
    said = capsys.readouterr().err
    assert "reading rows ..." in said
    assert "\n" not in said
    assert not said.rsplit("\r", 1)[-1].strip()


def test_short_work_and_what_is_refused_at_once_say_nothing(capsys):
    with pytest.raises(ValueError, match="no"), progress.until_done("reading rows"):
        raise ValueError("no")
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_impatient")
def test_quiet_work_says_nothing(capsys):
    console.begin(console.Form(quiet=True))
    try:
        with progress.until_done("reading rows"):
            time.sleep(0.2)
    finally:
        console.begin(console.TEXT)
    assert capsys.readouterr().err == ""
