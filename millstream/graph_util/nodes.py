"""The nodes of a `GraphDef` and the functions of its library: which need which."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

CONTROL_FLOW = frozenset(
    "Enter Exit Switch Merge NextIteration LoopCond RefEnter RefExit RefSwitch RefMerge RefNextIteration".split()
)


def node_name(text: str) -> str:
    """The node that an input such as `node:1` or `^node` comes from; also of `node:output:1` within a function."""
    return text.removeprefix("^").partition(":")[0]


def output_index(text: str) -> int:
    """Which output of its node an input is."""
    index = text.partition(":")[2]
    return int(index) if index.isdigit() else 0


def copy_of(message: Any) -> Any:
    """A copy of a message."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def like(graph_def: Any, nodes: Iterable[Any]) -> Any:
    """A `GraphDef` of other nodes, with the versions and the functions that these need of the one that is given."""
    graph = type(graph_def)()
    graph.versions.CopyFrom(graph_def.versions)
    graph.node.extend(nodes)
    _copy_library(graph_def.library, graph)
    return graph


def _copy_library(library: Any, graph: Any) -> None:
    if not library.function:
        return
    known = {function.signature.name: function for function in library.function}
    gradients = {item.function_name: item.gradient_func for item in library.gradient}
    waiting = list(functions_called(graph.node, known))
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        waiting.extend(functions_called(known[name].node_def, known))
        if gradients.get(name) in known:
            waiting.append(gradients[name])
    graph.library.function.extend(known[name] for name in known if name in needed)
    graph.library.gradient.extend(item for item in library.gradient if item.function_name in needed)


def functions_called(nodes: Iterable[Any], known: Collection[str]) -> Iterator[str]:
    """The functions that nodes call: by their type, or by an attribute."""
    for node in nodes:
        if node.op in known:
            yield node.op
        for value in node.attr.values():
            kind = value.WhichOneof("value")
            names = [value.func.name] if kind == "func" else []
            if kind == "list":
                names = [item.name for item in value.list.func]
            yield from (name for name in names if name in known)


def needed_nodes(graph_def: Any, outputs: Iterable[str], stops: Collection[str] = ()) -> set[str]:
    """The names of the nodes that some nodes need, and of these; what `stops` need is not followed.

    Raises:
      AssertionError: a node is not in the graph.
    """
    inputs = {node.name: node.input for node in graph_def.node}
    waiting = list(outputs)
    for name in waiting:
        if name not in inputs:
            raise AssertionError(f"{name} is not in graph")
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found or name not in inputs:
            continue
        found.add(name)
        if name not in stops:
            waiting.extend(map(node_name, inputs[name]))
    return found


def forget_lost_groups(nodes: Collection[Any]) -> None:
    """Leaves out beside which nodes nodes are placed that are not there any more."""
    names = {node.name for node in nodes}
    for node in nodes:
        if "_class" not in node.attr:
            continue
        groups = list(node.attr["_class"].list.s)
        kept = [group for group in groups if group.decode().removeprefix("loc:@") in names]
        if len(kept) < len(groups):
            del node.attr["_class"]
            if kept:
                node.attr["_class"].list.s.extend(kept)


def check_graph_def(graph_def: Any, what: str = "graph_def") -> None:
    """Raises TypeError unless a message is a `GraphDef`."""
    if type(graph_def).__name__ != "GraphDef":
        raise TypeError(f"{what} must be a graph_pb2.GraphDef proto.")
