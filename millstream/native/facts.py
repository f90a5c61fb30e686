"""What can be told about the loaded native kernels: for `millstream info`."""
from __future__ import annotations

import ctypes

from millstream.native import library

# oneDNN's names of what it finds in a processor: dnnl_cpu_isa_t.
_INSTRUCTION_SETS = {
    0x1: "SSE4.1",
    0x3: "AVX",
    0x7: "AVX2",
    0xF: "AVX2 with VNNI",
    0x1F: "AVX2 with VNNI-2",
    0x27: "AVX-512",
    0x67: "AVX-512 with VNNI",
    0xE7: "AVX-512 with bfloat16",
    0x1EF: "AVX-512 with float16",
    0xFEF: "AVX-512 with AMX",
    0x1FEF: "AVX-512 with AMX and float16",
}


class _Version(ctypes.Structure):
    """The start of dnnl_version_t."""

    _fields_ = [("major", ctypes.c_int), ("minor", ctypes.c_int), ("patch", ctypes.c_int)]


def onednn_version() -> str | None:
    """The version of the loaded oneDNN, such as "3.2.0"."""
    loaded = library.library()
    if loaded is None:
        return None
    # The names of oneDNN are found through the library that needs it.
    loaded.dnnl_version.restype = ctypes.POINTER(_Version)
    version = loaded.dnnl_version().contents
    return f"{version.major}.{version.minor}.{version.patch}"


def instruction_set() -> str | None:
    """The newest instructions that oneDNN uses on this processor."""
    loaded = library.library()
    if loaded is None:
        return None
    found = loaded.dnnl_get_effective_cpu_isa()
    return _INSTRUCTION_SETS.get(found, f"oneDNN's {found:#x}")


def threads() -> int | None:
    """How many threads a native kernel runs on."""
    loaded = library.library()
    return None if loaded is None else int(loaded.millstream_threads())
