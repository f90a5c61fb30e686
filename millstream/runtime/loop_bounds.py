"""How many turns a loop has at most, as far as that is known when it is compiled."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from millstream.core.tensor import Tensor
from millstream.ops.list_values import ElementList, GrowingList

if TYPE_CHECKING:
    from millstream.runtime.lowering import Lowered

_ADDITIONS = frozenset(("AddV2", "Add"))
# Which way a counter runs for each comparison with a limit, and whether it may reach the limit.
_COMPARISONS = {"Less": (1, False), "LessEqual": (1, True), "Greater": (-1, False), "GreaterEqual": (-1, True)}


class Bounds(NamedTuple):
    """What is known of a loop's turns."""

    turns: int | None  # how many there are at most
    exact: bool  # whether there are so many
    ranges: dict[int, tuple[int, int]]  # the lowest and the highest value of inputs that count, when a turn begins
    after: dict[int, np.ndarray[Any, Any]]  # what these are after the last turn, where that is known


UNKNOWN = Bounds(None, False, {}, {})


class _Limit(NamedTuple):
    """The turns that one of the conditions allows."""

    turns: int
    exact: bool  # whether it ends the loop after so many


def bounds(
    condition: Lowered, body: Lowered, values: Sequence[Any], evaluate: Callable[[], dict[Tensor, Any]]
) -> Bounds:
    """What is known of a loop's turns.

    A loop that takes an element from a list in each turn has as many turns as there are elements. A counter that goes
    from a known number by a known step to a known limit bounds them too, and so all counters.

    Args:
      condition, body: the loop's functions.
      values: the inputs at the start; those that are concrete are NumPy arrays.
      evaluate: gives the values of the condition's tensors at the start.
    """
    known = evaluate()
    comparisons = _conjuncts(condition.outputs[0])
    limits = [_bound(comparison, condition, body, values, known) for comparison in comparisons]
    rooms = [
        value.capacity for value, x, y in zip(values, body.inputs, body.outputs, strict=True)
        if isinstance(value, GrowingList) and x is not y
    ]  # fmt: skip
    allowed = [limit.turns for limit in limits if limit]
    turns = min((*allowed, *rooms), default=None)
    exact = all(limit is not None and limit.exact for limit in limits) and turns == min(allowed)
    found = Bounds(turns, exact, {}, {})
    if not turns:
        return found
    for index, step in _steps(body, values).items():
        start, kind = int(values[index]), np.iinfo(values[index].dtype)
        last = start + step * (turns - 1)
        if kind.min <= last + step <= kind.max:  # else it starts again at the other end
            found.ranges[index] = min(start, last), max(start, last)
            if exact:
                found.after[index] = np.asarray(last + step, kind.dtype)
    return found


def with_appended(body: Lowered, values: Sequence[Any], bounds: Bounds) -> list[Any]:
    """The variables at the start; lists to which the loop only appends have places for all that it appends.

    That needs a known number of turns, and a counter among the variables as the place of what is appended.
    """
    found = list(values)
    for index, (value, x, y) in enumerate(zip(values, body.inputs, body.outputs, strict=True)):
        op = y.op
        grows = op.type == "TensorListSetItem" and op.attrs["resize_if_index_out_of_bounds"] and op.inputs[0] is x
        if not (bounds.exact and grows and isinstance(value, ElementList)):
            continue
        uses = body.uses()
        if uses[x] > 1 or uses[y] > 1:
            continue
        place = next((place for place, counter in enumerate(body.inputs) if counter is op.inputs[1]), None)
        low, high = bounds.ranges.get(place, (-1, -1))  # type: ignore[arg-type]
        if low >= 0:
            found[index] = value.resized(max(value.size, high + 1))
    return found


def _steps(body: Lowered, values: Sequence[Any]) -> dict[int, int]:
    """By how much the integers that count grow in each turn."""
    integers = [index for index, value in enumerate(values) if isinstance(_scalar(value), int)]
    steps = {index: _step(body, index, values) for index in integers}
    return {index: step for index, step in steps.items() if step is not None}


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
) -> _Limit | None:
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
    if isinstance(start, float):
        return _limit_of_float(start, step, end, np.finfo(values[index].dtype).eps)
    return _Limit(max(0, (end - start) // step + 1 if inclusive else -((start - end) // step)), True)


def _limit_of_float(start: float, step: float, end: float, precision: float) -> _Limit | None:
    """The turns until a float reaches its limit; each addition may round it back a little."""
    slowest = abs(step) - precision * max(abs(start), abs(end))
    turns = (end - start) / math.copysign(slowest, step) if slowest > 0 else math.nan  # it may stand still
    return _Limit(max(0, math.floor(turns) + 1), False) if math.isfinite(turns) else None


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
