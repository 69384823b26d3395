"""Addresses of points of `rfm explore`, its sliders, and the options of the command."""

import math
import socket
import subprocess
import sys
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from test_explore import random_settings

from experiments.cli import main
from experiments.explore.parameters import PARAMETERS, WITH_THEORY
from experiments.explore.settings import Settings, from_address

ROOT = Path(__file__).parents[3]


def test_addresses_go_around():
    rng = np.random.default_rng(2)
    for _ in range(100):
        settings = random_settings(rng, WITH_THEORY)
        assert from_address(urllib.parse.parse_qs(settings.address())) == (settings, [])


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("a=0.5", "Argument `a` must be a number from 1.01 to 6, but is '0.5'."),
        ("a=nan", "`a` must be a number"),
        ("a=1.8&a=2", "but is ['1.8', '2']"),
        ("N=12.5", "`N` must be a whole number from 1 to 65536, or inf, but is '12.5'"),
        ("P=<script>alert(1)</script>", "but is '<script>"),
        ("algorithm=adam", "`algorithm` must be one of 'flow', 'gd'"),
        ("lr=0.5", "`lr` must be left out with algorithm 'flow' (it belongs to gd, heavy-ball, nesterov, sgd)"),
        ("algorithm=sgd&order=shuffle&P=inf", "`order` must be 'replacement' where P is inf"),
        ("schedule=cosine", "`schedule` must be left out with algorithm 'flow' (it belongs to gd, sgd)"),
        ("algorithm=sgd&schedule=/etc/passwd.csv", "`schedule` must be one of constant, linear, cosine, wsd, power"),
        ("algorithm=sgd&average=old", "`average` must be a decay >= 0 and < 1, polyak, tail"),
        ("algorithm=sgd&batch=16&P=8", "`batch` must be a number >= 1, at most P = 8, but is 16"),
        ("algorithm=sgd&richness=1&P=512&stop=1000", "`stop` must be at most 200 here"),
        ("algorithm=sgd&average=0.9&K=2", "`average` must be none for K > 1"),
        ("algorithm=gd&richness=1&stop=1000", "`stop` must be at most 200 here, where theory follows every step"),
        ("start=100&stop=10", "`stop` must be larger than start = 100"),
        ("start=1e6", "`stop` must be larger than start"),
        ("algorithm=gd&stop=1.5", "`stop` must be at least 2"),
        ("speed=3", "`speed` must be left out; an address knows a, b, N"),
        ("momentum=0.95&algorithm=nesterov", "`momentum` must be a number from 0 to 0.9"),
    ],
)
def test_bad_addresses_are_refused(query, told):
    settings, refused = from_address(urllib.parse.parse_qs(query))
    assert any(told in line for line in refused)
    assert len(refused) == 1
    assert settings == Settings(algorithm=settings.algorithm) or "start" in query or query.count("&") > 1


def test_bytes_that_are_no_text_and_names_of_the_server():
    settings, refused = from_address({"a": [b"\xff\xfe"], "bokeh-session-id": [b"x"], "b": [b"1.25"]})
    assert settings == Settings(b=1.25)
    assert len(refused) == 1


def test_sliders_stand_for_their_numbers():
    for name, p in PARAMETERS.items():
        low, high = p.ends
        assert p.value(low) == (0 if p.zero else p.low)
        assert p.value(high) == (math.inf if p.infinite else p.high)
        for position in np.linspace(low, high, 57):
            value = p.value(position)
            assert p.check(name, value) == value
            assert p.value(p.position(value)) == value


def test_names_that_are_served(capsys):
    pytest.importorskip("bokeh")
    from experiments.explore import server

    assert {"localhost", "127.0.0.1"} < set(server.served_names("0.0.0.0"))
    assert server.is_local("127.0.0.1")
    assert not server.is_local("0.0.0.0")
    assert main(["explore", "--no-browser", "--port", "0", "--host", "no host"]) == 2
    assert "--host must be a name or address of this machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--at", "a=2"], "--at must be left out without --static FILE.html"),
        (["--static", "page.txt"], "--static must be a file NAME.html that is not there yet"),
        (
            ["--static", "p.html", "--at", "a=0.5"],
            "--at must be a link of the page (a must be a number from",
        ),
    ],
)
def test_static_pages_refuse_in_one_line(options, told, capsys):
    pytest.importorskip("bokeh")
    assert main(["explore", *options]) == 2
    assert told in capsys.readouterr().err


def test_without_bokeh_one_line_names_the_packages(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "bokeh.application", None)
    monkeypatch.delitem(sys.modules, "experiments.explore.server", raising=False)
    assert main(["explore", "--port", "0", "--no-browser"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "pip install bokeh tornado" in error


def test_a_port_in_use_is_one_line():
    pytest.importorskip("bokeh")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "experiments.cli", "explore", "--no-browser", "--port", port]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"--port must be a free port, or 0 for any (Address already in use), but is {port}" in done.stderr


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_no_such_port(capsys, port):
    assert main(["explore", "--no-browser", "--port", port]) == 2
    assert "--port must be an integer from 0 to 65535" in capsys.readouterr().err
