"""Queues of tensors: what stands behind `tf.FIFOQueue` and its kin while a graph runs.

An operation on a queue is an `Attempt`, a future of its result. Attempts wait in line: the first enqueue attempt puts
in elements as long as there is room, the first dequeue attempt takes out what is there, until neither gets on.
"""
from __future__ import annotations

import heapq
import itertools
import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from millstream.core import errors
from millstream.core.shapes import Shape
from millstream.ops import philox

Element = tuple[np.ndarray[Any, Any], ...]


class Attempt(Future[Any]):
    """An operation on a queue that is to be done.

    Args:
      queue: the queue.
      proceed: does what is possible now; gives whether that was anything.
      undo: gives back what an attempt that fails has taken.
      name: what a message calls it.
    """

    def __init__(
        self, queue: HostQueue, proceed: Callable[[Attempt], bool], undo: Callable[[], None], name: str
    ) -> None:
        super().__init__()
        self._queue = queue
        self.proceed = proceed
        self.undo = undo
        self.name = name

    def cancel(self) -> bool:
        """Fails the attempt with CancelledError unless it is done."""
        return self._queue.cancel(self)


def _nothing() -> None:
    """An attempt that has taken nothing has nothing to give back."""


class HostQueue:
    """First in, first out.

    Args:
      name: what messages call it.
      capacity: the elements that it holds at most; negative: any number.
      shapes: the static shape of each component, or None where they are not declared.
    """

    kind = "FIFOQueue"

    def __init__(self, name: str, capacity: int, shapes: Sequence[Shape] | None) -> None:
        self.name = name
        self.shapes = shapes
        self._capacity = capacity
        self._closed = False
        self._lock = threading.Lock()
        self._enqueuing: deque[Attempt] = deque()
        self._dequeuing: deque[Attempt] = deque()
        self._elements: deque[Element] = deque()

    # --- Where the elements are: what other kinds of queues replace -------------------------------------------------

    def _put(self, element: Element) -> None:
        self._elements.append(element)

    def _take(self) -> Element:
        return self._elements.popleft()

    def _put_back(self, taken: list[Element]) -> None:
        self._elements.extendleft(reversed(taken))

    def _available(self, wanted: int) -> int:
        """How many elements an attempt that wants so many more may take now."""
        return len(self._elements)

    # --- Operations -------------------------------------------------------------------------------------------------

    def size(self) -> int:
        """The number of elements in the queue."""
        with self._lock:
            return len(self._elements)

    def is_closed(self) -> bool:
        """Whether the queue takes no more elements."""
        with self._lock:
            return self._closed

    def enqueue(self, elements: Sequence[Element]) -> Attempt:
        """Puts elements in, waiting for room.

        The attempt fails with CancelledError where the queue is closed.
        """
        remaining = deque(elements)

        def proceed(attempt: Attempt) -> bool:
            if remaining and self._closed:
                attempt.set_exception(self._error(errors.CancelledError, "is closed."))
                return True
            before = len(remaining)
            while remaining and (self._capacity < 0 or len(self._elements) < self._capacity):
                self._put(remaining.popleft())
            if not remaining:
                attempt.set_result(None)
            return len(remaining) < before or attempt.done()

        return self._start(Attempt(self, proceed, _nothing, "Enqueue"), self._enqueuing)

    def dequeue(self, count: int, allow_fewer: bool, assemble: Callable[[list[Element]], Any]) -> Attempt:
        """Takes out `count` elements, waiting for them.

        Args:
          count: how many.
          allow_fewer: a closed queue gives those that are left.
          assemble: makes the elements into the attempt's result.

        The attempt fails with OutOfRangeError where the queue is closed and holds too few.
        """
        taken: list[Element] = []

        def undo() -> None:
            self._put_back(taken)
            taken.clear()

        def proceed(attempt: Attempt) -> bool:
            wanted = count - len(taken)
            available = self._available(wanted)
            if self._closed and available < wanted:
                self._finish_closed(attempt, wanted, allow_fewer, assemble)
                return True
            for _ in range(min(wanted, available)):
                taken.append(self._take())
            if len(taken) == count:
                attempt.set_result(assemble(taken))
            return available > 0 or attempt.done()

        return self._start(Attempt(self, proceed, undo, "Dequeue"), self._dequeuing)

    def _finish_closed(
        self, attempt: Attempt, wanted: int, allow_fewer: bool, assemble: Callable[[list[Element]], Any]
    ) -> None:
        """Ends a dequeue attempt for which a closed queue holds too few elements."""
        size = len(self._elements)
        attempt.undo()
        rest = len(self._elements)
        if allow_fewer and rest:
            attempt.set_result(assemble([self._take() for _ in range(rest)]))
        else:
            detail = f"is closed and has insufficient elements (requested {wanted}, current size {size})"
            attempt.set_exception(self._error(errors.OutOfRangeError, detail))

    def close(self, cancel_pending_enqueues: bool) -> Attempt:
        """Takes no more elements, once those are in that wait now or, on demand, without them."""

        def proceed(attempt: Attempt) -> bool:
            if self._closed and not cancel_pending_enqueues:
                message = f"Queue '{self.name}' is already closed."
                attempt.set_exception(errors.CancelledError(None, None, message))
                return True
            self._closed = True
            attempt.set_result(None)
            return True

        if cancel_pending_enqueues:
            with self._lock:
                for waiting in self._enqueuing:
                    self._fail_cancelled(waiting)
                self._enqueuing.clear()
        return self._start(Attempt(self, proceed, _nothing, "Close"), self._enqueuing)

    # --- Attempts in line -------------------------------------------------------------------------------------------

    def _start(self, attempt: Attempt, line: deque[Attempt]) -> Attempt:
        with self._lock:
            line.append(attempt)
            self._proceed()
        return attempt

    def cancel(self, attempt: Attempt) -> bool:
        """Takes an attempt out of its line; gives whether it was in one."""
        with self._lock:
            line = next((line for line in (self._enqueuing, self._dequeuing) if attempt in line), None)
            if line is None:
                return False
            line.remove(attempt)
            self._fail_cancelled(attempt)
            self._proceed()
        return True

    @staticmethod
    def _fail_cancelled(attempt: Attempt) -> None:
        attempt.undo()
        attempt.set_exception(errors.CancelledError(None, None, f"{attempt.name} operation was cancelled"))

    def _proceed(self) -> None:
        """Lets the first of both lines get on until none can."""
        moved = True
        while moved:
            moved = False
            for line in (self._enqueuing, self._dequeuing):
                while line and line[0].proceed(line[0]):
                    moved = True
                    if not line[0].done():
                        break
                    line.popleft()

    def _error(self, kind: type[errors.OpError], detail: str) -> errors.OpError:
        return kind(None, None, f"{self.kind} '{self.name}' {detail}")  # type: ignore[call-arg]


class PaddingQueue(HostQueue):
    """First in, first out; elements of different sizes are padded when several are taken out together."""

    kind = "PaddingFIFOQueue"


class ShuffleQueue(HostQueue):
    """Gives a random element each time.

    Args:
      name, capacity, shapes: as for `HostQueue`.
      min_after_dequeue: the elements that must stay, as long as the queue is open, for the mixing to be good.
      seed, seed2: of the Philox stream that chooses; both zero: a stream of its own.
    """

    kind = "RandomShuffleQueue"
    _CHUNK = 64  # Philox blocks that are computed together

    def __init__(
        self, name: str, capacity: int, shapes: Sequence[Shape] | None, min_after_dequeue: int, seed: int, seed2: int
    ) -> None:
        super().__init__(name, capacity, shapes)
        if seed == 0 and seed2 == 0:
            seed, seed2 = secrets.randbits(64), secrets.randbits(64)
        self._min_after_dequeue = min_after_dequeue
        self._key, self._counter = philox.key(seed, seed2)
        self._numbers: deque[int] = deque()

    def _random(self) -> int:
        if not self._numbers:
            drawn = philox.blocks(np, self._key, self._counter, self._CHUNK)
            self._counter = philox.advance(self._counter, self._CHUNK)
            self._numbers.extend(drawn.reshape(-1).tolist())
        return self._numbers.popleft()

    def _take(self) -> Element:
        elements = self._elements
        index = self._random() % len(elements)
        chosen = elements[index]
        last = elements.pop()
        if index < len(elements):
            elements[index] = last
        return chosen

    def _put_back(self, taken: list[Element]) -> None:
        self._elements.extend(taken)

    def _available(self, wanted: int) -> int:
        return len(self._elements) - (0 if self._closed else self._min_after_dequeue)


class SortedQueue(HostQueue):
    """Gives the element of the lowest priority number, its first component, first."""

    kind = "PriorityQueue"

    def __init__(self, name: str, capacity: int, shapes: Sequence[Shape] | None) -> None:
        super().__init__(name, capacity, shapes)
        self._numbers = itertools.count()  # among equals the first in is the first out
        self._elements: Any = []

    def _put(self, element: Element) -> None:
        heapq.heappush(self._elements, (int(element[0]), next(self._numbers), element))

    def _take(self) -> Element:
        found: Element = heapq.heappop(self._elements)[2]
        return found

    def _put_back(self, taken: list[Element]) -> None:
        for element in taken:
            self._put(element)

    def _available(self, wanted: int) -> int:
        """All or none: an element of lower priority must not go first because it was there earlier."""
        size = len(self._elements)
        return size if self._closed or size >= wanted else 0
