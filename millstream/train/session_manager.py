"""`tf.train.SessionManager`: makes sessions whose variables have values, by initialising, restoring or waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from millstream.core import errors
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.log import tensorflow_logger
from millstream.runtime.session import Session
from millstream.train.checkpoint_management import get_checkpoint_state


@export(v1=["train.SessionManager"])
class SessionManager:
    """Makes sessions in which a model is ready to run.

    Args:
      local_init_op: runs in each new session, after the model was initialised or restored.
      ready_op: a string vector of what is not initialised: the model is ready where it is empty. None: it always is.
      ready_for_local_init_op: the same for `local_init_op`.
      graph: the graph; default: the default graph.
      recovery_wait_secs: how long to wait between two looks at whether a checkpoint is there, or the model is ready.
      local_init_run_options: the `RunOptions` of the run of `local_init_op`.

    Raises:
      ValueError: `ready_for_local_init_op` is given, but not `local_init_op`.

    Example:
      >>> manager = tf.train.SessionManager(ready_op=tf.report_uninitialized_variables())
      >>> sess = manager.prepare_session("", init_op=init_op, saver=saver, checkpoint_dir="model")
    """

    def __init__(
        self,
        local_init_op: Any = None,
        ready_op: Any = None,
        ready_for_local_init_op: Any = None,
        graph: Graph | None = None,
        recovery_wait_secs: float = 30,
        local_init_run_options: Any = None,
    ) -> None:
        if ready_for_local_init_op is not None and local_init_op is None:
            raise ValueError(
                "If you pass a ready_for_local_init_op you must also pass a local_init_op , ready_for_local_init_op "
                f"[{ready_for_local_init_op}]"
            )
        self._local_init_op = local_init_op
        self._ready_op = ready_op
        self._ready_for_local_init_op = ready_for_local_init_op
        self._graph = get_default_graph() if graph is None else graph
        self._recovery_wait_secs = recovery_wait_secs
        self._local_init_run_options = local_init_run_options

    # --- Making sessions ----------------------------------------------------------------------------------------

    def prepare_session(
        self,
        master: str,
        init_op: Any = None,
        saver: Any = None,
        checkpoint_dir: str | None = None,
        checkpoint_filename_with_path: str | None = None,
        wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200,
        config: Any = None,
        init_feed_dict: Mapping[Any, Any] | None = None,
        init_fn: Callable[[Any], Any] | None = None,
    ) -> Session:
        """A session with the model restored from a checkpoint, or initialised where there is none.

        Args:
          master: the session's target: "".
          init_op: initialises the model.
          saver: restores it; None: it is initialised.
          checkpoint_dir: the folder whose newest checkpoint is restored.
          checkpoint_filename_with_path: the checkpoint, in place of a folder.
          wait_for_checkpoint: wait until there is one in the folder.
          max_wait_secs: how long at most.
          config: the session's `ConfigProto`.
          init_feed_dict: what is fed to `init_op`.
          init_fn: called with the session after `init_op`.

        Raises:
          RuntimeError: there is nothing to initialise with, or the model is not ready afterwards.
          ValueError: both `checkpoint_dir` and `checkpoint_filename_with_path` are given.
        """
        sess, is_loaded = self._restore_checkpoint(
            master, saver, checkpoint_dir, checkpoint_filename_with_path, wait_for_checkpoint, max_wait_secs, config
        )
        if not is_loaded:
            if init_op is None and init_fn is None and self._local_init_op is None:
                raise RuntimeError(
                    "Model is not initialized and no init_op or init_fn or local_init_op was given"
                )
            if init_op is not None:
                sess.run(init_op, feed_dict=init_feed_dict)
            if init_fn is not None:
                init_fn(sess)
        given = f"Init op: {_name(init_op)}, init fn: {init_fn}"
        not_ready = self._run_local_init_op(sess)
        if not_ready is not None:
            raise RuntimeError(
                f"Init operations did not make model ready for local_init.  {given}, error: {not_ready}"
            )
        not_ready = self._model_not_ready(sess)
        if not_ready is not None:
            given = f"{given}, local_init_op: {self._local_init_op}"
            raise RuntimeError(f"Init operations did not make model ready.  {given}, error: {not_ready}")
        return sess

    def recover_session(
        self,
        master: str,
        saver: Any = None,
        checkpoint_dir: str | None = None,
        checkpoint_filename_with_path: str | None = None,
        wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200,
        config: Any = None,
    ) -> tuple[Session, bool]:
        """A session with the model restored from a checkpoint, if there is one. Arguments as for `prepare_session`.

        Returns:
          The session, and whether the model was restored and is ready.
        """
        sess, is_loaded = self._restore_checkpoint(
            master, saver, checkpoint_dir, checkpoint_filename_with_path, wait_for_checkpoint, max_wait_secs, config
        )
        not_ready = self._run_local_init_op(sess)
        if not is_loaded:
            return sess, False
        log, source = tensorflow_logger(), checkpoint_dir or checkpoint_filename_with_path
        if not_ready is not None:
            log.info("Restoring model from %s did not make model ready for local init: %s", source, not_ready)
            return sess, False
        not_ready = self._model_not_ready(sess)
        if not_ready is not None:
            log.info("Restoring model from %s did not make model ready: %s", source, not_ready)
            return sess, False
        log.info("Restored model from %s", source)
        return sess, True

    def wait_for_session(
        self, master: str, config: Any = None, max_wait_secs: float | None = float("inf")
    ) -> Session:
        """A session in which somebody else has made the model ready.

        Args:
          master: the session's target: "".
          config: its `ConfigProto`.
          max_wait_secs: how long to wait at most; None: for ever.

        Raises:
          DeadlineExceededError: the model was not ready in time.
        """
        end = time.time() + (float("inf") if max_wait_secs is None else max_wait_secs)
        while True:
            sess = Session(master, graph=self._graph, config=config)
            not_ready, not_ready_for_local_init = None, self._run_local_init_op(sess)
            if not_ready_for_local_init is None:
                not_ready = self._model_not_ready(sess)
                if not_ready is None:
                    return sess
            sess.close()
            if max(end - time.time(), 0) < self._recovery_wait_secs:
                message = f"Session was not ready after waiting {int(max_wait_secs or 0)} secs."
                raise errors.DeadlineExceededError(None, None, message)
            tensorflow_logger().info(
                "Waiting for model to be ready.  Ready_for_local_init_op:  %s, ready: %s",
                not_ready_for_local_init,
                not_ready,
            )
            time.sleep(self._recovery_wait_secs)

    def _restore_checkpoint(
        self,
        master: str,
        saver: Any,
        checkpoint_dir: str | None,
        checkpoint_filename_with_path: str | None,
        wait_for_checkpoint: bool,
        max_wait_secs: float,
        config: Any,
    ) -> tuple[Session, bool]:
        """A new session, and whether the model was restored in it."""
        sess = Session(master, graph=self._graph, config=config)
        if checkpoint_dir and checkpoint_filename_with_path:
            raise ValueError("Can not provide both checkpoint_dir and checkpoint_filename_with_path.")
        if saver is None:
            return sess, False
        if checkpoint_filename_with_path:
            saver.restore(sess, checkpoint_filename_with_path)
            return sess, True
        state = self._checkpoint_state(checkpoint_dir, max_wait_secs if wait_for_checkpoint else 0)
        if state is None:
            return sess, False
        saver.restore(sess, state.model_checkpoint_path)
        saver.recover_last_checkpoints(state.all_model_checkpoint_paths)
        return sess, True

    def _checkpoint_state(self, folder: str | None, wait_secs: float) -> Any:
        """What the state file of a folder says, waiting until there is one; None where there is none in time."""
        if not folder:
            return None
        waited = 0.0
        while (state := get_checkpoint_state(folder)) is None and waited < wait_secs:
            tensorflow_logger().info("Waiting for checkpoint to be available.")
            time.sleep(self._recovery_wait_secs)
            waited += self._recovery_wait_secs
        return state

    # --- Is the model ready? ------------------------------------------------------------------------------------

    def _run_local_init_op(self, sess: Session) -> str | None:
        """Runs `local_init_op` where that can run; gives why it cannot, or None."""
        if self._local_init_op is None:
            return None
        not_ready = _not_ready(self._ready_for_local_init_op, sess, "Model not ready for local init")
        if not_ready is None:
            tensorflow_logger().info("Running local_init_op.")
            sess.run(self._local_init_op, options=self._local_init_run_options)
            tensorflow_logger().info("Done running local_init_op.")
        return not_ready

    def _model_not_ready(self, sess: Session) -> str | None:
        return _not_ready(self._ready_op, sess, "Model not ready")


def _not_ready(op: Any, sess: Session, what: str) -> str | None:
    """What `op` says is not initialised; None where all is.

    Besides a string vector that is to be empty, it may be an operation that fails with FailedPreconditionError.
    """
    if op is None:
        return None
    try:
        found = sess.run(op)
    except errors.FailedPreconditionError as error:
        if "uninitialized" not in str(error):
            tensorflow_logger().warning("%s : error [%s]", what, error)
            raise
        return str(error)
    if found is None or found.dtype == np.int32 or found.size == 0:
        return None
    return "Variables not initialized: " + ", ".join(name.decode() for name in found)


def _name(op: Any) -> str | None:
    if op is None or isinstance(op, str):
        return op
    return getattr(op, "name", f"<no name for {type(op)}>")
