"""Leaves out the variables of a loop, and the results of branches, that a run does not need.

What only these use need not be computed, nor fed: as in TensorFlow 1, where each result of a condition is a node. A
loop that has been differentiated keeps what its turns compute. A run that takes only the loop's results need not do
that; and a loop of which nobody knows how often it turns can only be compiled where nothing is kept.
"""
from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple

from millstream.core import opdef
from millstream.core.graph_function import GraphFunction
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.runtime import region_plan

_BRANCHES = frozenset(("If", "StatelessIf", "Case", "StatelessCase"))


class NeededPart(NamedTuple):
    """An operation with some of its inputs and outputs."""

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    attrs: dict[str, Any]


def needed_part(op: Operation, used: Container[Tensor]) -> NeededPart:
    """What matters of an operation for the outputs in `used`, for its effects, or for its turns."""
    if op.type in region_plan.LOOPS:
        return _needed_of_loop(op, used)
    return _needed_of_branches(op, used) if op.type in _BRANCHES else NeededPart(op.inputs, op.outputs, op.attrs)


def _needed_of_branches(op: Operation, used: Container[Tensor]) -> NeededPart:
    needed = [index for index, tensor in enumerate(op.outputs) if tensor in used]
    if len(needed) == len(op.outputs):
        return NeededPart(op.inputs, op.outputs, op.attrs)
    branches = opdef.functions_of(op)
    outputs = [[branch.outputs[index] for index in needed] for branch in branches]
    found = (_sources(branch, y, branch.control_outputs) for branch, y in zip(branches, outputs, strict=True))
    taken = sorted(frozenset().union(*found))
    first = len(op.inputs) - len(branches[0].inputs)
    inputs = [op.inputs[first + index] for index in taken]
    parts = [_with_variables(branch, taken, needed) for branch in branches]
    attrs = {
        **op.attrs,
        "Tin": tuple(tensor.dtype for tensor in inputs),
        "Tout": tuple(op.outputs[index].dtype for index in needed),
    }
    if "branches" in attrs:
        attrs["branches"] = tuple(parts)
    else:
        attrs["then_branch"], attrs["else_branch"] = parts
    return NeededPart([*op.inputs[:first], *inputs], [op.outputs[index] for index in needed], attrs)


def _needed_of_loop(op: Operation, used: Container[Tensor]) -> NeededPart:
    """A loop with those of its variables that matter for the outputs in `used`, for its effects, or for its turns."""
    cond, body = op.attrs["cond"], op.attrs["body"]
    needed = _needed(cond, body, [index for index, tensor in enumerate(op.outputs) if tensor in used])
    if len(needed) == len(op.outputs):
        return NeededPart(op.inputs, op.outputs, op.attrs)
    outputs = [op.outputs[index] for index in needed]
    attrs = {
        **op.attrs,
        "T": tuple(tensor.dtype for tensor in outputs),
        "output_shapes": tuple(tensor._shape for tensor in outputs),
        "cond": _with_variables(cond, needed, range(len(cond.outputs))),
        "body": _with_variables(body, needed, needed),
    }
    return NeededPart([op.inputs[index] for index in needed], outputs, attrs)


def _needed(cond: GraphFunction, body: GraphFunction, used: Iterable[int]) -> list[int]:
    """The variables that some of them depend on, themselves included."""
    found = _sources(cond, cond.outputs, cond.control_outputs) | _sources(body, (), body.control_outputs)
    waiting = [*found, *used]
    found.update(waiting)
    while waiting:
        new = _sources(body, [body.outputs[waiting.pop()]], ()) - found
        found |= new
        waiting.extend(new)
    return sorted(found)


def _sources(function: GraphFunction, tensors: Iterable[Tensor], ops: Iterable[Operation]) -> set[int]:
    """The inputs of a function that some of its tensors and operations depend on."""
    used = set(tensors)
    reached = {tensor.op for tensor in used}.union(ops)
    waiting = list(reached)
    while waiting:
        op = waiting.pop()
        inputs = set(needed_part(op, used).inputs) - used
        used |= inputs  # their makers come again, as more is needed of these now
        controls = set(op._control_inputs) - reached
        reached |= controls
        waiting.extend({*(tensor.op for tensor in inputs), *controls})
    return {index for index, tensor in enumerate(function.inputs) if tensor in used}


def _with_variables(function: GraphFunction, taken: Sequence[int], given: Sequence[int]) -> GraphFunction:
    """The function with some of its inputs and outputs; made once, and known by the same name."""
    key = "variables", tuple(taken), tuple(given)
    if key not in function.runners:
        inputs = [function.inputs[index] for index in taken]
        outputs = [function.outputs[index] for index in given]
        function.runners[key] = GraphFunction(
            function.graph, inputs, outputs, function.control_outputs, function.levels
        )
    return function.runners[key]
