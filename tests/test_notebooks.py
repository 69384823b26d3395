"""Every notebook runs from top to bottom, and is committed without outputs."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# the kernel client leaves sockets to the garbage collector
@pytest.mark.filterwarnings("ignore")
def test_notebook_runs(path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook.cells)
    client = NotebookClient(notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": path.parent}})
    client.execute()  # raises CellExecutionError with the traceback of the cell
    assert any(output.output_type == "stream" for cell in notebook.cells for output in cell.get("outputs", []))


def test_there_are_notebooks():
    assert "01_first_look" in [path.stem for path in NOTEBOOKS]
