"""`tf.train.basic_train_loop`: calls a function until the supervisor stops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from millstream.core.export import export
from millstream.train.supervisor import Supervisor


@export(v1=["train.basic_train_loop"])
def basic_train_loop(
    supervisor: Supervisor,
    train_step_fn: Callable[..., Any],
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    master: str = "",
) -> None:
    """Calls `train_step_fn(session, *args, **kwargs)` until the supervisor stops.

    Args:
      supervisor: makes the session.
      train_step_fn: trains for a step.
      args, kwargs: its further arguments.
      master: the session's target: "".
    """
    with supervisor.managed_session(master) as sess:
        while not supervisor.should_stop():
            train_step_fn(sess, *(args or ()), **(kwargs or {}))
