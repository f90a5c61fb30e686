"""Whether operations run at once (eager) or build a graph, for each thread."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from millstream.core.export import export

# Runs an operation at once: (definition, inputs, attrs, name) -> tensors. Installed by the eager runtime.
EAGER_EXECUTOR: list[Callable[..., Any]] = []


class _Mode(threading.local):
    eager: bool | None = None


_mode = _Mode()
_default_eager = False


@export("executing_eagerly")
def executing_eagerly() -> bool:
    """Whether operations called in this thread run at once rather than build a graph."""
    return _default_eager if _mode.eager is None else _mode.eager


def set_default_mode(eager: bool) -> None:
    """Sets what threads do that have not entered a mode of their own."""
    global _default_eager
    _default_eager = eager


@contextmanager
def mode(eager: bool) -> Iterator[None]:
    """Enters eager or graph mode within a `with` block."""
    old = _mode.eager
    _mode.eager = eager
    try:
        yield
    finally:
        _mode.eager = old
