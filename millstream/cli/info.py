"""`millstream info`: what Millstream would run on in this process."""
from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import millstream
from millstream import native
from millstream.native import facts
from millstream.runtime import backend, devices

_LIBRARIES = ("jax", "jaxlib", "numpy", "ml_dtypes", "protobuf")


def info(as_json: bool) -> int:
    """Prints versions, devices, native kernels and the cache, as a table or as JSON. Returns the exit code."""
    found = gather()
    print(json.dumps(found, indent=2) if as_json else table(found))
    return 0


def gather() -> dict[str, Any]:
    """All that `millstream info` tells. It works without JAX too, or with a JAX that fails."""
    return {
        "millstream": millstream.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "devices": _devices(),
        "native_kernels": _native_kernels(),
        "cache": _cache(),
        "api": {"import millstream": 2, "import millstream.v1": 1},
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _devices() -> dict[str, str] | str:
    """The name of each device and what it is; why there are none where JAX cannot tell."""
    try:
        return {name: str(device.device_kind) for name, device in devices.jax_devices().items()}
    except Exception as error:  # an installation of JAX can be broken in any way
        return f"{type(error).__name__}: {error}".rstrip(": ")


def _native_kernels() -> dict[str, Any]:
    if not native.available():
        return {"available": False, "why_not": native.why_not()}
    return {
        "available": True,
        "onednn": facts.onednn_version(),
        "instruction_set": facts.instruction_set(),
        "threads": facts.threads(),
    }


def _cache() -> dict[str, Any] | None:
    directory = backend.cache_directory()
    return None if directory is None else {"directory": str(directory), "bytes": _size(directory)}


def _size(directory: Path) -> int:
    try:
        return sum(entry.stat().st_size for entry in os.scandir(directory) if entry.is_file())
    except OSError:  # there is none yet, or another process prunes it
        return 0


def table(found: dict[str, Any]) -> str:
    """What `gather` has found, for people: a line for each fact, with its name in the first column."""
    rows = [
        ("millstream", found["millstream"]),
        ("Python", f"{found['python']} on {found['system']}"),
        *((name, version or "not installed") for name, version in found["libraries"].items()),
        *_device_rows(found["devices"]),
        *_native_rows(found["native_kernels"]),
        ("cache", _cache_text(found["cache"])),
        ("API", ", ".join(f"{version}.x by `{code}`" for code, version in found["api"].items())),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows)


def _device_rows(found: dict[str, str] | str) -> list[tuple[str, str]]:
    if isinstance(found, str):
        return [("devices", f"unknown ({found.splitlines()[0]})")]
    texts = [name if name.lower().startswith(kind.lower()) else f"{name} {kind}" for name, kind in found.items()]
    return [("devices" if not i else "", text) for i, text in enumerate(texts)]


def _native_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    if not found["available"]:
        return [("native kernels", f"no: {found['why_not']}")]
    return [
        ("native kernels", "yes"),
        ("oneDNN", f"{found['onednn']}, {found['instruction_set']}"),
        ("threads", str(found["threads"])),
    ]


def _cache_text(found: dict[str, Any] | None) -> str:
    return "off" if found is None else f"{found['directory']} ({found['bytes'] / 2**20:.1f} MiB)"
