"""Which functions are not converted, and whether conversion is off now."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

UNSPECIFIED: Any = type("Unspecified", (), {"__repr__": lambda self: "UNSPECIFIED"})()
_MARK = "autograph_info__"  # the name that generated code uses


class _Status(threading.local):
    disabled = False


_status = _Status()


def is_disabled() -> bool:
    """Whether a function that is not to be converted is being called."""
    return _status.disabled


@contextmanager
def disabled() -> Iterator[None]:
    """Turns conversion off within a `with` block."""
    old = _status.disabled
    _status.disabled = True
    try:
        yield
    finally:
        _status.disabled = old


@contextmanager
def enabled() -> Iterator[None]:
    """Turns conversion on within a `with` block: a `tf.function` is converted wherever it is called."""
    old = _status.disabled
    _status.disabled = False
    try:
        yield
    finally:
        _status.disabled = old


def exempt(function: Any) -> Any:
    """Marks a function as one that is converted already, or never will be."""
    setattr(getattr(function, "__func__", function), _MARK, None)
    return function


def is_exempt(function: Any) -> bool:
    """Whether a function is marked so."""
    return hasattr(function, _MARK)
