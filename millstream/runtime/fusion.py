"""Puts one call in the place of several where one kernel computes what they do: a convolution with its bias and relu.

The graph itself is not touched: only the calls of a stage that is about to be compiled. A pattern starts at one
operation and looks at who takes its result; what lies between the operations that are joined must be of no use to
anyone else. All operations concerned are pure, so the joined call may run anywhere between its inputs and its first
user.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from millstream.core import opdef
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.runtime.interpreter import Call


class Fusion(NamedTuple):
    """What takes the place of some calls.

    Attributes:
      replaced: the calls; the last one gives the name, and the user's line for errors.
      kind: the type of the operation that does their work.
      inputs, attrs: its inputs and attributes.
      outputs: the tensors of the graph that it gives.
    """

    replaced: Sequence[Call]
    kind: str
    inputs: tuple[Tensor, ...]
    attrs: dict[str, Any]
    outputs: list[Tensor]


def fused(calls: Sequence[Call], kept: Iterable[Tensor]) -> Sequence[Call]:
    """The calls with patterns of them replaced.

    Args:
      calls: in the order in which they run.
      kept: tensors that others need, or that do not come from the calls.
    """
    if not any(call.op.type in _PATTERNS for call in calls):
        return calls
    users = Users(calls, kept)
    taken: set[Call] = set()
    fusions: list[Fusion] = []
    for call in calls:
        pattern = _PATTERNS.get(call.op.type)
        found = pattern(call, users) if pattern else None
        if found is not None and not any(part in taken or _is_bound(part) for part in found.replaced):
            taken.update(found.replaced)
            fusions.append(found)
    return _placed(calls, fusions) if fusions else calls


def _is_bound(call: Call) -> bool:
    """Whether a call must stay as it is: it reads variables itself, or some of what it gives is fed."""
    fed = any(kept is not tensor for kept, tensor in zip(call.outputs, call.op.outputs, strict=True))
    return bool(call.derefs or call.fresh) or fed


class Users:
    """Which calls give and take each tensor."""

    def __init__(self, calls: Sequence[Call], kept: Iterable[Tensor]) -> None:
        self._kept = frozenset(kept)
        self._calls: dict[Tensor, list[Call]] = {}
        self._makers = {call.op: call for call in calls}
        for call in calls:
            for tensor in call.op.inputs:
                self._calls.setdefault(tensor, []).append(call)

    def maker(self, tensor: Tensor) -> Call | None:
        """The call that gives a tensor, if it is among these."""
        return self._makers.get(tensor.op)

    def of(self, tensor: Tensor) -> list[Call]:
        """All calls that take a tensor, in their order."""
        return self._calls.get(tensor, [])

    def only(self, tensor: Tensor) -> Call | None:
        """The one call that takes a tensor, if nobody else needs it."""
        found = self.of(tensor)
        return found[0] if len(found) == 1 and tensor not in self._kept else None


def _placed(calls: Sequence[Call], fusions: Iterable[Fusion]) -> Sequence[Call]:
    """The calls in an order in which each joined one stands behind its inputs; those that cannot stay apart."""
    index = {call: position for position, call in enumerate(calls)}
    made_at = {tensor: position for position, call in enumerate(calls) for tensor in call.op.outputs}
    used_at: dict[Tensor, int] = {}
    for position, call in enumerate(calls):
        for tensor in call.op.inputs:
            used_at.setdefault(tensor, position)
    behind: dict[int, list[Call]] = {}
    gone: set[Call] = set()
    for fusion in sorted(fusions, key=lambda fusion: max(index[call] for call in fusion.replaced)):
        place = max((made_at.get(tensor, -1) for tensor in fusion.inputs), default=-1)
        if any(tensor.op is call.op for tensor in fusion.inputs for call in fusion.replaced):
            continue  # it would need what it gives
        if place < min((used_at.get(tensor, len(calls)) for tensor in fusion.outputs), default=len(calls)):
            made_at.update((tensor, place) for tensor in fusion.outputs)
            used_at.update((tensor, min(place, used_at.get(tensor, place))) for tensor in fusion.inputs)
            behind.setdefault(place, []).append(_joined_call(fusion))
            gone.update(fusion.replaced)
    ordered = behind.get(-1, [])
    for position, call in enumerate(calls):
        if call not in gone:
            ordered.append(call)
        ordered.extend(behind.get(position, ()))
    return ordered


def _joined_call(fusion: Fusion) -> Call:
    last = fusion.replaced[-1].op
    definition = opdef.find(fusion.kind)
    attrs = {spec.name: spec.default for spec in definition.attrs.values()} | fusion.attrs
    op = Operation(last.graph, definition, last.name, fusion.inputs, attrs)
    op.outputs = fusion.outputs
    op._frames = last._frames
    return Call(op)


# --- Patterns -----------------------------------------------------------------------------------------------

_ACTIVATIONS = ("Relu", "Relu6")


def _convolution(call: Call, users: Users) -> Fusion | None:
    """Convolution, bias, and perhaps an activation."""
    (result,) = call.op.outputs
    bias = users.only(result)
    if bias is None or not _adds_bias(bias.op, result, call.op.attrs["data_format"]):
        return None
    replaced, names = [call, bias], ["BiasAdd"]
    activation = users.only(bias.op.outputs[0])
    if activation is not None and activation.op.type in _ACTIVATIONS:
        replaced.append(activation)
        names.append(activation.op.type)
    vector = next(tensor for tensor in bias.op.inputs if tensor is not result)
    attrs = {**call.op.attrs, "num_args": 1, "fused_ops": tuple(names)}
    return Fusion(replaced, "_FusedConv2D", (*call.op.inputs, vector), attrs, replaced[-1].op.outputs)


def _adds_bias(op: Operation, result: Tensor, data_format: str) -> bool:
    """Whether `op` adds one number a channel to a convolution's result."""
    if op.type == "BiasAdd":
        return op.inputs[0] is result and op.attrs["data_format"] == data_format
    if op.type not in ("Add", "AddV2") or data_format != "NHWC" or op.inputs[0] is op.inputs[1]:
        return False
    other = op.inputs[op.inputs[0] is result]
    outputs = result._shape and result._shape[-1]
    return outputs is not None and other._shape == (outputs,)


def _batch_norm(call: Call, users: Users) -> Fusion | None:
    """Batch normalisation, perhaps a sum with other images, and perhaps relu."""
    op = call.op
    replaced, side = [call], []
    following = users.only(op.outputs[0])
    if following is not None and following.op.type in ("Add", "AddV2"):
        other = following.op.inputs[following.op.inputs[0] is op.outputs[0]]
        if other is not op.outputs[0] and other._shape is not None and other._shape == op.outputs[0]._shape:
            replaced.append(following)
            side.append(other)
            following = users.only(following.op.outputs[0])
    relu = following is not None and following.op.type == "Relu"
    if following is not None and relu:
        replaced.append(following)
    if len(replaced) == 1:
        return None
    attrs = {**op.attrs, "num_side_inputs": len(side), "activation_mode": "Relu" if relu else "Identity"}
    outputs = [replaced[-1].op.outputs[0], *op.outputs[1:]]
    return Fusion(replaced, "_FusedBatchNormEx", (*op.inputs, *side), attrs, outputs)


def _relu_gradient(call: Call, users: Users) -> Fusion | None:
    """The gradient of relu with that of the pooling after it, or of the batch normalisation before it."""
    grad, features = call.op.inputs
    pooled = users.maker(grad)
    if pooled is not None and pooled.op.type == "MaxPoolGrad" and pooled.op.inputs[0] is features:
        if users.only(grad) is call:
            return Fusion([pooled, call], "_ReluMaxPoolGrad", pooled.op.inputs, pooled.op.attrs, call.op.outputs)
    (result,) = call.op.outputs
    for other in users.of(result):
        op = other.op
        if op.type == "FusedBatchNormGradV3" and op.inputs[0] is result:
            inputs = (grad, *op.inputs[1:5], features)
            side = [] if users.only(result) is other else [result]
            attrs = {**op.attrs, "num_side_inputs": len(side)}
            return Fusion([call, other], "_ReluFusedBatchNormGrad", inputs, attrs, [*op.outputs, *side])
    return None


_PATTERNS: dict[str, Callable[[Call, Users], Fusion | None]] = {
    "Conv2D": _convolution,
    "FusedBatchNormV3": _batch_norm,
    "ReluGrad": _relu_gradient,
}
