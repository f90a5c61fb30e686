"""The writers of `tf.summary` of 2.x and of `tf.contrib.summary`: resources to which operations write."""
from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from millstream.core import context
from millstream.core.export import export
from millstream.core.scopes import add_to_collection, control_dependencies, device, init_scope, name_scope
from millstream.core.tensor import Tensor
from millstream.ops import summary_writer_ops as ops
from millstream.ops.arithmetic_ops import add
from millstream.ops.constant_op import constant
from millstream.ops.control_flow_ops import no_op
from millstream.summary.recording import current

INITIALIZERS = "_SUMMARY_WRITER_V2"  # the collection of the operations that make the files
_MAX_QUEUE = 10
_FLUSH_MILLIS = 2 * 60 * 1000
_SUFFIX = ".v2"

_counter = itertools.count()


@export(v1=["contrib.summary.SummaryWriter"], v2=["summary.SummaryWriter"])
class SummaryWriter:
    """Where summaries are written; `tf.summary.create_file_writer` makes one."""

    def set_as_default(self, step: Any = None) -> None:
        """The summaries of this thread are written here from now on.

        Args:
          step: set as the step of summaries; default: the step stays.
        """
        self._enter()
        if step is not None:
            current.step = step

    @contextmanager
    def as_default(self, step: Any = None) -> Iterator[SummaryWriter]:
        """The summaries of this thread are written here within a `with` block; what was added is written at its end.

        Args:
          step: the step of summaries within the block; default: the step stays.
        """
        writer, before = current.writer, current.step
        self.set_as_default(step)
        try:
            yield self
            self.flush()
        finally:
            current.writer = writer
            if step is not None:
                current.step = before

    def _enter(self) -> None:
        current.writer = self

    def init(self) -> Any:
        """Makes the file; in a graph the operation that does so. In eager execution it is there from the beginning."""
        raise NotImplementedError

    def flush(self) -> Any:
        """Writes what was added, so that it can be read; in a graph the operation that does so."""
        raise NotImplementedError

    def close(self) -> Any:
        """Writes what was added, and closes the file; in a graph the operation that does so."""
        raise NotImplementedError


class NoopWriter(SummaryWriter):
    """A writer that writes nothing."""

    def _enter(self) -> None:
        current.writer = None

    def init(self) -> None:
        """Does nothing."""

    def flush(self) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


class ResourceWriter(SummaryWriter):
    """A writer that is a resource.

    Args:
      create: makes the file of a writer, given its handle; gives the operation that does so.
      shared_name: the writer's name in a session, by which several operations mean the same one.
      name: the name of the operation that gives the handle.
    """

    def __init__(self, create: Callable[[Tensor], Any], shared_name: str, name: str | None = None) -> None:
        self._create = create
        self._closed = False
        self.resource: Tensor = ops.summary_writer_op(shared_name=shared_name, name=name)
        made = create(self.resource)
        if not context.executing_eagerly():
            add_to_collection(INITIALIZERS, made)

    def _enter(self) -> None:
        self._check_open()
        super()._enter()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"SummaryWriter {self!r} is already closed")

    def init(self) -> Any:
        self._check_open()
        return None if context.executing_eagerly() else self._create(self.resource)

    def flush(self) -> Any:
        if not self._closed:
            with device("cpu:0"):
                return ops.flush_summary_writer_op(self.resource)

    def close(self) -> Any:
        if self._closed:
            return None
        with control_dependencies([self.flush()]), device("cpu:0"):
            made = ops.close_summary_writer_op(self.resource)
        if context.executing_eagerly():
            self._closed = True
        return made


@export(v2=["summary.create_file_writer"])
def create_file_writer(
    logdir: Any,
    max_queue: Any = None,
    flush_millis: Any = None,
    filename_suffix: Any = None,
    name: str | None = None,
    experimental_trackable: bool = False,
    experimental_mesh: Any = None,
) -> SummaryWriter:
    """Makes a writer to an event file.

    Args:
      logdir: the folder; it is made if need be.
      max_queue: how many summaries wait to be written; default: 10.
      flush_millis: how often what waits is written, in milliseconds; default: 120,000.
      filename_suffix: the end of the file's name; default: ".v2".
      name: the name of the operations.
      experimental_trackable, experimental_mesh: accepted for compatibility.

    Raises:
      ValueError: `logdir` is None.
      OpError: the file cannot be made.

    Example:
      >>> writer = tf.summary.create_file_writer("logs")
      >>> with writer.as_default():
      ...   for step in range(100):
      ...     tf.summary.scalar("loss", compute_loss(), step=step)
    """
    if logdir is None:
        raise ValueError("Argument `logdir` cannot be None")
    logdir = os.fspath(logdir) if isinstance(logdir, os.PathLike) else logdir
    # In a function the writer is made outside: it is one, however often the function runs.
    with init_scope(), device("cpu:0"), name_scope(name, "create_file_writer") as scope:
        folder = constant(logdir)
        queue = constant(_MAX_QUEUE if max_queue is None else max_queue)
        millis = constant(_FLUSH_MILLIS if flush_millis is None else flush_millis)
        suffix = _unique_suffix(_SUFFIX if filename_suffix is None else filename_suffix)
        return ResourceWriter(
            lambda writer: ops.create_summary_file_writer_op(writer, folder, queue, millis, suffix),
            "" if context.executing_eagerly() else scope.rstrip("/"),
        )


def _unique_suffix(suffix: Any) -> Tensor:
    """The suffix after the process and a number, so that no two writers have the same file."""
    if isinstance(suffix, str) and not suffix.startswith("."):
        suffix = f".{suffix}"
    suffix = constant(suffix)
    return add(constant(f".{os.getpid()}.{next(_counter)}"), suffix)


@export(v2=["summary.create_noop_writer"])
def create_noop_writer() -> SummaryWriter:
    """A writer that writes nothing, to take the place of another one."""
    return NoopWriter()


@export(v1=["contrib.summary.create_file_writer"])
def create_file_writer_v1(
    logdir: Any,
    max_queue: Any = None,
    flush_millis: Any = None,
    filename_suffix: Any = None,
    name: str | None = None,
) -> SummaryWriter:
    """Makes a writer to an event file. Writers of the same folder in a session are the same.

    Args:
      logdir: the folder; it is made if need be. None: nothing is written.
      max_queue: how many summaries wait to be written; default: 10.
      flush_millis: how often what waits is written, in milliseconds; default: 120,000.
      filename_suffix: the end of the file's name; default: ".v2".
      name: the writer's name in the session; default: follows from the folder.

    Example:
      >>> writer = tf.contrib.summary.create_file_writer("logs")
      >>> with writer.as_default(), tf.contrib.summary.always_record_summaries():
      ...   tf.contrib.summary.scalar("loss", loss)
      >>> with tf.Session() as sess, writer.as_default():
      ...   tf.contrib.summary.initialize(graph=sess.graph)
      ...   sess.run([train, tf.contrib.summary.all_summary_ops()])
    """
    if logdir is None:
        return NoopWriter()
    with device("cpu:0"):
        queue = constant(_MAX_QUEUE) if max_queue is None else max_queue
        millis = constant(_FLUSH_MILLIS) if flush_millis is None else flush_millis
        suffix = constant(_SUFFIX) if filename_suffix is None else filename_suffix
        shared = "" if context.executing_eagerly() else name or f"logdir:{logdir}"
        return ResourceWriter(
            lambda handle: ops.create_summary_file_writer_op(handle, logdir, queue, millis, suffix), shared
        )


@export(v1=["contrib.summary.create_summary_file_writer"])
def create_summary_file_writer(*args: Any, **kwargs: Any) -> SummaryWriter:
    """Old name of `tf.contrib.summary.create_file_writer`."""
    return create_file_writer_v1(*args, **kwargs)


@export(v1=["contrib.summary.flush"], v2=["summary.flush"])
def flush(writer: Any = None, name: str | None = None) -> Any:
    """Writes what was added, so that it can be read; in a graph the operation that does so.

    Args:
      writer: the writer; default: this thread's.
      name: the operation's name.

    Raises:
      ValueError: it is no writer.
    """
    chosen = current.writer if writer is None else writer
    if chosen is None or isinstance(chosen, NoopWriter):
        return None if context.executing_eagerly() else no_op()
    if not isinstance(chosen, ResourceWriter):
        raise ValueError(f"Invalid argument to flush(): {writer!r}")
    with device("cpu:0"):
        return ops.flush_summary_writer_op(chosen.resource, name=name)
