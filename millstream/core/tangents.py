"""Tangents of an operation's outputs, by its gradient.

The gradients of an operation's inputs are a linear function of those of its outputs. Its transpose, which is the
gradient of that function, takes tangents of the inputs to tangents of the outputs.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from millstream.core import context, gradients, tape
from millstream.core.dtypes import resource
from millstream.core.graph import get_default_graph
from millstream.core.graph_function import CALLS, Argument, GraphFunction, build, call, extend_to, has_gradient
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import find
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import handle_data

Tangents = Sequence[Tensor | None]


def tangents_of_outputs(op: Any, tangents: Tangents, orders: int) -> list[Tensor | None]:
    """The tangents of an operation's outputs.

    Args:
      op: the operation.
      tangents: those of its inputs; None where an input does not change.
      orders: how often what it computes may be differentiated.

    Raises:
      LookupError: it has no gradient, or its gradient has none.
    """
    if op.type in CALLS:
        return _of_call(op, tangents, orders)
    graph = None if context.executing_eagerly() else get_default_graph()
    backward = tape.Tape(graph, watches_variables=False)
    cotangents = [find("ZerosLike")(y) if has_gradient(y) else None for y in op.outputs]
    given = [tensor for tensor in cotangents if tensor is not None]
    if not given:
        return cotangents
    for tensor in given:
        backward.watch(tensor)
    wanted = frozenset(index for index, tangent in enumerate(tangents) if tangent is not None)
    with tape.watched_by(backward):
        grads = gradients.input_gradients(op, cotangents, wanted)
    pairs = [_pair(grad, tangents[index]) for index, grad in grads]
    targets, flowing = [target for target, _ in pairs], [tangent for _, tangent in pairs]
    found = iter(tape.walk_back(backward.operations, targets, flowing, given))
    return [None if tensor is None else _dense(next(found)) for tensor in cotangents]


def _pair(grad: Any, tangent: Any) -> tuple[Tensor, Tensor]:
    """What to differentiate, and the gradient that flows into it: for rows of a gradient, the rows of the tangent."""
    if isinstance(grad, IndexedSlices):
        return grad.values, find("GatherV2")(tangent, grad.indices, 0)
    return grad, tangent


def _dense(grad: Any) -> Tensor | None:
    return None if grad is None else gradients.dense(grad)


# --- Calls of functions -----------------------------------------------------------------------------------------------


class _FunctionTangents:
    """The tangents of a function's outputs as a function of those of its inputs, and of what its derivative needs.

    Args:
      function: the function.
      varying: the inputs that have a tangent.

    Attributes:
      derivative: the function's derivative.
      connected: the outputs that have a tangent.
    """

    def __init__(self, function: GraphFunction, varying: frozenset[int]) -> None:
        self.derivative = function.derivative
        self.connected: list[int] = []
        self._varying = sorted(varying)
        self._outputs = len(function.outputs)
        forward = self.derivative.forward
        taken = self._taken(function.inputs, forward.outputs)
        specs = [_tangent_of(function.inputs[index]) for index in self._varying]
        self._function, self._captures = build(
            f"jvp_{function.graph.name}", self._body, [*specs, *map(Argument.like, taken)]
        )

    def _taken(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[Tensor]:
        """What the function takes of a call's inputs and outputs: what is needed, and the outputs."""
        sources = {"input": inputs, "output": outputs}
        needed = [sources[kind][where] for kind, where in self.derivative.needed if kind != "outside"]
        return [*needed, *(outputs[index] for index in self.derivative.given)]

    def _body(self, inputs: list[Tensor]) -> list[Tensor]:
        rest = iter(inputs)
        tangents = {index: next(rest) for index in self._varying}
        needed = [where if kind == "outside" else next(rest) for kind, where in self.derivative.needed]
        cotangents = [find("ZerosLike")(y) for y in rest]
        flat = iter(call(self.derivative.backward, [*cotangents, *needed]))
        grads = [(index, gradients.from_components(kind, flat)) for index, kind in self.derivative.found()]
        pairs = [_pair(grad, tangents[index]) for index, grad in grads if index in tangents]
        targets, flowing = [target for target, _ in pairs], [tangent for _, tangent in pairs]
        found = gradients.gradients_of_function(targets, cotangents, flowing)
        self.connected = [index for index, y in zip(self.derivative.given, found, strict=True) if y is not None]
        return [gradients.dense(tangent) for tangent in found if tangent is not None]

    def of_call(self, op: Any, tangents: Tangents) -> list[Tensor | None]:
        """The tangents of a call's outputs."""
        given = [tangents[index] for index in self._varying]
        made = call(self._function, [*given, *self._taken(op.inputs, op.outputs), *self._captures])  # type: ignore[list-item]
        found: list[Tensor | None] = [None] * self._outputs
        for index, tangent in zip(self.connected, made, strict=True):
            found[index] = tangent
        return found


def _of_call(op: Any, tangents: Tangents, orders: int) -> list[Tensor | None]:
    """The tangents of all outputs of a call, also of those that only derivatives of lower order than `orders` ask for.

    Each level of outputs has its own function: that of the user's outputs must not need what deeper ones do, for the
    tangents of which a recorder around may not ask.
    """
    varying = frozenset(index for index, tangent in enumerate(tangents) if tangent is not None)
    function: GraphFunction = op.attrs["f"].levels[0]
    found: list[Tensor | None] = []
    for level in range(max(orders, 1)):
        try:
            wider = function.extended
        except LookupError:
            if level == 0:
                raise
            break
        extend_to(op, "f", wider)
        if varying not in function.tangents:
            function.tangents[varying] = _FunctionTangents(function, varying)
        found += function.tangents[varying].of_call(op, tangents)[len(found) :]
        if wider is function:
            break
        function = wider
    return found


def _tangent_of(x: Tensor) -> Argument:
    """The tangent of an input: for a variable's handle, that of the variable."""
    data = handle_data(x) if x.dtype is resource else None
    return Argument(x.dtype.base_dtype, x._shape) if data is None else Argument(data.dtype, data.shape)
