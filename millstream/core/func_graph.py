"""`FuncGraph`: the graph of a function's body.

It takes tensors from outside as further inputs (captures), and keeps what has effects in the order of the program.
"""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from millstream.core import context, conversion, errors, opdef, random_seed, static_values
from millstream.core.dtypes import DType, resource
from millstream.core.graph import Graph, as_operation, get_default_graph
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import handle_data

# Eager tensors of so few elements through which no gradient flows become constants of the function, known to shapes.
_SMALL_CONSTANT = 128


class FuncGraph(Graph):
    """A graph whose operations may take tensors of the graphs around it, and eager tensors.

    Args:
      name: the function's name.
      orders_effects: whether operations with effects wait for each other in the order in which they are made.

    Attributes:
      outer_graph: the graph in which the function is being made; None: eager execution.
      inputs: the placeholders of arguments and captures, in the order in which they were made.
      outputs: the tensors that the function gives.
      control_outputs: the operations that run although no output needs them.
    """

    building_function = True
    is_body = True

    def __init__(self, name: str, orders_effects: bool = True) -> None:
        super().__init__()
        self.name = name
        self.outer_graph = None if context.executing_eagerly() else get_default_graph()
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.control_outputs: list[Operation] = []
        self.control_captures: dict[Operation, None] = {}  # operations outside for which something inside waits
        self._captures: dict[int, tuple[Tensor, Tensor]] = {}  # by the identity of the tensor outside
        self._constants: dict[int, tuple[Tensor, Tensor]] = {}
        self.variables: list[Any] = []  # those that the function, or one inside of it, uses
        self._orders_effects = orders_effects
        self._effects = _Effects()
        self.seed = random_seed.global_seed()
        if self.outer_graph is not None and self.outer_graph.building_function:
            self._share(self.outer_graph)

    def _share(self, outer: Graph) -> None:
        """What a branch or loop body has in common with the function that it is in: collections and variable scopes."""
        self._collections = outer._collections
        self.extensions = outer.extensions

    def __repr__(self) -> str:
        return f"FuncGraph(name={self.name}, id={id(self)})"

    # --- Inputs -------------------------------------------------------------------------------------------------

    def add_input(self, dtype: DType, shape: Any, name: str, handle: Any = None) -> Tensor:
        """A new argument: a placeholder."""
        with self._scopes.suspended():
            full_name = self.unique_full_name(name)
            attrs = {"dtype": dtype.base_dtype, "shape": shape}
            op = Operation(self, opdef.find("Placeholder"), full_name, (), attrs)
            Graph.add_operation(self, op, (dtype,), (shape,))
        tensor = op.outputs[0]
        if handle is not None:
            tensor.handle_data = handle  # type: ignore[attr-defined]
        self.inputs.append(tensor)
        return tensor

    def add_variable(self, variable: Any) -> None:
        """Notes that the function uses a variable."""
        if not any(item is variable for item in self.variables):
            self.variables.append(variable)
            if self.outer_graph is not None and self.outer_graph.building_function:
                self.outer_graph.add_variable(variable)  # type: ignore[attr-defined]

    def capture(self, tensor: Tensor, name: str | None = None) -> Tensor:
        """A tensor of this graph for one from outside: a further input, or a constant.

        Raises:
          InaccessibleTensorError: it is a tensor of a graph that is not around this one.
        """
        if not tensor.is_eager and tensor.op.graph is self:
            return tensor
        found = self._captures.get(id(tensor)) or self._constants.get(id(tensor))
        if found is not None:
            return found[1]
        if not tensor.is_eager:
            self._check_reachable(tensor)
        value = _known_value(tensor)
        if value is not None:
            return self._capture_constant(tensor, value)
        inner = self.add_input(tensor.dtype, tensor._shape, name or self._label(tensor), handle_data(tensor))
        self._captures[id(tensor)] = tensor, inner
        return inner

    def _capture_constant(self, tensor: Tensor, value: np.ndarray[Any, Any]) -> Tensor:
        with self._scopes.suspended():
            inner = conversion.constant(self, value, tensor.dtype, self.unique_full_name(self._constant_label(tensor)))
        self._constants[id(tensor)] = tensor, inner
        return inner

    def _label(self, tensor: Tensor) -> str:
        """What stands here for a tensor from outside is called so."""
        return "captured" if tensor.is_eager else tensor.op.name.rpartition("/")[2]

    def _constant_label(self, tensor: Tensor) -> str:
        return "Const"

    def _check_reachable(self, tensor: Tensor) -> None:
        graph: Any = self.outer_graph
        while graph is not None:
            if graph is tensor.op.graph:
                return
            graph = getattr(graph, "outer_graph", None)
        message = errors.format_message(
            f"{tensor!r} is out of scope and cannot be used here. Use return values, explicit Python locals or "
            "TensorFlow collections to access it.",
            received=f"It is a tensor of {tensor.graph!r}, used in {self!r}.",
            defined_at=tensor.op.defined_at,
            hint="Return it from the function that made it. To collect values in a loop use a tf.TensorArray.",
        )
        raise errors.InaccessibleTensorError(message)

    @property
    def captures(self) -> list[tuple[Tensor, Tensor]]:
        """(tensor outside, placeholder) of what was captured."""
        return list(self._captures.values())

    @property
    def external_captures(self) -> list[Tensor]:
        """The tensors outside that were captured."""
        return [outer for outer, _ in self._captures.values()]

    @property
    def internal_captures(self) -> list[Tensor]:
        """The placeholders of what was captured."""
        return [inner for _, inner in self._captures.values()]

    @property
    def arguments(self) -> list[Tensor]:
        """The inputs that are not captures."""
        captured = {id(inner) for inner in self.internal_captures}
        return [tensor for tensor in self.inputs if id(tensor) not in captured]

    def control_dependencies(self, control_inputs: Sequence[Any] | None) -> AbstractContextManager[None]:
        """What is made inside runs after `control_inputs`; for operations outside of the function all of it waits."""
        inner = []
        for item in control_inputs or ():
            if not (isinstance(item, Tensor) and item.is_eager):  # what is eager has happened
                op = self._reached(as_operation(item, self))
                if op.graph is self:
                    inner.append(op)
                else:
                    self.control_captures[op] = None
        return self._controlled_by(list(dict.fromkeys(inner)), outer=control_inputs is not None)

    # --- Effects ------------------------------------------------------------------------------------------------

    def add_operation(self, op: Operation, output_dtypes: Sequence[Any], output_shapes: Sequence[Any]) -> None:
        """Puts a new operation in the graph; what has effects waits for what was made before it."""
        super().add_operation(op, output_dtypes, output_shapes)
        if self._orders_effects and (op.definition.stateful or op.definition.calls_function):
            before, must_run = self._effects.order(op)
            if before:
                makers = {tensor.op for tensor in op.inputs}
                new = [other for other in before if other not in makers and other not in op._control_inputs]
                op._control_inputs = (*op._control_inputs, *new)
            if must_run:
                self.control_outputs.append(op)


def _known_value(tensor: Any) -> np.ndarray[Any, Any] | None:
    """The value of a small tensor through which no gradient flows, where it is known: shapes may depend on it."""
    dtype = tensor.dtype
    if not (dtype.is_integer or dtype.is_bool or dtype.name == "string") or dtype.is_quantized:
        return None
    if tensor.is_eager:
        return tensor._array().copy() if tensor.is_constant and tensor._num_elements() <= _SMALL_CONSTANT else None
    value = static_values.small_constant_value(tensor)
    return None if value is None else np.array(value)


class _Effects:
    """The order of operations with effects: reads and writes of each resource, and everything else of that kind.

    Python code may use any variable: what is before it in the program is done before it, what is after it afterwards.
    """

    def __init__(self) -> None:
        self._last_python: Operation | None = None
        self._last_write: dict[int, Operation] = {}
        self._reads: dict[int, list[Operation]] = {}
        self._last_other: Operation | None = None

    def order(self, op: Operation) -> tuple[list[Operation], bool]:
        """What a new operation waits for, and whether it must run although nothing needs its results."""
        before: list[Operation] = []
        must_run = False
        runs_python = opdef.runs_python(op)
        if runs_python:
            before.extend(self._last_write.values())
            before.extend(reader for readers in self._reads.values() for reader in readers)
            self._last_write.clear()
            self._reads.clear()
        handles = [(index, tensor) for index, tensor in enumerate(op.inputs) if tensor.dtype is resource]
        for index, tensor in handles:
            key = id(tensor)
            last = self._last_write.get(key, self._last_python)
            if last is not None:
                before.append(last)
            if opdef.changes_input(op, index):
                before.extend(self._reads.pop(key, ()))
                self._last_write[key] = op
                must_run = True
            else:
                self._reads.setdefault(key, []).append(op)
        if opdef.has_other_effects(op):
            if self._last_other is not None:
                before.append(self._last_other)
            self._last_other = op
            must_run = True
        if runs_python:
            self._last_python = op
        return list(dict.fromkeys(before)), must_run
