"""The stack of default sessions. Sessions live in `runtime`; the graph only needs to find the current one."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from millstream.core.export import export

if TYPE_CHECKING:
    from millstream.core.graph import Graph


class _Stack(threading.local):
    def __init__(self) -> None:
        self.sessions: list[Any] = []


_stack = _Stack()


@export(v1=["get_default_session"])
def get_default_session() -> Any:
    """The innermost session of this thread entered with `with` or `as_default`, or None."""
    return _stack.sessions[-1] if _stack.sessions else None


def push(session: Any) -> None:
    """Makes `session` the default until `remove`."""
    _stack.sessions.append(session)


def remove(session: Any) -> None:
    """Takes the innermost entry of `session` off the stack, wherever it stands."""
    for position in range(len(_stack.sessions) - 1, -1, -1):
        if _stack.sessions[position] is session:
            del _stack.sessions[position]
            return


@contextmanager
def default_session(session: Any) -> Iterator[Any]:
    """Makes `session` the default within a `with` block."""
    push(session)
    try:
        yield session
    finally:
        remove(session)


def session_for(graph: Graph, session: Any, action: str, method: str) -> Any:
    """The session to run a part of `graph` in: `session`, or the default one.

    Raises:
      ValueError: no session is there, or it belongs to another graph.
    """
    if session is None:
        session = get_default_session()
        if session is None:
            raise ValueError(
                f"Cannot {action} using `{method}()`: No default session is registered. "
                f"Use `with sess.as_default()` or pass an explicit session to `{method}(session=sess)`"
            )
        if session.graph is not graph:
            raise ValueError(
                f"Cannot use the default session to {action}: the tensor's graph is different from the session's "
                f"graph. Pass an explicit session to `{method}(session=sess)`."
            )
    elif session.graph is not graph:
        raise ValueError(
            f"Cannot use the given session to {action}: the tensor's graph is different from the session's graph."
        )
    return session
