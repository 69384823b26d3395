"""Settings of the whole test session: float64 throughout, figures without a display, one BLAS thread."""

import os
import shutil

os.environ["MPLBACKEND"] = "Agg"
# before numpy loads: on a shared machine two threads that wait for each other made small products ten times slower
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["RFM_CACHE"] = "off"  # the compilation cache of whoever runs the tests

import jax
import pytest

jax.config.update("jax_enable_x64", True)


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_programs():
    """Each program on CPU holds tens of memory maps; a process may have 65,530, and XLA crashes at the next one."""
    yield
    jax.clear_caches()


BROWSER_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    """A headless chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `test`)")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium on this machine: the page is not tested")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=path, args=list(BROWSER_FLAGS))
        yield launched
        launched.close()


LONGEST = (
    "test_figures",
    "test_sweep",
    "test_cli",
    "test_notebooks",
    "test_transforms",
    "test_one_pass",
    "test_momentum",
)


def pytest_collection_modifyitems(items):
    """The longest files first, so that two processes end together."""
    place = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))
