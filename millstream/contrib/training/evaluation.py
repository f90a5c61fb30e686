"""Evaluating the checkpoints that a training program writes, once or whenever there is a new one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from millstream.core import dtypes
from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.graph_keys import GraphKeys
from millstream.core.log import tensorflow_logger
from millstream.core.scopes import control_dependencies
from millstream.core.tensor import Tensor
from millstream.core.variable_scope import get_variable
from millstream.ops.identity_ops import identity
from millstream.ops.init_ops import Zeros
from millstream.ops.state_ops import assign_add
from millstream.summary.summary import merge_all
from millstream.train.checkpoint_management import checkpoints_iterator
from millstream.train.monitored_session import MonitoredSession
from millstream.train.scaffold import Scaffold
from millstream.train.session_creators import ChiefSessionCreator
from millstream.train.session_run_hook import SessionRunArgs, SessionRunContext, SessionRunHook, SessionRunValues
from millstream.train.training_util import get_global_step
from millstream.train.value_hooks import FinalOpsHook

_NOW = "%Y-%m-%d-%H:%M:%S"


@export(v1=["contrib.training.get_or_create_eval_step"])
def get_or_create_eval_step() -> Any:
    """The step of an evaluation: an int64 scalar, a local variable called `eval_step`, made where there is none.

    Raises:
      ValueError: the graph has several.
    """
    found = get_default_graph().get_collection(GraphKeys.EVAL_STEP)
    if len(found) > 1:
        raise ValueError("Multiple tensors added to tf.GraphKeys.EVAL_STEP")
    if found:
        return found[0]
    return get_variable(
        GraphKeys.EVAL_STEP,
        shape=[],
        dtype=dtypes.int64,
        initializer=Zeros(),
        trainable=False,
        collections=[GraphKeys.LOCAL_VARIABLES, GraphKeys.EVAL_STEP],
    )


# --- Hooks -----------------------------------------------------------------------------------------------------------


@export(v1=["contrib.training.StopAfterNEvalsHook"])
class StopAfterNEvalsHook(SessionRunHook):
    """Ends an evaluation after so many batches.

    Args:
      num_evals: how many; None: the hook only logs.
      log_progress: whether to log how far it is.
    """

    def __init__(self, num_evals: int | None, log_progress: bool = True) -> None:
        self._num_evals = num_evals
        self._evals_completed: Tensor | None = None
        self._log_progress = log_progress
        self._log_frequency = 1 if num_evals is None or num_evals < 20 else num_evals // 10

    def _set_evals_completed_tensor(self, updated_eval_step: Tensor) -> None:
        """Says what counts the batches: a tensor that is one more in each run."""
        self._evals_completed = updated_eval_step

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs({"evals_completed": self._evals_completed})

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        done = run_values.results["evals_completed"]
        if self._log_progress:
            if self._num_evals is None:
                tensorflow_logger().info("Evaluation [%d]", done)
            elif done % self._log_frequency == 0 or done == self._num_evals:
                tensorflow_logger().info("Evaluation [%d/%d]", done, self._num_evals)
        if self._num_evals is not None and done >= self._num_evals:
            run_context.request_stop()


@export(v1=["contrib.training.SummaryAtEndHook"])
class SummaryAtEndHook(SessionRunHook):
    """Writes summaries when an evaluation ends.

    Args:
      log_dir: the folder of the event file.
      summary_writer: the `tf.summary.FileWriter`, in place of that folder's.
      summary_op: string scalar, a serialised `Summary`; default: all in `GraphKeys.SUMMARIES`, merged.
      feed_dict: what is fed then.

    Raises:
      ValueError: neither `log_dir` nor `summary_writer` is given.
    """

    def __init__(
        self,
        log_dir: str | None = None,
        summary_writer: Any = None,
        summary_op: Any = None,
        feed_dict: Mapping[Any, Any] | None = None,
    ) -> None:
        if log_dir is None and summary_writer is None:
            raise ValueError("One of log_dir or summary_writer should be used.")
        self._given_op = summary_op
        self._summary_op = summary_op
        self._feed_dict = feed_dict
        self._summary_writer = summary_writer
        self._log_dir = log_dir

    def begin(self) -> None:
        if self._given_op is None:
            self._summary_op = merge_all()
        self._global_step = get_global_step()

    def after_create_session(self, session: Any, coord: Any) -> None:
        if self._summary_writer is None:
            from millstream.summary.file_writer import FileWriterCache

            self._summary_writer = FileWriterCache.get(self._log_dir)

    def end(self, session: Any) -> None:
        if self._summary_op is not None:
            summary = session.run(self._summary_op, self._feed_dict)
            step = None if self._global_step is None else session.run(self._global_step)
            self._summary_writer.add_summary(summary, step)
        if self._log_dir:
            self._summary_writer.flush()


# --- Evaluations -----------------------------------------------------------------------------------------------------


@export(v1=["contrib.training.evaluate_once"])
def evaluate_once(
    checkpoint_path: str | None,
    master: str = "",
    scaffold: Scaffold | None = None,
    eval_ops: Any = None,
    feed_dict: Mapping[Any, Any] | None = None,
    final_ops: Any = None,
    final_ops_feed_dict: Mapping[Any, Any] | None = None,
    hooks: Sequence[SessionRunHook] | None = None,
    config: Any = None,
) -> Any:
    """Evaluates a checkpoint.

    Args:
      checkpoint_path: the checkpoint.
      master: the session's target: "".
      scaffold: the `Scaffold`; default: a new one.
      eval_ops: what runs until a hook, such as `StopAfterNEvalsHook`, or the end of the input stops it.
      feed_dict: what is fed to it.
      final_ops: what runs once at the end.
      final_ops_feed_dict: what is fed to that.
      hooks: `SessionRunHook`s.
      config: the session's `ConfigProto`.

    Returns:
      The values of `final_ops`.
    """
    operations, final = _counted(eval_ops, hooks), FinalOpsHook(final_ops, final_ops_feed_dict)
    _log_time("Starting evaluation at ", "%Y-%m-%dT%H:%M:%SZ")
    creator = ChiefSessionCreator(scaffold, master, config, checkpoint_filename_with_path=checkpoint_path)
    with MonitoredSession(creator, [*(hooks or ()), final]) as session:
        _run_all(session, operations, feed_dict)
    _log_time("Finished evaluation at ")
    return final.final_ops_values


@export(v1=["contrib.training.evaluate_repeatedly"])
def evaluate_repeatedly(
    checkpoint_dir: str,
    master: str = "",
    scaffold: Scaffold | None = None,
    eval_ops: Any = None,
    feed_dict: Mapping[Any, Any] | None = None,
    final_ops: Any = None,
    final_ops_feed_dict: Mapping[Any, Any] | None = None,
    eval_interval_secs: float = 60,
    hooks: Sequence[SessionRunHook] | None = None,
    config: Any = None,
    max_number_of_evaluations: int | None = None,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
) -> Any:
    """Evaluates each new checkpoint of a folder.

    Args:
      checkpoint_dir: the folder.
      master, scaffold, eval_ops, feed_dict, final_ops, final_ops_feed_dict, hooks, config: as for `evaluate_once`.
      eval_interval_secs: the least time between two evaluations.
      max_number_of_evaluations: ends after so many; None: never.
      timeout: how many seconds to wait for a checkpoint; None: for ever.
      timeout_fn: called when none came in time; the evaluation ends where it gives True, or is None.

    Returns:
      The values of `final_ops` in the last evaluation.
    """
    operations, final = _counted(eval_ops, hooks), FinalOpsHook(final_ops, final_ops_feed_dict)
    count = 0
    for path in checkpoints_iterator(checkpoint_dir, eval_interval_secs, timeout, timeout_fn):
        creator = ChiefSessionCreator(scaffold, master, config, checkpoint_filename_with_path=path)
        with MonitoredSession(creator, [*(hooks or ()), final]) as session:
            _log_time("Starting evaluation at ")
            _run_all(session, operations, feed_dict)
            _log_time("Finished evaluation at ")
        count += 1
        if max_number_of_evaluations is not None and count >= max_number_of_evaluations:
            break
    return final.final_ops_values


def _counted(eval_ops: Any, hooks: Sequence[SessionRunHook] | None) -> Any:
    """`eval_ops` with what counts its runs, which hooks are told of."""
    step = get_or_create_eval_step()
    update = None if eval_ops is None else assign_add(step, 1, use_locking=True)
    if isinstance(eval_ops, dict):
        operations: Any = {**eval_ops, "update_eval_step": update}
    elif isinstance(eval_ops, (list, tuple)):
        operations = [*eval_ops, update]
    else:
        operations = None if eval_ops is None else [eval_ops, update]
    with control_dependencies([] if update is None else [update]):
        done = identity(step.read_value())
    for hook in hooks or ():
        if isinstance(hook, StopAfterNEvalsHook):
            hook._set_evals_completed_tensor(done)
    return operations


def _run_all(session: MonitoredSession, operations: Any, feed_dict: Mapping[Any, Any] | None) -> None:
    while operations is not None and not session.should_stop():
        session.run(operations, feed_dict)


def _log_time(text: str, form: str = _NOW) -> None:
    tensorflow_logger().info("%s", text + time.strftime(form, time.gmtime()))
