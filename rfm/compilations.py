"""How programs are compiled: quickly, and kept on disk for the next process of the same user."""

import os
import platform
import re
from importlib import metadata
from pathlib import Path

import jax

from rfm import checks

# of XLA on CPU: its older way to make code of an operation, in one piece
QUICK = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
KNOWN = (0, 9), (0, 10)  # the first and the last version of jaxlib that was seen to know them


def compile_quickly() -> None:
    """Set flags of XLA, before its first program, with which it compiles in two thirds of the time on CPU.

    Programs are as fast, and their numbers the same bit for bit. A flag that XLA does not know ends the process: asked
    are versions that know it, where the environment has no XLA_FLAGS.

    """
    version = tuple(int(part) for part in re.findall(r"\d+", metadata.version("jaxlib"))[:2])
    if KNOWN[0] <= version <= KNOWN[1]:
        os.environ.setdefault("XLA_FLAGS", QUICK)


def cache_compilations(folder: str | Path | None = None) -> Path | None:
    """Keep compiled programs in a folder of this user, so that the next process that needs them does not compile.

    Call it before the first computation. Programs are loaded and run, so other users must not be able to write.

    Args:
        folder: Made where it is not there, for this user alone. None for the one that the `rfm` commands use, of this
            user and machine, unless JAX has another already (JAX_COMPILATION_CACHE_DIR) or RFM_CACHE=off.

    Returns:
        The folder that programs are kept in, None where RFM_CACHE=off keeps none.

    Raises:
        ValueError: The path is not a folder, belongs to another user, or others may write to it.
        OSError: It cannot be made.

    Example:
        >>> import tempfile, rfm
        >>> before = jax.config.values["jax_compilation_cache_dir"]
        >>> with tempfile.TemporaryDirectory() as home:
        ...     rfm.cache_compilations(f"{home}/programs").name
        'programs'
        >>> jax.config.update("jax_compilation_cache_dir", before)  # as it was
    """
    if folder is None:
        known = jax.config.values["jax_compilation_cache_dir"]
        if known is not None or os.environ.get("RFM_CACHE") == "off":
            return None if known is None else Path(known)
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        kept = Path(home, "random-feature-theory", platform.node() or "machine")
    else:
        if not isinstance(folder, str | Path) or not str(folder):
            checks.fail("folder", "a path, or None", folder)
        kept = Path(folder).expanduser().absolute()
    if kept.exists() and not kept.is_dir():
        checks.fail("folder", "a folder, or a new name", str(kept))
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = kept.stat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        allowed = "one of your own to which no other user may write (chmod 700 FOLDER, or a new name)"
        checks.fail("folder", allowed, str(kept))
    jax.config.update("jax_compilation_cache_dir", str(kept))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return kept
