"""The gradient of `While`: a loop over the turns in reverse.

The loop gets further variables: a counter of its turns, and for each tensor of the body that the body's derivative
needs a list to which every turn pushes it. The gradient's loop takes the elements back, the last turn's first.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from millstream.core import context, gradients, tape
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import resource, variant
from millstream.core.graph_function import Derivative, GraphFunction, call, filled
from millstream.core.opdef import find
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor
from millstream.ops.branch_gradients import zeros_for
from millstream.ops.list_ops import WRITES_ONCE, as_long_as, empty_list, pop_back, tensor_list_push_back_op
from millstream.ops.while_loop import while_loop_v2


class _Kept(NamedTuple):
    """What a loop keeps of its turns for its derivative."""

    turns: int  # the output that counts them
    lists: dict[int, int]  # the outputs that are lists, by the identity of the body's tensor


def loop_gradient(op: Any, grads: Sequence[Any]) -> list[Any]:
    """The gradients of a loop's inputs.

    Args:
      op: the operation.
      grads: the gradients of its outputs; None where nothing depends on one.
    """
    body = next(level for level in op.attrs["body"].levels if all(grad is None for grad in grads[len(level.outputs) :]))
    _note_writes(op, body)
    derivative = body.derivative
    if not derivative.connected:
        return [None] * len(op.inputs)
    kept = _kept(op, body, derivative)
    reverse = _Reverse(op, body, derivative, kept)
    found = reverse.build(grads)
    return [found.get(index) for index in range(len(op.inputs))]


def _note_writes(op: Any, body: GraphFunction) -> None:
    """Marks where the body writes a new list of the program at a place that moves on each turn: nowhere twice."""
    for start, x, y in zip(op.inputs[: len(body.inputs)], body.inputs, body.outputs, strict=True):
        is_write = y.op.type == "TensorListSetItem" and y.op.inputs[0] is x
        if is_write and start.op.type == "TensorListReserve" and _moves_on(body, y.op.inputs[1]):
            y.op.attrs = {**y.op.attrs, WRITES_ONCE: True}


def _moves_on(body: GraphFunction, index: Tensor) -> bool:
    """Whether an input of a loop's body is another number in each turn."""
    place = next((place for place, x in enumerate(body.inputs) if x is index), None)
    step = None if place is None else body.outputs[place].op
    if step is None or step.type not in ("AddV2", "Add", "Sub") or step.inputs[0] is not index:
        return False
    by = constant_value(step.inputs[1])
    return by is not None and bool(by)


# --- The loop itself --------------------------------------------------------------------------------------------------


def _kept(op: Any, body: GraphFunction, derivative: Derivative) -> _Kept:
    """Has a loop keep what its derivative needs; once."""
    known = op.__dict__.setdefault("kept_for_gradients", {})
    if len(body.inputs) not in known:
        known[len(body.inputs)] = _extend(op, body, _needed_each_turn(body, derivative))
    return known[len(body.inputs)]


def _needed_each_turn(body: GraphFunction, derivative: Derivative) -> list[Tensor]:
    """The tensors of the body that the derivative needs and that differ from turn to turn."""
    found: dict[int, Tensor] = {}
    for kind, where in derivative.needed:
        tensor = _tensor_of_body(body, derivative, kind, where)
        if tensor is not None and tensor.op.type != "Const" and not _is_invariant(body, tensor):
            found[id(tensor)] = tensor
    return list(found.values())


def _tensor_of_body(body: GraphFunction, derivative: Derivative, kind: str, where: Any) -> Tensor | None:
    if kind == "outside":
        return None
    return body.inputs[where] if kind == "input" else derivative.forward.outputs[where]


def _is_invariant(body: GraphFunction, tensor: Tensor) -> bool:
    return any(x is tensor and y is tensor for x, y in zip(body.inputs, body.outputs, strict=True))


def _extend(op: Any, body: GraphFunction, tensors: Sequence[Tensor]) -> _Kept:
    """Adds a counter and a list for each tensor to a loop."""
    cond = op.attrs["cond"]
    with op.graph.as_default(), op.graph._controlled_by([], outer=False), tape.recorded_by(()):
        start = [
            to_tensor(0, dtype="int32", name="turns"),
            *(empty_list(tensor.dtype.base_dtype) for tensor in tensors),
        ]
    inputs, outputs = list(body.inputs), list(body.outputs)
    with body.graph.as_default(), context.scope(""), tape.recorded_by(()):
        turns = body.graph.add_input(start[0].dtype, (), f"{op.name}/turns")
        new = [find("AddV2")(turns, 1)]
        inputs.append(turns)
        for tensor, initial in zip(tensors, start[1:], strict=True):
            kept = body.graph.add_input(initial.dtype, (), f"{op.name}/kept")
            new.append(tensor_list_push_back_op(kept, tensor))
            inputs.append(kept)
    unused = [cond.graph.add_input(initial.dtype, (), f"{op.name}/unused") for initial in start]
    wider = GraphFunction(body.graph, inputs, [*outputs, *new], body.control_outputs, body.levels)
    test = GraphFunction(cond.graph, [*cond.inputs, *unused], cond.outputs, cond.control_outputs, cond.levels)
    first = len(op.outputs)
    op._extend(start, body=wider, cond=test)
    op.attrs = {**op.attrs, "output_shapes": tuple(tensor._shape for tensor in wider.inputs)}
    return _Kept(first, {id(tensor): first + 1 + index for index, tensor in enumerate(tensors)})


# --- The loop in reverse ----------------------------------------------------------------------------------------------


class _Reverse:
    """Builds the loop over the turns in reverse.

    Its variables: how many turns are left; the gradients of the loop's variables as they were after the turn; the sums
    of the gradients of the variables that the body reads through handles; the lists.
    """

    def __init__(self, op: Any, body: GraphFunction, derivative: Derivative, kept: _Kept) -> None:
        self._op = op
        self._body = body
        self._derivative = derivative
        self._kept = kept
        self._flowing = derivative.given
        self._summed = [index for index in derivative.connected if body.inputs[index].dtype is resource]

    def build(self, grads: Sequence[Any]) -> dict[int, Any]:
        """Adds the loop; gives the gradients by input."""
        op = self._op
        start = [_whole(op.outputs[index], grads[index]) for index in self._flowing]
        sums = [zeros_for(op.inputs[index]) for index in self._summed]
        lists = [op.outputs[index] for index in self._kept.lists.values()]
        shapes = [op.outputs[index]._shape for index in self._flowing]
        variables = [op.outputs[self._kept.turns], *start, *sums, *lists]
        invariants = [(), *shapes, *(item._shape for item in sums), *(() for _ in lists)]
        result = while_loop_v2(
            lambda left, *rest: find("Greater")(left, 0), self._turn, variables, invariants, name="while_grad"
        )
        found = result[1 : 1 + len(start) + len(sums)]
        connected = set(self._derivative.connected)
        return {
            index: grad
            for index, grad in zip((*self._flowing, *self._summed), found, strict=True)
            if index in connected
        }

    def _turn(self, left: Tensor, *rest: Tensor) -> list[Tensor]:
        flows = rest[: len(self._flowing)]
        sums = rest[len(flows) : len(flows) + len(self._summed)]
        lists, popped = self._pop(rest[len(flows) + len(sums) :])
        needed = [self._value(kind, where, popped) for kind, where in self._derivative.needed]
        flat = iter(call(self._derivative.backward, [*flows, *needed]))
        found = {
            index: gradients.dense(gradients.from_components(kind, flat)) for index, kind in self._derivative.found()
        }
        new = [found[index] if index in found else find("ZerosLike")(flow)
               for index, flow in zip(self._flowing, flows, strict=True)]  # fmt: skip
        for index, grad in zip(self._flowing, new, strict=True):
            if grad.dtype.is_numpy_compatible:
                grad.set_shape(self._op.outputs[index]._shape)
        totals = [find("AddV2")(total, found[index]) for index, total in zip(self._summed, sums, strict=True)]
        return [find("Sub")(left, 1), *new, *totals, *lists]

    def _pop(self, lists: Sequence[Tensor]) -> tuple[list[Tensor], dict[int, Tensor]]:
        """The lists without this turn, and this turn's values by the identity of the body's tensor."""
        tensors = {id(tensor): tensor for tensor in self._tensors()}
        shorter, popped = [], {}
        for key, values in zip(self._kept.lists, lists, strict=True):
            tensor = tensors[key]
            rest, popped[key] = pop_back(values, tensor.dtype.base_dtype, tensor._shape)
            shorter.append(rest)
        return shorter, popped

    def _tensors(self) -> list[Tensor]:
        found = [_tensor_of_body(self._body, self._derivative, kind, where) for kind, where in self._derivative.needed]
        return [tensor for tensor in found if tensor is not None]

    def _value(self, kind: str, where: Any, popped: dict[int, Tensor]) -> Tensor:
        """What the derivative needs, in this turn."""
        tensor = _tensor_of_body(self._body, self._derivative, kind, where)
        if tensor is None:
            return where
        if id(tensor) in popped:
            return popped[id(tensor)]
        if tensor.op.type == "Const":
            return to_tensor(tensor.op.attrs["value"], dtype=tensor.dtype)
        place = next(index for index, x in enumerate(self._body.inputs) if x is tensor)
        return self._op.inputs[place]


def _whole(output: Tensor, grad: Any) -> Tensor:
    """The gradient of an output of a loop; that of a list as long as the list."""
    found = filled(output, grad)
    return found if grad is None or output.dtype is not variant else as_long_as(output, found)
