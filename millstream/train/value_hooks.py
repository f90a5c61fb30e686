"""Hooks that bring values in and out: a feed for each run, and results at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from millstream.core import errors
from millstream.core.export import export
from millstream.core.log import tensorflow_logger
from millstream.train.session_run_hook import SessionRunArgs, SessionRunContext, SessionRunHook


@export(v1=["train.FeedFnHook", "estimator.FeedFnHook"])
class FeedFnHook(SessionRunHook):
    """Feeds each run.

    Args:
      feed_fn: called before each run without arguments; gives the feed dictionary.
    """

    def __init__(self, feed_fn: Callable[[], Mapping[Any, Any]]) -> None:
        self.feed_fn = feed_fn

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs(fetches=None, feed_dict=self.feed_fn())


@export(v1=["train.FinalOpsHook", "estimator.FinalOpsHook"])
class FinalOpsHook(SessionRunHook):
    """Evaluates tensors when the session ends.

    Args:
      final_ops: what to fetch, as for `tf.Session.run`; None: nothing.
      final_ops_feed_dict: what to feed then.
    """

    def __init__(self, final_ops: Any, final_ops_feed_dict: Mapping[Any, Any] | None = None) -> None:
        self._final_ops = final_ops
        self._final_ops_feed_dict = final_ops_feed_dict
        self._final_ops_values: Any = None

    @property
    def final_ops_values(self) -> Any:
        """The values, in the structure of `final_ops`; None before the end."""
        return self._final_ops_values

    def end(self, session: Any) -> None:
        if self._final_ops is None:
            return
        try:
            self._final_ops_values = session.run(self._final_ops, feed_dict=self._final_ops_feed_dict)
        except (errors.OutOfRangeError, StopIteration):
            tensorflow_logger().warning(_READS_INPUT)
            raise


_READS_INPUT = (
    "An OutOfRangeError or StopIteration exception is raised by the code in FinalOpsHook. This typically means the "
    "Ops running by the FinalOpsHook have a dependency back to some input source, which should not happen. For "
    "example, for metrics in tf.estimator.Estimator, all metrics functions return two Ops: `value_op` and  "
    "`update_op`. Estimator.evaluate calls the `update_op` for each batch of the data in input source and, once it "
    "is exhausted, it call the `value_op` to get the metric values. The `value_op` here should have dependency back "
    "to variables reading only, rather than reading another batch from input. Otherwise, the `value_op`, executed by "
    "`FinalOpsHook`, triggers another data reading, which ends OutOfRangeError/StopIteration. Please fix that."
)
