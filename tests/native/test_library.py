"""Where the library of native kernels cannot be used, Millstream works without it, and says why once."""
from __future__ import annotations

import ctypes
import logging
import platform
from importlib import metadata
from pathlib import Path

import pytest

from millstream import native
from millstream.native import library


@pytest.fixture
def unloaded(monkeypatch):
    """As in a new process; the library is loaded anew when asked for."""
    monkeypatch.setattr(library, "_found", None)


@pytest.fixture
def unset(unloaded, monkeypatch):
    monkeypatch.delenv(library.SWITCH, raising=False)


@pytest.fixture
def switch(unloaded, monkeypatch):
    return lambda value: monkeypatch.setenv(library.SWITCH, str(value))


needs_library = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")


@pytest.fixture(scope="module")
def contents() -> bytearray:
    """The library that is in use."""
    return bytearray(Path(library.library()._name).read_bytes())


@pytest.mark.parametrize("value", ["off", "OFF", "0"])
def test_turned_off(switch, value, caplog):
    switch(value)
    assert library.library() is None
    assert native.why_not() == "the environment variable MILLSTREAM_NATIVE turns them off"
    assert not caplog.records


def test_said_once(switch, tmp_path, caplog):
    switch(tmp_path / "none.so")
    assert not native.available() and "No such file" in native.why_not() and not caplog.records
    assert library.library() is None and library.library() is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and record.getMessage().startswith("Convolutions and their like use XLA's")


@needs_library
@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_library(contents, switch, tmp_path, part):
    (tmp_path / "lib.so").write_bytes(contents[: int(len(contents) * part)])
    switch(tmp_path / "lib.so")
    assert native.why_not() == f"they cannot be loaded ({tmp_path}/lib.so is no whole shared library for x86-64)"


@needs_library
def test_library_for_another_processor(contents, switch, tmp_path):
    aarch64 = contents[:18] + b"\xb7" + contents[19:]
    (tmp_path / "lib.so").write_bytes(aarch64)
    switch(tmp_path / "lib.so")
    assert native.why_not().endswith("is no whole shared library for x86-64)")


@pytest.mark.skipif(platform.system() != "Linux", reason="the C library has another name")
def test_another_library(switch):
    switch(f"/proc/self/root{_path_of('libc.so.6')}")
    assert native.why_not().endswith("libc.so.6 has none")


def _path_of(name: str) -> str:
    ctypes.CDLL(name)
    return next(line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(name))


@needs_library
def test_no_onednn(unloaded, monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", absent)
    assert native.why_not() == "the distribution onednn-cpu-gomp is not installed"


@needs_library
def test_lost_onednn(unloaded, monkeypatch, tmp_path):
    monkeypatch.setattr(library, "_onednn_files", lambda: iter([tmp_path / "libdnnl.so.3"]))
    assert native.why_not().startswith("they cannot be loaded ([Errno 2] No such file or directory: ")


@pytest.mark.parametrize("system", [("Darwin", "arm64"), ("Linux", "aarch64"), ("Windows", "AMD64")])
def test_other_systems(unset, monkeypatch, caplog, system):
    monkeypatch.setattr(platform, "system", lambda: system[0])
    monkeypatch.setattr(platform, "machine", lambda: system[1])
    assert library.library() is None and not caplog.records
    assert native.why_not() == f"there are none for {system[0]} {system[1]}"


def test_not_built(unset, monkeypatch):
    monkeypatch.setattr(library, "_FILE", "absent.so")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert native.why_not().startswith("they were not built when Millstream was installed")
