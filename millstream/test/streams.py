"""Collects what is written to a stream."""
from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class CapturedWrites:
    """What has been written to a stream so far."""

    def __init__(self, stream: Any, path: str) -> None:
        self._stream = stream
        self._path = path

    def contents(self) -> str:
        """The text."""
        self._stream.flush()
        with open(self._path, encoding="utf-8", errors="replace") as file:
            return file.read()


@contextmanager
def captured_writes(stream: Any) -> Iterator[CapturedWrites]:
    """Sends what is written to a stream's file descriptor to a file, within a `with` block.

    Writers that do not go through Python are captured too.
    """
    with tempfile.NamedTemporaryFile(prefix="millstream_stream_") as file:
        stream.flush()
        descriptor = stream.fileno()
        kept = os.dup(descriptor)
        os.dup2(file.fileno(), descriptor)
        try:
            yield CapturedWrites(stream, file.name)
        finally:
            stream.flush()
            os.dup2(kept, descriptor)
            os.close(kept)
