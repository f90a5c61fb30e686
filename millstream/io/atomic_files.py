"""Files that appear whole or not at all."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from millstream.io import fail_points
from millstream.io.gfile import local_path, reporting

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

# Names of what is being written: a file, or a folder of a sharded checkpoint (TensorFlow's names).
_TEMPORARY = r"(\.[\w.-]+)?\.tempstate[0-9a-f]{16,20}|_temp_[0-9a-f]{32}"
# Whoever writes a file touches it more often than that.
_STALE_SECONDS = 3600.0
# How much of a file waits for the disk before a thread brings it there.
_WRITE_BACK_BYTES = 64 << 20


class StagedFiles:
    """Files that are written under temporary names and get their own when all are whole.

    `commit` brings every byte to the disk before the first file gets its name, and then names them in the order in
    which they were opened: the last one is what makes the others count. What is not committed leaves nothing behind.

    Example:
      >>> with StagedFiles() as files:
      ...   files.open("m.data").write(data)
      ...   files.open("m.index").write(index)
      ...   files.commit()
    """

    def __init__(self) -> None:
        self._staged: dict[str, str] = {}  # temporary names by final ones
        self._open: list[BinaryIO] = []
        self._write_back = _WriteBack()

    def open(self, path: Any) -> BinaryIO:
        """A new file, to be written, which `commit` will call `path`."""
        final = local_path(path)
        temporary = _temporary(final)
        with reporting(path):
            fail_points.reached()
            file = open(temporary, "xb", buffering=1 << 16)  # noqa: SIM115 - closed by commit or at the end of the block
        _lock(file)
        self._open.append(file)
        self._staged[final] = temporary
        return file

    def wrote(self, file: BinaryIO, size: int) -> None:
        """Says that a file has got `size` bytes more, so that the disk works while a large one is still written."""
        self._write_back.wrote(file, size)

    def adopt(self, path: Any, final: Any) -> None:
        """Takes over a file that is there and whole; `commit` will call it `final`."""
        self._staged[local_path(final)] = local_path(path)

    def link(self, path: Any, final: Any) -> None:
        """Gives a file that is there and whole a second name, which it gets with `commit`."""
        temporary = _temporary(local_path(final))
        with reporting(final):
            fail_points.reached()
            os.link(local_path(path), temporary)
        self._staged[local_path(final)] = temporary

    def rename(self, names: Mapping[str, str]) -> None:
        """Changes which names `commit` will give: to other ones by the ones said before."""
        self._staged = {names.get(final, final): temporary for final, temporary in self._staged.items()}

    def commit(self) -> None:
        """Gives the files their names."""
        with reporting(", ".join(self._staged)):
            self._write_back.finish()
            for file in self._open:
                fail_points.reached()
                file.flush()
                os.fsync(file.fileno())
            folders = {os.path.dirname(final) for final in self._staged}
            for final in list(self._staged):
                fail_points.reached()
                os.replace(self._staged[final], final)
                del self._staged[final]
            for file in self._open:
                file.close()
            for folder in folders:
                sync_folder(folder)

    def __enter__(self) -> StagedFiles:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self._write_back.finish()
        for file in self._open:
            with suppress(OSError):  # a full disk: what was written is thrown away all the same
                file.close()
        for temporary in self._staged.values():
            with suppress(OSError):
                os.unlink(temporary)
        self._staged.clear()


class _WriteBack:
    """A thread that brings what was written to the disk while more is written: a large save takes a fifth less."""

    def __init__(self) -> None:
        self._waiting = 0
        self._thread: ThreadPoolExecutor | None = None
        self._running: Future[None] | None = None

    def wrote(self, file: BinaryIO, size: int) -> None:
        self._waiting += size
        if self._waiting < _WRITE_BACK_BYTES or (self._running and not self._running.done()):
            return
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor

            self._thread = ThreadPoolExecutor(1, "millstream-write-back")
        self._raise_failure()
        self._running, self._waiting = self._thread.submit(os.fdatasync, file.fileno()), 0

    def finish(self) -> None:
        """Waits for the thread, which uses the files until then. Raises the disk's error, which it tells only once."""
        if self._thread:
            self._thread.shutdown()
            self._raise_failure()

    def _raise_failure(self) -> None:
        running, self._running = self._running, None
        if running:
            running.result()


def _temporary(final: str) -> str:
    return f"{final}.tempstate{os.urandom(8).hex()}"


def write_file(path: Any, content: bytes) -> None:
    """Writes a file, whole or not at all, in place of one that is there."""
    with StagedFiles() as files:
        file = files.open(path)
        with reporting(path):
            file.write(content)
        files.commit()


def sync_folder(folder: str) -> None:
    """Brings to the disk which files a folder has, where the file system lets it."""
    fail_points.reached()
    with suppress(OSError):
        descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_temporaries(prefix: Any, siblings: Sequence[str] = ()) -> None:
    """Removes what a process that was killed, or failed, while it wrote files under a prefix has left.

    Args:
      prefix: what the files' names begin with. What somebody is writing under it stays, if the file system has locks.
      siblings: other names in its folder. What was left under them, or under them and a number, is removed too where
        nobody has touched it for an hour: another process may be writing there.
    """
    folder, name = os.path.split(local_path(prefix))
    own = re.compile(f"{re.escape(name)}({_TEMPORARY})")
    other = re.compile(f"({'|'.join(map(re.escape, siblings))})(-[0-9]+)?({_TEMPORARY})")
    with suppress(OSError), os.scandir(folder or ".") as found:
        for entry in found:
            if own.fullmatch(entry.name):
                if not _is_being_written(entry):
                    _remove(entry)
            elif siblings and other.fullmatch(entry.name) and _is_stale(entry):
                _remove(entry)


def _lock(file: BinaryIO) -> None:
    """Says that somebody is writing a file. The system forgets it when the process ends, in whichever way."""
    with suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_being_written(entry: os.DirEntry[str]) -> bool:
    """Whether somebody has locked a file, or a file of a folder."""
    paths = [inner.path for inner in os.scandir(entry.path)] if entry.is_dir(follow_symlinks=False) else [entry.path]
    for path in paths:
        try:
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # it has gone in the meantime, or there are no locks
            continue
    return False


def _is_stale(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        times = [entry.stat().st_mtime]
        if entry.is_dir():
            times += [inner.stat().st_mtime for inner in os.scandir(entry.path)]
        return time.time() - max(times) > _STALE_SECONDS
    return False  # it has gone in the meantime


def _remove(entry: os.DirEntry[str]) -> None:
    import shutil

    with suppress(OSError):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
