"""Hooks that tell how the training goes: values, steps a second, a loss that is no number any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from millstream.core.export import export
from millstream.core.graph import get_default_graph
from millstream.core.log import tensorflow_logger
from millstream.platform import tf_logging
from millstream.train.session_run_hook import SessionRunArgs, SessionRunContext, SessionRunHook, SessionRunValues
from millstream.train.step_hooks import due_step, required_step
from millstream.train.step_timer import SecondOrStepTimer
from millstream.train.training_util import get_global_step


def _named_tensor(name_or_tensor: Any) -> Any:
    """The tensor of the default graph that a name, with or without `:0`, or the tensor itself stands for.

    Raises:
      ValueError: an operation of that name has several outputs, or the tensor belongs to another graph.
    """
    graph = get_default_graph()
    if not isinstance(name_or_tensor, str):
        if getattr(name_or_tensor, "graph", None) is not graph:
            raise ValueError(
                f"Passed {name_or_tensor} should have graph attribute that is equal to current graph {graph}."
            )
        return name_or_tensor
    if ":" in name_or_tensor:
        return graph.as_graph_element(name_or_tensor)
    tensor = graph.as_graph_element(f"{name_or_tensor}:0")
    if len(tensor.op.outputs) > 1:
        raise ValueError(f"Name {name_or_tensor} is ambiguous, as this `Operation` has multiple outputs (at least 2).")
    return tensor


@export(v1=["train.LoggingTensorHook", "estimator.LoggingTensorHook"])
class LoggingTensorHook(SessionRunHook):
    """Logs the values of tensors, at level INFO: `loss = 0.5, step = 100 (1.234 sec)`.

    Args:
      tensors: a dictionary from labels to tensors or their names, logged in the order of the labels; or a list of
        tensors or names.
      every_n_iter: logs at the first run of so many.
      every_n_secs: logs when so many seconds have passed.
      at_end: logs when the session ends; alone: only then.
      formatter: makes the line out of the dictionary from labels to values.

    Raises:
      ValueError: both of `every_n_iter` and `every_n_secs` are given, or nothing is; or `every_n_iter` is not positive.

    Example:
      >>> tf.logging.set_verbosity(tf.logging.INFO)
      >>> tf.train.LoggingTensorHook({"loss": loss}, every_n_iter=100)
    """

    def __init__(
        self,
        tensors: Mapping[str, Any] | Sequence[Any],
        every_n_iter: int | None = None,
        every_n_secs: float | None = None,
        at_end: bool = False,
        formatter: Callable[[dict[Any, Any]], str] | None = None,
    ) -> None:
        only_at_end = at_end and every_n_iter is None and every_n_secs is None
        if not only_at_end and (every_n_iter is None) == (every_n_secs is None):
            raise ValueError(
                "either at_end and/or exactly one of every_n_iter and every_n_secs must be provided."
            )
        if every_n_iter is not None and every_n_iter <= 0:
            raise ValueError(f"invalid every_n_iter={every_n_iter}.")
        by_label = isinstance(tensors, Mapping)
        self._tensors = dict(tensors) if by_label else {item: item for item in tensors}
        self._tag_order = sorted(tensors) if by_label else list(tensors)
        self._formatter = formatter
        self._timer = None if only_at_end else SecondOrStepTimer(every_secs=every_n_secs, every_steps=every_n_iter)
        self._log_at_end = at_end

    def begin(self) -> None:
        self._iter_count = 0
        if self._timer is not None:
            self._timer.reset()
        self._current_tensors = {tag: _named_tensor(tensor) for tag, tensor in self._tensors.items()}

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        self._should_trigger = self._timer is not None and self._timer.should_trigger_for_step(self._iter_count)
        return SessionRunArgs(self._current_tensors) if self._should_trigger else None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        if self._should_trigger:
            self._log_tensors(run_values.results)
        self._iter_count += 1

    def end(self, session: Any) -> None:
        if self._log_at_end:
            self._log_tensors(session.run(self._current_tensors))

    def _log_tensors(self, tensor_values: dict[Any, Any]) -> None:
        seconds = None
        if self._timer is not None:
            seconds, _ = self._timer.update_last_triggered_step(self._iter_count)
        with np.printoptions(suppress=True):  # 0.00001, not 1e-05
            if self._formatter is not None:
                line = self._formatter(tensor_values)
            else:
                line = ", ".join(f"{tag} = {tensor_values[tag]!s}" for tag in self._tag_order)
                line += "" if seconds is None else f" ({seconds:.3f} sec)"
        tensorflow_logger().info("%s", line)


@export(v1=["train.StepCounterHook", "estimator.StepCounterHook"])
class StepCounterHook(SessionRunHook):
    """Logs how many steps a second there are, and writes it as a summary: `global_step/sec: 12.5`.

    Args:
      every_n_steps: how often, in steps.
      every_n_secs: how often, in seconds; then `every_n_steps` must be None.
      output_dir: the folder of the event file; None: nothing is written.
      summary_writer: the `tf.summary.FileWriter`, in place of that folder's.

    Raises:
      ValueError: both or none of `every_n_steps` and `every_n_secs` are given.
    """

    def __init__(
        self,
        every_n_steps: int | None = 100,
        every_n_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: Any = None,
    ) -> None:
        if (every_n_steps is None) == (every_n_secs is None):
            raise ValueError("exactly one of every_n_steps and every_n_secs should be provided.")
        self._timer = SecondOrStepTimer(every_steps=every_n_steps, every_secs=every_n_secs)
        self._summary_writer = summary_writer
        self._output_dir = output_dir
        self._last_global_step: int | None = None

    def begin(self) -> None:
        if self._summary_writer is None and self._output_dir:
            from millstream.summary.file_writer import FileWriterCache

            self._summary_writer = FileWriterCache.get(self._output_dir)
        self._global_step_tensor = required_step("StepCounterHook")
        self._summary_tag = f"{get_global_step().op.name}/sec"

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs(self._global_step_tensor)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        before = run_values.results
        step = due_step(self._timer, before, self._global_step_tensor, run_context.session)
        if step is not None:
            seconds, steps = self._timer.update_last_triggered_step(step)
            if seconds is not None and steps is not None:
                self._log_and_record(steps, seconds, step)
        if before == self._last_global_step:
            tf_logging.log_first_n(tf_logging.WARN, _STEP_STANDS_STILL, 5, before, self._last_global_step)
        self._last_global_step = before

    def _log_and_record(self, elapsed_steps: int, elapsed_time: float, global_step: int) -> None:
        rate = elapsed_steps / elapsed_time if elapsed_time else float("inf")
        if self._summary_writer is not None:
            from millstream.io import proto

            value = proto.Summary.Value(tag=self._summary_tag, simple_value=rate)
            self._summary_writer.add_summary(proto.Summary(value=[value]), global_step)
        tensorflow_logger().info("%s: %g", self._summary_tag, rate)


_STEP_STANDS_STILL = (
    "It seems that global step (tf.train.get_global_step) has not been increased. Current value (could be stable): %s "
    "vs previous value: %s. You could increase the global step by passing tf.train.get_global_step() to "
    "Optimizer.apply_gradients or Optimizer.minimize."
)


@export(v1=["train.NanLossDuringTrainingError", "estimator.NanLossDuringTrainingError"])
class NanLossDuringTrainingError(RuntimeError):
    """The loss is no number any more."""

    def __str__(self) -> str:
        return "NaN loss during training."


@export(v1=["train.NanTensorHook", "estimator.NanTensorHook"])
class NanTensorHook(SessionRunHook):
    """Ends the training when the loss is NaN.

    Args:
      loss_tensor: the loss, or its name.
      fail_on_nan_loss: True: with NanLossDuringTrainingError; False: like any other end.
    """

    def __init__(self, loss_tensor: Any, fail_on_nan_loss: bool = True) -> None:
        self._loss_tensor = loss_tensor
        self._fail_on_nan_loss = fail_on_nan_loss

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs(self._loss_tensor)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        if not np.isnan(run_values.results):
            return
        message = "Model diverged with loss = NaN."
        if self._fail_on_nan_loss:
            tensorflow_logger().error(message)
            raise NanLossDuringTrainingError
        tensorflow_logger().warning(message)
        run_context.request_stop()
