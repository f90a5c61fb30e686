"""JAX, loaded and configured once, when the first stage is compiled."""
from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from millstream.core.log import millstream_logger

if TYPE_CHECKING:
    from pathlib import Path

_lock = threading.Lock()
_loaded: ModuleType | None = None
_DEFAULT_CACHE_BYTES = 1 << 30
# Called with the `jax` module once it is imported, before it makes its devices.
BEFORE_FIRST_USE: list[Callable[[ModuleType], None]] = []


def jax() -> ModuleType:
    """The configured `jax` module."""
    global _loaded
    if _loaded is None:
        with _lock:
            if _loaded is None:
                _loaded = _load()
    return _loaded


def compiled(function: Callable[..., Any], donated: tuple[int, ...] = ()) -> Callable[..., Any]:
    """A function as XLA compiles it; the positions of arguments that it takes over."""
    module = jax()
    return module.jit(function, donate_argnums=donated, compiler_options=compiler_options(module))


def compiler_options(module: ModuleType) -> dict[str, Any]:
    """What is said to XLA besides the program; `module` is JAX."""
    if module.__version_info__ < (0, 10):
        return {}
    # XLA of JAX 0.10 sums up a matrix product together with it, and gives random numbers where a factor is the same
    # number everywhere: sum(x @ ones). Products alone are right.
    return {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}


def is_loaded() -> bool:
    """Whether anything has been compiled yet."""
    return _loaded is not None


def _load() -> ModuleType:
    import logging

    from millstream.native import threads
    from millstream.runtime import allocator, fork

    allocator.keep_memory()  # before there are threads that allocate
    import jax as module

    module.config.update("jax_enable_x64", True)
    quiet = logging.getLogger("jax")
    if quiet.level == logging.NOTSET:  # what JAX looked for and did not find is no news to a TensorFlow program
        quiet.setLevel(logging.WARNING)
    _configure_cache(module)
    for configure in BEFORE_FIRST_USE:
        configure(module)
    threads.tell_xla()
    fork.survive(module)
    return module


def cache_directory() -> Path | None:
    """Where compiled programs are kept between processes; None where the cache is off.

    `MILLSTREAM_CACHE_DIR` names the directory; an empty value or `off` turns the cache off.
    """
    from pathlib import Path

    chosen = os.environ.get("MILLSTREAM_CACHE_DIR")
    if chosen is None:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        return Path(base) / "millstream" / "xla"
    return None if chosen in ("", "off", "0") else Path(chosen)


def _configure_cache(module: ModuleType) -> None:
    directory = cache_directory()
    if directory is None:
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        millstream_logger().warning("The compilation cache %s cannot be used: %s", directory, error)
        return
    _prune_cache(directory, _cache_limit())
    settings: dict[str, Any] = {
        "jax_compilation_cache_dir": str(directory),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": 0,
    }
    for name, value in settings.items():
        module.config.update(name, value)


def _cache_limit() -> int:
    """The most bytes that the cache may have, from `MILLSTREAM_CACHE_MAX_BYTES`."""
    chosen = os.environ.get("MILLSTREAM_CACHE_MAX_BYTES", "")
    if chosen and not chosen.isdecimal():
        millstream_logger().warning("MILLSTREAM_CACHE_MAX_BYTES=%s is no number of bytes; the default holds.", chosen)
    return int(chosen) if chosen.isdecimal() else _DEFAULT_CACHE_BYTES


def _prune_cache(directory: Path, limit: int) -> None:
    """Deletes the entries that have not been read for longest while the cache is larger than `limit` bytes."""
    try:
        entries = [(entry.stat(), entry.path) for entry in os.scandir(directory) if entry.is_file()]
        excess = sum(stat.st_size for stat, _ in entries) - limit
        for stat, path in sorted(entries, key=lambda item: max(item[0].st_atime, item[0].st_mtime)):
            if excess <= 0:
                break
            os.unlink(path)
            excess -= stat.st_size
    except OSError as error:  # another process prunes at the same time
        millstream_logger().info("The compilation cache %s was not pruned: %s", directory, error)
