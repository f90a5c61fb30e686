"""From functions that call functions to one flat graph.

The planner and the compiler know no functions. Before a graph is planned, the body of each called function takes the
call's place; branches and loop bodies stay functions, lowered in turn. Handles of variables become known here, so that
the flat graph says which variable each operation reads and writes.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from millstream.core import opdef
from millstream.core.dtypes import DType, resource
from millstream.core.graph import Graph
from millstream.core.graph_function import CALLS, GraphFunction
from millstream.core.operation import Operation
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import VariableHandle
from millstream.runtime import region_plan
from millstream.runtime.dead_variables import needed_part
from millstream.runtime.fresh_reads import shared_variable
from millstream.runtime.plan import waited_for
from millstream.runtime.variables import handle_of

Handles = tuple[VariableHandle | None, ...]


class Lowered:
    """A function as a flat graph.

    Attributes:
      graph: holds no calls.
      inputs: one tensor for each input of the function.
      outputs: one tensor for each output.
      targets: operations that run although no output needs them.
    """

    __slots__ = ("graph", "inputs", "outputs", "targets", "handles", "runners")

    def __init__(self, function: GraphFunction, handles: Handles, shared: Handles = ()) -> None:
        self.graph = Graph()
        self.handles = handles
        self.runners: dict[object, object] = {}  # what the runtime has made of it
        work = _Lowering(self.graph, function.name)
        self.inputs = [work.add_input(tensor, handle) for tensor, handle in zip(function.inputs, handles, strict=True)]
        for tensor, variable in zip(self.inputs, shared, strict=False):
            if variable is not None:
                tensor.op.attrs["_shares"] = variable  # for `fresh_reads`
        self.outputs, self.targets = work.inline(function, self.inputs, "", ())

    def graph_input(self, dtype: DType, name: str) -> Tensor:
        """A new placeholder of a scalar in the graph, for `with_ends`."""
        op = Operation(
            self.graph, opdef.find("Placeholder"), self.graph.unique_full_name(name), (), {"dtype": dtype, "shape": ()}
        )
        self.graph.adopt(op, (dtype,), ((),))
        return op.outputs[0]

    def uses(self) -> dict[Tensor, int]:
        """How often each tensor is taken: by operations, and as an output."""
        return Counter((*(tensor for op in self.graph._operations for tensor in op.inputs), *self.outputs))

    def with_ends(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Lowered:
        """The function of the same graph with further inputs, after its own, and with other outputs."""
        other = Lowered.__new__(Lowered)
        other.graph, other.targets, other.runners = self.graph, self.targets, {}
        other.inputs, other.outputs = list(inputs), list(outputs)
        other.handles = (*self.handles, *[None] * (len(inputs) - len(self.inputs)))
        return other


class Part(NamedTuple):
    """The part of a graph that a run needs."""

    graph: Graph
    fetches: list[Tensor]
    targets: list[Operation]
    fed: list[Tensor]


def flattened(
    graph: Graph, fetches: Sequence[Tensor], targets: Sequence[Operation], fed: Sequence[Tensor]
) -> Part:
    """What a run needs without calls of functions: in the graph itself where there are none, else in a flat copy."""
    same = Part(graph, list(fetches), list(targets), list(fed))
    if not _has_functions(graph._operations):
        return same
    needed = needed_for(fetches, targets, frozenset(fed))
    if not _has_functions(needed):
        return same
    flat = Graph()
    work = _Lowering(flat, "")
    work.tensors.update((tensor, work.add_input(tensor, None)) for tensor in fed)
    work.copy_all(needed, fetches, "", ())
    return Part(
        flat,
        [work.tensors[tensor] for tensor in fetches],
        list(dict.fromkeys([*(made for op in targets for made in work.operations[op]), *work.effects])),
        [work.tensors[tensor] for tensor in fed],
    )


def _has_functions(ops: Iterable[Operation]) -> bool:
    return any(op.definition.calls_function for op in ops)


class _Lowering:
    """Copies operations into a flat graph."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.tensors: dict[Tensor, Tensor] = {}
        self.operations: dict[Operation, list[Operation]] = {}  # an operation, or all that came of a call
        self.effects: list[Operation] = []  # what calls do besides giving values
        self._name = name

    def add_input(self, tensor: Tensor, handle: VariableHandle | None) -> Tensor:
        """A placeholder, or the variable itself."""
        name = self.graph.unique_full_name(tensor.op.name)
        attrs: dict[str, Any]
        if handle is None:
            kind, attrs = "Placeholder", {"dtype": tensor.dtype, "shape": tensor._shape}
        else:
            kind = "VariableV2" if tensor.dtype.is_ref else "VarHandleOp"
            attrs = {"container": handle.container, "shared_name": handle.name}
            attrs.update(dtype=handle.dtype, shape=handle.shape)
        op = Operation(self.graph, opdef.find(kind), name, (), attrs)
        op._frames = tensor.op._frames
        self.graph.adopt(op, (tensor.dtype,), (tensor._shape,))
        return op.outputs[0]

    def inline(
        self, function: GraphFunction, inputs: Sequence[Tensor], prefix: str, after: Sequence[Operation]
    ) -> tuple[list[Tensor], list[Operation]]:
        """Copies a function's body; gives its outputs, and the operations with effects.

        Args:
          function: the function.
          inputs: what stands for its inputs in the flat graph.
          prefix: put before the names of operations.
          after: operations which those with effects wait for.
        """
        inner = _Lowering(self.graph, self._name)
        inner.tensors.update(zip(function.inputs, inputs, strict=True))
        wanted = needed_for(function.outputs, function.control_outputs, frozenset(function.inputs))
        inner.copy_all(wanted, function.outputs, prefix, after)
        targets = [made for op in function.control_outputs for made in inner.operations[op]]
        targets = list(dict.fromkeys([*targets, *inner.effects]))
        return [inner.tensors[tensor] for tensor in function.outputs], targets

    def copy_all(
        self, ops: Sequence[Operation], wanted: Iterable[Tensor], prefix: str, after: Sequence[Operation]
    ) -> None:
        """Copies operations, each after those that it depends on; `wanted` are the tensors that others use."""
        used = {*wanted, *(tensor for op in ops for tensor in op.inputs)}
        for op in ops:
            controls = dict.fromkeys(made for other in op._control_inputs for made in self.operations.get(other, ()))
            if after and (op.definition.stateful or op.definition.calls_function):
                controls.update(dict.fromkeys(after))
            self._copy(op, used, prefix, tuple(controls))

    def _copy(self, op: Operation, used: set[Tensor], prefix: str, controls: tuple[Operation, ...]) -> None:
        part = needed_part(op, used)
        inputs = [self.tensors[tensor] for tensor in part.inputs]
        name = prefix + op.name
        if op.type in CALLS:
            outputs, made = self.inline(op.attrs["f"], inputs, name + "/", controls)
            self.effects.extend(made)
            if made and not getattr(op.graph, "_orders_effects", False):  # in others nothing else says so
                outputs = [self._after(made, y) if tensor in used else y
                           for tensor, y in zip(op.outputs, outputs, strict=True)]  # fmt: skip
            self.tensors.update(zip(op.outputs, outputs, strict=True))
            # What waits for the call waits for all that it does.
            self.operations[op] = made or list(controls)
            return
        new = op.copied(self.graph, self.graph.unique_full_name(name), inputs, controls, part.outputs)
        new.attrs = part.attrs
        if "stream" in op.definition.kernel_services:
            new.stream_name = f"{self._name}/{new.name}" if self._name else new.name  # type: ignore[attr-defined]
        if op.definition.calls_function:
            new.attrs = {**part.attrs, **_lowered_functions(new)}
        self.tensors.update(zip(part.outputs, new.outputs, strict=True))
        self.operations[op] = [new]

    def _after(self, effects: Sequence[Operation], tensor: Tensor) -> Tensor:
        """What a call gives, when the call has done all that it does."""
        if tensor.dtype is resource:
            return tensor
        dtype = tensor.dtype.base_dtype
        name = self.graph.unique_full_name(f"{tensor.op.name}/result")
        op = Operation(self.graph, opdef.find("Identity"), name, (tensor,), {"T": dtype}, tuple(effects))
        op._frames = tensor.op._frames
        self.graph.adopt(op, (dtype,), (tensor._shape,))
        return op.outputs[0]


def _lowered_functions(op: Operation) -> dict[str, object]:
    """The functions of an operation in their flat form."""
    functions = opdef.functions_of(op)
    taken = op.inputs[len(op.inputs) - len(functions[0].inputs) :]
    handles = tuple(
        handle_of(tensor) if x.dtype is resource or x.dtype.is_ref else None
        for tensor, x in zip(taken, functions[0].inputs, strict=True)
    )
    fixed = region_plan.fixed_inputs(op)
    shared = tuple(
        shared_variable(tensor) if handle is None and index in fixed else None
        for index, (tensor, handle) in enumerate(zip(taken, handles, strict=True))
    )
    found: dict[str, object] = {}
    for spec in op.definition.attrs.values():
        if spec.kind == "func":
            found[spec.name] = lowered(op.attrs[spec.name], handles, shared)
        elif spec.kind == "list(func)":
            found[spec.name] = tuple(lowered(function, handles, shared) for function in op.attrs[spec.name])
    return found


def lowered(function: GraphFunction, handles: Handles, shared: Handles = ()) -> Lowered:
    """The flat form of a function, made once for these variables as inputs, and as what inputs share the memory of."""
    key = "lowered", handles, shared
    found = function.runners.get(key)
    if found is None:
        found = function.runners[key] = Lowered(function, handles, shared)
    return found


def needed_for(
    fetches: Iterable[Tensor], targets: Iterable[Operation], given: frozenset[Tensor]
) -> list[Operation]:
    """What some tensors and operations need, each operation after those that it depends on."""
    ordered: dict[Operation, None] = {}
    entered: set[Operation] = set()
    stack = [op for op in targets]
    stack.extend(tensor.op for tensor in fetches if tensor not in given)
    while stack:
        op = stack[-1]
        if op in ordered:
            stack.pop()
        elif op in entered:
            ordered[stack.pop()] = None
        else:
            entered.add(op)
            before = [tensor.op for tensor in op.inputs if tensor not in given]
            stack.extend(other for other in (*before, *waited_for(op, given)) if other not in entered)
    return list(ordered)
