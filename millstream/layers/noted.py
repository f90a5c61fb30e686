"""Losses and updates that a layer notes, and which of them depend on certain inputs."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from millstream.core import nest
from millstream.core.operation import Operation


class Noted(NamedTuple):
    """A loss or update, and whether it depends on the inputs of a call."""

    value: Any
    conditional: bool


def chosen(noted: Sequence[Noted], inputs: Any) -> list[Any]:
    """Those that depend on some inputs; None: those that depend on none."""
    if inputs is None:
        return [value for value, conditional in noted if not conditional]
    tensors = nest.flatten(inputs)
    return [value for value, conditional in noted if conditional and depends(value, tensors)]


def depends(target: Any, tensors: Sequence[Any]) -> bool:
    """Whether an operation or tensor is computed from one of some tensors."""
    wanted = {id(tensor) for tensor in tensors}
    if id(target) in wanted:
        return True
    waiting = [target if isinstance(target, Operation) else target.op]
    seen = set(waiting)
    while waiting:
        for tensor in waiting.pop().inputs:
            if id(tensor) in wanted:
                return True
            if tensor.op not in seen:
                seen.add(tensor.op)
                waiting.append(tensor.op)
    return False
