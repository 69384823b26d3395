"""Compiled programs on disk: for one user, and only where they ask for it."""

import os
import subprocess
import sys
from importlib import metadata

import jax
import pytest

import rfm
from rfm import compilations

PROGRAM = """
import jax, rfm
kept = rfm.cache_compilations({folder!r})
rfm.simulate(rfm.white(4), num_features=3, num_samples=5, optimizer=rfm.GradientFlow(), times=[1.0],
             keys=jax.random.split(jax.random.key(0), 2))
print(kept)
"""


@pytest.fixture(autouse=True)
def _settings_stay():
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: jax.config.values[name] for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_folder_is_for_its_user_alone(tmp_path):
    kept = rfm.cache_compilations(tmp_path / "a" / "programs")
    assert kept == tmp_path / "a" / "programs"
    assert kept.stat().st_mode & 0o077 == 0
    assert jax.config.values["jax_compilation_cache_dir"] == str(kept)


def test_a_folder_that_others_may_write_to_is_refused(tmp_path):
    before = jax.config.values["jax_compilation_cache_dir"]
    tmp_path.chmod(0o777)
    with pytest.raises(ValueError, match=r"`folder` must be one of your own to which no other user may write"):
        rfm.cache_compilations(tmp_path)
    (tmp_path / "file").touch()
    for bad in (tmp_path / "file", "", 3):
        with pytest.raises(ValueError, match="`folder` must be a"):
            rfm.cache_compilations(bad)
    assert jax.config.values["jax_compilation_cache_dir"] == before


def test_without_a_folder_it_is_that_of_the_commands(tmp_path, monkeypatch):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    assert rfm.cache_compilations() == tmp_path  # what JAX was given stays
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("RFM_CACHE", "off")
    assert rfm.cache_compilations() is None
    monkeypatch.delenv("RFM_CACHE")
    assert rfm.cache_compilations().is_relative_to(tmp_path / "random-feature-theory")


def test_a_second_process_loads_what_the_first_compiled(tmp_path):
    environment = {name: x for name, x in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    program = PROGRAM.format(folder=str(tmp_path / "programs"))
    programs = []
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True)
        programs.append({file.name for file in (tmp_path / "programs").glob("*-cache")})
    assert programs[0]
    assert programs[1] == programs[0]


@pytest.mark.parametrize(
    ("version", "before", "after"),
    [
        ("0.9.2", None, compilations.QUICK),
        ("0.10.2", None, compilations.QUICK),
        ("0.11.0", None, None),
        ("0.10.2", "--xla_dump_to=x", "--xla_dump_to=x"),
        ("0.10.2", "", ""),
    ],
)
def test_flags_are_asked_of_versions_that_know_them(monkeypatch, version, before, after):
    """And of no environment that has flags of its own, be they none."""
    monkeypatch.setattr(metadata, "version", lambda name: version)
    monkeypatch.setenv("XLA_FLAGS", before or "")
    if before is None:
        monkeypatch.delenv("XLA_FLAGS")
    compilations.compile_quickly()
    assert os.environ.get("XLA_FLAGS") == after
