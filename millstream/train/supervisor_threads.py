"""The threads of a `Supervisor`: summaries, steps a second, checkpoints."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from millstream.core.log import tensorflow_logger
from millstream.train import training_util
from millstream.train.coordinator import LooperThread

if TYPE_CHECKING:
    from millstream.train.supervisor import Supervisor


class _SupervisorThread(LooperThread):
    """A thread that works for a supervisor every so many seconds.

    Args:
      sv: the supervisor.
      sess: the session.
      interval_secs: the seconds between two turns.
    """

    def __init__(self, sv: Supervisor, sess: Any, interval_secs: float) -> None:
        super().__init__(sv.coord, interval_secs)
        self._sv = sv
        self._sess = sess

    def _step(self) -> int:
        """The global step."""
        return training_util.global_step(self._sess, self._sv.global_step)


class SVSummaryThread(_SupervisorThread):
    """Writes the summaries."""

    def __init__(self, sv: Supervisor, sess: Any) -> None:
        super().__init__(sv, sess, sv.save_summaries_secs)

    def run_loop(self) -> None:
        """Writes them once."""
        sv = self._sv
        if sv.global_step is not None:
            summary, step = self._sess.run([sv.summary_op, sv.global_step])
        else:
            summary, step = self._sess.run(sv.summary_op), None
        if sv.summary_writer:
            tensorflow_logger().info("Recording summary at step %s.", step)
            sv.summary_writer.add_summary(summary, step)


class SVStepCounterThread(_SupervisorThread):
    """Logs how many steps a second there are, and writes it as a summary.

    Args:
      sv: the supervisor.
      sess: the session.
      step_counter: the integer scalar that counts the steps; default: the supervisor's global step.
    """

    def __init__(self, sv: Supervisor, sess: Any, step_counter: Any = None) -> None:
        super().__init__(sv, sess, sv.save_summaries_secs)
        self._step_counter = sv.global_step if step_counter is None else step_counter
        self._summary_tag = f"{self._step_counter.op.name}/sec"
        self._last_time = 0.0
        self._last_step = 0

    def _count(self) -> int:
        return training_util.global_step(self._sess, self._step_counter)

    def start_loop(self) -> None:
        """Notes where the counting begins."""
        self._last_time, self._last_step = time.time(), self._count()

    def run_loop(self) -> None:
        """Writes the rate since the turn before."""
        step, now = self._count(), time.time()
        seconds = now - self._last_time
        rate = (step - self._last_step) / seconds if seconds else float("inf")
        self._last_time, self._last_step = now, step
        if self._sv.summary_writer:
            from millstream.io import proto

            value = proto.Summary.Value(tag=self._summary_tag, simple_value=rate)
            self._sv.summary_writer.add_summary(proto.Summary(value=[value]), step)
        tensorflow_logger().info("%s: %g", self._summary_tag, rate)


class SVTimerCheckpointThread(_SupervisorThread):
    """Saves checkpoints."""

    def __init__(self, sv: Supervisor, sess: Any) -> None:
        super().__init__(sv, sess, sv.save_model_secs)

    def run_loop(self) -> None:
        """Saves one."""
        sv = self._sv
        tensorflow_logger().info("Saving checkpoint to path %s", sv.save_path)
        sv.saver.save(self._sess, sv.save_path, global_step=sv.global_step)
        if sv.summary_writer and sv.global_step is not None:
            from millstream.io import proto

            saved = proto.SessionLog(status=proto.SessionLog.CHECKPOINT, checkpoint_path=sv.save_path)
            sv.summary_writer.add_session_log(saved, self._step())
