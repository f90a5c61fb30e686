"""What is in force where a graph is being built: name, device, control and colocation scopes."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millstream.core.operation import Operation

    DeviceScope = str | Callable[[Operation], str] | None


class Controller:
    """One `control_dependencies` block: what it waits for, and the operations made inside of it."""

    __slots__ = ("operations", "seen", "outer")

    def __init__(self, operations: list[Operation], outer: bool) -> None:
        self.operations = operations
        self.seen: set[Operation] = set()
        self.outer = outer  # False: the blocks around this one are out of force


class Scopes(threading.local):
    """What is in force where a thread builds the graph: name, device, control and colocation scopes."""

    def __init__(self) -> None:
        self.name = ""
        self.devices: list[DeviceScope] = []
        self.controllers: list[Controller] = []
        self.colocation: list[Operation | str] = []  # a string: the name of an operation that is not there yet
        self.container = ""

    def take(self, other: Scopes) -> None:
        """Puts into force here what is in force in another graph, but for control dependencies."""
        self.name, self.devices = other.name, other.devices
        self.colocation, self.container = other.colocation, other.container

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Puts all but the container out of force within a `with` block."""
        old = self.name, self.devices, self.controllers, self.colocation
        self.name, self.devices, self.controllers, self.colocation = "", [], [], []
        try:
            yield
        finally:
            self.name, self.devices, self.controllers, self.colocation = old
