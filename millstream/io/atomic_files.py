"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import Any, BinaryIO

from millstream.io.gfile import local_path, reporting


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

    def open(self, path: Any) -> BinaryIO:
        """A new file, to be written, which `commit` will call `path`."""
        final = local_path(path)
        temporary = f"{final}.tempstate{secrets.token_hex(8)}"
        with reporting(path):
            file = open(temporary, "xb", buffering=1 << 16)  # noqa: SIM115 - closed by commit or at the end of the block
        self._open.append(file)
        self._staged[final] = temporary
        return file

    def commit(self) -> None:
        """Gives the files their names."""
        with reporting(", ".join(self._staged)):
            for file in self._open:
                file.flush()
                os.fsync(file.fileno())
                file.close()
            for final in list(self._staged):
                os.replace(self._staged[final], final)
                del self._staged[final]
                sync_folder(os.path.dirname(final))

    def __enter__(self) -> StagedFiles:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._open:
            try:
                file.close()
            except OSError:
                pass  # a full disk: what was written is thrown away all the same
        for temporary in self._staged.values():
            if os.path.exists(temporary):
                os.unlink(temporary)
        self._staged.clear()


def write_file(path: Any, content: bytes) -> None:
    """Writes a file, whole or not at all, in place of one that is there."""
    with StagedFiles() as files:
        file = files.open(path)
        with reporting(path):
            file.write(content)
        files.commit()


def sync_folder(folder: str) -> None:
    """Brings to the disk which files a folder has, where the file system lets it."""
    with suppress(OSError):
        descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
