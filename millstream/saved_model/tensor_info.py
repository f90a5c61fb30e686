"""`TensorInfo`: how signatures name tensors, sparse tensors and other values of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from millstream.core import context, nest, shapes
from millstream.core.export import export
from millstream.core.graph import Graph, get_default_graph
from millstream.core.operation import Operation
from millstream.core.scope_names import prepend_name_scope
from millstream.core.sparse_tensor import SparseTensor
from millstream.core.tensor import Tensor
from millstream.core.type_spec import CompositeTensor
from millstream.saved_model import structure_codec

# --- Writing ---------------------------------------------------------------------------------------------------------


@export(v1=["saved_model.build_tensor_info", "saved_model.utils.build_tensor_info"])
def build_tensor_info(tensor: Any) -> Any:
    """Makes the `TensorInfo` of a tensor: its name, dtype and static shape.

    Args:
      tensor: a tensor or variable of a graph, a `SparseTensor`, or another value made of tensors.

    Raises:
      RuntimeError: operations run at once: tensors have no names.
      AttributeError: it is no tensor.

    Example:
      >>> tf.saved_model.build_tensor_info(tf.placeholder(tf.float32, [None, 2], name="x"))
      name: "x:0"
      dtype: DT_FLOAT
      tensor_shape { dim { size: -1 } dim { size: 2 } }
    """
    if context.executing_eagerly():
        raise RuntimeError("build_tensor_info is not supported in Eager mode.")
    return _tensor_info(tensor)


def _tensor_info(tensor: Any) -> Any:
    from millstream.io import proto

    if isinstance(tensor, CompositeTensor) and not isinstance(tensor, SparseTensor):
        return _composite_info(tensor)
    message = proto.TensorInfo(dtype=tensor.dtype.as_datatype_enum)
    message.tensor_shape.CopyFrom(shapes.as_proto(shapes.as_plain(tensor.get_shape())))
    if isinstance(tensor, SparseTensor):
        message.coo_sparse.values_tensor_name = tensor.values.name
        message.coo_sparse.indices_tensor_name = tensor.indices.name
        message.coo_sparse.dense_shape_tensor_name = tensor.dense_shape.name
    else:
        message.name = tensor.name
    return message


def _composite_info(value: CompositeTensor) -> Any:
    """The `TensorInfo` of a value by its type spec and the tensors that it is made of."""
    from millstream.io import proto

    message = proto.TensorInfo()
    message.composite_tensor.type_spec.CopyFrom(structure_codec.encode(value._type_spec).type_spec_value)
    message.composite_tensor.components.extend(map(_tensor_info, nest.flatten(value, expand_composites=True)))
    return message


def build_tensor_info_from_op(op: Operation) -> Any:
    """Makes a `TensorInfo` that names an operation.

    Raises:
      RuntimeError: operations run at once.
    """
    if context.executing_eagerly():
        raise RuntimeError("build_tensor_info_from_op is not supported in Eager mode.")
    from millstream.io import proto

    return proto.TensorInfo(name=op.name, tensor_shape=proto.TensorShapeProto(unknown_rank=True))


# --- Reading ---------------------------------------------------------------------------------------------------------


@export(v1=["saved_model.get_tensor_from_tensor_info", "saved_model.utils.get_tensor_from_tensor_info"])
def get_tensor_from_tensor_info(tensor_info: Any, graph: Graph | None = None, import_scope: str | None = None) -> Any:
    """Finds what a `TensorInfo` names in a graph.

    Args:
      tensor_info: a `TensorInfo`.
      graph: the graph; default: the default graph.
      import_scope: the name scope into which the `TensorInfo`'s graph was imported.

    Returns:
      A tensor, a `SparseTensor` or another value made of tensors.

    Raises:
      KeyError: the graph has no such tensor.
      ValueError: the message is malformed.
    """
    graph = get_default_graph() if graph is None else graph

    def tensor(name: str) -> Tensor:
        return graph.get_tensor_by_name(prepend_name_scope(name, import_scope))

    kind = tensor_info.WhichOneof("encoding")
    if kind == "name":
        return tensor(tensor_info.name)
    if kind == "coo_sparse":
        names = tensor_info.coo_sparse
        parts = (names.indices_tensor_name, names.values_tensor_name, names.dense_shape_tensor_name)
        return SparseTensor(*map(tensor, parts))
    if kind == "composite_tensor":
        from millstream.io import proto

        composite = tensor_info.composite_tensor
        spec = structure_codec.decode(proto.StructuredValue(type_spec_value=composite.type_spec))
        components = [get_tensor_from_tensor_info(item, graph, import_scope) for item in composite.components]
        if len(components) != len(spec.flatten()):
            raise ValueError(f"A value of type {spec} has {len(spec.flatten())} parts, not {len(components)}.")
        return spec.from_tensors(iter(components))
    raise ValueError(f"Invalid TensorInfo.encoding: {kind}")


def get_element_from_tensor_info(tensor_info: Any, graph: Graph | None = None, import_scope: str | None = None) -> Any:
    """Finds the tensor or operation that a `TensorInfo` names in a graph.

    Raises:
      KeyError: the graph has none of that name.
    """
    graph = get_default_graph() if graph is None else graph
    return graph.as_graph_element(prepend_name_scope(tensor_info.name, import_scope))


# --- Sets of them ----------------------------------------------------------------------------------------------------


def tensor_names(tensor_info: Any) -> list[str]:
    """The names of all tensors that a `TensorInfo` is about."""
    kind = tensor_info.WhichOneof("encoding")
    if kind == "coo_sparse":
        return [name for _, name in tensor_info.coo_sparse.ListFields()]
    if kind == "composite_tensor":
        return [name for part in tensor_info.composite_tensor.components for name in tensor_names(part)]
    return [tensor_info.name] if tensor_info.name else []


def build_tensor_infos(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The `TensorInfo` of each tensor of a dictionary."""
    return {key: build_tensor_info(tensor) for key, tensor in tensors.items()}
