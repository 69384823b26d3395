"""Who may import whom, read from the source; and what `import rfm, theory` does to a fresh interpreter."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("rfm", "theory", "experiments")

# the rooms of the house: a module is in the room with the longest matching name; packages are named by their folder
GROUND = ("rfm.checks", "rfm.precision", "rfm.pytrees", "rfm.devices", "rfm.display", "rfm.threefry",
          "rfm.compilations")  # fmt: skip
STATEMENT = ("rfm.problem", "rfm.parts", "rfm.optimizers", "rfm.full_batch", "rfm.sgd", "rfm.dana",
              "rfm.protocols", "rfm.responses", "rfm.optax_steps",
             "rfm.steps", "rfm.curve", "rfm.grid", "rfm.arguments", "rfm.own_spectrum", "rfm.results")  # fmt: skip
FRONT = tuple(f"theory.{name}" for name in (
    "_chains", "_correction", "_domains", "_learned", "_modes", "_predict", "_scatter", "_sweep", "by_steps", "cases",
    "evaluation", "equal_compute", "optimal", "reuse", "rich_curves", "routes", "scheduled", "schedules", "stopping",
))  # fmt: skip
ROOMS = {
    **dict.fromkeys(GROUND, "ground"),
    **dict.fromkeys(STATEMENT, "statement"),
    **dict.fromkeys(FRONT, "theory front"),
    **{f"rfm.{room}": room for room in ("engine", "sweeps", "data", "networks")},
    **{f"rfm.sweeps.{name}": "result" for name in ("result", "store", "locks", "manifest", "zarr_files")},
    "rfm": "rfm",
    "rfm.__main__": "door",
    "theory": "equations",
    **{f"experiments.{room}": room for room in (
        "compare", "output", "fit", "forecast", "papers", "explore", "benchmarks", "commands",
    )},
    "experiments.cli": "cli",
    "experiments": "experiments",
}  # fmt: skip
BASE = {"ground", "statement"}
RFM = BASE | {"rfm", "engine", "sweeps", "result", "data", "networks"}
THEORY = {"theory", "equations", "theory front"}
# room: the rooms that it may import beside itself
DIRECTIONS = {
    "ground": set(),
    "statement": {"ground"},
    "data": BASE,
    "networks": BASE | {"data"},
    "engine": BASE,
    "result": BASE,
    "sweeps": BASE | {"engine", "result"},
    "rfm": RFM,
    "door": {"cli"},
    "equations": set(),
    "theory front": BASE | {"equations", "result"},
    "theory": THEORY,
    "compare": RFM | THEORY,
    "output": RFM | THEORY | {"compare"},
    **{room: RFM | THEORY | {"compare", "output"} for room in ("fit", "forecast", "papers", "explore", "benchmarks")},
    "commands": RFM | THEORY | {"compare", "output", "fit", "forecast", "papers", "explore", "benchmarks"},
    "cli": {"ground", "rfm", "commands", "output"},
    "experiments": set(),
}


@functools.cache
def nodes_of(source):
    """All nodes of a module, which several tests look at; kept are those that they look at."""
    return [x for x in ast.walk(ast.parse(source)) if isinstance(x, ast.Import | ast.ImportFrom | ast.Attribute)]


def imports_of(source, package):
    """Full dotted names that a module imports, as a set; relative imports resolved against its package."""
    names = set()
    for node in nodes_of(source):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parent, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def attributes_of(source):
    """Dotted attribute chains such as jax.core.Tracer."""
    chains = set()
    for node in nodes_of(source):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if parts and isinstance(node, ast.Name):
            chains.add(".".join([node.id, *reversed(parts)]))
    return chains


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(path):
    return ".".join(path.relative_to(ROOT).parts[:-1])


def imported(path):
    return imports_of(path.read_text(), package_of(path))


def reaches(names, target):
    return {name for name in names if name == target or name.startswith(target + ".")}


def room_of(name):
    """The room that a dotted name is in, None for names that are not ours; a package is a room of its own."""
    if name in PACKAGES:
        return name
    parts = name.split(".")
    prefixes = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((ROOMS[prefix] for prefix in prefixes if prefix in ROOMS), None)


def trespasses(room, names):
    """The imports that a module of a room may not make. Naming a package is naming what is imported from it."""
    whole = {name for name in names if any(other.startswith(name + ".") for other in names)}
    rooms = {name: room_of(name) for name in names - whole}
    return {name: other for name, other in rooms.items() if other not in (None, room) and other not in DIRECTIONS[room]}


def test_import_directions():
    """Every import of every module goes along an arrow of DIRECTIONS."""
    paths = [path for package in PACKAGES for path in modules(package)]
    assert len(paths) > 100
    wrong = {module_name(path): trespasses(room_of(module_name(path)), imported(path)) for path in paths}
    assert not {name: names for name, names in wrong.items() if names}


def test_matplotlib_only_in_experiments():
    """And within the one function that `plot` of curves and sweeps calls."""
    paths = [path for package in ("rfm", "theory") for path in modules(package)]
    place = ROOT / "rfm" / "results.py"
    assert [path for path in paths if reaches(imported(path), "matplotlib")] == [place]
    tree = ast.parse(place.read_text())
    (plot,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "plot"]
    lines = [[x for x in map(ast.unparse, ast.walk(node)) if x.startswith(("from matplotlib", "import matplotlib"))]
             for node in (tree, plot)]  # fmt: skip
    assert lines[0] == lines[1] == ["from matplotlib import pyplot"]


def test_no_private_jax():
    for path in (path for package in PACKAGES for path in modules(package)):
        for name in imported(path) | attributes_of(path.read_text()):
            if name.split(".")[0] in ("jax", "jaxlib", "lax", "jnp"):
                private = [part for part in name.split(".") if part.startswith("_") and not part.startswith("__")]
                assert not private, (path, name)
                assert not reaches({name}, "jax.interpreters"), (path, name)
                assert not reaches({name}, "jaxlib"), (path, name)


def test_the_theory_sees_no_random_number():
    for path in modules("theory"):
        names = imported(path) | attributes_of(path.read_text())
        assert not [name for name in names if "random" in name.split(".")], path


def test_nothing_else_imports_experiments():
    """Only tests, notebooks, experiments itself, and the front door, which no library code imports."""
    allowed = {"experiments", "tests", "notebooks"}
    for path in sorted(ROOT.rglob("*.py")):
        top = path.relative_to(ROOT).parts[0]
        if path == ROOT / "rfm" / "__main__.py" or top in allowed or top.startswith(".") or top in ("build", "dist"):
            continue
        assert not reaches(imported(path), "experiments"), path


def test_no_module_has_the_name_of_a_function():
    """`import theory.predict` must be no surprise: no module is called as a function of its own or of its package."""
    for path in (path for package in PACKAGES for path in modules(package) if path.stem != "__init__"):
        defined = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert path.stem not in defined, path
    for package in ("rfm", "theory"):
        exported = set(__import__(package).__all__)
        assert not exported & {path.stem for path in modules(package)}, package


@pytest.mark.parametrize("name", ["oracles", "one_pass_oracles"])
def test_oracles_import_nothing_of_ours(name):
    names = imports_of((ROOT / "tests" / f"{name}.py").read_text(), "tests")
    for target in (*PACKAGES, "jax"):
        assert not reaches(names, target)


@pytest.mark.parametrize(
    ("source", "package", "target"),
    [
        ("import theory.static", "rfm", "theory"),
        ("from theory import predict", "rfm", "theory"),
        ("def f():\n    from rfm.curve import Curve", "theory", "rfm"),
        ("from . import static", "theory", "theory.static"),
        ("from ..rfm import curve", "theory.sub", "theory.rfm.curve"),
        ("import matplotlib.pyplot as plt", "rfm", "matplotlib"),
    ],
)
def test_the_parser_sees(source, package, target):
    """Negative control: ways to break the walls, a late import and a relative one among them."""
    assert reaches(imports_of(source, package), target)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("engine", "import theory"),
        ("equations", "from rfm.problem import Problem"),
        ("theory front", "from rfm.engine.plans import Plan"),
        ("theory front", "from rfm import simulate"),
        ("statement", "from rfm.data import rows"),
        ("fit", "from experiments.forecast.laws import Plan"),
        ("compare", "from experiments.output import plotting"),
    ],
)
def test_the_table_refuses(room, source):
    """Negative control."""
    assert trespasses(room, imports_of(source, ""))


def test_import_leaves_the_interpreter_as_it_was():
    """No JAX setting changes, and nothing heavy that is not needed is loaded; theory needs no simulator."""
    script = """
import sys
import jax
before = dict(jax.config.values)
import rfm, theory
assert dict(jax.config.values) == before
assert jax.config.jax_enable_x64 is False
slow = ("matplotlib", "optax", "scipy.optimize", "sklearn", "tqdm", "experiments")
heavy = [name for name in slow if name in sys.modules]
assert not heavy, heavy
import numpy as np
curve = theory.predict(rfm.white(4), num_features=3, num_samples=5, optimizer=rfm.GradientFlow(), times=[1.0])
assert curve.risk.dtype == np.float64
assert jax.config.jax_enable_x64 is False
assert dict(jax.config.values) == before
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", ["rfm", "theory"])
def test_public_names(package):
    """A thin front: at most three dozen names, all there, all with a docstring."""
    module = __import__(package)
    assert len(module.__all__) <= 36
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(getattr(module, name).__doc__ for name in module.__all__)
