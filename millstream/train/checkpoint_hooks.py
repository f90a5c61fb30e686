"""The hook that saves checkpoints, and what can listen to it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.graph_io import write_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.train.meta_graph import export_meta_graph
from millstream.train.session_run_hook import SessionRunArgs, SessionRunContext, SessionRunHook, SessionRunValues
from millstream.train.step_hooks import due_step, required_step
from millstream.train.step_timer import SecondOrStepTimer

if TYPE_CHECKING:
    from millstream.train.saver import Saver
    from millstream.train.scaffold import Scaffold


@export(v1=["train.CheckpointSaverListener", "estimator.CheckpointSaverListener"])
class CheckpointSaverListener:
    """Base class of what acts before and after a `CheckpointSaverHook` saves. Each method does nothing here."""

    def begin(self) -> None:
        """Called once, before the session is made: the graph can still be changed."""

    def before_save(self, session: Any, global_step_value: int) -> None:
        """Called before each checkpoint is saved."""

    def after_save(self, session: Any, global_step_value: int) -> bool | None:
        """Called after each checkpoint was saved; True ends the training."""
        return None

    def end(self, session: Any, global_step_value: int) -> None:
        """Called after the last checkpoint."""


@export(v1=["train.CheckpointSaverHook", "estimator.CheckpointSaverHook"])
class CheckpointSaverHook(SessionRunHook):
    """Saves a checkpoint when the session begins, every so many seconds or steps, and when it ends.

    Args:
      checkpoint_dir: the folder.
      save_secs: how often, in seconds.
      save_steps: how often, in steps.
      saver: the `Saver`; default: that of `scaffold`, else the one in `GraphKeys.SAVERS`.
      checkpoint_basename: what the names of the checkpoints begin with.
      scaffold: a `Scaffold` whose saver is used.
      listeners: `CheckpointSaverListener`s.

    Raises:
      ValueError: both or none of `save_secs` and `save_steps`, or both `saver` and `scaffold` are given.
    """

    def __init__(
        self,
        checkpoint_dir: str,
        save_secs: float | None = None,
        save_steps: int | None = None,
        saver: Saver | None = None,
        checkpoint_basename: str = "model.ckpt",
        scaffold: Scaffold | None = None,
        listeners: Sequence[CheckpointSaverListener] | None = None,
    ) -> None:
        tensorflow_logger().info("Create CheckpointSaverHook.")
        if saver is not None and scaffold is not None:
            raise ValueError("You cannot provide both saver and scaffold.")
        self._saver = saver
        self._checkpoint_dir = checkpoint_dir
        self._save_path = os.path.join(checkpoint_dir, checkpoint_basename)
        self._scaffold = scaffold
        self._timer = SecondOrStepTimer(every_secs=save_secs, every_steps=save_steps)
        self._listeners = list(listeners or ())

    def begin(self) -> None:
        from millstream.summary.file_writer import FileWriterCache

        self._summary_writer = FileWriterCache.get(self._checkpoint_dir)
        self._global_step_tensor = required_step("CheckpointSaverHook")
        for listener in self._listeners:
            listener.begin()

    def after_create_session(self, session: Any, coord: Any) -> None:
        step = session.run(self._global_step_tensor)
        self._write_graph()
        self._save(session, step)
        self._timer.update_last_triggered_step(step)

    def _write_graph(self) -> None:
        graph = get_default_graph()
        graph_def = graph.as_graph_def(add_shapes=True)
        write_graph(graph_def, self._checkpoint_dir, "graph.pbtxt")
        saver = self._get_saver()
        saver_def = saver.saver_def if saver else None
        self._summary_writer.add_graph(graph)
        self._summary_writer.add_meta_graph(export_meta_graph(graph_def=graph_def, saver_def=saver_def))

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs(self._global_step_tensor)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        step = due_step(self._timer, run_values.results, self._global_step_tensor, run_context.session)
        if step is None:
            return
        self._timer.update_last_triggered_step(step)
        if self._save(run_context.session, step):
            run_context.request_stop()

    def end(self, session: Any) -> None:
        step = session.run(self._global_step_tensor)
        if step != self._timer.last_triggered_step():
            self._save(session, step)
        for listener in self._listeners:
            listener.end(session, step)

    def _save(self, session: Any, step: int) -> bool:
        """Saves a checkpoint; gives whether a listener wants the training to end."""
        from millstream.io import proto

        log, log_status = tensorflow_logger(), proto.SessionLog
        log.info("Saving checkpoints for %d into %s.", step, self._save_path)
        for listener in self._listeners:
            listener.before_save(session, step)
        self._get_saver().save(session, self._save_path, global_step=step)
        saved = log_status(status=log_status.CHECKPOINT, checkpoint_path=self._save_path)
        self._summary_writer.add_session_log(saved, step)
        stop = False
        for listener in self._listeners:
            if listener.after_save(session, step):
                log.info("A CheckpointSaverListener requested that training be stopped. listener: %s", listener)
                stop = True
        return stop

    def _get_saver(self) -> Any:
        if self._saver is not None:
            return self._saver
        if self._scaffold is not None:
            return self._scaffold.saver
        savers = get_default_graph().get_collection(GraphKeys.SAVERS)
        if not savers:
            raise RuntimeError(
                f"No items in collection {GraphKeys.SAVERS}. Please add a saver to the collection or provide a saver "
                "or scaffold."
            )
        if len(savers) > 1:
            raise RuntimeError(
                f"More than one item in collection {GraphKeys.SAVERS}. Please indicate which one to use by passing it "
                "to the constructor."
            )
        self._saver = savers[0]
        return self._saver
