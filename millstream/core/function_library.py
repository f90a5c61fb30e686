"""Makes `GraphFunction`s of the functions of a `GraphDef`, for the nodes that call them.

A function of a file says little about shapes: it is made for the shapes that its callers give, once for each.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from millstream.core import opdef, traceback
from millstream.core.dtypes import DType, resource, variant
from millstream.core.func_graph import FuncGraph
from millstream.core.function_reader import ABSENT, LOOPS, Function
from millstream.core.functionalize import structured
from millstream.core.functionalize_build import Builder, Scope, stamp
from millstream.core.functionalize_lists import Storage
from millstream.core.graph import Graph
from millstream.core.graph_function import CALLS, Argument, GraphFunction
from millstream.core.node_reader import Node
from millstream.core.opdef import Shape
from millstream.core.operation import Operation
from millstream.core.shapes import generalize
from millstream.core.tensor import Tensor
from millstream.core.variable_handle import handle_data

# How many nodes of functions may be added for each of them in the file, besides so many in all.
_MOST_TIMES = 5
_ALWAYS = 1 << 14


class _Given(NamedTuple):
    """What is known of an argument."""

    shape: Shape
    is_ref: bool
    handle: Any  # of a variable
    maker: str  # of a list: gradients know lists that are new before a loop

    @classmethod
    def by(cls, tensor: Tensor) -> _Given:
        """What a tensor gives."""
        maker = tensor.op.type if tensor.dtype is variant else ""
        return cls(tensor._shape, tensor.dtype.is_ref, handle_data(tensor), maker)


class FunctionLibrary:
    """The functions of a file.

    Args:
      graph: the graph of the import.
      functions: the functions that were read.
      frames: where the program imports them; default: here, from a file that is not trusted.
    """

    def __init__(
        self, graph: Graph, functions: Mapping[str, Function], frames: traceback.Positions | None = None
    ) -> None:
        self._graph = graph
        self._functions = functions
        self._frames = traceback.ImportPositions(traceback.capture()) if frames is None else frames
        self._made: dict[tuple[Any, ...], GraphFunction] = {}
        self._limit = _ALWAYS + _MOST_TIMES * sum(len(function.nodes) for function in functions.values())

    def function(self, name: str, arguments: Sequence[Argument]) -> GraphFunction:
        """A function of the file for such arguments.

        Raises:
          ValueError: the function is malformed, or takes others.
        """
        taken = [item.dtype for item in self._functions[name].parameters]
        if taken != [item.dtype for item in arguments]:
            dtypes = ", ".join(item.dtype.short_name for item in arguments[:8])
            raise ValueError(f"Function '{name}' takes {len(taken)} arguments of other dtypes than ({dtypes}).")
        given = [_Given(item.shape, False, item.handle, "") for item in arguments]
        return self._function(name, given, exact=True, runs_all=True)

    def made(self) -> list[GraphFunction]:
        """The functions that were made, in the order in which they were."""
        return list(self._made.values())

    def changes(self, node: Node, index: int) -> bool:
        """Whether an input of a node is a variable of a loop that changes from turn to turn."""
        if node.type not in LOOPS:
            return False
        body = self._functions[node.attrs["body"].name]
        return body.results[index][0].maker != body.parameters[index].name

    def attrs_of(self, node: Node, inputs: Sequence[Tensor]) -> dict[str, Any]:
        """The attributes of a node that calls functions, with functions in the place of names.

        Raises:
          ValueError: a function is malformed, or does not suit.
        """
        given = [_Given.by(tensor) for tensor in inputs[len(node.definition.inputs) - 1 :]]
        if node.type in LOOPS:
            return {**node.attrs, **self._parts_of_loop(node, given)}
        for index, is_row in enumerate(node.attrs.get("mapped", ())[: len(given)]):
            shape = given[index].shape
            given[index] = given[index]._replace(shape=shape[1:] if is_row and shape else shape)
        found = dict(node.attrs)
        for spec in node.definition.attrs.values():
            if spec.kind == "func":
                found[spec.name] = self._function(found[spec.name].name, given, runs_all=node.type in CALLS)
            elif spec.kind == "list(func)":
                found[spec.name] = tuple(self._function(item.name, given) for item in found[spec.name])
        return found

    def _parts_of_loop(self, node: Node, given: list[_Given]) -> dict[str, GraphFunction]:
        """The condition and the body, for shapes that hold in all turns."""
        cond, body = node.attrs["cond"].name, node.attrs["body"].name
        declared = node.attrs["output_shapes"]
        if declared:
            if len(declared) != len(given):
                raise ValueError(f"{len(declared)} output_shapes for {len(given)} outputs; {node}")
            given = [item._replace(shape=generalize(item.shape, shape))
                     for item, shape in zip(given, declared, strict=True)]  # fmt: skip
        for attempt in range(3):
            turn = self._function(body, given, bool(declared) or attempt > 0)
            found = [generalize(x._shape, y._shape) for x, y in zip(turn.inputs, turn.outputs, strict=True)]
            if found == [x._shape for x in turn.inputs]:
                break
            # A turn changes shapes: let them be whatever they have in common, or else anything.
            shapes = found if attempt == 0 else [None] * len(found)
            given = [item._replace(shape=shape) for item, shape in zip(given, shapes, strict=True)]
        given = [item._replace(shape=x._shape) for item, x in zip(given, turn.inputs, strict=True)]
        return {"cond": self._function(cond, given, True), "body": turn}

    def _function(
        self, name: str, given: Sequence[_Given], exact: bool = False, runs_all: bool = False
    ) -> GraphFunction:
        """A function for such arguments.

        Args:
          name: the name.
          given: the arguments.
          exact: whether the function is for their very shapes, or else for what it is declared to take.
          runs_all: whether a function that does not say what must run does all that it can, as in TensorFlow 1.
        """
        function = self._functions[name]
        pairs = list(zip(function.parameters, given, strict=True))
        if not exact:
            pairs = [(item, x if item.shape is ABSENT else x._replace(shape=generalize(item.shape, x.shape)))
                     for item, x in pairs]  # fmt: skip
        runs_all = runs_all and not function.must_run
        key = (name, runs_all, *(x for _, x in pairs))
        if key not in self._made:
            self._limit -= len(function.nodes) + 1
            if self._limit < 0:
                raise ValueError(f"Function '{name}': the functions of the GraphDef call each other too often.")
            self._made[key] = self._make(function, [x for _, x in pairs], runs_all)
        return self._made[key]

    def _make(self, function: Function, given: Sequence[_Given], runs_all: bool) -> GraphFunction:
        with self._graph.as_default():
            graph = FuncGraph(function.name, orders_effects=False)
        scope = Scope(graph)
        graph._names.update((node.name.lower(), 1) for node in function.nodes)
        for item, x in zip(function.parameters, given, strict=True):
            if item.is_ref and not x.is_ref:
                raise ValueError(f"Argument '{item.name}' of function '{function.name}' must be a variable.")
            dtype = item.dtype._as_ref if x.is_ref else item.dtype
            scope.values[item.name, 0] = graph.add_input(dtype, x.shape, item.name, x.handle)
        wanted = [*(edge for edge, _ in function.results), *function.must_run]
        items = structured(function.nodes, wanted)
        used = {(edge.maker, edge.output) for node in function.nodes for edge in node.edges}
        used.update((edge.maker, edge.output) for edge in wanted)
        names = {node.name: node.name for node in function.nodes}
        constants = {node.name: node for node in function.nodes if node.type == "Const"}
        builder = Builder(names, {}, constants, used, self, self._frames)
        builder.add(items, scope)
        outputs = [_result(builder, scope, edge, dtype, function) for edge, dtype in function.results]
        must_run: list[Operation] = [op for edge in function.must_run for op in scope.waited_for(edge.maker)]
        if runs_all:
            must_run = [op for op in graph.get_operations() if _has_effects(op)]
        stamp(graph._operations, self._frames)
        return GraphFunction(graph, graph.inputs, outputs, list(dict.fromkeys(must_run)), saved_name=function.name)


def _has_effects(op: Operation) -> bool:
    handles = (index for index, tensor in enumerate(op.inputs) if tensor.dtype is resource or tensor.dtype.is_ref)
    return opdef.has_other_effects(op) or any(opdef.changes_input(op, index) for index in handles)


def _result(builder: Builder, scope: Scope, edge: Any, dtype: DType, function: Function) -> Tensor:
    found = builder.value(edge, scope)
    # A variable that came in goes out as it is: then a loop does not change which one it is.
    if isinstance(found, Storage) or not any(found is x for x in scope.graph.inputs):  # type: ignore[attr-defined]
        found = builder.tensor(edge, scope)
    if found.dtype.base_dtype is not dtype:
        raise ValueError(
            f"Function '{function.name}' gives '{edge.text}' of dtype {found.dtype.short_name}, not {dtype.short_name}."
        )
    return found
