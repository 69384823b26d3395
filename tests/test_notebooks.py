"""Every notebook runs from top to bottom in smoke size, and is committed without outputs.

The cell with the sizes of a notebook carries in its metadata, under "smoke", what the tests run in its place.
"""

import ast
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONG = ("02_double_descent", "05_your_data")  # whose compilation takes half a minute and more


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=pytest.mark.slow if p.stem in LONG else (), id=p.stem) for p in NOTEBOOKS],
)
# the kernel client leaves sockets to the garbage collector
@pytest.mark.filterwarnings("ignore")
def test_notebook_runs(path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook.cells)
    for cell in notebook.cells:
        cell.source = cell.metadata.get("smoke", cell.source)
    client = NotebookClient(notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": path.parent}})
    client.execute()  # raises CellExecutionError with the traceback of the cell
    assert any(output.output_type == "stream" for cell in notebook.cells for output in cell.get("outputs", []))


def test_there_are_notebooks():
    found = [path.stem for path in NOTEBOOKS]
    assert found == [
        "01_first_look",
        "02_double_descent",
        "03_exponents",
        "04_sweeps",
        "05_your_data",
        "06_finite_size",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_can_be_run_anywhere(path):
    """The first code cell installs where the package is not there."""
    first = next(cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    assert "%pip install" in first.source
    assert "find_spec" in first.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_smoke_sets_the_same_names(path):
    """A name that only one of the two sizes sets would be a cell that only works in one."""
    for cell in nbformat.read(path, as_version=4).cells:
        if "smoke" in cell.metadata:
            assert _assigned(cell.metadata["smoke"]) == _assigned(cell.source)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_imports_is_there(path):
    """Of this project: the long ones are run rarely."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    lines = [line for cell in cells for line in cell.splitlines() if line.startswith("from ")]
    for node in ast.parse("\n".join(lines)).body:
        if node.module.split(".")[0] in ("rfm", "theory", "experiments"):
            exec(ast.unparse(node), {})


def _assigned(source: str) -> set[str]:
    targets = [t for node in ast.parse(source).body if isinstance(node, ast.Assign) for t in node.targets]
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
