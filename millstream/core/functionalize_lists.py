"""Stacks and tensor arrays of TensorFlow 1 as lists of tensors, which are values.

There a handle stands for memory that is changed. Here a `Storage` stands for it while the graph is built, and each
operation takes the present list and gives another one; loops and branches hand the lists on. What TensorFlow calls the
flow of an array, a number that orders the operations, stays a number.

The gradients of an array are an array too, made when they are first asked for; writing adds to what is there.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from millstream.core.conversion import to_tensor
from millstream.core.dtypes import DType, float32, int32, int64
from millstream.core.node_reader import Node
from millstream.core.opdef import Shape, find
from millstream.core.static_values import constant_value
from millstream.core.tensor import Tensor

if TYPE_CHECKING:
    from millstream.core.functionalize_build import Scope

_PREFIXES = ("TensorArray", "Stack")


class Storage:
    """What the handle of a stack or of an array stands for.

    Args:
      name: the name of the operation that makes it.
      dtype: of the elements.
      shape: of the elements, as far as it is known.
      grows: whether writing behind the end makes it longer.
      gradient_of: the array whose gradients it has.
    """

    def __init__(
        self, name: str, dtype: DType, shape: Shape = None, grows: bool = False, gradient_of: Storage | None = None
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.grows = grows
        self.gradient_of = gradient_of
        self.size: Any = None  # the tensor that says how many elements there are at first
        self._gradients: dict[str, Storage] = {}

    def gradients(self, source: str) -> Storage:
        """The storage of the gradients that `source` asks for."""
        found = self._gradients.get(source)
        if found is None:
            name = f"{self.name}_{source}"
            found = self._gradients[source] = Storage(name, self.dtype, self.shape, self.grows, self)
        return found


def is_list_operation(node: Node) -> bool:
    """Whether a node makes or uses a stack or an array."""
    return node.type.startswith(_PREFIXES) and node.type in _TRANSLATIONS


def translate(scope: Scope, node: Node, inputs: list[Any], name: str) -> list[Any]:
    """Adds what a node does to the list that it uses.

    Args:
      scope: where.
      node: the node.
      inputs: tensors, and storages in place of handles.
      name: for the operation.

    Returns:
      The node's outputs.
    """
    makes = node.type in _MAKERS
    if not makes and not isinstance(inputs[0], Storage):
        raise ValueError(f"Node '{node.name}' (op: '{node.type}'): it is not known which stack or array its handle is.")
    if any(isinstance(value, Storage) for value in inputs[1:]):  # gradients of arrays that are made in a loop do so
        raise ValueError(f"Node '{node.name}' (op: '{node.type}'): handles of stacks and arrays cannot be elements.")
    dtype = next((node.attrs[name] for name in ("T", "dtype", "elem_type") if name in node.attrs), None)
    if not makes and dtype not in (None, inputs[0].dtype):
        known = inputs[0].dtype.name
        raise ValueError(f"Node '{node.name}' (op: '{node.type}'): the elements are {known}, not {dtype.name}.")
    with scope.graph.as_default(), scope.graph.in_scope(""):
        return _TRANSLATIONS[node.type](_Call(scope, node, inputs, name))


class _Call:
    """A node that is translated."""

    def __init__(self, scope: Scope, node: Node, inputs: list[Any], name: str) -> None:
        self.scope = scope
        self.attrs = node.attrs
        self.inputs = inputs
        self.name = f"{name}/"  # exactly that
        self.storage: Any = inputs[0]

    @property
    def values(self) -> Tensor:
        """The present list."""
        return self.scope.list_of(self.storage)

    @values.setter
    def values(self, values: Tensor) -> None:
        self.scope.lists[self.storage] = values

    @property
    def element_shape(self) -> Tensor:
        """The shape of the elements, with -1 for what is not known."""
        return shape_tensor(self.storage.shape)


def shape_tensor(shape: Shape) -> Tensor:
    """A static shape as a tensor, with -1 for what is not known."""
    return to_tensor(-1 if shape is None else [-1 if dim is None else dim for dim in shape], dtype=int32)


def gradient_list(scope: Scope, storage: Storage, array: Storage) -> Tensor:
    """A list of zeros for the gradients of an array."""
    with scope.graph.as_default(), scope.graph.in_scope(""), scope.graph.control_dependencies(None):
        return find("ZerosLike")(scope.list_of(array), name=storage.name)


# --- Stacks -----------------------------------------------------------------------------------------------------------


def _stack(call: _Call) -> list[Any]:
    call.storage = Storage(call.name[:-1], call.attrs["elem_type"])
    call.values = find("EmptyTensorList")(-1, -1, element_dtype=call.storage.dtype, name=call.name)
    return [call.storage]


def _push(call: _Call) -> list[Any]:
    call.values = find("TensorListPushBack")(call.values, call.inputs[1], name=call.name)
    return [call.inputs[1]]


def _pop(call: _Call) -> list[Any]:
    dtype = call.attrs["elem_type"]
    rest, value = find("TensorListPopBack")(call.values, call.element_shape, element_dtype=dtype, name=call.name)
    call.values = rest
    return [value]


# --- Arrays -----------------------------------------------------------------------------------------------------------


def _array(call: _Call) -> list[Any]:
    attrs = call.attrs
    call.storage = Storage(call.name[:-1], attrs["dtype"], attrs["element_shape"], attrs["dynamic_size"])
    call.values = find("TensorListReserve")(
        call.element_shape, call.inputs[0], element_dtype=call.storage.dtype, name=call.name
    )
    call.storage.size = call.inputs[0]
    return [call.storage, to_tensor(0.0, dtype=float32, name=f"{call.name}flow")]


def _gradient(call: _Call) -> list[Any]:
    return [call.storage.gradients(call.attrs["source"]), call.inputs[1]]


def _write(call: _Call) -> list[Any]:
    _, index, value, flow = call.inputs
    if call.storage.gradient_of is not None:
        value = find("AddV2")(_element(call, index), value)
    call.values = find("TensorListSetItem")(
        call.values, index, value, resize_if_index_out_of_bounds=call.storage.grows, name=call.name
    )
    return [flow]


def _read(call: _Call) -> list[Any]:
    return [_element(call, call.inputs[1], call.name)]


def _element(call: _Call, index: Tensor, name: str | None = None) -> Tensor:
    dtype = call.storage.dtype
    return find("TensorListGetItem")(call.values, index, call.element_shape, element_dtype=dtype, name=name)


def _gather(call: _Call) -> list[Any]:
    indices, shape = call.inputs[1], call.attrs["element_shape"]
    if shape is None:
        shape = call.storage.shape
    limit = _range_limit(indices)
    if limit is None or limit.op.type != "TensorListLength" or limit.op.inputs[0] is not call.values:
        return [_elements(call, indices, shape, call.name)]
    dtype = call.storage.dtype
    return [find("TensorListStack")(call.values, shape_tensor(shape), element_dtype=dtype, name=call.name)]


def _range_limit(indices: Tensor) -> Tensor | None:
    """Where the indices 0, 1, 2, … end; None where they are others."""
    if indices.op.type != "Range":
        return None
    start, limit, delta = indices.op.inputs
    first, step = constant_value(start), constant_value(delta)
    return limit if first is not None and step is not None and first == 0 and step == 1 else None


def _elements(call: _Call, indices: Tensor, shape: Shape, name: str | None = None) -> Tensor:
    dtype = call.storage.dtype
    return find("TensorListGather")(call.values, indices, shape_tensor(shape), element_dtype=dtype, name=name)


def _scatter(call: _Call) -> list[Any]:
    _, indices, value, flow = call.inputs
    storage = call.storage
    limit = _range_limit(indices)
    if limit is not None and storage.gradient_of is None and call.values.op.type == "TensorListReserve":
        rows = find("TensorListFromTensor")(value, call.element_shape, name=call.name)
        size = find("Maximum")(call.scope.graph.capture(storage.size), limit)
        call.values = find("TensorListResize")(rows, size)
    elif limit is not None and limit.op.type == "TensorListLength" and call.values.op.type == "ZerosLike":
        call.values = find("TensorListFromTensor")(value, call.element_shape, name=call.name)
    else:
        if storage.gradient_of is not None:
            value = find("AddV2")(_elements(call, indices, storage.shape), value)
        call.values = find("TensorListScatterIntoExistingList")(call.values, value, indices, name=call.name)
    return [flow]


def _concat(call: _Call) -> list[Any]:
    rest = call.attrs["element_shape_except0"]
    shape = shape_tensor(None if rest is None else (None, *rest))
    no_lengths = to_tensor([], dtype=int64)
    return list(
        find("TensorListConcatV2")(call.values, shape, no_lengths, element_dtype=call.storage.dtype, name=call.name)
    )


def _split(call: _Call) -> list[Any]:
    _, value, lengths, flow = call.inputs
    parts = find("TensorListSplit")(value, call.element_shape, lengths, name=call.name)
    call.values = parts if call.storage.gradient_of is None else find("AddN")([call.values, parts])
    return [flow]


def _size(call: _Call) -> list[Any]:
    return [find("TensorListLength")(call.values, name=call.name)]


def _close(call: _Call) -> list[Any]:
    find("NoOp")(name=call.name)
    return []


_MAKERS = frozenset(("StackV2", "TensorArrayV2", "TensorArrayV3"))
_ARRAYS = {
    "": _array, "Grad": _gradient, "Write": _write, "Read": _read, "Gather": _gather, "Scatter": _scatter,
    "Concat": _concat, "Split": _split, "Size": _size, "Close": _close,
}  # fmt: skip
_TRANSLATIONS: dict[str, Callable[[_Call], list[Any]]] = {
    "StackV2": _stack, "StackPushV2": _push, "StackPopV2": _pop, "StackCloseV2": _close,
    **{f"TensorArray{name}{version}": function for name, function in _ARRAYS.items() for version in ("V2", "V3")},
}  # fmt: skip
