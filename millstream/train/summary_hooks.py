"""Hooks that write what TensorBoard and the trace viewer show: summaries, and the times of a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from millstream.core.export import export
from millstream.core.log import tensorflow_logger
from millstream.train.session_run_hook import SessionRunArgs, SessionRunContext, SessionRunHook, SessionRunValues
from millstream.train.step_hooks import required_step
from millstream.train.step_timer import SecondOrStepTimer

if TYPE_CHECKING:
    from millstream.train.scaffold import Scaffold


@export(v1=["train.SummarySaverHook", "estimator.SummarySaverHook"])
class SummarySaverHook(SessionRunHook):
    """Writes summaries at the first run, and then every so many steps or seconds.

    Args:
      save_steps: how often, in steps.
      save_secs: how often, in seconds.
      output_dir: the folder of the event file.
      summary_writer: the `tf.summary.FileWriter`, in place of that folder's.
      scaffold: a `Scaffold` whose `summary_op` is taken.
      summary_op: string tensor, a serialised `Summary`, or a list of these.

    Raises:
      ValueError: both or none of `save_steps` and `save_secs`, or of `scaffold` and `summary_op` are given.
    """

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: Any = None,
        scaffold: Scaffold | None = None,
        summary_op: Any = None,
    ) -> None:
        if (scaffold is None) == (summary_op is None):
            raise ValueError("Exactly one of scaffold or summary_op must be provided.")
        self._summary_op = summary_op
        self._summary_writer = summary_writer
        self._output_dir = output_dir
        self._scaffold = scaffold
        self._timer = SecondOrStepTimer(every_secs=save_secs, every_steps=save_steps)

    def begin(self) -> None:
        if self._summary_writer is None and self._output_dir:
            from millstream.summary.file_writer import FileWriterCache

            self._summary_writer = FileWriterCache.get(self._output_dir)
        self._next_step: int | None = None
        self._global_step_tensor = required_step("SummarySaverHook")

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        self._request_summary = self._next_step is None or self._timer.should_trigger_for_step(self._next_step)
        requests: dict[str, Any] = {"global_step": self._global_step_tensor}
        summaries = self._get_summary_op() if self._request_summary else None
        if summaries is not None:
            requests["summary"] = summaries
        return SessionRunArgs(requests)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        if not self._summary_writer:
            return
        step = run_values.results["global_step"] + 1
        if self._request_summary:  # the step may have moved on by more than one
            step = run_context.session.run(self._global_step_tensor)
        if self._next_step is None:
            from millstream.io import proto

            self._summary_writer.add_session_log(proto.SessionLog(status=proto.SessionLog.START), step)
        if self._request_summary:
            self._timer.update_last_triggered_step(step)
            for summary in run_values.results.get("summary", ()):
                self._summary_writer.add_summary(summary, step)
        self._next_step = step + 1

    def end(self, session: Any = None) -> None:
        if self._summary_writer:
            self._summary_writer.flush()

    def _get_summary_op(self) -> list[Any] | None:
        found = self._scaffold.summary_op if self._scaffold is not None else self._summary_op
        if found is None:
            return None
        return found if isinstance(found, list) else [found]


@export(v1=["train.ProfilerHook", "estimator.ProfilerHook"])
class ProfilerHook(SessionRunHook):
    """Traces a run every so many steps or seconds, and writes `timeline-STEP.json` for the browser's trace viewer.

    Args:
      save_steps: how often, in steps.
      save_secs: how often, in seconds.
      output_dir: the folder of the files.
      show_dataflow: as for `timeline.Timeline`.
      show_memory: as for `timeline.Timeline`.

    Raises:
      ValueError: both or none of `save_steps` and `save_secs` are given.
    """

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str = "",
        show_dataflow: bool = True,
        show_memory: bool = False,
    ) -> None:
        self._output_dir = output_dir
        self._show_dataflow = show_dataflow
        self._show_memory = show_memory
        self._timer = SecondOrStepTimer(every_secs=save_secs, every_steps=save_steps)

    def begin(self) -> None:
        from millstream.summary.file_writer import FileWriterCache

        self._file_writer = FileWriterCache.get(self._output_dir)
        self._next_step: int | None = None
        self._global_step_tensor = required_step("ProfilerHook")

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        from millstream.io import proto

        self._request_trace = self._next_step is not None and self._timer.should_trigger_for_step(self._next_step)
        options = proto.RunOptions(trace_level=proto.RunOptions.FULL_TRACE) if self._request_trace else None
        return SessionRunArgs({"global_step": self._global_step_tensor}, options=options)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        before = run_values.results["global_step"]
        if self._next_step is None:  # the first trace comes after a whole interval
            self._timer.update_last_triggered_step(before)
        step = before + 1
        if self._request_trace:
            step = run_context.session.run(self._global_step_tensor)
            self._timer.update_last_triggered_step(step)
            self._save(step, run_values.run_metadata.step_stats)
            self._file_writer.add_run_metadata(run_values.run_metadata, f"step_{step}")
        self._next_step = step + 1

    def _save(self, step: int, step_stats: Any) -> None:
        from millstream.io.gfile import GFile
        from millstream.runtime.timeline import Timeline

        path = os.path.join(self._output_dir, f"timeline-{step}.json")
        tensorflow_logger().info("Saving timeline for %d into '%s'.", step, path)
        trace = Timeline(step_stats).generate_chrome_trace_format(self._show_dataflow, self._show_memory)
        with GFile(path, "w") as file:
            file.write(trace)
