"""What a hook is: an object that takes part in each run of a monitored session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from millstream.core.export import export
from millstream.train.coordinator import Coordinator


@export(v1=["train.SessionRunArgs", "estimator.SessionRunArgs"])
class SessionRunArgs(NamedTuple):
    """What a run is asked for: by the program, or by a hook in addition.

    Attributes:
      fetches: as for `tf.Session.run`; None: nothing.
      feed_dict: as for `tf.Session.run`.
      options: a `RunOptions`; those of all hooks and of the program are merged.
    """

    fetches: Any
    feed_dict: Mapping[Any, Any] | None = None
    options: Any = None


@export(v1=["train.SessionRunValues", "estimator.SessionRunValues"])
class SessionRunValues(NamedTuple):
    """What a run gave to a hook.

    Attributes:
      results: the values of what the hook's `before_run` asked for, in the same structure; None if for nothing.
      options: the `RunOptions` of the run.
      run_metadata: its `RunMetadata`.
    """

    results: Any
    options: Any
    run_metadata: Any


@export(v1=["train.SessionRunContext", "estimator.SessionRunContext"])
class SessionRunContext:
    """One run of a monitored session, as its hooks see it.

    Args:
      original_args: what the program asked for.
      session: the session.
    """

    def __init__(self, original_args: SessionRunArgs, session: Any) -> None:
        self._original_args = original_args
        self._session = session
        self._stop_requested = False

    @property
    def original_args(self) -> SessionRunArgs:
        """What the program asked for."""
        return self._original_args

    @property
    def session(self) -> Any:
        """The session, for runs of a hook's own."""
        return self._session

    @property
    def stop_requested(self) -> bool:
        """Whether a hook wants this run to be the last one."""
        return self._stop_requested

    def request_stop(self) -> None:
        """Makes this run the last one: `should_stop` of the monitored session is true after it."""
        self._stop_requested = True


@export(v1=["train.SessionRunHook", "estimator.SessionRunHook"])
class SessionRunHook:
    """Base class of what takes part in the runs of a `tf.train.MonitoredSession`. Each method does nothing here.

    Example:
      >>> class Loss(tf.train.SessionRunHook):
      ...   def before_run(self, run_context):
      ...     return tf.train.SessionRunArgs(loss)
      ...   def after_run(self, run_context, run_values):
      ...     print("loss", run_values.results)
      >>> with tf.train.MonitoredSession(hooks=[Loss()]) as sess:
      ...   sess.run(train_op)
    """

    def begin(self) -> None:
        """Called once, before the session is made: the graph can still be changed."""

    def after_create_session(self, session: Any, coord: Coordinator) -> None:
        """Called when a session was made, at the beginning and after each recovery; the graph is final.

        Args:
          session: the session; variables have their values.
          coord: the coordinator of its threads.
        """

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Called before each run; gives what is to be run in addition."""
        return None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Called after each run that did not fail.

        Args:
          run_context: the run; `run_context.request_stop()` makes it the last one.
          run_values: the values of what `before_run` asked for.
        """

    def end(self, session: Any) -> None:
        """Called when the monitored session ends, except where an error ends it."""
