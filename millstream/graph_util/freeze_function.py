"""Freezing a `ConcreteFunction`: its variables become constants of its graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.core.concrete_function import ConcreteFunction
from millstream.core.dtypes import resource, variant
from millstream.core.func_graph import FuncGraph
from millstream.core.graph_import import import_graph_def
from millstream.core.tensor import Tensor
from millstream.core.trace_type import TensorType
from millstream.graph_util.frozen_nodes import freeze_nodes
from millstream.graph_util.parts import extract_sub_graph


def convert_variables_to_constants_v2(
    func: ConcreteFunction, lower_control_flow: bool = True, aggressive_inlining: bool = False
) -> ConcreteFunction:
    """Makes a function whose variables are constants: `frozen.graph.as_graph_def()` is all of it.

    Args:
      func: the function, from `get_concrete_function`.
      lower_control_flow: accepted for compatibility: branches and loops stay functions.
      aggressive_inlining: accepted for compatibility: called functions stay in the library of the `GraphDef`.

    Returns:
      A `ConcreteFunction` that takes the tensor arguments, in their order, and gives the list of outputs.

    Raises:
      TypeError: `func` is no `ConcreteFunction`.
      ValueError: the function writes to a variable.

    Example:
      >>> frozen = convert_variables_to_constants_v2(f.get_concrete_function(tf.TensorSpec([None, 2])))
      >>> tf.io.write_graph(frozen.graph, "model", "frozen.pb", as_text=False)
    """
    if not isinstance(func, ConcreteFunction):
        raise TypeError(f"func must be a ConcreteFunction. Received: {type(func).__name__}")
    graph_def, values = _graph_def(func), _captured_values(func)
    frozen = freeze_nodes(graph_def, values)
    inputs = [tensor.op.name for tensor in func.inputs if tensor.op.name not in values]
    return _function(func, frozen, inputs, [tensor.name for tensor in func.outputs])


def convert_variables_to_constants_v2_as_graph(
    func: ConcreteFunction, lower_control_flow: bool = True, aggressive_inlining: bool = False
) -> tuple[ConcreteFunction, Any]:
    """Like `convert_variables_to_constants_v2`; gives the function and its `GraphDef`."""
    frozen = convert_variables_to_constants_v2(func, lower_control_flow, aggressive_inlining)
    return frozen, frozen.graph.as_graph_def(add_shapes=True)


def _graph_def(func: ConcreteFunction) -> Any:
    """The part of a function's graph that its inputs and outputs need."""
    graph_def = func.graph.as_graph_def()
    wanted = [tensor.op.name for tensor in (*func.inputs, *func.outputs)]
    return extract_sub_graph(graph_def, list(dict.fromkeys([*wanted, *(op.name for op in func.graph.control_outputs)])))


def _captured_values(func: ConcreteFunction) -> dict[str, np.ndarray[Any, Any]]:
    """The values of what a function captures, by the names of the placeholders."""
    variables = {id(variable.handle): variable for variable in func.graph.variables}
    found: dict[str, np.ndarray[Any, Any]] = {}
    for outer, inner in zip(func.captured_inputs, func.inputs[-len(func.captured_inputs) :], strict=False):
        if id(outer) in variables:
            found[inner.op.name] = variables[id(outer)].numpy()
        elif outer.is_eager and outer.dtype not in (resource, variant):
            found[inner.op.name] = outer.numpy()  # type: ignore[attr-defined]
    return found


def _function(
    source: ConcreteFunction, graph_def: Any, inputs: Sequence[str], outputs: Sequence[str]
) -> ConcreteFunction:
    """A `ConcreteFunction` of a graph."""
    graph = FuncGraph(source.graph.name)
    with graph.as_default():
        import_graph_def(graph_def, name="", allow_python=True)  # the program's own
    results = [graph.get_tensor_by_name(name) for name in outputs]
    arguments = [graph.get_tensor_by_name(f"{name}:0") for name in inputs]
    graph.inputs = arguments
    made = [graph.get_operation_by_name(op.name) for op in source.graph.control_outputs]
    graph.control_outputs = made
    types = [_type_of(tensor) for tensor in arguments]
    return ConcreteFunction(source._python_name, graph, arguments, types, ((*arguments,), {}), results, inputs, inputs)


def _type_of(tensor: Tensor) -> TensorType:
    return TensorType(tensor.dtype.base_dtype, tensor._shape)
