"""What a monitored session is made of: layers around a session, each of which adds one thing to its runs.

From the inside: `HookedSession` calls the hooks, `CoordinatedSession` ends with its threads, and with their errors,
`RecoverableSession` begins anew where the session is lost. The layer or session inside is `_sess`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from millstream.core import errors
from millstream.core.log import tensorflow_logger
from millstream.train.coordinator import Coordinator
from millstream.train.session_run_hook import SessionRunArgs, SessionRunContext, SessionRunHook, SessionRunValues

# What means that the session is lost, and nothing is wrong with the program.
PREEMPTION_ERRORS = (errors.AbortedError, errors.UnavailableError)

_REASONS = (
    "This error may also occur due to a gRPC failure caused by high memory or network bandwidth usage in the parameter "
    "servers. If this error occurs repeatedly, try increasing the number of parameter servers assigned to the job. "
    "Error: %s"
)
_LOST = (
    "This may be due to a preemption in a connected worker or parameter server. The current session will be closed and "
    f"a new session will be created. {_REASONS}"
)


class StepContext:
    """What a function that `run_step_fn` calls can do.

    Args:
      session: the session itself, whose runs no hook sees.
      run_with_hooks_fn: `run` of the monitored session.
    """

    def __init__(self, session: Any, run_with_hooks_fn: Callable[..., Any]) -> None:
        self._session = session
        self._run_with_hooks_fn = run_with_hooks_fn

    @property
    def session(self) -> Any:
        """The session itself, for what is to be done without hooks, such as initialising an iterator."""
        return self._session

    def run_with_hooks(self, *args: Any, **kwargs: Any) -> Any:
        """Runs as `MonitoredSession.run` does."""
        return self._run_with_hooks_fn(*args, **kwargs)

    def request_stop(self) -> None:
        """Ends the loop around: raises StopIteration."""
        raise StopIteration("step_fn has requested the iterations to stop.")


class SessionLayer:
    """A layer that adds nothing.

    Args:
      sess: the layer or session inside.
    """

    def __init__(self, sess: Any) -> None:
        self._sess = sess

    @property
    def graph(self) -> Any:
        """The session's graph."""
        return self._sess.graph

    @property
    def raw_session(self) -> Any:
        """The session inside all layers."""
        inside = self._sess
        return inside.raw_session if isinstance(inside, SessionLayer) else inside

    def should_stop(self) -> bool:
        """Whether the training is to end, for a reason of this layer or of one inside; and after `close`."""
        if self._sess is None or self._check_stop():
            return True
        return isinstance(self._sess, SessionLayer) and self._sess.should_stop()

    def _check_stop(self) -> bool:
        """Whether this layer has a reason to end the training."""
        return False

    def close(self) -> None:
        """Closes the session."""
        if self._sess is None:
            return
        try:
            self._sess.close()
        except PREEMPTION_ERRORS as error:
            tensorflow_logger().error(
                "An error occurred when attempting to close the session. This may be due to a preemption in a "
                "connected worker or parameter server. Error: %s",
                error,
            )
        finally:
            self._sess = None

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Runs, as `Session.run`."""
        return self._sess.run(*args, **kwargs)

    def run_step_fn(self, step_fn: Callable[[StepContext], Any]) -> Any:
        """Calls `step_fn`, whose runs with hooks go through this layer."""
        return step_fn(StepContext(self.raw_session, self.run))


class HookedSession(SessionLayer):
    """Calls the hooks before and after each run, and runs what they ask for in addition."""

    def __init__(self, sess: Any, hooks: Sequence[SessionRunHook]) -> None:
        super().__init__(sess)
        self._hooks = hooks
        self._should_stop = False

    def _check_stop(self) -> bool:
        return self._should_stop

    def run(
        self, fetches: Any, feed_dict: Mapping[Any, Any] | None = None, options: Any = None, run_metadata: Any = None
    ) -> Any:
        """Runs, as `Session.run`."""
        from millstream.io import proto

        if self.should_stop():
            raise RuntimeError("Run called even after should_stop requested.")
        all_fetches: dict[Any, Any] = {"caller": fetches}
        context = SessionRunContext(SessionRunArgs(fetches, feed_dict), self._sess)
        options = proto.RunOptions() if options is None else options
        feeds = self._call_before_run(context, all_fetches, feed_dict, options)
        run_metadata = proto.RunMetadata() if run_metadata is None else run_metadata
        values = self._sess.run(all_fetches, feed_dict=feeds, options=options, run_metadata=run_metadata)
        for hook in self._hooks:
            hook.after_run(context, SessionRunValues(values.get(hook), options, run_metadata))
        self._should_stop = self._should_stop or context.stop_requested
        return values["caller"]

    def _call_before_run(
        self, context: SessionRunContext, fetches: dict[Any, Any], user_feeds: Mapping[Any, Any] | None, options: Any
    ) -> Mapping[Any, Any] | None:
        """Adds what the hooks ask for to `fetches` and `options`; gives the feeds."""
        hook_feeds: dict[Any, Any] = {}
        for hook in self._hooks:
            request = hook.before_run(context)
            if request is None:
                continue
            if request.fetches is not None:
                fetches[hook] = request.fetches
            if request.feed_dict:
                _check_disjoint(hook_feeds, request.feed_dict, "Same tensor is fed by two hooks.")
                hook_feeds.update(request.feed_dict)
            if request.options:
                _merge_options(options, request.options)
        if not hook_feeds:
            return user_feeds
        if user_feeds:
            _check_disjoint(user_feeds, hook_feeds, "Same tensor is fed by a SessionRunHook and user.")
            hook_feeds.update(user_feeds)
        return hook_feeds


def _check_disjoint(first: Mapping[Any, Any], second: Mapping[Any, Any], message: str) -> None:
    conflicts = [key for key in first if key in second]
    if conflicts:
        raise RuntimeError(f"{message} Conflict(s): {conflicts}")


def _merge_options(options: Any, wanted: Any) -> None:
    """Changes a run's `RunOptions` so that they give all that `wanted` asks for, too."""
    options.trace_level = max(options.trace_level, wanted.trace_level)
    options.timeout_in_ms = max(options.timeout_in_ms, wanted.timeout_in_ms)
    options.inter_op_thread_pool = max(options.inter_op_thread_pool, wanted.inter_op_thread_pool)
    options.output_partition_graphs = options.output_partition_graphs or wanted.output_partition_graphs
    debug, wanted_debug = options.debug_options, wanted.debug_options
    debug.debug_tensor_watch_opts.extend(wanted_debug.debug_tensor_watch_opts)
    debug.reset_disk_byte_usage = debug.reset_disk_byte_usage or wanted_debug.reset_disk_byte_usage
    options.report_tensor_allocations_upon_oom = (
        options.report_tensor_allocations_upon_oom or wanted.report_tensor_allocations_upon_oom
    )


class CoordinatedSession(SessionLayer):
    """Ends when a thread of the session wants it to, with the error of the thread that failed.

    Args:
      sess: the layer inside.
      coord: the coordinator of the threads.
      stop_grace_period_secs: how long `close` waits for them.
    """

    def __init__(self, sess: Any, coord: Coordinator, stop_grace_period_secs: float = 120) -> None:
        super().__init__(sess)
        self._coord = coord
        self._stop_grace_period_secs = stop_grace_period_secs

    def _check_stop(self) -> bool:
        self._coord.raise_requested_exception()
        return self._coord.should_stop()

    def close(self) -> None:
        """Ends the threads, and closes the session.

        Raises:
          BaseException: what was wrong with a thread.
        """
        self._coord.request_stop()
        try:
            self._coord.join(stop_grace_period_secs=self._stop_grace_period_secs, ignore_live_threads=True)
        finally:
            try:
                super().close()
            except Exception as error:  # noqa: BLE001  (the error of the thread is the one that matters)
                logging.getLogger("millstream").debug("Ignored exception: %s", error)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Runs; where a thread has failed, which made the run fail, the error is the thread's."""
        try:
            return self._sess.run(*args, **kwargs)
        except PREEMPTION_ERRORS:
            raise
        except Exception as error:
            self._raise_of_thread(error)
            raise

    def _raise_of_thread(self, own: Exception) -> None:
        try:
            self._coord.raise_requested_exception()
        except PREEMPTION_ERRORS:
            raise
        except Exception as error:
            raise error from (None if error is own else own)


class RecoverableSession(SessionLayer):
    """Makes a new session where the old one is lost, and repeats what failed.

    Args:
      session_creator: an object whose `create_session` makes the layer inside.
    """

    def __init__(self, session_creator: Any) -> None:
        self._session_creator = session_creator
        super().__init__(self._create_session())

    def _create_session(self) -> Any:
        while True:
            try:
                return self._session_creator.create_session()
            except PREEMPTION_ERRORS as error:
                tensorflow_logger().info(
                    "An error was raised while a session was being created. This may be due to a preemption of a "
                    f"connected worker or parameter server. A new session will be created. {_REASONS}",
                    error,
                )

    def _check_stop(self) -> bool:
        try:
            return self._sess._check_stop()
        except PREEMPTION_ERRORS as error:
            what = "An error was raised while considering whether the session is complete."
            tensorflow_logger().info(f"{what} {_LOST}", error)
            self._renew()
            return False
        except Exception:  # noqa: BLE001  (it is raised when the session is closed)
            return True

    def _renew(self) -> None:
        self.close()
        self._sess = self._create_session()

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Runs, in a new session where the old one is lost."""
        return self._repeat(lambda: self._sess.run(*args, **kwargs))

    def run_step_fn(self, step_fn: Callable[[StepContext], Any]) -> Any:
        """Calls `step_fn`, and once more where the session is lost meanwhile."""
        return self._repeat(lambda: self._sess.run_step_fn(step_fn))

    def _repeat(self, act: Callable[[], Any]) -> Any:
        while True:
            try:
                if self._sess is None:
                    self._sess = self._create_session()
                return act()
            except PREEMPTION_ERRORS as error:
                tensorflow_logger().info(f"An error was raised. {_LOST}", error)
                self.close()
