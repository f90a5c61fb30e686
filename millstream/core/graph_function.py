"""`GraphFunction`: a function over tensors, given by a graph with inputs and outputs, and its derivative."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from millstream.core import context, gradients, opdef, tape
from millstream.core.dtypes import DType, resource
from millstream.core.func_graph import FuncGraph
from millstream.core.graph import get_default_graph
from millstream.core.opdef import OpDef, Shape
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import handle_data

_counter = itertools.count(1)
CALLS = frozenset(("PartitionedCall", "StatefulPartitionedCall"))

# Runs a function at once: (function, values of its inputs) -> values of its outputs. Installed by the eager runtime.
RUN: list[Any] = []


class GraphFunction:
    """What a call, a branch or a loop body computes.

    Args:
      graph: the graph of the body.
      inputs: its placeholders, captures among them.
      outputs: tensors of the body.
      control_outputs: operations that run although no output needs them.
      levels: for a function with further outputs: what it was before, the smallest first.
      saved_name: its name in the file that it was read from.
    """

    def __init__(
        self,
        graph: FuncGraph,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        control_outputs: Sequence[Operation] = (),
        levels: tuple[GraphFunction, ...] = (),
        saved_name: str | None = None,
    ) -> None:
        self.graph = graph
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.control_outputs = list(control_outputs)
        self.levels = (*levels, self)
        self.name: str = levels[0].name if levels else f"__inference_{graph.name}_{next(_counter)}"
        self.saved_name: str | None = levels[0].saved_name if levels else saved_name
        self.runners: dict[Any, Any] = {}  # what the runtime has made of it
        self.tangents: dict[frozenset[int], Any] = {}  # its tangents, by the inputs that have one

    def __repr__(self) -> str:
        return f"<GraphFunction {self.name}>"

    @cached_property
    def written_inputs(self) -> frozenset[int]:
        """The indices of the inputs that are variables or other resources which the function may change."""
        places = {
            id(tensor): index for index, tensor in enumerate(self.inputs)
            if tensor.dtype is resource or tensor.dtype.is_ref
        }  # fmt: skip
        found = set()
        for op in self.graph._operations if places else ():
            for index, tensor in enumerate(op.inputs):
                if id(tensor) in places and places[id(tensor)] not in found and opdef.changes_input(op, index):
                    found.add(places[id(tensor)])
        return frozenset(found)

    @cached_property
    def has_other_effects(self) -> bool:
        """Whether it does something besides changing its inputs."""
        return any(opdef.has_other_effects(op) for op in self.graph._operations)

    @cached_property
    def runs_python(self) -> bool:
        """Whether it calls the user's Python code."""
        return any(opdef.runs_python(op) for op in self.graph._operations)

    @cached_property
    def is_repeatable(self) -> bool:
        """Whether running it once more changes nothing and gives the same."""
        ops = self.graph._operations
        inner = (function for op in ops for function in opdef.functions_of(op))
        stateful = any(op.definition.stateful and not op.definition.must_be_fed for op in ops)
        return not stateful and not self.written_inputs and all(function.is_repeatable for function in inner)

    @property
    def is_stateful(self) -> bool:
        """Whether a call must not be left out or repeated."""
        return any(op.definition.stateful or op.definition.calls_function for op in self.graph._operations)

    # --- The derivative -----------------------------------------------------------------------------------------

    @cached_property
    def derivative(self) -> Derivative:
        """How gradients flow from the outputs to the inputs."""
        return Derivative(self)

    @property
    def extended(self) -> GraphFunction:
        """The function with the outputs that its derivative needs besides."""
        return self.derivative.forward


class Derivative:
    """A function's reverse: from gradients of the outputs to gradients of the inputs.

    Attributes:
      forward: the function with the tensors of its body that the gradients are computed from as further outputs.
      backward: takes the gradients of `given` and then `needed`; gives the gradients of the inputs in `connected`.
      given: the indices of the outputs through which gradients flow.
      connected: the indices of the inputs that have a gradient.
      needed: for each tensor of the body that `backward` takes: ("input", index) or ("output", index) of `forward`.
      outside: what `backward` takes from outside of the body.
    """

    def __init__(self, function: GraphFunction) -> None:
        body = function.graph
        self.given = [index for index, y in enumerate(function.outputs) if has_gradient(y)]
        with body.as_default():
            graph = FuncGraph(f"backward_{body.name}")
        with graph.as_default(), tape.recorded_by(()):
            grads = [
                graph.add_input(y.dtype.base_dtype, y._shape, f"grad_{index}")
                for index, y in enumerate(function.outputs)
                if index in self.given
            ]
            targets = [function.outputs[index] for index in self.given]
            found = gradients.gradients_of_function(targets, function.inputs, grads)
            self.connected = [index for index, grad in enumerate(found) if grad is not None]
            self.kinds: list[Any] = [found[index] for index in self.connected]
            outputs = [tensor for kind in self.kinds for tensor in gradients.components(kind)]
            outputs = [graph.capture(tensor) for tensor in outputs]
        self._collect(function, graph)
        captured = graph.internal_captures
        self.backward = GraphFunction(graph, [*grads, *captured], outputs, graph.control_outputs)

    def _collect(self, function: GraphFunction, graph: FuncGraph) -> None:
        """Finds where what the backward graph took from the body comes from."""
        places: dict[int, tuple[str, int]] = {id(y): ("output", index) for index, y in enumerate(function.outputs)}
        places.update({id(x): ("input", index) for index, x in enumerate(function.inputs)})
        extra: list[Tensor] = []
        self.needed: list[tuple[str, Any]] = []
        for tensor in graph.external_captures:
            if tensor.is_eager or tensor.op.graph is not function.graph:
                self.needed.append(("outside", tensor))
                continue
            if id(tensor) not in places:
                places[id(tensor)] = "output", len(function.outputs) + len(extra)
                extra.append(tensor)
            self.needed.append(places[id(tensor)])
        if not extra:
            self.forward = function
            return
        outputs = [*function.outputs, *extra]
        self.forward = GraphFunction(
            function.graph, function.inputs, outputs, function.control_outputs, function.levels
        )

    def found(self) -> list[tuple[int, Any]]:
        """The inputs that have a gradient, each with a gradient of the kind: a tensor or an `IndexedSlices`."""
        return list(zip(self.connected, self.kinds, strict=True))

    def apply(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], grads: Sequence[Any]) -> list[Any]:
        """The gradients of the inputs of a call, given its inputs and outputs and the gradients of the outputs."""
        given = [filled(outputs[index], grads[index]) for index in self.given]
        sources = {"input": inputs, "output": outputs}
        needed = [where if kind == "outside" else sources[kind][where] for kind, where in self.needed]
        flat = iter(call(self.backward, [*given, *needed]))
        found: list[Any] = [None] * len(inputs)
        for index, kind in self.found():
            found[index] = gradients.from_components(kind, flat)
        return found


def has_gradient(tensor: Tensor) -> bool:
    """Whether a function's tensor can have a gradient, or a tangent: one of numbers, or a list of tensors."""
    return tape.carries_gradient(tensor) and tensor.dtype is not resource


def filled(output: Tensor, grad: Any) -> Tensor:
    """The gradient of an output as one tensor: zeros where nothing depends on it."""
    return opdef.find("ZerosLike")(output) if grad is None else gradients.dense(grad)


def call(function: GraphFunction, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Calls a function: runs it at once, or adds an operation that calls it."""
    if not context.executing_eagerly():
        graph = get_default_graph()
        taken = [graph.capture(tensor) for tensor in inputs] if graph.is_body else list(inputs)
        wider = _widened(function, tape.orders(taken, graph))
        dtypes = [tensor.dtype.base_dtype for tensor in wider.outputs]
        made = _calling_operation(function)(taken, f=wider, Tout=dtypes)
        return [] if isinstance(made, Operation) else made[: len(function.outputs)]
    orders = tape.orders(inputs, None) if tape.current.tapes else 0
    if not orders:
        return RUN[0](function, inputs)
    wider = _widened(function, orders)
    outputs = RUN[0](wider, inputs)
    tape.record_eager(_calling_operation(function), list(inputs), {"f": wider}, outputs, function.name)
    return outputs[: len(function.outputs)]


def _calling_operation(function: GraphFunction) -> OpDef:
    """The operation that calls a function."""
    return opdef.find("StatefulPartitionedCall" if function.is_stateful else "PartitionedCall")


# What gradient functions raise where an operation, or a dtype or shape of it, has no derivative.
_NO_DERIVATIVE = (LookupError, NotImplementedError, TypeError, ValueError)


def _widened(function: GraphFunction, orders: int) -> GraphFunction:
    """The function with what so many derivatives need besides; what has none is for `gradient` to say."""
    for _ in range(orders):
        try:
            function = function.extended
        except _NO_DERIVATIVE:
            break
    return function


def call_instead(definition: opdef.OpDef, inputs: Sequence[Tensor], attrs: dict[str, Any]) -> list[Tensor]:
    """Calls a function that consists of one operation, in its place.

    Other than a condition or a loop, a call is known beforehand by all outputs that derivatives ask for.
    """

    def body(given: list[Tensor]) -> list[Tensor]:
        return opdef.tensors_as_list(definition(*opdef.group_arguments(definition.inputs, attrs, given), **attrs))

    function, captures = build(definition.name, body, [Argument.like(tensor) for tensor in inputs])
    return call(function, [*inputs, *captures])


def extend_for(op: Any, name: str, grads: Sequence[Any]) -> Derivative:
    """The derivative of the function that an operation calls; gives the operation the outputs that it needs.

    Args:
      op: the operation.
      name: the attribute that is the function.
      grads: the gradients of the operation's outputs.
    """
    # The function as it was before derivatives asked for more of its tensors, if no gradient comes from these.
    function = next(
        level for level in op.attrs[name].levels if all(grad is None for grad in grads[len(level.outputs) :])
    )
    derivative = function.derivative
    extend_to(op, name, derivative.forward)
    return derivative


def extend_to(op: Any, name: str, function: GraphFunction) -> None:
    """Has an operation call the function with further outputs, if it does not yet."""
    if len(op.outputs) < len(function.outputs):
        op._extend(**{name: function})


class Argument(NamedTuple):
    """An input of a function that is built."""

    dtype: DType
    shape: Shape
    handle: Any = None  # what is known of the variable that a handle stands for

    @classmethod
    def like(cls, tensor: Tensor) -> Argument:
        """An input for tensors of the same type."""
        return cls(tensor.dtype.base_dtype, tensor._shape, handle_data(tensor))


def build(
    name: str, body: Callable[[list[Tensor]], list[Tensor]], arguments: Sequence[Argument]
) -> tuple[GraphFunction, list[Tensor]]:
    """Makes a function of a Python function over tensors.

    Args:
      name: its name.
      body: takes a tensor for each argument, gives a list of tensors.
      arguments: the types of the arguments.

    Returns:
      The function, whose inputs are the arguments and what the body captures; and the tensors that it captures.
    """
    graph = FuncGraph(name)
    with graph.as_default(), context.scope(""):
        inputs = [
            graph.add_input(item.dtype, item.shape, f"x_{index}", item.handle) for index, item in enumerate(arguments)
        ]
        outputs = [graph.capture(tensor) for tensor in body(inputs)]
    function = GraphFunction(graph, [*inputs, *graph.internal_captures], outputs, graph.control_outputs)
    return function, graph.external_captures
