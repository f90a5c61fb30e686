"""Lists of tensors as values of dtype `variant`: what `tf.TensorArray` holds, and what loops keep for their gradients.

An element that was never written reads as zeros where the shape of the elements is known. The gradient of a read is a
list in which only that element is written: how long it is does not matter, since sums of lists take the longer one.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from millstream.core import dtypes, errors
from millstream.core.conversion import to_tensor
from millstream.core.list_sums import OF_GRADIENTS
from millstream.core.opdef import Shape, find, op
from millstream.core.shape_context import ShapeContext
from millstream.core.shape_rules import scalar, unknown
from millstream.core.shapes import merge_dim
from millstream.core.tensor import Tensor
from millstream.ops import list_values
from millstream.ops.list_values import ElementList, PartialList

_SHAPE_TYPES = "int32 int64"
_NO_SHAPE = "Trying to read an element that was never written of a list whose element shape is not fully defined: "


def _read_shape(index: int) -> Any:
    return lambda c: c.constant_shape(index)


def _stacked(c: ShapeContext) -> Shape:
    shape = c.constant_shape(1)
    count = c.attr("num_elements")
    return None if shape is None else (None if count < 0 else count, *shape)


def _joined(rank: Shape) -> Shape:
    return None if rank is None or not rank else (None, *rank[1:])


# --- Making -----------------------------------------------------------------------------------------------------------


@op(
    "EmptyTensorList(element_shape: shape_type, max_num_elements: int32, *, element_dtype: type) -> handle: variant",
    shape_type=_SHAPE_TYPES,
    shape=scalar,
)
def empty_tensor_list_op(xp, element_shape, max_num_elements):
    return ElementList()


empty_tensor_list_op.no_gradient("an empty list depends on nothing")


@op(
    "TensorListReserve(element_shape: shape_type, num_elements: int32, *, element_dtype: type) -> handle: variant",
    shape_type=_SHAPE_TYPES,
    shape=scalar,
    static=("num_elements",),
    moves_data=True,
)
def tensor_list_reserve_op(xp, element_shape, num_elements):
    if not list_values.is_known(num_elements):
        raise list_values.NeedsHost
    count = int(num_elements)
    if count < 0:
        raise ValueError(f"The num_elements to reserve must be a non negative number, but got {count}")
    return ElementList((), count)


tensor_list_reserve_op.no_gradient("a list without elements depends on nothing")


@op(
    "TensorListFromTensor(tensor: element_dtype, element_shape: shape_type) -> output_handle: variant",
    element_dtype=dtypes.ANY,
    shape_type=_SHAPE_TYPES,
    shape=scalar,
    moves_data=True,
)
def tensor_list_from_tensor_op(xp, tensor, element_shape):
    if not tensor.ndim:
        raise ValueError("Tensor must be at least a vector, but saw shape: []")
    return ElementList(list(tensor)) if xp is np else list_values.ArrayList(tensor)


@tensor_list_from_tensor_op.gradient
def _(op, grad):
    tensor = op.inputs[0]
    shape = tensor._shape
    whole = as_long_as(op.outputs[0], grad)
    return stacked(whole, tensor.dtype, None if shape is None else shape[1:], (shape or (None,))[0]), None


# --- One element ------------------------------------------------------------------------------------------------------


# An attribute of a write in a loop to an array that is new before the loop, at another place in each turn.
WRITES_ONCE = "_writes_once"


def _refuse_outside(check: Any, verb: str, index: Any, size: Any) -> None:
    """A check that an index is that of an element."""
    known = list_values.is_known(index)
    fixed = "" if verb == "read from" else "is not resizeable and "
    message = f"Tried to {verb} index {{}} but array {fixed}size is: {{}}"
    if known and isinstance(size, int):
        if not 0 <= int(index) < size:
            raise errors.InvalidArgumentError(None, None, message.format(int(index), size))
        return
    check((index >= 0) & (index < size), errors.InvalidArgumentError, message, index, np.asarray(size, np.int32)
          if isinstance(size, int) else size)  # fmt: skip


def _of_gradients(tensor: Tensor) -> Tensor:
    """What was read from, or written to, a list of gradients."""
    if not tensor.is_eager:
        tensor.op.attrs = {**tensor.op.attrs, OF_GRADIENTS: True}
    return tensor


def _size(values: Any) -> Any:
    """How many elements a list has.

    Raises:
      NeedsHost: it is as long as a computed place says.
    """
    if isinstance(values, PartialList) and not values.size:
        raise list_values.NeedsHost
    return values.size


def _with_place(grads: Any, index: Any) -> Any:
    """A list of gradients that has a place. In a graph operations on it are marked instead; eager ones cannot be."""
    if grads.is_eager and int(index) >= grads._value.size:
        return tensor_list_resize_op(grads, int(index) + 1)
    return grads


def _required(xp: Any, value: Any, values: Any, element_shape: Any, dtype: Any) -> Any:
    """An element, or zeros where it was not written.

    Raises:
      InvalidArgumentError: it was not written, and its shape is not known.
    """
    if value is None and not _is_full(element_shape):
        value = list_values.zeros_of(values)
    return _zeros(element_shape, dtype) if value is None else value


def _is_full(element_shape: Any) -> bool:
    """Whether it is known how long all dimensions are."""
    return list_values.is_known(element_shape) and np.ndim(element_shape) > 0 and bool(np.all(element_shape >= 0))


def _zeros(element_shape: Any, dtype: Any) -> Any:
    if not list_values.is_known(element_shape):
        raise list_values.NeedsHost
    shape = np.asarray(element_shape)
    if not _is_full(shape):
        text = "<unknown>" if shape.ndim == 0 else list(map(int, shape))
        raise errors.InvalidArgumentError(None, None, f"{_NO_SHAPE}{text}")
    return np.full(tuple(shape), b"" if dtype is dtypes.string else 0, _storage(dtype))


def _storage(dtype: Any) -> Any:
    return object if dtype is dtypes.string else dtype.as_numpy_dtype


@op(
    "TensorListGetItem(input_handle: variant, index: int32, element_shape: int32, *, element_dtype: type) -> "
    "item: element_dtype",
    shape=_read_shape(2),
    moves_data=True,
)
def tensor_list_get_item_op(xp, input_handle, index, element_shape, *, element_dtype, check, within, node):
    if OF_GRADIENTS in node.attrs:
        return _required(xp, list_values.get_or_zeros(input_handle, index), input_handle, element_shape, element_dtype)
    if not within(index, _size(input_handle)):
        _refuse_outside(check, "read from", index, input_handle.size)
    if isinstance(input_handle, ElementList) and not list_values.is_known(index) and input_handle.is_empty:
        return _zeros(element_shape, element_dtype)
    return _required(xp, input_handle.get(index), input_handle, element_shape, element_dtype)


@tensor_list_get_item_op.gradient
def _(op, grad):
    return set_item(reserved(0, grad.dtype), op.inputs[1], grad, grows=True), None, None


@op(
    "TensorListSetItem(input_handle: variant, index: int32, item: element_dtype, *, "
    "resize_if_index_out_of_bounds: bool = False) -> output_handle: variant",
    element_dtype=dtypes.ANY,
    shape=scalar,
    moves_data=True,
)
def tensor_list_set_item_op(xp, input_handle, index, item, *, resize_if_index_out_of_bounds, check, within, node):
    if OF_GRADIENTS in node.attrs:
        return input_handle.cleared(index)
    if not resize_if_index_out_of_bounds:
        if not within(index, _size(input_handle)):
            _refuse_outside(check, "write to", index, input_handle.size)
    elif within(index, input_handle.size):
        pass
    elif not list_values.is_known(index):
        # A list of unknown length can be part of a sum (see above), and of nothing else.
        if not isinstance(input_handle, ElementList) or input_handle.size:
            raise list_values.NeedsHost
    elif int(index) < 0:
        raise errors.InvalidArgumentError(None, None, f"Tried to write to negative index {int(index)}.")
    return input_handle.set(index, item)


@tensor_list_set_item_op.gradient
def _(op, grad):
    item = op.inputs[2]
    grad = _with_place(grad, op.inputs[1])
    found = _of_gradients(get_item(grad, op.inputs[1], item.dtype.base_dtype, item._shape))
    if WRITES_ONCE in op.attrs:  # so nobody asks for the gradient of what it has overwritten
        return grad, None, found
    return _of_gradients(set_item(grad, op.inputs[1], find("ZerosLike")(found), grows=True)), None, found


@op(
    "TensorListPushBack(input_handle: variant, tensor: element_dtype) -> output_handle: variant",
    element_dtype=dtypes.ANY,
    shape=scalar,
)
def tensor_list_push_back_op(xp, input_handle, tensor):
    return input_handle.push(tensor)


@tensor_list_push_back_op.gradient
def _(op, grad):
    return list(pop_back(grad, op.inputs[1].dtype.base_dtype, op.inputs[1]._shape))


def _popped(c: ShapeContext) -> list[Any]:
    return [(), c.constant_shape(1)]


@op(
    "TensorListPopBack(input_handle: variant, element_shape: int32, *, element_dtype: type) -> "
    "output_handle: variant, tensor: element_dtype",
    shape=_popped,
)
def tensor_list_pop_back_op(xp, input_handle, element_shape, *, element_dtype):
    rest, value = input_handle.pop()
    return rest, _zeros(element_shape, element_dtype) if value is None else value


@tensor_list_pop_back_op.gradient
def _(op, grad_list, grad):
    rest, value = (
        find("ZerosLike")(output) if given is None else given
        for output, given in zip(op.outputs, (grad_list, grad), strict=True)
    )
    return tensor_list_push_back_op(rest, value), None


# --- Many elements ----------------------------------------------------------------------------------------------------


@op(
    "TensorListStack(input_handle: variant, element_shape: int32, *, element_dtype: type, num_elements: int = -1) -> "
    "tensor: element_dtype",
    shape=_stacked,
    moves_data=True,
)
def tensor_list_stack_op(xp, input_handle, element_shape, *, element_dtype, num_elements):
    if isinstance(input_handle, ElementList):
        if 0 <= num_elements != input_handle.size:
            raise ValueError(
                f"Operation expected a list with {num_elements} elements but got a list with {input_handle.size} "
                "elements."
            )
        if not input_handle.size:  # what is not known of the shape does not matter
            return np.zeros((0, *np.maximum(element_shape, 0)) if element_shape.ndim else 0, _storage(element_dtype))
        if input_handle.is_empty:  # so the shape must be known
            zeros = _zeros(element_shape, element_dtype)
            return np.broadcast_to(zeros, (input_handle.size, *zeros.shape))
    return list_values.as_rows(input_handle, num_elements if num_elements >= 0 else None)


@tensor_list_stack_op.gradient
def _(op, grad):
    return tensor_list_from_tensor_op(grad, _shape_tensor(op.outputs[0]._shape and op.outputs[0]._shape[1:])), None


@op(
    "TensorListGather(input_handle: variant, indices: int32, element_shape: int32, *, element_dtype: type) -> "
    "values: element_dtype",
    shape=lambda c: None if c.constant_shape(2) is None else ((c.shape(1) or (None,))[0], *c.constant_shape(2)),
    moves_data=True,
)
def tensor_list_gather_op(xp, input_handle, indices, element_shape, *, element_dtype, check):
    size = _size(input_handle)
    outside = (indices < 0) | (indices >= size)
    if list_values.is_known(indices) and isinstance(size, int):
        if outside.any():
            _refuse_outside(check, "read from", indices[outside][0], size)
    elif indices.size:
        worst = indices[xp.argmax(outside)]
        _refuse_outside(check, "read from", worst, size)
    if not indices.size or (isinstance(input_handle, ElementList) and input_handle.is_empty):
        zeros = _required(xp, None, input_handle, element_shape, element_dtype)
        return np.broadcast_to(zeros, (indices.size, *zeros.shape))
    if list_values.is_known(indices) and isinstance(input_handle, ElementList):
        found = [input_handle.get(index) for index in indices]
        return xp.stack([_required(xp, value, input_handle, element_shape, element_dtype) for value in found])
    return list_values.as_rows(input_handle)[indices]


@tensor_list_gather_op.gradient
def _(op, grad):
    rows = stacked(find("ZerosLike")(op.inputs[0]), grad.dtype, grad._shape and grad._shape[1:])
    count = find("Reshape")(find("Slice")(find("Shape")(rows), [0], [1]), [])
    sums = find("UnsortedSegmentSum")(grad, op.inputs[1], count)  # an index may come more than once
    return tensor_list_from_tensor_op(sums, _shape_tensor(None)), None, None


def _one_place_a_row(c: ShapeContext) -> Shape:
    places, rows = c.shape(2), c.shape(1)
    if places and rows:
        merge_dim(rows[0], places[0])
    return ()


@op(
    "TensorListScatterIntoExistingList(input_handle: variant, tensor: element_dtype, indices: int32) -> "
    "output_handle: variant",
    element_dtype=dtypes.ANY,
    shape=_one_place_a_row,
    moves_data=True,
)
def tensor_list_scatter_into_op(xp, input_handle, tensor, indices):
    if len(indices) != (tensor.shape[0] if tensor.ndim else -1):
        raise ValueError(
            f"Expected len(indices) == values.shape[0], but saw: {len(indices)} vs. "
            f"{tensor.shape[0] if tensor.ndim else 'a scalar'}"
        )
    if not list_values.is_known(indices):
        return list_values.with_rows(input_handle, indices, tensor)
    if indices.size and indices.min() < 0:
        raise ValueError(f"Tried to write to negative index {int(indices.min())}.")
    if xp is not np and np.array_equal(indices, np.arange(input_handle.size)):
        return list_values.ArrayList(tensor)
    for position, index in enumerate(indices):
        input_handle = input_handle.set(index, tensor[position])
    return input_handle


@tensor_list_scatter_into_op.gradient
def _(op, grad):
    tensor, indices = op.inputs[1:]
    longer = as_long_as(op.outputs[0], grad)
    found = gathered(longer, indices, tensor.dtype.base_dtype, tensor._shape and tensor._shape[1:])
    return tensor_list_scatter_into_op(longer, find("ZerosLike")(found), indices), found, None


def _concatenated(c: ShapeContext) -> list[Any]:
    return [_joined(c.constant_shape(1)), (None,)]


@op(
    "TensorListConcatV2(input_handle: variant, element_shape: shape_type, leading_dims: int64, *, "
    "element_dtype: type) -> tensor: element_dtype, lengths: int64",
    shape_type=_SHAPE_TYPES,
    shape=_concatenated,
    moves_data=True,
)
def tensor_list_concat_op(xp, input_handle, element_shape, leading_dims, *, element_dtype):
    if isinstance(input_handle, ElementList):
        elements = input_handle.elements
        if not elements:
            shape = [dim for dim in np.asarray(element_shape).ravel()[1:]]
            return np.zeros((0, *shape), element_dtype.as_numpy_dtype), np.zeros(0, np.int64)
        elements = [_required(xp, value, input_handle, element_shape, element_dtype) for value in elements]
    else:
        rows = list_values.as_rows(input_handle)
        elements = [rows[index] for index in range(rows.shape[0])]
    if any(not np.ndim(element) for element in elements):
        raise ValueError("Concat saw a scalar shape at index 0 but requires at least vectors.")
    return xp.concatenate(elements), np.array([element.shape[0] for element in elements], np.int64)


@tensor_list_concat_op.gradient
def _(op, grad, _):
    return tensor_list_split_op(grad, _shape_tensor(None), op.outputs[1]), None, None


@op(
    "TensorListSplit(tensor: element_dtype, element_shape: shape_type, lengths: int64) -> output_handle: variant",
    element_dtype=dtypes.ANY,
    shape_type=_SHAPE_TYPES,
    shape=scalar,
    moves_data=True,
)
def tensor_list_split_op(xp, tensor, element_shape, lengths):
    if not list_values.is_known(lengths):
        raise list_values.NeedsHost
    if not tensor.ndim:
        raise ValueError("Tensor must be at least a vector, but saw shape: []")
    if lengths.ndim != 1 or (lengths < 0).any():
        raise ValueError(f"Expected lengths to be a vector of non-negative numbers, received {lengths.tolist()}")
    if lengths.sum() != tensor.shape[0]:
        raise ValueError(
            f"Expected sum of lengths to be equal to values.shape[0], but sum of lengths is {lengths.sum()} and "
            f"value's shape is: {list(tensor.shape)}"
        )
    ends = np.cumsum(lengths)
    return ElementList([tensor[end - length : end] for end, length in zip(ends, lengths, strict=True)])


@tensor_list_split_op.gradient
def _(op, grad):
    tensor = op.inputs[0]
    whole = as_long_as(op.outputs[0], grad)
    return concatenated(whole, tensor.dtype.base_dtype, tensor._shape)[0], None, None


# --- Length -----------------------------------------------------------------------------------------------------------


@op("TensorListLength(input_handle: variant) -> length: int32", shape=scalar, moves_data=True)
def tensor_list_length_op(xp, input_handle):
    size = _size(input_handle)
    return np.asarray(size, np.int32) if isinstance(size, int) else size


tensor_list_length_op.no_gradient("how many elements there are does not depend on them")


@op(
    "TensorListElementShape(input_handle: variant, *, shape_type: type{int32,int64}) -> element_shape: shape_type",
    shape=unknown,
)
def tensor_list_element_shape_op(xp, input_handle, *, shape_type):
    """The shape of what was written; lists do not know of any other."""
    zeros = list_values.zeros_of(input_handle)
    shape = -1 if zeros is None or isinstance(zeros, list_values.LISTS) else np.shape(zeros)
    return np.asarray(shape, shape_type.as_numpy_dtype)


tensor_list_element_shape_op.no_gradient("the shape of the elements does not depend on them")


@op(
    "TensorListResize(input_handle: variant, size: int32) -> output_handle: variant",
    shape=scalar,
    static=("size",),
    moves_data=True,
)
def tensor_list_resize_op(xp, input_handle, size):
    if int(size) < 0:
        raise ValueError(f"TensorListSlice expects size to be non-negative. Got: {int(size)}")
    return input_handle.resized(int(size))


@tensor_list_resize_op.gradient
def _(op, grad):
    return as_long_as(op.inputs[0], grad), None


# --- For the other modules --------------------------------------------------------------------------------------------


def _shape_tensor(shape: Shape) -> Tensor:
    """A static shape as a tensor: -1 stands for what is not known."""
    known: Any = -1 if shape is None else [-1 if dim is None else dim for dim in shape]
    return to_tensor(known, dtype=dtypes.int32)  # which a shape without dimensions is not by itself


def as_long_as(values: Tensor, grads: Tensor) -> Tensor:
    """A list of gradients, which may be shorter, with zeros up to the length of the list that it belongs to."""
    return find("AddN")([grads, find("ZerosLike")(values)])


def empty_list(element_dtype: Any) -> Tensor:
    """An empty list."""
    return empty_tensor_list_op(-1, -1, element_dtype=element_dtype)


def reserved(size: Any, element_dtype: Any, shape: Shape = None, name: str | None = None) -> Tensor:
    """A list of so many elements that are not written yet."""
    return tensor_list_reserve_op(_shape_tensor(shape), size, element_dtype=element_dtype, name=name)


def get_item(values: Tensor, index: Any, element_dtype: Any, shape: Shape, name: str | None = None) -> Tensor:
    """The element at a place."""
    return tensor_list_get_item_op(values, index, _shape_tensor(shape), element_dtype=element_dtype, name=name)


def set_item(values: Tensor, index: Any, item: Any, grows: bool = False, name: str | None = None) -> Tensor:
    """The list with another element at a place; `grows`: which may be beyond its end."""
    return tensor_list_set_item_op(values, index, item, resize_if_index_out_of_bounds=grows, name=name)


def pop_back(values: Tensor, element_dtype: Any, shape: Shape) -> tuple[Tensor, Tensor]:
    """A list without its last element, and that element."""
    rest, value = tensor_list_pop_back_op(values, _shape_tensor(shape), element_dtype=element_dtype)
    value.set_shape(shape)
    return rest, value


def stacked(
    values: Tensor, element_dtype: Any, shape: Shape, count: int | None = None, name: str | None = None
) -> Tensor:
    """The elements as the rows of one tensor; `count`: how many there are, where that is known."""
    known = -1 if count is None else count
    dtype = element_dtype.base_dtype
    return tensor_list_stack_op(values, _shape_tensor(shape), element_dtype=dtype, num_elements=known, name=name)


def gathered(values: Tensor, indices: Any, element_dtype: Any, shape: Shape, name: str | None = None) -> Tensor:
    """Some elements as the rows of one tensor."""
    return tensor_list_gather_op(values, indices, _shape_tensor(shape), element_dtype=element_dtype, name=name)


def concatenated(values: Tensor, element_dtype: Any, shape: Shape, name: str | None = None) -> Sequence[Tensor]:
    """The elements joined along their first dimension, and how much of it each has."""
    no_lengths = to_tensor([], dtype=dtypes.int64)
    return tensor_list_concat_op(values, _shape_tensor(shape), no_lengths, element_dtype=element_dtype, name=name)
