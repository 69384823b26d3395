"""Every notebook runs from top to bottom in smoke size, and is committed with the outputs of its code.

The cell with the sizes of a notebook carries in its metadata, under "smoke", what the tests run in its place.
"""

import ast
import os
import re
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import make_notebooks  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
QUICK = ("01_first_look",)  # the others are slow: what they call has tests of its own


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=() if p.stem in QUICK else pytest.mark.slow, id=p.stem) for p in NOTEBOOKS],
)
# the kernel client leaves sockets to the garbage collector
@pytest.mark.filterwarnings("ignore")
def test_notebook_runs(path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
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
        "07_two_points",
        "08_training",
        "09_lazy_and_rich",
    ]


@each_notebook
def test_outputs_are_those_of_the_code(path):
    """Run in full size by docs/make_notebooks.py, top to bottom, without an error, and small."""
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata["executed"] == make_notebooks.digest(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert path.stat().st_size < 400_000


@each_notebook
def test_notebook_can_be_run_anywhere(path):
    """The first code cell installs from the address of the repository, to which the first text links."""
    notebook = nbformat.read(path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    source = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
    assert f"git+{source}" in first.source
    assert "find_spec" in first.source
    assert (
        f"github/{source.removeprefix('https://github.com/')}/blob/main/notebooks/{path.name}"
        in notebook.cells[0].source
    )


@each_notebook
def test_notebook_ends_with_exercises(path):
    last = nbformat.read(path, as_version=4).cells[-1].source
    assert last.startswith("## Exercises\n\n1. ")


@each_notebook
def test_only_public_names_are_imported(path):
    """The packages themselves and what they export; nothing of experiments, and no module behind."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    code = re.sub(r"^( *)[%!].*$", r"\1pass", "\n".join(cells), flags=re.M)  # lines for the shell
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            ours = [name for name in names if name.split(".")[0] in ("rfm", "theory", "experiments")]
            assert not set(ours) - {"rfm", "theory"}, ours
            if ours:
                exec(ast.unparse(node), {})


@each_notebook
def test_smoke_sets_the_same_names(path):
    """A name that only one of the two sizes sets would be a cell that only works in one."""
    for cell in nbformat.read(path, as_version=4).cells:
        if "smoke" in cell.metadata:
            assert _assigned(cell.metadata["smoke"]) == _assigned(cell.source)


def _assigned(source: str) -> set[str]:
    targets = [t for node in ast.parse(source).body if isinstance(node, ast.Assign) for t in node.targets]
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
