"""The library of native kernels: found and loaded once, when the first of them is asked for."""
from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from millstream.core.log import millstream_logger

# The environment variable that turns native kernels off (`off`, `0`), or names the file of another build of them.
SWITCH = "MILLSTREAM_NATIVE"
_FILE = "lib/libmillstream_kernels.so"
_ONEDNN = "onednn-cpu-gomp"
_X86_64 = 62  # e_machine of an ELF file

_lock = threading.Lock()
_found: ctypes.CDLL | _Missing | None = None


def available() -> bool:
    """Whether native kernels can be used. Loads them."""
    return isinstance(_find(), ctypes.CDLL)


def why_not() -> str | None:
    """Why native kernels cannot be used, in a few words; None where they can. Loads them."""
    found = _find()
    return str(found) if isinstance(found, _Missing) else None


def library() -> ctypes.CDLL | None:
    """The loaded library, for use; where there is none None, and the reason is said once, on the log."""
    found = _find()
    if isinstance(found, ctypes.CDLL):
        return found
    found.say()
    return None


def loaded() -> ctypes.CDLL | None:
    """The library where something has loaded it already; loads nothing."""
    return _found if isinstance(_found, ctypes.CDLL) else None


class _Missing(Exception):
    """Native kernels cannot be used.

    Args:
      reason: a clause without its full stop.
      expected: the user has chosen so, or could not have them on this machine anyway.
    """

    def __init__(self, reason: str, expected: bool = False) -> None:
        super().__init__(reason)
        self._expected = expected
        self._said = False

    def say(self) -> None:
        """Writes the reason to the log, the first time."""
        with _lock:
            said, self._said = self._said, True
        if not said:
            message = "Convolutions and their like use XLA's kernels, not the faster native ones: %s."
            log = millstream_logger()
            (log.info if self._expected else log.warning)(message, self)


def _find() -> ctypes.CDLL | _Missing:
    """The library, looked for once."""
    global _found
    if _found is None:
        with _lock:
            if _found is None:
                try:
                    _found = _load()
                except _Missing as missing:
                    _found = missing
    return _found


def _load() -> ctypes.CDLL:
    from millstream.native import threads

    path = _chosen_file()
    try:
        _load_onednn()
        loaded = _load_file(path)
    except OSError as error:
        raise _Missing(f"they cannot be loaded ({error})") from error
    if not hasattr(loaded, "millstream_threads"):
        raise _Missing(f"{path} has none")
    loaded.millstream_set_threads(threads.count())
    return loaded


def _chosen_file() -> Path:
    import platform

    chosen = os.environ.get(SWITCH, "")
    if chosen.lower() in ("off", "0"):
        raise _Missing(f"the environment variable {SWITCH} turns them off", expected=True)
    if chosen:
        return Path(chosen).absolute()
    system = f"{platform.system()} {platform.machine()}"
    if system != "Linux x86_64":
        raise _Missing(f"there are none for {system}", expected=True)
    built = Path(__file__).parent / _FILE
    if not built.exists():
        raise _Missing("they were not built when Millstream was installed, which takes a C++ compiler")
    return built


def _load_onednn() -> None:
    """Loads oneDNN from its distribution, so that the library finds it by name."""
    for path in _onednn_files():
        _load_file(path, ctypes.RTLD_GLOBAL)
        return
    raise _Missing(f"the distribution {_ONEDNN} is not installed")


def _onednn_files() -> Iterator[Path]:
    from importlib import metadata

    try:
        files = metadata.files(_ONEDNN) or []
    except metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name == "libdnnl.so.3":
            yield Path(str(file.locate())).resolve()


def _load_file(path: Path, mode: int = ctypes.DEFAULT_MODE) -> ctypes.CDLL:
    # The loader ends the process where a file is cut off, and calls one for another processor absent.
    if sys.platform == "linux" and not _is_whole(path):
        raise OSError(f"{path} is no whole shared library for x86-64")
    return ctypes.CDLL(str(path), mode=mode)


def _is_whole(path: Path) -> bool:
    """Whether a file is an ELF file for x86-64 that has its end, where the table of its sections is."""
    with open(path, "rb") as file:
        header = file.read(64)
        size = file.seek(0, os.SEEK_END)

    def number(start: int, width: int) -> int:
        return int.from_bytes(header[start : start + width], "little")

    sections, entry, count = number(40, 8), number(58, 2), number(60, 2)
    is_ours = header[:5] == b"\x7fELF\x02" and number(18, 2) == _X86_64
    return is_ours and sections + entry * count <= size

