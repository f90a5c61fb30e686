"""`tf.train.MonitoredSession`: a session that initialises or restores a model, calls hooks, and recovers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from millstream.core import errors
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.train.checkpoint_hooks import CheckpointSaverHook
from millstream.train.coordinator import Coordinator
from millstream.train.logging_hooks import StepCounterHook
from millstream.train.queue_runner import start_queue_runners
from millstream.train.scaffold import Scaffold
from millstream.train.session_creators import ChiefSessionCreator, SessionCreator, WorkerSessionCreator
from millstream.train.session_layers import CoordinatedSession, HookedSession, RecoverableSession, StepContext
from millstream.train.session_run_hook import SessionRunHook
from millstream.train.summary_hooks import SummarySaverHook

# Marks arguments of MonitoredTrainingSession that were not given: their defaults depend on each other.
USE_DEFAULT = object()
_DEFAULT_CHECKPOINT_SECONDS = 600
_DEFAULT_SUMMARY_STEPS = 100

_Self = TypeVar("_Self", bound="_MonitoredSession")


class _CoordinatedSessionCreator:
    """Makes a session with its threads and hooks.

    Args:
      session_creator: makes the session itself.
      hooks: the hooks.
      stop_grace_period_secs: how long the threads may take to end.
    """

    def __init__(
        self, session_creator: SessionCreator, hooks: Sequence[SessionRunHook], stop_grace_period_secs: float
    ) -> None:
        self._session_creator = session_creator
        self._hooks = hooks
        self._stop_grace_period_secs = stop_grace_period_secs
        self.coord: Coordinator | None = None
        self.tf_sess: Any = None

    def create_session(self) -> CoordinatedSession:
        self.tf_sess = self._session_creator.create_session()
        # Here the end of an input is no normal end of a thread's work: what waits for the input is to hear of it.
        self.coord = Coordinator(clean_stop_exception_types=())
        if get_default_graph().get_collection(GraphKeys.QUEUE_RUNNERS):
            start_queue_runners(sess=self.tf_sess, coord=self.coord)
        for hook in self._hooks:
            hook.after_create_session(self.tf_sess, self.coord)
        return CoordinatedSession(
            HookedSession(self.tf_sess, self._hooks), self.coord, self._stop_grace_period_secs
        )


class _MonitoredSession:
    """What `MonitoredSession` and `SingularMonitoredSession` share."""

    StepContext = StepContext

    def __init__(
        self,
        session_creator: SessionCreator | None,
        hooks: Sequence[SessionRunHook] | None,
        should_recover: bool,
        stop_grace_period_secs: float,
    ) -> None:
        self._graph = get_default_graph()
        self._graph_was_finalized = self._graph.finalized
        self._hooks = list(hooks or ())
        for hook in self._hooks:
            hook.begin()
        self._coordinated_creator = _CoordinatedSessionCreator(
            session_creator or ChiefSessionCreator(), self._hooks, stop_grace_period_secs
        )
        creator = self._coordinated_creator
        self._sess: Any = RecoverableSession(creator) if should_recover else creator.create_session()

    @property
    def graph(self) -> Graph | None:
        """The graph; None after `close`."""
        session = self._tf_sess()
        return None if session is None else session.graph

    def _tf_sess(self) -> Any:
        """The session itself; None after `close`."""
        return self._coordinated_creator.tf_sess

    def _check_open(self) -> None:
        if self._sess is None:
            raise RuntimeError("Session is already closed.")

    def run(
        self, fetches: Any, feed_dict: Mapping[Any, Any] | None = None, options: Any = None, run_metadata: Any = None
    ) -> Any:
        """Runs what `fetches` needs, as `tf.Session.run`, with what the hooks ask for.

        Raises:
          RuntimeError: the session is closed, or a hook has asked to stop; or two feed the same tensor.
        """
        self._check_open()
        return self._sess.run(fetches, feed_dict=feed_dict, options=options, run_metadata=run_metadata)

    def run_step_fn(self, step_fn: Callable[[Any], Any]) -> Any:
        """Calls a function of one step, which may run with hooks and without.

        Args:
          step_fn: a function of one argument called `step_context`, a `StepContext`: `session` is the session itself,
            `run_with_hooks` runs as `run` does, `request_stop` raises StopIteration.

        Returns:
          What it gives.

        Raises:
          ValueError: it has other arguments.
          StopIteration: it has asked to stop.
        """
        import inspect

        names = tuple(inspect.signature(step_fn).parameters)
        if names not in (("step_context",), ("self", "step_context")):
            raise ValueError(
                "`step_fn` may either have one `step_context` argument, or `self` and `step_context` arguments if it's "
                f"an instance method. Got {names} instead."
            )
        self._check_open()
        return self._sess.run_step_fn(step_fn)

    def should_stop(self) -> bool:
        """Whether the training is to end: a hook or a thread wants it, or the session is closed."""
        return self._sess is None or self._sess.should_stop()

    def close(self) -> None:
        """Calls the hooks' `end`, ends the threads and closes the session.

        Raises:
          RuntimeError: it is closed already.
          BaseException: what was wrong with a thread.
        """
        self._close(call_hooks=True)

    def _close(self, call_hooks: bool) -> None:
        self._check_open()
        try:
            if call_hooks:
                for hook in self._hooks:
                    hook.end(self._tf_sess())
        finally:
            try:
                self._sess.close()
            finally:
                self._sess = None
                self._coordinated_creator.tf_sess = None
                self._coordinated_creator.coord = None
                if not self._graph_was_finalized:
                    self._graph._unsafe_unfinalize()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Closes the session. OutOfRangeError and StopIteration are normal ends, at other errors no hook is called."""
        is_normal = kind in (None, errors.OutOfRangeError, StopIteration)
        self._close(call_hooks=is_normal)
        return is_normal


@export(v1=["train.MonitoredSession"])
class MonitoredSession(_MonitoredSession):
    """A session that initialises or restores a model, starts its threads, calls hooks, and recovers.

    When it is made, it calls the hooks' `begin`, finalises the graph, makes a session, starts the queue runners and
    calls the hooks' `after_create_session`. Where a run fails with AbortedError or UnavailableError, the session is
    made anew, from the newest checkpoint where there is one, and the run is repeated.

    As a context manager it closes at the end; `OutOfRangeError` (the input is at its end) and `StopIteration` leave the
    block as a normal end.

    Args:
      session_creator: makes the session; default: `ChiefSessionCreator()`.
      hooks: `SessionRunHook`s, called in this order.
      stop_grace_period_secs: how long the threads may take to end.

    Example:
      >>> hooks = [tf.train.StopAtStepHook(last_step=1000)]
      >>> with tf.train.MonitoredSession(tf.train.ChiefSessionCreator(checkpoint_dir="model"), hooks) as sess:
      ...   while not sess.should_stop():
      ...     sess.run(train_op)
    """

    def __init__(
        self,
        session_creator: SessionCreator | None = None,
        hooks: Sequence[SessionRunHook] | None = None,
        stop_grace_period_secs: float = 120,
    ) -> None:
        super().__init__(session_creator, hooks, True, stop_grace_period_secs)


@export(v1=["train.SingularMonitoredSession"])
class SingularMonitoredSession(_MonitoredSession):
    """A `MonitoredSession` that does not recover; what is lost is an error. It can be used where a session is needed.

    Args:
      hooks: `SessionRunHook`s.
      scaffold: the `Scaffold`; default: a new one.
      master: the session's target: "".
      config: its `ConfigProto`.
      checkpoint_dir: the folder whose newest checkpoint is restored.
      stop_grace_period_secs: how long the threads may take to end.
      checkpoint_filename_with_path: the checkpoint, in place of a folder.
    """

    def __init__(
        self,
        hooks: Sequence[SessionRunHook] | None = None,
        scaffold: Scaffold | None = None,
        master: str = "",
        config: Any = None,
        checkpoint_dir: str | None = None,
        stop_grace_period_secs: float = 120,
        checkpoint_filename_with_path: str | None = None,
    ) -> None:
        creator = ChiefSessionCreator(scaffold, master, config, checkpoint_dir, checkpoint_filename_with_path)
        super().__init__(creator, hooks, False, stop_grace_period_secs)

    def raw_session(self) -> Any:
        """The session itself."""
        return self._tf_sess()


@export(v1=["train.MonitoredTrainingSession"])
def MonitoredTrainingSession(  # noqa: N802 - TensorFlow's name
    master: str = "",
    is_chief: bool = True,
    checkpoint_dir: str | None = None,
    scaffold: Scaffold | None = None,
    hooks: Sequence[SessionRunHook] | None = None,
    chief_only_hooks: Sequence[SessionRunHook] | None = None,
    save_checkpoint_secs: Any = USE_DEFAULT,
    save_summaries_steps: Any = USE_DEFAULT,
    save_summaries_secs: Any = USE_DEFAULT,
    config: Any = None,
    stop_grace_period_secs: float = 120,
    log_step_count_steps: int | None = 100,
    max_wait_secs: float = 7200,
    save_checkpoint_steps: Any = USE_DEFAULT,
    summary_dir: str | None = None,
) -> MonitoredSession:
    """Makes the `MonitoredSession` of a training program: with checkpoints and summaries.

    Args:
      master: the session's target: "".
      is_chief: whether this program initialises, saves and summarises; others wait until the model is ready.
      checkpoint_dir: the folder of checkpoints. The newest one is restored, and new ones are saved there.
      scaffold: the `Scaffold`; default: a new one.
      hooks: `SessionRunHook`s.
      chief_only_hooks: more, which are called first where `is_chief`.
      save_checkpoint_secs: saves every so many seconds; default: 600, unless `save_checkpoint_steps` is given. 0 or
        None: not.
      save_summaries_steps: writes summaries every so many steps; default: 100, unless `save_summaries_secs` is given. 0
        or None: not.
      save_summaries_secs: writes summaries every so many seconds.
      config: the session's `ConfigProto`.
      stop_grace_period_secs: how long the threads may take to end.
      log_step_count_steps: logs the steps a second every so many steps; 0 or None: not.
      max_wait_secs: how long a program that is not the chief waits.
      save_checkpoint_steps: saves every so many steps.
      summary_dir: the folder of the event file; default: `checkpoint_dir`. None: no summaries.

    Example:
      >>> with tf.train.MonitoredTrainingSession(checkpoint_dir="model", save_checkpoint_steps=1000) as sess:
      ...   while not sess.should_stop():
      ...     sess.run(train_op)
    """
    scaffold = Scaffold() if scaffold is None else scaffold
    if not is_chief:
        worker = WorkerSessionCreator(scaffold, master, config, max_wait_secs)
        return MonitoredSession(worker, hooks, stop_grace_period_secs)
    save_secs, save_steps = _choose(save_checkpoint_secs, save_checkpoint_steps, _DEFAULT_CHECKPOINT_SECONDS)
    summary_steps, summary_secs = _choose(save_summaries_steps, save_summaries_secs, _DEFAULT_SUMMARY_STEPS)
    summary_dir = summary_dir or checkpoint_dir
    all_hooks = list(chief_only_hooks or ())
    if summary_dir:
        if log_step_count_steps and log_step_count_steps > 0:
            all_hooks.append(StepCounterHook(output_dir=summary_dir, every_n_steps=log_step_count_steps))
        if _is_positive(summary_steps) or _is_positive(summary_secs):
            all_hooks.append(SummarySaverHook(summary_steps, summary_secs, summary_dir, scaffold=scaffold))
    if checkpoint_dir and (_is_positive(save_secs) or _is_positive(save_steps)):
        all_hooks.append(CheckpointSaverHook(checkpoint_dir, save_secs, save_steps, scaffold=scaffold))
    all_hooks.extend(hooks or ())
    chief = ChiefSessionCreator(scaffold, master, config, checkpoint_dir)
    return MonitoredSession(chief, all_hooks, stop_grace_period_secs)


def _choose(first: Any, second: Any, default: float) -> tuple[Any, Any]:
    """Two ways to say how often; where neither is said, the first is `default`, and what is not said is None."""
    if first is USE_DEFAULT and second is USE_DEFAULT:
        return default, None
    return (None if first is USE_DEFAULT else first), (None if second is USE_DEFAULT else second)


def _is_positive(number: float | None) -> bool:
    return number is not None and number > 0
