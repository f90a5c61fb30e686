"""Branches and loop bodies as graphs: Python functions traced for `If`, `Case` and `While`."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from millstream.core import context, nest
from millstream.core.concrete_function import as_outputs
from millstream.core.conversion import to_tensor
from millstream.core.dtypes import DType
from millstream.core.func_graph import FuncGraph
from millstream.core.graph import get_default_graph
from millstream.core.graph_function import GraphFunction
from millstream.core.indexed_slices import IndexedSlices
from millstream.core.opdef import Shape
from millstream.core.operation import Operation
from millstream.core.region_graph import RegionGraph
from millstream.core.shapes import format_shape
from millstream.core.tensor import Tensor
from millstream.core.trace_type import is_variable
from millstream.ops.identity_ops import identity


class TracedFunction:
    """The graph of a branch, a condition or a loop's body.

    Within a `tf.function` everything with effects runs, in the order of the program. In a 1.x graph, as there, only
    that runs which the results need.

    Args:
      name: the function's name.
      gate: as which operation TensorFlow 1 lets in what is used of outside.
      beside: another part of the same loop.

    Attributes:
      graph: the `FuncGraph`, in a 1.x graph a `RegionGraph`.
      result: what the Python function gave, with tensors of the graph.
    """

    def __init__(self, name: str, gate: str = "Switch", beside: TracedFunction | None = None) -> None:
        outer = get_default_graph()
        self._in_function = outer.building_function
        self._name_scope = outer.get_name_scope()
        around = beside.graph if beside is not None else None
        self.graph: Any = FuncGraph(name) if self._in_function else RegionGraph(name, gate, around)
        self.result: Any = None
        self._arguments: list[Tensor] = []

    def add_input(self, dtype: DType, shape: Shape, name: str, handle: Any = None) -> Tensor:
        """A new argument."""
        self._arguments.append(self.graph.add_input(dtype, shape, name, handle))
        return self._arguments[-1]

    @contextmanager
    def building(self) -> Iterator[None]:
        """Operations that are made within the `with` block go to the graph."""
        with self.graph.as_default(), context.scope(""):
            if not self._in_function:  # a region has the scopes of the graph around
                yield
                return
            with self.graph.in_scope(self._name_scope):
                yield

    def trace(self, function: Callable[..., Any], args: Sequence[Any], stands_for_operation: Any = None) -> None:
        """Runs the Python function in the graph.

        Args:
          function: the function.
          args: its arguments, made of the graph's inputs.
          stands_for_operation: what 1.x gives for an operation among the results: None there and here, or a value.
        """

        def convert(leaf: Any) -> Any:
            if isinstance(leaf, Operation) and not self._in_function:
                self._require(leaf)
                if stands_for_operation is None:
                    return None
                return to_tensor(stands_for_operation, name="control_dependency")
            if self._in_function or leaf is None or isinstance(leaf, IndexedSlices) or is_variable(leaf):
                return leaf
            return to_tensor(leaf)

        with self.building():
            result = nest.map_structure(convert, function(*args), expand_composites=True)
            result = as_outputs(self.graph, result, self.graph.name)
            with self.graph.numbering.stands_for(0):
                self.result = nest.map_structure(_value, result, expand_composites=True)

    def _require(self, operation: Operation) -> None:
        """An operation is to run with the function, or before it where it is one of outside."""
        is_inside = operation.graph is self.graph
        if is_inside:
            self.graph.control_outputs.append(operation)
        else:
            self.graph.control_captures[operation] = None

    @property
    def outputs(self) -> list[Tensor]:
        """The tensors among the results."""
        return [leaf for leaf in nest.flatten(self.result, expand_composites=True) if isinstance(leaf, Tensor)]

    def with_captures(self, captured: Sequence[Tensor], outputs: Sequence[Tensor]) -> GraphFunction:
        """The function whose inputs are the arguments and then what stands for some tensors from outside."""
        with self.graph.numbering.stands_for(0):
            inputs = [*self._arguments, *(self.graph.capture(tensor) for tensor in captured)]
        return GraphFunction(self.graph, inputs, outputs, self.graph.control_outputs)


def require_callable(label: str, **functions: Any) -> None:
    """Demands that arguments can be called; `label` is how their names are written, `"'{}'"` in 2.x and `"{}"` in 1.x.

    Raises:
      TypeError: one cannot.
    """
    for name, function in functions.items():
        if not callable(function):
            raise TypeError(f"{label.format(name)} must be callable.")


def require_bool_scalar(condition: Tensor, op_type: str, argument: str, name: str, count: int) -> None:
    """Demands what TensorFlow 1's operation, which takes it `count` times, demands of a condition.

    Raises:
      TypeError: it is not boolean.
      ValueError: it is not scalar.
    """
    dtype, shape = condition.dtype.base_dtype, condition._shape
    if dtype.name != "bool":
        raise TypeError(
            f"Input '{argument}' of '{op_type}' Op has type {dtype.name} that does not match expected type of bool."
        )
    if shape not in ((), None):
        given = ", ".join([format_shape(shape)] * count)
        raise ValueError(
            f"Shape must be rank 0 but is rank {len(shape)} for '{name}' (op: '{op_type}') with input shapes: {given}."
        )


def _value(leaf: Any) -> Any:
    """What a reference to a variable refers to; anything else as it is."""
    return identity(leaf) if isinstance(leaf, Tensor) and leaf.dtype.is_ref else leaf


def all_captures(functions: Sequence[TracedFunction]) -> list[Tensor]:
    """The tensors from outside that any of the functions uses, each once."""
    found = {id(tensor): tensor for function in functions for tensor in function.graph.external_captures}
    return list(found.values())
