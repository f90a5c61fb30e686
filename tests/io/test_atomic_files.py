"""Files that appear whole or not at all."""
from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millstream.core import errors
from millstream.io import atomic_files, fail_points
from millstream.io.atomic_files import StagedFiles, remove_temporaries, write_file
from millstream.io.gfile import reporting


class Crash(BaseException):
    """Stands for the end of the process."""


def crashing(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Lets so many calls of the operating system pass, and crashes at the next."""
    count = iter(range(1 << 30))

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if next(count) >= after:
                raise Crash
            return real(*args)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))


def test_write_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two" and os.listdir(tmp_path) == ["f"]


def test_folders_that_cannot_be_synchronised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems refuse it; the file is there all the same."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "refused")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_file(tmp_path / "f", b"one")
    assert (tmp_path / "f").read_bytes() == b"one"


def test_all_is_on_the_disk_before_the_first_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the folders after the last one: what a power failure leaves is whole."""
    calls: list[tuple[str, Any]] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        calls.append(("sync", (found.st_ino, None if stat.S_ISDIR(found.st_mode) else found.st_size)))
        real_fsync(descriptor)

    def replace(path: str, final: str) -> None:
        calls.append(("replace", final))
        real_replace(path, final)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    data, index = tmp_path / "a" / "data", tmp_path / "b" / "index"
    with StagedFiles() as files:
        for path in (data, index):
            path.parent.mkdir()
            files.open(path).write(path.name.encode())
        files.commit()
    inodes = {path: path.stat().st_ino for path in (data, index, data.parent, index.parent)}
    assert calls[:4] == [
        ("sync", (inodes[data], len("data"))),
        ("sync", (inodes[index], len("index"))),
        ("replace", str(data)),
        ("replace", str(index)),
    ]
    assert sorted(calls[4:]) == sorted(("sync", (inodes[path.parent], None)) for path in (data, index))


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFoundError):
        write_file(tmp_path / "none" / "f", b"")


def test_nothing_without_commit(tmp_path: Path) -> None:
    with StagedFiles() as files:
        files.open(tmp_path / "a").write(b"a")
    assert os.listdir(tmp_path) == []


def test_crash_at_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last file never appears before the others are whole."""
    outcomes = set()
    for step in range(7):
        with monkeypatch.context() as patch:
            crashing(patch, step)
            try:
                with StagedFiles() as files:
                    for name in ("data", "index"):
                        files.open(tmp_path / name).write(name.encode())
                    files.commit()
            except Crash:
                pass
        found = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
        assert all(content == name.encode() for name, content in found.items())
        assert "index" not in found or "data" in found
        outcomes.add(tuple(sorted(found)))
        for name in found:
            (tmp_path / name).unlink()
    assert outcomes == {(), ("data",), ("data", "index")}


# --- Large files ----------------------------------------------------------------------------------------------------


def write_pieces(path: Path, pieces: int) -> None:
    with StagedFiles() as files:
        file = files.open(path)
        with reporting(path):
            for number in range(pieces):
                files.wrote(file, file.write(bytes([number]) * 100))
        files.commit()


def test_large_files_go_to_the_disk_while_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    real = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        threads.append(threading.current_thread().name)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    write_pieces(tmp_path / "small", 200)
    assert threads == []
    monkeypatch.setattr(atomic_files, "_WRITE_BACK_BYTES", 1000)
    write_pieces(tmp_path / "large", 200)
    assert (tmp_path / "large").read_bytes() == b"".join(bytes([number]) * 100 for number in range(200))
    assert 1 <= len(threads) <= 20 and "MainThread" not in threads
    assert not any("write-back" in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("pieces", [10, 200])
def test_failures_of_the_disk_in_the_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: int) -> None:
    """The system tells a lost write once only; the file is thrown away, and the one that is there stays."""
    (tmp_path / "f").write_bytes(b"old")

    def fdatasync(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    monkeypatch.setattr(atomic_files, "_WRITE_BACK_BYTES", 1000)
    with pytest.raises(errors.OpError, match="f; Input/output error"):
        write_pieces(tmp_path / "f", pieces)
    assert os.listdir(tmp_path) == ["f"] and (tmp_path / "f").read_bytes() == b"old"


# --- What killed processes leave -------------------------------------------------------------------------------------


def test_leftovers_are_removed(tmp_path: Path) -> None:
    """Those under the prefix at once, those of its siblings when nobody has touched them for long."""
    mine = ["m-1.index.tempstate0123456789abcdef", "m-1.data-00000-of-00001.tempstate17512614996075975676"]
    old = ["m-2.index.tempstate0123456789abcdef", "checkpoint.tempstate0123456789abcdef"]
    kept = ["m-1.index", "m-10.index.tempstate0123456789abcdef", "m-1.indextempstate"]
    for name in (*mine, *old, *kept):
        (tmp_path / name).write_bytes(b"")
    kept.append("m-3_temp_" + "1" * 32)
    for name in ("m-1_temp_" + "0" * 32, kept[-1], "m-4_temp_" + "2" * 32):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").write_bytes(b"")
        if name.startswith("m-4"):
            for path in (tmp_path / name / "part", tmp_path / name):
                os.utime(path, (0, 0))
    for name in old:
        os.utime(tmp_path / name, (0, 0))
    remove_temporaries(tmp_path / "m-1", ["m", "checkpoint"])
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    remove_temporaries(tmp_path / "none" / "m-1")


@pytest.mark.parametrize("name", ["m-1.index", "m-1_temp_" + "0" * 32 + "/part.index"])
def test_what_another_process_writes_is_no_leftover(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    with StagedFiles() as files:
        files.open(tmp_path / name).write(b"new")
        remove_temporaries(tmp_path / "m-1")
        files.commit()
    assert (tmp_path / name).read_bytes() == b"new"


def test_settings_of_fail_points() -> None:
    with pytest.raises(ValueError, match="MILLSTREAM_FAIL_POINT"):
        fail_points.arm("explode 3")
    fail_points.arm("broken 1")
    try:
        fail_points.reached()
        with pytest.raises(OSError, match="Input/output"):
            fail_points.reached()
        fail_points.reached()
    finally:
        fail_points.arm("")
