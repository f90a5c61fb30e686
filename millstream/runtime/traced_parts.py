"""What branches, loops and maps over rows have in common where they are compiled into the program around them."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from millstream.core import errors
from millstream.core.dtypes import resource
from millstream.core.opdef import DEAD
from millstream.core.tensor import Tensor
from millstream.ops import list_values
from millstream.ops.list_values import NeedsHost
from millstream.runtime import backend, region_plan
from millstream.runtime.fusion import fused
from millstream.runtime.interpreter import Call, Interpreter

if TYPE_CHECKING:
    from millstream.runtime.lowering import Lowered
    from millstream.runtime.services import TracedServices


class Body:
    """A function made ready to be interpreted as a part of a program."""

    def __init__(self, function: Lowered, fixed: frozenset[int]) -> None:
        plan = region_plan.plan_of(function, fixed)
        if plan is None:
            raise NeedsHost
        self._function = function
        self._given = [
            (index, tensor)
            for index, (tensor, handle) in enumerate(zip(function.inputs, function.handles, strict=True))
            if handle is None
        ]
        self._handles = frozenset(function.inputs).difference(tensor for _, tensor in self._given)
        self._folded = plan.folded
        self._calls = [Call(op, {tensor for _, tensor in self._given}, plan.fresh.get(op, ())) for op in plan.ops]
        self._fused = fused(self._calls, (*function.outputs, *function.inputs, *plan.folded))
        self.has_checks = plan.has_checks
        self.streams = plan.streams

    def values(self, services: Any, values: Sequence[Any]) -> dict[Tensor, Any]:
        """The values of all tensors."""
        return self._interpret(self._calls, services, values)

    def run(self, services: Any, values: Sequence[Any]) -> list[Any]:
        """The values of the outputs; None for handles."""
        found = self._interpret(self._fused, services, values)
        is_handle = [tensor.dtype is resource or tensor in self._handles for tensor in self._function.outputs]
        return [None if leave_out else found[tensor]
                for tensor, leave_out in zip(self._function.outputs, is_handle, strict=True)]  # fmt: skip

    def _interpret(self, calls: Sequence[Call], services: Any, values: Sequence[Any]) -> dict[Tensor, Any]:
        interpreter = Interpreter(backend.jax().numpy, services, self._folded)
        interpreter.values.update((tensor, values[index]) for index, tensor in self._given)
        interpreter.run(calls)
        return interpreter.values


def body_of(function: Lowered, fixed: frozenset[int]) -> Body:
    key = "body", fixed
    found = function.runners.get(key)
    if found is None:
        found = function.runners[key] = Body(function, fixed)
    return found  # type: ignore[return-value]


class Surroundings:
    """The variables and random streams that functions use, and the way from the services around to those inside.

    Args:
      services: those of the program around.
      functions, fixed: the functions, and which of their inputs are the same in all of their runs.
    """

    def __init__(self, services: TracedServices, functions: Sequence[Lowered], fixed: frozenset[int]) -> None:
        accesses = [access for function in functions for access in region_plan.variables_of(function)]
        self._services = services
        self._known = {access.handle.key: services.current(access.handle.key) for access in accesses}
        self._written = list(dict.fromkeys(access.handle.key for access in accesses if access.writes))
        self._drawn = list(dict.fromkeys(op for function in functions for op in body_of(function, fixed).streams))

    @property
    def change(self) -> bool:
        """Whether the functions write variables or draw random numbers."""
        return bool(self._written or self._drawn)

    def inside(self, effects: Any = None) -> TracedServices:
        """Services for a function, after what `effects` tells; by default nothing has happened yet."""
        from millstream.runtime.services import RegionServices

        values, rows = effects or ((), [self._services.streams[op] for op in self._drawn])
        variables = {**self._known, **dict(zip(self._written, values, strict=False))}
        inner = RegionServices(variables, dict(zip(self._drawn, rows, strict=True)))
        inner.ranges = list(self._services.ranges)
        return inner

    def effects(self, inner: TracedServices) -> Any:
        """What a function has done to variables and streams, as a part of its result."""
        return [inner.final(key) for key in self._written], [inner.streams[op] for op in self._drawn]

    def take(self, effects: Any) -> None:
        """Tells the services around."""
        values, rows = effects
        for key, value in zip(self._written, values, strict=True):
            self._services.assigned[key] = value
        self._services.streams.update(zip(self._drawn, rows, strict=True))


class Alike:
    """Requires that results have the same structure, shapes and dtypes as the first one: a program has one type."""

    def __init__(self) -> None:
        self._first: Any = None

    def checked(self, result: Any) -> Any:
        """`result` itself.

        Raises:
          NeedsHost: it differs from an earlier one.
        """
        leaves, structure = backend.jax().tree.flatten(result)
        found = structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
        if self._first is None:
            self._first = found
        elif found != self._first:
            raise NeedsHost
        return result

    def forget(self) -> None:
        """Starts anew."""
        self._first = None


def as_array(value: Any) -> Any:
    """A value as the program holds it: an array, or None for a handle."""
    if value is None or isinstance(value, list_values.LISTS):
        return value
    if value is DEAD:
        raise NeedsHost
    return backend.jax().numpy.asarray(value)


def as_arrays(values: Sequence[Any]) -> list[Any]:
    return [as_array(value) for value in values]


def all_hold(flags: Sequence[Any]) -> Any:
    """Whether all flags are true."""
    jnp = backend.jax().numpy
    return jnp.all(jnp.stack([jnp.all(flag) for flag in flags])) if flags else jnp.asarray(True)


@contextmanager
def failing_later() -> Iterator[None]:
    """What fails while a branch or body is traced fails only if it runs: the host finds that out."""
    try:
        yield
    except errors.OpError:
        raise NeedsHost from None
