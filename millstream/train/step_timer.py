"""When hooks do their work: every so many seconds, or every so many steps."""

from __future__ import annotations

import time

from millstream.core.export import export


@export(v1=["train.SecondOrStepTimer", "estimator.SecondOrStepTimer"])
class SecondOrStepTimer:
    """Triggers at the first step that it is asked about, then every so many seconds or steps.

    Args:
      every_secs: the least number of seconds between two triggers.
      every_steps: the number of steps between two triggers.

    Raises:
      ValueError: neither is given, or both are.
    """

    def __init__(self, every_secs: float | None = None, every_steps: int | None = None) -> None:
        if every_secs is None and every_steps is None:
            raise ValueError("Either every_secs or every_steps should be provided.")
        if every_secs is not None and every_steps is not None:
            raise ValueError("Can not provide both every_secs and every_steps.")
        self._every_secs = every_secs
        self._every_steps = every_steps
        self.reset()

    def reset(self) -> None:
        """Forgets the last trigger."""
        self._last_triggered_step: int | None = None
        self._last_triggered_time: float | None = None

    def should_trigger_for_step(self, step: int) -> bool:
        """Whether it is time to trigger at `step`; never twice for one step."""
        if self._last_triggered_step is None or self._last_triggered_time is None:
            return True
        if step == self._last_triggered_step:
            return False
        if self._every_secs is not None:
            return time.time() >= self._last_triggered_time + self._every_secs
        return step >= self._last_triggered_step + (self._every_steps or 0)

    def update_last_triggered_step(self, step: int) -> tuple[float | None, int | None]:
        """Notes that `step` triggered; gives the seconds and steps since the trigger before it, or (None, None)."""
        before_step, before_time = self._last_triggered_step, self._last_triggered_time
        self._last_triggered_step, self._last_triggered_time = step, time.time()
        if before_step is None or before_time is None:
            return None, None
        return self._last_triggered_time - before_time, step - before_step

    def last_triggered_step(self) -> int | None:
        """The step that triggered last; None before any."""
        return self._last_triggered_step
