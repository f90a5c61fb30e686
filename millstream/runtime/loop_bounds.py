"""How many turns a loop has at most, as far as that is known when it is compiled."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from millstream.core.tensor import Tensor
from millstream.ops.list_values import ArrayStack, Stack

if TYPE_CHECKING:
    from millstream.runtime.lowering import Lowered

_ADDITIONS = frozenset(("AddV2", "Add"))
# Which way a counter runs for each comparison with a limit, and whether it may reach the limit.
_COMPARISONS = {"Less": (1, False), "LessEqual": (1, True), "Greater": (-1, False), "GreaterEqual": (-1, True)}


def turns(
    condition: Lowered, body: Lowered, values: Sequence[Any], evaluate: Callable[[], dict[Tensor, Any]]
) -> int | None:
    """The most turns that a loop can have, or None where that is not known.

    A loop that takes an element from a list in each turn has as many turns as there are elements. A counter that goes
    from a known number by a known step to a known limit bounds them too.

    Args:
      condition, body: the loop's functions.
      values: the inputs at the start; those that are concrete are NumPy arrays.
      evaluate: gives the values of the condition's tensors at the start.
    """
    found = [value.capacity for value in values if isinstance(value, ArrayStack)]
    if not any(isinstance(value, Stack) for value in values):
        return None
    known = evaluate()
    for comparison in _conjuncts(condition.outputs[0]):
        bound = _bound(comparison, condition, body, values, known)
        if bound is not None:
            found.append(bound)
    return min(found, default=None)


def _conjuncts(tensor: Tensor) -> list[Tensor]:
    """The conditions that must all hold for one to hold."""
    stack, found = [tensor], []
    while stack:
        current = stack.pop()
        if current.op.type == "LogicalAnd":
            stack.extend(current.op.inputs)
        elif current.op.type == "Identity":
            stack.append(current.op.inputs[0])
        else:
            found.append(current)
    return found


def _bound(
    comparison: Tensor, condition: Lowered, body: Lowered, values: Sequence[Any], known: dict[Tensor, Any]
) -> int | None:
    """The turns that a comparison of a counter with a limit allows."""
    if comparison.op.type not in _COMPARISONS:
        return None
    direction, inclusive = _COMPARISONS[comparison.op.type]
    counter, limit = comparison.op.inputs
    if counter not in condition.inputs:
        counter, limit, direction = limit, counter, -direction
    if counter not in condition.inputs or _changes(limit, condition, body):
        return None
    index = condition.inputs.index(counter)
    start, step, end = _scalar(values[index]), _step(body, index, values), _scalar(known.get(limit))
    if start is None or step is None or end is None or step * direction <= 0:
        return None
    return max(0, math.floor((end - start) / step) + 1 if inclusive else math.ceil((end - start) / step))


def _changes(tensor: Tensor, condition: Lowered, body: Lowered) -> bool:
    """Whether a tensor of the condition depends on what changes from turn to turn."""
    stack, seen = [tensor], set()
    while stack:
        current = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        if current in condition.inputs:
            index = condition.inputs.index(current)
            if body.outputs[index] is not body.inputs[index]:
                return True
            continue
        stack.extend(current.op.inputs)
    return False


def _step(body: Lowered, index: int, values: Sequence[Any]) -> Any:
    """By how much an input grows in each turn, where that is a known number."""
    op = body.outputs[index].op
    counter = body.inputs[index]
    if op.type in _ADDITIONS and counter in op.inputs:
        other = op.inputs[1] if op.inputs[0] is counter else op.inputs[0]
        return _known(other, body, values)
    if op.type == "Sub" and op.inputs[0] is counter:
        step = _known(op.inputs[1], body, values)
        return None if step is None else -step
    return None


def _known(tensor: Tensor, body: Lowered, values: Sequence[Any]) -> Any:
    if tensor.op.type == "Const":
        return _scalar(tensor.op.attrs["value"])
    if tensor in body.inputs:
        index = body.inputs.index(tensor)
        return _scalar(values[index]) if body.outputs[index] is tensor else None
    return None


def _scalar(value: Any) -> Any:
    if not isinstance(value, (np.ndarray, np.generic)) or value.ndim or value.dtype.kind not in "iuf":
        return None
    return value.item()
