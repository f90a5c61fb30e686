"""`tf.graph_util.convert_variables_to_constants`: a trained graph with its weights as one message."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from millstream.core.dtypes import string
from millstream.core.export import export
from millstream.core.log import tensorflow_logger
from millstream.graph_util.frozen_nodes import REF_VARIABLES, RESOURCE_VARIABLES, freeze_nodes
from millstream.graph_util.parts import extract_sub_graph


@export(v1=["graph_util.convert_variables_to_constants"])
def convert_variables_to_constants(
    sess: Any,
    input_graph_def: Any,
    output_node_names: Sequence[str],
    variable_names_whitelist: Collection[str] | None = None,
    variable_names_blacklist: Collection[str] | None = None,
) -> Any:
    """Puts constants in the place of the variables of a graph: one file that can be loaded without a checkpoint.

    Variables that only functions, branches and loops read are replaced too.

    Args:
      sess: the session that has the variables' values.
      input_graph_def: the `GraphDef` of its graph.
      output_node_names: the nodes whose values are wanted; what these do not need is left out.
      variable_names_whitelist: only these variables; default: all.
      variable_names_blacklist: not these variables.

    Returns:
      A new `GraphDef`.

    Raises:
      AssertionError: a node is not in the graph.
      FailedPreconditionError: a variable has no value.
      ValueError: an output needs an operation that writes to a variable.

    Example:
      >>> frozen = tf.graph_util.convert_variables_to_constants(sess, sess.graph.as_graph_def(), ["probabilities"])
      >>> tf.io.write_graph(frozen, "model", "frozen.pb", as_text=False)
    """
    part = extract_sub_graph(input_graph_def, output_node_names)
    wanted = variables_to_freeze(part, variable_names_whitelist, variable_names_blacklist)
    values = dict(zip((node.name for node in wanted), _read(sess, wanted), strict=True))
    return freeze_values(part, values, output_node_names)


def freeze_values(graph_def: Any, values: dict[str, np.ndarray[Any, Any]], outputs: Sequence[str]) -> Any:
    """The part of a graph that some outputs need, with constants of such values in the place of variables."""
    tensorflow_logger().info("Froze %d variables.", len(values))
    frozen = freeze_nodes(graph_def, values)
    tensorflow_logger().info("Converted %d variables to const ops.", len(values))
    return extract_sub_graph(frozen, outputs)


def variables_to_freeze(graph_def: Any, allowed: Collection[str] | None, denied: Collection[str] | None) -> list[Any]:
    """The nodes of variables, of those that are allowed (None: all) and not denied."""
    return [
        node
        for node in graph_def.node
        if (node.op in REF_VARIABLES or node.op in RESOURCE_VARIABLES)
        and (allowed is None or node.name in allowed)
        and (denied is None or node.name not in denied)
    ]


def _read(sess: Any, nodes: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """The values of variables."""
    tensors = [_tensor(sess.graph, node) for node in nodes]
    values = sess.run(tensors) if tensors else []
    return [np.asarray(value, object if tensor.dtype.base_dtype is string else None)
            for tensor, value in zip(tensors, values, strict=True)]  # fmt: skip


def _tensor(graph: Any, node: Any) -> Any:
    """What gives a variable's value: itself, or of a resource a read that the graph has."""
    output = graph.get_tensor_by_name(f"{node.name}:0")
    if node.op in REF_VARIABLES:
        return output
    reads = [op for op in output.consumers() if op.type == "ReadVariableOp" and not op.control_inputs]
    if reads:
        return reads[0].outputs[0]
    from millstream.core.opdef import find

    with graph.as_default():
        return find("ReadVariableOp")(output, dtype=node.attr["dtype"].type, name=f"{node.name}/Read/ReadVariableOp")
