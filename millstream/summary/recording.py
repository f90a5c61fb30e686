"""Where, whether and with which step the summaries of a thread are written."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from millstream.core.export import export
from millstream.core.tensor import Tensor
from millstream.ops.comparison_ops import logical_and
from millstream.ops.constant_op import constant

if TYPE_CHECKING:
    from millstream.summary.writers import SummaryWriter


class _Recording(threading.local):
    """The writer, step and condition in force in a thread."""

    writer: SummaryWriter | None = None
    step: Any = None
    condition: Any = None  # a bool, a tensor, a function that gives one of these; None: none was set


current = _Recording()


@contextmanager
def recorded_if(condition: Any) -> Iterator[None]:
    """Sets the condition within a `with` block."""
    before = current.condition
    current.condition = condition
    try:
        yield
    finally:
        current.condition = before


@export(v2=["summary.record_if"])
@contextmanager
def record_if(condition: bool | Tensor | Callable[[], Any]) -> Iterator[bool | Tensor | Callable[[], Any]]:
    """Summaries are written within a `with` block only where a condition holds.

    Args:
      condition: a bool, a boolean scalar tensor, or a function that gives one and is called for each summary.

    Example:
      >>> with tf.summary.record_if(lambda: step % 100 == 0):
      ...   tf.summary.scalar("loss", loss, step)
    """
    with recorded_if(condition):
        yield condition


@export(v2=["summary.should_record_summaries"])
def should_record_summaries() -> Tensor:
    """Whether summaries are written now, a scalar: there is a writer, and the condition of `record_if` holds."""
    if current.writer is None:
        return constant(False)
    return condition_tensor(default=True)


def condition_tensor(default: bool) -> Tensor:
    """The condition in force as a boolean scalar tensor; `default` where none was set."""
    return logical_and(True, _condition(default))


def holds_now(default: bool) -> bool:
    """Whether the condition in force holds, in eager execution."""
    return bool(_condition(default))


def _condition(default: bool) -> Any:
    condition = current.condition
    if condition is None:
        return default
    return condition() if callable(condition) else condition


@export(v2=["summary.experimental.get_step"])
def get_step() -> Any:
    """The step that was set for this thread: an integer, tensor or variable; None where none was set."""
    return current.step


@export(v2=["summary.experimental.set_step"])
def set_step(step: Any) -> None:
    """Sets the step of this thread's summaries, for those that are not given one.

    Args:
      step: an integer, or an int64 scalar tensor or variable, which is read anew for each summary; None: no step.

    Functions of `tf.function` keep the step of their trace, unless it is a variable.
    """
    current.step = step


def given_step(step: Any) -> Any:
    """The step of a summary.

    Raises:
      ValueError: none is given, and none was set.
    """
    chosen = current.step if step is None else step
    if chosen is None:
        raise ValueError(
            "No step set. Please specify one either through the `step` argument or through "
            "tf.summary.experimental.set_step()"
        )
    return chosen

