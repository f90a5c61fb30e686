"""Gradients of `tf.custom_gradient` in a SavedModel: functions that are registered for operations of the library.

In a graph what has a gradient of its own ends in an `IdentityN`, whose attribute `_gradient_op_type` names it.
It is a function of the gradients of the operation's outputs, and of tensors of the function that the operation is in.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from millstream.core import gradients, nest, opdef, tape
from millstream.core.concrete_function import ConcreteFunction
from millstream.core.func_graph import FuncGraph
from millstream.core.graph_function import GraphFunction, call, filled
from millstream.core.log import tensorflow_logger
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.core.tensor_spec import TensorSpec
from millstream.core.type_spec import TypeSpec
from millstream.saved_model.function_loader import FunctionLoader
from millstream.saved_model.structure_codec import decode

_ATTRIBUTE = "_gradient_op_type"


# --- Loading ---------------------------------------------------------------------------------------------------------


class RestoredGradients:
    """Gives operations of loaded functions their gradients.

    Args:
      loader: the functions.
      registered: the names of gradient functions by those of gradients.
      saved: the `SavedConcreteFunction`s by name.
      nodes: the objects of the model, `SavedObject`s.
      capture: the tensor that stands for an object which a function uses.
    """

    def __init__(self, loader: FunctionLoader, registered: Any, saved: Any, nodes: Any, capture: Any) -> None:
        self._loader = loader
        self._saved = saved
        self._nodes = nodes
        self._capture = capture
        self._functions = {item.registered_op_type: item.gradient_func for item in registered}
        self._done = 0
        for name in self._functions.values():
            if name not in saved:
                raise ValueError(f"Nothing is said about the gradient function '{name}' of the SavedModel.")

    def attach(self) -> None:
        """Gives their gradients to the operations of functions that were made since."""
        made = self._loader.made()
        for function in made[self._done :]:
            for op in function.graph.get_operations():
                if _ATTRIBUTE in op.attrs:
                    self._attach(op, op.attrs[_ATTRIBUTE].decode("utf-8", "replace"))
        self._done = len(made)

    def _attach(self, op: Operation, name: str) -> None:
        if name in self._functions:
            op.own_gradient = _RestoredGradient(self, self._functions[name])  # type: ignore[attr-defined]
        elif op.definition.calls_function:  # that of the function that it calls
            op.attrs = {key: value for key, value in op.attrs.items() if key != _ATTRIBUTE}
        else:
            tensorflow_logger().warning(
                "Importing a function (%s) with ops with unsaved custom gradients. Will likely fail if a gradient is "
                "requested.", op.graph,
            )  # fmt: skip

    def apply(self, name: str, op: Operation, grads: Sequence[Any]) -> list[Any]:
        """The gradients of an operation's inputs by a gradient function."""
        if name in self._loader.problems:
            raise LookupError(f"The gradient of {op.name} cannot be used: {self._loader.problems[name]}")
        saved = self._saved[name]
        captured = [self._captured(name, op, node_id) for node_id in saved.bound_inputs]
        given = [filled(output, grad) for output, grad in zip(op.outputs, grads, strict=True)]
        inputs = [*given[: self._loader.count_of_inputs(name) - len(captured)], *captured]
        function = self._loader.function(name, inputs)
        self.attach()
        outputs = iter(call(function, inputs))
        specs = nest.flatten(decode(saved.output_signature))
        found = [spec.from_tensors(outputs) if isinstance(spec, TypeSpec) else None for spec in specs]
        return [None] * (len(op.inputs) - len(found)) + found

    def _captured(self, name: str, op: Operation, node_id: int) -> Tensor:
        node = self._nodes[node_id]
        if not node.HasField("captured_tensor"):
            return self._capture(name, node_id).tensor
        try:
            return op.graph.get_tensor_by_name(node.captured_tensor.name)
        except (KeyError, ValueError):
            raise LookupError(
                f"The gradient of {op.name} takes '{node.captured_tensor.name}', which {op.graph} does not have."
            ) from None


class _RestoredGradient(NamedTuple):
    """The gradient function of an operation."""

    gradients: RestoredGradients
    name: str

    def __call__(self, op: Operation, *grads: Any) -> list[Any]:
        return self.gradients.apply(self.name, op, grads)


# --- Saving ----------------------------------------------------------------------------------------------------------


class TracedGradient(NamedTuple):
    """A gradient of an operation as a function.

    Attributes:
      op_type: the name of the gradient.
      function: takes the gradients of the operation's outputs and then what it uses of the function around.
      inputs: the specs of these gradients.
      outputs: for each input of the operation the spec of its gradient, or None.
      host: the trace that the operation is in.
      captured: what it uses, tensors of the trace's graph and from outside of it.
    """

    op_type: str
    function: GraphFunction
    inputs: tuple[TensorSpec, ...]
    outputs: list[TensorSpec | None]
    host: ConcreteFunction
    captured: list[Tensor]


def trace_gradients(traces: Sequence[ConcreteFunction]) -> list[TracedGradient]:
    """The gradients that operations of functions have of their own, one for each name."""
    found: dict[str, TracedGradient] = {}
    pairs = [(host, op) for host in traces for op in _differentiated(host.function, set())]
    # Only of traces can gradients use tensors; functions that they call come last.
    for host, op in sorted(pairs, key=lambda pair: pair[1].graph is not pair[0].graph):
        name = op.attrs.get(_ATTRIBUTE, b"").decode()
        if not name or name in found:
            continue
        traced = _traced(name, op, host)
        if op.graph is host.graph or not traced.captured:
            found[name] = traced
        else:
            tensorflow_logger().warning(
                "The custom gradient of %s is not saved: it is in a function that another one calls.", op.name
            )
    return list(found.values())


def _differentiated(function: GraphFunction, seen: set[GraphFunction]) -> Iterator[Operation]:
    """The operations of a function, and of those that it calls, that have gradients of their own."""
    seen.add(function)
    for op in function.graph.get_operations():
        if getattr(op, "own_gradient", None) is not None:
            yield op
        for inner in opdef.functions_of(op):
            if inner not in seen:
                yield from _differentiated(inner, seen)


def _traced(name: str, op: Any, host: ConcreteFunction) -> TracedGradient:
    with op.graph.as_default():
        graph = FuncGraph("internal_grad_fn")
    with graph.as_default(), tape.recorded_by(()):
        grads = [
            graph.add_input(output.dtype.base_dtype, output._shape, f"result_grads_{index}")
            for index, output in enumerate(op.outputs)
        ]
        found = [gradients.dense(grad) if grad is not None else None for grad in op.own_gradient(op, *grads)]
        outputs = [graph.capture(grad) for grad in found if grad is not None]
    function = GraphFunction(graph, [*grads, *graph.internal_captures], outputs, graph.control_outputs)
    specs = [None if grad is None else TensorSpec(grad._shape, grad.dtype.base_dtype) for grad in found]
    return TracedGradient(
        name, function, tuple(map(TensorSpec.from_tensor, grads)), specs, host, graph.external_captures
    )
