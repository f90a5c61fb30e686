"""Files that appear whole or not at all."""
from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millstream.core import errors
from millstream.io.atomic_files import StagedFiles, write_file


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
