"""Calls of functions. The eager runtime runs them; in a graph the body takes the place of the call before it runs."""
from __future__ import annotations

from typing import Any

from millstream.core.graph_function import extend_for
from millstream.core.opdef import op
from millstream.core.shape_context import ShapeContext

_ARGUMENTS = (
    '*, Tout: list(type) >= 0, f: func, config: string = "", config_proto: string = "", executor_type: string = ""'
)


def _shapes(c: ShapeContext) -> list[Any]:
    return [tensor._shape for tensor in c.attrs["f"].outputs]


def _not_inlined(xp: Any, args: list[Any]) -> Any:
    raise RuntimeError("the body of a function takes the place of its call before a graph runs")


@op(f"PartitionedCall(args: Tin[], {_ARGUMENTS}) -> output: Tout[]", Tin=0, shape=_shapes)
def partitioned_call_op(xp, args):
    return _not_inlined(xp, args)


@op(f"StatefulPartitionedCall(args: Tin[], {_ARGUMENTS}) -> output: Tout[]", Tin=0, shape=_shapes, stateful=True)
def stateful_partitioned_call_op(xp, args):
    return _not_inlined(xp, args)


@partitioned_call_op.gradient
@stateful_partitioned_call_op.gradient
def _(op, *grads):
    derivative = extend_for(op, "f", grads)
    return derivative.apply(op.inputs, op.outputs, grads)
