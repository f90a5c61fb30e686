"""Branches and loops as operations: `If`, `Case` and `While`, whose branches and bodies are functions.

`tf.cond`, `tf.switch_case` and `tf.while_loop` build them. The kernels only say what is to be chosen or repeated: the
runtime's `region` service compiles that into the program around it, or drives it from the host.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.core import errors
from millstream.core.dtypes import ANY
from millstream.core.opdef import Shape, op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import same_as
from millstream.ops.list_values import ElementList

_BRANCHES = "*, Tout: list(type) >= 0, then_branch: func, else_branch: func, output_shapes: list(shape) = []"
_CASES = "*, Tout: list(type) >= 0, branches: list(func) >= 1, output_shapes: list(shape) = []"
_LOOP = "*, cond: func, body: func, output_shapes: list(shape) = [], parallel_iterations: int = 10"


def merged_shape(first: Shape, second: Shape) -> Shape:
    """The narrowest shape that tensors of both shapes have."""
    if first is None or second is None or len(first) != len(second):
        return None
    return tuple(a if a == b else None for a, b in zip(first, second, strict=True))


def _merged(functions: Sequence[Any]) -> list[Shape]:
    shapes = [tensor._shape for tensor in functions[0].outputs]
    for function in functions[1:]:
        shapes = [merged_shape(shape, y._shape) for shape, y in zip(shapes, function.outputs, strict=True)]
    return shapes


def _branch_shapes(c: ShapeContext) -> list[Shape]:
    return _merged([c.attr("then_branch"), c.attr("else_branch")])


def _case_shapes(c: ShapeContext) -> list[Shape]:
    return _merged(c.attr("branches"))


def _loop_shapes(c: ShapeContext) -> list[Shape]:
    return [tensor._shape for tensor in c.attr("body").inputs]


# --- Branches ---------------------------------------------------------------------------------------------------------


def is_true(value: Any) -> Any:
    """A condition as a boolean scalar: numbers are true that are not zero, strings and arrays that are not empty."""
    if value.ndim:
        return np.bool_(value.size > 0)
    if value.dtype == object:
        return np.bool_(len(value.item()) > 0)
    return value.astype(bool)


@op(f"If(cond: Tcond, input: Tin[], {_BRANCHES}) -> output: Tout[]", Tcond=ANY, Tin=0, shape=_branch_shapes,
    stateful=True, traced_only=True)  # fmt: skip
def if_op(xp, cond, input, *, then_branch, else_branch, region):
    return region.switch(is_true(cond).astype(np.int32), (else_branch, then_branch), input)


@op(f"StatelessIf(cond: Tcond, input: Tin[], {_BRANCHES}) -> output: Tout[]", Tcond=ANY, Tin=0, shape=_branch_shapes,
    traced_only=True)  # fmt: skip
def stateless_if_op(xp, cond, input, *, then_branch, else_branch, region):
    return region.switch(is_true(cond).astype(np.int32), (else_branch, then_branch), input)


def _branch_number(xp: Any, index: Any, count: int) -> Any:
    """Indices that are out of range stand for the last branch."""
    return xp.where((index >= 0) & (index < count), index, count - 1).astype(np.int32)


@op(f"Case(branch_index: int32, input: Tin[], {_CASES}) -> output: Tout[]", Tin=0, shape=_case_shapes, stateful=True,
    traced_only=True)  # fmt: skip
def case_op(xp, branch_index, input, *, branches, region):
    return region.switch(_branch_number(xp, branch_index, len(branches)), branches, input)


@op(f"StatelessCase(branch_index: int32, input: Tin[], {_CASES}) -> output: Tout[]", Tin=0, shape=_case_shapes,
    traced_only=True)  # fmt: skip
def stateless_case_op(xp, branch_index, input, *, branches, region):
    return region.switch(_branch_number(xp, branch_index, len(branches)), branches, input)


@op("FakeParam(*, dtype: type, shape: shape) -> output: dtype", shape=lambda c: c.attr("shape"))
def fake_param_op(xp, *, dtype, shape):
    """Stands for an output that a branch does not compute: its shape is that of the branch which does."""
    if dtype.name == "variant":
        return ElementList()
    return xp.zeros([dim or 0 for dim in shape or ()], dtype.as_numpy_dtype)


fake_param_op.no_gradient("it depends on nothing")


@op("TakenValue(value: T, taken: bool) -> output: T", T=ANY, shape=same_as(0))
def taken_value_op(xp, value, taken, *, check):
    """What a branch computes and its operation does not give: there is a value where the branch was taken."""
    check(taken, errors.InvalidArgumentError, "Retval[0] does not have value")
    return value


@taken_value_op.gradient
def _(op, grad):
    return grad, None


def branches_of(op: Any, attributes: Sequence[str]) -> Sequence[Any]:
    """The branches of an operation: in the attributes of these names, or in the one that is a list of them."""
    return op.attrs[attributes[0]] if len(attributes) == 1 else [op.attrs[name] for name in attributes]


def as_attributes(attributes: Sequence[str], branches: Sequence[Any]) -> dict[str, Any]:
    """The attributes that hold these branches; see `branches_of`."""
    return {attributes[0]: tuple(branches)} if len(attributes) == 1 else dict(zip(attributes, branches, strict=True))


@if_op.gradient
@stateless_if_op.gradient
def _(op, *grads):
    from millstream.ops.branch_gradients import branch_gradient

    return [None, *branch_gradient(op, ("else_branch", "then_branch"), grads)]


@case_op.gradient
@stateless_case_op.gradient
def _(op, *grads):
    from millstream.ops.branch_gradients import branch_gradient

    return [None, *branch_gradient(op, ("branches",), grads)]


# --- Loops ------------------------------------------------------------------------------------------------------------


@op(f"While(input: T[], {_LOOP}) -> output: T[]", T=0, shape=_loop_shapes, stateful=True, traced_only=True)
def while_op(xp, input, *, cond, body, region):
    return region.loop(cond, body, input)


@op(f"StatelessWhile(input: T[], {_LOOP}) -> output: T[]", T=0, shape=_loop_shapes, traced_only=True)
def stateless_while_op(xp, input, *, cond, body, region):
    return region.loop(cond, body, input)


@while_op.gradient
@stateless_while_op.gradient
def _(op, *grads):
    from millstream.ops.loop_gradients import loop_gradient

    return loop_gradient(op, grads)
