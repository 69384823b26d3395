"""Compiled programs that are kept from one process to the next."""

import os
import platform

import jax


def cache_compilations() -> str | None:
    """Keep compiled programs in a folder of this user and machine, so that the next process starts faster.

    This changes a setting of JAX for the whole process, and is never done by an import. Programs are loaded and run, so
    the folder must not be open to others. An environment variable RFM_CACHE=off keeps none, and
    JAX_COMPILATION_CACHE_DIR names another folder.

    Returns:
        The folder that is used, None where there is none.

    Example:
        >>> import rfm
        >>> folder = rfm.cache_compilations()
    """
    known = jax.config.values["jax_compilation_cache_dir"]
    if os.environ.get("RFM_CACHE") == "off" or known is not None:
        return known
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(home, "random-feature-theory", platform.node() or "machine")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if hasattr(os, "getuid"):
            status = os.stat(folder)
            if status.st_uid != os.getuid() or status.st_mode & 0o022:
                return None
    except OSError:
        return None
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return folder
