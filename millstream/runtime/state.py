"""Where the variables and random streams of a session live."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from millstream.core import errors
from millstream.core.opdef import DEAD
from millstream.core.operation import Operation
from millstream.core.tape import EagerOperation
from millstream.core.variable_handle import VariableHandle
from millstream.ops.state_ops import scatter_rows
from millstream.runtime.variables import uninitialized

if TYPE_CHECKING:
    from concurrent.futures import Future

Key = tuple[str, str]
_MASK64 = (1 << 64) - 1
# So many random streams are kept, those in use last: under a global seed each eager operation has one of its own.
_MOST_STREAMS = 65536


class Stream:
    """The Philox stream of one random operation in one session: its key, and how far it has been used.

    A program that uses the stream as often as its loops turn leaves the stream's row behind, an array that is ready
    when the program is done. Nobody waits for it: the next run of the program takes it as it is.
    """

    __slots__ = ("key", "_counter", "_left")

    def __init__(self, seed: int, seed2: int) -> None:
        if seed == 0 and seed2 == 0:
            import secrets

            seed, seed2 = secrets.randbits(64), secrets.randbits(64)
        self.key = seed & _MASK64
        self._counter = (seed2 & _MASK64) << 64
        self._left: Any = None

    def take(self, blocks: int) -> int:
        """The 128-bit counter of the next block; moves on by `blocks`."""
        if self._left is not None:
            _, low, high = np.asarray(self._left).tolist()
            self._left, self._counter = None, low | high << 64
        counter = self._counter
        self._counter = (counter + blocks) & ((1 << 128) - 1)
        return counter

    @property
    def row(self) -> Any:
        """The key and the two words of the counter, uint64 of shape [3]."""
        return np.array([self.key, *words(self._counter)], np.uint64) if self._left is None else self._left

    def leave(self, row: Any) -> None:
        """Sets the counter to that of a row which a program has computed."""
        self._left = row


def words(counter: int) -> np.ndarray[Any, Any]:
    """A counter as an array of two words, the lower one first."""
    return np.array([counter & _MASK64, counter >> 64], np.uint64)


class State:
    """The variables of a session by (container, name), and its random streams by operation name.

    `lock` is held while arrays are gathered, a stage is dispatched and new arrays are put back, because a stage may
    take over (donate) the arrays of the variables that it writes.

    Args:
      seen_by_python: whether Python code that operations call uses these variables too, as in eager execution.
    """

    def __init__(self, seen_by_python: bool = False) -> None:
        self.seen_by_python = seen_by_python
        self.lock = threading.RLock()
        self.values: dict[Key, Any] = {}
        self.streams: dict[str, Stream] = {}
        self.resources: dict[Hashable, Any] = {}
        self._waited_for: set[Future[Any]] = set()
        self._closed = False
        self._waiting_lock = threading.Lock()

    def stream(self, op: Operation | EagerOperation, seed: int, seed2: int) -> Stream:
        """The random stream of an operation."""
        name = getattr(op, "stream_name", op.name)
        found = self.streams.pop(name, None) or Stream(seed, seed2)
        self.streams[name] = found
        if len(self.streams) > _MOST_STREAMS:
            del self.streams[next(iter(self.streams))]
        return found

    def restart_streams(self) -> None:
        """Starts all random streams again, and forgets what random operations have learned."""
        with self.lock:
            self.streams.clear()
            for key in [key for key in self.resources if isinstance(key, tuple) and key[0] == "random"]:
                del self.resources[key]

    def resource(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The session's object of that key (a queue, a table, a reader), made on first use."""
        with self.lock:
            if key not in self.resources:
                self.resources[key] = make()
            return self.resources[key]

    def commit(self, overlay: Overlay) -> None:
        """Lets other runs see what a run has assigned."""
        if overlay.changed:
            self.values.update(overlay.changed)
            overlay.changed.clear()

    def wait(self, futures: list[Future[Any]], overlay: Overlay) -> None:
        """Waits until all are done or one has failed; those that are not done then are cancelled.

        Other runs go on meanwhile, for it may be they that are waited for.

        Raises:
          DeadlineExceededError: the run's time is over.
        """
        if all(future.done() for future in futures):
            return
        with self.open_to_others(overlay):
            self._wait(futures, overlay.deadline)

    @contextmanager
    def open_to_others(self, overlay: Overlay) -> Iterator[None]:
        """Lets other runs go on within a `with` block of a run; so what this one has assigned is committed first."""
        self.commit(overlay)
        self.lock.release()
        try:
            yield
        finally:
            self.lock.acquire()

    def _wait(self, futures: list[Future[Any]], deadline: float | None) -> None:
        from concurrent.futures import FIRST_EXCEPTION, wait

        with self._waiting_lock:
            self._waited_for.update(futures)
            closed = self._closed
        late = False
        try:
            if not closed:
                timeout = None if deadline is None else max(deadline - time.monotonic(), 0.0)
                done, missing = wait(futures, timeout, FIRST_EXCEPTION)
                late = bool(missing) and all(future.exception() is None for future in done)
        finally:
            for future in futures:
                future.cancel()  # does nothing to those that are done
            with self._waiting_lock:
                self._waited_for.difference_update(futures)
        if late:
            raise errors.DeadlineExceededError(None, None, "Timed out waiting for notification")

    def close(self) -> None:
        """Frees all; runs that wait for something fail with CancelledError."""
        with self._waiting_lock:
            self._closed = True
            waited_for = list(self._waited_for)
        for future in waited_for:
            future.cancel()
        self.values.clear()
        self.streams.clear()
        self.resources.clear()


class Overlay:
    """The variables as one run sees them: what it has assigned so far over the session's state.

    A run of several steps commits at its end, so that one that fails in between changes nothing. `pending` holds
    arrays that are ready when the run's programs are done with what they were given.
    """

    __slots__ = ("base", "changed", "pending", "deadline")

    def __init__(self, base: dict[Key, Any], deadline: float | None = None) -> None:
        self.base = base
        self.deadline = deadline
        self.changed: dict[Key, Any] = {}
        self.pending: list[Any] = []

    def get(self, key: Key) -> Any:
        """The current array, or None."""
        changed = self.changed
        return changed[key] if key in changed else self.base.get(key)


class RowUpdate:
    """A variable's value of which some rows are still to be combined with others (`scatter_rows`)."""

    __slots__ = ("base", "method", "indices", "rows")

    def __init__(self, base: Any, method: str, indices: Any, rows: Any) -> None:
        self.base = base
        self.method = method
        self.indices = indices
        self.rows = rows

    def applied(self) -> Any:
        """The value with the rows."""
        return scatter_rows(None, self.method, self.base, self.indices, self.rows)

    def applied_if(self, passed: Any) -> Any:
        """The value with the rows where `passed` holds, else without: they go out of range then and are dropped."""
        from jax import numpy as jnp

        indices = jnp.where(passed, self.indices, self.base.shape[0])
        return scatter_rows(jnp, self.method, self.base, indices, self.rows)


class StateService:
    """The `state` argument of kernels: variables by handle. Values are arrays or tracers, as `variables` holds them."""

    __slots__ = ("variables", "assigned", "op")

    def __init__(self, variables: dict[Key, Any], assigned: dict[Key, Any], op: Operation) -> None:
        self.variables = variables
        self.assigned = assigned
        self.op = op

    @staticmethod
    def variable(container: str, name: str, dtype: Any, shape: Any) -> VariableHandle:
        """The handle of a variable."""
        return VariableHandle(container, name, dtype, shape)

    def read(self, handle: VariableHandle) -> Any:
        """The variable's value.

        Raises:
          FailedPreconditionError: it has none.
        """
        if handle is DEAD:
            return DEAD
        key = handle.key
        value = self.assigned[key] if key in self.assigned else self.variables.get(key)
        if value is None:
            raise uninitialized(handle, self.op)
        return value

    def assign(self, handle: VariableHandle, value: Any) -> None:
        """Sets the variable's value, of its own dtype."""
        dtype = np.dtype(handle.dtype.as_numpy_dtype)
        if dtype.names is None and value.dtype != dtype:
            value = value.astype(dtype)
        self.assigned[handle.key] = value

    def assign_rows(self, handle: VariableHandle, method: str, indices: Any, rows: Any) -> None:
        """Combines rows of the variable with others (`scatter_rows`); compiled, rows out of range are dropped."""
        update = RowUpdate(self.read(handle), method, indices, rows)
        put_off = getattr(self.assigned, "put_off", None)
        if put_off is None:
            self.assign(handle, update.applied())
        else:
            put_off(handle.key, update)

    def is_initialized(self, handle: VariableHandle) -> bool:
        """Whether the variable has a value."""
        key = handle.key
        return (self.assigned[key] if key in self.assigned else self.variables.get(key)) is not None

    def forget(self, handle: VariableHandle) -> None:
        """Takes the variable's value away."""
        self.assigned[handle.key] = None
