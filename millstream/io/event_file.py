"""Event files: what TensorBoard reads. A TFRecord file of serialised `Event` messages, of which the first is a version.

Events are put together here from the bytes of what they hold, so that a summary that is serialised already is not read
and written once more.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
from contextlib import suppress
from enum import IntEnum
from struct import Struct
from typing import Any

from millstream.core import errors
from millstream.io.coding import encode_varint
from millstream.io.gfile import local_path, makedirs, reporting
from millstream.io.records import frame

_VERSION = b"brain.Event:2"
_WALL_TIME = Struct("<cd")


class Kind(IntEnum):
    """What an event holds: the field of `Event` that it is in."""

    VERSION = 3
    GRAPH_DEF = 4
    SUMMARY = 5
    SESSION_LOG = 7
    RUN_METADATA = 8
    META_GRAPH_DEF = 9


# Tags of fields of `Event`: wall_time (1, 64 bits), step (2, a varint), and those of `Kind` (with their lengths).
_TIME_TAG = b"\x09"
_STEP_TAG = b"\x10"
_TAGS = {kind: bytes([kind << 3 | 2]) for kind in Kind}


def event(kind: Kind, content: bytes, step: int = 0, wall_time: float | None = None) -> bytes:
    """A serialised `Event`.

    Args:
      kind: what it holds.
      content: that, serialised.
      step: the training step; 0 is not written.
      wall_time: seconds since 1970; default: now.
    """
    begin = _WALL_TIME.pack(_TIME_TAG, time.time() if wall_time is None else wall_time)
    if step:
        begin += _STEP_TAG + encode_varint(step & 0xFFFFFFFFFFFFFFFF)
    return begin + _TAGS[kind] + encode_varint(len(content)) + content


class EventFile:
    """A file of events in a folder. Where it disappears another one is begun, and the folder is made if need be.

    It is called `events.out.tfevents.`, the time in seconds, the host's name and the suffix. Where there is a file of
    that name the time is that of a later second: no writer touches another one's file.

    Args:
      logdir: the folder.
      suffix: the end of the name.

    Raises:
      OpError: the file cannot be made.
    """

    def __init__(self, logdir: Any, suffix: str = "") -> None:
        self._logdir = local_path(logdir) or os.curdir
        self._suffix = suffix
        self._file: Any = None
        self._begin()

    @property
    def path(self) -> str:
        """The file that is being written."""
        return self._path

    def _begin(self) -> None:
        if os.path.exists(self._logdir) and not os.path.isdir(self._logdir):
            raise errors.FailedPreconditionError(None, None, f"{self._logdir}; Not a directory")
        makedirs(self._logdir)
        host, now = socket.gethostname(), int(time.time())
        for seconds in itertools.count(now):
            self._path = os.path.join(self._logdir, f"events.out.tfevents.{seconds:010d}.{host}{self._suffix}")
            try:
                with reporting(self._path):
                    # The raw file: what is written is with the operating system at once.
                    self._file = open(self._path, "xb", buffering=0)  # noqa: SIM115 - closed by `close`
                break
            except errors.AlreadyExistsError:
                continue
        self._size = 0
        self._append(frame(event(Kind.VERSION, _VERSION, wall_time=float(now))))

    def write(self, records: bytes) -> None:
        """Appends whole records, framed.

        Raises:
          OpError: they cannot be written; then none of them is.
        """
        if self._file is None or not self._is_there():
            self.close()
            self._begin()
        self._append(records)

    def _is_there(self) -> bool:
        """Whether the file that is open still has its name."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno()))
        except OSError:
            return False

    def _append(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            with reporting(self._path):
                while left:
                    left = left[self._file.write(left) :]
        except BaseException:
            with suppress(OSError):  # whoever reads the file finds whole records only
                self._file.truncate(self._size)
                self._file.seek(self._size)
            raise
        self._size += len(data)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            with reporting(self._path):
                self._file.close()
            self._file = None
