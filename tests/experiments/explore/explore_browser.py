"""What tests do with the page of `rfm explore`: read what is drawn, press keys, wait."""

import numpy as np

PATIENCE = 200_000  # ms: a busy machine compiles slowly
MODEL = "Bokeh.documents[0].get_model_by_name"
START = "/?a=1.8&b=1.5&N=24&P=40&M=1000&stop=100"


def column(page, name, key):
    """A column of a source, as the browser has it."""
    values = page.evaluate(f"() => Array.from({MODEL}('{name}').data['{key}'])")
    return np.array([np.nan if x is None else x for x in values], float)


def text(page, name):
    return page.evaluate(f"() => {MODEL}('{name}').text")


def wait(page, condition):
    page.wait_for_function(f"() => {condition}", timeout=PATIENCE)


def drawn(page):
    """Wait for the curve of the settings that the page names."""
    wait(page, f"{MODEL}('curve').data.risk.length > 0")
    return column(page, "curve", "risk")


def press(page, slider, key, times=1):
    """A slider's handle takes the focus and a key."""
    handle = page.evaluate_handle(
        f"() => {{ const id = {MODEL}('{slider}').id; const host = Bokeh.index.get_one_by_id(id).el; "
        "return host.shadowRoot.querySelector('.noUi-handle') }"
    ).as_element()
    handle.focus()
    for _ in range(times):
        handle.press(key)


def press_button(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def moved(page, before):
    """Wait for another curve than `before`."""
    wait(page, f"{MODEL}('curve').data.risk.length && {MODEL}('curve').data.risk[30] != {float(before[30])!r}")
    return column(page, "curve", "risk")
