"""Whether operations run at once (eager) or build a graph, for each thread; and the scopes that eager code is in."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from millstream.core.export import export

# Runs an operation at once: (definition, inputs, attrs, name) -> tensors. Installed by the eager runtime.
EAGER_EXECUTOR: list[Callable[..., Any]] = []


class _Context(threading.local):
    """What a thread does now."""

    eager: bool | None = None  # None: what the process does by default
    scope_name = ""  # the eager name scope, without a final "/"
    devices: tuple[str | None, ...] = ()  # the eager device scopes, the outermost first


current = _Context()
_default_eager = False


@export("executing_eagerly")
def executing_eagerly() -> bool:
    """Whether operations called in this thread run at once rather than build a graph.

    True in 2.x programs, but for functions decorated with `tf.function` and blocks of `tf.Graph().as_default()`.
    """
    return _default_eager if current.eager is None else current.eager


def eager_by_default() -> bool:
    """What threads do that have not entered a mode of their own."""
    return _default_eager


def set_default_mode(eager: bool) -> None:
    """Sets what threads do that have not entered a mode of their own."""
    global _default_eager
    _default_eager = eager


@contextmanager
def mode(eager: bool | None) -> Iterator[None]:
    """Enters eager or graph mode within a `with` block; None: what the process does by default."""
    old = current.eager
    current.eager = eager
    try:
        yield
    finally:
        current.eager = old


@contextmanager
def scope(name: str) -> Iterator[str]:
    """Makes `name` the eager name scope within a `with` block; gives it with a final `/`."""
    old = current.scope_name
    current.scope_name = name
    try:
        yield name + "/" if name else ""
    finally:
        current.scope_name = old


@contextmanager
def device(name: str | None) -> Iterator[None]:
    """Has eager operations inside run on a device; None puts outer scopes out of force."""
    old = current.devices
    current.devices = (*old, name)
    try:
        yield
    finally:
        current.devices = old
