"""Threads that keep queues full."""
from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Sequence
from typing import Any

from millstream.core import errors
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.core.scope_names import prepend_name_scope, strip_name_scope
from millstream.core.session_stack import get_default_session
from millstream.train.coordinator import Coordinator

log = logging.getLogger("millstream")


@export(v1=["train.QueueRunner", "train.queue_runner.QueueRunner"])
class QueueRunner:
    """Runs a queue's enqueue operations again and again, a thread for each, and closes the queue at the end.

    Args:
      queue: the queue.
      enqueue_ops: the operations; one that stands there twice runs in two threads.
      close_op: closes the queue when the operations have come to their end; default: `queue.close()`.
      cancel_op: closes the queue when the coordinator stops; default: `queue.close` which cancels what waits.
      queue_closed_exception_types: errors that mean that the end has come; default: `tf.errors.OutOfRangeError`.
      queue_runner_def: a `QueueRunnerDef` with the names of all these instead.
      import_scope: the scope into which the graph of `queue_runner_def` was imported.

    Raises:
      ValueError: both `queue_runner_def` and others are given, or there is no queue or no operation.
      TypeError: `queue_closed_exception_types` is no tuple of OpErrors.

    Example:
      >>> queue = tf.FIFOQueue(100, tf.float32)
      >>> tf.train.add_queue_runner(tf.train.QueueRunner(queue, [queue.enqueue(tf.random_normal([]))] * 4))
    """

    def __init__(
        self,
        queue: Any = None,
        enqueue_ops: Sequence[Any] | None = None,
        close_op: Any = None,
        cancel_op: Any = None,
        queue_closed_exception_types: Any = None,
        queue_runner_def: Any = None,
        import_scope: str | None = None,
    ) -> None:
        if queue_runner_def is not None:
            if queue or enqueue_ops:
                raise ValueError("queue_runner_def and queue are mutually exclusive.")
            self._init_from_proto(queue_runner_def, import_scope)
        else:
            self._init_from_args(queue, enqueue_ops, close_op, cancel_op, queue_closed_exception_types)
        self._lock = threading.Lock()
        # Threads that are running, by session.
        self._running: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._exceptions_raised: list[BaseException] = []

    def _init_from_args(
        self, queue: Any, enqueue_ops: Sequence[Any] | None, close_op: Any, cancel_op: Any, closed_types: Any
    ) -> None:
        if not queue or not enqueue_ops:
            raise ValueError("Must provide queue and enqueue_ops.")
        if closed_types is None:
            closed_types = (errors.OutOfRangeError,)
        is_tuple = isinstance(closed_types, tuple) and bool(closed_types)
        if not is_tuple or not all(isinstance(t, type) and issubclass(t, errors.OpError) for t in closed_types):
            raise TypeError(f"queue_closed_exception_types, when provided, must be a tuple of tf.error types, but "
                            f"received: {closed_types}")  # fmt: skip
        self._queue = queue
        self._enqueue_ops = enqueue_ops
        self._close_op = queue.close() if close_op is None else close_op
        self._cancel_op = queue.close(cancel_pending_enqueues=True) if cancel_op is None else cancel_op
        self._closed_types: tuple[type[errors.OpError], ...] = closed_types

    def _init_from_proto(self, definition: Any, import_scope: str | None) -> None:
        graph = get_default_graph()

        def element(name: str) -> Any:
            return graph.as_graph_element(prepend_name_scope(name, import_scope))

        self._queue = element(definition.queue_name)
        self._enqueue_ops = [element(name) for name in definition.enqueue_op_name]
        self._close_op = element(definition.close_op_name)
        self._cancel_op = element(definition.cancel_op_name)
        codes = definition.queue_closed_exception_types
        self._closed_types = tuple(errors.exception_type_from_error_code(code) for code in codes) or (
            errors.OutOfRangeError,
        )

    @property
    def queue(self) -> Any:
        """The queue."""
        return self._queue

    @property
    def enqueue_ops(self) -> Sequence[Any]:
        """The operations that fill it."""
        return self._enqueue_ops

    @property
    def close_op(self) -> Any:
        """The operation that closes it."""
        return self._close_op

    @property
    def cancel_op(self) -> Any:
        """The operation that closes it and cancels what waits."""
        return self._cancel_op

    @property
    def queue_closed_exception_types(self) -> tuple[type[errors.OpError], ...]:
        """The errors that mean that the end has come."""
        return self._closed_types

    @property
    def exceptions_raised(self) -> list[BaseException]:
        """What went wrong in threads that had no coordinator to tell."""
        return self._exceptions_raised

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._queue.name

    # --- The threads ------------------------------------------------------------------------------------------------

    def _run(self, sess: Any, enqueue_op: Any, coord: Coordinator | None = None) -> None:
        """What an enqueuing thread does; the last one to end closes the queue."""
        is_running = True
        try:
            enqueue = sess.make_callable(enqueue_op)
            while coord is None or not coord.should_stop():
                try:
                    enqueue()
                except self._closed_types:
                    with self._lock:
                        is_running = False
                        if self._leave(sess) == 0:
                            self._close(sess)
                    return
        except Exception as error:
            if coord is not None:
                coord.request_stop(error)
            else:
                tensorflow_logger().error("Exception in QueueRunner: %s", error)
                with self._lock:
                    self._exceptions_raised.append(error)
                raise
        finally:
            if is_running:
                with self._lock:
                    self._leave(sess)

    def _leave(self, sess: Any) -> int:
        """Counts one thread less; gives how many are left. The caller holds the lock."""
        self._running[sess] -= 1
        return self._running[sess]

    def _close(self, sess: Any) -> None:
        try:
            sess.run(self._close_op)
        except Exception as error:  # noqa: BLE001  (the queue may be closed already, the session too)
            log.debug("Ignored exception: %s", error)

    def _close_on_stop(self, sess: Any, coord: Coordinator) -> None:
        """What the closing thread does: it wakes the others when the coordinator stops."""
        coord.wait_for_stop()
        try:
            sess.run(self._cancel_op)
        except Exception as error:  # noqa: BLE001  (as in `_close`)
            log.debug("Ignored exception: %s", error)

    def create_threads(
        self, sess: Any, coord: Coordinator | None = None, daemon: bool = False, start: bool = False
    ) -> list[threading.Thread]:
        """Makes the threads: one for each operation, and with a coordinator one that closes the queue.

        Args:
          sess: the session.
          coord: stops the threads, and hears of their errors; default: they run until the queue is closed.
          daemon: whether the threads are daemons, which do not keep the program from ending.
          start: whether to start them.

        Returns:
          The threads; none where those of an earlier call are running in this session.
        """
        with self._lock:
            if self._running.get(sess, 0) > 0:
                return []
            self._running[sess] = len(self._enqueue_ops)
            self._exceptions_raised = []
        threads = [
            threading.Thread(target=self._run, args=(sess, op, coord), name=f"QueueRunnerThread-{self.name}-{op.name}")
            for op in self._enqueue_ops
        ]
        if coord is not None:
            name = f"QueueRunnerThread-{self.name}-close_on_stop"
            threads.append(threading.Thread(target=self._close_on_stop, args=(sess, coord), name=name))
        for thread in threads:
            if coord is not None:
                coord.register_thread(thread)
            thread.daemon = daemon
            if start:
                thread.start()
        return threads

    # --- As a protocol buffer ---------------------------------------------------------------------------------------

    def to_proto(self, export_scope: str | None = None) -> Any:
        """The `QueueRunnerDef`; None where the queue is not in `export_scope`."""
        from millstream.io import proto

        if export_scope is not None and not self.queue.name.startswith(export_scope):
            return None
        definition = proto.QueueRunnerDef(
            queue_name=strip_name_scope(self.queue.name, export_scope),
            enqueue_op_name=[strip_name_scope(op.name, export_scope) for op in self._enqueue_ops],
            close_op_name=strip_name_scope(self._close_op.name, export_scope),
            cancel_op_name=strip_name_scope(self._cancel_op.name, export_scope),
        )
        codes = [errors.error_code_from_exception_type(kind) for kind in self._closed_types]
        definition.queue_closed_exception_types.extend(codes)
        return definition

    @staticmethod
    def from_proto(queue_runner_def: Any, import_scope: str | None = None) -> QueueRunner:
        """The queue runner that a `QueueRunnerDef` describes, in the default graph."""
        return QueueRunner(queue_runner_def=queue_runner_def, import_scope=import_scope)


@export(v1=["train.add_queue_runner", "train.queue_runner.add_queue_runner"])
def add_queue_runner(qr: QueueRunner, collection: str = GraphKeys.QUEUE_RUNNERS) -> None:
    """Puts a queue runner into a collection of the default graph, for `start_queue_runners`.

    Args:
      qr: the queue runner.
      collection: the collection's name.
    """
    get_default_graph().add_to_collection(collection, qr)


@export(v1=["train.start_queue_runners", "train.queue_runner.start_queue_runners"])
def start_queue_runners(
    sess: Any = None,
    coord: Coordinator | None = None,
    daemon: bool = True,
    start: bool = True,
    collection: str = GraphKeys.QUEUE_RUNNERS,
) -> list[threading.Thread]:
    """Starts the threads of all queue runners of a graph.

    Args:
      sess: the session; default: the default session.
      coord: the coordinator of the threads.
      daemon: whether the threads are daemons.
      start: False: the threads are made only.
      collection: where the queue runners are.

    Returns:
      All threads.

    Raises:
      ValueError: there is no session.
      TypeError: `sess` is no session.
    """
    if sess is None:
        sess = get_default_session()
        if not sess:
            raise ValueError(
                "Cannot start queue runners: No default session is registered. Use `with sess.as_default()` or pass an "
                "explicit session to tf.start_queue_runners(sess=sess)"
            )
    if not hasattr(sess, "graph") or not hasattr(sess, "run"):
        raise TypeError(f"sess must be a `tf.Session` object. Given class: {type(sess)}")
    runners = sess.graph.get_collection(collection)
    if not runners:
        tensorflow_logger().warning(
            "`tf.train.start_queue_runners()` was called when no queue runners were defined. You can safely remove the "
            "call to this deprecated function."
        )
    return [
        thread for runner in runners for thread in runner.create_threads(sess, coord=coord, daemon=daemon, start=start)
    ]
