"""What kernels may ask for besides their inputs: in a program that is traced, in a part of one, and with NumPy."""
from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from millstream.core import errors
from millstream.core.operation import Operation
from millstream.runtime.regions import TracedRegion
from millstream.runtime.state import Key, Overlay, RowUpdate, State, StateService, words

if TYPE_CHECKING:
    from concurrent.futures import Future

Message = str | Callable[..., str]  # with places {0}, {1} for the values, or a function of the values
_RETURNED: Any = object()  # stands for a value that the program gives back
IN_FUNCTION = "A check failed"  # in a branch or a loop's body


class Check(NamedTuple):
    """A run-time check of a compiled stage: what to raise where its flag is false."""

    op: Operation
    error: type[errors.OpError]
    message: Message
    values: tuple[Any, ...]


class Report:
    """What tracing found out, carried as static data of the program's result: it belongs to that very trace."""

    __slots__ = ("checks", "blocks")

    def __init__(self, checks: tuple[Check, ...], blocks: tuple[int, ...]) -> None:
        self.checks = checks
        self.blocks = blocks


class TracedServices:
    """What kernels may ask for while a stage is traced."""

    step_by_step = False  # whether the values are arrays rather than tracers: the program runs operation by operation

    def __init__(self, variables: dict[Key, Any], streams: dict[Any, Any], donates: bool) -> None:
        self.variables = variables
        self.assigned: dict[Key, Any] = _Assignments(self) if donates else {}
        self.checks: list[Check] = []
        self.flags: list[Any] = []
        self.shown: list[tuple[Any, ...]] = []
        self._passed: list[Any] = []
        self.streams = streams  # by operation, as `Stream.row` says
        self.blocks: dict[Any, int] = {}  # how many each operation takes
        self.ranges: list[tuple[Any, int, int]] = []  # counters of the loops around, and how far they go

    def state(self, op: Operation) -> StateService:
        return StateService(self.variables, self.assigned, op)

    def stream(self, op: Operation, seed: int, seed2: int, blocks: int) -> tuple[Any, Any]:
        row = self.streams[op]
        self.streams[op] = _advanced(row, blocks)
        self.blocks[op] = blocks
        return (row[0] & 0xFFFFFFFF, row[0] >> 32), row[1:3]

    def check(self, op: Operation, ok: Any, error: type[errors.OpError], message: Message, *values: Any) -> None:
        if isinstance(ok, (bool, np.bool_, np.ndarray)) and all(map(_is_concrete, values)):
            if not bool(ok):
                raise failed_check(Check(op, error, message, values), ())
            return
        known = tuple(value if _is_concrete(value) else _RETURNED for value in values)
        self.checks.append(Check(op, error, message, known))
        self.flags.append(ok)
        self.shown.append(tuple(value for value in values if not _is_concrete(value)))

    def within(self, index: Any, size: int) -> bool:
        """Whether it is known that a scalar is never the index of something outside of `size` elements."""
        return any(index is counter and 0 <= low and high < size for counter, low, high in self.ranges)

    def region(self, op: Operation) -> TracedRegion:
        return TracedRegion(self, op)

    def check_region(self, op: Operation, ok: Any) -> None:
        """Notes whether the checks in an operation's functions hold; which of them fails is found out afterwards."""
        self.checks.append(Check(op, errors.InternalError, IN_FUNCTION, ()))
        self.flags.append(ok)
        self.shown.append(())

    def current(self, key: Key) -> Any:
        """The value that a variable has now, or None."""
        return self.assigned[key] if key in self.assigned else self.variables.get(key)

    def final(self, key: Key) -> Any:
        """The value that a variable has at the end."""
        if isinstance(self.assigned, _Assignments):
            return self.assigned.final(key)
        return self.assigned.get(key, self.variables.get(key))

    def passed(self) -> Any:
        """Whether all checks so far hold."""
        from jax import numpy as jnp

        if len(self._passed) < len(self.flags):  # one more term a check, however often this is asked
            for flag in self.flags[len(self._passed) :]:
                last = self._passed[-1] if self._passed else True
                self._passed.append(jnp.logical_and(last, jnp.all(flag)))
        return self._passed[-1]

    def resource(self, key: Hashable, make: Callable[[], Any]) -> Any:
        raise RuntimeError("Only host operations use the resources of a session.")

    def wait(self, futures: list[Future[Any]]) -> None:
        raise RuntimeError("Only host operations are asynchronous.")

    def python(self) -> AbstractContextManager[None]:
        raise RuntimeError("Only host operations run Python code.")


def _advanced(row: Any, blocks: int) -> Any:
    """A stream's row so many blocks further on."""
    from jax import numpy as jnp

    step = jnp.uint64(blocks)
    low = row[1] + step
    return jnp.stack([row[0], low, row[2] + (low < step)])


class RegionServices(TracedServices):
    """What kernels may ask for in a branch or a loop's body: what they check, assign and draw is part of its result."""

    def __init__(self, variables: dict[Key, Any], streams: dict[Any, Any]) -> None:
        super().__init__(variables, streams, False)

    def check(self, op: Operation, ok: Any, error: type[errors.OpError], message: Message, *values: Any) -> None:
        if not _is_concrete(ok) or not np.all(ok):
            self.flags.append(ok)

    def check_region(self, op: Operation, ok: Any) -> None:
        self.flags.append(ok)


class CannotRestore(Exception):
    """A variable changes its shape in a stage that checks something: its old value cannot be chosen at the end."""


class _Assignments(dict[Key, Any]):
    """What a stage assigns to variables whose arrays it takes over.

    Each value is the new one where all checks hold, else the old one: so the program can give back what it took. The
    choice is made where the variable is assigned, because what reads it afterwards then goes on from there; made at
    the end alone it costs another pass over the arrays. Only updates of rows are put off to the end, or until the
    variable is read: where a check fails they are dropped, and the array is changed in place, however large it is.
    """

    def __init__(self, services: TracedServices) -> None:
        super().__init__()
        self._services = services
        self._covered: dict[Key, int] = {}  # how many checks each value takes into account

    def __setitem__(self, key: Key, value: Any) -> None:
        old = self[key] if key in self else self._services.variables.get(key)
        super().__setitem__(key, self._restorable(key, value, old))

    def put_off(self, key: Key, update: RowUpdate) -> None:
        """Assigns an update of rows, which is made when the value is asked for."""
        super().__setitem__(key, update)

    def __getitem__(self, key: Key) -> Any:
        value = super().__getitem__(key)
        if type(value) is RowUpdate:
            del self[key]
            self[key] = value.applied()
            value = super().__getitem__(key)
        return value

    def final(self, key: Key) -> Any:
        """The value that the program gives back for a variable."""
        old = self._services.variables.get(key)
        if key not in self:
            return old
        value = super().__getitem__(key)
        if type(value) is RowUpdate and value.base is old:
            return value.applied_if(self._services.passed()) if self._services.flags else value.applied()
        if self._covered[key] == len(self._services.flags):
            return self[key]
        return self._restorable(key, self[key], old)

    def _restorable(self, key: Key, value: Any, old: Any) -> Any:
        self._covered[key] = len(self._services.flags)
        if not self._services.flags or old is None:
            return value
        if value.shape != old.shape:
            raise CannotRestore
        from jax import numpy as jnp

        return jnp.where(self._services.passed(), value, old)


class NumpyServices:
    """What kernels may ask for when they run on NumPy arrays."""

    def __init__(self, state: State, overlay: Overlay) -> None:
        self._state = state
        self._overlay = overlay
        self._variables = _NumpyVariables(overlay)
        self._assigned = overlay.changed

    def state(self, op: Operation) -> StateService:
        return StateService(self._variables, self._assigned, op)

    def stream(self, op: Operation, seed: int, seed2: int, blocks: int) -> tuple[Any, Any]:
        stream = self._state.stream(op, seed, seed2)
        return (stream.key & 0xFFFFFFFF, stream.key >> 32), words(stream.take(blocks))

    def check(self, op: Operation, ok: Any, error: type[errors.OpError], message: Message, *values: Any) -> None:
        if not bool(ok):
            raise failed_check(Check(op, error, message, values), ())

    def within(self, index: Any, size: int) -> bool:
        return False

    def resource(self, key: Hashable, make: Callable[[], Any]) -> Any:
        return self._state.resource(key, make)

    def region(self, op: Operation) -> Any:
        from millstream.runtime.bodies import HostRegion

        return HostRegion(self._state, self._overlay)

    def wait(self, futures: list[Future[Any]]) -> None:
        self._state.wait(futures, self._overlay)

    def python(self) -> AbstractContextManager[None]:
        return self._state.open_to_others(self._overlay) if self._state.seen_by_python else nullcontext()


class _NumpyVariables(dict[Key, Any]):
    """A view of an overlay that hands out NumPy arrays."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay

    def get(self, key: Key, default: Any = None) -> Any:
        value = self._overlay.get(key)
        return default if value is None else np.asarray(value)


def failed_check(check: Check, returned: Sequence[Any]) -> errors.OpError:
    """The error of a run-time check that did not hold, with the values that the program gave back."""
    rest = iter(returned)
    values = [next(rest) if value is _RETURNED else value for value in check.values]
    if callable(check.message):
        sentence = check.message(*(np.asarray(value) for value in values))
    else:
        sentence = check.message.format(*(_brief(value) for value in values)) if values else check.message
    op = check.op
    text = errors.format_message(
        sentence, received=f"node {op.name} (op: {op.type})", defined_at=op.defined_at
    )
    return check.error(None, op, text)  # type: ignore[call-arg]  # each kind of error knows its code


def _is_concrete(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic, int, float, str, bytes))


def _brief(value: Any) -> str:
    array = np.asarray(value)
    if array.size <= 10:
        return " ".join(str(item) for item in array.reshape(-1).tolist()) if array.ndim else str(array.item())
    return " ".join(str(item) for item in array.reshape(-1)[:3].tolist()) + "..."
