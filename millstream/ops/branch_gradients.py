"""The gradient of `If` and `Case`: the same choice among the derivatives of the branches.

Each branch gets further outputs, the tensors that its derivative needs. What another branch needs it does not compute:
a `FakeParam` stands there.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import gradients
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import resource, variant
from millstream.core.graph_function import Derivative, GraphFunction
from millstream.core.opdef import find
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import handle_data
from millstream.ops import cond
from millstream.ops.functional_ops import as_attributes, branches_of
from millstream.ops.list_ops import as_long_as
from millstream.ops.traced_functions import TracedFunction


def branch_gradient(op: Any, attributes: Sequence[str], grads: Sequence[Any]) -> list[Any]:
    """The gradients of what the branches take.

    Args:
      op: the operation: a condition or an index, then the inputs of the branches.
      attributes: the attributes that are branches, in the order of their numbers; or the one that is a list of them.
      grads: the gradients of the outputs; None where nothing depends on one.
    """
    branches = branches_of(op, attributes)
    level = next(
        index for index, function in enumerate(branches[0].levels)
        if all(grad is None for grad in grads[len(function.outputs) :])
    )  # fmt: skip
    functions = [branch.levels[level] for branch in branches]
    derivatives = [function.derivative for function in functions]
    if len(branches[0].levels) == level + 1:
        op._extend(**as_attributes(attributes, _widened(functions, derivatives)))
    connected = sorted({index for derivative in derivatives for index in derivative.connected})
    if not connected:
        return [None] * (len(op.inputs) - 1)
    found = _choice(op, functions, derivatives, grads, connected)
    by_index = dict(zip(connected, found, strict=True))
    return [by_index.get(index) for index in range(len(op.inputs) - 1)]


def _widened(functions: Sequence[GraphFunction], derivatives: Sequence[Derivative]) -> list[GraphFunction]:
    """The branches with what all derivatives need as further outputs, those of the first branch first."""
    count = len(functions[0].outputs)
    extra = [derivative.forward.outputs[count:] for derivative in derivatives]
    wider = []
    for number, function in enumerate(functions):
        with function.graph.as_default():
            more = [
                tensor if number == owner else _fake(tensor)
                for owner, tensors in enumerate(extra)
                for tensor in tensors
            ]
        wider.append(
            GraphFunction(
                function.graph, function.inputs, [*function.outputs, *more], function.control_outputs, function.levels
            )
        )
    return wider


def _fake(tensor: Tensor) -> Tensor:
    return find("FakeParam")(dtype=tensor.dtype.base_dtype, shape=tensor._shape)


def _choice(
    op: Any,
    functions: Sequence[GraphFunction],
    derivatives: Sequence[Derivative],
    grads: Sequence[Any],
    connected: Sequence[int],
) -> list[Tensor]:
    """Adds the operation that chooses among the derivatives; gives the gradients of the connected inputs."""
    count = len(functions[0].outputs)
    inputs = op.inputs[1:]
    traced = []
    first = count
    for number, derivative in enumerate(derivatives):
        extra = len(derivative.forward.outputs) - count
        outputs = [*op.outputs[:count], *op.outputs[first : first + extra]]
        first += extra
        branch = TracedFunction(f"{op.name}_grad_{number}".replace("/", "_"))
        branch.trace(_gradients_of(derivative, inputs, outputs, grads[:count], connected), ())
        traced.append(branch)
    if len(functions) == 2 and op.type in ("If", "StatelessIf"):
        return cond.choose(op.inputs[0], traced[::-1], None)
    return cond.choose_numbered(op.inputs[0], traced, None)


def _gradients_of(
    derivative: Derivative,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    grads: Sequence[Any],
    connected: Sequence[int],
) -> Any:
    def compute() -> list[Tensor]:
        found = derivative.apply(inputs, outputs, grads)
        return [_whole(inputs[index], found[index]) for index in connected]

    return compute


def _whole(tensor: Tensor, grad: Any) -> Tensor:
    """The gradient of an input, the same in form for all branches: a tensor, or a list as long as the input."""
    if grad is None:
        return zeros_for(tensor)
    if tensor.dtype is variant:
        return as_long_as(tensor, grad)
    return gradients.dense(grad)


def zeros_for(tensor: Tensor) -> Tensor:
    """Zeros of the shape of a tensor, or of the variable that a handle stands for."""
    if tensor.dtype is not resource:
        return find("ZerosLike")(tensor)
    known = handle_data(tensor)
    if known is None or known.shape is None or None in known.shape:
        raise LookupError(
            f"The gradient of a variable of unknown shape through a condition or loop is not known: {tensor}."
        )
    return find("Fill")(to_tensor(list(known.shape), dtype="int32"), to_tensor(0, dtype=known.dtype))
