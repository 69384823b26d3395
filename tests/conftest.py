"""Settings of the whole test session: float64, no display, one BLAS thread, programs that are compiled once.

Most of the time of the tests is compilation. Programs are therefore kept in a folder that the processes of a run, and
the processes that tests start, share; it is removed at the end of the run. To keep programs from one run to the next,
name a folder in the environment: `JAX_COMPILATION_CACHE_DIR=results/compiled python -m pytest`.

On CPU programs are compiled as the commands do it (`rfm.compilations`), and with the first level of optimization, which
takes a sixth off what is left; numbers are the same bit for bit, and programs as fast. Flags in the environment stand:
`XLA_FLAGS= python -m pytest` runs what users of the packages run, as the weekly workflow does.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"
# before numpy loads: on a shared machine two threads that wait for each other made small products ten times slower
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["RFM_CACHE"] = "off"  # the folder in the home of whoever runs the tests, which commands would fill
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # workers of pytest-xdist find the folder of their parent
    _folder = tempfile.mkdtemp(prefix="random-feature-theory-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _folder
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)

from rfm.compilations import compile_quickly

if "XLA_FLAGS" not in os.environ:
    compile_quickly()
    if "XLA_FLAGS" in os.environ:
        os.environ["XLA_FLAGS"] += " --xla_backend_optimization_level=1"

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")  # axes that are added are written

MOST_MAPS = 30_000  # of a process after a module; the largest adds 10,000


@pytest.fixture(autouse=True, scope="module")
def _leave_nothing_behind():
    """Each program on CPU holds tens of memory maps; a process may have 65,530, and XLA crashes at the next one.

    Figures are closed too: what a test draws into the current axes must not depend on the files before it.
    """
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    maps = Path("/proc/self/maps")
    if not maps.exists() or len(maps.read_text().splitlines()) > MOST_MAPS:
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


# by processor time of a run that begins with nothing compiled
LONGEST = (
    "test_contract", "test_pages", "test_cli_cases", "test_explore_page", "test_sweep", "test_schedules", "test_ladder",
    "test_hooks", "test_transforms", "test_docstrings", "test_one_pass", "test_padding", "test_cli_sweep",
    "test_cli_predict", "test_trained_features", "test_cli", "test_explore", "test_richness", "test_spectra",
    "test_features", "test_data_order", "test_forecast", "test_units", "test_accelerators", "test_ensembles",
    "test_processes", "test_corners", "test_printed", "test_best_schedule", "test_cli_schedules", "test_theory_sweep",
    "test_neurons", "test_network_features", "test_mixture", "test_correction", "test_dana", "test_frontier",
    "test_notebooks", "test_networks", "test_scatter", "test_robust", "test_fixed_point", "test_wishes", "test_cli_fit",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """The longest files first, so that two processes end together."""
    place = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))
