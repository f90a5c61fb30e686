"""`tf.train.Supervisor`: the older form of `MonitoredTrainingSession`, with threads in place of hooks."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from millstream.core import context
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.graph_io import write_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.core.variable_lists import global_variables
from millstream.ops.control_flow_ops import group
from millstream.ops.lookup_ops import tables_initializer
from millstream.ops.variable_ops import (
    global_variables_initializer,
    local_variables_initializer,
    report_uninitialized_variables,
)
from millstream.summary.summary import merge_all
from millstream.train import training_util
from millstream.train.coordinator import Coordinator, LooperThread
from millstream.train.meta_graph import export_meta_graph
from millstream.train.queue_runner import QueueRunner
from millstream.train.saver import Saver
from millstream.train.session_manager import SessionManager
from millstream.train.supervisor_threads import SVStepCounterThread, SVSummaryThread, SVTimerCheckpointThread


@export(v1=["train.Supervisor"])
class Supervisor:
    """Initialises or restores a model, and saves it and its summaries in threads while the program trains.

    It finalises the graph. Arguments that are `Supervisor.USE_DEFAULT` are taken from the graph's collection for them,
    or made and put there; None switches a thing off.

    Args:
      graph: the graph; default: the default graph.
      ready_op: a string vector, which is empty when all is initialised.
      ready_for_local_init_op: the same for `local_init_op`; default: None, unless the collection has one.
      is_chief: whether this program initialises, saves and summarises; others wait until the model is ready.
      init_op: initialises the model where it is not restored.
      init_feed_dict: what is fed to it.
      local_init_op: runs in each new session; default: initialises local variables and tables.
      logdir: the folder of checkpoints and event file; None: nothing is written.
      summary_op: gives the summaries; default: all of the graph, merged.
      saver: saves and restores; default: the one in `GraphKeys.SAVERS`, else one of all variables.
      global_step: integer scalar, the step; default: the graph's.
      save_summaries_secs: the seconds between two summaries; 0: none.
      save_model_secs: the seconds between two checkpoints; 0: none.
      recovery_wait_secs: how long a program that is not the chief waits between two looks.
      stop_grace_secs: how long the threads may take to end.
      checkpoint_basename: what the names of the checkpoints begin with.
      session_manager: makes the sessions; default: a `SessionManager`.
      summary_writer: the `tf.summary.FileWriter`; default: one for `logdir`.
      init_fn: called with the session after `init_op`.
      local_init_run_options: the `RunOptions` of the run of `local_init_op`.

    Raises:
      RuntimeError: operations run at once.
      ValueError: this is not the chief, and a variable has no device.

    Example:
      >>> sv = tf.train.Supervisor(logdir="model")
      >>> with sv.managed_session() as sess:
      ...   while not sv.should_stop():
      ...     sess.run(train_op)
    """

    USE_DEFAULT = 0

    def __init__(
        self,
        graph: Graph | None = None,
        ready_op: Any = USE_DEFAULT,
        ready_for_local_init_op: Any = USE_DEFAULT,
        is_chief: bool = True,
        init_op: Any = USE_DEFAULT,
        init_feed_dict: Mapping[Any, Any] | None = None,
        local_init_op: Any = USE_DEFAULT,
        logdir: str | None = None,
        summary_op: Any = USE_DEFAULT,
        saver: Any = USE_DEFAULT,
        global_step: Any = USE_DEFAULT,
        save_summaries_secs: float = 120,
        save_model_secs: float = 600,
        recovery_wait_secs: float = 30,
        stop_grace_secs: float = 120,
        checkpoint_basename: str = "model.ckpt",
        session_manager: Any = None,
        summary_writer: Any = USE_DEFAULT,
        init_fn: Callable[[Any], Any] | None = None,
        local_init_run_options: Any = None,
    ) -> None:
        if context.executing_eagerly():
            raise RuntimeError("Supervisors are compatible with eager execution.")
        self._graph = get_default_graph() if graph is None else graph
        self._is_chief = is_chief
        with self._graph.as_default():
            self._ready_op = _found(ready_op, GraphKeys.READY_OP, report_uninitialized_variables)
            self._ready_for_local_init_op = _found(ready_for_local_init_op, GraphKeys.READY_FOR_LOCAL_INIT_OP)
            self._init_op = _found(init_op, GraphKeys.INIT_OP, global_variables_initializer)
            self._local_init_op = _found(local_init_op, GraphKeys.LOCAL_INIT_OP, _default_local_init_op)
            self._saver = _found(saver, GraphKeys.SAVERS, _default_saver)
            self._summary_op = _found(summary_op, GraphKeys.SUMMARY_OP, merge_all)
            self._global_step = _found(global_step, GraphKeys.GLOBAL_STEP, _default_global_step)
            saver_def = self._saver.saver_def if self._saver else None
            graph_def = self._graph.as_graph_def(add_shapes=True)
            self._meta_graph_def = export_meta_graph(graph_def=graph_def, saver_def=saver_def)
        self._init_feed_dict = init_feed_dict
        self._init_fn = init_fn
        self._coord = Coordinator()
        self._stop_grace_secs = stop_grace_secs
        self._logdir = logdir if is_chief else None
        self._save_summaries_secs = save_summaries_secs if is_chief else None
        self._save_model_secs = save_model_secs if is_chief else None
        self._save_path = os.path.join(logdir, checkpoint_basename) if is_chief and logdir else None
        self._summary_writer = self._writer(summary_writer) if is_chief else None
        self._graph_added_to_summary = False
        self._session_manager = session_manager
        if session_manager is None:
            self._session_manager = SessionManager(
                local_init_op=self._local_init_op,
                ready_op=self._ready_op,
                ready_for_local_init_op=self._ready_for_local_init_op,
                graph=self._graph,
                recovery_wait_secs=recovery_wait_secs,
                local_init_run_options=local_init_run_options,
            )
        if not is_chief:
            self._check_devices()
        self._graph.finalize()

    def _writer(self, given: Any) -> Any:
        if given is not Supervisor.USE_DEFAULT:
            return given
        if not self._logdir:
            return None
        from millstream.summary.file_writer import FileWriter

        return FileWriter(self._logdir)

    def _check_devices(self) -> None:
        for op in self._graph.get_operations():
            if op.type in ("Variable", "VariableV2") and not op.device:
                raise ValueError(f"When using replicas, all Variables must have their device set: {op}")

    # --- What it has --------------------------------------------------------------------------------------------

    @property
    def is_chief(self) -> bool:
        """Whether this program initialises, saves and summarises."""
        return self._is_chief

    @property
    def session_manager(self) -> Any:
        """Makes the sessions."""
        return self._session_manager

    @property
    def coord(self) -> Coordinator:
        """The coordinator of the threads."""
        return self._coord

    @property
    def init_op(self) -> Any:
        """Initialises the model."""
        return self._init_op

    @property
    def init_feed_dict(self) -> Mapping[Any, Any] | None:
        """What is fed to `init_op`."""
        return self._init_feed_dict

    @property
    def ready_op(self) -> Any:
        """A string vector, which is empty when all is initialised."""
        return self._ready_op

    @property
    def ready_for_local_init_op(self) -> Any:
        """A string vector, which is empty when the local initialisation can run."""
        return self._ready_for_local_init_op

    @property
    def summary_writer(self) -> Any:
        """The writer of the event file; None if there is none."""
        return self._summary_writer

    @property
    def summary_op(self) -> Any:
        """The summaries; None if there are none."""
        return self._summary_op

    @property
    def save_summaries_secs(self) -> Any:
        """The seconds between two summaries."""
        return self._save_summaries_secs

    @property
    def global_step(self) -> Any:
        """The step; None if there is none."""
        return self._global_step

    @property
    def saver(self) -> Any:
        """Saves and restores; None if there is none."""
        return self._saver

    @property
    def save_model_secs(self) -> Any:
        """The seconds between two checkpoints."""
        return self._save_model_secs

    @property
    def save_path(self) -> str | None:
        """What the paths of the checkpoints begin with; None without a folder."""
        return self._save_path

    # --- The session and its threads ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def managed_session(
        self,
        master: str = "",
        config: Any = None,
        start_standard_services: bool = True,
        close_summary_writer: bool = True,
    ) -> Iterator[Any]:
        """A context manager of a session that is ready, whose threads run; at the end all is stopped and closed.

        Args:
          master: the session's target: "".
          config: its `ConfigProto`.
          start_standard_services: whether the threads that save and summarise run.
          close_summary_writer: whether the event file is closed at the end.

        Raises:
          BaseException: what left the block, or was wrong with a thread. `OutOfRangeError` is a normal end.
        """
        sess = None
        try:
            sess = self.prepare_or_wait_for_session(
                master=master, config=config, start_standard_services=start_standard_services
            )
            yield sess
        except Exception as error:  # noqa: BLE001  (`stop` raises it)
            self.request_stop(error)
        finally:
            try:
                self.stop(close_summary_writer=close_summary_writer)
            finally:
                try:
                    if sess is not None:
                        sess.close()
                except Exception as error:  # noqa: BLE001  (the error of the block or thread is the one that matters)
                    logging.getLogger("millstream").debug("Ignored exception: %s", error)

    def prepare_or_wait_for_session(
        self,
        master: str = "",
        config: Any = None,
        wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200,
        start_standard_services: bool = True,
    ) -> Any:
        """A session that is ready: restored or initialised by the chief, waited for by others.

        Args:
          master: the session's target: "".
          config: its `ConfigProto`.
          wait_for_checkpoint: wait until there is one.
          max_wait_secs: how long at most.
          start_standard_services: whether the threads that save and summarise run.
        """
        self._coord.clear_stop()
        if self._summary_writer:
            self._summary_writer.reopen()
        log = tensorflow_logger()
        if self._is_chief:
            sess = self._session_manager.prepare_session(
                master,
                init_op=self._init_op,
                saver=self._saver,
                checkpoint_dir=self._logdir,
                wait_for_checkpoint=wait_for_checkpoint,
                max_wait_secs=max_wait_secs,
                config=config,
                init_feed_dict=self._init_feed_dict,
                init_fn=self._init_fn,
            )
            self._write_graph()
            if start_standard_services:
                log.info("Starting standard services.")
                self.start_standard_services(sess)
        else:
            sess = self._session_manager.wait_for_session(master, config=config, max_wait_secs=max_wait_secs)
        if start_standard_services:
            log.info("Starting queue runners.")
            self.start_queue_runners(sess)
        return sess

    def _write_graph(self) -> None:
        if self._logdir:
            write_graph(self._graph.as_graph_def(add_shapes=True), self._logdir, "graph.pbtxt")
        if self._summary_writer and not self._graph_added_to_summary:
            self._summary_writer.add_graph(self._graph)
            self._summary_writer.add_meta_graph(self._meta_graph_def)
            self._graph_added_to_summary = True

    def start_standard_services(self, sess: Any) -> list[LooperThread] | None:
        """Starts the threads that write summaries, count steps and save checkpoints.

        Returns:
          The threads; None without a folder.

        Raises:
          RuntimeError: this is not the chief.
        """
        if not self._is_chief:
            raise RuntimeError(
                "Only chief supervisor can start standard services. Because only chief supervisors can write events."
            )
        if not self._logdir:
            tensorflow_logger().warning("Standard services need a 'logdir' passed to the SessionManager")
            return None
        if self._global_step is not None and self._summary_writer:
            from millstream.io import proto

            step = training_util.global_step(sess, self._global_step)
            self._summary_writer.add_session_log(proto.SessionLog(status=proto.SessionLog.START), step)
        threads: list[LooperThread] = []
        if self._save_summaries_secs and self._summary_writer:
            if self._summary_op is not None:
                threads.append(SVSummaryThread(self, sess))
            if self._global_step is not None:
                threads.append(SVStepCounterThread(self, sess))
        if self._saver and self._save_model_secs:
            threads.append(SVTimerCheckpointThread(self, sess))
        for thread in threads:
            thread.start()
        return threads

    def start_queue_runners(
        self, sess: Any, queue_runners: Sequence[QueueRunner] | None = None
    ) -> list[threading.Thread]:
        """Starts the threads of queue runners; default: those of the graph.

        Returns:
          The threads.
        """
        runners = self._graph.get_collection(GraphKeys.QUEUE_RUNNERS) if queue_runners is None else queue_runners
        return [
            thread
            for runner in runners
            for thread in runner.create_threads(sess, coord=self._coord, daemon=True, start=True)
        ]

    def loop(
        self,
        timer_interval_secs: float | None,
        target: Callable[..., Any],
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> LooperThread:
        """Starts a thread that calls a function again and again; see `tf.train.LooperThread`."""
        thread = LooperThread(self._coord, timer_interval_secs, target=target, args=args, kwargs=kwargs)
        thread.start()
        return thread

    def summary_computed(self, sess: Any, summary: Any, global_step: int | None = None) -> None:
        """Writes a summary that the program has computed.

        Args:
          sess: the session.
          summary: a `Summary`, or its bytes.
          global_step: the step; default: the global step.

        Raises:
          RuntimeError: there is no event file.
        """
        if not self._summary_writer:
            raise RuntimeError("Writing a summary requires a summary writer.")
        if global_step is None and self._global_step is not None:
            global_step = training_util.global_step(sess, self._global_step)
        self._summary_writer.add_summary(summary, global_step)

    # --- The end ------------------------------------------------------------------------------------------------

    def stop(
        self,
        threads: Iterable[threading.Thread] | None = None,
        close_summary_writer: bool = True,
        ignore_live_threads: bool = False,
    ) -> None:
        """Ends the threads.

        Args:
          threads: more threads to wait for.
          close_summary_writer: whether the event file is closed.
          ignore_live_threads: do not complain about threads that do not end in time.

        Raises:
          RuntimeError: threads did not end in time.
          BaseException: what was wrong with one.
        """
        self._coord.request_stop()
        try:
            self._coord.join(threads, self._stop_grace_secs, ignore_live_threads)
        finally:
            if close_summary_writer and self._summary_writer:
                from millstream.io import proto

                self._summary_writer.add_session_log(proto.SessionLog(status=proto.SessionLog.STOP))
                self._summary_writer.close()
                self._graph_added_to_summary = False

    def request_stop(self, ex: Any = None) -> None:
        """Asks all threads to stop; see `tf.train.Coordinator.request_stop`."""
        self._coord.request_stop(ex=ex)

    def should_stop(self) -> bool:
        """Whether a stop was requested."""
        return self._coord.should_stop()

    def stop_on_exception(self) -> contextlib.AbstractContextManager[None]:
        """A context manager that asks to stop with whatever exception leaves the block."""
        return self._coord.stop_on_exception()

    def wait_for_stop(self) -> None:
        """Waits until a stop is requested."""
        self._coord.wait_for_stop()

    # Older names.
    PrepareSession = prepare_or_wait_for_session
    StartStandardServices = start_standard_services
    StartQueueRunners = start_queue_runners
    Loop = loop
    SummaryComputed = summary_computed
    Stop = stop
    RequestStop = request_stop
    ShouldStop = should_stop
    StopOnException = stop_on_exception
    WaitForStop = wait_for_stop


def _found(given: Any, key: str, make: Callable[[], Any] | None = None) -> Any:
    """What was given, else the first item of a collection of the default graph, else what `make` makes, put there."""
    if given is not Supervisor.USE_DEFAULT:
        return given
    graph = get_default_graph()
    found = graph.get_collection(key)
    if found:
        return found[0]
    made = None if make is None else make()
    if made is not None:
        graph.add_to_collection(key, made)
    return made


def _default_local_init_op() -> Any:
    return group(local_variables_initializer(), tables_initializer())


def _default_saver() -> Saver | None:
    return Saver() if global_variables() else None


def _default_global_step() -> Any:
    """A global step that is not in its collection, but has its name."""
    return training_util.get_global_step()
