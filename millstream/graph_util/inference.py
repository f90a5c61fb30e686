"""Graphs made ready for inference: what it does not need taken out, what is constant computed, less to compute.

The names of the functions and of their arguments are those of TensorFlow's `optimize_for_inference_lib` and
`strip_unused_lib`. They take and give `GraphDef`s, whose variables must have been made constants.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from millstream.graph_util.fold_batch_norms import fold_batch_norms as fold_batch_norms
from millstream.graph_util.fold_constants import fold_constants
from millstream.graph_util.nodes import check_graph_def, copy_of, forget_lost_groups, like, needed_nodes, node_name
from millstream.graph_util.parts import remove_training_nodes
from millstream.io import gfile
from millstream.io.message_files import read_message


def optimize_for_inference(
    input_graph_def: Any,
    input_node_names: Sequence[str],
    output_node_names: Sequence[str],
    placeholder_type_enum: int | Sequence[int],
    toco_compatible: bool = False,
    placeholder_to_const_names: Any = None,
) -> Any:
    """Prepares a frozen graph for inference.

    Nodes that the outputs do not need are left out, also those that only training needs; what is constant is computed;
    and batch normalisations become a part of the convolutions before them.

    Args:
      input_graph_def: a `GraphDef`.
      input_node_names: the nodes that will be fed, which become placeholders.
      output_node_names: the nodes whose values are wanted.
      placeholder_type_enum: the `DataType` of the placeholders, one for all or one for each.
      toco_compatible: accepted for compatibility.
      placeholder_to_const_names: placeholders that become constants, as `name=value` texts.

    Returns:
      A new `GraphDef`.

    Raises:
      ValueError: the graph is malformed.
      KeyError: an input is not in the graph.
      AssertionError: an output is not in the graph.
    """
    ensure_graph_is_valid(input_graph_def)
    graph_def = input_graph_def
    if placeholder_to_const_names:
        graph_def = _with_constants(graph_def, placeholder_to_const_names)
    graph_def = strip_unused(graph_def, input_node_names, output_node_names, placeholder_type_enum)
    graph_def = remove_training_nodes(graph_def, output_node_names)
    graph_def = fold_constants(graph_def, output_node_names)
    graph_def = remove_training_nodes(fold_batch_norms(graph_def, output_node_names), output_node_names)
    graph_def = strip_unused(graph_def, input_node_names, output_node_names, placeholder_type_enum)
    ensure_graph_is_valid(graph_def)
    return graph_def


def strip_unused(
    input_graph_def: Any,
    input_node_names: Sequence[str],
    output_node_names: Sequence[str],
    placeholder_type_enum: int | Sequence[int],
) -> Any:
    """The part of a graph between its inputs and outputs.

    Args:
      input_graph_def: a `GraphDef`.
      input_node_names: the nodes that will be fed, which become placeholders.
      output_node_names: the nodes whose values are wanted.
      placeholder_type_enum: the `DataType` of the placeholders, one for all or one for each.

    Returns:
      A new `GraphDef`.

    Raises:
      KeyError: an input is not in the graph.
      AssertionError: an output is not in the graph.
    """
    check_graph_def(input_graph_def, "input_graph_def")
    nodes = {node.name: node for node in input_graph_def.node}
    missing = [name for name in input_node_names if name not in nodes]
    if missing:
        listed = ", ".join(f"'{name}'" for name in missing)
        raise KeyError(f"The following input nodes were not found: {{{listed}}}")
    if isinstance(placeholder_type_enum, int):
        placeholder_type_enum = [placeholder_type_enum] * len(input_node_names)
    types = dict(zip(input_node_names, placeholder_type_enum, strict=True))
    needed = needed_nodes(input_graph_def, output_node_names, stops=set(input_node_names))
    kept = [
        _placeholder(node, types[node.name]) if node.name in types else copy_of(node)
        for node in input_graph_def.node
        if node.name in needed
    ]
    forget_lost_groups(kept)
    return like(input_graph_def, kept)


def _placeholder(node: Any, dtype: int) -> Any:
    """A placeholder by a node's name; of the shape that the node says it gives."""
    new = type(node)(name=node.name, op="Placeholder")
    new.attr["dtype"].type = dtype
    if "shape" in node.attr:
        new.attr["shape"].CopyFrom(node.attr["shape"])
    elif "_output_shapes" in node.attr and node.attr["_output_shapes"].list.shape:
        new.attr["shape"].shape.CopyFrom(node.attr["_output_shapes"].list.shape[0])
    if "_output_shapes" in node.attr:
        new.attr["_output_shapes"].CopyFrom(node.attr["_output_shapes"])
    return new


def strip_unused_from_files(
    input_graph: str,
    input_binary: bool,
    output_graph: str,
    output_binary: bool,
    input_node_names: str,
    output_node_names: str,
    placeholder_type_enum: int | Sequence[int],
) -> int | None:
    """Like `strip_unused`, with files; names are separated by commas. Gives -1 where something is missing."""
    from millstream.core.graph_io import write_graph
    from millstream.io import proto

    if not gfile.exists(input_graph):
        print(f"Input graph file '{input_graph}' does not exist!")
        return -1
    if not output_node_names:
        print("You need to supply the name of a node to --output_node_names.")
        return -1
    message = read_message(input_graph, proto.GraphDef, binary=input_binary)
    stripped = strip_unused(message, input_node_names.split(","), output_node_names.split(","), placeholder_type_enum)
    write_graph(stripped, os.path.dirname(output_graph), os.path.basename(output_graph), as_text=not output_binary)
    print(f"{len(stripped.node)} ops in the final graph.")
    return None


def ensure_graph_is_valid(graph_def: Any) -> None:
    """Demands that the nodes of a graph have different names, and inputs that are there.

    Raises:
      ValueError: they have not.
    """
    names: set[str] = set()
    for node in graph_def.node:
        if node.name in names:
            raise ValueError(f"Duplicate node names detected for '{node.name}'.")
        names.add(node.name)
    for node in graph_def.node:
        for text in node.input:
            if node_name(text) not in names:
                raise ValueError(f"Input for '{node.name}' not found: '{text}'.")


def _with_constants(graph_def: Any, assignments: Iterable[str]) -> Any:
    """A graph with constants in the place of placeholders, from `name=value` texts."""
    import numpy as np

    from millstream.core.dtypes import as_dtype, bool_
    from millstream.graph_util.frozen_nodes import constant_node

    wanted = {name: value for name, _, value in (text.partition("=") for text in assignments)}
    nodes = []
    for node in graph_def.node:
        if node.name in wanted and node.op in ("Placeholder", "PlaceholderWithDefault"):
            dtype = as_dtype(node.attr["dtype"].type)
            text = wanted[node.name]
            value: Any = text.lower() in ("true", "t", "1", "yes", "y", "on") if dtype is bool_ else text
            node = constant_node(node.name, np.array(value).astype(dtype.as_numpy_dtype))
        nodes.append(node)
    return like(graph_def, nodes)
