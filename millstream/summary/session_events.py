"""Events that a `FileWriter` hands to operations of a session, which write them."""
from __future__ import annotations

from typing import Any

from millstream.core.scopes import device, name_scope
from millstream.ops import summary_writer_ops as ops
from millstream.ops.constant_op import constant, placeholder_with_default
from millstream.summary.writers import ResourceWriter


class SessionEvents:
    """Has the form of an `EventWriter`, and shares its file with the summaries that run in the session.

    Args:
      session: runs the operations, which are added to its graph.
      logdir, max_queue, flush_secs, suffix: see `EventWriter`.
    """

    def __init__(self, session: Any, logdir: Any, max_queue: int, flush_secs: float, suffix: str) -> None:
        self._session = session
        with session.graph.as_default(), name_scope("filewriter"):
            with device("cpu:0"):
                ending = constant(suffix or ".v2")
                writer = ResourceWriter(
                    lambda handle: ops.create_summary_file_writer_op(
                        handle, str(logdir), max_queue, int(flush_secs * 1000), ending
                    ),
                    f"logdir:{logdir}",
                )
            self._event = placeholder_with_default(constant(""), [])
            self._add = ops.import_event_op(writer.resource, self._event)
            self._initialize, self._flush, self._close = writer.init(), writer.flush(), writer.close()
        self._session.run(self._initialize)

    def add(self, event: bytes) -> None:
        """Adds a serialised `Event`."""
        self._session.run(self._add, {self._event: event})

    def flush(self) -> None:
        """Writes what was added."""
        self._session.run(self._flush)

    def close(self) -> None:
        """Writes what was added, and closes the file."""
        self._session.run(self._close)
