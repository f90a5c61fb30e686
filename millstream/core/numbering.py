"""How many operations TensorFlow 1's graph of a program has: random operations without a seed take theirs from it.

Where Millstream needs another number of operations than TensorFlow 1 (a condition is one, not a dozen), it says so.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Numbering:
    """Counts the operations of a 1.x graph, those of its branches and loops included, as TensorFlow 1 does.

    Attributes:
      last: the number of operations so far.
    """

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = 0

    def skip(self, count: int) -> None:
        """TensorFlow's graph has `count` operations here for which this one has none."""
        self.last += count

    @contextmanager
    def stands_for(self, count: int) -> Iterator[None]:
        """What is made inside, however many operations, stands for `count` operations of TensorFlow's graph."""
        before = self.last
        try:
            yield
        finally:
            self.last = before + count

    @contextmanager
    def restarted(self) -> Iterator[None]:
        """What is made inside is numbered from 1, as in a function, and is none of the graph's operations."""
        before, self.last = self.last, 0
        try:
            yield
        finally:
            self.last = before
