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
from millstream.core.opdef import Shape
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.ops.identity_ops import identity


class TracedFunction:
    """The graph of a branch, a condition or a loop's body.

    Within a `tf.function` everything with effects runs, in the order of the program. In a 1.x graph, as there, only
    that runs which the results need.

    Args:
      name: the function's name.

    Attributes:
      graph: the graph.
      result: what the Python function gave, with tensors of the graph.
    """

    def __init__(self, name: str) -> None:
        outer = get_default_graph()
        self._in_function = outer.building_function
        self.graph = FuncGraph(name, orders_effects=self._in_function)
        if not self._in_function:
            self.graph._share(outer)
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
                self.graph.control_outputs.append(leaf)
                return None if stands_for_operation is None else to_tensor(stands_for_operation)
            return leaf

        with self.building():
            result = nest.map_structure(convert, function(*args), expand_composites=True)
            result = as_outputs(self.graph, result, self.graph.name)
            self.result = nest.map_structure(_value, result, expand_composites=True)

    @property
    def outputs(self) -> list[Tensor]:
        """The tensors among the results."""
        return [leaf for leaf in nest.flatten(self.result, expand_composites=True) if isinstance(leaf, Tensor)]

    def with_captures(self, captured: Sequence[Tensor], outputs: Sequence[Tensor]) -> GraphFunction:
        """The function whose inputs are the arguments and then what stands for some tensors from outside."""
        inputs = [*self._arguments, *(self.graph.capture(tensor) for tensor in captured)]
        return GraphFunction(self.graph, inputs, outputs, self.graph.control_outputs)


def _value(leaf: Any) -> Any:
    """What a reference to a variable refers to; anything else as it is."""
    return identity(leaf) if isinstance(leaf, Tensor) and leaf.dtype.is_ref else leaf


def all_captures(functions: Sequence[TracedFunction]) -> list[Tensor]:
    """The tensors from outside that any of the functions uses, each once."""
    found = {id(tensor): tensor for function in functions for tensor in function.graph.external_captures}
    return list(found.values())
