"""What stands for a variable: its place in a state, and the eager tensor that holds it."""
from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from millstream.core.dtypes import DType, resource
from millstream.core.eager import EagerTensor

# What is done when a variable is no longer used: its value is freed. Installed by the eager runtime.
FORGET: list[Callable[[VariableHandle], None]] = []

_counter = itertools.count()


class VariableHandle(NamedTuple):
    """A variable of a session: kernels pass it to `state.read` and `state.assign`."""

    container: str
    name: str
    dtype: DType
    shape: tuple[int | None, ...] | None

    @property
    def key(self) -> tuple[str, str]:
        """The place in a session's state."""
        return self.container, self.name


class HandleTensor(EagerTensor):
    """The handle of an eager variable: a resource scalar. The variable's value lives as long as this does.

    `number` counts variables in the order in which they are made.
    """

    __slots__ = ("number",)

    def __init__(self, name: str, dtype: DType, shape: tuple[int | None, ...] | None, device: str | None) -> None:
        self.number = next(_counter)
        super().__init__(VariableHandle("", f"{name}/{self.number}", dtype, shape), resource, device)

    __hash__ = object.__hash__

    def __del__(self) -> None:
        for forget in FORGET or ():  # None while the interpreter shuts down
            forget(self._value)

    def __deepcopy__(self, memo: dict[int, Any]) -> HandleTensor:
        return self


def handle_data(tensor: Any) -> VariableHandle | None:
    """What is known of the variable that a resource tensor stands for."""
    if tensor.is_eager:
        return tensor._value if type(tensor._value) is VariableHandle else None
    known = tensor.__dict__.get("handle_data")
    if known is None and tensor.op.type == "VarHandleOp":
        attrs = tensor.op.attrs
        name = attrs["shared_name"] or tensor.op.name
        return VariableHandle(attrs["container"], name, attrs["dtype"], attrs["shape"])
    return known
