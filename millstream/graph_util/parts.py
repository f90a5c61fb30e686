"""`tf.graph_util`: parts of graphs, and facts about nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from millstream.core.export import export
from millstream.core.graph import Graph
from millstream.graph_util.nodes import check_graph_def, copy_of, forget_lost_groups, like, needed_nodes, node_name

# Operations that pass a value on, and are not needed when nothing is trained.
_SPLICED = frozenset(("Identity", "CheckNumerics"))
_INT32 = 3
_VARIABLES = frozenset(("Variable", "VariableV2"))


@export(v1=["graph_util.extract_sub_graph"])
def extract_sub_graph(graph_def: Any, dest_nodes: Sequence[str]) -> Any:
    """The part of a graph that some nodes need.

    Args:
      graph_def: a `GraphDef`.
      dest_nodes: names of nodes.

    Returns:
      A `GraphDef` with these nodes, what they need, in the order of the graph, and the functions that they call.

    Raises:
      TypeError: an argument is of another type.
      AssertionError: a node is not in the graph.

    Example:
      >>> tf.graph_util.extract_sub_graph(tf.get_default_graph().as_graph_def(), ["logits"])
    """
    check_graph_def(graph_def)
    if isinstance(dest_nodes, str):
        raise TypeError("dest_nodes must be a list.")
    needed = needed_nodes(graph_def, dest_nodes)
    return like(graph_def, (node for node in graph_def.node if node.name in needed))


@export(v1=["graph_util.remove_training_nodes"])
def remove_training_nodes(input_graph: Any, protected_nodes: Iterable[str] | None = None) -> Any:
    """Takes out of a graph what only training needs: identities and checks for NaN, which pass their input on.

    A node stays if others wait for it or it waits for others.

    Args:
      input_graph: a `GraphDef`.
      protected_nodes: names of nodes that stay in any case.

    Returns:
      A new `GraphDef`.
    """
    check_graph_def(input_graph, "input_graph")
    kept = set(protected_nodes or ())
    kept.update(text[1:] for node in input_graph.node for text in node.input if text.startswith("^"))
    instead: dict[str, str] = {}
    for node in input_graph.node:
        waits = any(text.startswith("^") for text in node.input)
        if node.op in _SPLICED and node.name not in kept and not waits and node.input:
            instead[node.name] = node.input[0]
    nodes = []
    for source in input_graph.node:
        if source.name in instead:
            continue
        node = copy_of(source)
        del node.input[:]
        node.input.extend(_followed(text, instead) for text in source.input)
        nodes.append(node)
    forget_lost_groups(nodes)
    return like(input_graph, nodes)


def _followed(text: str, instead: dict[str, str]) -> str:
    """What stands in the place of an input."""
    steps = 0
    while not text.startswith("^") and node_name(text) in instead and steps <= len(instead):
        text = instead[node_name(text)]
        steps += 1  # a cycle of identities is no graph that runs, but must not hang
    return text


@export(v1=["graph_util.must_run_on_cpu"])
def must_run_on_cpu(node: Any, pin_variables_on_cpu: bool = False) -> bool:
    """Whether TensorFlow would only run an operation on a processor, never on a GPU.

    Args:
      node: an `Operation` or a `NodeDef`.
      pin_variables_on_cpu: whether variables are to be there too.

    Returns:
      True for constants of strings and of 32-bit integers, and for `DynamicStitch` and `Cast` of the latter.
    """
    message = node if hasattr(node, "op") and hasattr(node, "attr") else node.node_def
    if pin_variables_on_cpu and message.op in _VARIABLES:
        return True
    if message.op == "Const":
        return message.attr["dtype"].type in (_INT32, 7)
    if message.op == "DynamicStitch":
        return bool(message.attr["T"].type == _INT32)
    return message.op == "Cast" and message.attr["SrcT"].type == _INT32


@export(v1=["graph_util.tensor_shape_from_node_def_name"])
def tensor_shape_from_node_def_name(graph: Graph, input_name: str) -> Any:
    """The static shape of a tensor.

    Args:
      graph: a `Graph`.
      input_name: the tensor as the input of a `NodeDef` names it: `node` or `node:1`.

    Returns:
      A `TensorShape`.
    """
    return graph.get_tensor_by_name(input_name if ":" in input_name else f"{input_name}:0").shape
