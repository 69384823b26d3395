"""Who may import whom, read from the source; and what `import rfm, theory` does to a fresh interpreter."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("rfm", "theory", "experiments")


def imports_of(source, package):
    """Full dotted names that a module imports, as a set; relative imports resolved against its package."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parent, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def attributes_of(source):
    """Dotted attribute chains such as jax.core.Tracer."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if parts and isinstance(node, ast.Name):
            found.add(".".join([node.id, *reversed(parts)]))
    return found


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def imported(path):
    return imports_of(path.read_text(), ".".join(path.relative_to(ROOT).parts[:-1]))


def reaches(names, target):
    return {name for name in names if name == target or name.startswith(target + ".")}


every_module = pytest.mark.parametrize(
    "path", [p for package in PACKAGES for p in modules(package)], ids=lambda p: str(p.relative_to(ROOT))
)


def test_there_are_modules_to_check():
    assert len(modules("rfm")) > 5
    assert len(modules("theory")) > 5


@every_module
def test_import_direction(path):
    """rfm knows neither theory nor experiments; theory's equations know no rfm; experiments is the top."""
    package, names = path.relative_to(ROOT).parts[0], imported(path)
    forbidden = {"rfm": ("theory", "experiments"), "theory": ("experiments",), "experiments": ()}[package]
    for target in forbidden:
        assert not reaches(names, target)
    if package == "theory" and path.name not in ("predict.py", "optimal.py", "stopping.py", "sweep.py"):
        assert not reaches(names, "rfm")
    assert not reaches(names, "tests")


@every_module
def test_matplotlib_only_in_experiments(path):
    if path.relative_to(ROOT).parts[0] != "experiments":
        assert not reaches(imported(path), "matplotlib")


@every_module
def test_no_private_jax(path):
    names = imported(path) | attributes_of(path.read_text())
    for name in names:
        if name.split(".")[0] in ("jax", "jaxlib", "lax", "jnp"):
            assert not any(part.startswith("_") and not part.startswith("__") for part in name.split(".")), name
            assert not reaches({name}, "jax.interpreters"), name
            assert not reaches({name}, "jaxlib"), name


def test_the_theory_sees_no_random_number():
    for path in modules("theory"):
        names = imported(path) | attributes_of(path.read_text())
        assert not [name for name in names if "random" in name.split(".")], path


def test_nothing_else_imports_experiments():
    """Only tests, notebooks and experiments itself."""
    allowed = {"experiments", "tests", "notebooks"}
    for path in sorted(ROOT.rglob("*.py")):
        top = path.relative_to(ROOT).parts[0]
        if top in allowed or top.startswith(".") or top in ("build", "dist"):
            continue
        assert not reaches(imported(path), "experiments"), path


def test_oracles_import_nothing_of_ours():
    names = imports_of((ROOT / "tests" / "oracles.py").read_text(), "tests")
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


def test_import_leaves_the_interpreter_as_it_was():
    """No JAX setting changes, and nothing heavy that is not needed is loaded."""
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
    """A thin front: at most twenty names, all there, all with a docstring."""
    module = __import__(package)
    assert len(module.__all__) <= 20
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(getattr(module, name).__doc__ for name in module.__all__)
