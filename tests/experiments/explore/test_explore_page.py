"""`rfm explore` as its user has it: the real server, a headless browser, sliders moved by keys, buttons pressed."""

import contextlib
import dataclasses
import http.client
import io
import json
import re
import socket
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from explore_browser import MODEL, START, column, drawn, moved, press, press_button, text, wait

from experiments.explore import laws, static
from experiments.explore import model as explore
from experiments.explore.plots import TICKS
from experiments.explore.settings import Settings
from experiments.output.axes import LogTicks


def test_runs_are_drawn_and_exported_until_a_slider_moves(tab):
    """What the slider moves: the curve, the address and the call; runs of the other point are gone."""
    page = tab(START)
    before = drawn(page)
    assert len(before) == 60
    for ends in ((0.05, 3.2), (0.35, 1.2), (1e-3, 1e3), (1e-40, 1.0)):  # as on the axes of figures
        ticks = page.evaluate(f"cb_data => {{ {TICKS} }}", {"start": ends[0], "end": ends[1]})
        np.testing.assert_allclose(ticks, LogTicks().tick_values(*ends), rtol=1e-12)
    wait(page, f"{MODEL}('exponents').text.length > 0")
    press_button(page, "Simulate this point")
    wait(page, f"{MODEL}('progress').text.includes('8 seeds, exact given the draw')")
    mean, low, high = (column(page, "runs", f"risk_{name}") for name in ("mean", "lower", "upper"))
    assert len(mean) == 30
    assert np.all((low < mean) & (mean < high))
    predicted = column(page, "curve", "risk")[::2]
    assert np.all(np.abs(mean - predicted) < 4 * (high - mean) / 2 + 0.1 * predicted)
    wait(page, f"{MODEL}('call').text.includes('simulated')")
    scope = {}
    exec(text(page, "call"), scope)
    np.testing.assert_allclose(scope["simulated"].mean()[::2], mean, rtol=1e-9)
    np.testing.assert_allclose(2 * scope["simulated"].stderr()[::2], high - mean, rtol=1e-6)

    files = {}
    for suffix in ("PNG", "PDF", "CSV", "JSON", "PY", "IPYNB"):
        with page.expect_download() as download:
            page.get_by_role("link", name=suffix, exact=True).click()
        assert download.value.suggested_filename == f"explore.{suffix.lower()}"
        files[suffix] = Path(download.value.path()).read_bytes()
    assert matplotlib.image.imread(io.BytesIO(files["PNG"])).std() > 0.05
    assert files["PDF"].startswith(b"%PDF")
    table = np.genfromtxt(io.BytesIO(files["CSV"]), delimiter=",", names=True)
    np.testing.assert_allclose(table["simulated_risk"][::2], mean, rtol=1e-9)
    assert json.loads(files["JSON"])["settings"]["seeds"] == 8
    assert text(page, "call") in "".join("".join(cell["source"]) for cell in json.loads(files["IPYNB"])["cells"])
    assert files["PY"].decode() == text(page, "call")
    with page.expect_download() as download:
        page.get_by_title("Save").first.click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")

    press(page, "a", "ArrowRight", 5)
    wait(page, f"{MODEL}('runs').data.times.length == 0")
    wait(page, f"{MODEL}('progress').text.includes('cleared: a setting has changed')")
    wait(page, f"!{MODEL}('call').text.includes('simulated')")
    wait(page, f"{MODEL}('link').value.includes('a=1.85&')")
    after = moved(page, before)
    wait(page, "location.search.includes('a=1.85&')")
    wait(page, f"{MODEL}('exponents').text.includes('<td>0.567</td>')")  # (1.85 - 1)/1.5
    wait(page, f"/theory in [\\d.]+ s/.test({MODEL}('status').text)")
    wait(page, f"{MODEL}('call').text.includes('1.85')")
    scope = {}
    exec(text(page, "call"), scope)
    assert scope["args"]["num_features"] == 24
    last = moved(page, before)
    np.testing.assert_allclose(last, scope["predicted"].risk, rtol=1e-8)
    np.testing.assert_allclose(column(page, "curve", "times"), scope["predicted"].times, rtol=1e-12)
    assert not np.allclose(after, before, rtol=1e-3)
    page.reload()
    wait(page, f"window.Bokeh && Bokeh.documents.length && {MODEL}('curve') && {MODEL}('curve').data.risk.length")
    np.testing.assert_allclose(column(page, "curve", "risk"), last, rtol=1e-12)


def test_what_is_refused_is_said(tab):
    """What the address says wrong, which is left out of it, an unstable learning rate with the largest stable one, and
    runs that are too large, at once.
    """
    wrong = "&a=0.5&speed=%3Cimg%20src=x%20onerror=alert(1)%3E&b=%FF"
    page = tab("/?algorithm=gd&lr=9&N=60000&P=60000&M=1000&stop=100" + wrong)
    wait(page, f"{MODEL}('problem').visible")
    assert re.search(r"Argument `lr` must be &lt; [\d.]+ = 2/\(z_max", text(page, "problem"))
    wait(page, f"{MODEL}('status').text == 'no curve'")
    wait(page, f"{MODEL}('curve').data.risk.length == 0")  # sent after the sentence
    shown = page.locator(".notice").first.inner_text()
    assert "Argument `a` must be a number from 1.01 to 6, but is '0.5'." in shown
    assert "Argument `speed` must be left out; an address knows a, b, N" in shown
    assert "but is '<img src=x onerror=alert(1)>'" in shown
    assert "Argument `b` must be a number from 0.1 to 4" in shown
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate(f"() => {MODEL}('N').value") == pytest.approx(np.log10(60000))
    assert page.evaluate(f"() => {MODEL}('a').value") == 1.8
    page.evaluate(f"() => {{ {MODEL}('lr').value = -1 }}")
    drawn(page)
    wait(page, f"!{MODEL}('problem').visible")
    press_button(page, "Simulate this point")
    wait(page, f"{MODEL}('progress').text.includes('GB are allowed')")


def test_screens_boxes_help_and_colours(tab):
    """It fits a telephone, on which it is opened, and a desk. A number typed moves curve and slider, a wrong one is
    refused and leaves them; handles and help have names.
    """
    page = tab(START, 390, 844)
    drawn(page)
    wait(page, f"{MODEL}('exponents').text.length > 0")
    check_fit(page, 390)
    page.set_viewport_size({"width": 1280, "height": 900})
    wait(page, "document.documentElement.clientWidth > 1000")
    check_fit(page, 1280)
    before = drawn(page)
    wait(page, "document.documentElement.dataset.ready === 'yes'")
    box = page.get_by_role("textbox", name="N, model size")
    box.fill("100")
    box.press("Enter")
    moved(page, before)
    assert page.evaluate(f"() => {MODEL}('N').value") == pytest.approx(2.0)
    box.fill("1.5")
    box.press("Enter")
    wait(page, f"{MODEL}('refused').visible && {MODEL}('refused').text.includes('`N` must be a whole number')")
    assert column(page, "curve", "risk").size
    link = page.evaluate(f"() => {MODEL}('link').value")
    assert link.startswith(page.evaluate("() => location.origin") + "/?")  # the address by which this visitor came
    assert "N=100&" in link
    handle = page.get_by_role("slider", name="P, data")
    assert handle.get_attribute("aria-valuetext") == "40"
    assert page.get_by_role("slider").count() == 10  # one a parameter of gradient flow, two of time
    question = page.get_by_label("What is N, model size?")
    question.press("Enter")
    assert page.get_by_text("The number of random features").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_text("The number of random features").is_visible()
    paper = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Dark colours").press("Enter")
    assert page.evaluate(paper) != light
    assert page.evaluate(f"() => {MODEL}('risk').background_fill_color") == "#16181c"
    page.get_by_role("button", name="Light colours").press("Enter")
    assert page.evaluate(paper) == light


def check_fit(page, width):
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    picture = matplotlib.image.imread(io.BytesIO(page.screenshot(full_page=True)))[..., :3]
    assert picture.shape[1] == width
    blue = np.abs(picture - np.array([0.0, 0x72, 0xB2]) / 255).max(-1) < 0.05  # of the risk
    assert blue.sum() > 300
    for name in ("risk", "slope", "best", "a_box", "simulate"):
        box = page.evaluate(
            f"() => {{ const r = Bokeh.index.get_one_by_id({MODEL}('{name}').id).el.getBoundingClientRect(); "
            "return [r.left, r.right, r.height] }"
        )
        assert 0 <= box[0] < box[1] <= width
        assert box[2] > 20


def test_a_static_page_needs_no_server(browser, tmp_path):
    settings = Settings(N=24, P=40, M=1000, stop=100.0)
    path = tmp_path / "class.html"
    path.write_text(static.page(settings, {"N": (8,), "P": (), "noise": (0.0,)}), encoding="utf-8")
    context = browser.new_context(color_scheme="dark")
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("() => document.documentElement.dataset.ready === 'yes'")
    before = column(page, "curve", "risk")
    expected = explore.corrected(explore.curves(settings)).risk
    np.testing.assert_allclose(before, expected, rtol=1e-6)
    press(page, "N", "ArrowLeft")
    after = moved(page, before)
    expected = explore.corrected(explore.curves(dataclasses.replace(settings, N=8)))
    np.testing.assert_allclose(after, expected.losses["risk"].line, rtol=1e-6)
    assert page.get_by_role("slider", name="N, model size").get_attribute("aria-valuetext") == "8"
    assert asked == [path.as_uri()]
    context.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("server", [laws.NUM_BUDGETS], indirect=True)
def test_every_algorithm_and_the_frontier(tab):
    page = tab(START)
    drawn(page)

    def choose(value, label):
        page.get_by_label("algorithm", exact=True).select_option(label=label)
        wait(page, f"{MODEL}('link').value.includes('algorithm={value}')")

    for value, label in (("gd", "gradient descent"), ("sgd", "SGD"), ("flow", "gradient flow")):
        choose(value, label)
        wait(page, f"{MODEL}('frontier').data.compute.length == {laws.NUM_BUDGETS}")
        assert np.all(np.diff(column(page, "frontier", "risk")) < 0)
        wait(page, f"{MODEL}('exponents').text.includes('best risk, falls in compute')")
        wait(page, f"{MODEL}('regime').text.includes('compute-optimal SGD') == {str(value == 'sgd').lower()}")
    for value, label in (("heavy-ball", "heavy ball"), ("nesterov", "Nesterov")):
        choose(value, label)
        wait(page, f"{MODEL}('frontier_note').text.includes('No frontier here')")
    page.evaluate(f"() => {{ {MODEL}('lr').value = 1 }}")
    wait(page, f"{MODEL}('problem').visible && {MODEL}('problem').text.includes('`lr` must be')")
    wait(page, f"{MODEL}('curve').data.risk.length == 0")  # sent after the sentence
    page.evaluate(f"() => {{ {MODEL}('lr').value = -1 }}")
    assert drawn(page).size > 10
    wait(page, f"!{MODEL}('problem').visible")


def test_only_this_machine_is_served(server):
    """Another origin gets no socket (ours does: the page works), another interface no connection."""
    _, port, _ = server

    def handshake(origin):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Origin": origin}  # fmt: skip
        connection.request("GET", "/ws", headers=headers)
        status = connection.getresponse().status
        connection.close()
        return status

    assert handshake("http://example.com") == 403
    assert handshake(f"http://example.com:{port}") == 403
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with contextlib.suppress(OSError):
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks which address would
        own = probe.getsockname()[0]
    if own not in ("0.0.0.0", "127.0.0.1"):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((own, port), timeout=10)


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/export/explore.csv?a=0.5", 400, "Argument `a` must be a number from 1.01 to 6, but is '0.5'."),
        ("/export/explore.csv?seeds=8", 400, "Argument `seeds` must be 0, or that of runs made"),
        ("/export/explore.csv?algorithm=gd&N=24&P=40&M=1000&stop=100&lr=9", 400, "Argument `lr` must be <"),
        ("/export/explore.exe", 404, ""),
    ],
)
def test_exports_refuse_in_one_line(server, path, status, told):
    connection = http.client.HTTPConnection("127.0.0.1", server[1], timeout=200)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == status
    body = answer.read().decode()
    assert told in body
    assert not told or body.count("\n") == 1
    connection.close()
