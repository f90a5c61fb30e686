"""Writes events to a file in a thread of its own, so that training does not wait for the disk."""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import Any

from millstream.core import errors
from millstream.core.log import tensorflow_logger
from millstream.io.event_file import EventFile
from millstream.io.records import frame

# So many bytes are handed to the operating system at once, though nobody has asked for it.
_BUFFER = 1 << 16


class EventWriter:
    """An event file to which events are added.

    They can be read when `flush` or `close` is done, or `flush_secs` have passed. While a thread writes those that came
    before, `max_queue` further ones may be added; who adds more waits. A writer that is no longer used, or left open at
    the end of the program, is closed. The copy of a writer in a process that is forked begins a file of its own.

    An error, such as that of a full disk, is raised by the next `add`, `flush` or `close`. What was to be written is
    lost then; what is added afterwards is tried again.

    Args:
      logdir: the folder; it is made if need be.
      max_queue: how many events may be added while others are written; 0 or less: not limited.
      flush_secs: after so many seconds events are written though nobody asks for it.
      suffix: the end of the file's name.

    Raises:
      OpError: the file cannot be made.
    """

    def __init__(self, logdir: Any, max_queue: int = 10, flush_secs: float = 120, suffix: str = "") -> None:
        self._core = _Core(EventFile(logdir, suffix), max_queue, flush_secs)
        self._finalizer = weakref.finalize(self, _close_at_end, self._core)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._core.closed

    def add(self, event: bytes) -> None:
        """Adds a serialised `Event`; without effect when the writer is closed.

        Raises:
          OpError: events that were added before could not be written.
        """
        self._core.add(event)

    def flush(self) -> None:
        """Writes what was added.

        Raises:
          OpError: it could not be written.
        """
        self._core.flush()

    def close(self) -> None:
        """Writes what was added, and closes the file.

        Raises:
          OpError: it could not be written. The writer is closed all the same.
        """
        self._finalizer.detach()
        self._core.close()


class _Core:
    """What the writer and its thread share; the writer itself can be freed while the thread runs."""

    def __init__(self, file: EventFile, max_queue: int, flush_secs: float) -> None:
        self.closed = False
        self._file = file
        self._limit = max_queue if max_queue > 0 else float("inf")
        self._flush_secs = flush_secs
        self._reset()
        _cores.add(self)

    def _reset(self) -> None:
        self._queue: list[bytes] = []
        self._bytes = 0  # in the queue
        self._flush_at = 0.0  # when what is in the queue is to be written; 0: nothing is
        self._busy = False  # whether somebody writes
        self._error: errors.OpError | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition(threading.Lock())  # of all this
        self._writing = threading.Lock()  # whoever writes takes it first: events keep their order

    def add(self, event: bytes) -> None:
        with self._changed:
            while self._busy and len(self._queue) >= self._limit:
                self._changed.wait()
            self._raise_error()
            if self.closed:
                return
            self._queue.append(event)
            self._bytes += len(event)
            if not self._flush_at:
                self._flush_at = time.monotonic() + self._flush_secs
                self._wake()
            elif self._bytes >= _BUFFER and not self._busy:
                self._wake()

    def flush(self) -> None:
        self._write()
        with self._changed:
            self._raise_error()

    def close(self) -> None:
        with self._changed:
            if self.closed:
                return
            self.closed = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        try:
            self.flush()
        finally:
            self._file.close()

    def begin_anew(self) -> None:
        """In a forked process: what was in the queue is the parent's, and so are the thread and the file."""
        self._reset()
        self._file.close()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            message = f"Summaries could not be written: {error.message}"
            raise type(error)(None, None, message)  # type: ignore[call-arg]  # each kind of error knows its code

    # --- The thread -------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Has the thread look what there is to do; starts it the first time."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="EventWriter", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        while self._wait():
            self._write()

    def _wait(self) -> bool:
        """Waits until there is something to write; false at the end."""
        with self._changed:
            while not self.closed:
                left = self._flush_at - time.monotonic() if self._flush_at else None
                if self._bytes >= _BUFFER or (left is not None and left <= 0):
                    return True
                self._changed.wait(left)
            return False

    def _write(self) -> None:
        """Writes what is in the queue."""
        with self._writing:
            with self._changed:
                events, self._queue = self._queue, []
                self._bytes, self._flush_at, self._busy = 0, 0.0, True
                self._changed.notify_all()
            error = None
            try:
                if events:
                    self._file.write(b"".join(map(frame, events)))
            except errors.OpError as caught:
                error = caught
            finally:
                with self._changed:
                    self._busy, self._error = False, error or self._error
                    self._changed.notify_all()


_cores: weakref.WeakSet[_Core] = weakref.WeakSet()


def _after_fork() -> None:
    for core in list(_cores):
        if not core.closed:
            core.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _close_at_end(core: _Core) -> None:
    """Closes the file of a writer that nobody has closed."""
    try:
        core.close()
    except errors.OpError as error:
        tensorflow_logger().error("%s", error.message)
