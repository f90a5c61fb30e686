"""Which branches and loop bodies are compiled as part of the program around them, and how.

A body is compiled where its plan is one stage of device operations. What must be concrete in it (shapes, axes) has to
be a constant, follow from shapes, or be an input that the operation around it passes in unchanged: then that input
must be concrete there. Everything else is driven from the host, operation by operation, its bodies compiled.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from millstream.core import opdef
from millstream.core.dtypes import string, variant
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor

if TYPE_CHECKING:
    from millstream.runtime.lowering import Lowered
    from millstream.runtime.variables import Access

LOOPS = frozenset(("While", "StatelessWhile"))


class RegionPlan(NamedTuple):
    """How a function is compiled as a part of a program."""

    ops: list[Operation]
    folded: frozenset[Tensor]
    statics: frozenset[int]  # the inputs that must be concrete
    has_checks: bool
    streams: tuple[Operation, ...]  # the random operations
    fresh: Mapping[Operation, list[Access]]  # see `Stage`


def plan_of(function: Lowered, fixed: frozenset[int]) -> RegionPlan | None:
    """How a function is compiled; None where it cannot be.

    Args:
      function: the function.
      fixed: the inputs that may have to be concrete.
    """
    key = "region", fixed
    if key not in function.runners:
        function.runners[key] = _make_plan(function, fixed)
    return function.runners[key]  # type: ignore[return-value]


def _make_plan(function: Lowered, fixed: frozenset[int]) -> RegionPlan | None:
    from millstream.runtime.plan import make_plan

    inputs = {
        tensor: index
        for index, (tensor, handle) in enumerate(zip(function.inputs, function.handles, strict=True))
        if handle is None
    }
    concrete = frozenset(tensor for tensor, index in inputs.items() if index in fixed)
    plan = make_plan(function.graph, function.outputs, function.targets, inputs, concrete=concrete)
    if len(plan.steps) > 1 or any(step.is_host for step in plan.steps):
        return None
    if any(tensor.dtype.base_dtype is string for tensor in function.outputs):
        return None
    if not plan.steps:
        return RegionPlan([], frozenset(), frozenset(), False, (), {})
    stage = plan.steps[0]
    statics = frozenset(inputs[tensor] for tensor in stage.statics)
    if not statics <= fixed:
        return None
    draws = (op for op in stage.ops if "stream" in op.definition.kernel_services)
    streams = (*draws, *inner_streams(stage.ops))
    return RegionPlan(stage.ops, stage.folded, statics, any(map(has_checks, stage.ops)), streams, stage.fresh)


def inner_streams(ops: Iterable[Operation]) -> tuple[Operation, ...]:
    """The random operations in the branches and loops among some operations."""
    plans = (plan for op in ops if op.definition.calls_function for plan in plans_of(op) or ())
    return tuple(dict.fromkeys(stream for plan in plans for stream in plan.streams))


def fixed_inputs(op: Operation) -> frozenset[int]:
    """The inputs of an operation's functions that are the same whenever one of them runs."""
    mapped = op.attrs.get("mapped")  # by rows
    if mapped is not None:
        return frozenset(index for index, is_mapped in enumerate(mapped) if not is_mapped)
    if op.type not in LOOPS:
        return frozenset(range(len(opdef.functions_of(op)[0].inputs)))
    body = op.attrs["body"]
    return frozenset(index for index, (x, y) in enumerate(zip(body.inputs, body.outputs, strict=True)) if x is y)


def plans_of(op: Operation) -> list[RegionPlan] | None:
    """How the functions of an operation are compiled; None where the host drives it."""
    if op.__dict__.get("on_host"):
        return None
    fixed = fixed_inputs(op)
    found = [plan_of(function, fixed) for function in opdef.functions_of(op)]
    return None if None in found else found  # type: ignore[return-value]


def static_operands(op: Operation) -> list[Tensor]:
    """The inputs of an operation that its functions need to be concrete."""
    plans = plans_of(op)
    if plans is None:
        return []
    first = len(op.inputs) - len(opdef.functions_of(op)[0].inputs)
    return [op.inputs[first + index] for index in sorted(frozenset().union(*(plan.statics for plan in plans)))]


def has_checks(op: Operation) -> bool:
    """Whether an operation, or one in its functions, checks something when it runs."""
    if op.definition.calls_function:
        return any(plan.has_checks for plan in plans_of(op) or ())
    return "check" in op.definition.kernel_services


def put_on_host(op: Operation) -> None:
    """Has an operation driven from the host from now on, and with it the lists that it uses."""
    op.on_host = True  # type: ignore[attr-defined]
    if any(tensor.dtype is variant for tensor in op.inputs):
        for graph in (op.graph, *(function.graph for function in opdef.functions_of(op))):
            graph.lists_on_host = True


def keeps_lists_on_host(op: Operation) -> bool:
    """Whether an operation has to do with lists that no program of its graph can hold."""
    if "lists_on_host" not in op.graph.__dict__ or op.definition.calls_function:
        return False
    return any(tensor.dtype is variant for tensors in (op.inputs, op.outputs) for tensor in tensors)


def variables_of(function: Lowered) -> list[Any]:
    """The variables that a flat function uses, an `Access` each; made once."""
    from millstream.runtime.variables import variable_accesses

    found = function.runners.get("accesses")
    if found is None:
        fed = {tensor for tensor, handle in zip(function.inputs, function.handles, strict=True) if handle is None}
        accesses = [access for op in function.graph._operations for access in variable_accesses(op, fed)]
        found = function.runners["accesses"] = merged_accesses(accesses)
    return found  # type: ignore[return-value]


def merged_accesses(accesses: Iterable[Any]) -> list[Any]:
    """One `Access` for each variable: a write where any of them writes."""
    merged: dict[Any, Any] = {}
    for access in accesses:
        if access.writes or access.handle not in merged:
            merged[access.handle] = access
    return list(merged.values())
