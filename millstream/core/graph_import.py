"""`import_graph_def`: nodes of a `GraphDef` become operations of the default graph.

A file is not trusted. All that can be said about a node by itself is checked before anything is added; an error after
that takes back what was added. `file_operations` says what operations of a file may do.
"""
from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from millstream.core import file_operations, traceback
from millstream.core.conversion import convert_to_tensor
from millstream.core.export import export
from millstream.core.function_library import FunctionLibrary
from millstream.core.function_reader import FunctionReader, signatures_of
from millstream.core.functionalize import structured
from millstream.core.functionalize_build import Builder, Scope, stamp
from millstream.core.graph import Graph, get_default_graph
from millstream.core.node_reader import Edge, Node, NodeReader, canonical, parse_edge
from millstream.core.operation import Operation
from millstream.core.scopes import name_scope
from millstream.core.tensor import Tensor


@export("import_graph_def", "graph_util.import_graph_def")
def import_graph_def(
    graph_def: Any,
    input_map: Mapping[str, Any] | None = None,
    return_elements: Any = None,
    name: str | None = None,
    op_dict: Any = None,
    producer_op_list: Any = None,
    allow_python: bool = False,
) -> list[Any] | None:
    """Adds the nodes of a `GraphDef` to the default graph.

    Loops and branches as TensorFlow 1 writes them (`Enter`, `Switch`, `Merge`, ...) become operations that call
    functions. Their results keep their names; what is inside of a loop or branch cannot be fetched or fed. With nodes
    that call functions of the file's library come these.

    Args:
      graph_def: a `GraphDef`.
      input_map: tensors (or what converts to them) to use in place of tensors of the file, by name.
      return_elements: names of operations (`"op"`) and tensors (`"op:0"`) to give back.
      name: put before all names (`"import"` by default; `""`: nothing). Names that are taken get a suffix.
      op_dict: accepted for compatibility.
      producer_op_list: an `OpList` of the program that wrote the file: attributes that are not known here are left
        out where they have the default value of that list.
      allow_python: also import operations that run Python code (`PyFunc`) or use files, as where the environment
        variable `MILLSTREAM_TRUST_GRAPHS` is 1. Otherwise those of a saver and of tables (`SaveV2`, `RestoreV2`, …)
        run only with names of files that come from the program, as `tf.train.Saver` feeds them.

    Returns:
      The elements asked for, or None.

    Raises:
      TypeError: an argument is of the wrong kind.
      ValueError: the graph is malformed, or lacks a name that was asked for, or a function calls itself; nothing was
        added.
      NotFoundError: it uses an operation that is not known.
      PermissionDeniedError: it uses an operation that runs Python code or uses files.
    """
    if type(graph_def).__name__ != "GraphDef":
        raise TypeError(f"graph_def must be a GraphDef proto. Received: {type(graph_def).__name__}")
    if input_map is not None and not (
        isinstance(input_map, Mapping) and all(isinstance(key, str) for key in input_map)
    ):
        raise TypeError("input_map must be a dictionary mapping strings to Tensor objects.")
    if return_elements is not None:
        return_elements = list(return_elements)
        if not all(isinstance(item, str) for item in return_elements):
            raise TypeError("return_elements must be a list of strings.")
    graph = get_default_graph()
    graph._check_not_finalized()
    needed, version = graph_def.versions.min_consumer, graph._producer_version
    if needed > version:
        raise ValueError(f"GraphDef min consumer version {needed} above current version {version}.")
    prefix = "" if name == "" else graph.operation_name(name or "import") + "/"
    mapped = {canonical(key): _as_element(value, prefix) for key, value in (input_map or {}).items()}
    signatures = signatures_of(graph_def.library)
    frames = traceback.capture()
    if not (allow_python or file_operations.graphs_are_trusted()):
        frames = traceback.ImportPositions(frames)
    with _collector_paused():
        nodes = NodeReader(mapped, producer_op_list, allow_python, signatures).read(graph_def)
        reader = FunctionReader(graph_def.library, producer_op_list, allow_python, signatures)
        library = FunctionLibrary(graph, reader.read_for(nodes), frames)
        return _Importer(graph, nodes, mapped, prefix, library, frames).run(return_elements)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pauses the search for garbage, which takes a third of the time: all that an import makes stays."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _as_element(value: Any, prefix: str) -> Any:
    if isinstance(value, (Tensor, Operation)):
        return value
    if not prefix:
        raise ValueError(
            "tf.import_graph_def() requires a non-empty `name` if `input_map` contains non-Tensor values. Try "
            "calling tf.convert_to_tensor() on `input_map` values before calling tf.import_graph_def()."
        )
    with name_scope(prefix), name_scope("_inputs"):
        return convert_to_tensor(value)


# --- Adding nodes --------------------------------------------------------------------------------------------------


class _Importer:
    """Adds nodes that were read to a graph."""

    def __init__(
        self,
        graph: Graph,
        nodes: Sequence[Node],
        mapped: Mapping[str, Any],
        prefix: str,
        library: FunctionLibrary,
        frames: traceback.Positions,
    ) -> None:
        self._graph = graph
        self._nodes = nodes
        self._mapped = mapped
        self._prefix = prefix
        self._library = library
        self._frames = frames
        self._names: dict[str, str] = {}  # by the name in the file
        self._added_names: list[str] = []
        self._scope = Scope(graph)

    def run(self, return_elements: list[str] | None) -> list[Any] | None:
        """Adds all nodes, or none where one of them does not suit."""
        wanted = [edge for edge in map(parse_edge, return_elements or ()) if edge is not None]
        items = structured(self._nodes, wanted)
        constants = {node.name: node for node in self._nodes if node.type == "Const"}
        used = {(edge.maker, edge.output) for node in self._nodes for edge in node.edges}
        used.update((edge.maker, edge.output) for edge in wanted)
        with self._graph._lock:
            before = len(self._graph._operations)
            try:
                self._reserve_names()
                builder = Builder(self._names, self._mapped, constants, used, self._library, self._frames)
                builder.add(items, self._scope)
                stamp(self._graph._operations[before:], self._frames)
                self._forget_lost_groups(self._graph._operations[before:])
                return None if return_elements is None else [self._element(item) for item in return_elements]
            except BaseException:
                self._remove(self._graph._operations[before:])
                raise

    def _reserve_names(self) -> None:
        """Finds the name of each node under the prefix, with a suffix where an operation of the graph has it."""
        graph = self._graph
        taken = {self._prefix + node.name for node in self._nodes}
        for node in self._nodes:
            wanted = found = self._prefix + node.name
            count = 0
            while found in graph._by_name or (found in taken and found != wanted):
                count += 1
                found = f"{wanted}_{count}"
            taken.add(found)
            self._names[node.name] = found
        for name in self._names.values():
            if name.lower() not in graph._names:
                graph._names[name.lower()] = 1
                self._added_names.append(name.lower())

    def _forget_lost_groups(self, added: Sequence[Operation]) -> None:
        """Leaves out beside which nodes operations are placed that have gone into functions."""
        known = self._graph._by_name
        for op in added:
            if op._colocation:
                op._colocation = tuple(item for item in op._colocation if item.removeprefix("loc:@") in known)

    def _element(self, name: str) -> Any:
        """An imported operation or tensor by its name in the file."""
        edge = parse_edge(name)
        if edge is None or edge.is_control or edge.maker not in self._names:
            raise ValueError(f"Requested return node '{name}' not found in graph def")
        op = self._operation(edge)
        if ":" not in name:
            return op
        if name in self._mapped:
            return self._mapped[name]
        found = self._scope.values.get((edge.maker, edge.output))
        if not isinstance(found, Tensor):
            count = len(op.outputs)
            raise ValueError(
                f"Invalid return output {edge.output} of node '{edge.maker}', which has {count} output(s)"
            )
        return found

    def _operation(self, edge: Edge) -> Operation:
        found = self._graph._by_name.get(self._names[edge.maker]) or self._scope.values.get((edge.maker, edge.output))
        if found is None:
            raise ValueError(f"Requested return node '{edge.maker}' is inside of a loop or branch.")
        return found.op if isinstance(found, Tensor) else found

    def _remove(self, added: Sequence[Operation]) -> None:
        """Takes back what was added."""
        graph, made = self._graph, set(added)
        graph._operations[:] = [op for op in graph._operations if op not in made]
        for op in made:
            graph._by_name.pop(op.name, None)
            graph._names.pop(op.name.lower(), None)
            for tensor in op.inputs:
                if tensor.op not in made:
                    tensor._consumers[:] = [consumer for consumer in tensor._consumers if consumer is not op]
        for name in self._added_names:
            graph._names.pop(name, None)
        graph.structure_changed()
