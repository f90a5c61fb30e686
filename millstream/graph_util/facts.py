"""What a graph has, to be printed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from millstream.core import dtypes, shapes
from millstream.graph_util.frozen_nodes import REF_VARIABLES, RESOURCE_VARIABLES
from millstream.graph_util.nodes import node_name

_PLACEHOLDERS = frozenset(("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"))
# What nobody uses and is no result: what writes, checks and groups.
_NO_OUTPUTS = frozenset(
    "NoOp Const Assert Assign AssignVariableOp SaveV2 Save SaveSlices MergeV2Checkpoints PrintV2 QueueCloseV2".split()
)


class Value(NamedTuple):
    """A node with the dtype and shape of what it gives."""

    name: str
    op: str
    dtype: str
    shape: str
    elements: int | None
    stored: int  # bytes in the file


class Facts(NamedTuple):
    """What a graph has. Counts and sizes are of its nodes and of those of its functions."""

    nodes: int
    ops: dict[str, int]
    inputs: list[Value]
    outputs: list[Value]
    variables: list[Value]
    constants: list[Value]  # the largest first
    constant_bytes: int
    functions: dict[str, int]
    devices: dict[str, int]
    producer: int
    min_consumer: int


def facts_of(graph_def: Any) -> Facts:
    """What a `GraphDef` has."""
    everything = list(_all_nodes(graph_def))
    used = {node_name(text) for node in graph_def.node for text in node.input}
    constants = [_value(node) for node in everything if node.op == "Const"]
    return Facts(
        nodes=len(graph_def.node),
        ops=dict(Counter(node.op for node in everything).most_common()),
        inputs=[_value(node) for node in graph_def.node if node.op in _PLACEHOLDERS],
        outputs=[
            _value(node) for node in graph_def.node
            if node.name not in used and node.op not in _NO_OUTPUTS and node.op not in _PLACEHOLDERS
        ],
        variables=[_value(node) for node in graph_def.node if node.op in REF_VARIABLES | RESOURCE_VARIABLES],
        constants=sorted(constants, key=lambda value: -value.stored),
        constant_bytes=sum(value.stored for value in constants),
        functions={item.signature.name: len(item.node_def) for item in graph_def.library.function},
        devices=dict(Counter(node.device for node in everything if node.device).most_common()),
        producer=graph_def.versions.producer,
        min_consumer=graph_def.versions.min_consumer,
    )  # fmt: skip


def _all_nodes(graph_def: Any) -> Iterator[Any]:
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def _value(node: Any) -> Value:
    attr = node.attr
    number = next((attr[name].type for name in ("dtype", "T", "SrcT") if name in attr), 0)
    try:
        dtype = dtypes.as_dtype(number).name if number else "?"
    except TypeError:
        dtype = f"type {number}"
    shape = _shape(node)
    known = shape is not None and None not in shape
    elements = math.prod(dim or 0 for dim in shape or ()) if known else None
    stored = attr["value"].tensor.ByteSize() if node.op == "Const" and "value" in attr else 0
    text = "?" if shape is None else shapes.format_shape(shape)
    return Value(node.name, node.op, dtype, text, elements, stored)


def _shape(node: Any) -> shapes.Shape:
    message = None
    if node.op == "Const" and "value" in node.attr:
        message = node.attr["value"].tensor.tensor_shape
    elif "_output_shapes" in node.attr and node.attr["_output_shapes"].list.shape:
        message = node.attr["_output_shapes"].list.shape[0]
    elif "shape" in node.attr:
        message = node.attr["shape"].shape
    try:
        return None if message is None else shapes.as_plain(message)
    except ValueError:
        return None
