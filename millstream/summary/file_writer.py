"""`tf.summary.FileWriter`: writes summaries, graphs and what else TensorBoard shows to event files."""
from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from millstream.core import context
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.io import proto
from millstream.io.event_file import Kind, event
from millstream.io.event_writer import EventWriter
from millstream.io.gfile import local_path
from millstream.io.records import RecordReader

if TYPE_CHECKING:
    from millstream.summary.session_events import SessionEvents


@export(v1=["summary.FileWriter"])
class FileWriter:
    """Writes event files, from which TensorBoard shows how training goes.

    Events are written by a thread of the writer's own; they can be read after `flush` or `close`, or when `flush_secs`
    have passed. Where a file cannot be written, as when the disk is full, the next call that adds, flushes or
    closes raises the error.

    Args:
      logdir: the folder; it is made if need be.
      graph: the graph, which is written first.
      max_queue: how many events wait to be written; further ones wait until there is room.
      flush_secs: how often what waits is written, in seconds.
      graph_def: the graph as a `GraphDef`; old form of `graph`.
      filename_suffix: the end of the file's name.
      session: a session by whose operations events are written, so that summaries of operations that run in it, such as
        those of `tf.contrib.summary`, come to the same file; default: none.

    Raises:
      RuntimeError: operations run at once.
      OpError: the file cannot be made.

    Example:
      >>> writer = tf.summary.FileWriter("logs", sess.graph)
      >>> for step in range(1000):
      ...   writer.add_summary(sess.run(merged), step)
      >>> writer.close()
    """

    def __init__(
        self,
        logdir: Any,
        graph: Any = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        graph_def: Any = None,
        filename_suffix: str | None = None,
        session: Any = None,
    ) -> None:
        if context.executing_eagerly():
            raise RuntimeError(
                "tf.summary.FileWriter is not compatible with eager execution. Use tf.contrib.summary instead."
            )
        self._logdir = logdir
        self._closed = False
        self._tags: set[str] = set()  # of values whose metadata is written
        self._run_tags: set[str] = set()
        self._arguments = (session, logdir, max_queue, flush_secs, filename_suffix or "")
        self._events: EventWriter | SessionEvents = _events(*self._arguments)
        if graph is not None or graph_def is not None:
            self._add_first_graph(graph, graph_def)

    def _add_first_graph(self, graph: Any, graph_def: Any) -> None:
        from millstream.train.meta_graph import export_meta_graph

        self.add_graph(graph=graph, graph_def=graph_def)
        of_graph = graph if isinstance(graph, Graph) else None
        serialized = graph_def or (of_graph.as_graph_def(add_shapes=True) if of_graph else graph)
        self.add_meta_graph(export_meta_graph(graph_def=serialized, graph=of_graph))

    # --- Adding -------------------------------------------------------------------------------------------------

    def add_summary(self, summary: Any, global_step: Any = None) -> None:
        """Adds a summary.

        Metadata of a tag are written with its first value only.

        Args:
          summary: a `Summary`, or what an operation of `tf.summary` gave: one that is serialised.
          global_step: the training step, an integer.
        """
        if isinstance(summary, bytes):
            serialized, message = summary, proto.Summary.FromString(summary)
        else:
            serialized, message = None, summary
        known = [index for index, value in enumerate(message.value) if self._knows_metadata(value)]
        if known:
            message = proto.Summary.FromString(message.SerializeToString())  # the caller's stays as it is
            for index in known:
                message.value[index].ClearField("metadata")
            serialized = None
        self._add(Kind.SUMMARY, message.SerializeToString() if serialized is None else serialized, global_step)

    def _knows_metadata(self, value: Any) -> bool:
        """Whether a value has metadata that have been written with the tag before."""
        if not value.HasField("metadata"):
            return False
        if value.tag in self._tags:
            return True
        self._tags.add(value.tag)
        return False

    def add_event(self, event: Any) -> None:
        """Adds an `Event`.

        Raises:
          TypeError: it is none.
        """
        if _message_name(event) != "Event":
            raise TypeError(f"Expected an Event, but got {type(event)}.")
        self._add_serialized(event.SerializeToString())

    def add_graph(self, graph: Any, global_step: Any = None, graph_def: Any = None) -> None:
        """Adds a graph, which TensorBoard draws.

        Args:
          graph: a `Graph`.
          global_step: the training step.
          graph_def: a `GraphDef` in place of `graph`; old form.

        Raises:
          ValueError: both `graph` and `graph_def` are given.
          TypeError: it is no graph.
        """
        if graph is not None and graph_def is not None:
            raise ValueError("Please pass only graph, or graph_def (deprecated), but not both.")
        if isinstance(graph, Graph):
            message = graph.as_graph_def(add_shapes=True)
        else:
            message = graph if graph_def is None else graph_def
            if _message_name(message) != "GraphDef":
                raise TypeError("The passed graph must be an instance of `Graph` or the deprecated `GraphDef`")
        self._add(Kind.GRAPH_DEF, message.SerializeToString(), global_step)

    def add_meta_graph(self, meta_graph_def: Any, global_step: Any = None) -> None:
        """Adds a `MetaGraphDef`.

        Raises:
          TypeError: it is none.
        """
        if _message_name(meta_graph_def) != "MetaGraphDef":
            raise TypeError(f"meta_graph_def must be type MetaGraphDef, saw type: {type(meta_graph_def)}")
        self._add(Kind.META_GRAPH_DEF, meta_graph_def.SerializeToString(), global_step)

    def add_run_metadata(self, run_metadata: Any, tag: str, global_step: Any = None) -> None:
        """Adds what a run has recorded of its times, by the name of `tag`.

        Args:
          run_metadata: the `RunMetadata` that was given to `Session.run`.
          tag: a name that was not used before.
          global_step: the training step.

        Raises:
          ValueError: the tag was used before.

        Example:
          >>> options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
          >>> metadata = tf.RunMetadata()
          >>> sess.run(train, options=options, run_metadata=metadata)
          >>> writer.add_run_metadata(metadata, "step100", 100)
        """
        if tag in self._run_tags:
            raise ValueError("The provided tag was already used for this event type")
        self._run_tags.add(tag)
        tagged = proto.TaggedRunMetadata(tag=tag, run_metadata=run_metadata.SerializeToString())
        self._add(Kind.RUN_METADATA, tagged.SerializeToString(), global_step)

    def add_session_log(self, session_log: Any, global_step: Any = None) -> None:
        """Adds a `SessionLog`: that a session started, stopped or wrote a checkpoint."""
        if _message_name(session_log) != "SessionLog":
            raise TypeError(f"Expected a SessionLog, but got {type(session_log)}.")
        self._add(Kind.SESSION_LOG, session_log.SerializeToString(), global_step)

    def _add(self, kind: Kind, content: bytes, step: Any) -> None:
        self._add_serialized(event(kind, content, 0 if step is None else int(step)))

    def _add_serialized(self, serialized: bytes) -> None:
        if not self._warns_closed():
            self._events.add(serialized)

    def _warns_closed(self) -> bool:
        if self._closed:
            warnings.warn(
                "Attempting to use a closed FileWriter. The operation will be a noop unless the FileWriter is "
                "explicitly reopened.", stacklevel=4,
            )  # fmt: skip
        return self._closed

    # --- The file -----------------------------------------------------------------------------------------------

    def get_logdir(self) -> Any:
        """The folder."""
        return self._logdir

    def flush(self) -> None:
        """Writes what was added, so that it can be read.

        Raises:
          OpError: it could not be written.
        """
        if not self._warns_closed():
            self._events.flush()

    def close(self) -> None:
        """Writes what was added, and closes the file; what is added afterwards is dropped with a warning.

        Raises:
          OpError: it could not be written.
        """
        if not self._closed:
            self._closed = True
            self._events.close()

    def reopen(self) -> None:
        """Begins another file, where this writer was closed."""
        if self._closed:
            self._events = _events(*self._arguments)
            self._closed = False

    def __enter__(self) -> FileWriter:
        return self

    def __exit__(self, unused_type: Any, unused_value: Any, unused_traceback: Any) -> None:
        self.close()


def _events(
    session: Any, logdir: Any, max_queue: int, flush_secs: float, suffix: str
) -> EventWriter | SessionEvents:
    """What events are added to: a file, or operations of a session."""
    if session is None:
        return EventWriter(logdir, max_queue, flush_secs, suffix)
    from millstream.summary.session_events import SessionEvents

    return SessionEvents(session, logdir, max_queue, flush_secs, suffix)


def _message_name(message: Any) -> str:
    """The name of a message's type, whichever library its class is from."""
    descriptor = getattr(message, "DESCRIPTOR", None)
    return "" if descriptor is None else str(descriptor.name)


@export(v1=["summary.FileWriterCache"])
class FileWriterCache:
    """One `FileWriter` a folder, for all parts of a program."""

    _writers: dict[Any, FileWriter] = {}
    _lock = threading.RLock()

    @staticmethod
    def clear() -> None:
        """Closes all writers, and forgets them."""
        with FileWriterCache._lock:
            for writer in FileWriterCache._writers.values():
                writer.close()
            FileWriterCache._writers = {}

    @staticmethod
    def get(logdir: Any) -> FileWriter:
        """The writer of a folder; its file begins with the default graph if it is made now."""
        with FileWriterCache._lock:
            if logdir not in FileWriterCache._writers:
                FileWriterCache._writers[logdir] = FileWriter(logdir, graph=get_default_graph())
            return FileWriterCache._writers[logdir]


@export(v1=["train.summary_iterator"])
def summary_iterator(path: Any) -> Iterator[Any]:
    """The `Event`s of a file, in order.

    Args:
      path: the file, such as `logs/events.out.tfevents.1500000000.host`.

    Raises:
      NotFoundError: there is no such file.
      DataLossError: it is corrupted, or its last event is not there as a whole.

    Example:
      >>> for event in tf.train.summary_iterator(path):
      ...   for value in event.summary.value:
      ...     print(event.step, value.tag, value.simple_value)
    """
    with RecordReader(local_path(path)) as records:
        for record in records:
            yield proto.Event.FromString(record)


@export(v1=["summary.get_summary_description"])
def get_summary_description(node_def: Any) -> Any:
    """The `SummaryDescription` that a node of type TensorSummary holds.

    Raises:
      ValueError: the node is of another type.
    """
    from google.protobuf import json_format

    if node_def.op != "TensorSummary":
        raise ValueError(f"Can't get_summary_description on {node_def.op}")
    return json_format.Parse(node_def.attr["description"].s, proto.SummaryDescription())
