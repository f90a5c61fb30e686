"""Graphs as protocol buffers: `GraphDef`, `NodeDef`, `AttrValue`, `OpDef`. The way back is `graph_import`."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core import list_sums, shapes
from millstream.core.dtypes import DType, as_dtype
from millstream.core.export import export
from millstream.core.graph import Graph
from millstream.core.newer_attributes import KNOWN_HERE
from millstream.core.opdef import REQUIRED, ArgSpec, AttrSpec, OpDef
from millstream.core.operation import Operation
from millstream.core.tape import EagerOperation

# --- Writing ---------------------------------------------------------------------------------------------------------


def graph_def(graph: Graph, from_version: int | None = None, add_shapes: bool = False) -> Any:
    """The `GraphDef` of a graph; see `Graph.as_graph_def`."""
    from millstream.io import proto

    message = proto.GraphDef()
    message.versions.producer = graph._producer_version
    ops = [op for op in graph.get_operations() if from_version is None or op._id > from_version]
    writer = NodeWriter()
    if any(op.definition.calls_function for op in ops):
        from millstream.core.function_def import LibraryWriter

        library = LibraryWriter(message.library, add_shapes)
        writer = NodeWriter(library.name_of)
    for op in ops:
        writer.write(op, message.node.add(), add_shapes)
    list_sums.write_in_place(message.node)
    return message


def node_def(op: Operation) -> Any:
    """The `NodeDef` of an operation."""
    from millstream.io import proto

    node = proto.NodeDef()
    NodeWriter().write(op, node)
    return node


def saved_name(op: Operation, function: Any) -> str:
    """The name that files know a function by which an operation calls."""
    from millstream.core.graph_function import CALLS

    return function.saved_name or (function.name if op.type in CALLS else function.name.removeprefix("__inference_"))


def _edge(tensor: Any) -> str:
    index = tensor.value_index
    return tensor.op.name if index == 0 else f"{tensor.op.name}:{index}"


class NodeWriter:
    """Writes operations.

    Args:
      function_name: the name for a function that an operation calls.
      edge: the text for an input.
    """

    def __init__(
        self, function_name: Callable[[Operation, Any], str] = saved_name, edge: Callable[[Any], str] = _edge
    ) -> None:
        self._function_name = function_name
        self._edge = edge

    def write(self, op: Operation, node: Any, add_shapes: bool = False) -> None:
        """Fills a `NodeDef`; with `add_shapes` also the attribute `_output_shapes`."""
        node.name, node.op, node.device = op.name, op.type, op.device
        node.input.extend(map(self._edge, op.inputs))
        node.input.extend(f"^{other.name}" for other in op._control_inputs)
        for name, value in op.attrs.items():
            spec = op.definition.attrs.get(name)
            if spec is None:
                _encode_private(node.attr[name], value)
            elif not ((op.type, name) in KNOWN_HERE and value == spec.default):
                self._encode(node.attr[name], op, spec, value)
        if op._colocation:
            node.attr["_class"].list.s.extend(group.encode() for group in op._colocation)
        if add_shapes and op.outputs:
            encode_attr(node.attr["_output_shapes"], "list(shape)", [tensor._shape for tensor in op.outputs])

    def _encode(self, message: Any, op: Operation, spec: AttrSpec, value: Any) -> None:
        if spec.kind == "func":
            message.func.name = self._function_name(op, value)
        elif spec.kind == "list(func)":
            for function in value:
                message.list.func.add(name=self._function_name(op, function))
        elif spec.name == "output_shapes" and op.definition.calls_function:  # TensorFlow wants all of them
            encode_attr(message, spec.kind, [tensor._shape for tensor in op.outputs])
        else:
            encode_attr(message, spec.kind, value)


def _encode_private(message: Any, value: Any) -> None:
    if isinstance(value, bytes):
        message.s = value
    elif isinstance(value, bool):
        message.b = value
    else:
        message.CopyFrom(value)


def encode_attr(message: Any, kind: str, value: Any) -> None:
    """Writes an attribute's plain value into an `AttrValue`."""
    if kind.startswith("list("):
        message.list.SetInParent()
        for item in value:
            _append_attr(message.list, kind[5:-1], item)
    elif kind == "string":
        message.s = value.encode("utf-8", "surrogateescape")
    elif kind == "int":
        message.i = value
    elif kind == "float":
        message.f = value
    elif kind == "bool":
        message.b = value
    elif kind == "type":
        message.type = value.as_datatype_enum
    elif kind == "shape":
        message.shape.CopyFrom(shapes.as_proto(value))
    elif kind == "tensor":
        from millstream.io.tensor_proto import make_tensor_proto

        message.tensor.CopyFrom(make_tensor_proto(value, dtype=_array_dtype(value)))
    else:
        message.CopyFrom(value)


def _array_dtype(value: np.ndarray[Any, Any]) -> DType:
    return as_dtype(value.dtype)


def _append_attr(message: Any, kind: str, item: Any) -> None:
    if kind == "string":
        message.s.append(item.encode("utf-8", "surrogateescape"))
    elif kind == "type":
        message.type.append(item.as_datatype_enum)
    elif kind == "shape":
        message.shape.append(shapes.as_proto(item))
    else:
        getattr(message, {"int": "i", "float": "f", "bool": "b"}[kind]).append(item)


def user_attr(op: Operation | EagerOperation, name: str) -> Any:
    """An attribute as `Operation.get_attr` gives it."""
    if name == "_class":
        return [group.encode() for group in op._colocation]
    value = op.attrs[name]
    spec = op.definition.attrs.get(name)
    if spec is None:
        return _private_attr(value)
    if spec.kind.startswith("list("):
        kind = spec.kind[5:-1]
        return [_user_value(op, kind, item) for item in value]
    return _user_value(op, spec.kind, value)


def _user_value(op: Any, kind: str, value: Any) -> Any:
    if kind == "string":
        return value.encode("utf-8", "surrogateescape")
    if kind == "shape":
        return shapes.as_proto(value)
    if kind == "tensor":
        from millstream.io.tensor_proto import make_tensor_proto

        return make_tensor_proto(value, dtype=_array_dtype(value))
    if kind == "func":
        from millstream.io import proto

        return proto.NameAttrList(name=saved_name(op, value))
    return value


def _private_attr(value: Any) -> Any:
    if isinstance(value, (bytes, bool)):
        return value
    field = value.WhichOneof("value")
    if field == "list":
        return next((list(items) for _, items in value.list.ListFields()), [])
    return getattr(value, field) if field else None


def op_def(definition: OpDef) -> Any:
    """A definition's signature as an `OpDef` protocol buffer."""
    from millstream.io import proto

    message = proto.OpDef(
        name=definition.name,
        is_stateful=definition.stateful,
        is_commutative=definition.commutative,
        is_aggregate=definition.aggregate,
        allows_uninitialized_input=definition.allows_uninitialized,
    )
    for arg in definition.inputs:
        _fill_arg(message.input_arg.add(), arg)
    for arg in definition.outputs:
        _fill_arg(message.output_arg.add(), arg)
    for spec in definition.attrs.values():
        _fill_attr_def(message.attr.add(), spec)
    return message


def _fill_arg(message: Any, arg: ArgSpec) -> None:
    message.name, message.is_ref = arg.name, arg.is_ref
    if arg.dtype is not None:
        message.type = arg.dtype.as_datatype_enum
    message.type_attr = arg.type_attr or ""
    message.number_attr = arg.number_attr or ""
    message.type_list_attr = arg.list_attr or ""


def _fill_attr_def(message: Any, spec: AttrSpec) -> None:
    message.name, message.type = spec.name, spec.kind
    if spec.minimum is not None:
        message.has_minimum, message.minimum = True, spec.minimum
    if spec.default is not REQUIRED:
        encode_attr(message.default_value, spec.kind, spec.default)
    if spec.allowed is not None:
        kind = spec.kind[5:-1] if spec.kind.startswith("list(") else spec.kind
        for item in spec.allowed:
            _append_attr(message.allowed_values.list, kind, item)


# --- Reading attributes ----------------------------------------------------------------------------------------------

FIELDS = {"string": "s", "int": "i", "float": "f", "bool": "b", "type": "type", "shape": "shape", "tensor": "tensor",
          "func": "func"}  # fmt: skip
_KINDS = {field: kind for kind, field in FIELDS.items()}
_MAX_ELEMENTS = (1 << 63) - 1


def kind_of(message: Any) -> str | None:
    """What an `AttrValue` holds: `int`, `list(type)`, …; `list()` for an empty list, None for nothing."""
    field = message.WhichOneof("value")
    if field != "list":
        return _KINDS.get(field, field)
    fields = [descriptor.name for descriptor, _ in message.list.ListFields()]
    return f"list({_KINDS[fields[0]]})" if len(fields) == 1 else "list()" if not fields else "list(mixed)"


def plain_attr(message: Any) -> Any:
    """The plain value of an `AttrValue`; anything else passes.

    Raises:
      ValueError: the value is malformed.
    """
    if type(message).__name__ != "AttrValue":
        return message
    field = message.WhichOneof("value")
    if field is None:
        raise ValueError("An attribute has no value.")
    if field != "list":
        return plain_value(field, getattr(message, field))
    return tuple(
        plain_value(descriptor.name, item) for descriptor, items in message.list.ListFields() for item in items
    )


def plain_value(field: str, value: Any) -> Any:
    """The plain form of what stands in one field of an `AttrValue`.

    Raises:
      TypeError, ValueError: it is malformed.
    """
    if field == "type":
        return _plain_type(value)
    if field == "shape":
        return _plain_shape(value)
    if field == "tensor":
        from millstream.io.tensor_proto import from_proto

        return from_proto(value)
    if field == "s":
        return value.decode("utf-8", "surrogateescape")
    return value


def _plain_type(number: int) -> DType:
    try:
        return as_dtype(number)
    except TypeError:
        raise ValueError(f"AttrValue has invalid DataType enum: {number}") from None


def _plain_shape(message: Any) -> shapes.Shape:
    shape = shapes.as_plain(message)
    count = shapes.num_elements(shape)
    if count is not None and count > _MAX_ELEMENTS:
        raise ValueError(f"Shape {shapes.format_shape(shape)} is too large (more than 2**63 - 1 entries)")
    return shape


# --- Files -----------------------------------------------------------------------------------------------------------


@export(v1=["train.write_graph", "io.write_graph"], v2=["io.write_graph"])
def write_graph(graph_or_graph_def: Any, logdir: str, name: str, as_text: bool = True) -> str:
    """Writes a graph to a file, whole or not at all.

    Args:
      graph_or_graph_def: a `Graph` or a `GraphDef`.
      logdir: the folder; made where it is missing.
      name: the file's name.
      as_text: text form rather than binary.

    Returns:
      The file's path.
    """
    import os

    from millstream.io.atomic_files import write_file

    message = graph_or_graph_def.as_graph_def() if isinstance(graph_or_graph_def, Graph) else graph_or_graph_def
    if as_text:
        from google.protobuf import text_format

        content = text_format.MessageToString(message).encode()
    else:
        content = message.SerializeToString(deterministic=True)
    if logdir:
        os.makedirs(logdir, exist_ok=True)
    path = os.path.join(logdir, name)
    write_file(path, content)
    return path
