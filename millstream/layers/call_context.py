"""Which layers are being called: a layer inside of another one takes `training` from it."""
from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple


class Call(NamedTuple):
    """One call: the flat list of its inputs and whether it is for training (None: not said)."""

    inputs: Sequence[Any]
    training: Any


class _Calls(threading.local):
    """The calls that a thread is in, the outermost first."""

    def __init__(self) -> None:
        self.stack: list[Call] = []


_calls = _Calls()


def innermost_call() -> Call | None:
    """The call of the layer whose `call` method runs now; None outside of layers."""
    return _calls.stack[-1] if _calls.stack else None


@contextmanager
def calling(inputs: Sequence[Any], training: Any) -> Iterator[None]:
    """Notes a call within a `with` block."""
    _calls.stack.append(Call(inputs, training))
    try:
        yield
    finally:
        _calls.stack.pop()
