"""Hooks that follow the global step: what they share, and those that only stop or wait by it."""

from __future__ import annotations

import time
from typing import Any

from millstream.core.export import export
from millstream.core.log import tensorflow_logger
from millstream.core.tensor import Tensor
from millstream.train.session_run_hook import SessionRunArgs, SessionRunContext, SessionRunHook, SessionRunValues
from millstream.train.step_timer import SecondOrStepTimer
from millstream.train.training_util import get_or_create_global_step_read

_WAIT_SECONDS = 0.5
_STEPS_BETWEEN_MESSAGES = 1000


def required_step(hook: str) -> Tensor:
    """A tensor that reads the global step of the default graph.

    Raises:
      RuntimeError: the graph has none, which `hook` needs.
    """
    step = get_or_create_global_step_read()
    if step is None:
        raise RuntimeError(f"Global step should be created to use {hook}.")
    return step


def due_step(timer: SecondOrStepTimer, step_before: int, step: Tensor, session: Any) -> int | None:
    """The global step after a run, where the timer says that it is time; else None.

    A run reads the step before it is increased, so one more is what is expected; only where that triggers the step is
    read again, as others may have increased it too.
    """
    if not timer.should_trigger_for_step(step_before + 1):
        return None
    found: int = session.run(step)
    return found if timer.should_trigger_for_step(found) else None


@export(v1=["train.StopAtStepHook", "estimator.StopAtStepHook"])
class StopAtStepHook(SessionRunHook):
    """Ends the training at a step.

    Args:
      num_steps: so many steps after the one at which the session begins.
      last_step: when the global step has reached this.

    Raises:
      ValueError: neither is given, or both are.
    """

    def __init__(self, num_steps: int | None = None, last_step: int | None = None) -> None:
        if num_steps is None and last_step is None:
            raise ValueError("One of num_steps or last_step must be specified.")
        if num_steps is not None and last_step is not None:
            raise ValueError("Only one of num_steps or last_step can be specified.")
        self._num_steps = num_steps
        self._last_step = last_step

    def begin(self) -> None:
        self._global_step_tensor = required_step("StopAtStepHook")

    def after_create_session(self, session: Any, coord: Any) -> None:
        if self._last_step is None:
            self._last_step = session.run(self._global_step_tensor) + self._num_steps

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        return SessionRunArgs(self._global_step_tensor)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        if run_values.results + 1 < self._last_step:
            return
        if run_context.session.run(self._global_step_tensor) >= self._last_step:
            run_context.request_stop()


@export(v1=["train.GlobalStepWaiterHook", "estimator.GlobalStepWaiterHook"])
class GlobalStepWaiterHook(SessionRunHook):
    """Delays the first run until others have brought the global step so far, so that workers start one by one.

    Args:
      wait_until_step: the global step; 0: there is no delay.
    """

    def __init__(self, wait_until_step: int) -> None:
        self._wait_until_step = wait_until_step
        self._has_waited = wait_until_step <= 0

    def begin(self) -> None:
        self._global_step_tensor = required_step("_GlobalStepWaiterHook")

    def before_run(self, run_context: SessionRunContext) -> None:
        if self._has_waited:
            return
        log, wanted, logged = tensorflow_logger(), self._wait_until_step, 0
        log.info("Waiting for global step %d before starting training.", wanted)
        while (step := run_context.session.run(self._global_step_tensor)) < wanted:
            if step - logged > _STEPS_BETWEEN_MESSAGES:
                log.info("Waiting for global step %d before starting training. Current step is %d.", wanted, step)
                logged = step
            time.sleep(_WAIT_SECONDS)
        self._has_waited = True
